/* What an operator may see of the proxy: what each grant has spent and has left, and the figures of all of it. Nothing here changes anything. */
#include "vault/ops.h"

#include "base/auto.h"
#include "base/name.h"
#include "vault/worker.h"

#include <inttypes.h>
#include <string.h>

/* ---- budgets */

static void write_limit(struct jsonw *w, const struct account *a, enum budget_kind k,
                        const struct budget_limit *l, int64_t now_ms)
{
    static const struct account fresh;
    struct account_window at = account_look(a ? a : &fresh, k, l, now_ms);
    jsonw_open(w, NULL, '{');
    jsonw_str(w, "of", budget_name(k));
    jsonw_int(w, "limit", (int64_t)l->amount);
    jsonw_int(w, "used", (int64_t)at.used);
    jsonw_int(w, "left", at.used < l->amount ? (int64_t)(l->amount - at.used) : 0);
    jsonw_int(w, "period_ms", l->period_ms);
    jsonw_int(w, "renews_at_ms", at.start_ms + at.period_ms);
    jsonw_close(w, '}');
}

static void write_grant(struct jsonw *w, const struct vault *v, const struct config_consumer *c,
                        const struct config_grant *g)
{
    const struct account *a = account_find(&v->accounts, c->name, g->credential);
    int64_t now = leases_wall_ms(v->leases);
    jsonw_open(w, NULL, '{');
    jsonw_str(w, "consumer", c->name);
    jsonw_str(w, "credential", g->credential);
    jsonw_str(w, "budget", g->budget);
    jsonw_int(w, "running", a ? a->running : 0);
    if (g->limits.concurrent)
        jsonw_int(w, "concurrent", g->limits.concurrent);
    else
        jsonw_null(w, "concurrent");
    jsonw_open(w, "limits", '[');
    for (unsigned k = 0; k < BUDGET_KINDS; k++)
        if (g->limits.limit[k].amount)
            write_limit(w, a, (enum budget_kind)k, &g->limits.limit[k], now);
    jsonw_close(w, ']');
    jsonw_close(w, '}');
}

static void write_consumer(struct jsonw *w, const struct vault *v, const struct config_consumer *c)
{
    for (unsigned i = 0; i < c->n_grants; i++)
        if (c->grants[i].deliver & 1u << DELIVER_PROXY)
            write_grant(w, v, c, &c->grants[i]);
}

/* All grants of the proxy, of one consumer or in pages of consumers. */
err_t op_budgets(struct request *rq, struct pending *p, struct jsonw *w)
{
    const struct config *cf = rq->v->config;
    struct view name = msg_view(rq->msg, F_CONSUMER);
    const struct config_consumer *one = name.n ? config_consumer(cf, name) : NULL;
    char after[65];
    unsigned i = 0;
    (void)p;
    if (name.n && !one)
        return fail(rq->why, ERR_NOT_FOUND, "no such consumer; see: broker-cli consumer list");
    if (!view_copy(msg_view(rq->msg, F_AFTER), after, sizeof(after)))
        return fail(rq->why, ERR_INVALID, "`after` is no name");
    while (i < cf->n_consumers && strcmp(cf->consumers[i].name, after) <= 0)
        i++;
    jsonw_open(w, NULL, '{');
    jsonw_open(w, "budgets", '[');
    if (one)
        write_consumer(w, rq->v, one);
    for (; !one && i < cf->n_consumers && w->out->len < OP_PAGE_BYTES; i++)
        write_consumer(w, rq->v, &cf->consumers[i]);
    jsonw_close(w, ']');
    jsonw_str(w, "next", !one && i > 0 && i < cf->n_consumers ? cf->consumers[i - 1].name : NULL);
    jsonw_close(w, '}');
    return ERR_OK;
}

/* ---- figures */

void op_proxy_status(const struct vault *v, struct jsonw *w)
{
    unsigned wanted = 0, ready = 0;
    for (unsigned k = WORKER_PROXY; k < WORKER__COUNT; k++) {
        wanted += worker_wanted(v, k);
        ready += v->workers[k].ready;
    }
    jsonw_open(w, "proxy", '{');
    jsonw_int(w, "workers", wanted);
    jsonw_int(w, "ready", ready);
    jsonw_int(w, "running", proxied_running(&v->proxied));
    jsonw_int(w, "begun", (int64_t)v->proxied.count.begun);
    jsonw_int(w, "denied", (int64_t)v->proxied.count.denied);
    jsonw_close(w, '}');
}

static void outcomes(const struct vault *v, struct buf *out)
{
    const struct {
        const char *name;
        uint64_t value;
    } row[] = {{"ok", v->proxied.count.ok},
               {"error", v->proxied.count.failed},
               {"denied", v->proxied.count.denied}};
    buf_add_str(out,
                "# HELP credential_broker_proxy_requests_total proxied requests that ended, or "
                "were refused\n# TYPE credential_broker_proxy_requests_total counter\n");
    for (size_t i = 0; i < COUNT(row); i++)
        buf_add_fmt(out, "credential_broker_proxy_requests_total{outcome=\"%s\"} %" PRIu64 "\n",
                    row[i].name, row[i].value);
}

static void tokens(const struct vault *v, struct buf *out)
{
    const struct {
        const char *name;
        uint64_t value;
    } row[] = {{"input", v->proxied.count.input},
               {"output", v->proxied.count.output},
               {"cache_read", v->proxied.count.cache_read},
               {"cache_write", v->proxied.count.cache_write}};
    buf_add_str(out, "# HELP credential_broker_proxy_tokens_total tokens that replies told of\n"
                     "# TYPE credential_broker_proxy_tokens_total counter\n");
    for (size_t i = 0; i < COUNT(row); i++)
        buf_add_fmt(out, "credential_broker_proxy_tokens_total{kind=\"%s\"} %" PRIu64 "\n",
                    row[i].name, row[i].value);
}

void op_proxy_metrics(const struct vault *v, struct buf *out)
{
    const struct {
        const char *name, *type, *help;
        uint64_t value;
    } m[] = {
        {"running", "gauge", "proxied requests that are running", proxied_running(&v->proxied)},
        {"cut_total", "counter", "proxied requests cut off while they ran", v->proxied.count.cut},
        {"in_bytes_total", "counter", "bytes of request bodies", v->proxied.count.in_bytes},
        {"out_bytes_total", "counter", "bytes of reply bodies", v->proxied.count.out_bytes},
        {"cost_microusd_total", "counter", "price of what was used, in millionths of a dollar",
         v->proxied.count.cost},
        {"rejections_total", "counter", "credentials that an upstream answered 401 to",
         v->count.upstream_rejections},
    };
    outcomes(v, out);
    tokens(v, out);
    for (size_t i = 0; i < COUNT(m); i++)
        buf_add_fmt(out,
                    "# HELP credential_broker_proxy_%s %s\n# TYPE credential_broker_proxy_%s "
                    "%s\ncredential_broker_proxy_%s %" PRIu64 "\n",
                    m[i].name, m[i].help, m[i].name, m[i].type, m[i].name, m[i].value);
}
