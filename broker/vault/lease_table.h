/*
 * The leases in memory: found by id (hash), walked in order of issue (sorted slots with holes), counted per consumer. Knows
 * nothing of time, journal or loop. Every operation is O(1) or O(log n) amortised, up to LEASE_MAX_LIVE leases.
 */
#ifndef VAULT_LEASE_TABLE_H
#define VAULT_LEASE_TABLE_H

#include "vault/lease.h"

struct lease_quota { /* live leases of one consumer */
    char consumer[65];
    unsigned live;
};

struct lease_node {
    struct lease lease; /* first: a struct lease * of the interface is a node */
    struct leases *owner;
    uint64_t serial;      /* in order of issue, also across restarts; from 1 */
    uint64_t start_ticks; /* owner's process: field 22 of /proc/<pid>/stat; 0 unknown */
    uint64_t generation;  /* of the journal that holds its newest entry */
    bool same_boot;       /* replay: the boot deadlines of that entry are of this boot */
    bool ending;          /* decided at replay, ends in the loop's first turn */
    enum lease_end how;
    int pidfd;
    struct loop_fd *watch;
    struct due_group *due; /* when it is looked at again (lease_due.h) */
    struct lease_node *due_next, *due_prev;
    struct lease_node *next; /* in its bucket */
    struct lease_quota *quota;
    size_t slot;
};

struct lease_slot {
    uint64_t serial;
    struct lease_node *node; /* NULL: ended */
};
struct lease_table {
    struct lease_node **bucket;
    size_t n_buckets; /* a power of two, or 0 */
    struct lease_slot *slot;
    size_t n_slots, cap_slots;
    struct lease_quota **quota; /* sorted by consumer; kept when live falls to 0 */
    size_t n_quotas;
    unsigned live;
};

/* Takes the node over. ERR_INTERNAL: out of memory, nothing changed. */
MUST err_t table_insert(struct lease_table *t, struct lease_node *n);
void table_remove(struct lease_table *t, struct lease_node *n); /* the node is the caller's again */
struct lease_node *table_find(const struct lease_table *t, const uint8_t id[TOKEN_LEASE_ID]);
/* The first node with a serial over `serial`; NULL at the end. */
struct lease_node *table_after(const struct lease_table *t, uint64_t serial);
/* After a replay, which inserts in any order. */
void table_sort(struct lease_table *t);
unsigned table_live_of(const struct lease_table *t, const char *consumer);
/* Frees the arrays. The nodes must have been removed. */
void table_free(struct lease_table *t);

#endif
