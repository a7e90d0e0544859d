/*
 * The table. Invariants: a place is free exactly when its serial is 0; a running request is on its lease's list exactly while `lease` is
 * set; the list's head lies in the lease, so a lease's end reaches its requests without a search. Places come in chunks that stay: most
 * of a table is never used, and no request allocates.
 */
#include "vault/proxied.h"

#include "base/auto.h"
#include "base/clock.h"
#include "crypto/seal.h"
#include "crypto/token.h"

#include <string.h>

enum { PLACE_BITS = 12, RANDOM_BITS = 39 };
_Static_assert(PROXIED_PER_WORKER == 1 << PLACE_BITS, "a place is the low bits of a serial");

static struct proxied *place(const struct proxied_worker *w, uint32_t at)
{
    return &w->chunk[at / PROXIED_CHUNK][at % PROXIED_CHUNK];
}

/* Serials stay below 2^53: a JSON number holds them exactly. */
static uint64_t next_serial(struct proxied_table *t, uint32_t at)
{
    if (t->last == 0) {
        random_bytes(&t->last, sizeof(t->last));
        t->last &= ((uint64_t)1 << RANDOM_BITS) - 1;
    }
    return ++t->last << PLACE_BITS | at;
}

static bool take_place(struct proxied_worker *w, uint32_t *at)
{
    if (w->free) {
        *at = w->free - 1;
        w->free = place(w, *at)->next_free;
        return true;
    }
    if (w->used == PROXIED_PER_WORKER)
        return false;
    struct proxied **chunk = &w->chunk[w->used / PROXIED_CHUNK];
    if (!*chunk)
        *chunk = calloc(PROXIED_CHUNK, sizeof(**chunk));
    if (!*chunk)
        return false;
    *at = w->used++;
    return true;
}

struct proxied *proxied_new(struct proxied_table *t, unsigned worker)
{
    struct proxied_worker *w = &t->worker[worker];
    uint32_t at;
    if (!take_place(w, &at))
        return NULL;
    struct proxied *p = place(w, at);
    *p = (struct proxied){
        .serial = next_serial(t, at), .worker = worker, .began_boot_ms = clock_boot_ms()};
    w->running++;
    return p;
}

void proxied_link(struct proxied *p, struct lease *l)
{
    p->lease = l;
    p->next = l->running;
    p->back = &l->running;
    if (p->next)
        p->next->back = &p->next;
    l->running = p;
    memcpy(p->lease_hex, l->id_hex, sizeof(p->lease_hex));
}

void proxied_unlink(struct proxied *p)
{
    if (!p->lease)
        return;
    *p->back = p->next;
    if (p->next)
        p->next->back = p->back;
    p->lease = NULL;
    p->next = NULL;
    p->back = NULL;
}

void proxied_free(struct proxied_table *t, struct proxied *p)
{
    struct proxied_worker *w = &t->worker[p->worker];
    uint32_t at = (uint32_t)p->serial & (PROXIED_PER_WORKER - 1);
    proxied_unlink(p);
    *p = (struct proxied){.next_free = w->free};
    w->free = at + 1;
    w->running--;
}

struct proxied *proxied_find(const struct proxied_table *t, unsigned worker, uint64_t serial)
{
    const struct proxied_worker *w = &t->worker[worker];
    uint32_t at = (uint32_t)serial & (PROXIED_PER_WORKER - 1);
    struct proxied *p = at < w->used ? place(w, at) : NULL;
    return p && serial != 0 && p->serial == serial ? p : NULL;
}

struct proxied *proxied_next(const struct proxied_table *t, unsigned worker, uint32_t *at)
{
    const struct proxied_worker *w = &t->worker[worker];
    while (w->running > 0 && *at < w->used) {
        struct proxied *p = place(w, (*at)++);
        if (p->serial)
            return p;
    }
    return NULL;
}

unsigned proxied_running(const struct proxied_table *t)
{
    unsigned n = 0;
    for (unsigned i = 0; i < CONFIG_MAX_PROXIES; i++)
        n += t->worker[i].running;
    return n;
}

void proxied_clear(struct proxied_table *t)
{
    for (unsigned i = 0; i < CONFIG_MAX_PROXIES; i++) {
        for (unsigned k = 0; k < PROXIED_PER_WORKER / PROXIED_CHUNK; k++)
            free(t->worker[i].chunk[k]);
        t->worker[i] = (struct proxied_worker){0};
    }
}

/* ---- usage */

/* A worker may be anybody's: its numbers only grow, and by no more than a budget can hold. */
static uint64_t grown(uint64_t *have, uint64_t now)
{
    uint64_t most = now > BUDGET_AMOUNT_MAX ? BUDGET_AMOUNT_MAX : now;
    uint64_t more = most > *have ? most - *have : 0;
    *have += more;
    return more;
}

static uint64_t worth(uint64_t tokens, uint64_t per_million)
{
    __extension__ typedef unsigned __int128 wide;
    wide micro = (wide)tokens * per_million / 1000000;
    return micro > BUDGET_AMOUNT_MAX ? BUDGET_AMOUNT_MAX : (uint64_t)micro;
}

static uint64_t price_of(const struct proxied *p)
{
    const struct config_price *m = &p->price;
    const struct proxied_usage *u = &p->usage;
    uint64_t sum = worth(u->input, m->input) + worth(u->output, m->output) +
                   worth(u->cache_read, m->cache_read) + worth(u->cache_write, m->cache_write);
    return !p->priced ? 0 : sum > BUDGET_AMOUNT_MAX ? BUDGET_AMOUNT_MAX : sum;
}

void proxied_used(struct proxied *p, const struct proxied_usage *now, struct account_spent *more)
{
    (void)grown(&p->usage.in_bytes, now->in_bytes);
    (void)grown(&p->usage.out_bytes, now->out_bytes);
    more->input = grown(&p->usage.input, now->input);
    more->output = grown(&p->usage.output, now->output);
    more->cache_read = grown(&p->usage.cache_read, now->cache_read);
    more->cache_write = grown(&p->usage.cache_write, now->cache_write);
    more->cost =
        grown(&p->cost, price_of(p)); /* of the whole, so that nothing is lost to rounding */
}

void proxied_text(struct view from, bool model, char *out, size_t room)
{
    size_t n = from.n < room - 1 ? from.n : room - 1;
    if (from.n && memmem(from.p, from.n, TOKEN_MARKER, sizeof(TOKEN_MARKER) - 1))
        n = 0; /* a token is nothing for the log */
    for (size_t i = 0; i < n; i++) {
        uint8_t c = from.p[i], low = c | 0x20;
        bool plain = (low >= 'a' && low <= 'z') || (c >= '0' && c <= '9') ||
                     (c && strchr("._:/@+-", c) != NULL) || (!model && c > ' ' && c < 0x7f);
        out[i] = plain ? (char)c : '_';
    }
    out[n] = '\0';
}
