/*
 * One connection to a broker and the exchanges on it. A call is: write the head, send, read one
 * reply, all before one deadline; whatever goes wrong closes the connection, so that a late reply
 * can never be taken for the answer to another question.
 *
 * The broker may close an idle connection just as a request leaves. Such a request is sent again,
 * once, on a new connection, only if it cannot have been carried out: it was not taken whole (the
 * kernel says ECONNRESET when unread bytes are dropped), or it is a GET.
 */
#include "base/auto.h"
#include "client/http.h"
#include "client/socket.h"

#include <broker/client.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

struct broker_client {
    int fd;    /* -1: none */
    bool used; /* this connection has carried an exchange before */
    int timeout_ms;
    char path[BROKER_SOCKET_ROOM];
    struct http_reader reply;
};

/* One try of a request on one connection. */
struct attempt {
    int64_t deadline_ms;
    size_t sent;    /* bytes of head and body */
    bool reused;    /* on a connection that had carried another */
    bool answered;  /* a byte of reply came */
    bool untouched; /* the connection ended, and the request cannot have been carried out */
};

static void disconnect(struct broker_client *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    c->used = false;
}

err_t broker_connect(const char *socket_path, int timeout_ms, struct broker_client **out,
                     struct why *why)
{
    AUTO(auto_free) struct broker_client *c = calloc(1, sizeof(*c));
    if (!c)
        return fail(why, ERR_INTERNAL, "out of memory");
    c->timeout_ms = timeout_ms > 0 ? timeout_ms : BROKER_TIMEOUT_MS;
    TRY(broker_socket_find(socket_path, NULL, c->path, why));
    TRY(socket_connect(c->path, socket_now_ms() + c->timeout_ms, &c->fd, why));
    *out = TAKE(c);
    return ERR_OK;
}

err_t broker_adopt(int fd, const char *socket_path, int timeout_ms, struct broker_client **out,
                   struct why *why)
{
    AUTO(auto_close) int own = fd;
    AUTO(auto_free) struct broker_client *c = calloc(1, sizeof(*c));
    if (!c)
        return fail(why, ERR_INTERNAL, "out of memory");
    c->timeout_ms = timeout_ms > 0 ? timeout_ms : BROKER_TIMEOUT_MS;
    TRY(broker_socket_find(socket_path, NULL, c->path, why));
    c->fd = TAKE_FD(own);
    *out = TAKE(c);
    return ERR_OK;
}

void broker_close(struct broker_client *c)
{
    if (!c)
        return;
    disconnect(c);
    http_reader_free(&c->reply);
    free(c);
}

const char *broker_socket_path(const struct broker_client *c)
{
    return c->path;
}

/* The two parts from byte `from` on. */
static size_t rest(const struct iovec part[2], size_t from, struct iovec out[2])
{
    size_t n = 0;
    for (int i = 0; i < 2; i++) {
        if (from < part[i].iov_len)
            out[n++] = (struct iovec){(char *)part[i].iov_base + from, part[i].iov_len - from};
        from = from < part[i].iov_len ? 0 : from - part[i].iov_len;
    }
    return n;
}

/* Stops without an error when the broker has closed: it may have answered first. */
static MUST err_t send_parts(struct broker_client *c, const struct iovec part[2], struct attempt *a,
                             struct why *why)
{
    struct iovec left[2];
    struct msghdr m = {.msg_iov = left};
    while ((m.msg_iovlen = rest(part, a->sent, left)) > 0) {
        ssize_t n = sendmsg(c->fd, &m, MSG_NOSIGNAL);
        if (n >= 0) {
            a->sent += (size_t)n;
            continue;
        }
        if (errno == EPIPE || errno == ECONNRESET)
            return ERR_OK;
        if (errno == EAGAIN)
            TRY(socket_wait(c->fd, POLLOUT, a->deadline_ms, why));
        else if (errno != EINTR)
            return fail_errno(why, errno, "cannot send to the broker");
    }
    return ERR_OK;
}

struct window { /* what one recv takes; may hold a secret */
    size_t n;   /* 0: the connection has ended */
    bool reset; /* …and bytes of ours were dropped unread */
    char bytes[16384];
};
static void window_wipe(struct window *w)
{
    explicit_bzero(w, sizeof(*w));
}

static MUST err_t read_some(struct broker_client *c, const struct attempt *a, struct window *w,
                            struct why *why)
{
    for (;;) {
        ssize_t n = recv(c->fd, w->bytes, sizeof(w->bytes), 0);
        w->n = n > 0 ? (size_t)n : 0;
        w->reset = n < 0 && errno == ECONNRESET;
        if (n >= 0 || w->reset)
            return ERR_OK;
        if (errno == EAGAIN)
            TRY(socket_wait(c->fd, POLLIN, a->deadline_ms, why));
        else if (errno != EINTR)
            return fail_errno(why, errno, "cannot read from the broker");
    }
}

static MUST err_t receive(struct broker_client *c, struct attempt *a, struct why *why)
{
    AUTO(window_wipe) struct window w;
    size_t used;
    while (c->reply.state != HTTP_DONE) {
        TRY(read_some(c, a, &w, why));
        if (w.n == 0) {
            a->untouched = !a->answered && (a->untouched || w.reset);
            return fail(why, ERR_UNAVAILABLE, "the broker closed the connection %s",
                        a->answered ? "in the middle of its answer" : "without an answer");
        }
        a->answered = true;
        TRY(http_reader_feed(&c->reply, w.bytes, w.n, &used, why));
        if (used < w.n)
            c->reply.last = true; /* bytes that nobody asked for: not the next answer */
    }
    return ERR_OK;
}

/* Open, and nothing has come that was not asked for. */
static bool is_idle(int fd)
{
    char c;
    return recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

static MUST err_t exchange(struct broker_client *c, const struct broker_request *rq,
                           const struct http_head *head, struct attempt *a, struct why *why)
{
    struct iovec part[2] = {{(char *)head->text, head->len},
                            {(char *)rq->body, rq->body ? rq->body_len : 0}};
    if (c->used && !is_idle(c->fd))
        disconnect(c);
    if (c->fd < 0)
        TRY(socket_connect(c->path, a->deadline_ms, &c->fd, why));
    a->reused = c->used;
    TRY(send_parts(c, part, a, why));
    a->untouched = a->sent < part[0].iov_len + part[1].iov_len || strcmp(rq->method, "GET") == 0;
    return receive(c, a, why);
}

static MUST err_t try_once(struct broker_client *c, const struct broker_request *rq,
                           const struct http_head *head, struct attempt *a, struct why *why)
{
    http_reader_free(&c->reply);
    http_reader_init(&c->reply, BROKER_REPLY_MAX);
    err_t e = exchange(c, rq, head, a, why);
    if (e != ERR_OK || c->reply.last)
        disconnect(c);
    else
        c->used = true;
    return e;
}

err_t broker_call(struct broker_client *c, const struct broker_request *rq, int *status,
                  const char **reply, size_t *reply_len, struct why *why)
{
    AUTO(http_head_wipe) struct http_head head = {0};
    struct attempt first = {.deadline_ms = socket_now_ms() + c->timeout_ms};
    struct attempt again = first;
    TRY(http_head_write(rq, &head, why));
    err_t e = try_once(c, rq, &head, &first, why);
    if (e != ERR_OK && first.reused && first.untouched && !first.answered)
        e = try_once(c, rq, &head, &again, why);
    if (e != ERR_OK)
        return e;
    *status = c->reply.status;
    *reply = c->reply.body ? c->reply.body : "";
    *reply_len = c->reply.body_len;
    return ERR_OK;
}

static MUST err_t refused(int status, const char *reply, size_t n, struct why *why)
{
    char wire[32], message[sizeof(why->text)];
    if (!broker_json_str(reply, n, "error", wire, sizeof(wire)))
        return fail(why, ERR_INTERNAL, "the broker answered with status %d and no reason", status);
    err_t e = err_from_wire(wire, strlen(wire));
    if (e == ERR_OK)
        e = ERR_INTERNAL;
    if (!broker_json_str(reply, n, "message", message, sizeof(message)))
        return fail(why, e, "%s", err_text(e));
    return fail(why, e, "%s", message);
}

err_t broker_call_ok(struct broker_client *c, const struct broker_request *rq, const char **reply,
                     size_t *reply_len, struct why *why)
{
    const char *body;
    size_t n;
    int status;
    TRY(broker_call(c, rq, &status, &body, &n, why));
    if (status >= 400)
        return refused(status, body, n, why);
    if (status >= 300)
        return fail(why, ERR_INVALID, "what answers on this socket is no broker: status %d",
                    status);
    *reply = body;
    *reply_len = n;
    return ERR_OK;
}
