/*
 * What a consumer may ask: its grants, leases, tokens. Every answer is about this consumer alone; a lease of another consumer and
 * one that never was look alike.
 */
#include "vault/ops.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/name.h"
#include "crypto/chain.h"
#include "vault/deliver.h"
#include "vault/refresh.h"

#include <string.h>

err_t op_whoami(struct request *rq, struct pending *p, struct jsonw *w)
{
    (void)p;
    jsonw_open(w, NULL, '{');
    jsonw_str(w, "consumer", rq->conn->consumer_name);
    jsonw_str(w, "version", BROKER_VERSION);
    jsonw_int(w, "time_ms", clock_wall_ms());
    jsonw_int(w, "uid", rq->conn->peer.uid);
    jsonw_int(w, "pid", rq->conn->peer.pid);
    jsonw_close(w, '}');
    return ERR_OK;
}

/* What the secret is for, so that git and docker can find the right one by host: not secret, but it lies in the sealed record. */
static void write_origin(struct jsonw *w, struct vault *v, const struct credential *c)
{
    static const struct cred none;
    const struct cred *cred = &none;
    struct why why = {0};
    if (c && strcmp(c->kind, "generic") == 0 &&
        credential_view(v->credentials, c, &cred, &why) != ERR_OK)
        cred = &none;
    deliver_field(w, cred, CF_ORIGIN, "origin");
    deliver_field(w, cred, CF_USERNAME, "username");
}

static void write_grant(struct jsonw *w, struct vault *v, const struct config_grant *g)
{
    struct why why = {0};
    const struct credential *c =
        v->credentials ? credential_find(v->credentials, view_str(g->credential)) : NULL;
    unsigned mask = g->deliver & (c ? deliver_possible(c) : ~0u);
    bool usable = c != NULL;
    jsonw_open(w, NULL, '{');
    jsonw_str(w, "credential", g->credential);
    jsonw_str(w, "provider", c ? c->provider->name : NULL);
    jsonw_str(w, "kind", c ? c->kind : NULL);
    write_origin(w, v, c);
    write_deliveries(w, "deliver", mask);
    jsonw_int(w, "ttl_ms", g->ttl_ms);
    jsonw_int(w, "max_ttl_ms", g->max_ttl_ms);
    jsonw_int(w, "uses", (int64_t)g->uses);
    jsonw_str(w, "owner", g->owner_process ? "process" : "none");
    struct refresh_view r = {0};
    err_t e = c ? refresh_usable(v, c, DELIVER_ACCESS_TOKEN, &why) : ERR_OK;
    if (e == ERR_UNAVAILABLE)
        refresh_look(v, c, &r);
    if (e != ERR_OK &&
        (e != ERR_UNAVAILABLE || r.failures > 0)) /* else who asks for it renews it */
        usable = false;
    jsonw_bool(w, "available", usable);
    jsonw_str(w, "reason", usable ? NULL : c ? why.text : "this credential is not enrolled");
    jsonw_close(w, '}');
}

err_t op_grants(struct request *rq, struct pending *p, struct jsonw *w)
{
    const struct config_consumer *c = rq->conn->consumer;
    (void)p;
    if (!c)
        return fail(rq->why, ERR_DENIED, "this consumer was removed");
    jsonw_open(w, NULL, '{');
    jsonw_open(w, "grants", '[');
    for (unsigned i = 0; i < c->n_grants; i++)
        if (peer_matches(&rq->conn->peer, &c->grants[i].peer, NULL) == ERR_OK)
            write_grant(w, rq->v, &c->grants[i]);
    jsonw_close(w, ']');
    jsonw_close(w, '}');
    return ERR_OK;
}

/* ---- issue */

static err_t read_ask(struct request *rq, struct policy_ask *ask)
{
    const struct msg *m = rq->msg;
    *ask =
        (struct policy_ask){.credential = msg_view(m, F_CREDENTIAL), .uses = msg_u64(m, F_USES, 0)};
    uint64_t ttl = msg_u64(m, F_TTL_MS, 0);
    TRY(name_check(ask->credential, "credential", rq->why));
    TRY(read_owner(m, &ask->owner_process, rq->why));
    if (ttl > INT64_MAX / 4)
        return fail(rq->why, ERR_INVALID, "that ttl is not a time");
    ask->ttl_ms = (int64_t)ttl;
    ask->has_delivery = m->has[F_DELIVER];
    if (ask->has_delivery && !delivery_from_name(msg_view(m, F_DELIVER), &ask->delivery))
        return fail(rq->why, ERR_INVALID,
                    "no such delivery; there are proxy, access_token, file, helper, secret");
    return ERR_OK;
}

static struct audit_record about(const struct request *rq, enum audit_event event,
                                 const struct lease *l)
{
    return (struct audit_record){.event = event,
                                 .outcome = ERR_OK,
                                 .consumer = l->consumer,
                                 .credential = l->credential,
                                 .lease = l->id_hex,
                                 .delivery = delivery_name(l->delivery),
                                 .uses = l->limited_uses ? l->uses_left : 0,
                                 .ttl_ms = l->expires_wall_ms - l->issued_wall_ms,
                                 .peer = &rq->conn->peer};
}

/* Its end is in memory at once; a journal that cannot be written now is without it in its next generation. */
static void drop_lease(struct vault *v, struct lease *l, enum lease_end how)
{
    struct why why = {0};
    if (lease_end(v->leases, l, how, &why) != ERR_OK)
        log_event(LOG_LVL_WARN, "lease.end", "why", why.text, NULL);
}

/* decide → (nothing of a secret is open) → lease → record. The order is the security argument. */
err_t op_lease_issue(struct request *rq, struct pending *p, struct jsonw *w)
{
    struct vault *v = rq->v;
    struct policy_ask ask;
    struct policy_limits limits;
    struct lease *l = NULL;
    (void)w;
    if (!rq->conn->consumer)
        return fail(rq->why, ERR_DENIED, "this consumer was removed");
    TRY(read_ask(rq, &ask));
    const struct credential *c = credential_find(v->credentials, ask.credential);
    ask.provider_mask = c ? deliver_possible(c) : 0;
    TRY(policy_decide(rq->conn->consumer, &rq->conn->peer, &ask, &limits, rq->why));
    if (!c)
        return fail(rq->why, ERR_DENIED, "no grant for this credential");
    TRY(refresh_for_use(rq, p, c, limits.delivery));
    if (rq->deferred)
        return ERR_OK;
    TRY(refresh_usable(v, c, limits.delivery, rq->why));
    struct lease_ask what = {.consumer = rq->conn->consumer,
                             .peer = &rq->conn->peer,
                             .credential = c->name,
                             .token_prefix = c->prefix,
                             .limits = &limits};
    TRY(lease_issue(v->leases, &what, &l, rq->why));
    struct audit_record r = about(rq, AUDIT_LEASE_ISSUE, l);
    r.provider = c->provider->name;
    r.account = c->account[0] ? c->account : NULL;
    r.version = c->version;
    /* the answer is the first use: of at least one, so the lease stays; through the proxy each request is one */
    err_t e = limits.delivery == DELIVER_PROXY ? ERR_OK : lease_use(v->leases, l, rq->why);
    r.uses = l->limited_uses ? l->uses_left : 0;
    if (e == ERR_OK)
        e = server_record(v, &r, p, rq->why);
    if (e != ERR_OK) {
        drop_lease(v, l, LEASE_END_UNDO);
        return e;
    }
    memcpy(p->lease, l->id, sizeof(p->lease));
    v->count.issued++;
    return ERR_OK;
}

static void undo_lease(struct vault *v, const uint8_t id[TOKEN_LEASE_ID], err_t why_code)
{
    struct lease *l = lease_by_id(v->leases, id);
    if (!l)
        return;
    struct audit_record r = {.event = AUDIT_LEASE_UNDO,
                             .outcome = why_code,
                             .consumer = l->consumer,
                             .credential = l->credential,
                             .lease = l->id_hex};
    server_note(v, &r);
    deliver_end(v, l);
    drop_lease(v, l, LEASE_END_UNDO);
}

err_t op_lease_release(struct vault *v, struct pending *p, struct jsonw *w, struct why *why)
{
    struct lease *l = v->leases ? lease_by_id(v->leases, p->lease) : NULL;
    if (!l)
        return fail(why, ERR_EXPIRED, "the lease ended before it was answered");
    err_t e = deliver_lease(v, l, true, w, why);
    if (e != ERR_OK && p->op->type == MSG_LEASE_ISSUE)
        undo_lease(v, p->lease, e);
    return e;
}

void op_lease_undo(struct vault *v, struct pending *p)
{
    if (v->leases)
        undo_lease(v, p->lease, ERR_AUDIT);
}

/* ---- an existing lease */

/* The lease of this id if it is this consumer's. */
static err_t own_lease(struct request *rq, struct lease **out)
{
    struct lease *l = lease_by_hex(rq->v->leases, msg_view(rq->msg, F_LEASE));
    if (!l || strcmp(l->consumer, rq->conn->consumer_name) != 0)
        return fail(rq->why, ERR_NOT_FOUND, "no live lease of that id");
    *out = l;
    return ERR_OK;
}

static err_t refuse_token(struct request *rq)
{
    char id[REDACT_LEN + 1];
    struct view text = msg_view(rq->msg, F_TOKEN);
    redact_id(rq->v->keys.redact, text, id);
    struct audit_record r = {.event = AUDIT_TOKEN_REFUSED,
                             .outcome = ERR_AUTH,
                             .token = id,
                             .consumer = rq->conn->consumer_name,
                             .peer = &rq->conn->peer};
    rq->v->count.refused_tokens++;
    server_note(rq->v, &r);
    return fail(rq->why, ERR_AUTH, "the token is not valid here");
}

err_t op_prove_token(struct request *rq, struct lease *l, struct token_caveats *caveats)
{
    struct vault *v = rq->v;
    struct token_bind bind;
    if (!l || strcmp(l->consumer, rq->conn->consumer_name) != 0)
        return refuse_token(rq);
    lease_bind(l, &bind);
    if (token_verify(v->keys.token, msg_view(rq->msg, F_TOKEN), &bind, &v->scratch, caveats) !=
        ERR_OK)
        return refuse_token(rq);
    if (caveats->never || (caveats->has_uid && caveats->uid != rq->conn->peer.uid) ||
        (caveats->has_deliver && !(caveats->deliver & 1u << l->delivery)) ||
        (caveats->expires_ms && caveats->expires_ms <= leases_wall_ms(v->leases)))
        return refuse_token(rq);
    return ERR_OK;
}

/* Does the presented token prove a live lease of this consumer, and do its caveats hold for this peer? */
static err_t check_token(struct request *rq, struct lease **out, struct token_caveats *caveats)
{
    uint8_t id[TOKEN_LEASE_ID];
    struct view text = msg_view(rq->msg, F_TOKEN);
    struct lease *l = token_peek(text, id) == ERR_OK ? lease_by_id(rq->v->leases, id) : NULL;
    TRY(op_prove_token(rq, l, caveats));
    *out = l;
    return ERR_OK;
}

/* How long a renewal lasts: as asked, at most what the grant says today; without asking, exactly that. */
static err_t renewal_ttl(struct request *rq, const struct lease *l, int64_t *ttl)
{
    const struct config_grant *g = config_grant_of(rq->conn->consumer, l->credential);
    uint64_t asked = msg_u64(rq->msg, F_TTL_MS, 0);
    if (!g)
        return fail(rq->why, ERR_DENIED, "the grant of this lease was taken back");
    TRY(peer_matches(&rq->conn->peer, &g->peer,
                     rq->why)); /* a renewal releases again: to whom the grant is for */
    if (asked > (uint64_t)g->ttl_ms)
        return fail(rq->why, ERR_DENIED, "a ttl of %llu s is over the grant's %lld s",
                    (unsigned long long)(asked / 1000), (long long)(g->ttl_ms / 1000));
    *ttl = asked ? (int64_t)asked : g->ttl_ms;
    return ERR_OK;
}

err_t op_lease_renew(struct request *rq, struct pending *p, struct jsonw *w)
{
    struct vault *v = rq->v;
    struct token_caveats caveats = {0};
    struct lease *l = NULL, *named = NULL;
    int64_t ttl = 0;
    (void)w;
    TRY(check_token(rq, &l, &caveats));
    TRY(own_lease(rq, &named));
    if (named != l)
        return refuse_token(rq);
    /* a narrowed token shows the lease to others for a while; only the whole token lengthens it */
    if (caveats.expires_ms)
        return fail(rq->why, ERR_DENIED,
                    "a token with an expiry of its own cannot renew its lease");
    const struct credential *c = credential_find(v->credentials, view_str(l->credential));
    if (!c)
        return fail(rq->why, ERR_NOT_FOUND, "the credential was removed");
    TRY(refresh_for_use(rq, p, c, l->delivery));
    if (rq->deferred)
        return ERR_OK;
    TRY(refresh_usable(v, c, l->delivery, rq->why));
    struct audit_record r = about(rq, AUDIT_LEASE_RENEW, l);
    TRY(renewal_ttl(rq, l, &ttl));
    TRY(lease_renew(v->leases, l, ttl, rq->why));
    if (l->delivery != DELIVER_PROXY)
        TRY(lease_use(v->leases, l, rq->why));
    r.ttl_ms = l->expires_wall_ms - clock_wall_ms();
    TRY(server_record(v, &r, p, rq->why));
    memcpy(p->lease, l->id, sizeof(p->lease));
    v->count.renewed++;
    return ERR_OK;
}

/* A program that was started with a lease (broker-exec has become it) cannot renew: while its process lives and its grant stands, the vault
 * does, up to the grant's max_ttl. The projected file is written anew with it. */
bool op_lease_keep(void *ctx, struct lease *l)
{
    struct vault *v = ctx;
    struct why why = {0};
    const struct config_grant *g =
        config_grant_of(config_consumer(v->config, view_str(l->consumer)), l->credential);
    const struct credential *c = credential_find(v->credentials, view_str(l->credential));
    struct audit_record r = {.event = AUDIT_LEASE_RENEW,
                             .outcome = ERR_OK,
                             .consumer = l->consumer,
                             .lease = l->id_hex,
                             .credential = l->credential,
                             .delivery = delivery_name(l->delivery)};
    /* a login that is only being renewed ends no program's lease */
    err_t usable = c ? refresh_usable(v, c, l->delivery, &why) : ERR_NOT_FOUND;
    if (!g || !c || (usable != ERR_OK && usable != ERR_UNAVAILABLE))
        return false;
    r.ttl_ms = g->ttl_ms;
    if (server_record(v, &r, NULL, &why) != ERR_OK ||
        lease_renew(v->leases, l, g->ttl_ms, &why) != ERR_OK)
        return false;
    v->count.renewed++;
    if (l->delivery == DELIVER_FILE)
        deliver_refresh(v, l->credential);
    return true;
}

err_t op_lease_end(struct request *rq, struct pending *p, struct jsonw *w)
{
    struct vault *v = rq->v;
    struct lease *l = NULL;
    (void)w;
    TRY(own_lease(rq, &l));
    struct audit_record r = about(rq, AUDIT_LEASE_END, l);
    TRY(server_record(v, &r, p, rq->why));
    deliver_end(v, l);
    v->count.ended++;
    p->number = 1;
    drop_lease(v, l, LEASE_END_REVOKED);
    return ERR_OK;
}

err_t op_ended(struct vault *v, struct pending *p, struct jsonw *w, struct why *why)
{
    (void)v;
    (void)why;
    jsonw_open(w, NULL, '{');
    jsonw_int(w, "ended", p->number);
    jsonw_close(w, '}');
    return ERR_OK;
}

err_t op_lease_show(struct request *rq, struct pending *p, struct jsonw *w)
{
    struct lease *l = NULL;
    (void)p;
    TRY(own_lease(rq, &l));
    return deliver_lease(rq->v, l, false, w, rq->why);
}

enum { LEASES_PER_PAGE = 100 };

/* One page of live leases that match; consumer or credential empty: any. */
err_t op_write_leases(struct vault *v, const struct op_lease_filter *f, struct jsonw *w,
                      struct why *why)
{
    uint64_t cursor = f->cursor;
    unsigned n = 0;
    bool more = false;
    jsonw_open(w, NULL, '{');
    jsonw_open(w, "leases", '[');
    for (struct lease *l; !more && (l = lease_next(v->leases, &cursor)) != NULL;) {
        if ((f->consumer.n && !view_is(f->consumer, l->consumer)) ||
            (f->credential.n && !view_is(f->credential, l->credential)))
            continue;
        TRY(f->admin ? deliver_lease_admin(v, l, w, why) : deliver_lease(v, l, false, w, why));
        more = ++n == LEASES_PER_PAGE;
    }
    jsonw_close(w, ']');
    if (more)
        jsonw_int(w, "cursor", (int64_t)cursor);
    else
        jsonw_null(w, "cursor");
    jsonw_close(w, '}');
    return ERR_OK;
}

err_t op_leases(struct request *rq, struct pending *p, struct jsonw *w)
{
    (void)p;
    struct op_lease_filter f = {.consumer = view_str(rq->conn->consumer_name),
                                .cursor = msg_u64(rq->msg, F_CURSOR, 0)};
    return op_write_leases(rq->v, &f, w, rq->why);
}

/* RFC 7662: an invalid token is an answer, not an error. */
err_t op_introspect(struct request *rq, struct pending *p, struct jsonw *w)
{
    struct token_caveats c = {0};
    struct lease *l = NULL;
    (void)p;
    bool active = check_token(rq, &l, &c) == ERR_OK;
    jsonw_open(w, NULL, '{');
    jsonw_bool(w, "active", active);
    if (active) {
        int64_t end =
            c.expires_ms && c.expires_ms < l->expires_wall_ms ? c.expires_ms : l->expires_wall_ms;
        jsonw_str(w, "lease", l->id_hex);
        jsonw_str(w, "consumer", l->consumer);
        jsonw_str(w, "credential", l->credential);
        jsonw_str(w, "deliver", delivery_name(l->delivery));
        jsonw_int(w, "expires_at_ms", end);
        jsonw_int(w, "caveats",
                  c.n_paths + c.n_models + c.has_deliver + c.has_uid + (c.expires_ms != 0));
    }
    jsonw_close(w, '}');
    return ERR_OK;
}
