/*
 * One stream's segment file, as the audit writer sees it. Functions give 0 or an errno. Bytes go to an offset that only moves when all
 * of them were written, so a try that failed can be made again and a restarted writer repeats the same bytes in the same place.
 */
#ifndef VAULT_SINK_SEGMENT_H
#define VAULT_SINK_SEGMENT_H

#include "vault/sink_ring.h"

#include <sys/uio.h>

#define SEGMENT_NEW UINT64_MAX

struct segment {
    int dir, fd;          /* fd -1: no segment is open */
    struct ring_place at; /* name, and where the next byte goes */
    bool dirty;           /* written since the last sync */
    bool lost; /* an I/O error: what was not durable may be gone, only segment_abandon() goes on */
};

/* Opens `place` in seg->dir and locks it. Offset SEGMENT_NEW: a new file, under the next free number where the name is taken. Else an
 * existing one, what lies behind the offset is cut off when `cut`. The file and its name are durable on success; on failure the
 * segment that was open is still. */
int segment_open(struct segment *seg, const struct ring_place *place, bool cut);
void segment_close(struct segment *seg);
/* Writes all, or leaves the file as long as it was (as far as the disk lets it). EIO: seg->lost. */
int segment_write(struct segment *seg, struct iovec *iov, int n);
/* Any failure: seg->lost. */
int segment_sync(struct segment *seg);
/* After an I/O error: leaves the file at its offset, which the caller has set back to what is durable (removes an empty one), and opens a
 * new one beside it. The old descriptor is never synced again. */
int segment_abandon(struct segment *seg);
/* Writes `contents` to a temporary file, syncs, renames to `name`, syncs the directory. */
int segment_replace(int dir, const char *name, struct view contents);
/* "audit-000009.jsonl" → "audit-000010.jsonl"; false when there is no number in it. */
bool segment_next_name(char name[RING_NAME]);

#endif
