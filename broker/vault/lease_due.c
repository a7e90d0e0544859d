/*
 * Groups of leases by the millisecond in which they are due. A lease joins a group that is still remembered under the last bits of its
 * time; when another time took that place, two groups of one time exist side by side, which costs a timer and nothing else.
 * Invariant: a group is freed when its last lease leaves it, but not while it is being worked off: then by who works it off.
 */
#include "vault/lease_due.h"

#include <stdlib.h>

enum { CACHE_LINE = 64 };

struct due_group {
    struct lease_due *due;
    struct loop_timer *timer;
    struct lease_node *first;
    int64_t at_ms;
    bool firing;
};

static struct due_group **place_of(struct lease_due *d, int64_t at_ms)
{
    return &d->recent[(uint64_t)at_ms % DUE_RECENT];
}

static void forget(struct due_group *g)
{
    struct due_group **place = place_of(g->due, g->at_ms);
    if (*place == g)
        *place = NULL;
}

static void group_free(struct due_group *g)
{
    forget(g);
    loop_timer_free(g->timer);
    free(g);
}

/* Who was issued a while ago is in no cache any more, and a look touches nearly all of it. */
static void fetch_ahead(const struct lease_node *n)
{
    const char *p = (const char *)n;
    for (size_t i = 0; n && i < sizeof(*n); i += CACHE_LINE)
        __builtin_prefetch(p + i, 1);
}

static void on_time(void *ctx)
{
    struct due_group *g = ctx;
    g->firing = true;
    forget(g); /* what is set again meanwhile waits for another time */
    while (g->first) {
        struct lease_node *n = g->first;
        fetch_ahead(n->due_next);
        due_clear(n);
        g->due->look(n);
    }
    group_free(g);
}

static struct due_group *group_at(struct lease_due *d, int64_t at_ms)
{
    struct due_group **place = place_of(d, at_ms), *g = *place;
    if (g && g->at_ms == at_ms)
        return g;
    g = calloc(1, sizeof(*g));
    if (!g)
        return NULL;
    *g = (struct due_group){.due = d, .at_ms = at_ms};
    if (loop_timer_new(d->loop, on_time, g, &g->timer) != ERR_OK ||
        loop_timer_set(g->timer, at_ms) != ERR_OK) {
        group_free(g);
        return NULL;
    }
    *place = g;
    return g;
}

err_t due_set(struct lease_due *d, struct lease_node *n, int64_t at_ms)
{
    if (n->due && n->due->at_ms == at_ms)
        return ERR_OK;
    struct due_group *g = group_at(d, at_ms);
    if (!g)
        return ERR_INTERNAL;
    due_clear(n);
    n->due = g;
    n->due_prev = NULL;
    n->due_next = g->first;
    if (g->first)
        g->first->due_prev = n;
    g->first = n;
    return ERR_OK;
}

void due_clear(struct lease_node *n)
{
    struct due_group *g = n->due;
    if (!g)
        return;
    if (n->due_prev)
        n->due_prev->due_next = n->due_next;
    else
        g->first = n->due_next;
    if (n->due_next)
        n->due_next->due_prev = n->due_prev;
    n->due = NULL;
    if (!g->first && !g->firing)
        group_free(g);
}
