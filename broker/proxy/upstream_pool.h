/*
 * Origins and the idle connections of each: last in, first out, so that those not needed age and are closed. One timer for all.
 */
#ifndef PROXY_UPSTREAM_POOL_H
#define PROXY_UPSTREAM_POOL_H

#include "base/loop.h"
#include "base/route.h"
#include "proxy/host.h"
#include "proxy/tls.h"
#include <sys/queue.h>

enum { POOL_ORIGINS_MAX = 256 };
struct pooled;
TAILQ_HEAD(pooled_list, pooled);

/* Who shares connections: the same host, port, flags and trust. */
struct origin {
    char *name; /* host as the route spells it */
    struct host host;
    uint16_t port;
    unsigned flags;
    char *ca;
    struct tls_peer *peer; /* of a TLS origin */
    unsigned in_use;       /* connections in any state */
    unsigned n_idle;
    struct pooled_list idle; /* last one first */
    TAILQ_ENTRY(origin) link;
};
struct pooled { /* in a connection; `owner` is it */
    void *owner;
    struct origin *origin;
    bool idle;
    int64_t since_ms;
    TAILQ_ENTRY(pooled) of_origin, of_pool;
};
struct pool;
struct pool_rules {
    int idle_ms;
    unsigned idle_max;          /* per origin */
    void (*close)(void *owner); /* of an idle one that must go; it calls pool_leave() */
};
MUST err_t pool_new(struct loop *l, const struct pool_rules *rules, struct pool **out,
                    struct why *why);
void pool_free(struct pool *p); /* closes what is idle; takes NULL */

/* The origin of a route, made when there is none; lives while it is in use. ERR_INVALID: no host. */
MUST err_t pool_origin(struct pool *p, const struct route *r, struct origin **out, struct why *why);
void pool_join(struct pooled *c, struct origin *o, void *owner);
void pool_leave(struct pool *p, struct pooled *c);
void pool_put(struct pool *p, struct pooled *c); /* it is idle from now on */
void *pool_get(struct pool *p,
               struct origin *o); /* the owner of an idle one, not idle any more; NULL: none */
unsigned pool_idle(const struct pool *p);

#endif
