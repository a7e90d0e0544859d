/*
 * Who needs a new token now: a lease, a request that an upstream refused, an operator. Each begins a refresh or joins the one that runs, and is
 * parked; it is taken up again once, when the run has ended or it has waited long enough, and then decided on what is true. A token that still
 * has life is never waited for.
 */
#include "vault/refresh_state.h"

#include "base/auto.h"
#include "base/clock.h"
#include "vault/deliver.h"

#include <string.h>

enum { MIN_LEFT_MS = 60000, BURST = 120, EACH_MS = 10000 };

static bool too_little_left(const struct credential *c, enum delivery d)
{
    return d != DELIVER_SECRET && c->expires_ms > 0 &&
           c->expires_ms - clock_wall_ms() < MIN_LEFT_MS;
}

static bool renewable(const struct refresh *r, const struct credential *c)
{
    return r && !c->needs_login && !c->no_refresh;
}

static err_t later(const struct refresh *r, const struct credential *c, struct why *why)
{
    if (r->running || !r->why[0])
        return fail(why, ERR_UNAVAILABLE,
                    "the login \"%s\" is being renewed, and its provider has not answered yet: try "
                    "again",
                    c->name);
    return fail(why, ERR_UNAVAILABLE, "the login \"%s\" cannot be renewed now: %s", c->name,
                r->why);
}

err_t refresh_usable(struct vault *v, const struct credential *c, enum delivery d, struct why *why)
{
    err_t e = deliver_usable(c, d, clock_wall_ms(), why);
    if (e != ERR_NEEDS_LOGIN)
        return e;
    struct refresh *r = refresh_of(v, c);
    return renewable(r, c) ? later(r, c, why) : e;
}

/* Joins the run, or begins one. Without deferred: there is none to wait for. */
static err_t join(struct request *rq, struct pending *p, struct refresh *r,
                  enum refresh_cause cause)
{
    struct why why = {0};
    bool begins = !r->running && !r->wake.loop && r->not_before_ms <= clock_boot_ms();
    if (begins && cause != REFRESH_DEMAND)
        (void)!refresh_begin(r, cause, &rq->conn->peer, &why);
    if (!r->running && !r->wake.loop)
        return ERR_OK;
    r->v->refreshes->count.waited++;
    return parked_add(&r->waiting, rq, p);
}

err_t refresh_for_use(struct request *rq, struct pending *p, const struct credential *c,
                      enum delivery d)
{
    struct refresh *r = too_little_left(c, d) ? refresh_of(rq->v, c) : NULL;
    if (rq->again || !r || !renewable(r, c))
        return ERR_OK;
    return join(rq, p, r, REFRESH_LEASE);
}

/* A version that came after a 401, and that no upstream has taken since, is not renewed at once for another 401. */
static bool pointless(const struct refresh *r, const struct credential *c)
{
    return r->from_401 == c->version && r->accepted != c->version &&
           clock_boot_ms() < r->patience_ms;
}

/* Who can make an upstream answer 401 (a path that wants other rights) must not wear the login out: a burst, then one in EACH_MS. */
static bool affordable(struct refresh *r)
{
    int64_t now = clock_boot_ms();
    if (r->running || r->wake.loop)
        return true; /* it only joins */
    if (r->spent_ms > now + (int64_t)BURST * EACH_MS)
        return false;
    r->spent_ms = (r->spent_ms > now ? r->spent_ms : now) + EACH_MS;
    return true;
}

err_t refresh_after_401(struct request *rq, struct pending *p, const struct credential *c)
{
    struct refresh *r = refresh_of(rq->v, c);
    if (!renewable(r, c) || pointless(r, c))
        return fail(rq->why, ERR_NEEDS_LOGIN, "it is not one that can be renewed");
    if (rq->again)
        return later(r, c, rq->why);
    if (!affordable(r))
        return fail(rq->why, ERR_UNAVAILABLE,
                    "the login \"%s\" was renewed too often for its upstream's 401", c->name);
    TRY(join(rq, p, r, REFRESH_REJECTED));
    return rq->deferred ? ERR_OK : later(r, c, rq->why);
}

err_t refresh_on_demand(struct request *rq, struct pending *p, const struct credential *c,
                        struct jsonw *w)
{
    struct refresh *r = refresh_of(rq->v, c);
    (void)w;
    if (!r)
        return fail(rq->why, ERR_CONFLICT, "\"%s\" is no login that can be renewed", c->name);
    if (!rq->again) {
        if (!r->running)
            TRY(refresh_begin(r, REFRESH_DEMAND, &rq->conn->peer, rq->why));
        return join(rq, p, r, REFRESH_DEMAND);
    }
    if (r->running)
        return fail(rq->why, ERR_TIMEOUT,
                    "the provider has not answered yet; the refresh goes on: broker-cli status");
    if (r->last != ERR_OK || !r->last_ms)
        return fail(rq->why, r->last == ERR_OK ? ERR_CONFLICT : r->last, "%s",
                    r->why[0] ? r->why : "there is nothing to renew it with");
    return ERR_OK;
}

err_t refresh_settled(struct request *rq, struct pending *p, const struct credential *c)
{
    struct refresh *r = refresh_of(rq->v, c);
    bool open = r && (r->journaled || r->uncommitted) && !c->needs_login;
    if (!r || (!r->running && !open))
        return ERR_OK;
    if (rq->again)
        return r->running ? later(r, c, rq->why)
                          : ERR_OK; /* it cannot be settled now: it goes as it is */
    if (!r->running)
        TRY(refresh_begin(r, REFRESH_DEMAND, &rq->conn->peer, rq->why));
    return join(rq, p, r, REFRESH_DEMAND);
}

err_t refreshes_quiet(struct request *rq, struct pending *p)
{
    struct refresh *last = NULL;
    for (struct refresh *r = rq->v->refreshes ? rq->v->refreshes->all : NULL; r; r = r->next)
        if (r->running && (!last || r->began_boot_ms > last->began_boot_ms))
            last = r;
    return last && !rq->again ? parked_add(&last->waiting, rq, p) : ERR_OK;
}
