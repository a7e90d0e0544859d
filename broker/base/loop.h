/*
 * One event loop per process: epoll, timers, signals, and a hook at the end of each turn (where the
 * vault commits what a turn brought). Single-threaded. Level-triggered, unless a source asks for
 * EPOLLET. No allocation per event.
 */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include <broker/err.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct loop;
struct loop_fd;    /* a watched descriptor; freed by loop_unwatch */
struct loop_timer; /* a one-shot timer; freed by loop_timer_free */

typedef void loop_fd_fn(void *ctx, int fd, uint32_t epoll_events);
typedef void loop_timer_fn(void *ctx);
typedef void loop_signal_fn(void *ctx, int signo);

struct loop_source {
    int fd;
    uint32_t events;
    loop_fd_fn *fn;
    void *ctx;
};

MUST err_t loop_new(struct loop **out, struct why *why);
void loop_free(struct loop *l);
/* Watches fd (not owned) for EPOLLIN/EPOLLOUT/… `events`. Safe to unwatch any source from inside
 * any callback. With EPOLLET among the events only changes are told: for a source that keeps in mind
 * what it has not used up, and so saves the calls that switch EPOLLOUT on and off. */
MUST err_t loop_watch(struct loop *l, const struct loop_source *source, struct loop_fd **out,
                      struct why *why);
MUST err_t loop_rewatch(struct loop_fd *w, uint32_t events);
void loop_unwatch(struct loop_fd *w); /* takes NULL */

/* Timers on CLOCK_BOOTTIME; `at_ms` as clock_boot_ms(). Re-arming replaces. A heap inside; O(log
 * n). */
MUST err_t loop_timer_new(struct loop *l, loop_timer_fn *fn, void *ctx, struct loop_timer **out);
MUST err_t loop_timer_set(struct loop_timer *t, int64_t at_ms);
void loop_timer_cancel(struct loop_timer *t);
void loop_timer_free(struct loop_timer *t); /* takes NULL */

/* Work that is due without the kernel having an event for it (bytes already decrypted, say). Lives in
 * its owner, who sets fn and ctx; the rest zero. Called once, after the events and timers of the
 * turn and before its end. What is queued meanwhile runs in the next turn, which then does not wait:
 * nobody starves. */
struct loop_later {
    void (*fn)(void *ctx);
    void *ctx;
    struct loop *loop; /* the loop's from here on; NULL while not queued */
    unsigned turn;
    struct loop_later *next, **back; /* the list it is on, and what points to it there */
};
void loop_later(struct loop *l, struct loop_later *job); /* nothing when it is queued already */
void loop_never(struct loop_later *job);                 /* not any more; nothing when not queued */

/* Signals by signalfd: blocks them in the process and calls fn from the loop. Once per loop. */
MUST err_t loop_signals(struct loop *l, const sigset_t *set, loop_signal_fn *fn, void *ctx,
                        struct why *why);
/* Called after all events of a turn were handed out, before the loop sleeps. */
void loop_on_turn_end(struct loop *l, void (*fn)(void *ctx), void *ctx);
/* The time this turn began (clock_boot_ms), cached. */
int64_t loop_now(const struct loop *l);
/* Runs until loop_stop(); returns its code. */
int loop_run(struct loop *l);
void loop_stop(struct loop *l, int code);

#endif
