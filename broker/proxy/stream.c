/*
 * The life of one request. The order is the security argument: the vault decides (stream_begin asks, stream_on_reply hears) before an upstream is
 * taken; the vault has recorded it before it answered; the upstream sees the head only after that; and the vault is told the end exactly
 * once, by tell_end(), whichever way it comes.
 * Nothing here recurses into client_run(): what happens is noted, and the client's loop moves it.
 */
#include "proxy/stream.h"

#include "base/auto.h"
#include "base/clock.h"
#include "proxy/admit.h"
#include "proxy/link.h"
#include "proxy/renewal.h"

#include <broker/secret.h>
#include <string.h>

/* ---- the vault's books */

static void put_usage(struct buf *out, const struct usage *u)
{
    msg_put_u64(out, F_INPUT, u->input);
    msg_put_u64(out, F_OUTPUT, u->output);
    msg_put_u64(out, F_CACHE_READ, u->cache_read);
    msg_put_u64(out, F_CACHE_WRITE, u->cache_write);
}

static void tell_end(struct stream *s, err_t e)
{
    struct buf *out = &s->proxy->packet;
    const struct stream_down *d = &s->down;
    int64_t now = clock_boot_ms();
    if (s->serial == 0)
        return;
    msg_begin(out, MSG_PROXY_END, 0, 0);
    msg_put_u64(out, F_STATUS, e);
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
    link_tell(s->proxy->link, out->bad ? VIEW(NULL, 0) : buf_view(out), false);
    buf_reset(out);
    s->serial = 0;
}

/* ---- beginning and end */

static void drop_upstream(struct stream *s, bool clean)
{
    upstream_give(TAKE(s->upstream), clean);
    s->ready = false;
    s->up.sent = false;
}

static void stream_free(struct stream *s)
{
    drop_upstream(s, false);
    routes_give(s->proxy->routes, s->route);
    model_reader_free(s->model);
    buf_free(&s->request);
    stream_up_clear(&s->up);
    stream_down_clear(&s->down);
    wipe(s, sizeof(*s)); /* what the guard held back may be a credential's beginning */
    free(s);
}

void stream_abort(struct stream *s, err_t e)
{
    tell_end(s, e);
    stream_free(s);
}

static void leave(struct stream *s, bool keep_alive)
{
    struct client *c = s->client;
    client_done(c, keep_alive);
    stream_free(s);
}

void stream_finish(struct stream *s)
{
    bool keep = s->keep_alive && s->up.ended;
    drop_upstream(s, s->down.clean && s->up.ended && s->up.out.len == 0);
    tell_end(s, ERR_OK);
    leave(s, keep);
}

/* Cut in the middle of a reply: what is not written yet is dropped too, for it was not to be passed on. */
static void cut(struct stream *s, err_t e)
{
    struct client *c = s->client;
    tell_end(s, e);
    buf_free(&c->out);
    c->out_done = 0;
    leave(s, false);
}

void stream_answer(struct stream *s, const struct buf *out, unsigned status, err_t e)
{
    struct client *c = s->client;
    struct iovec iov = {.iov_base = out->p, .iov_len = out->len};
    s->asked = 0;
    bool sent = !out->bad && client_write(c, &iov, 1);
    s->down.status = status;
    tell_end(s, e);
    drop_upstream(s, false);
    if (!sent || s->up.read_all || s->expect_continue) {
        leave(s, sent && s->keep_alive && s->up.read_all);
        return;
    }
    s->state =
        STREAM_DRAINS; /* a client that is still writing would not see the answer behind a reset */
}

static void refuse(struct stream *s, const struct refusal *r)
{
    AUTO(buf_free) struct buf out = {0};
    refusal_write(r, &out);
    s->keep_alive = r->keep_alive;
    stream_answer(s, &out, r->status, r->code);
}

static void refuse_with(struct stream *s, err_t e, const char *reason, int64_t retry_ms)
{
    if (s->renewal) {
        renewal_fail(s, e, reason, retry_ms);
        return;
    }
    struct refusal r = {.dialect = s->route ? s->route->route.dialect : s->dialect,
                        .code = e,
                        .message = reason && reason[0] ? reason : err_text(e),
                        .retry_ms = retry_ms,
                        .keep_alive = s->keep_alive,
                        .to_head = s->to_head};
    r.status = refusal_status(e, &r.no_retry);
    refuse(s, &r);
}

void stream_fail(struct stream *s, err_t e, const char *reason)
{
    if (s->state == STREAM_DRAINS || s->down.begun)
        cut(s, e);
    else
        refuse_with(s, e, reason, 0);
}

void stream_cut(struct stream *s, err_t e, const char *reason)
{
    struct client *c = s->client;
    stream_fail(s, e, reason);
    client_run(c);
}

/* ---- asking */

static void ask(struct stream *s, const struct gate_request *rq, const char *model)
{
    uint8_t room[ADMIT_TOKEN_MAX];
    struct buf *out = &s->proxy->packet;
    struct why why = {0};
    struct view token = admit_token(rq, room);
    if (token.n == 0) {
        refuse_with(s, ERR_AUTH,
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
    if (token.p >= room && token.p < room + sizeof(room)) /* it was decoded there */
        wipe(room, sizeof(room));
    s->state = STREAM_ASKS;
    if (e != ERR_OK)
        refuse_with(s, e, why.text, 1000);
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
        ask(s, &rq, model);
    else
        refuse_with(s, ERR_INTERNAL, NULL, 0);
}

static struct stream *stream_new(struct client *c, const struct gate_request *rq)
{
    struct stream *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->client = c;
    s->proxy = c->proxy;
    s->dialect = admit_dialect(rq);
    s->to_head = view_is(rq->method, "HEAD");
    s->http10 = rq->minor == 0;
    s->keep_alive = rq->keep_alive;
    s->expect_continue = rq->expect_continue;
    s->begun_ms = loop_now(c->proxy->loop);
    s->request.max = GATE_HEAD_MAX;
    s->up.body = rq->body;
    s->up.left = rq->length;
    s->up.read_all = rq->body == GATE_BODY_NONE || (rq->body == GATE_BODY_LENGTH && !rq->length);
    s->up.kept.max = s->up.out.max = STREAM_KEEP_MAX + 2 * PROXY_READ;
    s->down.head.max = GATE_HEAD_MAX;
    return s;
}

void stream_begin(struct client *c, const struct gate_request *rq, struct view head)
{
    struct stream *s = stream_new(c, rq);
    if (!s) {
        client_done(c, false);
        return;
    }
    c->stream = s;
    const struct renewal *renewal = renewal_of(rq->path);
    if (renewal) {
        renewal_begin(s, renewal, rq);
        return;
    }
    buf_add_view(&s->request, head);
    ask(s, rq, NULL);
}

/* ---- hearing */

static void needs_model(struct stream *s)
{
    struct gate_request rq;
    struct why why = {0};
    char name[MODEL_NAME_MAX + 1] = "";
    if (!parsed(s, &rq)) {
        refuse_with(s, ERR_INTERNAL, NULL, 0);
        return;
    }
    struct view in_path = model_in_path(rq.path);
    if (in_path.n || s->up.read_all) {
        (void)view_copy(in_path, name, sizeof(name));
        ask(s, &rq, name);
        return;
    }
    struct view coding = gate_header_of(rq.header, rq.n_headers, "content-encoding", NULL);
    if (model_reader_new(coding, &s->model, &why) != ERR_OK) {
        refuse_with(s, ERR_DENIED, why.text, 0);
        return;
    }
    s->up.keeps = true;
    s->state = STREAM_MODEL;
}

/* May be called from inside upstream_take(), which then tells it itself. */
static void on_ready(void *ctx, err_t e, const struct why *why)
{
    struct stream *s = ctx;
    struct client *c = s->client;
    s->ready = e == ERR_OK;
    if (e != ERR_OK)
        s->upstream = NULL; /* it is gone already */
    if (s->taking) {
        s->took = e;
        s->proxy->why = why ? *why : (struct why){0};
        return;
    }
    if (e != ERR_OK)
        stream_fail(s, e == ERR_DENIED ? ERR_UNAVAILABLE : e, why->text);
    client_run(c);
}

static void on_event(void *ctx)
{
    client_run(((struct stream *)ctx)->client);
}

static void take_upstream(struct stream *s)
{
    struct why why = {0};
    const struct upstream_user user = {s, on_ready, on_event};
    s->state = STREAM_CONNECTS;
    s->taking = true;
    s->took = ERR_OK;
    err_t e =
        upstream_take(s->proxy->upstreams, &s->route->route, s->fresh, &user, &s->upstream, &why);
    s->taking = false;
    if (e == ERR_OK && s->took != ERR_OK) {
        e = s->took == ERR_DENIED ? ERR_UNAVAILABLE : s->took;
        why = s->proxy->why;
    }
    if (e == ERR_OK)
        return;
    s->upstream = NULL;
    stream_fail(s, e, why.text);
}

static void begun(struct stream *s, const struct msg *m)
{
    s->serial = msg_u64(m, F_SERIAL, 0);
    s->route = routes_take(s->proxy->routes, msg_u64(m, F_ROUTE, 0));
    bool lease = hex_decode(msg_view(m, F_LEASE), s->lease, sizeof(s->lease));
    if (s->serial == 0 || !s->route || !lease) {
        refuse_with(s, ERR_INTERNAL, "the vault's answer names no route", 0);
        return;
    }
    s->up.keeps = s->route->route.flags & ROUTE_RENEWS;
    take_upstream(s);
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
        refuse_with(s, e == ERR_OK ? ERR_INTERNAL : e, reason, 0);
        return;
    }
    routes_give(s->proxy->routes, s->route);
    s->route = r;
    s->up.kept_done = 0;
    s->up.ended = false;
    take_upstream(s);
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
        refuse_with(s, e, reason, (int64_t)msg_u64(m, F_RETRY_MS, 0));
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
    drop_upstream(s, false);
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
        refuse_with(s, e, why.text, 0);
}

void stream_lost_upstream(struct stream *s, err_t e, const char *reason)
{
    bool race = s->upstream && upstream_reused(s->upstream) && !s->up.sent && !s->down.begun;
    drop_upstream(s, false);
    if (!race) {
        stream_fail(s, e, reason);
        return;
    }
    s->fresh = true; /* what was to be sent is in up.out still, whole */
    take_upstream(s);
}

/* ---- moving */

static int patience(const struct stream *s)
{
    const struct proxy_times *t = &s->proxy->times;
    switch (s->state) {
    case STREAM_ASKS:
    case STREAM_AGAIN:
        return t->vault;
    case STREAM_MODEL:
    case STREAM_TOKEN:
    case STREAM_DRAINS:
        return t->body;
    case STREAM_CONNECTS:
        return UPSTREAM_CONNECT_MS + t->vault;
    case STREAM_SENDS:
        return s->up.ended ? t->first_byte : t->body;
    case STREAM_REPLIES:
        return t->silence;
    }
    return t->silence;
}

void stream_run(struct stream *s)
{
    struct client *c = s->client;
    if (s->state == STREAM_CONNECTS && s->ready) {
        s->state = STREAM_SENDS;
        stream_up_begin(s);
    }
    if (c->stream == s && s->expect_continue)
        stream_up_expect(s);
    if (c->stream == s && s->state == STREAM_MODEL)
        stream_up_look(s);
    if (c->stream == s && s->state == STREAM_TOKEN)
        renewal_run(s);
    if (c->stream == s && (s->state == STREAM_SENDS || s->state == STREAM_REPLIES))
        stream_up_run(s);
    if (c->stream == s && (s->state == STREAM_SENDS || s->state == STREAM_REPLIES))
        stream_down_run(s);
    if (c->stream == s && s->state == STREAM_DRAINS) {
        stream_up_drain(s); /* malformed chunks end it */
        if (c->stream == s && (s->up.read_all || c->eof))
            leave(s, s->keep_alive && s->up.read_all);
    }
    if (c->stream == s && s->upstream && s->ready)
        upstream_want(s->upstream, client_flushed(c), s->up.out.len > 0);
    if (c->stream == s && client_flushed(c))
        c->deadline_ms = loop_now(s->proxy->loop) + patience(s);
}
