/*
 * An allowance. Invariant: while a connection has one, the request that runs there, if any, runs under it; so the vault's books have one running
 * request for both. What it is for is kept as the bytes of method, path and token, and compared whole: an equal request is one that
 * the vault would judge alike.
 */
#include "proxy/allowance.h"

#include "base/auto.h"
#include "proxy/link.h"

#include <broker/secret.h>
#include <string.h>

struct allowance {
    uint64_t serial;
    uint64_t left; /* requests that may still begin */
    int64_t until_ms;
    uint8_t lease[16];
    struct proxy_route *route;
    struct view method, path, token; /* into `bytes` */
    size_t n;
    uint8_t bytes[];
};

/* In constant time: a token is among what is compared. */
static bool same(struct view a, struct view b)
{
    return a.n == b.n && equal_ct(a.p, b.p, a.n);
}

static struct view put(struct allowance *a, struct view v)
{
    uint8_t *at = a->bytes + a->n;
    if (v.n)
        memcpy(at, v.p, v.n);
    a->n += v.n;
    return VIEW(at, v.n);
}

static struct allowance *make(const struct gate_request *rq, struct view token)
{
    struct allowance *a =
        token.n ? calloc(1, sizeof(*a) + rq->method.n + rq->path.n + token.n) : NULL;
    if (!a)
        return NULL;
    a->method = put(a, rq->method);
    a->path = put(a, rq->path);
    a->token = put(a, token);
    return a;
}

void allowance_take(struct client *c, const struct msg *reply, const struct gate_request *rq,
                    struct view token)
{
    struct proxy *p = c->proxy;
    uint64_t left = msg_u64(reply, F_USES, 0), ms = msg_u64(reply, F_TTL_MS, 0);
    struct allowance *a = left && ms && !c->allowance ? make(rq, token) : NULL;
    if (!a)
        return;
    a->serial = msg_u64(reply, F_SERIAL, 0);
    a->left = left;
    a->until_ms = loop_now(p->loop) + (int64_t)ms;
    a->route = routes_take(p->routes, msg_u64(reply, F_ROUTE, 0));
    c->allowance = a;
    if (!a->route || !hex_decode(msg_view(reply, F_LEASE), a->lease, sizeof(a->lease)))
        allowance_drop(c);
}

struct proxy_route *allowance_use(struct client *c, const struct gate_request *rq,
                                  struct view token, uint8_t *lease, uint64_t *serial)
{
    struct allowance *a = c->allowance;
    if (!a || a->left == 0 || loop_now(c->proxy->loop) >= a->until_ms ||
        !same(a->method, rq->method) || !same(a->path, rq->path) || !same(a->token, token))
        return NULL;
    struct proxy_route *r = routes_take(c->proxy->routes, a->route->id); /* NULL: taken back */
    if (!r)
        return NULL;
    a->left--;
    memcpy(lease, a->lease, sizeof(a->lease));
    *serial = a->serial;
    return r;
}

bool allowance_goes_on(const struct client *c, uint64_t serial)
{
    const struct allowance *a = c->allowance;
    return a && a->serial == serial && a->left > 0 && loop_now(c->proxy->loop) < a->until_ms;
}

bool allowance_is_of(const struct client *c, const uint8_t *lease, uint64_t serial)
{
    const struct allowance *a = c->allowance;
    return a && (lease ? memcmp(a->lease, lease, sizeof(a->lease)) == 0 : a->serial == serial);
}

bool allowance_is_over(const struct client *c, int64_t now_ms)
{
    return c->allowance && now_ms >= c->allowance->until_ms;
}

void allowance_drop(struct client *c)
{
    struct allowance *a = TAKE(c->allowance);
    if (!a)
        return;
    routes_give(c->proxy->routes, a->route);
    wipe(a->bytes, a->n);
    free(a);
}

void allowance_end(struct client *c)
{
    struct buf *out = &c->proxy->packet;
    if (!c->allowance)
        return;
    msg_begin(out, MSG_PROXY_END, 0, 0);
    msg_put_u64(out, F_STATUS, ERR_OK);
    msg_put_u64(out, F_FLAGS, PROXY_END_UNUSED);
    msg_put_u64(out, F_SERIAL, c->allowance->serial);
    link_news(c->proxy->link, buf_view(out), false);
    buf_reset(out);
    allowance_drop(c);
}
