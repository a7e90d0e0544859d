/*
 * The line to the vault. Requests are queued as whole packets and sent at the end of the turn, in
 * order. A packet is held against the connection table at the moment it is sent: when its request
 * has been given up meanwhile (deadline, client gone), it is dropped, so a descriptor number that
 * was reused can never be shown in another's name. The vault's death ends the worker: without it
 * there is nothing to serve.
 */
#include "api/link.h"
#include "api/front.h"
#include "api/listen.h"
#include "base/auto.h"
#include "base/ipc.h"
#include "base/log.h"

#include <string.h>
#include <sys/epoll.h>

enum { PER_TURN = 256, LAZY_MS = 50, LAZY_BYTES = 16384 };

struct entry {        /* before each packet in the queue */
    uint64_t request; /* 0: none waits for it */
    uint32_t n;
};
struct link {
    struct worker *w;
    int fd;
    struct loop_fd *watch;
    struct buf queue;
    bool urgent; /* somebody waits for what is queued; else it is only news of closed connections */
    int64_t lazy_until; /* when such news is sent at the latest */
    size_t sent;        /* bytes of the queue that are done */
    struct buf in;
};

static void lost(struct link *l, const struct why *why)
{
    log_event(LOG_LVL_INFO, "vault.gone", "reason", why->text, NULL);
    loop_stop(l->w->loop, 0);
}

static void watch_for(struct link *l, uint32_t events)
{
    if (loop_rewatch(l->watch, events) != ERR_OK)
        loop_stop(l->w->loop, 1);
}

/* ---- sending */

static bool queue_add(struct link *l, uint64_t request, struct view packet)
{
    struct entry e = {.request = request, .n = (uint32_t)packet.n};
    if (!buf_reserve(&l->queue, sizeof(e) + packet.n))
        return false;
    buf_add(&l->queue, &e, sizeof(e));
    buf_add_view(&l->queue, packet);
    return true;
}

err_t link_request(struct link *l, uint64_t id, struct view packet, struct why *why)
{
    if (l->queue.len + packet.n > LINK_QUEUE_MAX || !queue_add(l, id, packet))
        return fail(why, ERR_UNAVAILABLE, "the broker is busy; try again");
    l->urgent = true;
    return ERR_OK;
}

static void queue_message(struct link *l, enum msg_type type, uint64_t conn, const char *reason)
{
    AUTO(buf_free) struct buf packet = {.max = MSG_MAX};
    msg_begin(&packet, type, 0, conn);
    msg_put_str(&packet, F_REASON, reason);
    if (packet.bad || !queue_add(l, 0, buf_view(&packet))) {
        log_event(LOG_LVL_ERROR, "link.full",
                  NULL); /* the vault would keep a dead connection: start anew */
        loop_stop(l->w->loop, 1);
    }
}

void link_closed(struct link *l, uint64_t conn)
{
    if (l->queue.len == 0)
        l->lazy_until = loop_now(l->w->loop) + LAZY_MS;
    queue_message(l, MSG_CLOSED, conn, NULL);
}

void link_ready(struct link *l, const char *sandbox)
{
    queue_message(l, MSG_READY, 0, sandbox);
    l->urgent = true;
}

static MUST err_t send_entry(struct link *l, const struct entry *e, struct view packet,
                             struct why *why)
{
    if (e->request == 0)
        return ipc_send(l->fd, packet, -1, why);
    struct conn *c = conn_find_waiting(l->w->conns, e->request);
    if (!c)
        return ERR_OK;
    TRY(ipc_send(l->fd, packet, c->shown ? -1 : c->fd, why));
    c->shown = true;
    return ERR_OK;
}

/* A closed connection wakes the vault for nothing: the news goes with the next request, or after a moment. */
static bool may_wait(const struct link *l)
{
    return !l->urgent && l->queue.len < LAZY_BYTES && loop_now(l->w->loop) < l->lazy_until;
}

int64_t link_due(const struct link *l)
{
    return l->queue.len > 0 && may_wait(l) ? l->lazy_until : INT64_MAX;
}

void link_flush(struct link *l)
{
    struct why why = {0};
    struct entry e;
    if (may_wait(l))
        return;
    while (l->sent < l->queue.len) {
        memcpy(&e, l->queue.p + l->sent, sizeof(e));
        err_t r = send_entry(l, &e, VIEW(l->queue.p + l->sent + sizeof(e), e.n), &why);
        if (r == ERR_UNAVAILABLE) {
            watch_for(l, EPOLLIN | EPOLLOUT);
            return;
        }
        if (r != ERR_OK) {
            lost(l, &why);
            return;
        }
        l->sent += sizeof(e) + e.n;
    }
    if (l->sent > 0)
        buf_reset(&l->queue);
    l->sent = 0;
    l->urgent = false;
    watch_for(l, EPOLLIN);
}

/* ---- receiving */

static MUST err_t on_reply(struct link *l, const struct msg *m, int fd, struct why *why)
{
    struct conn *c = conn_find_waiting(l->w->conns, m->id);
    (void)fd;
    (void)why;
    if (c) /* else given up meanwhile */
        l->w->front->answer(l->w->clients, c, m);
    return ERR_OK;
}

static MUST err_t on_close(struct link *l, const struct msg *m, int fd, struct why *why)
{
    struct conn *c = conn_find(l->w->conns, m->conn);
    (void)fd;
    (void)why;
    if (c)
        l->w->front->kill(l->w->clients, c);
    return ERR_OK;
}

static MUST err_t on_listen(struct link *l, const struct msg *m, int fd, struct why *why)
{
    return listen_add(l->w->listeners, msg_view(m, F_CONSUMER), fd, msg_u64(m, F_MAX_CONNS, 0),
                      why);
}

static MUST err_t on_unlisten(struct link *l, const struct msg *m, int fd, struct why *why)
{
    (void)fd;
    (void)why;
    listen_remove(l->w->listeners, msg_view(m, F_CONSUMER));
    return ERR_OK;
}

/* `fd` stays the dispatcher's unless the row takes it over. */
static const struct {
    enum msg_type type;
    bool takes_fd;
    err_t (*fn)(struct link *l, const struct msg *m, int fd, struct why *why);
} handlers[] = {
    {MSG_REPLY, false, on_reply},
    {MSG_LISTEN, true, on_listen},
    {MSG_UNLISTEN, false, on_unlisten},
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
            lost(l, &why);
            return;
        }
        if (dispatch(l, passed, &why) != ERR_OK)
            log_event(LOG_LVL_ERROR, "vault.message", "reason", why.text, NULL);
        buf_reset(&l->in);
        if (conns_waiting(l->w->conns) == 0)
            return; /* most likely nothing more is there; the loop would tell */
    }
}

err_t link_new(struct worker *w, int vault_fd, struct link **out, struct why *why)
{
    struct link *l = calloc(1, sizeof(*l));
    if (!l)
        return fail(why, ERR_INTERNAL, "out of memory");
    *l = (struct link){.w = w, .fd = vault_fd, .queue.max = 2 * LINK_QUEUE_MAX, .in.max = MSG_MAX};
    err_t e =
        loop_watch(w->loop, &(struct loop_source){vault_fd, EPOLLIN, on_vault, l}, &l->watch, why);
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
