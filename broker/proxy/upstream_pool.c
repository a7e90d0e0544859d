/*
 * Every idle connection is in two lists: its origin's (last one first, to be taken) and the pool's
 * (oldest first, to expire). Invariant: the timer is due no later than the oldest one's end; taking
 * one leaves the timer alone, so that a request costs no call for it: it fires for nothing once per
 * idle time at worst. An origin without connections stays for its TLS session until others need
 * the room.
 */
#include "proxy/upstream_pool.h"
#include "base/auto.h"

#include <string.h>

TAILQ_HEAD(origin_list, origin);
struct pool {
    struct loop *loop;
    struct pool_rules rules;
    struct tls *tls;
    struct origin_list origins; /* last used first */
    unsigned n_origins, n_idle;
    struct pooled_list idle; /* oldest first */
    struct loop_timer *timer;
    bool armed;
};

/* ---- origins */

static void origin_free(struct origin *o)
{
    if (!o)
        return;
    tls_peer_free(o->peer);
    free(o->name);
    free(o->ca);
    free(o);
}

static void auto_origin(struct origin **o)
{
    origin_free(*o);
}

static bool is_of(const struct origin *o, const struct route *r)
{
    return o->port == r->port && o->flags == r->flags && view_is(r->host, o->name) &&
           view_is(r->ca, o->ca);
}

static char *copy(struct view v)
{
    char *s = malloc(v.n + 1);
    if (s && !view_copy(v, s, v.n + 1)) {
        free(s);
        return NULL;
    }
    return s;
}

static err_t origin_new(struct pool *p, const struct route *r, struct origin **out, struct why *why)
{
    AUTO(auto_origin) struct origin *o = calloc(1, sizeof(*o));
    if (!o)
        return fail(why, ERR_INTERNAL, "out of memory");
    if (!host_parse(r->host, &o->host))
        return fail(why, ERR_INVALID, "the upstream's host is no host name");
    o->name = copy(r->host);
    o->ca = copy(r->ca);
    if (!o->name || !o->ca)
        return fail(why, ERR_INTERNAL, "out of memory");
    o->port = r->port;
    o->flags = r->flags;
    TAILQ_INIT(&o->idle);
    if (r->flags & ROUTE_TLS)
        TRY(tls_peer_new(p->tls, &o->host, r->ca, &o->peer, why));
    *out = TAKE(o);
    return ERR_OK;
}

/* The one unused for longest goes; live connections are bounded elsewhere. */
static void make_room(struct pool *p)
{
    struct origin *o = TAILQ_LAST(&p->origins, origin_list);
    while (o && o->in_use > 0)
        o = TAILQ_PREV(o, origin_list, link);
    if (!o || p->n_origins < POOL_ORIGINS_MAX)
        return;
    TAILQ_REMOVE(&p->origins, o, link);
    p->n_origins--;
    origin_free(o);
}

err_t pool_origin(struct pool *p, const struct route *r, struct origin **out, struct why *why)
{
    struct origin *o = TAILQ_FIRST(&p->origins);
    while (o && !is_of(o, r))
        o = TAILQ_NEXT(o, link);
    if (!o) {
        TRY(origin_new(p, r, &o, why));
        make_room(p);
        p->n_origins++;
        TAILQ_INSERT_HEAD(&p->origins, o, link);
    } else if (o != TAILQ_FIRST(&p->origins)) {
        TAILQ_REMOVE(&p->origins, o, link);
        TAILQ_INSERT_HEAD(&p->origins, o, link);
    }
    *out = o;
    return ERR_OK;
}

/* ---- idle connections */

static void take_out(struct pool *p, struct pooled *c)
{
    TAILQ_REMOVE(&c->origin->idle, c, of_origin);
    TAILQ_REMOVE(&p->idle, c, of_pool);
    c->origin->n_idle--;
    p->n_idle--;
    c->idle = false;
}

void pool_join(struct pooled *c, struct origin *o, void *owner)
{
    *c = (struct pooled){.owner = owner, .origin = o};
    o->in_use++;
}

void pool_leave(struct pool *p, struct pooled *c)
{
    if (c->idle)
        take_out(p, c);
    c->origin->in_use--;
}

void *pool_get(struct pool *p, struct origin *o)
{
    struct pooled *c = TAILQ_FIRST(&o->idle);
    if (!c)
        return NULL;
    take_out(p, c);
    return c->owner;
}

static void arm(struct pool *p)
{
    const struct pooled *oldest = TAILQ_FIRST(&p->idle);
    p->armed = oldest && loop_timer_set(p->timer, oldest->since_ms + p->rules.idle_ms) == ERR_OK;
}

void pool_put(struct pool *p, struct pooled *c)
{
    c->idle = true;
    c->since_ms = loop_now(p->loop);
    TAILQ_INSERT_HEAD(&c->origin->idle, c, of_origin);
    TAILQ_INSERT_TAIL(&p->idle, c, of_pool);
    p->n_idle++;
    if (++c->origin->n_idle > p->rules.idle_max)
        p->rules.close(TAILQ_LAST(&c->origin->idle, pooled_list)->owner);
    if (!p->armed)
        arm(p);
}

static void on_timer(void *ctx)
{
    struct pool *p = ctx;
    struct pooled *c;
    while ((c = TAILQ_FIRST(&p->idle)) && c->since_ms + p->rules.idle_ms <= loop_now(p->loop))
        p->rules.close(c->owner);
    arm(p);
}

unsigned pool_idle(const struct pool *p)
{
    return p->n_idle;
}

/* ---- the pool */

static void auto_pool(struct pool **p)
{
    pool_free(*p);
}

err_t pool_new(struct loop *l, const struct pool_rules *rules, struct pool **out, struct why *why)
{
    AUTO(auto_pool) struct pool *p = calloc(1, sizeof(*p));
    if (!p)
        return fail(why, ERR_INTERNAL, "out of memory");
    p->loop = l;
    p->rules = *rules;
    TAILQ_INIT(&p->origins);
    TAILQ_INIT(&p->idle);
    TRY(tls_new(&p->tls, why));
    if (loop_timer_new(l, on_timer, p, &p->timer) != ERR_OK)
        return fail(why, ERR_INTERNAL, "out of memory");
    *out = TAKE(p);
    return ERR_OK;
}

void pool_free(struct pool *p)
{
    struct pooled *c;
    struct origin *o;
    if (!p)
        return;
    while ((c = TAILQ_FIRST(&p->idle)))
        p->rules.close(c->owner);
    while ((o = TAILQ_FIRST(&p->origins))) {
        TAILQ_REMOVE(&p->origins, o, link);
        origin_free(o);
    }
    loop_timer_free(p->timer);
    tls_free(p->tls);
    free(p);
}
