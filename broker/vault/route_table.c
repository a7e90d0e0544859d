/*
 * Routes in use. Invariants: `holders` is the set of workers that were sent ROUTE and not yet ROUTE_END; a route that has ended is held by
 * nobody; it is freed when no lease points to it. What a worker holds is the secret of a credential that a live lease of the proxy uses,
 * and none beyond.
 */
#include "vault/route_table.h"

#include "base/auto.h"
#include "provider/inject.h"
#include "vault/worker.h"

#include <stdlib.h>
#include <string.h>

/* ---- building */

static bool applies(const struct config_upstream *u, const struct provider *p, struct view own)
{
    bool named = strcmp(u->provider, p->name) == 0;
    return named && (strcmp(u->provider, "generic") != 0 || view_is(own, u->origin));
}

/* What the operator says of this credential's upstream; zero: nothing. */
static void find_upstream(const struct config *cf, const struct provider *p,
                          const struct cred *cred, struct inject_upstream *out)
{
    struct view own = inject_origin(p, cred);
    for (unsigned i = 0; i < cf->n_upstreams; i++) {
        const struct config_upstream *u = &cf->upstreams[i];
        struct origin o;
        if (!applies(u, p, own) || !origin_parse(view_str(u->origin), &o))
            continue;
        *out = (struct inject_upstream){.tls = o.tls,
                                        .host = o.host,
                                        .port = o.port,
                                        .ca = u->ca ? view_str(u->ca) : VIEW(NULL, 0),
                                        .private_hosts = u->private};
        return;
    }
}

err_t route_build(const struct vault *v, const struct credential *c, const struct cred *cred,
                  struct buf *out, struct why *why)
{
    AUTO(buf_free) struct buf scratch = {.max = 1 << 20};
    struct inject_upstream up = {0};
    struct route r;
    find_upstream(v->config, c->provider, cred, &up);
    TRY(inject_route(c->provider, cred, &up, &scratch, &r, why));
    TRY(route_encode(&r, out, why));
    return buf_ok(out, why);
}

err_t route_check_config(const struct config *c, const char *file, struct why *why)
{
    for (unsigned i = 0; i < c->n_upstreams; i++)
        if (!provider_by_name(view_str(c->upstreams[i].provider)))
            return fail(why, ERR_INVALID,
                        "%s: upstreams: there is no provider \"%s\"; there are anthropic, claude, "
                        "codex, gemini, generic and openai",
                        file, c->upstreams[i].provider);
    return ERR_OK;
}

/* ---- sending and taking back */

static err_t send_route(struct vault_worker *wk, const struct live_route *r,
                        const struct credential *c, struct why *why)
{
    struct vault *v = wk->vault;
    AUTO(auto_secret) struct secret *plain = NULL;
    AUTO(buf_free) struct buf body = {.max = ROUTE_MAX};
    AUTO(buf_free) struct buf packet = {.max = MSG_MAX};
    struct cred cred;
    TRY(credential_open(v->credentials, c, &plain, why));
    TRY(cred_decode(VIEW(secret_bytes(plain), secret_len(plain)), &cred, why));
    TRY(route_build(v, c, &cred, &body, why));
    msg_begin(&packet, MSG_ROUTE, 0, 0);
    msg_put(&packet, F_BODY, buf_view(&body));
    msg_put_u64(&packet, F_ROUTE, r->id);
    TRY(buf_ok(&packet, why));
    worker_send(wk, &packet, -1);
    return ERR_OK;
}

static void end_at_holders(struct vault *v, struct live_route *r)
{
    AUTO(buf_free) struct buf packet = {.max = 256};
    msg_begin(&packet, MSG_ROUTE_END, 0, 0);
    msg_put_u64(&packet, F_ROUTE, r->id);
    for (unsigned k = WORKER_PROXY; k < WORKER__COUNT; k++)
        if (r->holders & 1u << k)
            worker_send(&v->workers[k], &packet, -1);
    r->holders = 0;
    r->ended = true;
}

static void remove_route(struct vault *v, struct live_route *r)
{
    struct live_route **at = &v->routes.all;
    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    free(r);
}

/* Nobody has a use for it any more? */
static void release(struct vault *v, struct live_route *r)
{
    if (r->leases > 0)
        return;
    end_at_holders(v, r);
    remove_route(v, r);
}

/* ---- taking */

static bool is_of(const struct live_route *r, const struct credential *c)
{
    return !r->ended && r->version == c->version && memcmp(r->cred_id, c->id, SEAL_ID) == 0;
}

static struct live_route *find(const struct vault *v, const struct credential *c)
{
    for (struct live_route *r = v->routes.all; r; r = r->next)
        if (is_of(r, c))
            return r;
    return NULL;
}

static struct live_route *make(struct vault *v, const struct credential *c)
{
    struct live_route *r = calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    *r = (struct live_route){
        .id = ++v->routes.last_id, .version = c->version, .next = v->routes.all};
    memcpy(r->cred_id, c->id, SEAL_ID);
    memcpy(r->credential, c->name, sizeof(r->credential));
    v->routes.all = r;
    return r;
}

err_t route_take(struct vault_worker *wk, struct lease *l, const struct credential *c, uint64_t *id,
                 struct why *why)
{
    struct vault *v = wk->vault;
    struct live_route *r = l->route && is_of(l->route, c) ? l->route : find(v, c);
    if (!r)
        r = make(v, c);
    if (!r)
        return fail(why, ERR_UNAVAILABLE, "out of memory");
    if (l->route != r) {
        route_drop_lease(v, l);
        l->route = r;
        r->leases++;
    }
    if (!(r->holders & 1u << wk->kind)) {
        TRY(send_route(wk, r, c, why));
        r->holders |= 1u << wk->kind;
    }
    *id = r->id;
    return ERR_OK;
}

struct live_route *route_of_lease(const struct lease *l)
{
    return l->route;
}

/* ---- ends */

void route_drop_lease(struct vault *v, struct lease *l)
{
    struct live_route *r = l->route;
    l->route = NULL;
    if (!r)
        return;
    r->leases--;
    release(v, r);
}

void route_end_credential(struct vault *v, const char *name)
{
    for (struct live_route *r = v->routes.all, *next; r; r = next) {
        next = r->next;
        if (strcmp(r->credential, name) != 0)
            continue;
        end_at_holders(v, r);
        release(v, r);
    }
}

void route_end_all(struct vault *v)
{
    for (struct live_route *r = v->routes.all, *next; r; r = next) {
        next = r->next;
        end_at_holders(v, r);
        release(v, r);
    }
}

void route_forget_worker(struct vault *v, unsigned kind)
{
    for (struct live_route *r = v->routes.all; r; r = r->next)
        r->holders &= ~(1u << kind);
}

void route_table_close(struct vault *v)
{
    for (struct live_route *r; (r = v->routes.all) != NULL;) {
        r->leases = 0;
        release(v, r);
    }
}
