/*
 * The table of leases. Ids are random and ours, so their own first bytes are the hash and nobody can choose collisions. The
 * order of issue is an array of slots sorted by serial; an ended lease leaves a hole (so a cursor stays valid and a binary
 * search still works), and the holes are squeezed out when they are the majority.
 * Invariant: each node is in exactly one bucket and one slot, and slot[n->slot].node == n.
 */
#include "vault/lease_table.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_BUCKETS = 64, FIRST_SLOTS = 64 };

static struct lease_node **bucket_of(const struct lease_table *t, const uint8_t id[TOKEN_LEASE_ID])
{
    uint64_t h;
    memcpy(&h, id, sizeof(h));
    return &t->bucket[h & (t->n_buckets - 1)];
}

static bool grow_buckets(struct lease_table *t)
{
    if (t->live < t->n_buckets)
        return true;
    struct lease_table bigger = {.n_buckets = t->n_buckets ? 2 * t->n_buckets : FIRST_BUCKETS};
    bigger.bucket = calloc(bigger.n_buckets, sizeof(struct lease_node *));
    if (!bigger.bucket)
        return false;
    for (size_t i = 0; i < t->n_buckets; i++)
        for (struct lease_node *n = t->bucket[i], *next; n; n = next) {
            struct lease_node **head = bucket_of(&bigger, n->lease.id);
            next = n->next;
            n->next = *head;
            *head = n;
        }
    free(t->bucket);
    t->bucket = bigger.bucket;
    t->n_buckets = bigger.n_buckets;
    return true;
}

static void squeeze_slots(struct lease_table *t)
{
    size_t to = 0;
    for (size_t i = 0; i < t->n_slots; i++)
        if (t->slot[i].node) {
            t->slot[i].node->slot = to;
            t->slot[to++] = t->slot[i];
        }
    t->n_slots = to;
}

static bool grow_slots(struct lease_table *t)
{
    if (t->n_slots < t->cap_slots)
        return true;
    size_t cap = t->cap_slots ? 2 * t->cap_slots : FIRST_SLOTS;
    struct lease_slot *slot = reallocarray(t->slot, cap, sizeof(*slot));
    if (!slot)
        return false;
    t->slot = slot;
    t->cap_slots = cap;
    return true;
}

/* Index of the first quota whose consumer is not before `consumer`. */
static size_t quota_index(const struct lease_table *t, const char *consumer)
{
    size_t lo = 0, hi = t->n_quotas;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (strcmp(t->quota[mid]->consumer, consumer) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static struct lease_quota *quota_find(const struct lease_table *t, const char *consumer)
{
    size_t i = quota_index(t, consumer);
    return i < t->n_quotas && strcmp(t->quota[i]->consumer, consumer) == 0 ? t->quota[i] : NULL;
}

static struct lease_quota *quota_get(struct lease_table *t, const char *consumer)
{
    struct lease_quota *q = quota_find(t, consumer);
    if (q)
        return q;
    struct lease_quota **all =
        reallocarray(t->quota, t->n_quotas + 1, sizeof(struct lease_quota *));
    if (!all)
        return NULL;
    t->quota = all;
    q = calloc(1, sizeof(*q));
    if (!q)
        return NULL;
    (void)view_copy(view_str(consumer), q->consumer, sizeof(q->consumer));
    size_t at = quota_index(t, consumer);
    memmove(all + at + 1, all + at, (t->n_quotas - at) * sizeof(struct lease_quota *));
    all[at] = q;
    t->n_quotas++;
    return q;
}

err_t table_insert(struct lease_table *t, struct lease_node *n)
{
    struct lease_quota *q = quota_get(t, n->lease.consumer);
    if (!q || !grow_buckets(t) || !grow_slots(t))
        return ERR_INTERNAL;
    struct lease_node **head = bucket_of(t, n->lease.id);
    n->next = *head;
    *head = n;
    n->slot = t->n_slots;
    t->slot[t->n_slots++] = (struct lease_slot){.serial = n->serial, .node = n};
    n->quota = q;
    q->live++;
    t->live++;
    return ERR_OK;
}

void table_remove(struct lease_table *t, struct lease_node *n)
{
    struct lease_node **at = bucket_of(t, n->lease.id);
    while (*at != n)
        at = &(*at)->next;
    *at = n->next;
    t->slot[n->slot].node = NULL;
    n->quota->live--;
    t->live--;
    if (t->n_slots > FIRST_SLOTS && t->live < t->n_slots / 2)
        squeeze_slots(t);
}

struct lease_node *table_find(const struct lease_table *t, const uint8_t id[TOKEN_LEASE_ID])
{
    if (t->n_buckets == 0)
        return NULL;
    struct lease_node *n = *bucket_of(t, id);
    while (n && memcmp(n->lease.id, id, TOKEN_LEASE_ID) != 0)
        n = n->next;
    return n;
}

struct lease_node *table_after(const struct lease_table *t, uint64_t serial)
{
    size_t lo = 0, hi = t->n_slots;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (t->slot[mid].serial <= serial)
            lo = mid + 1;
        else
            hi = mid;
    }
    while (lo < t->n_slots && !t->slot[lo].node)
        lo++;
    return lo < t->n_slots ? t->slot[lo].node : NULL;
}

static int by_serial(const void *a, const void *b)
{
    uint64_t x = ((const struct lease_slot *)a)->serial, y = ((const struct lease_slot *)b)->serial;
    return x < y ? -1 : x > y;
}

void table_sort(struct lease_table *t)
{
    if (t->n_slots > 0)
        qsort(t->slot, t->n_slots, sizeof(*t->slot), by_serial);
    squeeze_slots(t);
}

unsigned table_live_of(const struct lease_table *t, const char *consumer)
{
    const struct lease_quota *q = quota_find(t, consumer);
    return q ? q->live : 0;
}

void table_free(struct lease_table *t)
{
    for (size_t i = 0; i < t->n_quotas; i++)
        free(t->quota[i]);
    free(t->quota);
    free(t->slot);
    free(t->bucket);
    *t = (struct lease_table){0};
}
