/*
 * Routes. Invariant: a route's bytes are one secret, and everything that views into them (its struct route, its guard's forms) goes with it: when the
 * vault has taken it back and the last stream has ended, whichever comes later.
 */
#include "proxy/routes.h"

#include "base/auto.h"

#include <string.h>

struct routes {
    struct proxy_route *first;
    unsigned n;
};

static void route_free(struct proxy_route *r)
{
    guard_free(r->guard);
    secret_free(r->bytes);
    free(r);
}

static void auto_route(struct proxy_route **r)
{
    if (*r)
        route_free(*r);
}

err_t routes_new(struct routes **out, struct why *why)
{
    *out = calloc(1, sizeof(**out));
    return *out ? ERR_OK : fail(why, ERR_INTERNAL, "out of memory");
}

void routes_free(struct routes *rs)
{
    if (!rs)
        return;
    while (rs->first) {
        struct proxy_route *r = rs->first;
        rs->first = r->next;
        route_free(r);
    }
    free(rs);
}

static struct proxy_route *find(const struct routes *rs, uint64_t id)
{
    struct proxy_route *r = rs->first;
    while (r && r->id != id)
        r = r->next;
    return r;
}

err_t routes_put(struct routes *rs, uint64_t id, struct view bytes, struct why *why)
{
    if (id == 0 || find(rs, id))
        return fail(why, ERR_INVALID, "a route of this number is there");
    if (rs->n == ROUTES_MAX)
        return fail(why, ERR_LIMIT, "%d routes are there", ROUTES_MAX);
    AUTO(auto_route) struct proxy_route *r = calloc(1, sizeof(*r));
    if (!r)
        return fail(why, ERR_INTERNAL, "out of memory");
    r->id = id;
    r->bytes = secret_from(bytes.p, bytes.n);
    if (!r->bytes)
        return fail(why, ERR_LIMIT, "no room for another route");
    TRY(route_decode(VIEW(secret_bytes(r->bytes), secret_len(r->bytes)), &r->route, why));
    TRY(guard_new(r->route.secret, r->route.n_secrets, &r->guard, why));
    r->next = rs->first;
    rs->first = TAKE(r);
    rs->n++;
    return ERR_OK;
}

static void drop_if_over(struct routes *rs, struct proxy_route *r)
{
    if (!r->ended || r->users > 0)
        return;
    struct proxy_route **at = &rs->first;
    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    rs->n--;
    route_free(r);
}

struct proxy_route *routes_take(struct routes *rs, uint64_t id)
{
    struct proxy_route *r = find(rs, id);
    if (!r || r->ended)
        return NULL;
    r->users++;
    return r;
}

void routes_give(struct routes *rs, struct proxy_route *r)
{
    if (!r)
        return;
    r->users--;
    drop_if_over(rs, r);
}

void routes_end(struct routes *rs, uint64_t id)
{
    struct proxy_route *r = find(rs, id);
    if (!r)
        return;
    r->ended = true;
    drop_if_over(rs, r);
}
