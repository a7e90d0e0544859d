/*
 * One direction of a pair. Bytes are read into the caller's scratch buffer and written on at once;
 * only what the sink does not take is held, and while something is held nothing is read: that is the
 * back-pressure, and an idle flow has no buffer at all.
 */
#include "exec/flow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { TURNS = 8 };

void flow_drop(struct flow *f)
{
    if (f->held)
        explicit_bzero(f->held, f->at + f->n);
    free(f->held);
    f->held = NULL;
    f->at = f->n = 0;
}

bool flow_done(const struct flow *f)
{
    return f->ended && !f->held;
}

bool flow_hold(struct flow *f, const void *p, size_t n)
{
    f->held = malloc(n);
    if (!f->held)
        return false;
    memcpy(f->held, p, n);
    f->at = 0;
    f->n = n;
    return true;
}

/* How many bytes were taken; -1: the other side is gone. */
static ssize_t push(int to, const uint8_t *p, size_t n)
{
    ssize_t sent = send(to, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent >= 0 ? sent : errno == EAGAIN ? 0 : -1;
}

static enum flow_step push_held(struct flow *f, int to)
{
    ssize_t sent = push(to, f->held + f->at, f->n);
    if (sent < 0)
        return FLOW_SINK_LOST;
    f->at += (size_t)sent;
    f->n -= (size_t)sent;
    if (f->n > 0)
        return sent > 0 ? FLOW_MORE : FLOW_BLOCKED;
    flow_drop(f);
    return FLOW_MORE;
}

static enum flow_step turn(struct flow *f, int from, int to, uint8_t scratch[FLOW_HELD])
{
    if (f->held)
        return push_held(f, to);
    if (f->ended)
        return FLOW_DRY;
    ssize_t n = recv(from, scratch, FLOW_HELD, MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN ? FLOW_DRY : FLOW_SOURCE_LOST;
    f->ended = n == 0;
    if (f->ended || f->sunk)
        return FLOW_MORE;
    ssize_t sent = push(to, scratch, (size_t)n);
    if (sent < 0)
        return FLOW_SINK_LOST;
    if (sent < n && !flow_hold(f, scratch + sent, (size_t)(n - sent)))
        return FLOW_SOURCE_LOST;
    return FLOW_MORE; /* whether the sink blocks is seen by trying: only then the kernel reports that it no longer does */
}

enum flow_step flow_run(struct flow *f, int from, int to, uint8_t scratch[FLOW_HELD])
{
    enum flow_step s = FLOW_MORE;
    for (int i = 0; i < TURNS && s == FLOW_MORE; i++)
        s = turn(f, from, to, scratch);
    if (flow_done(f) && !f->closed && to >= 0) {
        (void)shutdown(to, SHUT_WR);
        f->closed = true;
    }
    return s;
}
