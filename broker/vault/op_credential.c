/*
 * Credentials as an operator manages them. A change is recorded first and made when the record is durable; if the change itself then
 * fails, a second record says so.
 */
#include "vault/ops.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/name.h"
#include "vault/deliver.h"
#include "vault/refresh.h"
#include "vault/unlock.h"

#include <string.h>

enum { PER_PAGE = 100, PER_PAGE_MAX = 500 };

static err_t check_put(struct request *rq, struct pending *p, bool replace)
{
    const struct msg *m = rq->msg;
    struct view name = msg_view(m, F_CREDENTIAL);
    const struct credential *old = NULL;
    struct cred cred;
    TRY(name_check(name, "credential", rq->why));
    old = credential_find(rq->v->credentials, name);
    if (old && !replace)
        return fail(
            rq->why, ERR_EXISTS,
            "\"%s\" is enrolled already; to put a new login in its place: broker-cli replace %s",
            old->name, old->name);
    if (!old && replace)
        return fail(rq->why, ERR_NOT_FOUND,
                    "nothing of that name is enrolled; use: broker-cli enroll");
    struct view pname =
        m->has[F_PROVIDER] ? msg_view(m, F_PROVIDER) : view_str(old ? old->provider->name : "");
    const struct provider *prov = provider_by_name(pname);
    if (!prov)
        return fail(rq->why, ERR_INVALID, "no such provider; see: broker-cli enroll --help");
    TRY(cred_decode(msg_view(m, F_BODY), &cred, rq->why));
    TRY(prov->validate(&cred, rq->why));
    TRY(read_deliveries(msg_view(m, F_DELIVER), &p->number, rq->why));
    (void)view_copy(name, p->name, sizeof(p->name));
    (void)view_copy(view_str(prov->name), p->name2, sizeof(p->name2));
    return ERR_OK;
}

err_t op_cred_put(struct request *rq, struct pending *p, struct jsonw *w)
{
    bool replace = msg_u64(rq->msg, F_FLAGS, 0) == 1;
    struct view body = msg_view(rq->msg, F_BODY);
    (void)w;
    TRY(check_put(rq, p, replace));
    p->payload = body.n && body.n <= SECRET_MAX ? secret_from(body.p, body.n) : NULL;
    if (!p->payload)
        return fail(rq->why, ERR_TOO_LARGE, "a credential has 1 to %d bytes", SECRET_MAX);
    p->flag = replace;
    p->hold = msg_u64(rq->msg, F_HOLD, 0) == 1;
    struct audit_record r = {.event = replace ? AUDIT_CRED_REPLACE : AUDIT_CRED_ENROLL,
                             .outcome = ERR_OK,
                             .credential = p->name,
                             .provider = p->name2,
                             .peer = &rq->conn->peer};
    return server_record(rq->v, &r, p, rq->why);
}

static err_t note_failure(struct vault *v, const struct pending *p, enum audit_event event, err_t e)
{
    v->swept = false; /* its record may be left */
    struct audit_record r = {.event = event,
                             .outcome = e,
                             .credential = p->name,
                             .peer = server_peer(v, p),
                             .provider = p->name2[0] ? p->name2 : NULL};
    server_note(v, &r);
    return e;
}

err_t op_cred_put_finish(struct vault *v, struct pending *p, struct jsonw *w, struct why *why)
{
    const struct credential *c = NULL;
    if (!v->credentials)
        return fail(why, ERR_LOCKED, "%s", v->state_why);
    struct credential_put put = {.name = view_str(p->name),
                                 .provider = view_str(p->name2),
                                 .canonical =
                                     VIEW(secret_bytes(p->payload), secret_len(p->payload)),
                                 .ceiling = p->number,
                                 .replace = p->flag,
                                 .hold = p->hold,
                                 .now_ms = clock_wall_ms()};
    err_t e = credential_put(v->credentials, &put, &c, why);
    if (e != ERR_OK)
        return note_failure(v, p, p->flag ? AUDIT_CRED_REPLACE : AUDIT_CRED_ENROLL, e);
    unlock_note_commit(v);
    refresh_note_change(v, p->name);
    if (p->flag) {
        route_end_credential(v, p->name);
        deliver_refresh(v, p->name);
    }
    jsonw_open(w, NULL, '{');
    op_write_credential(v, w, c);
    jsonw_close(w, '}');
    return ERR_OK;
}

err_t op_cred_list(struct request *rq, struct pending *p, struct jsonw *w)
{
    char after[65];
    uint64_t limit = msg_u64(rq->msg, F_COUNT, PER_PAGE);
    const struct credential *c = NULL;
    (void)p;
    if (!view_copy(msg_view(rq->msg, F_AFTER), after, sizeof(after)))
        return fail(rq->why, ERR_INVALID, "`after` is no name");
    const char *at = after;
    jsonw_open(w, NULL, '{');
    jsonw_open(w, "credentials", '[');
    for (uint64_t n = 0;
         n < (limit > PER_PAGE_MAX ? PER_PAGE_MAX : limit) && w->out->len < OP_PAGE_BYTES; n++) {
        const struct credential *next = credential_next(rq->v->credentials, at);
        if (!next)
            break;
        c = next;
        at = c->name;
        jsonw_open(w, NULL, '{');
        op_write_credential(rq->v, w, c);
        jsonw_close(w, '}');
    }
    jsonw_close(w, ']');
    jsonw_str(w, "next", c && credential_next(rq->v->credentials, at) ? c->name : NULL);
    jsonw_close(w, '}');
    return ERR_OK;
}

static err_t find(struct request *rq, const struct credential **out)
{
    *out = credential_find(rq->v->credentials, msg_view(rq->msg, F_CREDENTIAL));
    if (!*out)
        return fail(rq->why, ERR_NOT_FOUND,
                    "nothing of that name is enrolled; see: broker-cli list");
    return ERR_OK;
}

err_t op_cred_show(struct request *rq, struct pending *p, struct jsonw *w)
{
    AUTO(buf_free) struct buf detail = {.max = 16384};
    const struct credential *c = NULL;
    const struct cred *cred = NULL;
    (void)p;
    TRY(find(rq, &c));
    TRY(credential_view(rq->v->credentials, c, &cred, rq->why));
    cred_describe(c->provider, cred, &detail);
    TRY(buf_ok(&detail, rq->why));
    jsonw_open(w, NULL, '{');
    op_write_credential(rq->v, w, c);
    write_deliveries(w, "deliver", deliver_possible(c));
    jsonw_hex(w, "hash", c->hash, 8);
    jsonw_raw(w, "detail", buf_view(&detail));
    jsonw_close(w, '}');
    return ERR_OK;
}

err_t op_cred_remove(struct request *rq, struct pending *p, struct jsonw *w)
{
    const struct credential *c = NULL;
    (void)w;
    TRY(find(rq, &c));
    (void)view_copy(view_str(c->name), p->name, sizeof(p->name));
    struct audit_record r = {.event = AUDIT_CRED_REMOVE,
                             .outcome = ERR_OK,
                             .credential = p->name,
                             .provider = c->provider->name,
                             .version = c->version,
                             .peer = &rq->conn->peer};
    return server_record(rq->v, &r, p, rq->why);
}

err_t op_cred_remove_finish(struct vault *v, struct pending *p, struct jsonw *w, struct why *why)
{
    if (!v->credentials)
        return fail(why, ERR_LOCKED, "%s", v->state_why);
    struct op_lease_filter f = {.credential = view_str(p->name)};
    unsigned ended = op_end_leases(v, &f);
    err_t e = credential_remove(v->credentials, view_str(p->name), why);
    if (e != ERR_OK)
        return note_failure(v, p, AUDIT_CRED_REMOVE, e);
    route_end_credential(v, p->name);
    unlock_note_commit(v);
    jsonw_open(w, NULL, '{');
    jsonw_str(w, "removed", p->name);
    jsonw_int(w, "ended", ended);
    jsonw_close(w, '}');
    return ERR_OK;
}
