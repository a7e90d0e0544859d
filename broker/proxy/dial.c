/*
 * The race for a connection. Invariant: every descriptor is closed but the winner's, and after `fn`
 * was called nothing of the race is left, so that the callee may free what holds it.
 */
#include "proxy/dial.h"
#include "base/auto.h"
#include "base/clock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum {
    ALIVE_IDLE_S = 60, /* keep-alive probes: a silent upstream may be thinking for minutes */
    ALIVE_EVERY_S = 15,
    ALIVE_PROBES = 4
};

struct attempt {
    struct dial *dial;
    int fd;
    struct loop_fd *watch;
};
struct dial {
    struct loop *loop;
    dial_fn *fn;
    void *ctx;
    struct loop_timer *stagger;
    struct resolved to;
    unsigned next, running;
    int no; /* of the last failure */
    struct attempt attempt[RESOLVE_ADDRESSES];
};

static void end(struct attempt *a)
{
    loop_unwatch(TAKE(a->watch));
    auto_close(&a->fd);
    a->fd = -1;
}

void dial_cancel(struct dial *d)
{
    if (!d)
        return;
    for (unsigned i = 0; i < d->next; i++)
        end(&d->attempt[i]);
    loop_timer_free(d->stagger);
    free(d);
}

static void finish(struct dial *d, int fd)
{
    dial_fn *fn = d->fn;
    void *ctx = d->ctx;
    int no = d->no;
    dial_cancel(d);
    fn(ctx, fd, no);
}

static void win(struct attempt *a)
{
    struct dial *d = a->dial;
    loop_unwatch(TAKE(a->watch));
    finish(d, TAKE_FD(a->fd));
}

/* What fails here costs latency or patience, not correctness. */
static void tune(int fd)
{
    static const struct {
        int level, name, value;
    } options[] = {{IPPROTO_TCP, TCP_NODELAY, 1},
                   {SOL_SOCKET, SO_KEEPALIVE, 1},
                   {IPPROTO_TCP, TCP_KEEPIDLE, ALIVE_IDLE_S},
                   {IPPROTO_TCP, TCP_KEEPINTVL, ALIVE_EVERY_S},
                   {IPPROTO_TCP, TCP_KEEPCNT, ALIVE_PROBES}};
    for (size_t i = 0; i < COUNT(options); i++)
        (void)setsockopt(fd, options[i].level, options[i].name, &options[i].value,
                         sizeof(options[i].value));
}

static void on_writable(void *ctx, int fd, uint32_t events);

/* 0: connected; EINPROGRESS: `a` is watched; else why not. */
static int attempt(struct attempt *a, const struct sockaddr_storage *to)
{
    socklen_t n =
        to->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    a->fd = socket(to->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (a->fd < 0)
        return errno;
    tune(a->fd);
    if (connect(a->fd, (const struct sockaddr *)to, n) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return errno;
    struct loop_source source = {a->fd, EPOLLOUT, on_writable, a};
    return loop_watch(a->dial->loop, &source, &a->watch, NULL) == ERR_OK ? EINPROGRESS : ENOMEM;
}

/* Tries on until one is under way or none is left. */
static void proceed(struct dial *d)
{
    while (d->next < d->to.n) {
        struct attempt *a = &d->attempt[d->next];
        *a = (struct attempt){.dial = d, .fd = -1};
        int no = attempt(a, &d->to.address[d->next++]);
        if (no == 0) {
            win(a);
            return;
        }
        if (no == EINPROGRESS) {
            d->running++;
            if (d->next < d->to.n)
                (void)!loop_timer_set(d->stagger, clock_boot_ms() + DIAL_STAGGER_MS);
            return;
        }
        d->no = no;
        end(a);
    }
    if (d->running == 0)
        finish(d, -1);
}

static void on_stagger(void *ctx)
{
    proceed(ctx);
}

static void on_writable(void *ctx, int fd, uint32_t events)
{
    struct attempt *a = ctx;
    struct dial *d = a->dial;
    int no = 0;
    socklen_t n = sizeof(no);
    (void)events;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &no, &n) < 0)
        no = errno;
    if (no == 0) {
        win(a);
        return;
    }
    d->no = no;
    d->running--;
    end(a);
    proceed(d);
}

err_t dial_start(struct loop *l, const struct resolved *to, dial_fn *fn, void *ctx,
                 struct dial **out)
{
    struct dial *d = calloc(1, sizeof(*d));
    if (!d)
        return ERR_INTERNAL;
    *d = (struct dial){.loop = l, .fn = fn, .ctx = ctx, .to = *to, .no = EADDRNOTAVAIL};
    if (loop_timer_new(l, on_stagger, d, &d->stagger) != ERR_OK) {
        free(d);
        return ERR_INTERNAL;
    }
    *out = d;
    proceed(d);
    return ERR_OK;
}
