/*
 * A line is held back until its head tells what it is; then it flows, chunk by chunk, or is gathered
 * if it is one of the few that are looked at. Both are bounded, so memory is, whatever the size of a
 * line. While something waits for the sink nothing is read: that is the back-pressure.
 *
 * The descriptors may be anything that a client gives: pipes, sockets, terminals, files. They are
 * not ours alone, so they are not made non-blocking; instead the kernel is asked before each
 * step (poll), and a blocking pipe is given PIPE_BUF at most, which it takes at once when it says
 * that it can. What epoll does not watch (a file, /dev/null) is always ready.
 */
#include "exec/acp_stream.h"

#include "base/auto.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>

enum { TURNS = 32 };
enum mode {
    HEAD,   /* the line has not told yet what it is: what came of it is gathered */
    FLOW,   /* goes on as it comes */
    GATHER, /* is gathered up to its end */
    DROP    /* goes nowhere */
};

struct side {
    struct acp_stream *stream;
    int fd;
    uint32_t events;
    struct loop_fd *watch;
};
struct acp_stream {
    struct loop *loop;
    struct acp_stream_options o;
    struct side from, to;
    struct loop_later again;
    bool socket, blocks, held, ended, finishing, over;
    bool cut_off; /* the source ended in the middle of a line */
    enum mode mode;
    enum acp_take take;
    struct acp_scan scan;
    char in[ACP_CHUNK];
    size_t in_at, in_n;
    struct acp_text line; /* gathered */
    struct acp_text out;  /* waits for the sink, from out_at on */
    struct acp_text ours; /* waits for the end of a line */
    size_t out_at;
    uint64_t written;
};

static void run(struct acp_stream *s);

static void end(struct acp_stream *s, bool lost)
{
    if (s->over)
        return;
    s->over = true;
    loop_unwatch(s->from.watch);
    loop_unwatch(s->to.watch);
    s->from.watch = s->to.watch = NULL;
    loop_never(&s->again);
    if (s->o.to_closes && s->to.fd >= 0) {
        close(s->to.fd);
        s->to.fd = -1;
    }
    s->o.over(s->o.ctx, lost);
}

/* ---- waking */

static void on_ready(void *ctx, int fd, uint32_t events)
{
    struct side *side = ctx;
    (void)fd, (void)events;
    loop_unwatch(side->watch);
    side->watch = NULL;
    run(side->stream);
}

static void on_again(void *ctx)
{
    run(ctx);
}

static void wake_again(struct acp_stream *s)
{
    loop_later(s->loop, &s->again);
}

/* Once: a source that is watched while it is not read would call again and again. */
static void wake_on(struct side *side)
{
    struct loop_source source = {side->fd, side->events, on_ready, side};
    struct why unheard = {0};
    if (side->watch || side->stream->again.loop)
        return;
    if (loop_watch(side->stream->loop, &source, &side->watch, &unheard) != ERR_OK)
        wake_again(side->stream);
}

static bool ready(const struct side *side, short events)
{
    struct pollfd p = {.fd = side->fd, .events = events};
    return poll(&p, 1, 0) > 0;
}

/* ---- the sink */

static ssize_t push(const struct acp_stream *s, const char *p, size_t n)
{
    if (s->socket)
        return send(s->to.fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (s->blocks && !ready(&s->to, POLLOUT)) {
        errno = EAGAIN;
        return -1;
    }
    return write(s->to.fd, p, s->blocks && n > PIPE_BUF ? PIPE_BUF : n);
}

/* Writes what waits, as far as the sink takes it. False: it takes no more now, or never again. */
static bool flush(struct acp_stream *s)
{
    while (s->out_at < s->out.n) {
        ssize_t n = push(s, s->out.p + s->out_at, s->out.n - s->out_at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return false;
        if (n < 0) {
            end(s, true);
            return false;
        }
        s->out_at += (size_t)n;
        s->written += (uint64_t)n;
    }
    if (s->out.failed) { /* out of memory: bytes are missing */
        end(s, true);
        return false;
    }
    if (s->out.n > 0)
        explicit_bzero(s->out.p, s->out.n);
    s->out.n = s->out_at = 0;
    return true;
}

void acp_stream_put(struct acp_stream *s, const char *p, size_t n)
{
    acp_text_add(&s->out, p, n);
}

/* Between two lines: ours. */
static void put_ours(struct acp_stream *s)
{
    if (s->mode == FLOW || s->cut_off || s->ours.n == 0)
        return;
    acp_stream_put(s, s->ours.p, s->ours.n);
    explicit_bzero(s->ours.p, s->ours.n);
    s->ours.n = 0;
    s->ours.failed = false;
}

/* ---- lines */

static void next_line(struct acp_stream *s)
{
    if (s->line.n > 0)
        explicit_bzero(s->line.p, s->line.n);
    s->line.n = 0;
    s->line.failed = false;
    s->scan = (struct acp_scan){0};
    s->mode = HEAD;
}

/* What was gathered goes on after all. */
static void let_go(struct acp_stream *s)
{
    acp_stream_put(s, s->line.p, s->line.n);
    s->line.n = 0;
    s->mode = FLOW;
}

static void gather(struct acp_stream *s, const char *p, size_t n)
{
    acp_text_add(&s->line, p, n);
}

static void judge(struct acp_stream *s)
{
    s->take = s->o.judge(s->o.ctx, &s->scan);
    if (s->take == ACP_PASS)
        let_go(s);
    else
        s->mode = GATHER;
}

static void end_line(struct acp_stream *s)
{
    if (s->mode == HEAD) { /* it never told */
        s->scan.kind = ACP_OTHER;
        judge(s);
    }
    if (s->mode == GATHER || s->mode == DROP)
        s->o.whole(s->o.ctx, &s->scan, s->line.p, s->line.n);
    next_line(s);
}

/* A part of a line, without a newline but at its end. */
static void take_part(struct acp_stream *s, const char *p, size_t n)
{
    if (s->mode == FLOW) {
        acp_stream_put(s, p, n);
        return;
    }
    if (s->mode == DROP)
        return;
    gather(s, p, n);
    if (s->mode == HEAD) {
        acp_scan_feed(&s->scan, p, n);
        if (s->scan.kind == ACP_UNKNOWN && s->line.n >= ACP_HEAD_MAX)
            s->scan.kind = ACP_OTHER;
        if (s->scan.kind != ACP_UNKNOWN)
            judge(s);
    }
    if (s->mode == GATHER && s->line.n > ACP_TEXT_MAX) {
        if (s->take == ACP_WHOLE)
            let_go(s);
        else
            s->mode = DROP;
    }
}

/* One line's part of what was read. */
static void take_some(struct acp_stream *s)
{
    const char *p = s->in + s->in_at;
    size_t left = s->in_n - s->in_at;
    const char *newline = memchr(p, '\n', left);
    size_t n = newline ? (size_t)(newline - p) + 1 : left;
    s->in_at += n;
    take_part(s, p, n);
    if (newline)
        end_line(s);
}

/* ---- the source */

/* What is left of a line without an end goes on as it is, and nothing of ours behind it. */
static void finish_last(struct acp_stream *s)
{
    s->cut_off = s->mode == FLOW || s->line.n > 0;
    if (s->mode == HEAD || (s->mode == GATHER && s->take == ACP_WHOLE))
        let_go(s);
    next_line(s);
}

/* False: nothing to read now. */
static bool fill(struct acp_stream *s)
{
    if (!ready(&s->from, POLLIN))
        return false;
    ssize_t n = read(s->from.fd, s->in, sizeof(s->in));
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    s->in_at = 0;
    s->in_n = n > 0 ? (size_t)n : 0;
    if (n <= 0) { /* an error is an end too: a terminal that hung up gives one */
        s->ended = true;
        finish_last(s);
    }
    return true;
}

/* True: it is worth another turn. */
static bool turn(struct acp_stream *s)
{
    put_ours(s);
    if (!flush(s)) {
        if (!s->over)
            wake_on(&s->to);
        return false;
    }
    if (s->ended) {
        end(s, false);
        return false;
    }
    if (s->held && s->mode != FLOW && !s->finishing)
        return false;
    if (s->in_at < s->in_n) {
        take_some(s);
        return true;
    }
    if (fill(s))
        return true;
    if (s->finishing) {
        s->ended = true;
        finish_last(s);
        return true;
    }
    wake_on(&s->from);
    return false;
}

static void run(struct acp_stream *s)
{
    for (int i = 0; i < TURNS && !s->over; i++)
        if (!turn(s))
            return;
    if (!s->over)
        wake_again(s);
}

/* ---- for others */

void acp_stream_inject(struct acp_stream *s, const struct acp_text *line)
{
    if (line->failed || s->over)
        return;
    acp_text_add(&s->ours, line->p, line->n);
    wake_again(s);
}

void acp_stream_hold(struct acp_stream *s, bool held)
{
    s->held = held;
    if (!held && !s->over)
        wake_again(s);
}

void acp_stream_finish(struct acp_stream *s)
{
    s->finishing = true;
    if (!s->over)
        wake_again(s);
}

uint64_t acp_stream_written(const struct acp_stream *s)
{
    return s->written;
}

static void auto_stream(struct acp_stream **s)
{
    acp_stream_free(*s);
}

err_t acp_stream_new(struct loop *l, const struct acp_stream_options *o, struct acp_stream **out,
                     struct why *why)
{
    AUTO(auto_stream) struct acp_stream *s = calloc(1, sizeof(*s));
    if (!s)
        return fail(why, ERR_INTERNAL, "out of memory");
    s->loop = l;
    s->o = *o;
    s->from = (struct side){s, o->from, EPOLLIN, NULL};
    s->to = (struct side){s, o->to, EPOLLOUT, NULL};
    s->again = (struct loop_later){.fn = on_again, .ctx = s};
    int flags = fcntl(o->to, F_GETFL);
    struct stat st;
    if (flags < 0 || fstat(o->to, &st) < 0)
        return fail_errno(why, errno, "cannot use descriptor %d", o->to);
    s->blocks = !(flags & O_NONBLOCK);
    s->socket = S_ISSOCK(st.st_mode);
    wake_again(s);
    *out = TAKE(s);
    return ERR_OK;
}

void acp_stream_free(struct acp_stream *s)
{
    if (!s)
        return;
    loop_unwatch(s->from.watch);
    loop_unwatch(s->to.watch);
    loop_never(&s->again);
    if (s->o.to_closes && s->to.fd >= 0)
        close(s->to.fd);
    acp_text_free(&s->line);
    acp_text_free(&s->out);
    acp_text_free(&s->ours);
    explicit_bzero(s->in, sizeof(s->in));
    free(s);
}
