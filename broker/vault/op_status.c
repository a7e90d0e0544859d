/* What an operator may see, and the one thing that stops everything: revoke. Nothing here opens a secret. */
#include "vault/ops.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/name.h"
#include "vault/deliver.h"
#include "vault/worker.h"

#include <inttypes.h>
#include <string.h>

static void write_keys(struct jsonw *w, const struct keyheader *h)
{
    jsonw_open(w, "keys", '[');
    for (unsigned i = 0; i < KEYSLOTS_MAX; i++) {
        const struct keyslot *s = &h->slot[i];
        const struct keysource *ks = s->used ? keysource_by_name(view_str(s->source)) : NULL;
        char detail[160] = "";
        if (!s->used)
            continue;
        if (ks && ks->describe)
            ks->describe(VIEW(s->params, s->params_len), detail);
        jsonw_open(w, NULL, '{');
        jsonw_int(w, "slot", i);
        jsonw_str(w, "source", s->source);
        jsonw_str(w, "detail", detail);
        jsonw_int(w, "created_at_ms", s->created_ms);
        jsonw_close(w, '}');
    }
    jsonw_close(w, ']');
}

err_t op_key_list(struct request *rq, struct pending *p, struct jsonw *w)
{
    (void)p;
    jsonw_open(w, NULL, '{');
    jsonw_int(w, "epoch", rq->v->keys.header.epoch);
    jsonw_bool(w, "rekeying", rq->v->keys.header.rekeying);
    write_keys(w, &rq->v->keys.header);
    jsonw_close(w, '}');
    return ERR_OK;
}

static void write_consumers(struct jsonw *w, const struct vault *v)
{
    jsonw_int(w, "consumers_total", v->config->n_consumers);
    jsonw_open(w, "consumers", '['); /* the rest of very many: broker-cli consumer list */
    for (unsigned i = 0; i < v->config->n_consumers && w->out->len < OP_PAGE_BYTES; i++) {
        const struct config_consumer *c = &v->config->consumers[i];
        char path[256];
        (void)snprintf(path, sizeof(path), "%s/%s/broker.sock", v->dirs->run, c->name);
        jsonw_open(w, NULL, '{');
        jsonw_str(w, "name", c->name);
        jsonw_str(w, "socket", path);
        jsonw_int(w, "grants", c->n_grants);
        jsonw_int(w, "leases", v->leases ? leases_live_of(v->leases, c->name) : 0);
        jsonw_close(w, '}');
    }
    jsonw_close(w, ']');
}

static void write_audit(struct jsonw *w, const struct vault *v)
{
    static const char *const sync[] = {"release", "every", "100ms"};
    struct why why = {0};
    bool good = v->sink && sink_health(v->sink, &why) == ERR_OK;
    jsonw_open(w, "audit", '{');
    jsonw_int(w, "seq", v->audit ? (int64_t)audit_seq(v->audit) : 0);
    jsonw_str(w, "health", good ? "ok" : why.text);
    jsonw_str(w, "sync", sync[v->config->sync]);
    jsonw_close(w, '}');
}

static void write_workers(struct jsonw *w, const struct vault *v)
{
    jsonw_open(w, "workers", '[');
    for (unsigned k = 0; k < WORKER__COUNT; k++) {
        if (!worker_wanted(v, k))
            continue;
        jsonw_open(w, NULL, '{');
        jsonw_str(w, "role", worker_role(k));
        jsonw_int(w, "pid", v->workers[k].pid);
        jsonw_int(w, "restarts", v->workers[k].restarts);
        jsonw_str(w, "sandbox",
                  v->workers[k].sandbox_report[0] ? v->workers[k].sandbox_report : NULL);
        jsonw_close(w, '}');
    }
    jsonw_close(w, ']');
}

err_t op_status(struct request *rq, struct pending *p, struct jsonw *w)
{
    struct vault *v = rq->v;
    (void)p;
    jsonw_open(w, NULL, '{');
    jsonw_str(w, "state", vault_state_name(v->state));
    jsonw_str(w, "reason", v->state == VAULT_READY ? NULL : v->state_why);
    jsonw_str(w, "version", BROKER_VERSION);
    jsonw_str(w, "mode", v->dirs->system ? "system" : "user");
    jsonw_int(w, "pid", getpid());
    jsonw_int(w, "uptime_ms", clock_boot_ms() - v->started_ms);
    jsonw_str(w, "state_dir", v->dirs->state);
    jsonw_str(w, "run_dir", v->dirs->run);
    jsonw_str(w, "config", v->dirs->config);
    jsonw_str(w, "store", v->store_ops->name);
    jsonw_int(w, "epoch", v->keys.header.epoch);
    write_keys(w, &v->keys.header);
    jsonw_int(w, "credentials", v->credentials ? credentials_count(v->credentials) : 0);
    write_consumers(w, v);
    jsonw_int(w, "leases", v->leases ? leases_live(v->leases) : 0);
    write_audit(w, v);
    jsonw_str(w, "memory_lock", secret_pool_kind());
    jsonw_str(w, "sandbox", v->sandbox_report);
    write_workers(w, v);
    op_proxy_status(v, w);
    op_refresh_status(v, w);
    jsonw_close(w, '}');
    return ERR_OK;
}

/* Prometheus text exposition format 0.0.4 */
err_t op_metrics(struct request *rq, struct pending *p, struct jsonw *w)
{
    const struct vault *v = rq->v;
    struct why why = {0};
    uint64_t restarts = 0;
    (void)p;
    for (unsigned k = 0; k < WORKER__COUNT; k++)
        restarts += v->workers[k].restarts;
    const struct {
        const char *name, *type, *help;
        uint64_t value;
    } m[] = {
        {"ready", "gauge", "1 when the store is open", v->state == VAULT_READY},
        {"leases_live", "gauge", "live leases", v->leases ? leases_live(v->leases) : 0},
        {"credentials", "gauge", "enrolled credentials",
         v->credentials ? credentials_count(v->credentials) : 0},
        {"consumers", "gauge", "configured consumers", v->config->n_consumers},
        {"leases_issued_total", "counter", "leases issued", v->count.issued},
        {"leases_renewed_total", "counter", "leases renewed", v->count.renewed},
        {"leases_ended_total", "counter", "leases ended", v->count.ended},
        {"requests_total", "counter", "requests that reached the vault", v->count.messages},
        {"requests_denied_total", "counter", "requests refused and recorded", v->count.denied},
        {"tokens_refused_total", "counter", "tokens that were not valid", v->count.refused_tokens},
        {"peers_refused_total", "counter", "connections refused by their kernel credentials",
         v->count.refused_peers},
        {"audit_refusals_total", "counter", "requests refused because they could not be recorded",
         v->count.audit_refusals},
        {"audit_seq", "counter", "records in the audit log", v->audit ? audit_seq(v->audit) : 0},
        {"audit_healthy", "gauge", "1 when the audit log can be written",
         v->sink && sink_health(v->sink, &why) == ERR_OK},
        {"worker_restarts_total", "counter", "restarts of workers", restarts},
    };
    for (size_t i = 0; i < COUNT(m); i++)
        buf_add_fmt(w->out,
                    "# HELP credential_broker_%s %s\n# TYPE credential_broker_%s "
                    "%s\ncredential_broker_%s %" PRIu64 "\n",
                    m[i].name, m[i].help, m[i].name, m[i].type, m[i].name, m[i].value);
    op_proxy_metrics(v, w->out);
    op_refresh_metrics(rq->v, w->out);
    return ERR_OK;
}

err_t op_audit_read(struct request *rq, struct pending *p, struct jsonw *w)
{
    uint64_t count = msg_u64(rq->msg, F_COUNT, 100);
    (void)p;
    return audit_read(rq->v->audit, msg_u64(rq->msg, F_CURSOR, 0),
                      count > 1000 ? 1000 : (unsigned)count, w->out, rq->why);
}

err_t op_admin_leases(struct request *rq, struct pending *p, struct jsonw *w)
{
    (void)p;
    struct op_lease_filter f = {.consumer = msg_view(rq->msg, F_CONSUMER),
                                .credential = msg_view(rq->msg, F_CREDENTIAL),
                                .cursor = msg_u64(rq->msg, F_CURSOR, 0),
                                .admin = true};
    return op_write_leases(rq->v, &f, w, rq->why);
}

/* Ends in any case: what the journal cannot take now, its next generation is without. */
static void end_unrecorded(struct vault *v, struct lease *l)
{
    deliver_end(v, l);
    v->count.ended++;
    (void)!lease_end(v->leases, l, LEASE_END_REVOKED, NULL);
}

bool op_end_lease(struct vault *v, struct lease *l)
{
    struct audit_record r = {.event = AUDIT_LEASE_END,
                             .outcome = ERR_OK,
                             .consumer = l->consumer,
                             .credential = l->credential,
                             .lease = l->id_hex,
                             .delivery = delivery_name(l->delivery)};
    bool recorded = audit_note(v->audit, &r, NULL) == ERR_OK;
    end_unrecorded(v, l);
    return recorded;
}

unsigned op_end_leases(struct vault *v, const struct op_lease_filter *f)
{
    uint64_t cursor = 0;
    unsigned n = 0, lost = 0;
    for (struct lease *l; (l = lease_next(v->leases, &cursor)) != NULL;) {
        if ((f->consumer.n && !view_is(f->consumer, l->consumer)) ||
            (f->credential.n && !view_is(f->credential, l->credential)))
            continue;
        lost += !op_end_lease(v, l);
        n++;
    }
    if (lost) /* the ring is full: said once */
        log_event(LOG_LVL_WARN, "audit.lost", "event", audit_event_name(AUDIT_LEASE_END), NULL);
    return n;
}

void op_end_orphans(struct vault *v)
{
    uint64_t cursor = 0;
    for (struct lease *l; (l = lease_next(v->leases, &cursor)) != NULL;) {
        const struct credential *c = credential_find(v->credentials, view_str(l->credential));
        if (!c || c->created_ms > l->issued_wall_ms)
            (void)op_end_lease(v, l);
    }
}

/* What is named is copied: it is recorded after the leases have ended. */
struct revoked {
    char lease[2 * TOKEN_LEASE_ID + 1], consumer[65], credential[65];
};

static err_t revoke_one(struct request *rq, struct pending *p, struct revoked *out)
{
    struct lease *l = lease_by_hex(rq->v->leases, msg_view(rq->msg, F_LEASE));
    if (!l)
        return fail(rq->why, ERR_NOT_FOUND, "no live lease of that id");
    (void)view_copy(view_str(l->id_hex), out->lease, sizeof(out->lease));
    (void)view_copy(view_str(l->consumer), out->consumer, sizeof(out->consumer));
    (void)view_copy(view_str(l->credential), out->credential, sizeof(out->credential));
    end_unrecorded(rq->v, l);
    p->number = 1;
    return ERR_OK;
}

static err_t revoke_many(struct request *rq, struct pending *p, struct revoked *out)
{
    const struct msg *m = rq->msg;
    struct op_lease_filter f = {.consumer = msg_view(m, F_CONSUMER),
                                .credential = msg_view(m, F_CREDENTIAL)};
    if (!f.consumer.n && !f.credential.n && msg_u64(m, F_FLAGS, 0) != 1)
        return fail(rq->why, ERR_INVALID,
                    "say what to revoke: a lease, a consumer, a credential, or all");
    if (f.consumer.n)
        TRY(name_check(f.consumer, "consumer", rq->why));
    if (f.credential.n)
        TRY(name_check(f.credential, "credential", rq->why));
    (void)view_copy(f.consumer, out->consumer, sizeof(out->consumer));
    (void)view_copy(f.credential, out->credential, sizeof(out->credential));
    p->number = op_end_leases(rq->v, &f);
    return ERR_OK;
}

/* Revoking never waits for a healthy disk: the leases end first, the record follows when it can, and the answer says so. */
err_t op_admin_revoke(struct request *rq, struct pending *p, struct jsonw *w)
{
    struct revoked what = {0};
    struct why own = {0};
    (void)w;
    TRY(rq->msg->has[F_LEASE] ? revoke_one(rq, p, &what) : revoke_many(rq, p, &what));
    struct audit_record r = {.event = AUDIT_LEASE_END,
                             .outcome = ERR_OK,
                             .lease = what.lease[0] ? what.lease : NULL,
                             .consumer = what.consumer[0] ? what.consumer : NULL,
                             .peer = &rq->conn->peer,
                             .credential = what.credential[0] ? what.credential : NULL,
                             .count = p->number};
    err_t e = server_record(rq->v, &r, p, &own);
    if (e == ERR_OK)
        return ERR_OK;
    server_note(rq->v, &r);
    return fail(rq->why, e, "%u leases ended, but it is not recorded yet: %s", p->number, own.text);
}
