/*
 * What a proxy worker asks and tells: a request begins, is tried again, uses, ends. The order in which a beginning is judged is the security
 * argument: token and lease, grant and peer, path, model, credential, budgets; then it is recorded; and only then may the worker have the
 * route, which is the first to open a secret.
 * Invariant: a request that began is in the table until its end is recorded, whoever brings it about: the worker's word, the worker's death,
 * or the store being locked.
 */
#include "vault/ops.h"

#include "base/auto.h"
#include "base/clock.h"
#include "vault/account_state.h"
#include "vault/deliver.h"
#include "vault/renew.h"
#include "vault/request_policy.h"
#include "vault/worker.h"

#include <string.h>

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

static unsigned index_of(unsigned kind)
{
    return kind - WORKER_PROXY;
}

/* ---- the steps of a beginning */

static err_t find_lease(struct request *rq, struct ask *a)
{
    uint8_t id[TOKEN_LEASE_ID];
    if (token_peek(msg_view(rq->msg, F_TOKEN), id) == ERR_OK && !lease_by_id(rq->v->leases, id))
        return fail(rq->why, ERR_EXPIRED, "the lease has ended: lease again");
    TRY(op_check_token(rq, &a->l, &a->caveats));
    if (a->l->delivery != DELIVER_PROXY)
        return fail(rq->why, ERR_DENIED, "this lease is not for the proxy: ask for that delivery");
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
    TRY(deliver_usable(a->c, DELIVER_PROXY, clock_wall_ms(), rq->why));
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

static struct audit_record about(const struct proxied *q, enum audit_event event, err_t outcome)
{
    return (struct audit_record){.event = event,
                                 .outcome = outcome,
                                 .consumer = q->account ? q->account->consumer : NULL,
                                 .credential = q->account ? q->account->credential : NULL,
                                 .provider = q->provider,
                                 .lease = q->lease_hex,
                                 .serial = q->serial,
                                 .method = q->method,
                                 .path = q->path,
                                 .model = q->model};
}

static void note_denied(struct request *rq, const struct ask *a, err_t e)
{
    struct proxied q = {0};
    describe(&a->rq, a->rule, &q);
    struct audit_record r = about(&q, AUDIT_REQUEST_DENIED, e);
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
    struct audit_record r = about(q, AUDIT_REQUEST_BEGIN, ERR_OK);
    r.peer = &rq->conn->peer;
    return server_record(rq->v, &r, p, rq->why);
}

static err_t begin(struct request *rq, struct pending *p, const struct ask *a)
{
    struct vault *v = rq->v;
    struct proxied *q = proxied_new(&v->proxied, index_of(rq->worker->kind));
    if (!q)
        return fail(rq->why, ERR_LIMIT, "%d requests are running, the proxy's maximum",
                    PROXIED_PER_WORKER);
    fill(q, a);
    err_t e = lease_use(v->leases, a->l, rq->why);
    if (e == ERR_OK)
        e = record_begin(rq, p, q);
    if (e != ERR_OK) {
        proxied_free(&v->proxied, q);
        return e;
    }
    proxied_link(q, a->l);
    account_begin(&v->accounts, a->account, &a->g->limits, a->now_ms);
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
    if (e == ERR_OK && !p->flags)
        e = begin(rq, p, &a);
    if (e != ERR_OK)
        note_denied(rq, &a, e);
    return e;
}

/* ---- ends */

struct ending {
    err_t outcome;
    uint64_t http_status;
    int64_t duration_ms, first_ms;
};

static void end_request(struct vault *v, struct proxied *q, const struct ending *end)
{
    struct audit_record r = about(q, AUDIT_REQUEST_END, end->outcome);
    r.http_status = end->http_status;
    r.duration_ms = end->duration_ms ? end->duration_ms : clock_boot_ms() - q->began_boot_ms;
    r.first_ms = end->first_ms;
    r.in_bytes = q->usage.in_bytes;
    r.out_bytes = q->usage.out_bytes;
    r.input = q->usage.input;
    r.output = q->usage.output;
    r.cache_read = q->usage.cache_read;
    r.cache_write = q->usage.cache_write;
    r.cost = q->cost;
    server_note(v, &r);
    v->proxied.count.ok += end->outcome == ERR_OK;
    v->proxied.count.failed += end->outcome != ERR_OK;
    account_end(q->account);
    proxied_free(&v->proxied, q);
}

err_t op_proxy_begun(struct vault *v, struct pending *p, struct jsonw *w, struct why *why)
{
    (void)w;
    if (p->flags)
        return ERR_OK;
    struct proxied *q = proxied_find(&v->proxied, index_of(p->worker), p->serial);
    const struct credential *c =
        q && q->lease ? credential_find(v->credentials, view_str(q->lease->credential)) : NULL;
    err_t e = c ? route_take(&v->workers[p->worker], q->lease, c, &p->route, why)
                : fail(why, ERR_EXPIRED, "the lease ended before the request began");
    if (e == ERR_OK) {
        q->version = c->version;
        return ERR_OK;
    }
    if (q)
        end_request(v, q, &(struct ending){.outcome = e});
    p->serial = 0;
    return e;
}

void op_proxy_undo(struct vault *v, struct pending *p)
{
    struct proxied *q =
        p->serial ? proxied_find(&v->proxied, index_of(p->worker), p->serial) : NULL;
    if (q)
        end_request(v, q, &(struct ending){.outcome = ERR_AUDIT});
    p->serial = 0;
}

/* ---- cutting what runs */

static void send_cut(struct vault_worker *wk, err_t status, const char *reason, const char *lease,
                     uint64_t serial)
{
    AUTO(buf_free) struct buf b = {.max = 512};
    msg_begin(&b, MSG_CUT, 0, 0);
    msg_put_u64(&b, F_STATUS, (uint64_t)status);
    msg_put_str(&b, F_REASON, reason);
    msg_put_str(&b, F_LEASE, lease);
    if (serial)
        msg_put_u64(&b, F_SERIAL, serial);
    worker_send(wk, &b, -1);
}

/* The whole grant has spent what it may: whatever runs on it stops. */
static void cut_account(struct vault *v, const struct account *a, const char *reason)
{
    for (unsigned i = 0; i < CONFIG_MAX_PROXIES; i++) {
        uint32_t at = 0;
        for (struct proxied *q; (q = proxied_next(&v->proxied, i, &at)) != NULL;) {
            if (q->account != a || q->cut)
                continue;
            q->cut = true;
            v->proxied.count.cut++;
            send_cut(&v->workers[WORKER_PROXY + i], ERR_LIMIT, reason, NULL, q->serial);
        }
    }
}

void op_proxy_lease_ended(void *ctx, struct lease *l, enum lease_end how)
{
    static const char *const reason[] = {"the lease has expired", "the lease was revoked",
                                         "the process that leased has ended",
                                         "the lease has no use left", "the lease was taken back"};
    struct vault *v = ctx;
    unsigned workers = 0;
    for (struct proxied *q; (q = l->running) != NULL;) {
        workers |= 1u << q->worker;
        q->cut = true;
        v->proxied.count.cut++;
        proxied_unlink(q);
    }
    for (unsigned i = 0; i < CONFIG_MAX_PROXIES; i++)
        if (workers & 1u << i)
            send_cut(&v->workers[WORKER_PROXY + i], ERR_EXPIRED, reason[how], l->id_hex, 0);
    route_drop_lease(v, l);
}

void op_proxy_worker_gone(struct vault_worker *wk)
{
    struct vault *v = wk->vault;
    uint32_t at = 0;
    for (struct proxied *q; (q = proxied_next(&v->proxied, index_of(wk->kind), &at)) != NULL;)
        end_request(v, q, &(struct ending){.outcome = ERR_UNAVAILABLE});
    route_forget_worker(v, wk->kind);
}

void op_proxy_close(struct vault *v, const char *why)
{
    for (unsigned i = 0; i < CONFIG_MAX_PROXIES; i++) {
        uint32_t at = 0;
        for (struct proxied *q; (q = proxied_next(&v->proxied, i, &at)) != NULL;) {
            send_cut(&v->workers[WORKER_PROXY + i], ERR_LOCKED, why, NULL, q->serial);
            end_request(v, q, &(struct ending){.outcome = ERR_LOCKED});
        }
    }
    route_table_close(v);
    proxied_clear(&v->proxied);
    if (v->sink && v->keys.budget)
        account_state_keep(&v->accounts, v->sink, v->keys.budget, true);
    accounts_clear(&v->accounts);
}

void op_proxy_tick(struct vault *v)
{
    if (v->sink && v->keys.budget)
        account_state_keep(&v->accounts, v->sink, v->keys.budget, false);
}

/* ---- usage and ends, as the worker tells them */

static void count_used(struct vault *v, const struct proxied_usage *before, const struct proxied *q,
                       const struct account_spent *more)
{
    v->proxied.count.in_bytes += q->usage.in_bytes - before->in_bytes;
    v->proxied.count.out_bytes += q->usage.out_bytes - before->out_bytes;
    v->proxied.count.input += more->input;
    v->proxied.count.output += more->output;
    v->proxied.count.cache_read += more->cache_read;
    v->proxied.count.cache_write += more->cache_write;
    v->proxied.count.cost += more->cost;
}

/* The reply's model, where the request named none. */
static void take_model(struct vault *v, struct proxied *q, struct view model)
{
    const struct config_price *price;
    if (model.n == 0)
        return;
    if (!q->model[0])
        proxied_text(model, true, q->model, sizeof(q->model));
    if (q->priced || (price = config_price_of(v->config, model)) == NULL)
        return;
    q->price = *price;
    q->priced = true;
}

/* What it used more since the last time is charged; *spent: the budget that this exhausted. */
static void charge(struct vault *v, struct proxied *q, const struct msg *m,
                   enum budget_kind *exhausted)
{
    static const struct budget none;
    const struct config_grant *g = config_grant_of(
        config_consumer(v->config, view_str(q->account->consumer)), q->account->credential);
    struct proxied_usage before = q->usage;
    const struct proxied_usage now = {.in_bytes = msg_u64(m, F_IN_BYTES, 0),
                                      .out_bytes = msg_u64(m, F_OUT_BYTES, 0),
                                      .input = msg_u64(m, F_INPUT, 0),
                                      .output = msg_u64(m, F_OUTPUT, 0),
                                      .cache_read = msg_u64(m, F_CACHE_READ, 0),
                                      .cache_write = msg_u64(m, F_CACHE_WRITE, 0)};
    struct account_spent more;
    take_model(v, q, msg_view(m, F_MODEL));
    proxied_used(q, &now, &more);
    count_used(v, &before, q, &more);
    *exhausted = account_charge(&v->accounts, q->account, g ? &g->limits : &none, &more,
                                leases_wall_ms(v->leases));
}

static void cut_exhausted(struct vault *v, const struct account *a, enum budget_kind k)
{
    char reason[96];
    (void)snprintf(reason, sizeof(reason), "the grant's budget of %s is spent", budget_name(k));
    cut_account(v, a, reason);
}

static int64_t millis(const struct msg *m, enum msg_field f)
{
    uint64_t ms = msg_u64(m, f, 0);
    return ms > INT64_MAX ? INT64_MAX : (int64_t)ms;
}

void op_proxy_report(struct vault_worker *wk, const struct msg *m)
{
    struct vault *v = wk->vault;
    struct proxied *q = proxied_find(&v->proxied, index_of(wk->kind), msg_u64(m, F_SERIAL, 0));
    enum budget_kind exhausted = BUDGET_KINDS;
    if (!q)
        return;
    const struct account *a = q->account;
    charge(v, q, m, &exhausted);
    if (m->type == MSG_PROXY_END) {
        uint64_t outcome = msg_u64(m, F_STATUS, ERR_INTERNAL);
        struct ending end = {.outcome = outcome < ERR__COUNT ? (err_t)outcome : ERR_INTERNAL,
                             .http_status = msg_u64(m, F_HTTP_STATUS, 0) % 1000,
                             .duration_ms = millis(m, F_DURATION_MS),
                             .first_ms = millis(m, F_FIRST_MS)};
        end_request(v, q, &end);
    }
    if (exhausted != BUDGET_KINDS)
        cut_exhausted(v, a, exhausted);
}

/* ---- once more */

static err_t find_running(struct request *rq, struct proxied **out)
{
    struct proxied *q =
        proxied_find(&rq->v->proxied, index_of(rq->worker->kind), msg_u64(rq->msg, F_SERIAL, 0));
    if (!q || strcmp(q->account->consumer, rq->conn->consumer_name) != 0)
        return fail(rq->why, ERR_NOT_FOUND, "no such request is running");
    if (!q->lease || q->cut)
        return fail(rq->why, ERR_EXPIRED, "the lease has ended: lease again");
    if (q->asked_again)
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
    err_t e = c ? renew_after_401(v, q, c, rq->why)
                : fail(rq->why, ERR_NEEDS_LOGIN, "the credential was removed");
    struct audit_record r = about(q, AUDIT_REQUEST_AGAIN, e);
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
    struct proxied *q = proxied_find(&v->proxied, index_of(p->worker), p->serial);
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
