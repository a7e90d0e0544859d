/*
 * Consumers and grants as an operator manages them. broker-cli's changes are drop-in files of one consumer each, $STATE/consumers/NAME.yaml,
 * written by the vault and read again like any other part of the configuration, so there is one truth and one parser. What stands in
 * broker.yaml itself is never rewritten: it may have comments, and it belongs to the operator.
 */
#include "vault/ops.h"

#include "base/auto.h"
#include "base/file.h"
#include "base/log.h"
#include "base/name.h"
#include "provider/oauth.h"
#include "vault/listen.h"
#include "vault/worker.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define DAY_MS     ((uint64_t)86400000)
#define TTL_MAX_MS (3650 * DAY_MS)
enum { TTL_MIN_MS = 1000, TTL_DEFAULT_MS = 15 * 60000 };

static err_t dropin_dir(const struct vault *v, char out[4096], struct why *why)
{
    int n = snprintf(out, 4096, "%s/consumers", v->dirs->state);
    return n > 0 && n < 4096 ? ERR_OK
                             : fail(why, ERR_INVALID, "the state directory's path is too long");
}

static bool holds(const struct config_ids *ids, uint32_t id)
{
    bool found = ids->n == 0;
    for (unsigned i = 0; i < ids->n && !found; i++)
        found = ids->id[i] == id;
    return found;
}

/* Would its holder still get it? As far as a lease remembers its holder. */
static bool still_granted(const struct vault *v, const struct lease *l)
{
    const struct config_consumer *c = config_consumer(v->config, view_str(l->consumer));
    const struct config_grant *g = config_grant_of(c, l->credential);
    return g && (g->deliver & 1u << l->delivery) && holds(&c->peer.uid, l->uid) &&
           holds(&g->peer.uid, l->uid);
}

static void end_ungranted(struct vault *v)
{
    uint64_t cursor = 0;
    unsigned lost = 0;
    for (struct lease *l; v->leases && (l = lease_next(v->leases, &cursor)) != NULL;)
        if (!still_granted(v, l))
            lost += !op_end_lease(v, l);
    if (lost)
        log_event(LOG_LVL_WARN, "audit.lost", "event", audit_event_name(AUDIT_LEASE_END), NULL);
}

err_t policy_reload(struct vault *v, struct why *why)
{
    struct config *fresh = NULL;
    char dir[4096];
    struct why listen_why = {0};
    TRY(dropin_dir(v, dir, why));
    TRY(config_load(v->dirs->config, dir, &fresh, why));
    err_t e = oauth_check_config(fresh, v->dirs->config, why);
    if (e == ERR_OK)
        e = route_check_config(fresh, v->dirs->config, why);
    if (e != ERR_OK) {
        config_free(fresh);
        return e;
    }
    bool moved = !config_same_upstreams(v->config, fresh);
    config_free(v->config);
    v->config = fresh;
    v->config_serial++;
    end_ungranted(v);
    if (moved)
        route_end_all(v);
    if (v->leases)
        accounts_sweep(&v->accounts, leases_wall_ms(v->leases));
    if (listen_sync(v, &listen_why) != ERR_OK)
        log_event(LOG_LVL_WARN, "reload.listen", "why", listen_why.text, NULL);
    worker_follow(v);
    return ERR_OK;
}

/* ---- the change, checked now and made in op_policy_finish */

/* The consumer if broker-cli may change it. */
static err_t managed(struct request *rq, const struct config_consumer **out)
{
    struct view name = msg_view(rq->msg, F_CONSUMER);
    const struct config_consumer *c = config_consumer(rq->v->config, name);
    TRY(name_check(name, "consumer", rq->why));
    if (!c)
        return fail(rq->why, ERR_NOT_FOUND,
                    "no such consumer; add it with: broker-cli consumer add %.*s", (int)name.n,
                    (const char *)name.p);
    if (!c->managed)
        return fail(rq->why, ERR_CONFLICT,
                    "consumer \"%s\" stands in %s: change it there, then: broker-cli reload",
                    c->name, rq->v->dirs->config);
    *out = c;
    return ERR_OK;
}

/* One change of a consumer at a time: the next one is decided on what the first one made. */
static err_t take_name(struct request *rq, struct pending *p, const char *name)
{
    (void)view_copy(view_str(name), p->name, sizeof(p->name));
    if (server_changing(rq->v, p))
        return fail(rq->why, ERR_CONFLICT,
                    "consumer \"%s\" is being changed; try again in a moment", name);
    return ERR_OK;
}

/* Keeps the drop-in's text for the second step; it is parsed once more first, so that what is written can be read. */
static err_t prepare(struct request *rq, struct pending *p, const struct config_consumer *c)
{
    struct config_consumer *check = NULL;
    TRY(config_write_consumer(c, &p->text, rq->why));
    TRY(buf_ok(&p->text, rq->why));
    TRY(config_parse_consumer(buf_view(&p->text), c->name, &check, rq->why));
    config_consumer_free(check);
    return take_name(rq, p, c->name);
}

static err_t record(struct request *rq, struct pending *p, enum audit_event event,
                    const char *credential)
{
    struct audit_record r = {.event = event,
                             .outcome = ERR_OK,
                             .consumer = p->name[0] ? p->name : NULL,
                             .credential = credential,
                             .peer = &rq->conn->peer};
    return server_record(rq->v, &r, p, rq->why);
}

static void free_ids(struct config_ids *ids)
{
    free(ids->id);
}

err_t op_consumer_add(struct request *rq, struct pending *p, struct jsonw *w)
{
    const struct msg *m = rq->msg;
    char name[65], note[257], cgroup[257];
    AUTO(free_ids) struct config_ids uid = {0};
    AUTO(free_ids) struct config_ids gid = {0};
    (void)w;
    TRY(name_check(msg_view(m, F_CONSUMER), "consumer", rq->why));
    if (config_consumer(rq->v->config, msg_view(m, F_CONSUMER)))
        return fail(rq->why, ERR_EXISTS, "that consumer exists already");
    (void)view_copy(msg_view(m, F_CONSUMER), name, sizeof(name));
    TRY(listen_check_name(rq->v, name, rq->why));
    (void)view_copy(msg_view(m, F_NOTE), note, sizeof(note));
    (void)view_copy(msg_view(m, F_CGROUP), cgroup, sizeof(cgroup));
    if (m->has[F_UIDS])
        TRY(config_parse_ids(msg_view(m, F_UIDS), &uid, rq->why));
    if (m->has[F_GIDS])
        TRY(config_parse_ids(msg_view(m, F_GIDS), &gid, rq->why));
    struct config_consumer c = {
        .name = name,
        .note = note[0] ? note : NULL,
        .managed = true,
        .max_leases = 1024,
        .peer = {.uid = uid, .gid = gid, .cgroup = cgroup[0] ? cgroup : NULL}};
    TRY(prepare(rq, p, &c));
    return record(rq, p, AUDIT_CONSUMER_ADD, NULL);
}

err_t op_consumer_remove(struct request *rq, struct pending *p, struct jsonw *w)
{
    const struct config_consumer *c = NULL;
    (void)w;
    TRY(managed(rq, &c));
    TRY(take_name(rq, p, c->name));
    p->flag = true;
    return record(rq, p, AUDIT_CONSUMER_REMOVE, NULL);
}

enum { LIST_MAX = CONFIG_MAX_LIST };
struct text_list {
    char *item[LIST_MAX + 1];
};
static void free_list(struct text_list *l)
{
    for (unsigned i = 0; l->item[i]; i++)
        free(l->item[i]);
}

static err_t read_list(const struct msg *m, enum msg_field f, struct text_list *out,
                       struct why *why)
{
    struct cursor c = cursor_of(msg_view(m, f));
    struct view item;
    unsigned n = 0;
    while (msg_list_next(&c, &item)) {
        if (n == LIST_MAX)
            return fail(why, ERR_LIMIT, "over %d entries in a list", LIST_MAX);
        out->item[n] = strndup((const char *)item.p, item.n);
        if (!out->item[n++]) /* a list cut short would mean something else */
            return fail(why, ERR_UNAVAILABLE, "out of memory");
    }
    return ERR_OK;
}

/* The consumer as it would be: `g` in the place of the grant for its credential, or behind the others; g NULL: without it. */
static err_t with_grant(struct request *rq, struct pending *p, const struct config_consumer *c,
                        const char *credential, const struct config_grant *g)
{
    AUTO(auto_free) struct config_grant *grants = calloc(c->n_grants + 1, sizeof(*grants));
    struct config_consumer changed = *c;
    unsigned n = 0;
    if (!grants)
        return fail(rq->why, ERR_UNAVAILABLE, "out of memory");
    for (unsigned i = 0; i < c->n_grants; i++)
        if (strcmp(c->grants[i].credential, credential) != 0)
            grants[n++] = c->grants[i];
    if (g)
        grants[n++] = *g;
    changed.grants = grants;
    changed.n_grants = n;
    return prepare(rq, p, &changed);
}

static err_t read_limits(const struct msg *m, struct config_grant *g, struct why *why)
{
    uint64_t ttl = msg_u64(m, F_TTL_MS, TTL_DEFAULT_MS);
    uint64_t max = msg_u64(m, F_MAX_TTL_MS, ttl > DAY_MS ? ttl : DAY_MS);
    if (ttl < TTL_MIN_MS || ttl > TTL_MAX_MS || max > TTL_MAX_MS)
        return fail(why, ERR_INVALID, "a ttl is between 1s and 3650d");
    if (max < ttl)
        return fail(why, ERR_INVALID, "max_ttl is under ttl");
    g->ttl_ms = (int64_t)ttl;
    g->max_ttl_ms = (int64_t)max;
    g->uses = msg_u64(m, F_USES, 0);
    TRY(read_owner(m, &g->owner_process, why));
    TRY(read_deliveries(msg_view(m, F_DELIVER), &g->deliver, why));
    if (g->deliver == 0)
        return fail(why, ERR_INVALID,
                    "a grant needs a delivery: proxy, access_token, file, helper or secret");
    return ERR_OK;
}

err_t op_grant_add(struct request *rq, struct pending *p, struct jsonw *w)
{
    const struct msg *m = rq->msg;
    const struct config_consumer *c = NULL;
    AUTO(free_list) struct text_list allow = {0};
    AUTO(free_list) struct text_list models = {0};
    char credential[65], budget[257];
    struct config_grant g = {.credential = credential};
    (void)w;
    TRY(managed(rq, &c));
    TRY(name_check(msg_view(m, F_CREDENTIAL), "credential", rq->why));
    (void)view_copy(msg_view(m, F_CREDENTIAL), credential, sizeof(credential));
    (void)view_copy(msg_view(m, F_BUDGET), budget, sizeof(budget));
    TRY(read_limits(m, &g, rq->why));
    TRY(read_list(m, F_ALLOW, &allow, rq->why));
    TRY(read_list(m, F_MODELS, &models, rq->why));
    g.allow = allow.item[0] ? allow.item : NULL;
    g.models = models.item[0] ? models.item : NULL;
    g.budget = budget[0] ? budget : NULL;
    TRY(with_grant(rq, p, c, credential, &g));
    return record(rq, p, AUDIT_GRANT_ADD, credential);
}

err_t op_grant_remove(struct request *rq, struct pending *p, struct jsonw *w)
{
    const struct config_consumer *c = NULL;
    char credential[65] = "";
    bool there = false;
    (void)w;
    TRY(managed(rq, &c));
    (void)view_copy(msg_view(rq->msg, F_CREDENTIAL), credential, sizeof(credential));
    for (unsigned i = 0; i < c->n_grants; i++)
        there = there || strcmp(c->grants[i].credential, credential) == 0;
    if (!there)
        return fail(rq->why, ERR_NOT_FOUND, "consumer \"%s\" has no such grant", c->name);
    TRY(with_grant(rq, p, c, credential, NULL));
    return record(rq, p, AUDIT_GRANT_REMOVE, credential);
}

err_t op_reload(struct request *rq, struct pending *p, struct jsonw *w)
{
    struct config *check = NULL;
    char dir[4096];
    (void)w;
    TRY(dropin_dir(rq->v, dir, rq->why));
    TRY(config_load(rq->v->dirs->config, dir, &check, rq->why));
    err_t e = route_check_config(check, rq->v->dirs->config, rq->why);
    config_free(check);
    TRY(e);
    if (!rq->v->audit) /* a locked store cannot record, and a reload releases nothing */
        return ERR_OK;
    return record(rq, p, AUDIT_RELOAD, NULL);
}

/* ---- the second step */

static err_t put_dropin(int dir, const char *file, const struct buf *text, struct why *why)
{
    return text ? file_write_atomic_at(dir, file, buf_view(text), 0600, why)
                : file_remove_at(dir, file, why);
}

/* Writes or removes the drop-in and takes it into force; where that fails, what was there before is put back. */
static err_t change_dropin(struct vault *v, const struct pending *p, struct why *why)
{
    const struct file_dir how = {.create = true, .mode = 0700, .forbidden = 0022};
    AUTO(auto_close) int dir = -1;
    AUTO(buf_free) struct buf before = {0};
    char file[80];
    (void)snprintf(file, sizeof(file), "%s.yaml", p->name);
    TRY(file_open_dir_at(v->state_fd, "consumers", &how, &dir, why));
    err_t there = file_read_at(dir, file, CONFIG_MAX_BYTES, &before, why);
    if (there != ERR_OK && there != ERR_NOT_FOUND)
        return there;
    err_t e = put_dropin(dir, file, p->flag ? NULL : &p->text, why);
    if (e == ERR_OK)
        e = policy_reload(v, why);
    if (e != ERR_OK && put_dropin(dir, file, there == ERR_OK ? &before : NULL, NULL) != ERR_OK)
        log_event(LOG_LVL_ERROR, "dropin.stale", "consumer", p->name, "why", why->text, NULL);
    return e;
}

static void write_consumer(struct jsonw *w, const struct vault *v, const struct config_consumer *c);

err_t op_policy_finish(struct vault *v, struct pending *p, struct jsonw *w, struct why *why)
{
    err_t e = p->name[0] ? change_dropin(v, p, why) : policy_reload(v, why);
    if (e != ERR_OK) {
        struct audit_record r = {.event = p->op->event,
                                 .outcome = e,
                                 .consumer = p->name[0] ? p->name : NULL,
                                 .peer = server_peer(v, p)};
        server_note(v, &r);
        return e;
    }
    const struct config_consumer *c = config_consumer(v->config, view_str(p->name));
    if (c) {
        write_consumer(w, v, c);
        return ERR_OK;
    }
    jsonw_open(w, NULL, '{');
    jsonw_int(w, "consumers", v->config->n_consumers);
    jsonw_close(w, '}');
    return ERR_OK;
}

/* ---- reading */

static void write_ids(struct jsonw *w, const char *key, const struct config_ids *ids)
{
    jsonw_open(w, key, '[');
    for (unsigned i = 0; i < ids->n; i++)
        jsonw_int(w, NULL, ids->id[i]);
    jsonw_close(w, ']');
}

static void write_texts(struct jsonw *w, const char *key, char **list)
{
    jsonw_open(w, key, '[');
    for (; list && *list; list++)
        jsonw_str(w, NULL, *list);
    jsonw_close(w, ']');
}

static void write_grant(struct jsonw *w, const struct config_grant *g)
{
    jsonw_open(w, NULL, '{');
    jsonw_str(w, "credential", g->credential);
    write_deliveries(w, "deliver", g->deliver);
    jsonw_int(w, "ttl_ms", g->ttl_ms);
    jsonw_int(w, "max_ttl_ms", g->max_ttl_ms);
    jsonw_int(w, "uses", (int64_t)g->uses);
    jsonw_str(w, "owner", g->owner_process ? "process" : "none");
    write_texts(w, "allow", g->allow);
    write_texts(w, "models", g->models);
    jsonw_str(w, "budget", g->budget);
    jsonw_close(w, '}');
}

static void write_consumer(struct jsonw *w, const struct vault *v, const struct config_consumer *c)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/%s/broker.sock", v->dirs->run, c->name);
    jsonw_open(w, NULL, '{');
    jsonw_str(w, "name", c->name);
    jsonw_str(w, "socket", path);
    jsonw_bool(w, "managed", c->managed);
    write_ids(w, "uids", &c->peer.uid);
    write_ids(w, "gids", &c->peer.gid);
    jsonw_str(w, "cgroup", c->peer.cgroup);
    jsonw_open(w, "grants", '[');
    for (unsigned i = 0; i < c->n_grants; i++)
        write_grant(w, &c->grants[i]);
    jsonw_close(w, ']');
    jsonw_int(w, "leases", v->leases ? leases_live_of(v->leases, c->name) : 0);
    jsonw_str(w, "note", c->note);
    jsonw_close(w, '}');
}

enum { CONSUMERS_PER_PAGE = 50 };

err_t op_consumer_list(struct request *rq, struct pending *p, struct jsonw *w)
{
    const struct config *cf = rq->v->config;
    char after[65];
    unsigned n = 0, i = 0;
    (void)p;
    if (!view_copy(msg_view(rq->msg, F_AFTER), after, sizeof(after)))
        return fail(rq->why, ERR_INVALID, "`after` is no name");
    while (i < cf->n_consumers && strcmp(cf->consumers[i].name, after) <= 0)
        i++;
    jsonw_open(w, NULL, '{');
    jsonw_open(w, "consumers", '[');
    for (; i < cf->n_consumers && n < CONSUMERS_PER_PAGE && w->out->len < OP_PAGE_BYTES; i++, n++)
        write_consumer(w, rq->v, &cf->consumers[i]);
    jsonw_close(w, ']');
    jsonw_str(w, "next", i < cf->n_consumers ? cf->consumers[i - 1].name : NULL);
    jsonw_close(w, '}');
    return ERR_OK;
}

err_t op_consumer_show(struct request *rq, struct pending *p, struct jsonw *w)
{
    const struct config_consumer *c = config_consumer(rq->v->config, msg_view(rq->msg, F_CONSUMER));
    (void)p;
    if (!c)
        return fail(rq->why, ERR_NOT_FOUND, "no such consumer; see: broker-cli consumer list");
    write_consumer(w, rq->v, c);
    return ERR_OK;
}
