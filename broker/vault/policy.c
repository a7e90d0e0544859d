/*
 * The decision as a list of steps; the first that fails is the answer. Pure: reads the configuration, the peer's facts and the
 * question, changes nothing, and no secret is open yet.
 * Invariant: whatever is not in this consumer's grants looks the same, be it enrolled or not.
 */
#include "vault/policy.h"

#include "base/auto.h"
#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { TTL_MIN_MS = 1000 };

static err_t not_granted(const struct config_consumer *consumer, struct view credential,
                         struct why *why)
{
    int n = credential.n > 64 ? 64 : (int)credential.n;
    return fail(why, ERR_DENIED,
                "%s has no grant for \"%.*s\", or it is not enrolled: see the grants, or ask the "
                "operator for a grant",
                consumer->name, n, (const char *)credential.p);
}

static const struct config_grant *find_grant(const struct config_consumer *consumer,
                                             struct view credential)
{
    for (unsigned i = 0; i < consumer->n_grants; i++)
        if (view_is(credential, consumer->grants[i].credential))
            return &consumer->grants[i];
    return NULL;
}

/* "file, access_token" */
static const char *delivery_list(unsigned mask, char out[64])
{
    static const char *const name[] = {
#define NAME(id, text) text,
        BROKER_DELIVERIES(NAME)
#undef NAME
    };
    size_t len = 0;
    out[0] = '\0';
    for (unsigned d = 0; d < DELIVER__COUNT; d++)
        if (mask & 1u << d)
            len += (size_t)snprintf(out + len, 64 - len, "%s%s", len ? ", " : "", name[d]);
    return out;
}

static err_t choose_delivery(const struct config_grant *g, const struct policy_ask *ask,
                             struct policy_limits *out, struct why *why)
{
    unsigned allowed = g->deliver & ask->provider_mask;
    char have[64];
    if (ask->has_delivery && (unsigned)ask->delivery < DELIVER__COUNT &&
        allowed & 1u << ask->delivery) {
        out->delivery = ask->delivery;
        return ERR_OK;
    }
    if (allowed == 0)
        return fail(why, ERR_DENIED,
                    "the grant for \"%.64s\" allows %s, and this credential serves none of them",
                    g->credential, delivery_list(g->deliver, have));
    if (ask->has_delivery)
        return fail(why, ERR_DENIED, "that delivery of \"%.64s\" is not granted: ask for %s",
                    g->credential, delivery_list(allowed, have));
    out->delivery =
        (enum delivery)__builtin_ctz(allowed); /* the order of the bits is the order of exposure */
    return ERR_OK;
}

static err_t choose_ttl(const struct config_grant *g, const struct policy_ask *ask,
                        struct policy_limits *out, struct why *why)
{
    char asked[24], most[24];
    int64_t ttl = ask->ttl_ms == 0 ? g->ttl_ms : ask->ttl_ms;
    if (ttl < TTL_MIN_MS)
        return fail(why, ERR_INVALID, "a ttl is at least 1s: ask for more");
    if (ttl > g->ttl_ms) {
        clock_format_duration(ttl, asked);
        clock_format_duration(g->ttl_ms, most);
        return fail(
            why, ERR_DENIED,
            "a ttl of %s is over the grant's %s: ask for less and renew, or raise the grant's ttl",
            asked, most);
    }
    out->max_ttl_ms = g->max_ttl_ms;
    out->ttl_ms = ttl < g->max_ttl_ms ? ttl : g->max_ttl_ms;
    return ERR_OK;
}

static err_t choose_uses(const struct config_grant *g, const struct policy_ask *ask,
                         struct policy_limits *out, struct why *why)
{
    if (g->uses != 0 && ask->uses > g->uses)
        return fail(why, ERR_DENIED,
                    "%" PRIu64 " uses are over the grant's %" PRIu64
                    ": ask for fewer, or raise the grant's uses",
                    ask->uses, g->uses);
    out->uses = ask->uses != 0 ? ask->uses : g->uses;
    return ERR_OK;
}

static err_t choose_owner(const struct config_grant *g, const struct policy_ask *ask,
                          const struct peer *peer, struct policy_limits *out, struct why *why)
{
    out->owner_process = g->owner_process || ask->owner_process;
    if (out->owner_process && peer->pidfd < 0)
        return fail(why, ERR_DENIED,
                    "this kernel cannot tell when a process ends, so no lease can be owned by one: "
                    "Linux 6.5, or owner: none");
    return ERR_OK;
}

err_t policy_decide(const struct config_consumer *consumer, const struct peer *peer,
                    const struct policy_ask *ask, struct policy_limits *out, struct why *why)
{
    struct policy_limits limits = {0};
    TRY(peer_matches(peer, &consumer->peer, why));
    const struct config_grant *g = find_grant(consumer, ask->credential);
    if (!g || ask->provider_mask == 0)
        return not_granted(consumer, ask->credential, why);
    TRY(peer_matches(peer, &g->peer, why));
    TRY(choose_delivery(g, ask, &limits, why));
    TRY(choose_ttl(g, ask, &limits, why));
    TRY(choose_uses(g, ask, &limits, why));
    TRY(choose_owner(g, ask, peer, &limits, why));
    *out = limits;
    return ERR_OK;
}

err_t policy_admin(const struct config *c, const struct peer *peer, struct why *why)
{
    bool allowed = peer->uid == 0 || peer->uid == (uint32_t)geteuid();
    for (unsigned i = 0; i < c->admin_uid.n && !allowed; i++)
        allowed = c->admin_uid.id[i] == peer->uid;
    if (!allowed)
        return fail(why, ERR_DENIED,
                    "uid %u is no administrator: add it to admin: { uid: [..] } in the "
                    "configuration, or run as root",
                    peer->uid);
    return ERR_OK;
}
