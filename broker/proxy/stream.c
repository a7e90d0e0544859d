/*
 * The life of one request, from the client's head to the last byte of its reply, and the ways it can end early. What it says to the vault, and
 * hears from it, is in stream_ask.c; its two directions are in stream_up.c and stream_down.c.
 * Nothing here recurses into client_run(): what happens is noted, and the client's loop moves it.
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

/* ---- beginning and end */

void stream_drop_upstream(struct stream *s, bool clean)
{
    upstream_give(TAKE(s->upstream), clean);
    s->ready = false;
    s->up.sent = false;
}

static void stream_free(struct stream *s)
{
    stream_drop_upstream(s, false);
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
    stream_tell_end(s, e);
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
    if (!keep)
        allowance_drop(s->client);
    stream_drop_upstream(s, s->down.clean && s->up.ended && s->up.out.len == 0);
    stream_tell_end(s, ERR_OK);
    leave(s, keep);
}

/* Cut in the middle of a reply: what is not written yet is dropped too, for it was not to be passed on. */
static void cut(struct stream *s, err_t e)
{
    struct client *c = s->client;
    stream_tell_end(s, e);
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
    stream_tell_end(s, e);
    stream_drop_upstream(s, false);
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

void stream_refuse(struct stream *s, err_t e, const char *reason, int64_t retry_ms)
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
        stream_refuse(s, e, reason, 0);
}

void stream_cut(struct stream *s, err_t e, const char *reason)
{
    struct client *c = s->client;
    stream_fail(s, e, reason);
    client_run(c);
}

void stream_rest(struct stream *s, int64_t now_ms)
{
    if (s->upstream && s->ready && now_ms - s->begun_ms > PROXY_SWEEP_MS)
        upstream_rest(s->upstream);
    if (s->state == STREAM_REPLIES)
        stream_tell_usage(s);
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
        allowance_end(c);
        renewal_begin(s, renewal, rq);
        return;
    }
    stream_ask_first(s, rq, head);
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

void stream_take_upstream(struct stream *s)
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

void stream_lost_upstream(struct stream *s, err_t e, const char *reason)
{
    bool race = s->upstream && upstream_reused(s->upstream) && !s->up.sent && !s->down.begun;
    stream_drop_upstream(s, false);
    if (!race) {
        stream_fail(s, e, reason);
        return;
    }
    s->fresh = true; /* what was to be sent is in up.out still, whole */
    stream_take_upstream(s);
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
