/*
 * The reply on its way down. Every byte of it passes three readers before the client sees it: the gate (is it clear where it ends?), the guard (is our
 * credential in it?), the usage reader. One read of the upstream becomes one write to the client: what its chunks hold is framed
 * anew as one chunk.
 */
#include "proxy/stream.h"

#include "base/auto.h"
#include "base/log.h"
#include "proxy/rewrite.h"

#include <broker/secret.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

enum { PARTS = 60, INTERIMS_MAX = 32 };

void stream_down_clear(struct stream_down *d)
{
    buf_free(&d->head);
}

/* ---- one write */

/* The pieces of one read: a head, the payload between two chunk lines. */
struct parcel {
    struct view head;
    struct iovec part[PARTS];
    int n;
    size_t bytes;
};

static void parcel_empty(struct parcel *p)
{
    p->head = VIEW(NULL, 0);
    p->n = 0;
    p->bytes = 0;
}

static void add_part(struct parcel *p, struct view v)
{
    if (v.n == 0)
        return;
    p->part[p->n++] = (struct iovec){(void *)v.p, v.n};
    p->bytes += v.n;
}

/* False: the client is gone. */
static bool send_parcel(struct stream *s, struct parcel *p)
{
    static const char end[] = "\r\n0\r\n\r\n", last[] = "0\r\n\r\n";
    struct iovec iov[PARTS + 3];
    char line[CHUNK_HEAD_ROOM];
    bool chunked = s->down.chunked;
    int n = 0;
    if (p->head.n)
        iov[n++] = (struct iovec){(void *)p->head.p, p->head.n};
    if (chunked && p->bytes)
        iov[n++] = (struct iovec){line, chunk_head(p->bytes, line)};
    for (int i = 0; i < p->n; i++)
        iov[n++] = p->part[i];
    if (chunked && p->bytes)
        iov[n++] = (struct iovec){(void *)end, s->down.ended ? sizeof(end) - 1 : 2};
    else if (chunked && s->down.ended)
        iov[n++] = (struct iovec){(void *)last, sizeof(last) - 1};
    s->down.bytes += p->bytes;
    s->down.begun = s->down.begun || n > 0;
    parcel_empty(p);
    return n == 0 || client_write(s->client, iov, n);
}

/* ---- payload */

static void reflected(struct stream *s)
{
    char provider[64];
    (void)view_copy(s->route->route.provider, provider, sizeof(provider));
    log_event(LOG_LVL_ERROR, "upstream.reflected", "provider", provider, NULL);
    wipe(s->proxy->scratch, PROXY_READ);
    stream_fail(s, ERR_CORRUPT, "the upstream sent the credential back: the reply was cut");
}

/* False: it holds the credential. */
static bool pass(struct stream *s, struct view data, struct parcel *p)
{
    struct view held, good;
    if (!guard_feed(s->route->guard, &s->down.guard, data, &held, &good))
        return false;
    s->down.untold |= usage_feed(&s->down.usage, data);
    add_part(p, held);
    add_part(p, good);
    return true;
}

static enum chunk_result next(struct stream_down *d, struct view *in, struct view *data)
{
    switch (d->body) {
    case GATE_BODY_CHUNKED:
        return chunk_next(&d->chunks, in, data);
    case GATE_BODY_LENGTH:
        *data = VIEW(in->p, in->n < d->left ? in->n : (size_t)d->left);
        break;
    case GATE_BODY_UNTIL_CLOSE:
        *data = *in;
        break;
    case GATE_BODY_NONE:
        return CHUNK_END;
    }
    *in = VIEW(in->p + data->n, in->n - data->n);
    if (d->body == GATE_BODY_LENGTH)
        d->left -= data->n;
    return data->n ? CHUNK_DATA : d->body == GATE_BODY_LENGTH && !d->left ? CHUNK_END : CHUNK_MORE;
}

/* The reply is whole: what the guard held back was harmless. */
static void end_reply(struct stream *s, struct view rest, struct parcel *p)
{
    s->down.ended = true;
    s->down.clean = s->down.clean && rest.n == 0;
    if (s->route)
        add_part(p, guard_end(s->route->guard, &s->down.guard));
    bool sent = send_parcel(s, p);
    s->keep_alive = s->keep_alive && sent;
    stream_finish(s);
}

/* Takes what was read, behind the head. */
static void take(struct stream *s, struct view in, struct parcel *p)
{
    struct stream_down *d = &s->down;
    struct view data;
    for (;;) {
        enum chunk_result r = next(d, &in, &data);
        if (r == CHUNK_MORE)
            break;
        if (r == CHUNK_END) {
            end_reply(s, in, p);
            return;
        }
        if (r == CHUNK_BAD) {
            (void)send_parcel(s, p);
            stream_fail(s, ERR_UNAVAILABLE, "the upstream's chunks are malformed");
            return;
        }
        if (!pass(s, data, p)) {
            reflected(s);
            return;
        }
        if (p->n + 3 > PARTS && !send_parcel(s, p))
            break;
    }
    if (!send_parcel(s, p))
        s->client->eof = s->client->closing = true;
}

/* ---- head */

static bool is_redirect(unsigned status)
{
    return status >= 300 && status < 400 && status != 304;
}

/* NULL: it can go down. */
static const char *refuse_head(const struct gate_response *rp)
{
    struct view coding = gate_header_of(rp->header, rp->n_headers, "content-encoding", NULL);
    if (is_redirect(rp->status))
        return "the upstream redirects, and redirects are not followed";
    if (coding.n && !(coding.n == 8 && strncasecmp((const char *)coding.p, "identity", 8) == 0))
        return "the upstream sent a content coding that it was not asked for";
    return NULL;
}

static void begin_body(struct stream *s, const struct gate_response *rp)
{
    struct stream_down *d = &s->down;
    struct view type = gate_header_of(rp->header, rp->n_headers, "content-type", NULL);
    bool events = type.n >= 17 && strncasecmp((const char *)type.p, "text/event-stream", 17) == 0;
    d->status = rp->status;
    d->body = rp->body;
    d->left = rp->length;
    d->chunks = (struct chunk_reader){.lenient = true};
    d->clean = rp->keep_alive;
    d->first_ms = loop_now(s->proxy->loop);
    d->chunked = (rp->body == GATE_BODY_CHUNKED || rp->body == GATE_BODY_UNTIL_CLOSE) && !s->http10;
    bool by_close = !d->chunked && rp->body != GATE_BODY_LENGTH && rp->body != GATE_BODY_NONE;
    s->keep_alive = s->keep_alive && s->up.read_all && !s->up.broken && !by_close;
    usage_begin(&d->usage, rp->status < 300 ? s->route->route.dialect : ROUTE_PLAIN, events);
    s->state = STREAM_REPLIES;
}

/* Can the vault's newer credential still mend it? */
static bool can_go_again(const struct stream *s, unsigned status)
{
    return status == 401 && s->route->route.flags & ROUTE_RENEWS && !s->retried &&
           (s->up.keeps || s->up.bytes == 0);
}

static void on_head(struct stream *s, const struct gate_response *rp, struct view head,
                    struct view rest)
{
    struct parcel p;
    struct why why = {0};
    parcel_empty(&p);
    if (can_go_again(s, rp->status)) {
        stream_ask_again(s);
        return;
    }
    const char *no = refuse_head(rp);
    if (!no && guard_finds(s->route->guard, head)) {
        s->down.status = rp->status;
        reflected(s);
        return;
    }
    if (no) {
        s->down.status = rp->status;
        stream_fail(s, ERR_CORRUPT, no);
        return;
    }
    begin_body(s, rp);
    const struct rewrite_reply how = {
        .reply = rp, .chunked = s->down.chunked, .close = !s->keep_alive, .http10 = s->http10};
    struct buf *out = &s->proxy->head;
    err_t e = rewrite_response(&how, out, &why);
    p.head = buf_view(out);
    if (e != ERR_OK)
        stream_fail(s, e, why.text);
    else
        take(s, rest, &p);
    buf_reset(out);
}

/* A part of a head waits for the rest of it, in front of the buffer. */
static void keep_head(struct stream *s, struct view bytes, bool kept)
{
    struct buf *head = &s->down.head;
    if (!kept) {
        buf_add_view(head, bytes);
    } else if (bytes.p != head->p) { /* behind an interim reply */
        memmove(head->p, bytes.p, bytes.n);
        head->len = bytes.n;
    }
}

/* `bytes` begin with the reply's head, or a part of it. */
static void take_head(struct stream *s, struct view bytes, bool kept)
{
    struct gate_response rp;
    struct gate_refusal no;
    size_t used;
    for (;;) {
        switch (gate_response(bytes, s->to_head, &rp, &used, &no)) {
        case GATE_MORE:
            keep_head(s, bytes, kept);
            return;
        case GATE_REFUSED:
            stream_fail(s, ERR_UNAVAILABLE, "the upstream's reply is malformed");
            return;
        case GATE_OK:
            break;
        }
        if (rp.status >= 200)
            break;
        if (++s->down.interims > INTERIMS_MAX) {
            stream_fail(s, ERR_UNAVAILABLE, "the upstream sends interim replies without end");
            return;
        }
        bytes = VIEW(bytes.p + used, bytes.n - used);
    }
    on_head(s, &rp, VIEW(bytes.p, used), VIEW(bytes.p + used, bytes.n - used));
}

static void on_bytes(struct stream *s, size_t n)
{
    struct client *c = s->client;
    struct view bytes = VIEW(s->proxy->scratch, n);
    if (s->state == STREAM_REPLIES) {
        struct parcel p;
        parcel_empty(&p);
        take(s, bytes, &p);
        return;
    }
    if (s->down.head.len == 0) {
        take_head(s, bytes, false);
        return;
    }
    buf_add_view(&s->down.head, bytes);
    if (s->down.head.bad) {
        stream_fail(s, ERR_UNAVAILABLE, "the upstream's reply has an endless head");
        return;
    }
    take_head(s, buf_view(&s->down.head), true);
    if (c->stream == s && s->state == STREAM_REPLIES)
        buf_free(&s->down.head);
}

/* `clean`: it said that it was the end. */
static void on_end(struct stream *s, bool clean)
{
    struct parcel p;
    parcel_empty(&p);
    if (s->state == STREAM_REPLIES && s->down.body == GATE_BODY_UNTIL_CLOSE && clean) {
        s->down.clean = false;
        end_reply(s, VIEW(NULL, 0), &p);
    } else if (s->state == STREAM_REPLIES) {
        stream_fail(s, ERR_UNAVAILABLE, "the upstream ended in the middle of its reply");
    } else {
        stream_lost_upstream(s, ERR_UNAVAILABLE,
                             "the upstream closed the connection without an answer");
    }
}

/* Reads once, more only where the buffer was filled: a short read has emptied it, and on_event tells of more. */
void stream_down_run(struct stream *s)
{
    struct client *c = s->client;
    size_t n = PROXY_READ;
    while (c->stream == s && s->ready && n == PROXY_READ && client_flushed(c)) {
        ssize_t got = upstream_read(s->upstream, s->proxy->scratch, PROXY_READ);
        if (got < 0 && errno == EAGAIN)
            return;
        if (got <= 0) {
            on_end(s, got == 0);
            return;
        }
        n = (size_t)got;
        on_bytes(s, n);
        if (c->stream == s && s->state == STREAM_REPLIES) { /* it comes bit by bit */
            upstream_rest(s->upstream);
            stream_tell_usage(s);
        }
    }
}
