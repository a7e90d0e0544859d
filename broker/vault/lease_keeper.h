/*
 * Keeps the journal of leases small and its clock fresh: one timer, which runs only while there is something to keep.
 */
#ifndef VAULT_LEASE_KEEPER_H
#define VAULT_LEASE_KEEPER_H

#include "vault/lease_journal.h"

enum {
    KEEPER_TICK_MS = 30000, /* the wall clock in the journal is at most this old */
    KEEPER_SLACK = 1024,    /* entries beyond two per live lease before it is compacted */
    KEEPER_BATCH = 128
}; /* leases written again in one step: about 40 KiB of the ring */

struct keeper {
    struct journal *journal;
    struct lease_table *table;
    struct loop_timer *timer;
    bool armed;
    uint64_t swept, generation; /* compaction: serial last looked at, and in which generation */
    int64_t ticked_ms;
};

/* Both borrowed for the keeper's life. */
MUST err_t keeper_init(struct keeper *k, struct loop *loop, struct journal *j,
                       struct lease_table *t, struct why *why);
void keeper_wake(struct keeper *k);  /* something changed */
void keeper_clear(struct keeper *k); /* records the clock once more, frees the timer */

#endif
