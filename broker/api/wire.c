/*
 * The consumers' front: our own strict HTTP/1.1 over the worker's loop. Nothing is held for a
 * connection that has nothing to say: bytes are read into one buffer of the worker, and a request
 * that came whole (nearly all do) is a message before the buffer is read into again; only the part
 * of a request is kept per connection. One request of a connection at a time: while the vault
 * thinks, its socket is not read. A new connection is read at once, since its request mostly came
 * with it, and watched only when there is something to wait for.
 * Refusals of two kinds: a malformed head, or a body over its limit, is answered and the connection
 * closed, since where the next request begins is in doubt; all others are answered when the request
 * has been read to its end, and it lives on.
 */
#include "api/answer.h"
#include "api/front.h"
#include "api/h1.h"
#include "api/link.h"
#include "base/auto.h"
#include "base/listen.h"

#include <broker/secret.h>

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { BODY_MAX = 8192, IN_MAX = H1_HEAD_MAX + BODY_MAX };
enum { HTTP_HEAD_TOO_LARGE = 431, HTTP_VERSION = 505 };

struct wire {
    struct worker *w;
    struct buf packet, out; /* one message, one answer at a time */
    uint8_t in[IN_MAX];
};

static void on_socket(void *ctx, int fd, uint32_t events);

/* ---- ends */

static void end(struct wire *w, struct conn *c)
{
    loop_unwatch(c->watch);
    if (c->shown && !(c->heard && c->left))
        (void)shutdown(c->fd, SHUT_RDWR); /* the vault may have a copy: close() would not end it */
    if (c->shown)
        link_closed(w->w->link, c);
    close(c->fd);
    listener_release(c->from);
    conn_free(w->w->conns, c);
}

/* Watches for `events`; false: the connection has ended, since that is not possible. */
static bool watch(struct wire *w, struct conn *c, uint32_t events)
{
    struct why why = {0};
    err_t e = c->watch ? loop_rewatch(c->watch, events)
                       : loop_watch(w->w->loop, &(struct loop_source){c->fd, events, on_socket, c},
                                    &c->watch, &why);
    if (e != ERR_OK)
        end(w, c);
    return e == ERR_OK;
}

/* ---- answers */

/* Sends what is in w->out; what the client does not take at once is kept. False: it has ended. */
static bool send_out(struct wire *w, struct conn *c)
{
    ssize_t n = w->out.bad ? -1 : send(c->fd, w->out.p, w->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    size_t done = n > 0 ? (size_t)n : 0;
    bool lost = w->out.bad || (n < 0 && errno != EAGAIN && errno != EINTR);
    if (!lost && done < w->out.len) {
        buf_add(&c->out, w->out.p + done, w->out.len - done);
        lost = c->out.bad;
        conn_enter(w->w->conns, c, CONN_WRITING, loop_now(w->w->loop));
    } else if (!lost) {
        conn_enter(w->w->conns, c, CONN_IDLE, loop_now(w->w->loop));
        lost = c->closes;
    }
    buf_reset(&w->out);
    if (lost)
        end(w, c);
    return !lost;
}

static struct answer_head head_of(const struct conn *c)
{
    return (struct answer_head){.closes = c->closes, .without_body = c->bodiless};
}

static bool refuse(struct wire *w, struct conn *c, err_t e, const struct why *why,
                   const char *allow)
{
    struct answer_head h = head_of(c);
    h.allow = allow;
    answer_error(e, why->text, &h, &w->out);
    return send_out(w, c);
}

/* Refuses what the next request cannot be found behind. */
static bool refuse_last(struct wire *w, struct conn *c, err_t e, const struct why *why,
                        unsigned status)
{
    c->closes = true;
    const struct answer_head h = {.status = status, .closes = true, .without_body = c->bodiless};
    answer_error(e, why->text, &h, &w->out);
    return send_out(w, c);
}

/* ---- a request */

static bool ask(struct wire *w, struct conn *c, struct exchange *x)
{
    struct why why = {0};
    uint64_t id = conn_wait(w->w->conns, c, loop_now(w->w->loop));
    err_t e = exchange_message(x, (struct request_ids){id, conn_id(c)}, &w->packet, &why);
    if (e == ERR_OK)
        e = link_request(w->w->link, id, buf_view(&w->packet), &why);
    buf_reset(&w->packet);
    c->route = x->match.route;
    return e == ERR_OK || refuse(w, c, e, &why, NULL);
}

/* The rest of the body has not come. */
static bool want_body(struct wire *w, struct conn *c, const struct h1_request *rq)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    if (!rq->head.continues || rq->old || c->continued)
        return true;
    c->continued = true;
    if (send(c->fd, go_on, sizeof(go_on) - 1, MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof(go_on) - 1)
        return true;
    end(w, c);
    return false;
}

/* A request whose head is in order and of head_n bytes. */
static bool take_request(struct wire *w, struct conn *c, const struct h1_request *rq,
                         struct view bytes, size_t *used)
{
    struct why why = {0};
    struct exchange x = {0};
    const size_t head_n = c->scanned, body_n = (size_t)rq->head.length;
    c->closes = rq->old || rq->head.closes;
    c->bodiless = strcmp(rq->method, "HEAD") == 0;
    err_t e = exchange_row(w->w->role, rq->method, rq->target, &rq->head, &x, &why);
    if (e == ERR_OK && body_n > BODY_MAX)
        e = fail(&why, ERR_TOO_LARGE, "the body may have at most %d bytes", BODY_MAX);
    if (e == ERR_TOO_LARGE || body_n > BODY_MAX)
        return refuse_last(w, c, e, &why, 0);
    if (bytes.n - head_n < body_n)
        return e != ERR_OK || want_body(w, c, rq);
    *used = head_n + body_n;
    c->scanned = 0;
    c->continued = false;
    if (e != ERR_OK)
        return refuse(w, c, e, &why, x.match.allow);
    x.authorization = rq->head.authorization;
    x.body = (uint8_t *)(uintptr_t)bytes.p + head_n; /* our own buffer, to be rewritten in place */
    x.body_n = body_n;
    return ask(w, c, &x);
}

/* One request at the beginning of `bytes`. *used stays 0 when it is not all there. False: the
 * connection has ended. */
static bool take(struct wire *w, struct conn *c, struct view bytes, size_t *used)
{
    struct why why = {0};
    struct h1_request rq;
    switch (h1_find_end(bytes, &c->scanned)) {
    case H1_MORE:
        return true;
    case H1_BROKEN:
        if (bytes.n >= H1_HEAD_MAX)
            return refuse_last(w, c, fail(&why, ERR_TOO_LARGE, "the header is too large"), &why,
                               HTTP_HEAD_TOO_LARGE);
        return refuse_last(w, c, fail(&why, ERR_INVALID, "a line does not end in CRLF"), &why, 0);
    case H1_WHOLE:
        break;
    }
    err_t e = h1_read(VIEW(bytes.p, c->scanned), &rq, &why);
    if (e != ERR_OK)
        return refuse_last(w, c, e == ERR_VERSION ? ERR_INVALID : e, &why,
                           e == ERR_VERSION ? HTTP_VERSION : 0);
    return take_request(w, c, &rq, bytes, used);
}

/* Keeps the n bytes at p (NULL: none), which lie in c->in or in the worker's buffer, for later. */
static bool keep(struct wire *w, struct conn *c, const uint8_t *p, size_t n)
{
    if (!p || n == 0) {
        buf_free(&c->in);
    } else if (c->in.len) {
        memmove(c->in.p, p, n);
        wipe(c->in.p + n, c->in.len - n);
        c->in.len = n;
    } else {
        buf_add(&c->in, p, n);
    }
    if (c->in.bad)
        end(w, c);
    else if (n && c->phase == CONN_IDLE)
        conn_enter(w->w->conns, c, CONN_READING, loop_now(w->w->loop));
    return !c->in.bad;
}

static bool may_read(const struct conn *c)
{
    return c->phase == CONN_IDLE || c->phase == CONN_READING;
}

/* Goes through what came, until a request waits for its answer or is not all there; then waits for
 * what the connection's phase waits for. */
static void serve(struct wire *w, struct conn *c, const uint8_t *p, size_t n)
{
    size_t at = 0;
    for (size_t used = 1; at < n && used && may_read(c); at += used) {
        used = 0;
        if (!take(w, c, VIEW(p + at, n - at), &used))
            return;
    }
    if (!keep(w, c, at < n ? p + at : NULL, n - at) || c->phase == CONN_WAITING)
        return;
    (void)watch(w, c, c->phase == CONN_WRITING ? EPOLLOUT : EPOLLIN);
}

/* ---- the socket */

static void receive(struct wire *w, struct conn *c)
{
    const size_t room = IN_MAX - c->in.len;
    ssize_t n = recv(c->fd, w->in, room, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        (void)watch(w, c, EPOLLIN);
        return;
    }
    if (n <= 0) {
        c->left = true;
        end(w, c);
        return;
    }
    if (c->in.len == 0) {
        serve(w, c, w->in, (size_t)n);
    } else {
        buf_add(&c->in, w->in, (size_t)n);
        serve(w, c, c->in.p, c->in.len);
    }
    wipe(w->in, (size_t)n);
}

/* The client takes more of its answer. */
static void go_on_sending(struct wire *w, struct conn *c)
{
    ssize_t n = send(c->fd, c->out.p + c->sent, c->out.len - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    c->sent += n > 0 ? (size_t)n : 0;
    if (n < 0 || (c->sent == c->out.len && c->closes)) {
        end(w, c);
        return;
    }
    if (c->sent < c->out.len)
        return;
    buf_free(&c->out);
    c->sent = 0;
    conn_enter(w->w->conns, c, CONN_IDLE, loop_now(w->w->loop));
    serve(w, c, c->in.p, c->in.len);
}

static void on_socket(void *ctx, int fd, uint32_t events)
{
    struct conn *c = ctx;
    struct wire *w = c->front;
    (void)fd;
    if (c->phase == CONN_WRITING) {
        go_on_sending(w, c);
    } else if (c->phase != CONN_WAITING) {
        receive(w, c);
    } else if (events & (EPOLLHUP | EPOLLERR)) { /* cannot be masked; its answer finds out */
        loop_unwatch(c->watch);
        c->watch = NULL;
    } else {
        (void)watch(w, c, 0); /* the next request; or half an end: after this answer */
    }
}

/* ---- the front */

static void wire_adopt(void *front, int fd, struct listener *from)
{
    struct wire *w = front;
    struct conn *c = conn_new(w->w->conns, fd, from, loop_now(w->w->loop));
    if (!c) {
        close(fd);
        listener_release(from);
        return;
    }
    c->front = w;
    c->in.max = IN_MAX;
    receive(w, c);
}

static void wire_answer(void *front, struct conn *c, const struct msg *reply)
{
    struct wire *w = front;
    c->heard = true; /* it is past the showing, so its copy of the descriptor is closed */
    answer_message(c->route, reply, head_of(c), &w->out);
    if (send_out(w, c))
        serve(w, c, c->in.p, c->in.len);
}

static void wire_answer_error(void *front, struct conn *c, err_t e, const char *sentence)
{
    struct wire *w = front;
    struct why why = {0};
    if (refuse(w, c, fail(&why, e, "%s", sentence), &why, NULL))
        serve(w, c, c->in.p, c->in.len);
}

static void wire_kill(void *front, struct conn *c)
{
    end(front, c);
}

static bool wire_run(void *front)
{
    (void)front;
    return false; /* all is done as it comes */
}

static void wire_free(void *front)
{
    struct wire *w = front;
    if (!w)
        return;
    buf_free(&w->packet);
    buf_free(&w->out);
    free(w);
}

static err_t wire_open(struct worker *w, void **out, struct why *why)
{
    struct wire *front = calloc(1, sizeof(*front));
    if (!front)
        return fail(why, ERR_INTERNAL, "out of memory");
    front->w = w;
    front->packet.max = MSG_MAX;
    *out = front;
    return ERR_OK;
}

const struct front front_wire = {
    .open = wire_open,
    .free = wire_free,
    .adopt = wire_adopt,
    .answer = wire_answer,
    .answer_error = wire_answer_error,
    .kill = wire_kill,
    .run = wire_run,
};
