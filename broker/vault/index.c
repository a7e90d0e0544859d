/*
 * A hash table and an array over the same rows. The table is at most half full and probes linearly;
 * removal shifts the run that follows back, so there are no tombstones. The array is kept in order
 * when rows arrive in order, which is how a manifest brings them, and is sorted on demand
 * otherwise.
 */
#include "vault/index.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 64 };

static size_t hash_of(struct view name)
{
    uint64_t h = 14695981039346656037ULL; /* FNV-1a: names are the operator's own */
    for (size_t i = 0; i < name.n; i++)
        h = (h ^ name.p[i]) * 1099511628211ULL;
    return (size_t)(h ^ h >> 32);
}

static size_t home_of(const struct index *ix, const struct credential *row)
{
    return hash_of(view_str(row->name)) & (ix->room - 1);
}

/* The slot that holds `name`, or the empty one where it would go. */
static size_t probe(const struct index *ix, struct view name)
{
    size_t i = hash_of(name) & (ix->room - 1);
    while (ix->slot[i] && !view_is(name, ix->slot[i]->name))
        i = (i + 1) & (ix->room - 1);
    return i;
}

void index_clear(struct index *ix)
{
    for (size_t i = 0; i < ix->n; i++)
        free(ix->order[i]);
    free(ix->order);
    free(ix->slot);
    *ix = (struct index){0};
}

err_t index_reserve(struct index *ix, struct why *why)
{
    if (2 * (ix->n + 1) < ix->room)
        return ERR_OK;
    struct index grown = {.room = ix->room ? 2 * ix->room : FIRST_ROOM};
    grown.slot = calloc(grown.room, sizeof(struct credential *));
    grown.order = realloc(ix->order, grown.room / 2 * sizeof(struct credential *));
    if (grown.order)
        ix->order = grown.order;
    if (!grown.slot || !grown.order) {
        free(grown.slot);
        return fail(why, ERR_INTERNAL, "out of memory for %zu credentials", ix->n + 1);
    }
    for (size_t i = 0; i < ix->n; i++)
        grown.slot[probe(&grown, view_str(ix->order[i]->name))] = ix->order[i];
    free(ix->slot);
    ix->slot = grown.slot;
    ix->room = grown.room;
    return ERR_OK;
}

void index_add(struct index *ix, struct credential *row)
{
    ix->slot[probe(ix, view_str(row->name))] = row;
    ix->sorted = ix->n == 0 || (ix->sorted && strcmp(ix->order[ix->n - 1]->name, row->name) < 0);
    ix->order[ix->n++] = row;
}

/* Closes the gap at `hole`: a row further on moves in when its home is not behind the hole. */
static void shift_back(struct index *ix, size_t hole)
{
    size_t mask = ix->room - 1;
    for (size_t i = (hole + 1) & mask; ix->slot[i]; i = (i + 1) & mask) {
        size_t home = home_of(ix, ix->slot[i]);
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            ix->slot[hole] = ix->slot[i];
            hole = i;
        }
    }
    ix->slot[hole] = NULL;
}

/* How many rows have names up to and including `name`. */
static size_t rank_of(const struct index *ix, const char *name)
{
    size_t lo = 0, hi = ix->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (strcmp(ix->order[mid]->name, name) <= 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

void index_remove(struct index *ix, struct credential *row)
{
    index_sort(ix);
    size_t at = rank_of(ix, row->name) - 1;
    shift_back(ix, probe(ix, view_str(row->name)));
    memmove(ix->order + at, ix->order + at + 1, (ix->n - at - 1) * sizeof(struct credential *));
    ix->n--;
    free(row);
}

struct credential *index_find(const struct index *ix, struct view name)
{
    return ix->n ? ix->slot[probe(ix, name)] : NULL;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(struct credential *const *)a)->name, (*(struct credential *const *)b)->name);
}

void index_sort(struct index *ix)
{
    if (!ix->sorted && ix->n)
        qsort(ix->order, ix->n, sizeof(struct credential *), by_name);
    ix->sorted = true;
}

struct credential *index_next(struct index *ix, const char *after)
{
    index_sort(ix);
    size_t at = rank_of(ix, after);
    return at < ix->n ? ix->order[at] : NULL;
}
