/*
 * A gateway that starts an adapter with a pipe for its errors and never reads it stops the adapter
 * at 64 KiB. So the reader is given a second at each standstill; then what comes is dropped, until
 * it reads again. The sink is not ours alone and may block: it is asked before each write, which is
 * small enough to be taken whole; and it is looked at again by a timer, because an epoll set does
 * not watch every kind of descriptor.
 */
#include "exec/acp_errors.h"

#include "base/auto.h"
#include "base/clock.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>

enum { ROOM_LEAST = 4096, TURNS = 64 };

struct acp_errors {
    struct loop *loop;
    int from, to;
    struct loop_fd *watch; /* NULL: nothing is read now */
    struct loop_timer *look;
    int64_t moved_ms; /* when the sink last took something, or had nothing to take until then */
    bool ended, lost; /* the source; the sink */
    bool midline;
    uint64_t dropped;
    size_t n;
    char held[ACP_ERRORS_HELD];
};

static bool ready(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    return poll(&p, 1, 0) > 0;
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
    if (at > 0 || e->n == 0)
        e->moved_ms = clock_boot_ms();
    memmove(e->held, e->held + at, e->n - at);
    e->n -= at;
}

static void hold(struct acp_errors *e, const char *p, size_t n)
{
    size_t room = sizeof(e->held) - e->n, taken = n < room ? n : room;
    if (e->lost || n == 0)
        return;
    if (e->n == 0)
        e->moved_ms = clock_boot_ms();
    memcpy(e->held + e->n, p, taken);
    e->n += taken;
    e->dropped += n - taken;
    e->midline = p[n - 1] != '\n';
}

static bool has_stopped(const struct acp_errors *e)
{
    return e->lost || clock_boot_ms() - e->moved_ms >= ACP_ERRORS_PATIENCE_MS;
}

static bool is_full(const struct acp_errors *e)
{
    return sizeof(e->held) - e->n < ROOM_LEAST;
}

static void tell_dropped(struct acp_errors *e)
{
    char text[128];
    if (e->dropped == 0 || e->n > sizeof(e->held) / 2)
        return;
    int n = snprintf(text, sizeof(text),
                     "%sbroker-exec: %llu bytes of the adapter's standard error were dropped: "
                     "nobody read it\n",
                     e->midline ? "\n" : "", (unsigned long long)e->dropped);
    e->dropped = 0;
    hold(e, text, (size_t)n);
}

/* One chunk, no larger than there is room for, unless it is to be dropped. False: there is none now. */
static bool take(struct acp_errors *e)
{
    char chunk[16384];
    size_t room = sizeof(e->held) - e->n;
    bool drops = is_full(e) && has_stopped(e);
    if (is_full(e) && !drops)
        return false;
    ssize_t n = read(e->from, chunk, drops || room > sizeof(chunk) ? sizeof(chunk) : room);
    e->ended = n == 0;
    if (n > 0)
        hold(e, chunk, (size_t)n);
    return n > 0;
}

static void on_readable(void *ctx, int fd, uint32_t events);

static void listen_on(struct acp_errors *e)
{
    struct loop_source s = {e->from, EPOLLIN, on_readable, e};
    struct why unheard = {0};
    bool wanted = !e->ended && (!is_full(e) || has_stopped(e));
    if (wanted && !e->watch && loop_watch(e->loop, &s, &e->watch, &unheard) != ERR_OK)
        e->ended = true;
    if (!wanted) {
        loop_unwatch(e->watch);
        e->watch = NULL;
    }
}

static void push(struct acp_errors *e)
{
    flush(e);
    tell_dropped(e);
    listen_on(e);
    if (e->n > 0)
        (void)!loop_timer_set(e->look, clock_boot_ms() + ACP_ERRORS_LOOK_MS);
}

static void on_look(void *ctx)
{
    push(ctx);
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
    for (int i = 0; i < TURNS && take(e); i++) /* a child of the adapter's may go on for ever */
        flush(e);
    push(e);
}

bool acp_errors_waiting(const struct acp_errors *e)
{
    return e->n > 0 && !has_stopped(e);
}

static void auto_errors(struct acp_errors **e)
{
    acp_errors_free(*e);
}

err_t acp_errors_new(struct loop *l, int from, int to, struct acp_errors **out, struct why *why)
{
    AUTO(auto_errors) struct acp_errors *e = calloc(1, sizeof(*e));
    if (!e || loop_timer_new(l, on_look, e, &e->look) != ERR_OK)
        return fail(why, ERR_INTERNAL, "out of memory");
    e->loop = l;
    e->from = from;
    e->to = to;
    e->moved_ms = clock_boot_ms();
    TRY(loop_watch(l, &(struct loop_source){from, EPOLLIN, on_readable, e}, &e->watch, why));
    *out = TAKE(e);
    return ERR_OK;
}

void acp_errors_free(struct acp_errors *e)
{
    if (!e)
        return;
    loop_unwatch(e->watch);
    loop_timer_free(e->look);
    free(e);
}
