/*
 * libmicrohttpd in external epoll mode: its epoll descriptor lies in our loop, we accept, it
 * parses, writes and keeps alive. A request's steps, in order: the head is held against our own
 * rules, the row is found, the body collected, the message built, the connection suspended, the
 * message sent at the end of the turn; the vault's reply resumes it. Refusals of two kinds: a
 * malformed head (or a body over its limit) is answered at once and the connection closed, since
 * where the next request begins is in doubt; all others are answered when the request has been
 * read, and it lives on. Invariant: a suspended connection is CONN_WAITING and the reverse; only
 * answer() ends both. libmicrohttpd's own timeouts are off: they restart with each byte. The
 * deadlines are api/conn.h's.
 */
#include "api/exchange.h"
#include "api/front.h"
#include "api/link.h"
#include "api/reply.h"
#include "base/auto.h"
#include "base/listen.h"

#include <broker/secret.h>

#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { POOL_BYTES = 16384, ROUNDS = 16, DISCARD_MAX = 65536 };

struct http {
    struct worker *w;
    struct MHD_Daemon *mhd;
    struct loop_fd *watch;
    struct conn *adopting; /* between http_adopt() and on_connection() */
    struct buf packet;     /* one message at a time */
    bool ready;            /* libmicrohttpd has something to do */
};

static struct conn *conn_of(struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *i =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return i ? i->socket_context : NULL;
}

/* ---- replies */

/* Queues the reply; MHD_NO (libmicrohttpd then closes) when there is none. */
static enum MHD_Result send_reply(struct http *h, struct conn *c, bool made, const struct reply *r)
{
    if (!made)
        return MHD_NO;
    enum MHD_Result queued = MHD_queue_response(c->http, r->status, r->http);
    MHD_destroy_response(r->http);
    conn_enter(h->w->conns, c, CONN_WRITING, loop_now(h->w->loop));
    return queued;
}

static enum MHD_Result refuse(struct http *h, struct conn *c, err_t e, const struct why *why)
{
    struct reply r = {0};
    bool made = reply_error(e, why, c->rq.x.match.allow, &r);
    return send_reply(h, c, made, &r);
}

static void answer(struct http *h, struct conn *c, bool made, const struct reply *r)
{
    if (send_reply(h, c, made, r) == MHD_NO)
        (void)shutdown(c->fd, SHUT_RDWR); /* no memory for a reply: the end is seen, and closed */
    conn_enter(h->w->conns, c, CONN_WRITING, loop_now(h->w->loop));
    MHD_resume_connection(c->http);
    h->ready = true;
}

static void http_answer(void *front, struct conn *c, const struct msg *reply)
{
    struct http *h = front;
    struct reply r = {0};
    bool made = reply_from_message(c->rq.x.match.route, reply, &r);
    answer(h, c, made, &r);
}

static void http_answer_error(void *front, struct conn *c, err_t e, const char *sentence)
{
    struct http *h = front;
    struct why why = {0};
    struct reply r = {0};
    bool made = reply_error(fail(&why, e, "%s", sentence), &why, NULL, &r);
    answer(h, c, made, &r);
}

static void http_kill(void *front, struct conn *c)
{
    struct http *h = front;
    (void)shutdown(c->fd, SHUT_RDWR);
    if (c->waiting_for)
        http_answer_error(h, c, ERR_UNAVAILABLE, "the broker closes this connection");
    h->ready = true;
}

/* ---- a request's steps */

/* The bearer token's bytes lie in libmicrohttpd's buffer, which it does not wipe: whoever asks for
 * them wipes them there. */
static struct view authorization_of(const struct conn *c)
{
    const char *p = NULL;
    size_t n = 0;
    (void)MHD_lookup_connection_value_n(c->http, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION,
                                        strlen(MHD_HTTP_HEADER_AUTHORIZATION), &p, &n);
    struct view v = VIEW(p, p ? n : 0);
    while (v.n && (v.p[v.n - 1] == ' ' || v.p[v.n - 1] == '\t'))
        v.n--;
    return v;
}

/* The request has been read to its end: to the vault with it. */
static enum MHD_Result finish(struct http *h, struct conn *c)
{
    struct why why = {0};
    if (c->phase == CONN_WRITING)
        return MHD_NO; /* answered before, but there was no memory for the reply */
    if (c->rq.refused != ERR_OK)
        return refuse(h, c, c->rq.refused, &c->rq.why);
    uint64_t id = conn_wait(h->w->conns, c, loop_now(h->w->loop));
    struct exchange *x = &c->rq.x;
    x->authorization = authorization_of(c);
    x->body = c->rq.body.p;
    x->body_n = c->rq.body.len;
    err_t e = exchange_message(x, (struct request_ids){id, conn_id(c)}, &h->packet, &why);
    if (e == ERR_OK)
        e = link_request(h->w->link, id, buf_view(&h->packet), &why);
    buf_reset(&h->packet);
    buf_free(&c->rq.body);
    if (x->authorization.n)
        wipe((void *)(uintptr_t)x->authorization.p, x->authorization.n);
    if (e != ERR_OK)
        return refuse(h, c, e, &why);
    MHD_suspend_connection(c->http);
    return MHD_YES;
}

static MUST err_t find_row(struct http *h, struct conn *c, const char *method,
                           const struct head *head)
{
    struct request *rq = &c->rq;
    if (rq->raw_n > ROUTE_MAX_PATH)
        return fail(&rq->why, ERR_INVALID, "the request target has over %d bytes", ROUTE_MAX_PATH);
    return exchange_row(h->w->role, method, view_str(rq->target), head, &rq->x, &rq->why);
}

static enum MHD_Result begin(struct http *h, struct conn *c, const char *method,
                             const char *version)
{
    struct request *rq = &c->rq;
    struct head head = {0};
    struct why why = {0};
    rq->head_done = true;
    const struct head_line line = {method, VIEW(rq->raw, rq->raw_n), version};
    if (head_read(c->http, &line, &head, &why) != ERR_OK)
        return refuse(h, c, ERR_INVALID, &why);
    rq->refused = find_row(h, c, method, &head);
    if (rq->refused != ERR_OK && (rq->refused == ERR_TOO_LARGE || head.length > DISCARD_MAX))
        return refuse(h, c, rq->refused, &rq->why);
    rq->body.max = head.length ? head.length : 1;
    return MHD_YES;
}

static enum MHD_Result collect(struct conn *c, const char *data, size_t *n)
{
    if (c->rq.refused == ERR_OK)
        buf_add(&c->rq.body, data, *n);
    wipe((void *)(uintptr_t)data, *n); /* libmicrohttpd's read buffer: these bytes are ours now */
    *n = 0;
    return c->rq.body.bad ? MHD_NO : MHD_YES;
}

/* ---- libmicrohttpd's callbacks */

/* NOLINTNEXTLINE(readability-function-size): libmicrohttpd fixes the parameters */
static enum MHD_Result on_request(void *ctx, struct MHD_Connection *mhd, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_n, void **state)
{
    struct conn *c = conn_of(mhd);
    (void)url;
    (void)state;
    if (!c)
        return MHD_NO;
    if (!c->rq.head_done)
        return begin(ctx, c, method, version);
    if (*upload_n > 0)
        return collect(c, upload, upload_n);
    return finish(ctx, c);
}

/* The raw target, before libmicrohttpd takes it apart. */
static void *on_target(void *ctx, const char *uri, struct MHD_Connection *mhd)
{
    struct http *h = ctx;
    struct conn *c = conn_of(mhd);
    if (!c || !uri)
        return NULL;
    struct view raw = view_str(uri);
    conn_enter(h->w->conns, c, CONN_READING, loop_now(h->w->loop));
    c->rq.raw = uri;
    c->rq.raw_n = raw.n;
    if (!view_copy(raw, c->rq.target, sizeof(c->rq.target)))
        c->rq.target[0] = '\0'; /* too long: find_row() says so */
    return c;
}

/* No decoding: the matcher sees what came. */
static size_t on_unescape(void *ctx, struct MHD_Connection *mhd, char *s)
{
    (void)ctx;
    (void)mhd;
    return strlen(s);
}

static void on_completed(void *ctx, struct MHD_Connection *mhd, void **state,
                         enum MHD_RequestTerminationCode how)
{
    struct http *h = ctx;
    struct conn *c = conn_of(mhd);
    (void)state;
    (void)how;
    if (!c)
        return;
    conn_request_clear(c);
    conn_enter(h->w->conns, c, CONN_IDLE, loop_now(h->w->loop));
}

static void on_connection(void *ctx, struct MHD_Connection *mhd, void **socket_ctx,
                          enum MHD_ConnectionNotificationCode what)
{
    struct http *h = ctx;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        *socket_ctx = h->adopting;
        h->adopting->http = mhd;
        return;
    }
    struct conn *c = *socket_ctx;
    if (c->shown) {
        (void)shutdown(c->fd, SHUT_RDWR); /* the vault has a copy: close() alone would not end it */
        link_closed(h->w->link, c);
    }
    listener_release(c->from);
    conn_free(h->w->conns, c);
    *socket_ctx = NULL;
}

/* ---- driving it */

static void on_epoll(void *ctx, int fd, uint32_t events)
{
    struct http *h = ctx;
    (void)fd;
    (void)events;
    h->ready = true;
}

static bool http_run(void *front)
{
    struct http *h = front;
    MHD_UNSIGNED_LONG_LONG wait = 0;
    for (int i = 0; h->ready && i < ROUNDS; i++) {
        (void)MHD_run(h->mhd);
        h->ready = MHD_get_timeout(h->mhd, &wait) == MHD_YES && wait == 0;
    }
    return h->ready;
}

static void http_adopt(void *front, int fd, struct listener *from)
{
    struct http *h = front;
    static const struct sockaddr addr = {.sa_family = AF_UNIX};
    struct conn *c = conn_new(h->w->conns, fd, from, loop_now(h->w->loop));
    if (!c) {
        close(fd);
        listener_release(from);
        return;
    }
    const uint64_t id = conn_id(c);
    h->adopting = c;
    enum MHD_Result added = MHD_add_connection(h->mhd, fd, &addr, sizeof(addr.sa_family));
    h->adopting = NULL;
    h->ready = true;
    if (added == MHD_NO &&
        conn_find(h->w->conns, id)) { /* on_connection() did not see its end; fd is closed */
        listener_release(from);
        conn_free(h->w->conns, c);
    }
}

static MUST err_t watch(struct http *h, struct why *why)
{
    const union MHD_DaemonInfo *i = MHD_get_daemon_info(h->mhd, MHD_DAEMON_INFO_EPOLL_FD);
    if (!i)
        return fail(why, ERR_INTERNAL, "libmicrohttpd has no epoll descriptor");
    return loop_watch(h->w->loop, &(struct loop_source){i->epoll_fd, EPOLLIN, on_epoll, h},
                      &h->watch, why);
}

static void http_free(void *front)
{
    struct http *h = front;
    if (!h)
        return;
    loop_unwatch(h->watch);
    if (h->mhd)
        MHD_stop_daemon(h->mhd);
    buf_free(&h->packet);
    free(h);
}

static err_t http_open(struct worker *w, void **out, struct why *why)
{
    const unsigned flags = MHD_USE_EPOLL | MHD_USE_TURBO | MHD_USE_NO_LISTEN_SOCKET |
                           MHD_ALLOW_SUSPEND_RESUME | MHD_USE_SUPPRESS_DATE_NO_CLOCK;
    struct http *h = calloc(1, sizeof(*h));
    if (!h)
        return fail(why, ERR_INTERNAL, "out of memory");
    h->w = w;
    h->packet.max = MSG_MAX;
    h->mhd = MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, h, MHD_OPTION_URI_LOG_CALLBACK, on_target, h,
        MHD_OPTION_UNESCAPE_CALLBACK, on_unescape, h, MHD_OPTION_NOTIFY_COMPLETED, on_completed, h,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, h, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)POOL_BYTES, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONN_MAX,
        MHD_OPTION_CONNECTION_TIMEOUT, 0u, MHD_OPTION_END);
    err_t e = h->mhd ? watch(h, why) : fail(why, ERR_INTERNAL, "libmicrohttpd does not start");
    if (e != ERR_OK) {
        http_free(h);
        return e;
    }
    *out = h;
    return ERR_OK;
}

const struct front front_http = {
    .open = http_open,
    .free = http_free,
    .adopt = http_adopt,
    .answer = http_answer,
    .answer_error = http_answer_error,
    .kill = http_kill,
    .run = http_run,
};
