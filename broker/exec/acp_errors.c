/*
 * A gateway that starts an adapter with a pipe for its errors and never reads it stops the adapter
 * at 64 KiB: so they are read here, always, and a part is held for a reader that is only slow.
 * The sink is not ours alone and may block: it is asked before each write, which is small enough to be
 * taken whole.
 */
#include "exec/acp_errors.h"

#include "base/auto.h"
#include "base/clock.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>

struct acp_errors {
    struct loop *loop;
    int from, to;
    struct loop_fd *watch;
    struct loop_timer *again;
    bool lost; /* the sink is gone */
    bool midline;
    uint64_t dropped;
    size_t n;
    char held[ACP_ERRORS_HELD];
};

static bool ready(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    return poll(&p, 1, 0) > 0 && !(p.revents & (POLLERR | POLLNVAL));
}

static void flush(struct acp_errors *e)
{
    size_t at = 0;
    while (at < e->n && ready(e->to)) {
        size_t n = e->n - at < PIPE_BUF ? e->n - at : PIPE_BUF;
        ssize_t sent = write(e->to, e->held + at, n);
        if (sent < 0 && errno != EINTR && errno != EAGAIN) {
            e->lost = true;
            at = e->n;
        }
        if (sent <= 0)
            break;
        at += (size_t)sent;
    }
    memmove(e->held, e->held + at, e->n - at);
    e->n -= at;
}

static void hold(struct acp_errors *e, const char *p, size_t n)
{
    if (e->lost)
        return;
    if (n > sizeof(e->held) - e->n)
        flush(e);
    size_t room = sizeof(e->held) - e->n, taken = n < room ? n : room;
    memcpy(e->held + e->n, p, taken);
    e->n += taken;
    e->dropped += n - taken;
    if (n > 0)
        e->midline = p[n - 1] != '\n';
}

static void tell_dropped(struct acp_errors *e)
{
    char text[128];
    if (e->dropped == 0 || e->n > sizeof(e->held) / 2)
        return;
    int n = snprintf(text, sizeof(text),
                     "\nbroker-exec: %llu bytes of the adapter's standard error were dropped: "
                     "nobody read it\n",
                     (unsigned long long)e->dropped);
    e->dropped = 0;
    hold(e, text, (size_t)n);
}

static void push(struct acp_errors *e)
{
    flush(e);
    tell_dropped(e);
    if (e->n > 0)
        (void)!loop_timer_set(e->again, clock_boot_ms() + ACP_ERRORS_RETRY_MS);
}

static void on_again(void *ctx)
{
    push(ctx);
}

/* One chunk; false: there is none. */
static bool take(struct acp_errors *e)
{
    char chunk[16384];
    ssize_t n = read(e->from, chunk, sizeof(chunk));
    if (n > 0)
        hold(e, chunk, (size_t)n);
    if (n == 0) {
        loop_unwatch(e->watch);
        e->watch = NULL;
    }
    return n > 0;
}

static void on_readable(void *ctx, int fd, uint32_t events)
{
    (void)fd, (void)events;
    (void)take(ctx);
    push(ctx);
}

void acp_errors_say(struct acp_errors *e, const char *sentence)
{
    static const char name[] = "broker-exec: ";
    if (e->midline)
        hold(e, "\n", 1);
    hold(e, name, sizeof(name) - 1);
    hold(e, sentence, strlen(sentence));
    hold(e, "\n", 1);
    push(e);
}

void acp_errors_finish(struct acp_errors *e)
{
    for (int i = 0; i < 64 && take(e); i++) /* a child of the adapter's may go on for ever */
        flush(e);
    push(e);
}

bool acp_errors_waiting(const struct acp_errors *e)
{
    return e->n > 0 && !e->lost;
}

static void auto_errors(struct acp_errors **e)
{
    acp_errors_free(*e);
}

err_t acp_errors_new(struct loop *l, int from, int to, struct acp_errors **out, struct why *why)
{
    AUTO(auto_errors) struct acp_errors *e = calloc(1, sizeof(*e));
    if (!e || loop_timer_new(l, on_again, e, &e->again) != ERR_OK)
        return fail(why, ERR_INTERNAL, "out of memory");
    e->loop = l;
    e->from = from;
    e->to = to;
    TRY(loop_watch(l, &(struct loop_source){from, EPOLLIN, on_readable, e}, &e->watch, why));
    *out = TAKE(e);
    return ERR_OK;
}

void acp_errors_free(struct acp_errors *e)
{
    if (!e)
        return;
    loop_unwatch(e->watch);
    loop_timer_free(e->again);
    free(e);
}
