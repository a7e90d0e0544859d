/*
 * Logins as an operator makes them. None of these waits for the network: a login is begun, and looked at until it has ended. Its
 * beginning is durable before the URL is given out, its end before it is told.
 */
#include "vault/ops.h"

#include "base/auto.h"
#include "vault/login.h"

static err_t find(struct request *rq, struct login **out)
{
    *out = login_find(rq->v, msg_view(rq->msg, F_LOGIN));
    if (!*out)
        return fail(rq->why, ERR_NOT_FOUND,
                    "there is no such login under way; begin one: broker-cli login NAME");
    return ERR_OK;
}

/* What finish() finds it by: the id lies in p->name. */
static void remember(struct pending *p, const struct msg *m)
{
    (void)view_copy(msg_view(m, F_LOGIN), p->name, sizeof(p->name));
}

err_t op_login_begin(struct request *rq, struct pending *p, struct jsonw *w)
{
    const struct msg *m = rq->msg;
    struct login *l = NULL;
    struct login_ask ask = {.name = msg_view(m, F_CREDENTIAL),
                            .provider = msg_view(m, F_PROVIDER),
                            .origin = msg_view(m, F_URL),
                            .header = msg_view(m, F_HEADER),
                            .env = msg_view(m, F_ENV),
                            .client_secret = msg_view(m, F_CLIENT_SECRET),
                            .port = msg_u64(m, F_PORT, 0),
                            .replace = msg_u64(m, F_FLAGS, 0) == 1,
                            .peer = &rq->conn->peer};
    (void)w;
    if (!grant_flow_from_name(msg_view(m, F_FLOW), &ask.flow))
        return fail(rq->why, ERR_INVALID, "flow is page, loopback, device or client");
    TRY(read_deliveries(msg_view(m, F_DELIVER), &ask.ceiling, rq->why));
    TRY(login_begin(rq->v, &ask, &l, rq->why));
    p->pos = login_pos(l);
    login_id(l, p->name);
    return ERR_OK;
}

void op_login_undo(struct vault *v, struct pending *p)
{
    struct login *l = login_find(v, view_str(p->name));
    if (l)
        login_cancel(l);
}

err_t op_login_begun(struct vault *v, struct pending *p, struct jsonw *w, struct why *why)
{
    struct login *l = login_find(v, view_str(p->name));
    if (!l)
        return fail(why, ERR_CONFLICT, "the store was closed meanwhile; begin again");
    login_start(l);
    login_write(l, true, w);
    return ERR_OK;
}

/* A refusal, with the login that was meant. */
static err_t deny(struct request *rq, const struct login *l, err_t e)
{
    char name[65];
    login_name(l, name);
    const struct audit_record r = {
        .event = AUDIT_LOGIN_DENIED, .outcome = e, .credential = name, .peer = &rq->conn->peer};
    server_note(rq->v, &r);
    rq->recorded = true;
    return e;
}

err_t op_login_code(struct request *rq, struct pending *p, struct jsonw *w)
{
    struct login *l = NULL;
    struct view code = msg_view(rq->msg, F_AUTH_CODE), error = msg_view(rq->msg, F_CODE);
    struct view state = msg_view(rq->msg, F_LOGIN_STATE);
    (void)w;
    TRY(find(rq, &l));
    if ((code.n == 0) == (error.n == 0))
        return fail(rq->why, ERR_INVALID, "give either \"code\" or \"error\"");
    err_t e = code.n ? login_take_code(l, code, state, rq->why)
                     : login_take_error(l, error, state, rq->why);
    if (e != ERR_OK)
        return deny(rq, l, e);
    remember(p, rq->msg);
    p->pos = login_pos(l);
    return ERR_OK;
}

err_t op_login_show(struct request *rq, struct pending *p, struct jsonw *w)
{
    struct login *l = NULL;
    (void)w;
    TRY(find(rq, &l));
    remember(p, rq->msg);
    p->pos = login_pos(l);
    return ERR_OK;
}

err_t op_login_shown(struct vault *v, struct pending *p, struct jsonw *w, struct why *why)
{
    const struct login *l = login_find(v, view_str(p->name));
    if (!l)
        return fail(why, ERR_NOT_FOUND, "that login has ended");
    login_write(l, false, w);
    return ERR_OK;
}

err_t op_login_cancel(struct request *rq, struct pending *p, struct jsonw *w)
{
    struct login *l = NULL;
    (void)p;
    TRY(find(rq, &l));
    login_cancel(l);
    jsonw_open(w, NULL, '{');
    jsonw_view(w, "cancelled", msg_view(rq->msg, F_LOGIN));
    jsonw_close(w, '}');
    return ERR_OK;
}
