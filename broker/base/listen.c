/*
 * Accepting. A consumer over its quota is told so at once (503 and closed) instead of being left in
 * the backlog, where it would hang; no consumer's connections can take another's places as long as
 * the total is not reached. A listener lives until its last connection is gone, so that a
 * connection's pointer to it never dangles.
 */
#include "base/listen.h"

#include "base/auto.h"
#include "base/log.h"
#include "base/name.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { PER_TURN = 64 };

struct listener {
    struct listeners *all;
    struct listener *next;
    char consumer[NAME_MAX_LEN + 1];
    int fd; /* -1: removed, waiting for its last connection */
    struct loop_fd *watch;
    uint32_t open, quota;
    bool full; /* told the log already */
};
struct listeners {
    struct listen_setup by;
    struct listener *first;
    bool stalled; /* some are not watched until listeners_retry() */
};

static void listener_close(struct listener *l)
{
    loop_unwatch(l->watch);
    l->watch = NULL;
    auto_close(&l->fd);
    l->fd = -1;
}

static void listener_drop(struct listener *l)
{
    struct listener **at = &l->all->first;
    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
    listener_close(l);
    free(l);
}

void listener_release(struct listener *from)
{
    from->open--;
    from->full = false;
    if (from->open == 0 && from->fd < 0)
        listener_drop(from);
}

/* ---- accepting */

static void turn_away(struct listener *l, int fd)
{
    l->all->by.ops->refuse(l->all->by.ctx, fd);
    close(fd);
    if (!l->full)
        log_event(LOG_LVL_WARN, "conn.quota", "consumer", l->consumer, NULL);
    l->full = true;
}

static void watch_for(struct listener *l, uint32_t events)
{
    if (loop_rewatch(l->watch, events) != ERR_OK)
        loop_stop(l->all->by.loop, 1);
}

/* Out of descriptors or memory: the socket stays readable, so it is not watched for a while. */
static void stall(struct listener *l)
{
    log_event(LOG_LVL_ERROR, "accept.stalled", "consumer", l->consumer, NULL);
    watch_for(l, 0);
    l->all->stalled = true;
}

static void on_accept(void *ctx, int fd, uint32_t events)
{
    struct listener *l = ctx;
    const struct listen_setup *by = &l->all->by;
    (void)events;
    /* where few come, few wait: one more accept4() would mostly be told that there is nobody */
    const uint32_t most = l->open < PER_TURN ? l->open + 1 : PER_TURN;
    for (uint32_t i = 0; i < most; i++) {
        int peer = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (peer < 0 && (errno == EINTR || errno == ECONNABORTED))
            continue;
        if (peer < 0) {
            if (errno != EAGAIN)
                stall(l);
            return;
        }
        if (l->open >= l->quota || by->ops->full(by->ctx)) {
            turn_away(l, peer);
            continue;
        }
        l->open++;
        by->ops->adopt(by->ctx, peer, l);
    }
}

bool listeners_stalled(const struct listeners *all)
{
    return all->stalled;
}

void listeners_retry(struct listeners *all)
{
    if (!all->stalled)
        return;
    all->stalled = false;
    for (struct listener *l = all->first; l; l = l->next)
        if (l->watch)
            watch_for(l, EPOLLIN);
}

/* ---- the set */

static struct listener *find(struct listeners *all, struct view consumer)
{
    for (struct listener *l = all->first; l; l = l->next)
        if (view_is(consumer, l->consumer))
            return l;
    return NULL;
}

static struct listener *find_or_add(struct listeners *all, struct view consumer)
{
    struct listener *l = find(all, consumer);
    if (l || (l = calloc(1, sizeof(*l))) == NULL)
        return l;
    l->all = all;
    l->fd = -1;
    l->next = all->first;
    all->first = l;
    (void)view_copy(consumer, l->consumer, sizeof(l->consumer));
    return l;
}

err_t listen_add(struct listeners *all, struct view consumer, int fd, uint64_t quota,
                 struct why *why)
{
    AUTO(auto_close) int owned = fd;
    if (fd < 0 || consumer.n == 0 || consumer.n > NAME_MAX_LEN)
        return fail(why, ERR_INVALID, "LISTEN without a consumer or a socket");
    struct listener *l = find_or_add(all, consumer);
    if (!l)
        return fail(why, ERR_INTERNAL, "out of memory");
    struct loop_fd *watch = NULL;
    err_t e =
        loop_watch(all->by.loop, &(struct loop_source){fd, EPOLLIN, on_accept, l}, &watch, why);
    if (e != ERR_OK) {
        if (l->fd < 0 && l->open == 0)
            listener_drop(l);
        return e;
    }
    listener_close(l);
    l->fd = TAKE_FD(owned);
    l->watch = watch;
    uint64_t most = all->by.quota_max;
    l->quota = quota == 0 ? all->by.quota : (uint32_t)(quota < most ? quota : most);
    return ERR_OK;
}

void listen_remove(struct listeners *all, struct view consumer)
{
    struct listener *l = find(all, consumer);
    if (!l)
        return;
    listener_close(l);
    l->open++; /* so that its last connection does not take it along */
    all->by.ops->drop(all->by.ctx, l);
    listener_release(l);
}

err_t listeners_new(const struct listen_setup *by, struct listeners **out, struct why *why)
{
    struct listeners *all = calloc(1, sizeof(*all));
    if (!all)
        return fail(why, ERR_INTERNAL, "out of memory");
    all->by = *by;
    *out = all;
    return ERR_OK;
}

void listeners_free(struct listeners *all)
{
    if (!all)
        return;
    while (all->first)
        listener_drop(all->first);
    free(all);
}
