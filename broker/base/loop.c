/*
 * The event loop: one epoll set, one timerfd for all timers, at most one signalfd. A turn is: wait,
 * hand out descriptors' events, fire due timers, do what was put off, call the turn-end hook.
 * Invariant: a source that was unwatched or freed inside a turn is never called again, even when its event was already
 * fetched: loop_unwatch() strikes it from the batch in hand.
 * A timerfd on CLOCK_BOOTTIME instead of epoll_wait's timeout, because that one stands still while
 * the machine is suspended and a lease must not live longer for it. What a firing timer arms is due
 * a millisecond later at the earliest, so one that re-arms itself for "now" starves neither
 * descriptors nor other timers.
 */
#include "base/loop.h"
#include "base/auto.h"
#include "base/clock.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

enum { BATCH = 64, NOT_ARMED = -1, HEAP_FIRST = 16 };

struct loop_fd {
    struct loop *loop;
    int fd;
    uint32_t events;
    loop_fd_fn *fn;
    void *ctx;
};

struct loop_timer {
    struct loop *loop;
    int64_t at_ms;
    int slot; /* in the heap, or NOT_ARMED */
    loop_timer_fn *fn;
    void *ctx;
};

struct loop {
    int epoll, timerfd, signalfd;
    struct loop_fd *timer_watch, *signal_watch;
    struct epoll_event batch[BATCH];
    int n_batch;
    struct loop_timer **heap;
    int n_heap, cap_heap;
    int64_t armed_ms; /* what the timerfd is set to; 0: disarmed */
    int64_t now_ms;
    loop_signal_fn *signal_fn;
    void *signal_ctx;
    struct loop_later *later, **later_end; /* in order */
    unsigned turn;
    void (*turn_fn)(void *ctx);
    void *turn_ctx;
    bool firing, stopping;
    int code;
};

static void auto_loop(struct loop **l)
{
    loop_free(*l);
}

/* ---- descriptors */

err_t loop_watch(struct loop *l, const struct loop_source *source, struct loop_fd **out,
                 struct why *why)
{
    struct loop_fd *w = malloc(sizeof(*w));
    if (!w)
        return fail(why, ERR_INTERNAL, "out of memory");
    *w = (struct loop_fd){.loop = l,
                          .fd = source->fd,
                          .events = source->events,
                          .fn = source->fn,
                          .ctx = source->ctx};
    struct epoll_event ev = {.events = source->events, .data.ptr = w};
    if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, source->fd, &ev) < 0) {
        int no = errno;
        free(w);
        return fail_errno(why, no, "cannot watch descriptor %d", source->fd);
    }
    *out = w;
    return ERR_OK;
}

err_t loop_rewatch(struct loop_fd *w, uint32_t events)
{
    if (events == w->events)
        return ERR_OK;
    struct epoll_event ev = {.events = events, .data.ptr = w};
    if (epoll_ctl(w->loop->epoll, EPOLL_CTL_MOD, w->fd, &ev) < 0)
        return ERR_INTERNAL;
    w->events = events;
    return ERR_OK;
}

void loop_unwatch(struct loop_fd *w)
{
    if (!w)
        return;
    struct loop *l = w->loop;
    (void)epoll_ctl(l->epoll, EPOLL_CTL_DEL, w->fd, NULL);
    for (int i = 0; i < l->n_batch; i++)
        if (l->batch[i].data.ptr == w)
            l->batch[i].data.ptr = NULL;
    free(w);
}

/* ---- timers: a binary min-heap of pointers, each timer knows its slot */

static void heap_place(struct loop *l, int slot, struct loop_timer *t)
{
    l->heap[slot] = t;
    t->slot = slot;
}

static void heap_up(struct loop *l, struct loop_timer *t)
{
    int i = t->slot;
    for (int up; i > 0 && l->heap[up = (i - 1) / 2]->at_ms > t->at_ms; i = up)
        heap_place(l, i, l->heap[up]);
    heap_place(l, i, t);
}

static void heap_down(struct loop *l, struct loop_timer *t)
{
    int i = t->slot;
    for (int kid; (kid = 2 * i + 1) < l->n_heap; i = kid) {
        if (kid + 1 < l->n_heap && l->heap[kid + 1]->at_ms < l->heap[kid]->at_ms)
            kid++;
        if (l->heap[kid]->at_ms >= t->at_ms)
            break;
        heap_place(l, i, l->heap[kid]);
    }
    heap_place(l, i, t);
}

static bool heap_grow(struct loop *l)
{
    if (l->n_heap < l->cap_heap)
        return true;
    int cap = l->cap_heap ? l->cap_heap * 2 : HEAP_FIRST;
    struct loop_timer **heap = reallocarray(l->heap, (size_t)cap, sizeof(struct loop_timer *));
    if (!heap)
        return false;
    l->heap = heap;
    l->cap_heap = cap;
    return true;
}

err_t loop_timer_new(struct loop *l, loop_timer_fn *fn, void *ctx, struct loop_timer **out)
{
    struct loop_timer *t = malloc(sizeof(*t));
    if (!t)
        return ERR_INTERNAL;
    *t = (struct loop_timer){.loop = l, .slot = NOT_ARMED, .fn = fn, .ctx = ctx};
    *out = t;
    return ERR_OK;
}

err_t loop_timer_set(struct loop_timer *t, int64_t at_ms)
{
    struct loop *l = t->loop;
    if (t->slot == NOT_ARMED) {
        if (!heap_grow(l))
            return ERR_INTERNAL;
        heap_place(l, l->n_heap++, t);
    }
    t->at_ms = l->firing && at_ms <= l->now_ms ? l->now_ms + 1 : at_ms;
    heap_up(l, t);
    heap_down(l, t);
    return ERR_OK;
}

void loop_timer_cancel(struct loop_timer *t)
{
    if (t->slot == NOT_ARMED)
        return;
    struct loop *l = t->loop;
    struct loop_timer *last = l->heap[--l->n_heap];
    if (last != t) {
        heap_place(l, t->slot, last);
        heap_up(l, last);
        heap_down(l, last);
    }
    t->slot = NOT_ARMED;
}

void loop_timer_free(struct loop_timer *t)
{
    if (!t)
        return;
    loop_timer_cancel(t);
    free(t);
}

static void fire_due(struct loop *l)
{
    l->firing = true;
    while (l->n_heap > 0 && l->heap[0]->at_ms <= l->now_ms) {
        struct loop_timer *t = l->heap[0];
        loop_timer_cancel(t);
        t->fn(t->ctx); /* may free t */
    }
    l->firing = false;
}

/* Sets the timerfd to the earliest timer. A time of 0 would disarm it, hence at least 1 ms after
 * boot. */
static void arm_timerfd(struct loop *l)
{
    int64_t next = l->n_heap == 0 ? 0 : l->heap[0]->at_ms > 0 ? l->heap[0]->at_ms : 1;
    if (next == l->armed_ms)
        return;
    struct itimerspec at = {.it_value = {.tv_sec = next / 1000, .tv_nsec = next % 1000 * 1000000}};
    if (timerfd_settime(l->timerfd, TFD_TIMER_ABSTIME, &at, NULL) == 0)
        l->armed_ms = next;
}

static void on_timerfd(void *ctx, int fd, uint32_t events)
{
    struct loop *l = ctx;
    uint64_t expirations;
    (void)events;
    if (read(fd, &expirations, sizeof(expirations)) > 0)
        l->armed_ms = 0; /* fired: disarmed by itself */
}

/* ---- what was put off */

void loop_later(struct loop *l, struct loop_later *job)
{
    if (job->loop)
        return;
    job->loop = l;
    job->turn = l->turn;
    job->next = NULL;
    job->back = l->later_end;
    *l->later_end = job;
    l->later_end = &job->next;
}

void loop_never(struct loop_later *job)
{
    if (!job->loop)
        return;
    *job->back = job->next;
    if (job->next)
        job->next->back = job->back;
    else
        job->loop->later_end = job->back;
    job->loop = NULL;
}

/* what these queue bears the next turn's number and stays */
static void do_put_off(struct loop *l)
{
    unsigned turn = l->turn++;
    struct loop_later *job;
    while ((job = l->later) && job->turn == turn) {
        loop_never(job);
        job->fn(job->ctx); /* may free job */
    }
}

/* ---- signals */

static void on_signalfd(void *ctx, int fd, uint32_t events)
{
    struct loop *l = ctx;
    struct signalfd_siginfo si;
    (void)events;
    while (read(fd, &si, sizeof(si)) == (ssize_t)sizeof(si))
        l->signal_fn(l->signal_ctx, (int)si.ssi_signo);
}

err_t loop_signals(struct loop *l, const sigset_t *set, loop_signal_fn *fn, void *ctx,
                   struct why *why)
{
    if (l->signalfd >= 0)
        return fail(why, ERR_CONFLICT, "the loop watches signals already");
    if (sigprocmask(SIG_BLOCK, set, NULL) < 0)
        return fail_errno(why, errno, "cannot block signals");
    AUTO(auto_close) int fd = signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        return fail_errno(why, errno, "signalfd");
    TRY(loop_watch(l, &(struct loop_source){fd, EPOLLIN, on_signalfd, l}, &l->signal_watch, why));
    l->signal_fn = fn;
    l->signal_ctx = ctx;
    l->signalfd = TAKE_FD(fd);
    return ERR_OK;
}

/* ---- the loop */

err_t loop_new(struct loop **out, struct why *why)
{
    AUTO(auto_loop) struct loop *l = calloc(1, sizeof(*l));
    if (!l)
        return fail(why, ERR_INTERNAL, "out of memory");
    l->signalfd = l->timerfd = -1;
    l->later_end = &l->later;
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (l->epoll < 0)
        return fail_errno(why, errno, "epoll_create1");
    l->timerfd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (l->timerfd < 0)
        return fail_errno(why, errno, "timerfd_create");
    TRY(loop_watch(l, &(struct loop_source){l->timerfd, EPOLLIN, on_timerfd, l}, &l->timer_watch,
                   why));
    l->now_ms = clock_boot_ms();
    *out = TAKE(l);
    return ERR_OK;
}

void loop_free(struct loop *l)
{
    if (!l)
        return;
    loop_unwatch(l->timer_watch);
    loop_unwatch(l->signal_watch);
    auto_close(&l->timerfd);
    auto_close(&l->signalfd);
    auto_close(&l->epoll);
    free(l->heap);
    free(l);
}

void loop_on_turn_end(struct loop *l, void (*fn)(void *ctx), void *ctx)
{
    l->turn_fn = fn;
    l->turn_ctx = ctx;
}

int64_t loop_now(const struct loop *l)
{
    return l->now_ms;
}

static void hand_out(struct loop *l)
{
    for (int i = 0; i < l->n_batch; i++) {
        struct loop_fd *w = l->batch[i].data.ptr;
        if (w)
            w->fn(w->ctx, w->fd, l->batch[i].events); /* may free w */
    }
    l->n_batch = 0;
}

int loop_run(struct loop *l)
{
    while (!l->stopping) {
        arm_timerfd(l);
        int n = epoll_wait(l->epoll, l->batch, BATCH, l->later ? 0 : -1);
        if (n < 0 && errno != EINTR)
            return 1; /* only a closed epoll descriptor gives this */
        l->n_batch = n > 0 ? n : 0;
        l->now_ms = clock_boot_ms();
        hand_out(l);
        fire_due(l);
        do_put_off(l);
        if (l->turn_fn)
            l->turn_fn(l->turn_ctx);
    }
    l->stopping = false;
    return l->code;
}

void loop_stop(struct loop *l, int code)
{
    l->stopping = true;
    l->code = code;
}
