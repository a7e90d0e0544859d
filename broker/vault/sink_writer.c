/*
 * The audit writer: moves entries from the ring to the segment files and says how far it got. Invariant: `durable` is stored only
 * after the fdatasync of everything before it, and together with a mark (sink_ring.h) from which a new writer can go on.
 *
 * A turn: write all there is (one pwritev per stream and batch), sync when somebody waits or 100 ms have passed, sleep. While it syncs
 * the vault appends more, which the next sync takes along: group commit without any tuning. An entry that rolls, closes or
 * replaces a file is a barrier: everything before it is synced first.
 * Errors: what an operator can mend (no space, read-only, quota) is tried again every 200 ms; after an I/O error or a failed sync the
 * segment is abandoned and everything that was not durable goes to a new one.
 */
#include "vault/sink.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/ipc.h"
#include "base/msg.h"
#include "vault/sink_segment.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>

enum { BATCH = 512, SYNC_MS = 100, RETRY_MS = 200, GIVE_UP_MS = 10000 };

struct writer {
    int sock, wake, done;
    struct ring ring;
    struct segment seg[RING_STREAMS];
    uint64_t pos;    /* everything before is written */
    int64_t sync_by; /* when what is written must be synced */
    bool ended;      /* the vault is gone: drain and end */
    struct iovec iov[RING_STREAMS][BATCH];
};

/* ---- what is told to the vault */

static const struct ring_mark *mark_of(const struct writer *w)
{
    return &w->ring.shared->mark[atomic_load(&w->ring.shared->current) & 1];
}

static void notify(struct writer *w)
{
    const uint64_t one = 1;
    if (atomic_exchange(&w->ring.shared->waiting, 0))
        (void)!write(w->done, &one, sizeof(one)); /* EAGAIN: it has not read the last one yet */
}

/* All before w->pos is durable. The mark first: whoever dies between leaves a mark that says more than `durable`. */
static void store_mark(struct writer *w)
{
    struct ring_shared *r = w->ring.shared;
    uint32_t other = (atomic_load(&r->current) & 1) ^ 1;
    r->mark[other].pos = w->pos;
    for (unsigned i = 0; i < RING_STREAMS; i++)
        r->mark[other].place[i] = w->seg[i].at;
    atomic_store(&r->current, other);
    atomic_store(&r->written, w->pos);
    atomic_store(&r->durable, w->pos);
}

static void report(struct writer *w, int no)
{
    const uint64_t one = 1;
    if (atomic_exchange(&w->ring.shared->fault, (uint32_t)no) != (uint32_t)no)
        (void)!write(w->done, &one, sizeof(one));
}

/* ---- moving bytes */

static int commit(struct writer *w)
{
    struct segment *audit = &w->seg[0], *journal = &w->seg[1];
    if (audit->dirty &&
        journal->dirty) /* begin with the second, so that one journal commit takes both along */
        (void)sync_file_range(journal->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    int no = segment_sync(audit);
    if (no == 0)
        no = segment_sync(journal);
    if (no)
        return no;
    store_mark(w);
    return 0;
}

/* Back to what is durable: it is written again, to the same places unless a segment is abandoned. */
static int settle(struct writer *w)
{
    const struct ring_mark *m = mark_of(w);
    if (!w->seg[0].lost && !w->seg[1].lost)
        return 0;
    w->pos = m->pos;
    for (unsigned i = 0; i < RING_STREAMS; i++)
        w->seg[i].at.offset = m->place[i].offset;
    for (unsigned i = 0; i < RING_STREAMS; i++) {
        int no = w->seg[i].lost ? segment_abandon(&w->seg[i]) : 0;
        if (no)
            return no;
        store_mark(w);
    }
    return 0;
}

static int roll(struct segment *seg, struct view args)
{
    struct ring_place place = {0};
    struct cursor c = cursor_of(args);
    place.offset = get_u64(&c);
    struct view name = get_bytes(&c, cursor_left(&c));
    if (c.bad || !view_copy(name, place.name, sizeof(place.name)))
        return EBADMSG;
    if (name.n == 0) {
        segment_close(seg);
        return 0;
    }
    /* after an abandoned segment ours may have that number, or a later one, already */
    if (place.offset == SEGMENT_NEW && seg->fd >= 0 && seg->at.offset == 0 &&
        strcmp(place.name, seg->at.name) <= 0)
        return 0;
    return segment_open(seg, &place, true);
}

static int replace(const struct writer *w, struct view args)
{
    char name[RING_NAME];
    struct cursor c = cursor_of(args);
    size_t n = get_u8(&c);
    if (!view_copy(get_bytes(&c, n), name, sizeof(name)) || c.bad || n == 0)
        return EBADMSG;
    return segment_replace(w->seg[0].dir, name, get_bytes(&c, cursor_left(&c)));
}

/* What stays is looked at by a reader, and passed over. */
static int remove_file(const struct writer *w, struct view args)
{
    char name[RING_NAME];
    if (!view_copy(args, name, sizeof(name)) || args.n == 0)
        return EBADMSG;
    for (unsigned i = 0; i < RING_STREAMS; i++)
        if (strcmp(w->seg[i].at.name, name) == 0)
            return 0;
    (void)unlinkat(w->seg[0].dir, name, 0);
    return 0;
}

static int barrier(struct writer *w, const struct ring_entry *e)
{
    int no = commit(w);
    if (no)
        return no;
    if (e->stream == SINK_ROLL_AUDIT || e->stream == SINK_ROLL_JOURNAL)
        no = roll(&w->seg[e->stream == SINK_ROLL_JOURNAL], e->bytes);
    else if (e->stream == SINK_REMOVE)
        no = remove_file(w, e->bytes);
    else
        no = e->stream == SINK_REPLACE ? replace(w, e->bytes) : EBADMSG;
    if (no)
        return no;
    w->pos = e->next;
    store_mark(w);
    return 0;
}

static int write_batch(struct writer *w, const int n[RING_STREAMS], uint64_t end)
{
    uint64_t before = w->seg[0].at.offset;
    for (unsigned i = 0; i < RING_STREAMS; i++) {
        int no = n[i] == 0          ? 0
                 : w->seg[i].fd < 0 ? EBADF
                                    : segment_write(&w->seg[i], w->iov[i], n[i]);
        if (no) { /* both or none: the batch is tried again as a whole */
            w->seg[0].at.offset = before;
            return no;
        }
    }
    if (w->pos == mark_of(w)->pos)
        w->sync_by = clock_boot_ms() + SYNC_MS;
    w->pos = end;
    return 0;
}

/* One batch: the entries up to the next barrier, or the barrier. */
static int move(struct writer *w, uint64_t head)
{
    int n[RING_STREAMS] = {0};
    struct ring_entry e;
    uint64_t end = w->pos;
    while (end < head && n[0] < BATCH && n[1] < BATCH) {
        if (!ring_get(&w->ring, end, head, &e))
            return EBADMSG;
        if (e.stream != SINK_AUDIT && e.stream != SINK_JOURNAL)
            break;
        unsigned i = e.stream == SINK_JOURNAL;
        w->iov[i][n[i]++] =
            (struct iovec){.iov_base = (void *)(uintptr_t)e.bytes.p, .iov_len = e.bytes.n};
        end = e.next;
    }
    return end == w->pos ? barrier(w, &e) : write_batch(w, n, end);
}

static bool sync_due(const struct writer *w)
{
    uint64_t durable = mark_of(w)->pos;
    return w->pos > durable && (w->ended || atomic_load(&w->ring.shared->want) > durable ||
                                clock_boot_ms() >= w->sync_by);
}

static int turn(struct writer *w)
{
    int no = settle(w);
    uint64_t head = atomic_load(&w->ring.shared->head);
    while (no == 0 && w->pos < head)
        no = move(w, head);
    if (no == 0 && sync_due(w))
        no = commit(w);
    if (no == 0 && atomic_load(&w->ring.shared->written) < w->pos)
        atomic_store(&w->ring.shared->written, w->pos);
    return no;
}

/* ---- sleeping */

/* At most `ms` (-1: no end); the vault's end is the only thing the socket can tell. */
static void wait_for(struct writer *w, int64_t ms, bool wake)
{
    struct pollfd p[] = {{.fd = w->ended ? -1 : w->sock, .events = POLLIN},
                         {.fd = wake ? w->wake : -1, .events = POLLIN}};
    uint64_t n;
    if (poll(p, 2, (int)ms) <= 0)
        return;
    if (p[0].revents)
        w->ended = true;
    if (p[1].revents)
        (void)!read(w->wake, &n, sizeof(n));
}

static void rest(struct writer *w)
{
    struct ring_shared *r = w->ring.shared;
    uint64_t durable = mark_of(w)->pos;
    bool dozes = w->pos > durable;
    int64_t ms = dozes ? w->sync_by - clock_boot_ms() : -1;
    notify(w);
    if (w->ended || (dozes && ms <= 0))
        return;
    atomic_store(&r->asleep, dozes ? RING_DOZES : RING_SLEEPS);
    /* the vault stores first and looks at `asleep` then; we do it the other way round: one of us sees the other */
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load(&r->want) <= durable && (dozes || atomic_load(&r->head) == w->pos))
        wait_for(w, ms, true);
    atomic_store(&r->asleep, RING_AWAKE);
}

/* ---- beginning */

static int take_fd(struct writer *w, const struct msg *m, int fd)
{
    struct why why;
    if (view_is(msg_view(m, F_OP), "ring") && !w->ring.shared)
        return ring_attach(fd, &w->ring, &why) == ERR_OK ? 0 : EINVAL;
    int *slot = view_is(msg_view(m, F_OP), "wake") ? &w->wake : &w->done;
    if (*slot >= 0)
        return EINVAL;
    *slot = fd;
    return 0;
}

static int receive(struct writer *w)
{
    AUTO(buf_free) struct buf packet = {0};
    AUTO(auto_close) int fd = -1;
    struct why why;
    struct msg m;
    if (ipc_wait(w->sock, -1, &why) != ERR_OK || ipc_recv(w->sock, &packet, &fd, &why) != ERR_OK ||
        msg_parse(buf_view(&packet), FROM_VAULT, &m, &why) != ERR_OK || m.type != MSG_SINK_OPEN ||
        fd < 0)
        return EINVAL;
    int no = take_fd(w, &m, fd);
    if (no == 0)
        (void)TAKE_FD(fd);
    return no;
}

/* A segment that is gone or was cut cannot be gone on with; the next one can. What is missing is for the verifier to say. */
static int reopen_one(struct segment *seg, struct ring_place place)
{
    if (place.name[0] == '\0' || seg->fd >= 0)
        return 0;
    int no = segment_open(seg, &place, false);
    if (no != ENOENT && no != EINVAL)
        return no;
    place.offset = SEGMENT_NEW;
    return segment_open(seg, &place, false);
}

/* After a writer that died: the segments of its last mark. What it had written behind the mark is written again, byte for byte. */
static int reopen(struct writer *w)
{
    const struct ring_mark *m = mark_of(w);
    for (unsigned i = 0; i < RING_STREAMS; i++) {
        int no = reopen_one(&w->seg[i], m->place[i]);
        if (no)
            return no;
    }
    w->pos = m->pos;
    atomic_store(&w->ring.shared->durable, w->pos);
    return 0;
}

/* `step` until it works; false when the vault ended and it did not within GIVE_UP_MS. */
static bool until_done(struct writer *w, int (*step)(struct writer *w))
{
    int64_t give_up = INT64_MAX;
    for (int no; (no = step(w)) != 0;) {
        report(w, no);
        if (w->ended && give_up == INT64_MAX)
            give_up = clock_boot_ms() + GIVE_UP_MS;
        if (clock_boot_ms() >= give_up)
            return false;
        wait_for(w, RETRY_MS, false);
    }
    report(w, 0);
    return true;
}

static bool drained(const struct writer *w)
{
    return w->ended && mark_of(w)->pos == atomic_load(&w->ring.shared->head);
}

static int run(struct writer *w)
{
    if (!until_done(w, reopen))
        return 1;
    while (!drained(w)) {
        if (!until_done(w, turn))
            return 1;
        rest(w);
    }
    return 0;
}

static void writer_close(struct writer *w)
{
    for (unsigned i = 0; i < RING_STREAMS; i++)
        segment_close(&w->seg[i]);
    ring_close(&w->ring);
    auto_close(&w->wake);
    auto_close(&w->done);
}

int sink_writer_main(int sock, int dirfd)
{
    AUTO(writer_close)
    struct writer w = {.sock = sock,
                       .wake = -1,
                       .done = -1,
                       .seg = {{.dir = dirfd, .fd = -1}, {.dir = dirfd, .fd = -1}}};
    /* the end of the vault is ours, not a signal to the whole group; a file size limit is an error like any other */
    static const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGXFSZ};
    for (size_t i = 0; i < COUNT(ignored); i++)
        (void)signal(ignored[i], SIG_IGN);
    for (unsigned i = 0; i < 3; i++)
        if (receive(&w) != 0)
            return 1;
    if (w.wake < 0 || w.done < 0 || !w.ring.shared)
        return 1;
    return run(&w);
}
