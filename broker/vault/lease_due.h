/*
 * When leases are to be looked at again. Leases that are due in the same millisecond share one timer of the loop, so that many short
 * leases cost the loop's heap one entry a millisecond, and not one each.
 */
#ifndef VAULT_LEASE_DUE_H
#define VAULT_LEASE_DUE_H

#include "vault/lease_table.h"

enum { DUE_RECENT = 64 };

struct due_group; /* the leases of one timer */
struct lease_due {
    struct loop *loop;
    /* Called from the loop once n's time has come; n is in no group then, and may be set again or freed. */
    void (*look)(struct lease_node *n);
    struct due_group
        *recent[DUE_RECENT]; /* by the last bits of their time: where the next lease may join */
};

/* Look at n at this time (boot clock, ms), and at no other. ERR_INTERNAL: out of memory, it stays as it was. */
MUST err_t due_set(struct lease_due *d, struct lease_node *n, int64_t at_ms);
void due_clear(struct lease_node *n); /* never; also of a node that was never set */

#endif
