/*
 * A client renews at the broker what it believes to be its provider's token (provider/phantom.h). Its refresh token is the token of a lease,
 * and what it is given is the same token with an end: a renewal can narrow, never widen. The order: token and lease, grant and peer; the
 * lease is renewed and that recorded; only then is the new token made. Tokens given earlier stay good to their own end.
 * Policy decides about each renewal as about a first lease, so max_ttl counts from the newest one: a client lives as long as its grant, and
 * max_ttl is how long it may be silent. Revoked is revoked: the lease is gone, and with it all its tokens.
 */
#include "vault/ops.h"

#include "base/auto.h"
#include "base/clock.h"
#include "provider/phantom.h"
#include "vault/deliver.h"

#include <string.h>

struct ask {
    struct lease *l;
    const struct credential *c;
    const struct config_grant *g;
};

static err_t find(struct request *rq, struct ask *a)
{
    uint8_t id[TOKEN_LEASE_ID];
    struct token_caveats caveats = {0};
    bool is_token = token_peek(msg_view(rq->msg, F_TOKEN), id) == ERR_OK;
    a->l = is_token ? lease_by_id(rq->v->leases, id) : NULL;
    if (is_token && !a->l)
        return fail(rq->why, ERR_EXPIRED, "the lease has ended: start the program anew");
    TRY(op_prove_token(rq, a->l, &caveats));
    if (!a->l || a->l->delivery != DELIVER_PROXY)
        return fail(rq->why, ERR_DENIED, "this lease is not for the proxy: nothing renews it here");
    if (caveats.expires_ms)
        return fail(rq->why, ERR_DENIED,
                    "a token with an expiry of its own cannot renew its lease");
    return ERR_OK;
}

static err_t judge(struct request *rq, struct ask *a)
{
    TRY(find(rq, a));
    a->g = config_grant_of(rq->conn->consumer, a->l->credential);
    a->c = credential_find(rq->v->credentials, view_str(a->l->credential));
    if (!a->g || !(a->g->deliver & 1u << DELIVER_PROXY))
        return fail(rq->why, ERR_DENIED, "the grant of this lease was taken back");
    TRY(peer_matches(&rq->conn->peer, &a->g->peer, rq->why));
    if (!a->c)
        return fail(rq->why, ERR_DENIED, "the credential was removed");
    return ERR_OK; /* whether its login works now is for the requests: a lease can wait for a renewal of it */
}

/* Would it be issued today? Then max_ttl counts from now. */
static err_t extend(struct request *rq, const struct ask *a)
{
    struct policy_ask ask = {.credential = view_str(a->l->credential),
                             .has_delivery = true,
                             .delivery = a->l->delivery,
                             .owner_process = a->l->owner_process,
                             .provider_mask = deliver_possible(a->c)};
    struct policy_limits limits;
    TRY(policy_decide(rq->conn->consumer, &rq->conn->peer, &ask, &limits, rq->why));
    return lease_extend(rq->v->leases, a->l, limits.max_ttl_ms, rq->why);
}

static err_t record(struct request *rq, struct pending *p, const struct ask *a)
{
    struct audit_record r = {.event = AUDIT_LEASE_RENEW,
                             .outcome = ERR_OK,
                             .consumer = a->l->consumer,
                             .credential = a->l->credential,
                             .lease = a->l->id_hex,
                             .delivery = delivery_name(a->l->delivery),
                             .source = p->name,
                             .ttl_ms = a->l->expires_wall_ms - clock_wall_ms(),
                             .peer = &rq->conn->peer};
    return server_record(rq->v, &r, p, rq->why);
}

static err_t keep_token(struct request *rq, struct pending *p)
{
    struct view token = msg_view(rq->msg, F_TOKEN);
    p->payload = secret_from(token.p, token.n);
    return p->payload ? ERR_OK : fail(rq->why, ERR_UNAVAILABLE, "out of memory for secrets");
}

err_t op_proxy_token(struct request *rq, struct pending *p, struct jsonw *w)
{
    struct ask a = {0};
    (void)w;
    if (!phantom_knows(msg_view(rq->msg, F_OP)) ||
        !view_copy(msg_view(rq->msg, F_OP), p->name, sizeof(p->name)))
        return fail(rq->why, ERR_INVALID, "no client of that name renews here");
    TRY(judge(rq, &a));
    if (!a.l->limited_uses)
        TRY(extend(rq, &a));
    TRY(lease_renew(rq->v->leases, a.l, a.g->ttl_ms, rq->why));
    TRY(keep_token(rq, p));
    TRY(record(rq, p, &a));
    memcpy(p->lease, a.l->id, sizeof(p->lease));
    rq->v->count.renewed++;
    return ERR_OK;
}

err_t op_proxy_tokened(struct vault *v, struct pending *p, struct jsonw *w, struct why *why)
{
    AUTO(buf_free) struct buf token = {.max = TOKEN_MAX_TEXT}, end = {0};
    const struct lease *l = v->leases ? lease_by_id(v->leases, p->lease) : NULL;
    struct view whole = VIEW(secret_bytes(p->payload), secret_len(p->payload));
    if (!l)
        return fail(why, ERR_EXPIRED, "the lease ended before it was answered");
    buf_put_u64(&end, (uint64_t)l->expires_wall_ms);
    TRY(token_attenuate(whole, CAVEAT_EXPIRES, buf_view(&end), &token, why));
    struct phantom answer = {.access = buf_view(&token),
                             .renewal = whole,
                             .expires_ms = l->expires_wall_ms,
                             .now_ms = leases_wall_ms(v->leases)};
    return phantom_answer(view_str(p->name), &answer, w, why);
}
