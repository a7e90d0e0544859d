/*
 * The line to the vault. Requests are queued as whole packets and sent at the end of the turn, in
 * order. A packet is held against the connection table at the moment it is sent: when its request
 * has been given up meanwhile (deadline, client gone), it is dropped, so a descriptor number that
 * was reused can never be shown in another's name. That a connection has ended wakes the vault for
 * nothing: mostly the next one in its slot is shown soon, which tells it (the vault drops what was
 * there); what is left over is told every LAZY_MS. Should the vault refuse the one that was shown,
 * it dropped nothing, so the end of the other is then told in words. The vault's death ends the
 * worker: without it there is nothing to serve.
 */
#include "api/link.h"
#include "api/front.h"
#include "base/auto.h"
#include "base/ipc.h"
#include "base/listen.h"
#include "base/log.h"

#include <string.h>
#include <sys/epoll.h>

enum { PER_TURN = 256, LAZY_MS = 50 };

struct entry {        /* before each packet in the queue */
    uint64_t request; /* 0: none waits for it */
    uint32_t n;
};
struct link {
    struct worker *w;
    int fd;
    struct loop_fd *watch;
    struct buf queue;
    size_t sent; /* bytes of the queue that are done */
    struct buf in;
    uint64_t *ended; /* by slot: the connection whose end is still to be told; 0: none */
    uint32_t n_ended, ended_high;
    int64_t tell_at; /* when that is due; INT64_MAX: nothing is to be told */
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

void link_closed(struct link *l, const struct conn *c)
{
    if (c->replaces)
        queue_message(l, MSG_CLOSED, c->replaces, NULL);
    if (l->n_ended++ == 0)
        l->tell_at = loop_now(l->w->loop) + LAZY_MS;
    l->ended[c->slot] = conn_id(c);
    if (c->slot >= l->ended_high)
        l->ended_high = c->slot + 1;
}

/* The connection that was last in this slot is told by showing the next. */
static uint64_t take_ended(struct link *l, uint32_t slot)
{
    uint64_t id = l->ended[slot];
    l->ended[slot] = 0;
    if (id && --l->n_ended == 0)
        l->tell_at = INT64_MAX;
    return id;
}

static void tell_ended(struct link *l)
{
    for (uint32_t i = 0; i < l->ended_high && l->n_ended; i++) {
        uint64_t id = take_ended(l, i);
        if (id)
            queue_message(l, MSG_CLOSED, id, NULL);
    }
    l->ended_high = 0;
}

void link_ready(struct link *l, const char *sandbox)
{
    queue_message(l, MSG_READY, 0, sandbox);
}

int64_t link_due(const struct link *l)
{
    return l->tell_at;
}

/* What goes in one call. */
struct batch {
    struct ipc_packet packet[IPC_BATCH];
    struct conn *conn[IPC_BATCH]; /* that is shown by it; NULL: none */
    size_t end[IPC_BATCH];        /* in the queue */
    unsigned n;
};

/* Gathers packets from *at on, leaving out those whose request was given up. */
static void gather(const struct link *l, size_t *at, struct batch *b)
{
    struct entry e;
    for (b->n = 0; *at < l->queue.len && b->n < IPC_BATCH;) {
        memcpy(&e, l->queue.p + *at, sizeof(e));
        struct view bytes = VIEW(l->queue.p + *at + sizeof(e), e.n);
        struct conn *c = e.request ? conn_find_waiting(l->w->conns, e.request) : NULL;
        *at += sizeof(e) + e.n;
        if (e.request && !c)
            continue;
        bool shows = c && !c->shown;
        b->packet[b->n] = (struct ipc_packet){.bytes = bytes, .fd = shows ? c->fd : -1};
        b->conn[b->n] = shows ? c : NULL;
        b->end[b->n++] = *at;
    }
}

static MUST err_t send_batch(struct link *l, const struct batch *b, struct why *why)
{
    for (unsigned from = 0, sent = 0; from < b->n; from += sent) {
        TRY(ipc_send_many(l->fd, b->packet + from, b->n - from, &sent, why));
        for (unsigned i = from; i < from + sent; i++) {
            struct conn *c = b->conn[i];
            if (!c)
                continue;
            c->shown = true;
            c->replaces = take_ended(l, c->slot);
        }
        l->sent = b->end[from + sent - 1];
    }
    return ERR_OK;
}

/* False: the vault does not take more now, or is gone. */
static bool send_queue(struct link *l)
{
    struct why why = {0};
    struct batch b;
    for (size_t at = l->sent; at < l->queue.len; l->sent = at) {
        gather(l, &at, &b);
        err_t e = send_batch(l, &b, &why);
        if (e == ERR_UNAVAILABLE) {
            watch_for(l, EPOLLIN | EPOLLOUT);
            return false;
        }
        if (e != ERR_OK) {
            lost(l, &why);
            return false;
        }
    }
    if (l->sent > 0)
        buf_reset(&l->queue);
    l->sent = 0;
    return true;
}

void link_flush(struct link *l)
{
    if (!send_queue(l))
        return;
    if (l->tell_at <= loop_now(l->w->loop)) { /* what the queue did not tell */
        tell_ended(l);
        if (!send_queue(l))
            return;
    }
    watch_for(l, EPOLLIN);
}

/* ---- receiving */

static MUST err_t on_reply(struct link *l, const struct msg *m, int fd, struct why *why)
{
    struct conn *c = conn_find_waiting(l->w->conns, m->id);
    (void)fd;
    (void)why;
    if (!c) /* given up meanwhile */
        return ERR_OK;
    if (c->replaces && msg_u64(m, F_STATUS, ERR_INTERNAL) != ERR_OK)
        queue_message(l, MSG_CLOSED, c->replaces, NULL);
    c->replaces = 0;
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
    *l = (struct link){.w = w,
                       .fd = vault_fd,
                       .queue.max = 2 * LINK_QUEUE_MAX,
                       .in.max = MSG_MAX,
                       .ended = calloc(CONN_MAX, sizeof(*l->ended)),
                       .tell_at = INT64_MAX};
    err_t e = l->ended ? loop_watch(w->loop, &(struct loop_source){vault_fd, EPOLLIN, on_vault, l},
                                    &l->watch, why)
                       : fail(why, ERR_INTERNAL, "out of memory");
    if (e != ERR_OK) {
        free(l->ended);
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
    free(l->ended);
    free(l);
}
