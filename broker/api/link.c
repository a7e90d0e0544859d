/*
 * The api worker's line to the vault (base/line.h). That a connection has ended wakes the vault for
 * nothing: mostly the next one in its slot is shown soon, which tells it (the vault drops what was
 * there); what is left over is told every LAZY_MS. Should the vault refuse the one that was shown,
 * it dropped nothing, so the end of the other is then told in words.
 */
#include "api/link.h"
#include "api/front.h"
#include "base/auto.h"
#include "base/line.h"
#include "base/listen.h"
#include "base/log.h"

enum { LAZY_MS = 50 };

struct link {
    struct worker *w;
    struct line *line;
    uint64_t *ended; /* by slot: the connection whose end is still to be told; 0: none */
    uint32_t n_ended, ended_high;
    int64_t tell_at; /* when that is due; INT64_MAX: nothing is to be told */
};

/* ---- sending */

err_t link_request(struct link *l, uint64_t id, struct view packet, struct why *why)
{
    if (line_waiting(l->line) + packet.n > LINE_QUEUE_MAX || !line_add(l->line, id, packet))
        return fail(why, ERR_UNAVAILABLE, "the broker is busy; try again");
    return ERR_OK;
}

static void queue_message(struct link *l, enum msg_type type, uint64_t conn, const char *reason)
{
    AUTO(buf_free) struct buf packet = {.max = MSG_MAX};
    msg_begin(&packet, type, 0, conn);
    msg_put_str(&packet, F_REASON, reason);
    if (packet.bad || !line_add(l->line, 0, buf_view(&packet))) {
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

/* The request `key` waits for its answer still; its connection is shown with it the first time. */
static bool wanted(void *ctx, uint64_t key, int *fd)
{
    const struct conn *c = conn_find_waiting(((struct link *)ctx)->w->conns, key);
    if (c && !c->shown)
        *fd = c->fd;
    return c != NULL;
}

static void went(void *ctx, uint64_t key)
{
    struct link *l = ctx;
    struct conn *c = conn_find_waiting(l->w->conns, key);
    if (!c || c->shown)
        return;
    c->shown = true;
    c->replaces = take_ended(l, c->slot);
}

void link_flush(struct link *l)
{
    if (!line_flush(l->line) || l->tell_at > loop_now(l->w->loop))
        return;
    tell_ended(l); /* what the queue did not tell */
    (void)line_flush(l->line);
}

/* ---- receiving */

static err_t on_reply(void *ctx, const struct msg *m, int *fd, struct why *why)
{
    struct link *l = ctx;
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

static err_t on_close_conn(void *ctx, const struct msg *m, int *fd, struct why *why)
{
    struct link *l = ctx;
    struct conn *c = conn_find(l->w->conns, m->conn);
    (void)fd;
    (void)why;
    if (c)
        l->w->front->kill(l->w->clients, c);
    return ERR_OK;
}

static err_t on_listen(void *ctx, const struct msg *m, int *fd, struct why *why)
{
    struct link *l = ctx;
    return listen_add(l->w->listeners, msg_view(m, F_CONSUMER), TAKE_FD(*fd),
                      msg_u64(m, F_MAX_CONNS, 0), why);
}

static err_t on_unlisten(void *ctx, const struct msg *m, int *fd, struct why *why)
{
    struct link *l = ctx;
    (void)fd;
    (void)why;
    listen_remove(l->w->listeners, msg_view(m, F_CONSUMER));
    return ERR_OK;
}

static const struct line_handler handlers[] = {
    {MSG_REPLY, on_reply},      {MSG_LISTEN, on_listen}, {MSG_UNLISTEN, on_unlisten},
    {MSG_CLOSE, on_close_conn}, {MSG_NONE, NULL},
};
static const struct line_ops ops = {handlers, wanted, went};

err_t link_new(struct worker *w, int vault_fd, struct link **out, struct why *why)
{
    AUTO(auto_close) int owned = vault_fd;
    struct link *l = calloc(1, sizeof(*l));
    if (!l)
        return fail(why, ERR_INTERNAL, "out of memory");
    *l = (struct link){.w = w, .ended = calloc(CONN_MAX, sizeof(*l->ended)), .tell_at = INT64_MAX};
    err_t e = l->ended ? line_new(w->loop, TAKE_FD(owned), &ops, l, &l->line, why)
                       : fail(why, ERR_INTERNAL, "out of memory");
    if (e != ERR_OK)
        link_free(l);
    else
        *out = l;
    return e;
}

void link_free(struct link *l)
{
    if (!l)
        return;
    line_free(l->line);
    free(l->ended);
    free(l);
}
