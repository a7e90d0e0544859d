/*
 * An upstream's 401: either there is a newer login already (another request's 401 has renewed it, or an operator), or it is renewed now, once for
 * all who were refused, or it cannot be and the operator is told. No version is asked for twice by one request.
 */
#include "vault/renew.h"

#include "base/log.h"
#include "vault/refresh.h"

#include <string.h>

static void tell_operator(struct vault *v, const struct proxied *q, const struct credential *c)
{
    struct live_route *r = q->lease ? route_of_lease(q->lease) : NULL;
    v->count.upstream_rejections++;
    if (!r || r->version != q->version || r->rejected)
        return;
    r->rejected = true;
    log_event(LOG_LVL_WARN, "credential.rejected", "credential", c->name, "provider",
              c->provider->name, "why", "its upstream answered 401", "remedy",
              strcmp(c->kind, "login") == 0 ? "log in again: broker-cli login"
                                            : "put a valid key in its place: broker-cli replace",
              NULL);
}

err_t renew_after_401(struct request *rq, struct pending *p, const struct proxied *q,
                      const struct credential *c)
{
    struct vault *v = rq->v;
    if (c->version > q->version)
        return refresh_usable(v, c, DELIVER_PROXY, rq->why);
    err_t e = refresh_after_401(rq, p, c);
    if (e != ERR_NEEDS_LOGIN)
        return e;
    tell_operator(v, q, c);
    return fail(rq->why, ERR_NEEDS_LOGIN,
                "the upstream no longer accepts the credential \"%s\": the operator must enroll it "
                "again",
                c->name);
}
