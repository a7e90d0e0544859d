/*
 * Segment files: opened, written at an offset, synced, abandoned. Invariant: a descriptor whose sync failed is closed and never asked
 * again (after such a failure the page cache may call pages clean that never reached the disk), and no byte that was
 * durable is ever written over with others: a new segment is a new file, a repeated write repeats the same bytes.
 */
#include "vault/sink_segment.h"

#include "base/auto.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

enum { NAMES_TRIED = 1000, OPEN_FLAGS = O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY };

bool segment_next_name(char name[RING_NAME])
{
    size_t end = strcspn(name, ".");
    for (size_t i = end; i > 0 && name[i - 1] >= '0' && name[i - 1] <= '9'; i--) {
        if (name[i - 1]++ != '9')
            return true;
        name[i - 1] = '0';
    }
    return false;
}

/* A file of that name which holds nothing was begun by a writer that died: it is as good as new. */
static int open_new(int dir, const char *name, int *out)
{
    AUTO(auto_close) int fd = openat(dir, name, OPEN_FLAGS | O_CREAT, 0600);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0)
        return errno;
    if (!S_ISREG(st.st_mode))
        return EINVAL;
    if (st.st_size != 0)
        return EEXIST;
    *out = TAKE_FD(fd);
    return 0;
}

static int open_next_free(int dir, struct ring_place *place, int *out)
{
    int no = EEXIST;
    for (unsigned i = 0; i < NAMES_TRIED && no == EEXIST; i++) {
        no = open_new(dir, place->name, out);
        if (no == EEXIST && !segment_next_name(place->name))
            return EEXIST;
    }
    place->offset = 0;
    return no;
}

static int open_existing(int dir, const struct ring_place *place, int *out)
{
    AUTO(auto_close) int fd = openat(dir, place->name, OPEN_FLAGS);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0)
        return errno;
    if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size < place->offset)
        return EINVAL;
    *out = TAKE_FD(fd);
    return 0;
}

/* The lock is refused while a reader replays the file, or a writer of an earlier run still drains into it. */
static int make_ours(int dir, int fd, const struct ring_place *at, bool cut)
{
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        return errno;
    if (cut && ftruncate(fd, (off_t)at->offset) != 0)
        return errno;
    if (fdatasync(fd) != 0 || fsync(dir) != 0)
        return errno;
    return 0;
}

int segment_open(struct segment *seg, const struct ring_place *place, bool cut)
{
    AUTO(auto_close) int fd = -1;
    struct ring_place at = *place;
    bool fresh = at.offset == SEGMENT_NEW;
    int no = fresh ? open_next_free(seg->dir, &at, &fd) : open_existing(seg->dir, &at, &fd);
    if (no)
        return no;
    no = make_ours(seg->dir, fd, &at, cut && !fresh);
    if (no) {
        if (fresh && no != EWOULDBLOCK)
            (void)unlinkat(seg->dir, at.name, 0);
        return no;
    }
    segment_close(seg);
    seg->fd = TAKE_FD(fd);
    seg->at = at;
    return 0;
}

void segment_close(struct segment *seg)
{
    auto_close(&seg->fd);
    seg->fd = -1;
    seg->at = (struct ring_place){0};
    seg->dirty = seg->lost = false;
}

static void skip(struct iovec **iov, int *n, size_t done)
{
    while (*n && done >= (*iov)->iov_len) {
        done -= (*iov)->iov_len;
        (*iov)++;
        (*n)--;
    }
    if (*n) {
        (*iov)->iov_base = (uint8_t *)(*iov)->iov_base + done;
        (*iov)->iov_len -= done;
    }
}

int segment_write(struct segment *seg, struct iovec *iov, int n)
{
    uint64_t to = seg->at.offset;
    while (n) {
        ssize_t w = pwritev(seg->fd, iov, n, (off_t)to);
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0) {
            int no = w < 0 ? errno : ENOSPC;
            seg->lost = no == EIO;
            /* no torn line for readers while we wait; where even that fails the next try writes over it */
            (void)!ftruncate(seg->fd, (off_t)seg->at.offset);
            return no;
        }
        to += (uint64_t)w;
        skip(&iov, &n, (size_t)w);
    }
    seg->dirty = seg->dirty || to != seg->at.offset;
    seg->at.offset = to;
    return 0;
}

int segment_sync(struct segment *seg)
{
    if (seg->dirty && fdatasync(seg->fd) != 0) {
        seg->lost = true;
        return errno;
    }
    seg->dirty = false;
    return 0;
}

int segment_abandon(struct segment *seg)
{
    struct ring_place next = {.offset = SEGMENT_NEW};
    memcpy(next.name, seg->at.name, sizeof(next.name));
    if (seg->at.offset == 0)
        (void)unlinkat(seg->dir, next.name, 0);
    else
        (void)!ftruncate(seg->fd, (off_t)seg->at.offset);
    return segment_open(seg, &next, true);
}

static int write_temp(int dir, const char *temp, struct view contents)
{
    AUTO(auto_close) int fd = openat(dir, temp, OPEN_FLAGS | O_CREAT | O_TRUNC, 0600);
    if (fd < 0)
        return errno;
    for (size_t done = 0; done < contents.n;) {
        ssize_t w = write(fd, contents.p + done, contents.n - done);
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return w < 0 ? errno : ENOSPC;
        done += (size_t)w;
    }
    return fsync(fd) == 0 ? 0 : errno;
}

int segment_replace(int dir, const char *name, struct view contents)
{
    char temp[RING_NAME + 8];
    (void)snprintf(temp, sizeof(temp), ".%s.tmp", name);
    int no = write_temp(dir, temp, contents);
    if (no == 0 && renameat(dir, temp, dir, name) != 0)
        no = errno;
    if (no) {
        (void)unlinkat(dir, temp, 0);
        return no;
    }
    return fsync(dir) == 0 ? 0 : errno;
}
