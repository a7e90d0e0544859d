/*
 * The request on its way up. Invariant: what was given to the upstream is the head, then a prefix of the payload, each byte once; bytes behind the
 * body are never looked at here. Nothing is read from the client while something waits for the upstream: back-pressure is not reading.
 */
#include "proxy/stream.h"

#include "base/auto.h"
#include "proxy/rewrite.h"

#include <broker/secret.h>
#include <errno.h>
#include <string.h>

enum { IOV = 6, PIECE = PROXY_READ };

void stream_up_clear(struct stream_up *u)
{
    buf_free(&u->kept);
    buf_free(&u->out);
}

static bool waits(const struct stream_up *u)
{
    return u->out.len > u->out_done;
}

/* ---- giving to the upstream */

/* It takes no more. Where it took nothing of this request, another connection may; else its reply is awaited: some answer early and close. */
static void on_broken(struct stream *s)
{
    s->up.broken = true;
    if (upstream_reused(s->upstream) && !s->up.sent && !s->down.begun) {
        s->up.broken = false;
        stream_lost_upstream(s, ERR_UNAVAILABLE, "the upstream closed the connection");
    }
}

/* What was not taken stays in `out`. */
static void account(struct stream_up *u, const struct iovec *iov, int n, size_t taken)
{
    size_t waiting = u->out.len - u->out_done, first = taken < waiting ? taken : waiting;
    u->out_done += first;
    taken -= first;
    if (u->out_done == u->out.len) {
        buf_reset(&u->out);
        u->out_done = 0;
    }
    for (int i = 0; i < n; i++) {
        size_t skip = taken < iov[i].iov_len ? taken : iov[i].iov_len;
        buf_add(&u->out, (const uint8_t *)iov[i].iov_base + skip, iov[i].iov_len - skip);
        taken -= skip;
    }
}

/* Gives `iov` behind what waits already, in one call. */
static void give(struct stream *s, const struct iovec *iov, int n)
{
    struct stream_up *u = &s->up;
    struct iovec all[IOV];
    int k = 0;
    u->head_waits = false;
    if (waits(u))
        all[k++] = (struct iovec){u->out.p + u->out_done, u->out.len - u->out_done};
    for (int i = 0; i < n; i++)
        all[k++] = iov[i];
    ssize_t taken = upstream_writev(s->upstream, all, k);
    bool broken = taken < 0 && errno != EAGAIN;
    u->sent = u->sent || taken > 0;
    account(u, iov, n, taken > 0 ? (size_t)taken : 0);
    if (u->out.bad)
        stream_fail(s, ERR_TOO_LARGE, "the request cannot be held");
    else if (broken)
        on_broken(s);
}

static void give_payload(struct stream *s, struct view data)
{
    char head[CHUNK_HEAD_ROOM];
    struct iovec iov[3] = {{0}, {(void *)data.p, data.n}, {(void *)"\r\n", 2}};
    if (s->up.body == GATE_BODY_LENGTH) {
        give(s, &iov[1], 1);
        return;
    }
    iov[0] = (struct iovec){head, chunk_head(data.n, head)};
    give(s, iov, 3);
}

err_t stream_up_head(struct stream *s, const struct gate_request *rq, struct why *why)
{
    TRY(rewrite_request(rq, &s->route->route, &s->up.out, why));
    s->up.head_waits = true; /* goes with the first of its body */
    if (!(s->route->route.flags & ROUTE_RENEWS))
        buf_free(&s->request);
    return ERR_OK;
}

void stream_up_begin(struct stream *s)
{
    struct gate_request rq;
    struct gate_refusal no;
    struct why why = {0};
    size_t used;
    if (waits(
            &s->up)) /* written already; or another connection was dead before it took any of it */
        return;
    if (gate_request(buf_view(&s->request), &rq, &used, &no) != GATE_OK) {
        stream_fail(s, ERR_INTERNAL, NULL);
        return;
    }
    err_t e = stream_up_head(s, &rq, &why);
    if (e != ERR_OK)
        stream_fail(s, e, why.text);
}

/* ---- what the client sent */

typedef void payload_fn(struct stream *s, struct view data);

static enum chunk_result next(struct stream_up *u, struct view *in, struct view *data)
{
    if (u->body == GATE_BODY_CHUNKED)
        return chunk_next(&u->chunks, in, data);
    *data = VIEW(in->p, in->n < u->left ? in->n : (size_t)u->left);
    *in = VIEW(in->p + data->n, in->n - data->n);
    u->left -= data->n;
    u->read_all = u->left == 0;
    return data->n ? CHUNK_DATA : CHUNK_MORE;
}

/* Hands all payload in *in to `fn`. False: the stream is over. */
static bool hand_out(struct stream *s, struct view *in, payload_fn *fn)
{
    struct client *c = s->client;
    struct view data;
    while (!s->up.read_all && in->n > 0) {
        enum chunk_result r = next(&s->up, in, &data);
        if (r == CHUNK_END)
            s->up.read_all = true;
        if (r == CHUNK_BAD) {
            stream_fail(s, ERR_INVALID, "the body's chunks are malformed");
            return false;
        }
        if (r != CHUNK_DATA)
            continue;
        s->up.bytes += data.n;
        fn(s, data);
        if (c->stream != s)
            return false;
    }
    return true;
}

static void keep_rest(struct client *c, struct view rest, bool kept)
{
    if (kept && rest.n)
        memmove(c->in.p, rest.p, rest.n);
    if (kept)
        c->in.len = rest.n;
    else
        buf_add_view(&c->in, rest);
    if (c->in.len == 0)
        buf_free(&c->in);
}

/* Reads once. False: nothing is there, or the stream is over. */
static bool live(struct stream *s, payload_fn *fn)
{
    struct client *c = s->client;
    bool kept = c->in.len > 0;
    size_t n = kept ? c->in.len : client_read(c);
    struct view in = VIEW(kept ? c->in.p : c->proxy->scratch, n);
    if (n == 0)
        return false;
    bool good = hand_out(s, &in, fn);
    keep_rest(c, in, kept);
    return good;
}

/* The client went away in the middle of its body. */
static void check_eof(struct stream *s)
{
    if (s->client->eof && !s->up.read_all && s->client->in.len == 0)
        stream_fail(s, ERR_INVALID, "the request's body ended before its end");
}

/* Somebody is there to take the body. */
static bool wants_body(const struct stream *s)
{
    return s->state == STREAM_MODEL || s->state == STREAM_SENDS || s->state == STREAM_TOKEN;
}

void stream_up_expect(struct stream *s)
{
    static const char line[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct iovec iov = {.iov_base = (void *)line, .iov_len = sizeof(line) - 1};
    if (!wants_body(s))
        return;
    s->expect_continue = false;
    if (!client_write(s->client, &iov, 1))
        s->client->eof = true;
}

static void drop(struct stream *s, struct view data)
{
    (void)s;
    (void)data;
}

void stream_up_drain(struct stream *s)
{
    struct client *c = s->client;
    while (c->stream == s && !s->up.read_all && live(s, drop))
        ;
}

static void collect(struct stream *s, struct view data)
{
    buf_add_view(&s->up.kept, data);
    if (s->up.kept.bad)
        stream_fail(s, ERR_TOO_LARGE, "the body is too large for a token request");
}

void stream_up_collect(struct stream *s, size_t max)
{
    struct client *c = s->client;
    s->up.kept.max = max;
    while (c->stream == s && s->state != STREAM_DRAINS && !s->up.read_all && live(s, collect))
        ;
    wipe(c->proxy->scratch, PROXY_READ); /* a token is in it */
    if (c->stream == s && s->state != STREAM_DRAINS && !s->up.read_all)
        check_eof(s);
}

/* ---- the model */

static bool model_is_bad(struct stream *s, enum model_result r)
{
    if (r != MODEL_BAD)
        return false;
    stream_fail(s, ERR_DENIED,
                "the grant limits models, and the body does not name one in a way "
                "that everybody reads alike");
    return true;
}

static void look(struct stream *s, struct view data)
{
    buf_add_view(&s->up.kept, data);
    if (s->up.kept.bad)
        stream_fail(s, ERR_TOO_LARGE, "the request cannot be held");
    else
        (void)model_is_bad(s, model_feed(s->model, data));
}

void stream_up_look(struct stream *s)
{
    struct client *c = s->client;
    enum model_result r = MODEL_MORE;
    bool more = true;
    while (more && c->stream == s && s->state == STREAM_MODEL && r == MODEL_MORE) {
        more = live(s, look);
        if (c->stream != s || s->state != STREAM_MODEL)
            return;
        r = s->up.read_all ? model_end(s->model) : model_feed(s->model, VIEW(NULL, 0));
    }
    if (r == MODEL_FOUND)
        stream_ask_model(s, model_name(s->model));
    else if (!model_is_bad(s, r))
        check_eof(s);
}

/* ---- sending */

static void pass_on(struct stream *s, struct view data)
{
    struct stream_up *u = &s->up;
    if (s->model && model_is_bad(s, model_feed(s->model, data)))
        return;
    u->keeps = u->keeps && u->kept.len + data.n <= STREAM_KEEP_MAX;
    if (u->keeps)
        buf_add_view(&u->kept, data);
    else if (u->kept.len > 0)
        buf_free(&u->kept);
    u->kept_done = u->kept.len;
    if (!u->broken)
        give_payload(s, data);
}

static void send_kept(struct stream *s)
{
    struct stream_up *u = &s->up;
    size_t n = u->kept.len - u->kept_done;
    struct view piece = VIEW(u->kept.p + u->kept_done, n < PIECE ? n : PIECE);
    u->kept_done += piece.n;
    give_payload(s, piece);
    if (s->client->stream == s && u->kept_done == u->kept.len && !u->keeps) {
        buf_free(&u->kept);
        u->kept_done = 0;
    }
}

static void end_body(struct stream *s)
{
    static const char last[] = "0\r\n\r\n";
    struct iovec iov = {.iov_base = (void *)last, .iov_len = sizeof(last) - 1};
    if (s->model && model_is_bad(s, model_end(s->model)))
        return;
    s->up.ended = true;
    if (s->up.body == GATE_BODY_CHUNKED)
        give(s, &iov, 1);
    else if (waits(&s->up))
        give(s, NULL, 0);
}

/* One step. False: nothing can be moved now. The head waits for the first of its body, to go in one call with it. */
static bool step(struct stream *s)
{
    struct client *c = s->client;
    struct stream_up *u = &s->up;
    if (u->broken)
        return live(s, drop);
    if (waits(u) && !u->head_waits) {
        give(s, NULL, 0);
        return c->stream == s && s->ready && !waits(u);
    }
    if (u->ended)
        return false;
    if (u->kept_done < u->kept.len)
        send_kept(s);
    else if (u->read_all)
        end_body(s);
    else if (!live(s, pass_on)) { /* nothing more of the body is here yet */
        if (c->stream == s && s->ready && u->head_waits)
            give(s, NULL, 0);
        return false;
    }
    return c->stream == s && s->ready && (!waits(u) || u->head_waits);
}

void stream_up_run(struct stream *s)
{
    struct client *c = s->client;
    while (c->stream == s && s->ready && step(s))
        ;
    if (c->stream == s && !s->up.read_all)
        check_eof(s);
}
