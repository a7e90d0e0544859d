/*
 * How proxied requests use and end: by the worker's word, by its death, with their lease, with the budget of their grant, with the store.
 * Invariant: a request that began is in the table until its end is recorded, whoever brings it about. What is cut stays in the books until the
 * worker tells what it took; only a store that is being locked does not wait for that.
 */
#include "vault/request_end.h"

#include "base/auto.h"
#include "base/clock.h"
#include "vault/account_state.h"
#include "vault/ops.h"
#include "vault/refresh.h"
#include "vault/worker.h"

#include <string.h>

enum { GOOD = 200, BAD = 400 };

unsigned request_worker(unsigned kind)
{
    return kind - WORKER_PROXY;
}

struct audit_record request_record(const struct proxied *q, enum audit_event event, err_t outcome)
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

static void note_end(struct vault *v, const struct proxied *q, const struct request_ending *end)
{
    struct audit_record r = request_record(q, AUDIT_REQUEST_END, end->outcome);
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
    v->proxied.count.begun += q->follows;
    v->proxied.count.ok += end->outcome == ERR_OK;
    v->proxied.count.failed += end->outcome != ERR_OK;
}

static void give_up(struct vault *v, struct proxied *q)
{
    account_give_back(&v->accounts, q->account, q->left, q->reserved);
    account_end(q->account);
    proxied_free(&v->proxied, q);
}

void request_end(struct vault *v, struct proxied *q, const struct request_ending *end)
{
    note_end(v, q, end);
    give_up(v, q);
}

/* It ended, and another may begin under its serial: the books are as they were when it began. */
static void go_on(struct vault *v, struct proxied *q, const struct request_ending *end)
{
    note_end(v, q, end);
    q->follows = true;
    q->asked_again = q->priced = false;
    q->usage = (struct proxied_usage){0};
    q->cost = 0;
    q->model[0] = '\0';
    q->began_boot_ms = clock_boot_ms();
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
    for (struct proxied *q; (q = proxied_next(&v->proxied, request_worker(wk->kind), &at)) != NULL;)
        request_end(v, q, &(struct request_ending){.outcome = ERR_UNAVAILABLE});
    route_forget_worker(v, wk->kind);
}

void op_proxy_close(struct vault *v, const char *why)
{
    for (unsigned i = 0; i < CONFIG_MAX_PROXIES; i++) {
        uint32_t at = 0;
        for (struct proxied *q; (q = proxied_next(&v->proxied, i, &at)) != NULL;) {
            send_cut(&v->workers[WORKER_PROXY + i], ERR_LOCKED, why, NULL, q->serial);
            request_end(v, q, &(struct request_ending){.outcome = ERR_LOCKED});
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

static void on_end(struct vault *v, struct proxied *q, const struct msg *m)
{
    uint64_t outcome = msg_u64(m, F_STATUS, ERR_INTERNAL), flags = msg_u64(m, F_FLAGS, 0);
    struct request_ending end = {.outcome = outcome < ERR__COUNT ? (err_t)outcome : ERR_INTERNAL,
                                 .http_status = msg_u64(m, F_HTTP_STATUS, 0) % 1000,
                                 .duration_ms = millis(m, F_DURATION_MS),
                                 .first_ms = millis(m, F_FIRST_MS)};
    bool unused = flags & PROXY_END_UNUSED && q->follows;
    if (end.outcome == ERR_OK && end.http_status >= GOOD && end.http_status < BAD)
        refresh_note_accepted(v, q->account->credential, q->version);
    if (q->follows && !unused && q->left > 0)
        q->left--; /* it was one of those allowed in advance */
    if (unused)
        give_up(v, q);
    else if (flags & PROXY_END_GOES_ON && q->left > 0)
        go_on(v, q, &end);
    else
        request_end(v, q, &end);
}

void op_proxy_report(struct vault_worker *wk, const struct msg *m)
{
    struct vault *v = wk->vault;
    struct proxied *q =
        proxied_find(&v->proxied, request_worker(wk->kind), msg_u64(m, F_SERIAL, 0));
    enum budget_kind exhausted = BUDGET_KINDS;
    if (!q)
        return;
    const struct account *a = q->account;
    charge(v, q, m, &exhausted);
    if (m->type == MSG_PROXY_END)
        on_end(v, q, m);
    if (exhausted != BUDGET_KINDS)
        cut_exhausted(v, a, exhausted);
}
