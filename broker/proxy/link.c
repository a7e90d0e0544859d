/*
 * The line to the vault. Whole packets in a queue, sent at the end of the turn in order. A packet that shows a connection is held against the
 * table of clients at the moment it is sent: a connection that is gone meanwhile takes its packet with it, so a descriptor number that was
 * reused can never be shown in another's name. The vault's death ends the worker: without it nothing may be served.
 */
#include "proxy/link.h"

#include "base/auto.h"
#include "base/ipc.h"
#include "base/listen.h"
#include "base/log.h"
#include "proxy/allowance.h"
#include "proxy/client.h"
#include "proxy/routes.h"
#include "proxy/stream.h"

#include <string.h>
#include <sys/epoll.h>

enum { PER_TURN = 16, QUEUE_MAX = 8 << 20, NEWS_MAX = 16384, LAZY_MS = 50 };

struct entry {       /* before each packet in the queue */
    uint64_t client; /* 0: none waits for it */
    uint32_t n;
};
struct link {
    struct proxy *p;
    int fd;
    struct loop_fd *watch;
    struct buf
        news; /* PROXY_USAGE and PROXY_END that are not in the queue yet: they come behind it */
    struct buf packet; /* of them, while it is built */
    struct buf queue;
    size_t sent; /* bytes of the queue that are done */
    bool urgent; /* somebody waits for what is queued; else it is only news */
    int64_t lazy_until;
    struct ipc_batch in;
};

static void lost(struct link *l, const char *why)
{
    log_event(LOG_LVL_INFO, "vault.gone", "reason", why, NULL);
    loop_stop(l->p->loop, 0);
}

static void watch_for(struct link *l, uint32_t events)
{
    if (loop_rewatch(l->watch, events) != ERR_OK)
        loop_stop(l->p->loop, 1);
}

/* ---- sending */

static void begin_wait(struct link *l)
{
    if (l->queue.len == 0 && l->news.len == 0)
        l->lazy_until = loop_now(l->p->loop) + LAZY_MS;
}

static bool put_entry(struct link *l, uint64_t client, struct view packet)
{
    struct entry e = {.client = client, .n = (uint32_t)packet.n};
    if (!buf_reserve(&l->queue, sizeof(e) + packet.n))
        return false;
    buf_add(&l->queue, &e, sizeof(e));
    buf_add_view(&l->queue, packet);
    return true;
}

/* All news so far become one packet of the queue. */
static bool queue_news(struct link *l)
{
    if (l->news.len == 0)
        return true;
    msg_begin(&l->packet, MSG_PROXY_NEWS, 0, 0);
    msg_put(&l->packet, F_BODY, buf_view(&l->news));
    bool good = !l->packet.bad && put_entry(l, 0, buf_view(&l->packet));
    buf_reset(&l->packet);
    buf_reset(&l->news);
    return good;
}

static bool queue_add(struct link *l, uint64_t client, struct view packet)
{
    begin_wait(l);
    return queue_news(l) && put_entry(l, client, packet);
}

err_t link_request(struct link *l, struct client *c, struct view packet, struct why *why)
{
    if (l->queue.len + packet.n > QUEUE_MAX || !queue_add(l, c->id, packet))
        return fail(why, ERR_UNAVAILABLE, "the broker is busy; try again");
    l->urgent = true;
    return ERR_OK;
}

static void told(struct link *l, bool good, bool urgent)
{
    if (!good) {
        log_event(LOG_LVL_ERROR, "link.full",
                  NULL); /* the vault's books would be wrong: start anew */
        loop_stop(l->p->loop, 1);
    }
    l->urgent = l->urgent || urgent;
}

void link_tell(struct link *l, struct view packet, bool urgent)
{
    told(l, packet.n > 0 && queue_add(l, 0, packet), urgent);
}

void link_news(struct link *l, struct view packet, bool urgent)
{
    bool room = l->news.len + packet.n + 4 <= NEWS_MAX || queue_news(l);
    begin_wait(l);
    buf_put_str32(&l->news, packet);
    told(l, packet.n > 0 && room && !l->news.bad, urgent);
}

void link_ready(struct link *l, const char *sandbox)
{
    AUTO(buf_free) struct buf packet = {0};
    msg_begin(&packet, MSG_READY, 0, 0);
    msg_put_str(&packet, F_REASON, sandbox);
    link_tell(l, packet.bad ? VIEW(NULL, 0) : buf_view(&packet), true);
}

/* The next packets of the queue, in order; a request whose client is gone is passed over. Returns the bytes of the queue they stand for. */
static size_t collect(struct link *l, struct ipc_packet *p, struct client **shown, unsigned *n)
{
    size_t at = l->sent;
    struct entry e;
    for (*n = 0; *n < IPC_BATCH && at < l->queue.len; at += sizeof(e) + e.n) {
        memcpy(&e, l->queue.p + at, sizeof(e));
        struct client *c = e.client ? client_find(l->p->clients, e.client) : NULL;
        if (e.client && (!c || !c->stream))
            continue;
        p[*n] = (struct ipc_packet){VIEW(l->queue.p + at + sizeof(e), e.n), -1};
        shown[*n] = c && !c->shown ? c : NULL;
        if (shown[*n])
            p[*n].fd = shown[*n]->fd;
        ++*n;
    }
    return at;
}

/* As many as go in one call. */
static MUST err_t send_some(struct link *l, struct why *why)
{
    struct ipc_packet p[IPC_BATCH];
    struct client *shown[IPC_BATCH] = {0};
    unsigned n, sent = 0;
    size_t end = collect(l, p, shown, &n);
    if (n > 0)
        TRY(ipc_send_many(l->fd, p, n, &sent, why));
    for (unsigned i = 0; i < sent; i++)
        if (shown[i])
            shown[i]->shown = true;
    l->sent = sent == n ? end : (size_t)(p[sent].bytes.p - l->queue.p) - sizeof(struct entry);
    return ERR_OK;
}

static bool may_wait(const struct link *l)
{
    return !l->urgent && l->queue.len == 0 && loop_now(l->p->loop) < l->lazy_until;
}

void link_flush(struct link *l)
{
    struct why why = {0};
    if ((l->queue.len == 0 && l->news.len == 0) || may_wait(l))
        return;
    told(l, queue_news(l), false);
    while (l->sent < l->queue.len) {
        err_t e = send_some(l, &why);
        if (e == ERR_UNAVAILABLE) {
            watch_for(l, EPOLLIN | EPOLLOUT);
            return;
        }
        if (e != ERR_OK) {
            lost(l, why.text);
            return;
        }
    }
    buf_reset(&l->queue);
    l->sent = 0;
    l->urgent = false;
    watch_for(l, EPOLLIN);
}

/* ---- receiving */

/* Granted, but nobody waits any more: the vault's books would have it running for ever. */
static void end_unwanted(struct link *l, const struct msg *m)
{
    AUTO(buf_free) struct buf packet = {0};
    uint64_t serial = msg_u64(m, F_SERIAL, 0);
    if (msg_u64(m, F_STATUS, ERR_INTERNAL) != ERR_OK || serial == 0)
        return;
    msg_begin(&packet, MSG_PROXY_END, 0, 0);
    msg_put_u64(&packet, F_STATUS, ERR_UNAVAILABLE);
    msg_put_u64(&packet, F_SERIAL, serial);
    link_news(l, buf_view(&packet), false);
}

/* A connection may have given up one question and asked another one: the number tells which is answered. */
static MUST err_t on_reply(struct link *l, const struct msg *m, int fd, struct why *why)
{
    struct client *c = client_find(l->p->clients, m->conn);
    (void)fd;
    (void)why;
    if (c && c->stream && c->stream->asked == m->id && m->id != 0)
        stream_on_reply(c->stream, m);
    else
        end_unwanted(l, m);
    return ERR_OK;
}

static MUST err_t on_close(struct link *l, const struct msg *m, int fd, struct why *why)
{
    struct client *c = client_find(l->p->clients, m->conn);
    (void)fd;
    (void)why;
    if (c)
        client_close(c);
    return ERR_OK;
}

static MUST err_t on_listen(struct link *l, const struct msg *m, int fd, struct why *why)
{
    return listen_add(l->p->listeners, msg_view(m, F_CONSUMER), fd, msg_u64(m, F_MAX_CONNS, 0),
                      why);
}

static MUST err_t on_unlisten(struct link *l, const struct msg *m, int fd, struct why *why)
{
    (void)fd;
    (void)why;
    listen_remove(l->p->listeners, msg_view(m, F_CONSUMER));
    return ERR_OK;
}

static MUST err_t on_route(struct link *l, const struct msg *m, int fd, struct why *why)
{
    (void)fd;
    return routes_put(l->p->routes, msg_u64(m, F_ROUTE, 0), msg_view(m, F_BODY), why);
}

static MUST err_t on_route_end(struct link *l, const struct msg *m, int fd, struct why *why)
{
    (void)fd;
    (void)why;
    routes_end(l->p->routes, msg_u64(m, F_ROUTE, 0));
    return ERR_OK;
}

static MUST err_t on_cut(struct link *l, const struct msg *m, int fd, struct why *why)
{
    uint8_t lease[16];
    char reason[256];
    uint64_t serial = msg_u64(m, F_SERIAL, 0), status = msg_u64(m, F_STATUS, ERR_EXPIRED);
    bool by_lease = hex_decode(msg_view(m, F_LEASE), lease, sizeof(lease));
    (void)fd;
    if (!by_lease && serial == 0)
        return fail(why, ERR_INVALID, "CUT of nothing");
    (void)view_copy(msg_view(m, F_REASON), reason, sizeof(reason));
    err_t e = status > ERR_OK && status < ERR__COUNT ? (err_t)status : ERR_EXPIRED;
    for (uint32_t slot = 0; slot < PROXY_CONNS; slot++) {
        struct client *c = client_of_slot(l->p->clients, slot);
        struct stream *s = c ? c->stream : NULL;
        if (c && (!s || s->serial == 0) && allowance_is_of(c, by_lease ? lease : NULL, serial))
            allowance_end(c);
        if (s && s->serial &&
            (by_lease ? memcmp(s->lease, lease, sizeof(lease)) == 0 : s->serial == serial))
            stream_cut(s, e, reason);
    }
    return ERR_OK;
}

/* `fd` stays the dispatcher's unless the row takes it over. */
static const struct {
    enum msg_type type;
    bool takes_fd;
    err_t (*fn)(struct link *l, const struct msg *m, int fd, struct why *why);
} handlers[] = {
    {MSG_REPLY, false, on_reply},         {MSG_ROUTE, false, on_route},
    {MSG_ROUTE_END, false, on_route_end}, {MSG_CUT, false, on_cut},
    {MSG_LISTEN, true, on_listen},        {MSG_UNLISTEN, false, on_unlisten},
    {MSG_CLOSE, false, on_close},
};

static MUST err_t dispatch(struct link *l, struct view packet, int *fd, struct why *why)
{
    AUTO(auto_close) int owned = TAKE_FD(*fd);
    struct msg m;
    TRY(msg_parse(packet, FROM_VAULT, &m, why));
    for (size_t i = 0; i < COUNT(handlers); i++)
        if (handlers[i].type == m.type)
            return handlers[i].fn(l, &m, handlers[i].takes_fd ? TAKE_FD(owned) : -1, why);
    return fail(why, ERR_INVALID, "%s is not for this role", msg_rule(m.type)->name);
}

/* False: the vault is gone, or broke the rules. */
static bool take_batch(struct link *l)
{
    for (unsigned i = 0; i < l->in.n; i++) {
        struct ipc_arrival *a = &l->in.packet[i];
        struct why why = {0};
        if (a->status != ERR_OK) {
            lost(l, a->why.text);
            return false;
        }
        if (dispatch(l, buf_view(&a->bytes), &a->fd, &why) != ERR_OK)
            log_event(LOG_LVL_ERROR, "vault.message", "reason", why.text, NULL);
        buf_reset(&a->bytes);
    }
    return true;
}

static void on_vault(void *ctx, int fd, uint32_t events)
{
    struct link *l = ctx;
    struct why why = {0};
    (void)events;
    for (int i = 0; i < PER_TURN; i++) {
        err_t e = ipc_recv_many(fd, &l->in, &why);
        if (e == ERR_UNAVAILABLE)
            return;
        if (e != ERR_OK) {
            lost(l, why.text);
            return;
        }
        if (!take_batch(l) || l->in.n < IPC_BATCH)
            return;
    }
}

err_t link_new(struct proxy *p, int vault_fd, struct link **out, struct why *why)
{
    struct link *l = calloc(1, sizeof(*l));
    if (!l)
        return fail(why, ERR_INTERNAL, "out of memory");
    *l = (struct link){.p = p,
                       .fd = vault_fd,
                       .queue.max = 2 * QUEUE_MAX,
                       .news.max = 2 * NEWS_MAX,
                       .packet.max = MSG_MAX};
    err_t e =
        loop_watch(p->loop, &(struct loop_source){vault_fd, EPOLLIN, on_vault, l}, &l->watch, why);
    if (e != ERR_OK) {
        free(l);
        return e;
    }
    *out = l;
    return ERR_OK;
}

void link_free(struct link *l)
{
    if (!l)
        return;
    loop_unwatch(l->watch);
    auto_close(&l->fd);
    buf_free(&l->queue);
    buf_free(&l->news);
    buf_free(&l->packet);
    ipc_batch_free(&l->in);
    free(l);
}
