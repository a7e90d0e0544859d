/*
 * Reading the log's segments. Invariant: lines are found by their newlines and numbers alone and memory stays at one chunk, whatever a
 * file holds: a tampered one gives wrong lines, which its verification then says, but never an endless loop.
 */
#include "vault/audit_log.h"

#include "base/auto.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum { CHUNK = 64 * 1024 };
_Static_assert((int)CHUNK > 2 * (int)AUDIT_LINE_MAX,
               "a chunk holds a whole line wherever it begins");

/* ---- which there are */

void audit_segment_name(uint32_t number, char out[AUDIT_NAME])
{
    (void)snprintf(out, AUDIT_NAME, "audit-%06u.jsonl", number % (AUDIT_SEGMENTS_MAX + 1));
}

static uint32_t number_of(const char *name)
{
    char back[AUDIT_NAME];
    if (strlen(name) != 18 || strspn(name + 6, "0123456789") != 6)
        return 0;
    uint32_t n = (uint32_t)strtoul(name + 6, NULL, 10);
    audit_segment_name(n, back);
    return strcmp(back, name) == 0 ? n : 0;
}

static bool add(struct audit_segments *s, uint32_t number)
{
    if (s->n == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 64;
        uint32_t *more = reallocarray(s->number, cap, sizeof(*more));
        if (!more)
            return false;
        s->number = more;
        s->cap = cap;
    }
    s->number[s->n++] = number;
    return true;
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void auto_closedir(DIR **d)
{
    if (*d)
        (void)closedir(*d);
}

err_t audit_segments_list(int dirfd, struct audit_segments *out, struct why *why)
{
    AUTO(auto_close) int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    AUTO(auto_closedir) DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    if (!d)
        return fail_errno(why, errno, "the directory of the audit log");
    (void)TAKE_FD(fd);
    AUTO(audit_segments_free) struct audit_segments s = {0};
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        uint32_t number = number_of(e->d_name);
        if (number && !add(&s, number))
            return fail(why, ERR_INTERNAL, "out of memory");
    }
    if (s.n)
        qsort(s.number, s.n, sizeof(*s.number), by_number);
    *out = s;
    s = (struct audit_segments){0};
    return ERR_OK;
}

void audit_segments_free(struct audit_segments *s)
{
    free(s->number);
    *s = (struct audit_segments){0};
}

/* ---- lines of one */

err_t audit_reader_open(int dirfd, uint32_t number, struct audit_reader *out, struct why *why)
{
    char name[AUDIT_NAME];
    struct stat st;
    audit_segment_name(number, name);
    AUTO(auto_close)
    int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &st) != 0)
        return fail_errno(why, errno, "%s", name);
    if (!S_ISREG(st.st_mode))
        return fail(why, ERR_INVALID, "%s is not a regular file", name);
    uint8_t *chunk = malloc(CHUNK);
    if (!chunk)
        return fail(why, ERR_INTERNAL, "out of memory");
    *out = (struct audit_reader){.fd = TAKE_FD(fd), .chunk = chunk};
    return ERR_OK;
}

void audit_reader_close(struct audit_reader *r)
{
    if (!r->chunk)
        return;
    close(r->fd);
    free(r->chunk);
    *r = (struct audit_reader){.fd = -1};
}

void audit_reader_seek(struct audit_reader *r, uint64_t offset)
{
    r->at = offset;
    r->have = r->used = 0;
    r->torn = false;
}

/* Moves what is left to the front and reads behind it; false at the end of the file. */
static bool refill(struct audit_reader *r)
{
    memmove(r->chunk, r->chunk + r->used, r->have - r->used);
    r->have -= r->used;
    r->used = 0;
    ssize_t n;
    do
        n = pread(r->fd, r->chunk + r->have, CHUNK - r->have, (off_t)(r->at + r->have));
    while (n < 0 && errno == EINTR);
    r->failed = r->failed || n < 0;
    r->have += n > 0 ? (size_t)n : 0;
    return n > 0;
}

bool audit_reader_next(struct audit_reader *r, struct view *line)
{
    for (;;) {
        size_t left = r->have - r->used;
        const uint8_t *p = r->chunk + r->used, *end = left ? memchr(p, '\n', left) : NULL;
        if (!end && left <= AUDIT_LINE_MAX && refill(r))
            continue;
        if (!end && left <= AUDIT_LINE_MAX) {
            r->torn = r->have > 0;
            return false;
        }
        size_t n = end ? (size_t)(end - p) : left;
        *line = VIEW(p, n);
        r->used += n + (end ? 1 : 0);
        r->at += n + (end ? 1 : 0);
        return true;
    }
}

/* ---- by number */

/* The first whole line behind `offset`: where it begins and its number. */
static bool line_behind(struct audit_reader *r, uint64_t offset, uint64_t *begin, uint64_t *seq)
{
    struct view line;
    audit_reader_seek(r, offset);
    if (offset && !audit_reader_next(r, &line))
        return false;
    *begin = r->at;
    return audit_reader_next(r, &line) && audit_line_seq(line, seq);
}

bool audit_reader_find(struct audit_reader *r, uint64_t seq)
{
    struct stat st;
    uint64_t low = 0, begin, found;
    uint64_t high = fstat(r->fd, &st) == 0 ? (uint64_t)st.st_size : 0;
    while (high - low > CHUNK) { /* all before `low` are smaller */
        uint64_t middle = low + (high - low) / 2;
        if (!line_behind(r, middle, &begin, &found))
            break;
        if (found < seq)
            low = begin;
        else
            high = middle;
    }
    audit_reader_seek(r, low);
    struct view line;
    for (uint64_t at = low; audit_reader_next(r, &line); at = r->at)
        if (audit_line_seq(line, &found) && found >= seq) {
            audit_reader_seek(r, at);
            return true;
        }
    return false;
}

size_t audit_segments_find(int dirfd, const struct audit_segments *s, uint64_t seq)
{
    for (size_t i = s->n; i-- > 0;) {
        AUTO(audit_reader_close) struct audit_reader r = {.fd = -1};
        uint64_t begin, first;
        if (audit_reader_open(dirfd, s->number[i], &r, NULL) == ERR_OK &&
            line_behind(&r, 0, &begin, &first) && first <= seq)
            return i;
    }
    return 0;
}

/* ---- audit_read */

struct reading {
    uint64_t last, newest;
    unsigned left;
    struct buf *out;
    size_t max;
    bool full;
};

static void read_segment(struct audit_reader *r, struct reading *g)
{
    struct view line;
    uint64_t seq;
    while (g->left && !g->full && audit_reader_next(r, &line)) {
        if (!audit_line_seq(line, &seq) || seq <= g->last || seq > g->newest)
            continue; /* a repeat after an I/O error; or no line of ours */
        g->full = g->out->len + line.n + 1 > g->max;
        if (g->full)
            return;
        buf_add_view(g->out, line);
        buf_put_u8(g->out, '\n');
        g->last = seq;
        g->left--;
    }
}

err_t audit_log_read(int dirfd, const struct audit_range *range, struct buf *out, struct why *why)
{
    AUTO(audit_segments_free) struct audit_segments s = {0};
    if (range->after >= range->newest)
        return ERR_OK;
    TRY(audit_segments_list(dirfd, &s, why));
    struct reading g = {.last = range->after,
                        .newest = range->newest,
                        .left = range->limit,
                        .out = out,
                        .max = out->max ? out->max : BUF_DEFAULT_MAX};
    size_t first = audit_segments_find(dirfd, &s, range->after + 1);
    for (size_t i = first; i < s.n && g.left && !g.full; i++) {
        AUTO(audit_reader_close) struct audit_reader r = {.fd = -1};
        TRY(audit_reader_open(dirfd, s.number[i], &r, why));
        if (i == first && !audit_reader_find(&r, range->after + 1))
            continue;
        read_segment(&r, &g);
        if (r.failed)
            return fail(why, ERR_IO, "the audit log cannot be read");
    }
    if (g.full && out->len == 0)
        return fail(why, ERR_TOO_LARGE, "no room for one line of the audit log");
    return buf_ok(out, why);
}
