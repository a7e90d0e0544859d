/*
 * What a proxy worker asks: may this request begin, may it be tried again. The order in which a beginning is judged is the security
 * argument: token and lease, grant and peer, path, model, credential, budgets; then it is recorded; and only then may the worker have the
 * route, which is the first to open a secret.
 */
#include "vault/ops.h"

#include "base/auto.h"
#include "base/clock.h"
#include "vault/deliver.h"
#include "vault/refresh.h"
#include "vault/renew.h"
#include "vault/request_end.h"
#include "vault/request_policy.h"
#include "vault/worker.h"

#include <string.h>

enum { REQUEST_ALLOWANCE_MAX = 32, REQUEST_ALLOWANCE_MS = 400, REQUEST_BURST_MS = 500 };

struct ask { /* what is found out on the way */
    struct request_ask rq;
    struct lease *l;
    const struct config_grant *g;
    const struct credential *c;
    const struct provider_upstream *up;
    struct token_caveats caveats;
    const char *rule; /* NULL: everything is allowed */
    const struct config_price *price;
    struct account *account;
    int64_t now_ms;
};

/* ---- the steps of a beginning */

static err_t find_lease(struct request *rq, struct ask *a)
{
    uint8_t id[TOKEN_LEASE_ID];
    bool is_token = token_peek(msg_view(rq->msg, F_TOKEN), id) == ERR_OK;
    struct lease *l = is_token ? lease_by_id(rq->v->leases, id) : NULL;
    if (is_token && !l)
        return fail(rq->why, ERR_EXPIRED, "the lease has ended: lease again");
    TRY(op_prove_token(rq, l, &a->caveats));
    if (!l || l->delivery != DELIVER_PROXY)
        return fail(rq->why, ERR_DENIED, "this lease is not for the proxy: ask for that delivery");
    a->l = l;
    return ERR_OK;
}

static err_t find_grant(struct request *rq, struct pending *p, struct ask *a)
{
    struct vault *v = rq->v;
    a->g = config_grant_of(rq->conn->consumer, a->l->credential);
    a->c = credential_find(v->credentials, view_str(a->l->credential));
    if (a->c)
        p->provider = a->c->provider->name;
    if (!a->g || !(a->g->deliver & 1u << DELIVER_PROXY))
        return fail(rq->why, ERR_DENIED, "the grant of this lease was taken back");
    TRY(peer_matches(&rq->conn->peer, &a->g->peer, rq->why));
    if (!a->c)
        return fail(rq->why, ERR_DENIED, "the credential was removed");
    a->up = provider_upstream(a->c->provider, view_str(a->c->kind));
    if (!a->up || !(deliver_possible(a->c) & 1u << DELIVER_PROXY))
        return fail(rq->why, ERR_DENIED, "this credential is not used through the proxy");
    return ERR_OK;
}

static err_t check_spending(struct request *rq, struct pending *p, struct ask *a)
{
    struct vault *v = rq->v;
    a->now_ms = leases_wall_ms(v->leases);
    a->account = account_of(&v->accounts, a->l->consumer, a->l->credential);
    if (!a->account)
        return fail(rq->why, ERR_UNAVAILABLE, "out of memory");
    TRY(account_check(&v->accounts, a->account, &a->g->limits, a->now_ms, &p->retry_ms, rq->why));
    if (a->l->limited_uses && a->l->uses_left == 0)
        return fail(rq->why, ERR_LIMIT, "the lease has no use left: lease again");
    return ERR_OK;
}

static err_t judge(struct request *rq, struct pending *p, struct ask *a)
{
    TRY(find_lease(rq, a));
    TRY(find_grant(rq, p, a));
    TRY(request_check_path(a->g, a->up, &a->caveats, &a->rq, &a->rule, rq->why));
    if (request_needs_model(a->g, &a->caveats, &a->rq)) {
        p->flags = PROXY_NEEDS_MODEL;
        return ERR_OK;
    }
    TRY(request_check_model(rq->v->config, a->g, &a->caveats, &a->rq, &a->price, rq->why));
    TRY(refresh_for_use(rq, p, a->c, DELIVER_PROXY));
    if (rq->deferred)
        return ERR_OK;
    TRY(refresh_usable(rq->v, a->c, DELIVER_PROXY, rq->why));
    return check_spending(rq, p, a);
}

/* ---- records */

static void describe(const struct request_ask *ask, const char *rule, struct proxied *q)
{
    const char *path = rule ? strchr(rule, ' ') : NULL;
    bool word = ask->method.n <= PROXIED_METHOD;
    for (size_t i = 0; word && i < ask->method.n; i++)
        word = ask->method.p[i] >= 'A' && ask->method.p[i] <= 'Z';
    proxied_text(word ? ask->method : VIEW(NULL, 0), true, q->method, sizeof(q->method));
    proxied_text(path ? view_str(path + 1) : ask->path, false, q->path, sizeof(q->path));
    proxied_text(ask->model, true, q->model, sizeof(q->model));
}

static void note_denied(struct request *rq, const struct ask *a, err_t e)
{
    struct proxied q = {0};
    describe(&a->rq, a->rule, &q);
    struct audit_record r = request_record(&q, AUDIT_REQUEST_DENIED, e);
    rq->recorded = true;
    rq->v->count.denied++;
    rq->v->proxied.count.denied++;
    r.consumer = rq->conn->consumer_name;
    r.peer = &rq->conn->peer;
    r.credential = a->l ? a->l->credential : NULL;
    r.lease = a->l ? a->l->id_hex : NULL;
    r.provider = a->c ? a->c->provider->name : NULL;
    if (e != ERR_AUDIT) /* the little room of a sick log is for what happened */
        server_note(rq->v, &r);
}

/* ---- begin */

static void fill(struct proxied *q, const struct ask *a)
{
    describe(&a->rq, a->rule, q);
    memcpy(q->lease_hex, a->l->id_hex, sizeof(q->lease_hex));
    q->account = a->account;
    q->provider = a->c->provider->name;
    q->version = a->c->version;
    q->priced = a->price != NULL;
    if (a->price)
        q->price = *a->price;
}

static err_t record_begin(struct request *rq, struct pending *p, const struct proxied *q)
{
    struct audit_record r = request_record(q, AUDIT_REQUEST_BEGIN, ERR_OK);
    r.peer = &rq->conn->peer;
    r.count = q->left ? q->left + 1 : 0;
    return server_record(rq->v, &r, p, rq->why);
}

/* In a burst on one connection: how many more like this one may follow without being asked about? None where each must be looked at, because
 * uses are counted, or a model is read. */
static unsigned allow_more(struct request *rq, const struct ask *a, int64_t *ms)
{
    int64_t now = clock_boot_ms(), before = rq->conn->begun_ms;
    rq->conn->begun_ms = now;
    *ms = REQUEST_ALLOWANCE_MS;
    if (before == 0 || now - before > REQUEST_BURST_MS || a->rq.has_model || a->l->limited_uses)
        return 0;
    if (a->caveats.expires_ms) {
        int64_t left = a->caveats.expires_ms - a->now_ms;
        *ms = left < *ms ? left : *ms;
    }
    return *ms <= 0 ? 0
                    : account_headroom(a->account, &a->g->limits, a->now_ms, REQUEST_ALLOWANCE_MAX);
}

static err_t begin(struct request *rq, struct pending *p, const struct ask *a)
{
    struct vault *v = rq->v;
    struct proxied *q = proxied_new(&v->proxied, request_worker(rq->worker->kind));
    if (!q)
        return fail(rq->why, ERR_LIMIT, "%d requests are running, the proxy's maximum",
                    PROXIED_PER_WORKER);
    fill(q, a);
    q->left = allow_more(rq, a, &p->allowed_ms);
    err_t e = lease_use(v->leases, a->l, rq->why);
    if (e == ERR_OK)
        e = record_begin(rq, p, q);
    if (e != ERR_OK) {
        proxied_free(&v->proxied, q);
        return e;
    }
    proxied_link(q, a->l);
    account_begin(&v->accounts, a->account, &a->g->limits, a->now_ms);
    q->reserved = account_reserve(&v->accounts, a->account, &a->g->limits, q->left, a->now_ms);
    p->allowed = q->left;
    v->proxied.count.begun++;
    memcpy(p->lease, a->l->id, sizeof(p->lease));
    p->serial = q->serial;
    return ERR_OK;
}

err_t op_proxy_begin(struct request *rq, struct pending *p, struct jsonw *w)
{
    const struct msg *m = rq->msg;
    struct ask a = {.rq = {.method = msg_view(m, F_OP),
                           .path = msg_view(m, F_URI_PATH),
                           .has_model = m->has[F_MODEL],
                           .model = msg_view(m, F_MODEL)}};
    (void)w;
    err_t e = judge(rq, p, &a);
    if (rq->deferred)
        return e;
    if (e == ERR_OK && !p->flags)
        e = begin(rq, p, &a);
    if (e != ERR_OK)
        note_denied(rq, &a, e);
    return e;
}

err_t op_proxy_begun(struct vault *v, struct pending *p, struct jsonw *w, struct why *why)
{
    (void)w;
    if (p->flags)
        return ERR_OK;
    struct proxied *q = proxied_find(&v->proxied, request_worker(p->worker), p->serial);
    const struct credential *c =
        q && q->lease ? credential_find(v->credentials, view_str(q->lease->credential)) : NULL;
    err_t e = c ? route_take(&v->workers[p->worker], q->lease, c, &p->route, why)
                : fail(why, ERR_EXPIRED, "the lease ended before the request began");
    if (e == ERR_OK) {
        q->version = c->version;
        return ERR_OK;
    }
    if (q)
        request_end(v, q, &(struct request_ending){.outcome = e});
    p->serial = 0;
    return e;
}

void op_proxy_undo(struct vault *v, struct pending *p)
{
    struct proxied *q =
        p->serial ? proxied_find(&v->proxied, request_worker(p->worker), p->serial) : NULL;
    if (q)
        request_end(v, q, &(struct request_ending){.outcome = ERR_AUDIT});
    p->serial = 0;
}

/* ---- once more */

static err_t find_running(struct request *rq, struct proxied **out)
{
    struct proxied *q = proxied_find(&rq->v->proxied, request_worker(rq->worker->kind),
                                     msg_u64(rq->msg, F_SERIAL, 0));
    if (!q || strcmp(q->account->consumer, rq->conn->consumer_name) != 0)
        return fail(rq->why, ERR_NOT_FOUND, "no such request is running");
    if (!q->lease || q->cut)
        return fail(rq->why, ERR_EXPIRED, "the lease has ended: lease again");
    if (q->asked_again && !rq->again)
        return fail(rq->why, ERR_NEEDS_LOGIN, "the request was tried again already");
    *out = q;
    return ERR_OK;
}

err_t op_proxy_again(struct request *rq, struct pending *p, struct jsonw *w)
{
    struct vault *v = rq->v;
    struct proxied *q = NULL;
    (void)w;
    TRY(find_running(rq, &q));
    q->asked_again = true;
    const struct credential *c = credential_find(v->credentials, view_str(q->account->credential));
    err_t e = c ? renew_after_401(rq, p, q, c)
                : fail(rq->why, ERR_NEEDS_LOGIN, "the credential was removed");
    if (rq->deferred)
        return e;
    struct audit_record r = request_record(q, AUDIT_REQUEST_AGAIN, e);
    r.version = c ? c->version : 0;
    rq->recorded = e != ERR_OK;
    if (e != ERR_OK) {
        server_note(v, &r);
        return e;
    }
    TRY(server_record(v, &r, p, rq->why));
    memcpy(p->lease, q->lease->id, sizeof(p->lease));
    p->serial = q->serial;
    return ERR_OK;
}

err_t op_proxy_renewed(struct vault *v, struct pending *p, struct jsonw *w, struct why *why)
{
    struct proxied *q = proxied_find(&v->proxied, request_worker(p->worker), p->serial);
    const struct credential *c =
        q && q->lease ? credential_find(v->credentials, view_str(q->lease->credential)) : NULL;
    (void)w;
    err_t e = c ? route_take(&v->workers[p->worker], q->lease, c, &p->route, why)
                : fail(why, ERR_EXPIRED, "the lease has ended: lease again");
    if (e == ERR_OK)
        q->version = c->version;
    else
        p->serial = 0;
    return e;
}
