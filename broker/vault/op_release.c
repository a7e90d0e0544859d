/*
 * A login changes hands. One that is enrolled in a transfer is held until the program's own file is without it (CRED_PUT with HOLD), and then let
 * go; so the broker and the program never renew it both.
 * It goes back to its owner: the one way out for a refresh token, on the operator's socket alone. The order is what keeps the login in one
 * hand: it is recorded; its leases and running requests end; the credential is held, durably, so that nobody is served with it and nothing
 * renews it; only then is it opened. It stays sealed here until the operator has it safe and removes it, so a release that was cut anywhere is
 * done again with the same outcome.
 */
#include "vault/ops.h"

#include "base/auto.h"
#include "vault/refresh.h"
#include "vault/route_table.h"
#include "vault/unlock.h"

#include <string.h>

err_t op_cred_release(struct request *rq, struct pending *p, struct jsonw *w)
{
    const struct credential *c =
        credential_find(rq->v->credentials, msg_view(rq->msg, F_CREDENTIAL));
    (void)w;
    if (!c)
        return fail(rq->why, ERR_NOT_FOUND,
                    "nothing of that name is enrolled; see: broker-cli list");
    if (strcmp(c->kind, "login") != 0 || !c->provider->home_file)
        return fail(rq->why, ERR_CONFLICT,
                    "\"%s\" is no login that came from a program's own file: it does not go back",
                    c->name);
    TRY(refresh_settled(rq, p, c));
    if (rq->deferred)
        return ERR_OK;
    (void)view_copy(view_str(c->name), p->name, sizeof(p->name));
    struct audit_record r = {.event = AUDIT_CRED_RELEASE,
                             .outcome = ERR_OK,
                             .credential = p->name,
                             .provider = c->provider->name,
                             .account = c->account[0] ? c->account : NULL,
                             .version = c->version,
                             .peer = &rq->conn->peer};
    return server_record(rq->v, &r, p, rq->why);
}

static err_t hold(struct vault *v, const struct credential *c, unsigned *ended, struct why *why)
{
    struct op_lease_filter f = {.credential = view_str(c->name)};
    *ended = op_end_leases(v, &f);
    route_end_credential(v, c->name);
    if (c->released)
        return ERR_OK;
    TRY(credential_hold(v->credentials, view_str(c->name), true, why));
    unlock_note_commit(v);
    return ERR_OK;
}

static void write_fields(struct jsonw *w, const struct cred *cred)
{
    jsonw_open(w, "fields", '{');
    for (unsigned f = 1; f < CF__COUNT; f++)
        if (cred_has(cred, (enum cred_field)f))
            jsonw_view(w, cred_field_name((enum cred_field)f), cred->f[f]);
    jsonw_close(w, '}');
}

/* The change was recorded as made: a second record says that it was not. */
static err_t settle(struct vault *v, const struct pending *p, err_t e)
{
    struct audit_record r = {
        .event = p->op->event, .outcome = e, .credential = p->name, .peer = server_peer(v, p)};
    if (e != ERR_OK)
        server_note(v, &r);
    return e;
}

static err_t release(struct vault *v, const struct pending *p, struct jsonw *w, struct why *why)
{
    const struct cred *cred = NULL;
    unsigned ended = 0;
    const struct credential *c =
        v->credentials ? credential_find(v->credentials, view_str(p->name)) : NULL;
    if (!c)
        return fail(why, ERR_NOT_FOUND, "the credential was removed meanwhile");
    struct refresh_view r;
    refresh_look(v, c, &r);
    if (r.running) /* one that began between the record and now: what would go out is about to be replaced */
        return fail(why, ERR_CONFLICT, "\"%s\" is being renewed: try again", c->name);
    TRY(hold(v, c, &ended, why));
    TRY(credential_view(v->credentials, c, &cred, why));
    jsonw_open(w, NULL, '{');
    jsonw_str(w, "name", c->name);
    jsonw_str(w, "provider", c->provider->name);
    jsonw_int(w, "version", (int64_t)c->version);
    jsonw_int(w, "ended", ended);
    write_fields(w, cred);
    jsonw_close(w, '}');
    return ERR_OK;
}

err_t op_cred_released(struct vault *v, struct pending *p, struct jsonw *w, struct why *why)
{
    return settle(v, p, release(v, p, w, why));
}

/* ---- let go */

err_t op_cred_resume(struct request *rq, struct pending *p, struct jsonw *w)
{
    const struct credential *c =
        credential_find(rq->v->credentials, msg_view(rq->msg, F_CREDENTIAL));
    (void)w;
    if (!c)
        return fail(rq->why, ERR_NOT_FOUND,
                    "nothing of that name is enrolled; see: broker-cli list");
    (void)view_copy(view_str(c->name), p->name, sizeof(p->name));
    struct audit_record r = {.event = AUDIT_CRED_RESUME,
                             .outcome = ERR_OK,
                             .credential = p->name,
                             .provider = c->provider->name,
                             .version = c->version,
                             .peer = &rq->conn->peer};
    return server_record(rq->v, &r, p, rq->why);
}

static err_t resume(struct vault *v, const struct pending *p, struct jsonw *w, struct why *why)
{
    const struct credential *c =
        v->credentials ? credential_find(v->credentials, view_str(p->name)) : NULL;
    if (!c)
        return fail(why, ERR_NOT_FOUND, "the credential was removed meanwhile");
    if (c->released) {
        TRY(credential_hold(v->credentials, view_str(p->name), false, why));
        unlock_note_commit(v);
        refresh_note_change(v, p->name);
    }
    jsonw_open(w, NULL, '{');
    jsonw_str(w, "resumed", p->name);
    jsonw_close(w, '}');
    return ERR_OK;
}

err_t op_cred_resumed(struct vault *v, struct pending *p, struct jsonw *w, struct why *why)
{
    return settle(v, p, resume(v, p, w, why));
}
