/*
 * The rows of all credentials in memory: found by name in O(1), walked in order of names. A row's
 * address is stable until it is removed. Bulk loading is O(n log n): new rows wait unordered until
 * somebody asks for the order.
 */
#ifndef VAULT_INDEX_H
#define VAULT_INDEX_H

#include "vault/credential.h"

struct index {
    struct credential **slot;  /* open addressing, by hash of the name; NULL: empty */
    struct credential **order; /* all rows; by name when `sorted` */
    size_t room;               /* of slot: a power of two, more than twice n */
    size_t n;
    bool sorted;
};

void index_clear(struct index *ix); /* frees all rows */
/* Room for one more row, so that index_add cannot fail. */
MUST err_t index_reserve(struct index *ix, struct why *why);
/* Takes a row (from calloc) whose name is not in the index, after index_reserve. */
void index_add(struct index *ix, struct credential *row);
void index_remove(struct index *ix, struct credential *row); /* frees it */
struct credential *index_find(const struct index *ix, struct view name);
/* Brings the rows into order; index_next and `order` need it. */
void index_sort(struct index *ix);
struct credential *index_next(struct index *ix, const char *after);

#endif
