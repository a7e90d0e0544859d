/*
 * What a stream and the vault say to each other. The order is the security argument: the vault decides and has recorded it before it answers, or it
 * has done so for a number of requests in advance (allowance.h); only then is an upstream taken; and the vault is told the end exactly once.
 */
#include "proxy/stream.h"

#include "base/auto.h"
#include "base/clock.h"
#include "proxy/admit.h"
#include "proxy/allowance.h"
#include "proxy/link.h"
#include "proxy/renewal.h"

#include <broker/secret.h>
#include <string.h>

enum { USAGE_EVERY_MS = 250 };

/* ---- the vault's books */

static void put_usage(struct buf *out, const struct usage *u)
{
    msg_put_u64(out, F_INPUT, u->input);
    msg_put_u64(out, F_OUTPUT, u->output);
    msg_put_u64(out, F_CACHE_READ, u->cache_read);
    msg_put_u64(out, F_CACHE_WRITE, u->cache_write);
}

void stream_tell_usage(struct stream *s)
{
    struct buf *out = &s->proxy->packet;
    int64_t now = loop_now(s->proxy->loop);
    if (!s->down.untold || s->serial == 0 || now - s->down.told_ms < USAGE_EVERY_MS)
        return;
    s->down.untold = false;
    s->down.told_ms = now;
    msg_begin(out, MSG_PROXY_USAGE, 0, 0);
    msg_put_u64(out, F_SERIAL, s->serial);
    put_usage(out, &s->down.usage.total);
    link_news(s->proxy->link, buf_view(out), true);
    buf_reset(out);
}

void stream_tell_end(struct stream *s, err_t e)
{
    struct buf *out = &s->proxy->packet;
    const struct stream_down *d = &s->down;
    int64_t now = clock_boot_ms();
    if (s->serial == 0)
        return;
    bool goes_on = e == ERR_OK && allowance_goes_on(s->client, s->serial);
    msg_begin(out, MSG_PROXY_END, 0, 0);
    msg_put_u64(out, F_STATUS, e);
    if (goes_on)
        msg_put_u64(out, F_FLAGS, PROXY_END_GOES_ON);
    else
        allowance_drop(s->client);
    msg_put_u64(out, F_SERIAL, s->serial);
    if (d->usage.total.model[0])
        msg_put_str(out, F_MODEL, d->usage.total.model);
    msg_put_u64(out, F_HTTP_STATUS, d->status);
    msg_put_u64(out, F_IN_BYTES, s->up.bytes);
    msg_put_u64(out, F_OUT_BYTES, d->bytes);
    msg_put_u64(out, F_DURATION_MS, (uint64_t)(now - s->begun_ms));
    msg_put_u64(out, F_FIRST_MS, d->first_ms ? (uint64_t)(d->first_ms - s->begun_ms) : 0);
    if (d->usage.total.seen)
        put_usage(out, &d->usage.total);
    link_news(s->proxy->link, out->bad ? VIEW(NULL, 0) : buf_view(out), false);
    buf_reset(out);
    s->serial = 0;
}

/* ---- asking */

static void ask(struct stream *s, const struct gate_request *rq, struct view token,
                const char *model)
{
    struct buf *out = &s->proxy->packet;
    struct why why = {0};
    if (token.n == 0) {
        stream_refuse(s, ERR_AUTH,
                      "no token of the broker came with the request: start the program through "
                      "broker-exec",
                      0);
        return;
    }
    s->asked = ++s->proxy->questions;
    msg_begin(out, MSG_PROXY_BEGIN, s->asked, s->client->id);
    msg_put(out, F_TOKEN, token);
    msg_put(out, F_OP, rq->method);
    msg_put(out, F_URI_PATH, rq->path);
    msg_put_str(out, F_MODEL, model);
    err_t e = out->bad ? fail(&why, ERR_INVALID, "the path or the model's name cannot be told on")
                       : link_request(s->proxy->link, s->client, buf_view(out), &why);
    buf_reset(out);
    s->state = STREAM_ASKS;
    if (e != ERR_OK)
        stream_refuse(s, e, why.text, 1000);
}

/* Once more, with the model. */
static void ask_model(struct stream *s, const struct gate_request *rq, const char *model)
{
    AUTO(admit_wipe) struct admit_room room;
    room.used = 0;
    ask(s, rq, admit_token(rq, &room), model);
}

/* It begins at once where the vault has allowed it in advance. */
static bool begin_allowed(struct stream *s, const struct gate_request *rq, struct view token,
                          struct view head)
{
    s->route = allowance_use(s->client, rq, token, s->lease, &s->serial);
    if (!s->route) {
        allowance_end(s->client);
        return false;
    }
    struct why why = {0};
    s->up.keeps = s->route->route.flags & ROUTE_RENEWS;
    if (s->up.keeps)
        buf_add_view(&s->request, head);
    err_t e = stream_up_head(s, rq, &why);
    if (e == ERR_OK)
        stream_take_upstream(s);
    else
        stream_refuse(s, e, why.text, 0);
    return true;
}

void stream_ask_first(struct stream *s, const struct gate_request *rq, struct view head)
{
    AUTO(admit_wipe) struct admit_room room;
    room.used = 0;
    struct view token = admit_token(rq, &room);
    if (begin_allowed(s, rq, token, head))
        return;
    buf_add_view(&s->request, head);
    ask(s, rq, token, NULL);
}

/* The head again, from the copy: it was good the first time. */
static bool parsed(const struct stream *s, struct gate_request *rq)
{
    struct gate_refusal no;
    size_t used;
    return gate_request(buf_view(&s->request), rq, &used, &no) == GATE_OK;
}

void stream_ask_model(struct stream *s, const char *model)
{
    struct gate_request rq;
    if (parsed(s, &rq))
        ask_model(s, &rq, model);
    else
        stream_refuse(s, ERR_INTERNAL, NULL, 0);
}

/* ---- hearing */

static void needs_model(struct stream *s)
{
    struct gate_request rq;
    struct why why = {0};
    char name[MODEL_NAME_MAX + 1] = "";
    if (!parsed(s, &rq)) {
        stream_refuse(s, ERR_INTERNAL, NULL, 0);
        return;
    }
    struct view in_path = model_in_path(rq.path);
    if (in_path.n || s->up.read_all) {
        (void)view_copy(in_path, name, sizeof(name));
        ask_model(s, &rq, name);
        return;
    }
    struct view coding = gate_header_of(rq.header, rq.n_headers, "content-encoding", NULL);
    if (model_reader_new(coding, &s->model, &why) != ERR_OK) {
        stream_refuse(s, ERR_DENIED, why.text, 0);
        return;
    }
    s->up.keeps = true;
    s->state = STREAM_MODEL;
}

static void take_allowance(struct stream *s, const struct msg *m)
{
    AUTO(admit_wipe) struct admit_room room;
    struct gate_request rq;
    room.used = 0;
    if (parsed(s, &rq))
        allowance_take(s->client, m, &rq, admit_token(&rq, &room));
}

static void begun(struct stream *s, const struct msg *m)
{
    s->serial = msg_u64(m, F_SERIAL, 0);
    s->route = routes_take(s->proxy->routes, msg_u64(m, F_ROUTE, 0));
    bool lease = hex_decode(msg_view(m, F_LEASE), s->lease, sizeof(s->lease));
    if (s->serial == 0 || !s->route || !lease) {
        stream_refuse(s, ERR_INTERNAL, "the vault's answer names no route", 0);
        return;
    }
    if (m->has[F_USES])
        take_allowance(s, m);
    s->up.keeps = s->route->route.flags & ROUTE_RENEWS;
    stream_take_upstream(s);
}

/* The vault's word on a 401: a newer credential, or the end. */
static void again(struct stream *s, const struct msg *m, err_t e)
{
    char reason[256];
    struct proxy_route *r =
        e == ERR_OK ? routes_take(s->proxy->routes, msg_u64(m, F_ROUTE, 0)) : NULL;
    if (!r) {
        (void)view_copy(msg_view(m, F_REASON), reason, sizeof(reason));
        s->down.status = 401;
        stream_refuse(s, e == ERR_OK ? ERR_INTERNAL : e, reason, 0);
        return;
    }
    routes_give(s->proxy->routes, s->route);
    s->route = r;
    s->up.kept_done = 0;
    s->up.ended = false;
    stream_take_upstream(s);
}

void stream_on_reply(struct stream *s, const struct msg *m)
{
    struct client *c = s->client;
    uint64_t status = msg_u64(m, F_STATUS, ERR_INTERNAL);
    err_t e = status < ERR__COUNT ? (err_t)status : ERR_INTERNAL;
    char reason[256];
    (void)view_copy(msg_view(m, F_REASON), reason, sizeof(reason));
    s->asked = 0;
    if (s->renewal)
        renewal_on_reply(s, m);
    else if (s->state == STREAM_AGAIN)
        again(s, m, e);
    else if (e != ERR_OK)
        stream_refuse(s, e, reason, (int64_t)msg_u64(m, F_RETRY_MS, 0));
    else if (msg_u64(m, F_FLAGS, 0) & PROXY_NEEDS_MODEL && s->model == NULL)
        needs_model(s);
    else
        begun(s, m);
    client_run(c);
}

void stream_ask_again(struct stream *s)
{
    struct buf *out = &s->proxy->packet;
    struct why why = {0};
    stream_drop_upstream(s, false);
    buf_reset(&s->up.out);
    s->up.out_done = 0;
    s->up.broken = false;
    s->retried = true;
    s->state = STREAM_AGAIN;
    s->asked = ++s->proxy->questions;
    msg_begin(out, MSG_PROXY_AGAIN, s->asked, s->client->id);
    msg_put_u64(out, F_SERIAL, s->serial);
    msg_put_u64(out, F_ROUTE, s->route->id);
    err_t e = link_request(s->proxy->link, s->client, buf_view(out), &why);
    buf_reset(out);
    if (e != ERR_OK)
        stream_refuse(s, e, why.text, 0);
}
