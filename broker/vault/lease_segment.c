/*
 * Finds and reads the segments of the lease journal. The audit writer holds a lock on the segment it writes (vault/sink.h) and drains
 * what is left when its vault has died: reading before it is done would take a journal in the making for a crash.
 */
#include "vault/lease_segment.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

enum { STEP_MS = 5, NUMBER_DIGITS = 18 };

void lease_segment_name(uint64_t number, char out[LEASE_SEGMENT_NAME])
{
    (void)snprintf(out, LEASE_SEGMENT_NAME, "leases-%06" PRIu64 ".journal", number);
}

/* "leases-000012.journal" → 12; 0 when it is not such a name */
static uint64_t number_of(const char *name, const char *suffix)
{
    static const char prefix[] = "leases-";
    uint64_t number = 0;
    size_t i = sizeof(prefix) - 1;
    if (strncmp(name, prefix, i) != 0)
        return 0;
    for (; name[i] >= '0' && name[i] <= '9' && i < sizeof(prefix) - 1 + NUMBER_DIGITS; i++)
        number = number * 10 + (uint64_t)(name[i] - '0');
    return strcmp(name + i, suffix) == 0 ? number : 0;
}

err_t lease_segment_each(int dirfd, const char *suffix, lease_segment_fn *fn, void *ctx,
                         struct why *why)
{
    AUTO(auto_close) int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir)
        return fail_errno(why, errno, "the directory of the lease journal cannot be listed");
    (void)TAKE_FD(fd); /* the stream's now */
    for (const struct dirent *e; (e = readdir(dir));) {
        uint64_t number = number_of(e->d_name, suffix);
        if (number > 0)
            fn(ctx, number, e->d_name);
    }
    (void)closedir(dir);
    return ERR_OK;
}

/* ---- list */

static void drop_list(struct lease_segments *s)
{
    for (size_t i = 0; i < s->n; i++)
        buf_free(&s->one[i].bytes);
    s->n = 0;
}

void lease_segments_free(struct lease_segments *s)
{
    drop_list(s);
    free(s->one);
    auto_close(&s->lock);
    *s = (struct lease_segments){.lock = -1};
}

static void add(void *ctx, uint64_t number, const char *name)
{
    struct lease_segments *s = ctx;
    if (s->n == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 8;
        struct lease_segment *more = reallocarray(s->one, cap, sizeof(*more));
        s->out_of_memory = s->out_of_memory || !more;
        if (!more)
            return;
        s->one = more;
        s->cap = cap;
    }
    struct lease_segment *one = &s->one[s->n++];
    *one = (struct lease_segment){.number = number, .bytes = {.max = LEASE_SEGMENT_MAX}};
    (void)view_copy(view_str(name), one->name, sizeof(one->name));
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = ((const struct lease_segment *)a)->number,
             y = ((const struct lease_segment *)b)->number;
    return x < y ? -1 : x > y;
}

static err_t list(int dirfd, struct lease_segments *s, struct why *why)
{
    drop_list(s);
    TRY(lease_segment_each(dirfd, ".journal", add, s, why));
    if (s->out_of_memory)
        return fail(why, ERR_INTERNAL, "out of memory");
    if (s->n > 0)
        qsort(s->one, s->n, sizeof(*s->one), by_number);
    return ERR_OK;
}

/* ---- whose turn it is */

static err_t lock_newest(int dirfd, struct lease_segments *s, struct why *why)
{
    auto_close(&s->lock);
    s->lock = -1;
    TRY(list(dirfd, s, why));
    if (s->n == 0)
        return ERR_OK;
    const char *name = s->one[s->n - 1].name;
    AUTO(auto_close)
    int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return fail_errno(why, errno, "%s", name);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        return fail(why, ERR_UNAVAILABLE,
                    "the audit writer of an earlier run still writes %s: try again", name);
    s->lock = TAKE_FD(fd);
    return ERR_OK;
}

/* A writer takes its new segment before it lets go of the old: the newest must be the same once its lock is ours. */
static err_t wait_for_writers(int dirfd, struct lease_segments *s, struct why *why)
{
    int64_t until = clock_boot_ms() + LEASE_SEGMENT_WAIT_MS;
    for (uint64_t newest = 0;;) {
        err_t e = lock_newest(dirfd, s, why);
        uint64_t now = s->n > 0 ? s->one[s->n - 1].number : 0;
        if (e == ERR_OK && now == newest)
            return ERR_OK;
        if (e != ERR_OK && (e != ERR_UNAVAILABLE || clock_boot_ms() >= until))
            return e;
        if (e != ERR_OK)
            (void)poll(NULL, 0, STEP_MS);
        newest = now;
    }
}

/* What this vault itself appended before (unlocked, locked, unlocked again) is in the files, and our own writer has no segment. */
static err_t let_go(struct sink *sink, struct why *why)
{
    if (sink_head(sink) == 0)
        return ERR_OK;
    TRY(sink_close(sink, SINK_JOURNAL, why));
    return sink_settle(sink, LEASE_SEGMENT_WAIT_MS, why);
}

err_t lease_segments_read(struct sink *sink, int dirfd, struct lease_segments *out, struct why *why)
{
    TRY(let_go(sink, why));
    TRY(wait_for_writers(dirfd, out, why));
    for (size_t i = 0; i < out->n; i++) {
        struct lease_segment *s = &out->one[i];
        TRY(file_read_at(dirfd, s->name, LEASE_SEGMENT_MAX - 8192, &s->bytes, why));
    }
    return ERR_OK;
}

void lease_segments_set_aside(int dirfd, const struct lease_segments *s)
{
    for (size_t i = 0; i < s->n; i++) {
        char to[LEASE_SEGMENT_NAME];
        (void)snprintf(to, sizeof(to), "leases-%06" PRIu64 ".corrupt", s->one[i].number);
        (void)renameat(dirfd, s->one[i].name, dirfd,
                       to); /* one that stays is refused again at the next start */
    }
}
