/*
 * The line to the vault. Whole packets in a queue, sent at the end of the turn in order. A packet that shows a connection is held against the
 * table of clients at the moment it is sent: a connection that is gone meanwhile takes its packet with it, so a descriptor number that was
 * reused can never be shown in another's name. The vault's death ends the worker: without it nothing may be served.
 */
#include "proxy/link.h"

#include "base/auto.h"
#include "base/ipc.h"
#include "base/log.h"
#include "proxy/client.h"
#include "proxy/listen.h"
#include "proxy/routes.h"
#include "proxy/stream.h"

#include <string.h>
#include <sys/epoll.h>

enum { PER_TURN = 256, QUEUE_MAX = 8 << 20, LAZY_BYTES = 16384, LAZY_MS = 50 };

struct entry {       /* before each packet in the queue */
    uint64_t client; /* 0: none waits for it */
    uint32_t n;
};
struct link {
    struct proxy *p;
    int fd;
    struct loop_fd *watch;
    struct buf queue;
    size_t sent; /* bytes of the queue that are done */
    bool urgent; /* somebody waits for what is queued; else it is only news */
    int64_t lazy_until;
    struct buf in;
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

static bool queue_add(struct link *l, uint64_t client, struct view packet)
{
    struct entry e = {.client = client, .n = (uint32_t)packet.n};
    if (l->queue.len == 0)
        l->lazy_until = loop_now(l->p->loop) + LAZY_MS;
    if (!buf_reserve(&l->queue, sizeof(e) + packet.n))
        return false;
    buf_add(&l->queue, &e, sizeof(e));
    buf_add_view(&l->queue, packet);
    return true;
}

err_t link_request(struct link *l, struct client *c, struct view packet, struct why *why)
{
    if (l->queue.len + packet.n > QUEUE_MAX || !queue_add(l, c->id, packet))
        return fail(why, ERR_UNAVAILABLE, "the broker is busy; try again");
    l->urgent = true;
    return ERR_OK;
}

void link_tell(struct link *l, struct view packet, bool urgent)
{
    if (packet.n == 0 || !queue_add(l, 0, packet)) {
        log_event(LOG_LVL_ERROR, "link.full",
                  NULL); /* the vault's books would be wrong: start anew */
        loop_stop(l->p->loop, 1);
    }
    l->urgent = l->urgent || urgent;
}

void link_ready(struct link *l, const char *sandbox)
{
    AUTO(buf_free) struct buf packet = {0};
    msg_begin(&packet, MSG_READY, 0, 0);
    msg_put_str(&packet, F_REASON, sandbox);
    link_tell(l, packet.bad ? VIEW(NULL, 0) : buf_view(&packet), true);
}

static MUST err_t send_entry(struct link *l, const struct entry *e, struct view packet,
                             struct why *why)
{
    if (e->client == 0)
        return ipc_send(l->fd, packet, -1, why);
    struct client *c = client_find(l->p->clients, e->client);
    if (!c || !c->stream)
        return ERR_OK;
    TRY(ipc_send(l->fd, packet, c->shown ? -1 : c->fd, why));
    c->shown = true;
    return ERR_OK;
}

static bool may_wait(const struct link *l)
{
    return !l->urgent && l->queue.len < LAZY_BYTES && loop_now(l->p->loop) < l->lazy_until;
}

void link_flush(struct link *l)
{
    struct why why = {0};
    struct entry e;
    if (l->queue.len == 0 || may_wait(l))
        return;
    while (l->sent < l->queue.len) {
        memcpy(&e, l->queue.p + l->sent, sizeof(e));
        err_t r = send_entry(l, &e, VIEW(l->queue.p + l->sent + sizeof(e), e.n), &why);
        if (r == ERR_UNAVAILABLE) {
            watch_for(l, EPOLLIN | EPOLLOUT);
            return;
        }
        if (r != ERR_OK) {
            lost(l, why.text);
            return;
        }
        l->sent += sizeof(e) + e.n;
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
    link_tell(l, buf_view(&packet), false);
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

static MUST err_t dispatch(struct link *l, int fd, struct why *why)
{
    AUTO(auto_close) int owned = fd;
    struct msg m;
    TRY(msg_parse(buf_view(&l->in), FROM_VAULT, &m, why));
    for (size_t i = 0; i < COUNT(handlers); i++)
        if (handlers[i].type == m.type)
            return handlers[i].fn(l, &m, handlers[i].takes_fd ? TAKE_FD(owned) : -1, why);
    return fail(why, ERR_INVALID, "%s is not for this role", msg_rule(m.type)->name);
}

static void on_vault(void *ctx, int fd, uint32_t events)
{
    struct link *l = ctx;
    struct why why = {0};
    (void)events;
    for (int i = 0; i < PER_TURN; i++) {
        int passed = -1;
        err_t e = ipc_recv(fd, &l->in, &passed, &why);
        if (e == ERR_UNAVAILABLE)
            return;
        if (e != ERR_OK) {
            lost(l, why.text);
            return;
        }
        if (dispatch(l, passed, &why) != ERR_OK)
            log_event(LOG_LVL_ERROR, "vault.message", "reason", why.text, NULL);
        buf_reset(&l->in);
    }
}

err_t link_new(struct proxy *p, int vault_fd, struct link **out, struct why *why)
{
    struct link *l = calloc(1, sizeof(*l));
    if (!l)
        return fail(why, ERR_INTERNAL, "out of memory");
    *l = (struct link){.p = p, .fd = vault_fd, .queue.max = 2 * QUEUE_MAX, .in.max = MSG_MAX};
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
    buf_free(&l->in);
    free(l);
}
