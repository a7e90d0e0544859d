/*
 * The present answer to an upstream's 401: look whether an operator has put a new login in the place of the one that was refused. Nothing is
 * refreshed by the broker itself here, and no version is asked for twice by one request.
 */
#include "vault/renew.h"

#include "base/clock.h"
#include "base/log.h"
#include "vault/deliver.h"

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
              strcmp(c->kind, "login") == 0 ? "log in again, then: broker-cli replace"
                                            : "put a valid key in its place: broker-cli replace",
              NULL);
}

err_t renew_after_401(struct vault *v, const struct proxied *q, const struct credential *c,
                      struct why *why)
{
    if (c->version > q->version)
        return deliver_usable(c, DELIVER_PROXY, clock_wall_ms(), why);
    tell_operator(v, q, c);
    return fail(why, ERR_NEEDS_LOGIN,
                "the upstream no longer accepts the credential \"%s\": the operator must enroll it "
                "again",
                c->name);
}
