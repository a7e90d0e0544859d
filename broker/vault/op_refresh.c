/*
 * Renewing a login by hand, and what an operator sees of each: whether it works, when it is renewed, who uses it, what fails and what to do.
 */
#include "vault/ops.h"

#include "base/auto.h"
#include "base/clock.h"
#include "vault/alert.h"
#include "vault/refresh.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { CONSUMERS_SHOWN = 16 };

static err_t find(struct request *rq, const struct credential **out)
{
    *out = credential_find(rq->v->credentials, msg_view(rq->msg, F_CREDENTIAL));
    if (!*out)
        return fail(rq->why, ERR_NOT_FOUND,
                    "nothing of that name is enrolled; see: broker-cli list");
    return ERR_OK;
}

err_t op_refresh(struct request *rq, struct pending *p, struct jsonw *w)
{
    const struct credential *c = NULL;
    TRY(find(rq, &c));
    TRY(refresh_on_demand(rq, p, c, w));
    if (rq->deferred)
        return ERR_OK;
    jsonw_open(w, NULL, '{');
    op_write_credential(rq->v, w, c);
    jsonw_close(w, '}');
    return ERR_OK;
}

/* ---- health */

static bool expired(const struct credential *c)
{
    return c->expires_ms && c->expires_ms <= clock_wall_ms();
}

static void write_time(struct jsonw *w, const char *key, int64_t ms)
{
    if (ms > 0)
        jsonw_int(w, key, ms);
    else
        jsonw_null(w, key);
}

static void write_refresh(struct jsonw *w, const struct refresh_view *r)
{
    jsonw_open(w, "refresh", '{');
    jsonw_bool(w, "renewable", r->renewable);
    jsonw_bool(w, "running", r->running);
    jsonw_bool(w, "doubtful", r->doubtful);
    write_time(w, "last_at_ms", r->last_ms);
    write_time(w, "next_at_ms", r->next_ms);
    jsonw_int(w, "failures", r->failures);
    jsonw_str(w, "error", r->why[0] ? r->why : NULL);
    jsonw_close(w, '}');
}

static void write_consumers(struct jsonw *w, const struct vault *v, const struct credential *c)
{
    unsigned n = 0;
    jsonw_open(w, "consumers", '[');
    for (unsigned i = 0; i < v->config->n_consumers && n < CONSUMERS_SHOWN; i++)
        if (config_grant_of(&v->config->consumers[i], c->name)) {
            jsonw_str(w, NULL, v->config->consumers[i].name);
            n++;
        }
    jsonw_close(w, ']');
}

static void write_remedy(struct jsonw *w, const struct credential *c, const struct refresh_view *r)
{
    char text[160];
    if (c->released)
        (void)snprintf(text, sizeof(text),
                       "to finish: broker-cli release %.48s, or broker-cli enroll --from-home",
                       c->name);
    else if (c->needs_login || (expired(c) && !r->renewable))
        (void)snprintf(text, sizeof(text), "log in again: broker-cli login %s", c->name);
    else if (r->failures)
        (void)snprintf(text, sizeof(text),
                       "it is tried again by itself; now: broker-cli refresh %s", c->name);
    else
        text[0] = '\0';
    jsonw_str(w, "remedy", text[0] ? text : NULL);
}

void op_write_credential(struct vault *v, struct jsonw *w, const struct credential *c)
{
    struct refresh_view r;
    refresh_look(v, c, &r);
    jsonw_str(w, "name", c->name);
    jsonw_str(w, "provider", c->provider->name);
    jsonw_str(w, "kind", c->kind);
    jsonw_int(w, "version", (int64_t)c->version);
    jsonw_int(w, "created_at_ms", c->created_ms);
    jsonw_int(w, "replaced_at_ms", c->replaced_ms);
    write_time(w, "expires_at_ms", c->expires_ms);
    jsonw_str(w, "account", c->account[0] ? c->account : NULL);
    jsonw_str(w, "state",
              c->released      ? "held"
              : c->needs_login ? "needs_login"
              : expired(c)     ? "expired"
                               : "ok");
    jsonw_str(w, "ended", c->needs_login && !c->released ? login_end_name(c->needs_login) : NULL);
    write_refresh(w, &r);
    write_consumers(w, v, c);
    write_remedy(w, c, &r);
}

void op_refresh_status(struct vault *v, struct jsonw *w)
{
    const struct credential *c = v->credentials ? credential_next(v->credentials, "") : NULL;
    jsonw_open(w, "logins", '[');
    for (; c && w->out->len < 2 * (size_t)OP_PAGE_BYTES;
         c = credential_next(v->credentials, c->name)) {
        if (strcmp(c->kind, "login") != 0)
            continue;
        jsonw_open(w, NULL, '{');
        op_write_credential(v, w, c);
        jsonw_close(w, '}');
    }
    jsonw_close(w, ']');
}

/* ---- Prometheus */

static void put_figure(struct buf *out, const char *name, const char *type, const char *help,
                       uint64_t value)
{
    buf_add_fmt(out,
                "# HELP credential_broker_%s %s\n# TYPE credential_broker_%s %s\n"
                "credential_broker_%s %" PRIu64 "\n",
                name, help, name, type, name, value);
}

/* One line per login; very many are left to the API. */
static void put_logins(struct vault *v, struct buf *out)
{
    enum { MOST = 500 };
    unsigned n = 0;
    buf_add_str(out, "# HELP credential_broker_login_works 0 when the login must be made anew\n"
                     "# TYPE credential_broker_login_works gauge\n");
    for (const struct credential *c = credential_next(v->credentials, ""); c && n < MOST;
         c = credential_next(v->credentials, c->name))
        if (strcmp(c->kind, "login") == 0) {
            buf_add_fmt(out,
                        "credential_broker_login_works{credential=\"%s\",provider=\"%s\"} %d\n",
                        c->name, c->provider->name, c->needs_login ? 0 : 1);
            n++;
        }
    n = 0;
    buf_add_str(out, "# HELP credential_broker_login_expires_seconds when the access token ends\n"
                     "# TYPE credential_broker_login_expires_seconds gauge\n");
    for (const struct credential *c = credential_next(v->credentials, ""); c && n < MOST;
         c = credential_next(v->credentials, c->name))
        if (strcmp(c->kind, "login") == 0 && c->expires_ms) {
            buf_add_fmt(out,
                        "credential_broker_login_expires_seconds{credential=\"%s\"} %" PRId64 "\n",
                        c->name, c->expires_ms / 1000);
            n++;
        }
}

void op_refresh_metrics(struct vault *v, struct buf *out)
{
    struct refresh_counts n = refresh_counts(v);
    put_figure(out, "refreshes_total", "counter", "refreshes of logins that began", n.begun);
    put_figure(out, "refreshes_renewed_total", "counter", "refreshes that renewed a login",
               n.renewed);
    put_figure(out, "refreshes_failed_total", "counter", "refreshes that are tried again",
               n.failed);
    put_figure(out, "logins_ended_total", "counter", "logins that their provider ended", n.dead);
    put_figure(out, "refresh_waits_total", "counter", "requests that waited for a refresh",
               n.waited);
    put_figure(out, "refreshes_running", "gauge", "refreshes under way", n.running);
    if (v->credentials)
        put_logins(v, out);
}
