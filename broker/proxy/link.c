/*
 * The proxy worker's line to the vault (base/line.h). What somebody waits for goes at the end of the turn; news (ends, usage) gather in one
 * packet for up to LAZY_MS, unless they are urgent. Everything goes in the order it was said.
 */
#include "proxy/link.h"

#include "base/auto.h"
#include "base/line.h"
#include "base/listen.h"
#include "base/log.h"
#include "proxy/allowance.h"
#include "proxy/client.h"
#include "proxy/routes.h"
#include "proxy/stream.h"

#include <string.h>

enum { NEWS_MAX = 16384, LAZY_MS = 50 };

struct link {
    struct proxy *p;
    struct line *line;
    struct buf
        news; /* PROXY_USAGE and PROXY_END that are not in the line yet: they come behind what is */
    struct buf packet; /* of them, while it is built */
    bool urgent;       /* somebody waits for what is queued; else it is only news */
    int64_t lazy_until;
};

/* ---- sending */

static bool is_empty(const struct link *l)
{
    return line_waiting(l->line) == 0 && l->news.len == 0;
}

static void begin_wait(struct link *l)
{
    if (is_empty(l))
        l->lazy_until = loop_now(l->p->loop) + LAZY_MS;
}

/* All news so far become one packet of the line. */
static bool queue_news(struct link *l)
{
    if (l->news.len == 0)
        return true;
    msg_begin(&l->packet, MSG_PROXY_NEWS, 0, 0);
    msg_put(&l->packet, F_BODY, buf_view(&l->news));
    bool good = !l->packet.bad && line_add(l->line, 0, buf_view(&l->packet));
    buf_reset(&l->packet);
    buf_reset(&l->news);
    return good;
}

static bool queue_add(struct link *l, uint64_t client, struct view packet)
{
    begin_wait(l);
    return queue_news(l) && line_add(l->line, client, packet);
}

err_t link_request(struct link *l, struct client *c, struct view packet, struct why *why)
{
    if (line_waiting(l->line) + packet.n > LINE_QUEUE_MAX || !queue_add(l, c->id, packet))
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

/* The client waits for the answer still; its connection is shown with its first request. */
static bool wanted(void *ctx, uint64_t key, int *fd)
{
    const struct client *c = client_find(((struct link *)ctx)->p->clients, key);
    if (!c || !c->stream)
        return false;
    if (!c->shown)
        *fd = c->fd;
    return true;
}

static void went(void *ctx, uint64_t key)
{
    struct client *c = client_find(((struct link *)ctx)->p->clients, key);
    if (c)
        c->shown = true;
}

void link_flush(struct link *l)
{
    bool may_wait =
        !l->urgent && line_waiting(l->line) == 0 && loop_now(l->p->loop) < l->lazy_until;
    if (is_empty(l) || may_wait)
        return;
    told(l, queue_news(l), false);
    if (line_flush(l->line))
        l->urgent = false;
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
static err_t on_reply(void *ctx, const struct msg *m, int *fd, struct why *why)
{
    struct link *l = ctx;
    struct client *c = client_find(l->p->clients, m->conn);
    (void)fd;
    (void)why;
    if (c && c->stream && c->stream->asked == m->id && m->id != 0)
        stream_on_reply(c->stream, m);
    else
        end_unwanted(l, m);
    return ERR_OK;
}

static err_t on_close(void *ctx, const struct msg *m, int *fd, struct why *why)
{
    struct link *l = ctx;
    struct client *c = client_find(l->p->clients, m->conn);
    (void)fd;
    (void)why;
    if (c)
        client_close(c);
    return ERR_OK;
}

static err_t on_listen(void *ctx, const struct msg *m, int *fd, struct why *why)
{
    struct link *l = ctx;
    return listen_add(l->p->listeners, msg_view(m, F_CONSUMER), TAKE_FD(*fd),
                      msg_u64(m, F_MAX_CONNS, 0), why);
}

static err_t on_unlisten(void *ctx, const struct msg *m, int *fd, struct why *why)
{
    struct link *l = ctx;
    (void)fd;
    (void)why;
    listen_remove(l->p->listeners, msg_view(m, F_CONSUMER));
    return ERR_OK;
}

static err_t on_route(void *ctx, const struct msg *m, int *fd, struct why *why)
{
    struct link *l = ctx;
    (void)fd;
    return routes_put(l->p->routes, msg_u64(m, F_ROUTE, 0), msg_view(m, F_BODY), why);
}

static err_t on_route_end(void *ctx, const struct msg *m, int *fd, struct why *why)
{
    struct link *l = ctx;
    (void)fd;
    (void)why;
    routes_end(l->p->routes, msg_u64(m, F_ROUTE, 0));
    return ERR_OK;
}

static err_t on_cut(void *ctx, const struct msg *m, int *fd, struct why *why)
{
    struct link *l = ctx;
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

static const struct line_handler handlers[] = {
    {MSG_REPLY, on_reply}, {MSG_ROUTE, on_route},   {MSG_ROUTE_END, on_route_end},
    {MSG_CUT, on_cut},     {MSG_LISTEN, on_listen}, {MSG_UNLISTEN, on_unlisten},
    {MSG_CLOSE, on_close}, {MSG_NONE, NULL},
};
static const struct line_ops ops = {handlers, wanted, went};

err_t link_new(struct proxy *p, int vault_fd, struct link **out, struct why *why)
{
    AUTO(auto_close) int owned = vault_fd;
    struct link *l = calloc(1, sizeof(*l));
    if (!l)
        return fail(why, ERR_INTERNAL, "out of memory");
    *l = (struct link){.p = p, .news.max = 2 * NEWS_MAX, .packet.max = MSG_MAX};
    err_t e = line_new(p->loop, TAKE_FD(owned), &ops, l, &l->line, why);
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
    buf_free(&l->news);
    buf_free(&l->packet);
    free(l);
}
