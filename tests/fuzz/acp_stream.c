/*
 * Lines through a stream, in pieces that the first bytes of the input choose, with lines of ours put between: what comes out is what went
 * in, byte by byte, and ours stand between two lines of it, in their order.
 */
#include "fuzz/hold.h"

#include "base/clock.h"
#include "exec/acp_stream.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PIECES = 8, ROOM = 1 << 16 };
static const char ours[] = "\xff<ours>\n"; /* no line of the input begins so */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct run {
    struct loop *loop;
    struct acp_stream *stream;
    int in, out; /* our ends */
    bool over;
    char got[ROOM];
    size_t n;
};

static enum acp_take judge(void *ctx, const struct acp_scan *scan)
{
    (void)ctx;
    return scan->kind == ACP_CALL && scan->method[0] == 'w' ? ACP_WHOLE : ACP_PASS;
}
static void whole(void *ctx, const struct acp_scan *scan, const char *line, size_t n)
{
    struct run *r = ctx;
    (void)scan;
    acp_stream_put(r->stream, line, n);
}
static void over(void *ctx, bool lost)
{
    struct run *r = ctx;
    HOLD(!lost);
    r->over = true;
    loop_stop(r->loop, 0);
}
static void on_stop(void *ctx)
{
    loop_stop(ctx, 0);
}

static void drain(struct run *r)
{
    ssize_t n;
    while ((n = recv(r->out, r->got + r->n, sizeof(r->got) - r->n, MSG_DONTWAIT)) > 0)
        r->n += (size_t)n;
}

/* Turns of the loop, until it has nothing to do. */
static void turn(struct run *r)
{
    struct loop_timer *t = NULL;
    HOLD(loop_timer_new(r->loop, on_stop, r->loop, &t) == ERR_OK && loop_timer_set(t, 1) == ERR_OK);
    (void)loop_run(r->loop);
    loop_timer_free(t);
    drain(r);
}

static void inject(struct run *r)
{
    struct acp_text line = {0};
    acp_text_add(&line, ours, strlen(ours));
    acp_stream_inject(r->stream, &line);
    acp_text_free(&line);
}

/* Without ours it is what went in; ours stand where a line begins. */
static void compare(const struct run *r, const char *text, size_t n, unsigned injected)
{
    size_t at = 0, len = strlen(ours);
    unsigned seen = 0;
    for (size_t i = 0; i < r->n;) {
        bool begins = at == 0 || text[at - 1] == '\n';
        if (r->n - i >= len && memcmp(r->got + i, ours, len) == 0 && (begins || at == n)) {
            HOLD(begins);
            i += len;
            seen++;
            continue;
        }
        HOLD(at < n && r->got[i] == text[at]);
        i++;
        at++;
    }
    HOLD(at == n && seen <= injected);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct run r;
    int in[2], out[2];
    unsigned injected = 0;
    struct why why;
    if (n < PIECES || n > 8192 || memchr(data + PIECES, 0xff, n - PIECES))
        return 0;
    const char *text = (const char *)data + PIECES;
    n -= PIECES;
    r = (struct run){.n = 0};
    HOLD(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in) == 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, out) == 0);
    r.in = in[1];
    r.out = out[1];
    HOLD(loop_new(&r.loop, &why) == ERR_OK);
    struct acp_stream_options o = {in[0], out[0], true, judge, whole, over, &r};
    HOLD(acp_stream_new(r.loop, &o, &r.stream, &why) == ERR_OK);
    for (size_t at = 0, i = 0; at < n; i++) {
        size_t piece = 1 + (size_t)(data[i % PIECES] & 127) * (i / PIECES + 1), left = n - at;
        piece = piece < left ? piece : left;
        HOLD(write(r.in, text + at, piece) == (ssize_t)piece);
        at += piece;
        if (data[i % PIECES] & 128) {
            inject(&r);
            injected++;
        }
        turn(&r);
    }
    shutdown(r.in, SHUT_WR);
    for (int i = 0; i < 100 && !r.over; i++)
        turn(&r);
    drain(&r);
    HOLD(r.over);
    compare(&r, text, n, injected);
    acp_stream_free(r.stream);
    loop_free(r.loop);
    close(in[0]);
    close(in[1]);
    close(out[1]);
    return 0;
}
