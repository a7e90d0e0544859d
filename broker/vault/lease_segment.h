/*
 * The segment files of the lease journal: leases-NNNNNN.journal, in order of their numbers.
 */
#ifndef VAULT_LEASE_SEGMENT_H
#define VAULT_LEASE_SEGMENT_H

#include "base/buf.h"
#include "vault/sink.h"

enum { LEASE_SEGMENT_NAME = 40, LEASE_SEGMENT_MAX = 1 << 28, LEASE_SEGMENT_WAIT_MS = 1000 };

struct lease_segment {
    uint64_t number;
    char name[LEASE_SEGMENT_NAME];
    struct buf bytes;
};
struct lease_segments {
    struct lease_segment *one;
    size_t n, cap;
    int lock; /* on the newest, or -1 */
    bool out_of_memory;
};

/* Calls fn for each segment's number and name, in order of readdir. `suffix`: ".journal", or ".corrupt" for those set aside. */
typedef void lease_segment_fn(void *ctx, uint64_t number, const char *name);
MUST err_t lease_segment_each(int dirfd, const char *suffix, lease_segment_fn *fn, void *ctx,
                              struct why *why);
void lease_segment_name(uint64_t number, char out[LEASE_SEGMENT_NAME]);

/* Reads all segments, once no audit writer has one any more: our own gives the newest up, and one that still drains for a vault that
 * is gone is waited for. ERR_UNAVAILABLE: after a second it still did. `out`: {.lock = -1}; free it whatever comes. */
MUST err_t lease_segments_read(struct sink *sink, int dirfd, struct lease_segments *out,
                               struct why *why);
void lease_segments_free(struct lease_segments *s);
/* Renames each to *.corrupt: kept for people to look at, and not read again. */
void lease_segments_set_aside(int dirfd, const struct lease_segments *s);

#endif
