/*
 * The way to the disk for the audit log and the lease journal. The vault never blocks on a file: it appends to a ring in shared
 * memory (memfd) and a process of its own, the audit writer (role `audit`), moves it to the files and syncs. A full disk, a
 * read-only file or a stuck device therefore stops the writer, not the vault, which sees it within a second and refuses.
 * What is in the ring survives the vault's death: the writer drains it before it ends.
 *
 * Ring entry: u32 length, u8 stream, u8 flags, u16 zero, then the bytes, padded to 8; positions are u64 byte offsets that only grow.
 * The writer acknowledges positions: `written` (in the page cache) and `durable` (after fdatasync). After an I/O error it begins a
 * new segment and writes again all that was not durable; readers drop exact repeats by sequence number.
 */
#ifndef VAULT_SINK_H
#define VAULT_SINK_H

#include "base/loop.h"
#include "base/buf.h"

/* The first two carry lines and entries; the others tell the writer to do something with a file once everything before is durable. */
enum sink_stream {
    SINK_AUDIT = 1,
    SINK_JOURNAL = 2,
    SINK_ROLL_AUDIT = 3,
    SINK_ROLL_JOURNAL = 4, /* u64 offset (big-endian; all ones: a new file), name */
    SINK_REPLACE = 5,      /* u8 length, name, contents */
    SINK_REMOVE = 6        /* name */
};
enum { SINK_RING_BYTES = 1 << 23, SINK_RECORD_MAX = 8192, SINK_DEADLINE_MS = 900 };

struct sink;
/* The vault's end. `writer_sock`: socketpair end towards the audit writer, the sink's own from ERR_OK on (and closed by sink_free:
 * the writer then drains the ring and ends). SINK_OPEN is sent on it three times, with F_OP "ring", "wake", "done" and the
 * descriptor of each. `on_progress` is called from the loop whenever `durable`, `written` or the health changed. */
MUST err_t sink_new(struct loop *l, int writer_sock, void (*on_progress)(void *ctx), void *ctx,
                    struct sink **out, struct why *why);
void sink_free(struct sink *s); /* takes NULL */
/* The writer died and was restarted: hands the same ring to the new one; nothing in it is lost. */
MUST err_t sink_reattach(struct sink *s, int writer_sock, struct why *why);

/* Appends one record; its end position in *pos. ERR_AUDIT when the sink is unhealthy or the ring is full: nothing appended. */
MUST err_t sink_append(struct sink *s, enum sink_stream stream, struct view bytes, uint64_t *pos,
                       struct why *why);
/* The same in two steps, for who must not change its own state when the record cannot be appended: after sink_ready() or sink_room() said ERR_OK for
 * n bytes, one sink_push() of at most n bytes cannot fail. */
MUST err_t sink_ready(const struct sink *s, size_t n, struct why *why);
/* The same of an unhealthy sink, for what has happened already and is to be told: it is written when the sink is well again. */
MUST err_t sink_room(const struct sink *s, size_t n, struct why *why);
uint64_t sink_push(struct sink *s, enum sink_stream stream, struct view bytes);

/* Asks the writer to begin a new segment file of this name from here on (audit-000002.jsonl, leases-000002.journal). Where a file of
 * this name has bytes already, the writer takes the next free number instead: what was written stays. `stream` is the stream or its
 * roll. Mode 0600; the writer holds flock(LOCK_EX) on the file while it is the stream's segment. */
MUST err_t sink_roll(struct sink *s, enum sink_stream stream, const char *name, struct why *why);
/* Goes on in an existing segment at `offset`; bytes behind it are cut off. */
MUST err_t sink_resume(struct sink *s, enum sink_stream stream, const char *name, uint64_t offset,
                       struct why *why);
/* The writer syncs and closes the stream's segment, and gives up its lock. */
MUST err_t sink_close(struct sink *s, enum sink_stream stream, struct why *why);
/* Replaces a small file beside the segments, atomically and durably, after all that was appended before. */
MUST err_t sink_replace(struct sink *s, const char *name, struct view contents, struct why *why);
/* Removes a file beside the segments that are in use, after all that was appended before. One that cannot be removed stays. */
MUST err_t sink_remove(struct sink *s, const char *name, struct why *why);

/* At the end of a turn: wakes the writer when something was appended. `durable`: somebody waits for it; else within 100 ms. */
void sink_flush(struct sink *s, bool durable);
/* Waits, at most `ms`, until all that was appended is durable. Not for the hot path: for who must read its files back. */
MUST err_t sink_settle(struct sink *s, int ms, struct why *why);
/* Everything before this position, of both streams, survives power loss. */
uint64_t sink_durable(const struct sink *s);
uint64_t sink_written(const struct sink *s);
uint64_t sink_head(const struct sink *s);
/* ERR_OK, or ERR_AUDIT with the cause (errno text, "stuck for 900 ms", "writer is not running"). A stuck sink is one whose oldest
 * unfinished position is older than SINK_DEADLINE_MS. */
MUST err_t sink_health(const struct sink *s, struct why *why);

/* The audit writer's main: sock gives SINK_OPEN; `dirfd` is the directory of the segments. Returns an exit code: 0 when the vault
 * ended and all was drained. */
int sink_writer_main(int sock, int dirfd);

#endif
