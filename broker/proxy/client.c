/*
 * Connections of clients. Invariant: a connection runs one request at a time; what comes behind it stays unread, or in `in`, until that one is
 * over, so nothing a client pipelines can be answered in another's place. Whatever the gate refuses is answered once and the connection
 * closed: where a second request begins is then nobody's guess.
 */
#include "proxy/client.h"

#include "base/auto.h"
#include "base/listen.h"
#include "base/log.h"
#include "proxy/admit.h"
#include "proxy/allowance.h"
#include "proxy/link.h"
#include "proxy/stream.h"

#include <broker/secret.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum { OUT_MAX = 2 * PROXY_READ + GATE_HEAD_MAX, IOV = 8 };

struct clients {
    struct proxy *p;
    struct client *slot[PROXY_CONNS];
    uint32_t generation[PROXY_CONNS];
    uint32_t free_slot[PROXY_CONNS];
    uint32_t n_free;
    uint32_t max; /* under PROXY_CONNS where descriptors are few */
};

/* A quarter of the descriptors is for upstreams and the rest: a client that finds none is refused, instead of waiting for one. */
static uint32_t conns_of_descriptors(void)
{
    struct rlimit r;
    bool many = getrlimit(RLIMIT_NOFILE, &r) < 0 || r.rlim_cur / 4 * 3 >= PROXY_CONNS;
    return many ? PROXY_CONNS : (uint32_t)(r.rlim_cur / 4 * 3);
}

err_t clients_new(struct proxy *p, struct clients **out, struct why *why)
{
    struct clients *cs = calloc(1, sizeof(*cs));
    if (!cs)
        return fail(why, ERR_INTERNAL, "out of memory");
    cs->p = p;
    cs->max = conns_of_descriptors();
    for (uint32_t i = 0; i < PROXY_CONNS; i++)
        cs->free_slot[cs->n_free++] = PROXY_CONNS - 1 - i;
    *out = cs;
    return ERR_OK;
}

void clients_free(struct clients *cs)
{
    if (!cs)
        return;
    for (uint32_t i = 0; i < PROXY_CONNS; i++)
        if (cs->slot[i])
            client_close(cs->slot[i]);
    free(cs);
}

bool clients_full(const struct clients *cs)
{
    return PROXY_CONNS - cs->n_free >= cs->max;
}

struct client *client_of_slot(struct clients *cs, uint32_t slot)
{
    return cs->slot[slot % PROXY_CONNS];
}

struct client *client_find(struct clients *cs, uint64_t id)
{
    struct client *c = client_of_slot(cs, (uint32_t)id);
    return c && c->id == id ? c : NULL;
}

/* ---- beginning and end */

static void wait_for(struct client *c, int ms)
{
    c->deadline_ms = loop_now(c->proxy->loop) + ms;
}

static void on_socket(void *ctx, int fd, uint32_t events)
{
    struct client *c = ctx;
    (void)fd;
    c->readable = c->readable || events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR);
    c->writable = c->writable || events & EPOLLOUT;
    c->ended = c->ended || events & EPOLLRDHUP;
    if (events & (EPOLLHUP | EPOLLERR)) { /* both directions: nobody is there to be answered */
        client_close(c);
        return;
    }
    client_run(c);
}

bool client_adopt(struct clients *cs, int fd, struct listener *from)
{
    AUTO(auto_close) int owned = fd;
    struct client *c = cs->n_free ? calloc(1, sizeof(*c)) : NULL;
    struct why why = {0};
    if (!c)
        return false;
    *c = (struct client){.proxy = cs->p, .fd = fd, .from = from, .out.max = OUT_MAX};
    c->in.max = GATE_HEAD_MAX + 2 * PROXY_READ;
    const struct loop_source s = {fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, on_socket, c};
    if (loop_watch(cs->p->loop, &s, &c->watch, &why) != ERR_OK) {
        free(c);
        return false;
    }
    uint32_t slot = cs->free_slot[--cs->n_free];
    c->id = slot | (uint64_t)++cs->generation[slot] << 32;
    cs->slot[slot] = c;
    wait_for(c, cs->p->times.idle);
    (void)TAKE_FD(owned);
    return true;
}

static void tell_closed(struct client *c)
{
    AUTO(buf_free) struct buf packet = {0};
    if (!c->shown)
        return;
    msg_begin(&packet, MSG_CLOSED, 0, c->id);
    link_tell(c->proxy->link, buf_view(&packet), false);
}

void client_close(struct client *c)
{
    struct clients *cs = c->proxy->clients;
    uint32_t slot = (uint32_t)c->id;
    if (cs->slot[slot] != c)
        return;
    cs->slot[slot] = NULL;
    if (c->stream)
        stream_abort(TAKE(c->stream), ERR_UNAVAILABLE);
    allowance_end(c);
    tell_closed(c);
    cs->free_slot[cs->n_free++] = slot;
    loop_unwatch(c->watch);
    close(c->fd);
    buf_free(&c->in);
    buf_free(&c->out);
    listener_release(c->from);
    free(c);
}

/* ---- bytes */

size_t client_read(struct client *c)
{
    c->readable = c->readable && !c->eof; /* events tell of an end again and again */
    if (!c->readable)
        return 0;
    ssize_t n;
    do
        n = recv(c->fd, c->proxy->scratch, PROXY_READ, 0);
    while (n < 0 && errno == EINTR);
    c->eof = n == 0 || (n < 0 && errno != EAGAIN);
    /* a short read has emptied it: the kernel will tell of more, but of the end only once */
    c->readable = n == PROXY_READ || (n > 0 && c->ended);
    return n > 0 ? (size_t)n : 0;
}

static bool keep(struct client *c, const struct iovec *iov, int n, size_t done)
{
    for (int i = 0; i < n; i++) {
        size_t skip = done < iov[i].iov_len ? done : iov[i].iov_len;
        buf_add(&c->out, (uint8_t *)iov[i].iov_base + skip, iov[i].iov_len - skip);
        done -= skip;
    }
    return !c->out.bad;
}

static size_t total(const struct iovec *iov, int n)
{
    size_t all = 0;
    for (int i = 0; i < n; i++)
        all += iov[i].iov_len;
    return all;
}

bool client_write(struct client *c, const struct iovec *iov, int n)
{
    ssize_t done = 0;
    if (c->out.len == 0 && c->writable) {
        struct msghdr mh = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n};
        do
            done = sendmsg(c->fd, &mh, MSG_NOSIGNAL);
        while (done < 0 && errno == EINTR);
        if (done < 0 && errno != EAGAIN)
            return false;
        done = done < 0 ? 0 : done;
        c->writable = (size_t)done == total(iov, n);
    }
    if ((size_t)done == total(iov, n))
        return true;
    wait_for(c, c->proxy->times.reader);
    return keep(c, iov, n, (size_t)done);
}

bool client_flushed(const struct client *c)
{
    return c->out.len == 0;
}

/* False: broken. */
static bool flush(struct client *c)
{
    while (c->out.len > 0 && c->writable) {
        ssize_t n = send(c->fd, c->out.p + c->out_done, c->out.len - c->out_done, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN)
            return false;
        c->writable = n > 0;
        c->out_done += n > 0 ? (size_t)n : 0;
        if (n > 0)
            wait_for(c, c->proxy->times.reader);
        if (c->out_done == c->out.len) {
            buf_free(&c->out);
            c->out_done = 0;
        }
    }
    return true;
}

/* ---- requests */

static void refuse_head(struct client *c, const struct gate_request *rq,
                        const struct gate_refusal *no)
{
    struct refusal r = {.dialect = rq ? admit_dialect(rq) : ROUTE_PLAIN,
                        .status = no->status,
                        .code = ERR_INVALID,
                        .message = no->reason,
                        .no_retry = true};
    client_refuse(c, &r);
}

/* Uses `bytes`, which begin with a head or a part of one; what cannot be used yet is kept in c->in. */
static void on_bytes(struct client *c, struct view bytes, bool kept)
{
    struct gate_request rq;
    struct gate_refusal no;
    size_t used = 0;
    switch (gate_request(bytes, &rq, &used, &no)) {
    case GATE_MORE:
        if (c->in.len == 0)
            wait_for(c, c->proxy->times.head);
        if (!kept)
            buf_add_view(&c->in, bytes);
        return;
    case GATE_REFUSED:
        refuse_head(c, NULL, &no);
        return;
    case GATE_OK:
        break;
    }
    if (!admit_request(&rq, &no)) {
        refuse_head(c, &rq, &no);
        return;
    }
    stream_begin(c, &rq, VIEW(bytes.p, used));
    if (kept && used < c->in.len) { /* the rest is the body's, or the next request's */
        memmove(c->in.p, c->in.p + used, c->in.len - used);
        c->in.len -= used;
    } else if (kept) {
        buf_free(&c->in);
    } else {
        buf_add_view(&c->in, VIEW(bytes.p + used, bytes.n - used));
    }
}

/* Between two requests: a head is read, and only one. */
static void next_request(struct client *c)
{
    struct proxy *p = c->proxy;
    size_t n = client_read(c);
    if (n > 0 && c->in.len == 0) {
        on_bytes(c, VIEW(c->proxy->scratch, n), false);
    } else if (n > 0 || c->in.len > 0) {
        buf_add(&c->in, c->proxy->scratch, n);
        on_bytes(c, buf_view(&c->in), true);
    }
    wipe(p->scratch, n); /* a token is in it */
}

static bool over(struct client *c)
{
    return (c->eof && !c->stream && client_flushed(c)) || (c->closing && client_flushed(c));
}

void client_run(struct client *c)
{
    struct clients *cs = c->proxy->clients;
    uint64_t id = c->id;
    bool again = true;
    if (!flush(c)) {
        client_close(c);
        return;
    }
    while (again && client_find(cs, id) == c) {
        again = false;
        if (c->stream) {
            stream_run(c->stream);
            again = client_find(cs, id) == c && !c->stream; /* over: the next one may be here */
        } else if (!c->closing && client_flushed(c) && (c->readable || c->in.len > 0)) {
            size_t before = c->in.len;
            next_request(c);
            again = client_find(cs, id) == c && (c->stream || c->readable || c->in.len < before);
        }
    }
    if (client_find(cs, id) == c && over(c))
        client_close(c);
}

void client_done(struct client *c, bool keep_alive)
{
    c->stream = NULL;
    c->closing = c->closing || !keep_alive;
    wait_for(c, client_flushed(c) ? c->proxy->times.idle : c->proxy->times.reader);
}

void client_refuse(struct client *c, const struct refusal *r)
{
    AUTO(buf_free) struct buf out = {0};
    refusal_write(r, &out);
    struct iovec iov = {.iov_base = out.p, .iov_len = out.len};
    bool sent = !out.bad && client_write(c, &iov, 1);
    client_done(c, sent && r->keep_alive);
}

void clients_expire(struct clients *cs, int64_t now_ms)
{
    for (uint32_t i = 0; i < PROXY_CONNS; i++) {
        struct client *c = cs->slot[i];
        if (c && !c->stream && allowance_is_over(c, now_ms))
            allowance_end(c);
        if (c && c->stream)
            stream_rest(c->stream, now_ms);
        if (!c || c->deadline_ms > now_ms)
            continue;
        if (c->stream && client_flushed(c))
            stream_cut(c->stream, ERR_TIMEOUT, NULL);
        else
            client_close(c);
    }
}
