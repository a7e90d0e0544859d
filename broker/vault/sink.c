/*
 * The vault's end of the ring. Invariant: nothing here waits; an append is a memcpy, a flush at most one write to an eventfd, and that
 * only when the writer said it sleeps. Ring space is free again when the writer says "durable", for what is not durable may
 * have to be written once more; what the writer says is believed only where it fits what was appended.
 *
 * How old the oldest unfinished position is, is kept in a few marks (position, time of its first byte), so that a stuck
 * device is seen by a timer within SINK_DEADLINE_MS however much is appended meanwhile.
 */
#include "vault/sink.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/ipc.h"
#include "base/msg.h"
#include "vault/sink_ring.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

enum { MARKS = 16, MARK_MS = SINK_DEADLINE_MS / MARKS };

struct mark {
    uint64_t pos;  /* positions up to here … */
    int64_t at_ms; /* … were flushed at this time or after */
};

struct sink {
    struct loop *loop;
    struct ring ring;
    uint64_t head, durable, written;
    int sock, wake, done;
    struct loop_fd *sock_watch, *done_watch;
    struct loop_timer *timer;
    bool timer_set;
    struct mark mark[MARKS]; /* oldest first */
    unsigned n_marks;
    bool gone;   /* the writer is not running */
    bool broken; /* it said what cannot be */
    void (*on_progress)(void *ctx);
    void *ctx;
};

static void auto_sink(struct sink **s)
{
    sink_free(*s);
}

/* ---- what the writer says */

static void drop_marks(struct sink *s)
{
    unsigned n = 0;
    while (n < s->n_marks && s->mark[n].pos <= s->durable)
        n++;
    s->n_marks -= n;
    memmove(s->mark, s->mark + n, s->n_marks * sizeof(s->mark[0]));
}

static void take_positions(struct sink *s)
{
    uint64_t durable = atomic_load(&s->ring.shared->durable);
    uint64_t written = atomic_load(&s->ring.shared->written);
    if (durable > s->head || written > s->head) {
        s->broken = true;
        return;
    }
    if (durable > s->durable)
        s->durable = durable;
    if (written > s->written) /* a restarted writer begins lower; the page cache does not forget */
        s->written = written;
    if (s->written < s->durable)
        s->written = s->durable;
    drop_marks(s);
}

static void arm(struct sink *s)
{
    if (s->timer_set || s->n_marks == 0)
        return;
    s->timer_set = loop_timer_set(s->timer, s->mark[0].at_ms + SINK_DEADLINE_MS) == ERR_OK;
}

static void on_done(void *ctx, int fd, uint32_t events)
{
    struct sink *s = ctx;
    uint64_t n;
    (void)events;
    if (read(fd, &n, sizeof(n)) < 0 && errno != EAGAIN)
        s->broken = true;
    take_positions(s);
    if (s->durable <
        s->head) { /* more to come: ask to be woken, then look again, or the last progress is missed */
        atomic_store(&s->ring.shared->waiting, 1);
        take_positions(s);
    }
    arm(s);
    s->on_progress(s->ctx);
}

/* The writer never speaks on its socket: whatever happens there is its end. */
static void on_sock(void *ctx, int fd, uint32_t events)
{
    struct sink *s = ctx;
    (void)fd;
    (void)events;
    loop_unwatch(TAKE(s->sock_watch));
    s->gone = true;
    take_positions(s);
    s->on_progress(s->ctx);
}

/* ---- the deadline */

static void on_timer(void *ctx)
{
    struct sink *s = ctx;
    s->timer_set = false;
    take_positions(s);
    if (s->n_marks == 0)
        return;
    if (clock_boot_ms() < s->mark[0].at_ms + SINK_DEADLINE_MS) {
        arm(s);
        return;
    }
    atomic_store(&s->ring.shared->waiting,
                 1); /* the timer is armed again by the next progress or flush */
    s->on_progress(s->ctx);
}

static void remember(struct sink *s)
{
    int64_t now = clock_boot_ms();
    struct mark *last = s->n_marks ? &s->mark[s->n_marks - 1] : NULL;
    if (last && last->pos == s->head)
        return;
    if (last && (now - last->at_ms < MARK_MS || s->n_marks == MARKS))
        last->pos = s->head;
    else
        s->mark[s->n_marks++] = (struct mark){.pos = s->head, .at_ms = now};
    arm(s);
}

/* Asks the ring itself: a vault that was busy for a second has not handled the progress of that second. */
static bool stuck(const struct sink *s)
{
    uint64_t durable = atomic_load(&s->ring.shared->durable);
    unsigned i = 0;
    while (i < s->n_marks && s->mark[i].pos <= durable)
        i++;
    return i < s->n_marks && clock_boot_ms() >= s->mark[i].at_ms + SINK_DEADLINE_MS;
}

err_t sink_health(const struct sink *s, struct why *why)
{
    if (s->gone)
        return fail(why, ERR_AUDIT, "the audit writer is not running; it is being restarted");
    if (s->broken)
        return fail(why, ERR_AUDIT, "the audit writer misbehaves; restart brokerd");
    int fault = (int)atomic_load_explicit(&s->ring.shared->fault, memory_order_relaxed);
    if (fault)
        return fail(why, ERR_AUDIT,
                    "the audit log cannot be written: %s; it goes on by itself once this is mended",
                    strerror(fault));
    if (s->n_marks && stuck(s))
        return fail(why, ERR_AUDIT, "the disk of the audit log is stuck for over %d ms",
                    SINK_DEADLINE_MS);
    return ERR_OK;
}

/* ---- appending */

err_t sink_ready(const struct sink *s, size_t n, struct why *why)
{
    TRY(sink_health(s, why));
    return sink_room(s, n, why);
}

err_t sink_room(const struct sink *s, size_t n, struct why *why)
{
    if (s->broken)
        return sink_health(s, why);
    if (n > SINK_RECORD_MAX)
        return fail(why, ERR_TOO_LARGE, "a record of over %d bytes", SINK_RECORD_MAX);
    if (s->head - s->durable + ring_size(n) > SINK_RING_BYTES)
        return fail(why, ERR_AUDIT, "too many records wait for the disk of the audit log");
    return ERR_OK;
}

static uint64_t push2(struct sink *s, enum sink_stream stream, struct view head, struct view bytes)
{
    s->head = ring_put(&s->ring, s->head, stream, head, bytes);
    atomic_store_explicit(&s->ring.shared->head, s->head, memory_order_release);
    return s->head;
}

uint64_t sink_push(struct sink *s, enum sink_stream stream, struct view bytes)
{
    return push2(s, stream, VIEW(NULL, 0), bytes);
}

err_t sink_append(struct sink *s, enum sink_stream stream, struct view bytes, uint64_t *pos,
                  struct why *why)
{
    TRY(sink_ready(s, bytes.n, why));
    *pos = sink_push(s, stream, bytes);
    return ERR_OK;
}

static bool plain_name(struct view name)
{
    return name.n < RING_NAME && !memchr(name.p, '/', name.n) && (name.n == 0 || name.p[0] != '.');
}

static err_t push_segment(struct sink *s, enum sink_stream stream, const char *name,
                          uint64_t offset, struct why *why)
{
    uint8_t head[8];
    struct view text = view_str(name);
    for (unsigned i = 0; i < sizeof(head); i++)
        head[i] = (uint8_t)(offset >> (56 - 8 * i));
    if (!plain_name(text))
        return fail(why, ERR_INVALID, "not a segment's name");
    TRY(sink_ready(s, sizeof(head) + text.n, why));
    bool journal = stream == SINK_JOURNAL || stream == SINK_ROLL_JOURNAL;
    (void)push2(s, journal ? SINK_ROLL_JOURNAL : SINK_ROLL_AUDIT, VIEW(head, sizeof(head)), text);
    return ERR_OK;
}

err_t sink_roll(struct sink *s, enum sink_stream stream, const char *name, struct why *why)
{
    return push_segment(s, stream, name, UINT64_MAX, why);
}

err_t sink_resume(struct sink *s, enum sink_stream stream, const char *name, uint64_t offset,
                  struct why *why)
{
    return push_segment(s, stream, name, offset, why);
}

err_t sink_close(struct sink *s, enum sink_stream stream, struct why *why)
{
    return push_segment(s, stream, "", 0, why);
}

err_t sink_replace(struct sink *s, const char *name, struct view contents, struct why *why)
{
    uint8_t head[1 + RING_NAME];
    struct view text = view_str(name);
    if (text.n == 0 || !plain_name(text))
        return fail(why, ERR_INVALID, "not a file's name");
    head[0] = (uint8_t)text.n;
    memcpy(head + 1, text.p, text.n);
    TRY(sink_ready(s, 1 + text.n + contents.n, why));
    (void)push2(s, SINK_REPLACE, VIEW(head, 1 + text.n), contents);
    return ERR_OK;
}

err_t sink_remove(struct sink *s, const char *name, struct why *why)
{
    struct view text = view_str(name);
    if (text.n == 0 || !plain_name(text))
        return fail(why, ERR_INVALID, "not a file's name");
    TRY(sink_ready(s, text.n, why));
    (void)sink_push(s, SINK_REMOVE, text);
    return ERR_OK;
}

void sink_flush(struct sink *s, bool durable)
{
    struct ring_shared *r = s->ring.shared;
    take_positions(s);
    if (s->durable == s->head || s->gone)
        return;
    remember(s);
    /* a ring that fills up must not wait for the deadline */
    durable = durable || s->head - s->durable > SINK_RING_BYTES / 4;
    atomic_store(&r->waiting, 1);
    if (durable)
        atomic_store(&r->want, s->head);
    atomic_thread_fence(
        memory_order_seq_cst); /* `head` before `asleep`: see rest() in sink_writer.c */
    uint32_t asleep = atomic_load(&r->asleep);
    if (asleep == RING_AWAKE || (asleep == RING_DOZES && !durable))
        return;
    atomic_store(&r->asleep, RING_AWAKE);
    const uint64_t one = 1;
    if (write(s->wake, &one, sizeof(one)) < 0 && errno != EAGAIN)
        s->broken = true;
}

err_t sink_settle(struct sink *s, int ms, struct why *why)
{
    int64_t until = clock_boot_ms() + ms;
    for (sink_flush(s, true); s->durable < s->head; take_positions(s)) {
        TRY(sink_health(s, why));
        if (clock_boot_ms() >= until)
            return fail(why, ERR_UNAVAILABLE,
                        "the audit writer did not finish within %d ms; try again", ms);
        (void)poll(NULL, 0, 1);
    }
    return ERR_OK;
}

uint64_t sink_durable(const struct sink *s)
{
    return s->durable;
}

uint64_t sink_written(const struct sink *s)
{
    return s->written;
}

uint64_t sink_head(const struct sink *s)
{
    return s->head;
}

/* ---- beginning and end */

static err_t send_fd(int sock, const char *op, int fd, struct why *why)
{
    AUTO(buf_free) struct buf packet = {0};
    msg_begin(&packet, MSG_SINK_OPEN, 0, 0);
    msg_put_str(&packet, F_OP, op);
    TRY(buf_ok(&packet, why));
    return ipc_send(sock, buf_view(&packet), fd, why);
}

static err_t attach(struct sink *s, int sock, struct why *why)
{
    TRY(send_fd(sock, "ring", s->ring.fd, why));
    TRY(send_fd(sock, "wake", s->wake, why));
    TRY(send_fd(sock, "done", s->done, why));
    struct loop_fd *watch;
    TRY(loop_watch(s->loop, &(struct loop_source){sock, EPOLLIN, on_sock, s}, &watch, why));
    s->sock_watch = watch;
    s->sock = sock;
    s->gone = false;
    return ERR_OK;
}

err_t sink_reattach(struct sink *s, int writer_sock, struct why *why)
{
    loop_unwatch(TAKE(s->sock_watch)); /* its end may not have been seen yet */
    s->gone = true;
    auto_close(&s->sock);
    s->sock = -1;
    atomic_store(&s->ring.shared->asleep, RING_AWAKE);
    TRY(attach(s, writer_sock, why));
    s->n_marks = 0; /* the new one has a deadline of its own */
    if (s->durable < s->head)
        remember(s);
    atomic_store(&s->ring.shared->waiting, 1);
    return ERR_OK;
}

err_t sink_new(struct loop *l, int writer_sock, void (*on_progress)(void *ctx), void *ctx,
               struct sink **out, struct why *why)
{
    AUTO(auto_sink) struct sink *s = calloc(1, sizeof(*s));
    if (!s)
        return fail(why, ERR_INTERNAL, "out of memory");
    *s = (struct sink){.loop = l, .sock = -1, .on_progress = on_progress, .ctx = ctx};
    s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    s->done = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->wake < 0 || s->done < 0)
        return fail_errno(why, errno, "eventfd");
    TRY(ring_create(&s->ring, why));
    if (loop_timer_new(l, on_timer, s, &s->timer) != ERR_OK)
        return fail(why, ERR_INTERNAL, "out of memory");
    TRY(loop_watch(l, &(struct loop_source){s->done, EPOLLIN, on_done, s}, &s->done_watch, why));
    TRY(attach(s, writer_sock, why));
    *out = TAKE(s);
    return ERR_OK;
}

void sink_free(struct sink *s)
{
    if (!s)
        return;
    loop_unwatch(s->sock_watch);
    loop_unwatch(s->done_watch);
    loop_timer_free(s->timer);
    auto_close(&s->sock);
    auto_close(&s->wake);
    auto_close(&s->done);
    ring_close(&s->ring);
    free(s);
}
