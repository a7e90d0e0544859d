/*
 * Fires requests at a Unix socket: `fire SOCKET CONNS LOG SEED <frames`, a frame being a big-endian u32 length and so many bytes (as
 * tests/hostile/generate.py writes them). Each goes on a connection of its own, CONNS at a time, a third of them cut in two at a seeded place;
 * then our side is ended and everything that comes is read to its end. LOG (or -) gets a line a frame: its number and what was answered, as
 * "204u 400": the status of each reply, with `u` where it came from the upstream (x-upstream in its head). The last line on standard
 * output is a JSON object of counts. Exit 1: one did not end within LATE_MS, was answered with what is no HTTP, or could not connect.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { CONNS_MAX = 256, FRAME_MAX = 1 << 20, REPLY_MAX = 256 * 1024, LATE_MS = 30000 };

struct shot {
    int fd; /* -1: free */
    uint64_t number;
    char *bytes;
    size_t n, done, cut; /* cut: where the first piece ends */
    char *reply;
    size_t got;
    int64_t late;
};
static struct shot shots[CONNS_MAX];
static struct {
    uint64_t frames, replies, upstream, late, garbage, silent, by_status[600];
} counts;
static uint64_t seed;
static FILE *told;
static struct sockaddr_un where = {.sun_family = AF_UNIX};

static void die(const char *what)
{
    fprintf(stderr, "fire: %s: %s\n", what, strerror(errno));
    exit(2);
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static uint64_t random_next(void) /* xorshift64 */
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    return seed ^= seed << 17;
}

/* ---- what was answered */

static size_t body_of(const char *head, size_t n, bool *upstream)
{
    size_t length = 0;
    for (const char *line = head; line < head + n;) {
        const char *end = memmem(line, (size_t)(head + n - line), "\r\n", 2);
        if (!end)
            break;
        if (strncasecmp(line, "content-length:", 15) == 0)
            length = strtoul(line + 15, NULL, 10);
        if (strncasecmp(line, "x-upstream:", 11) == 0)
            *upstream = true;
        line = end + 2;
    }
    return length;
}

static bool is_status_line(const char *p, size_t n)
{
    return n >= 12 && memcmp(p, "HTTP/1.1 ", 9) == 0;
}

/* False: these bytes are no replies. */
static bool read_replies(const char *p, size_t n)
{
    while (n > 0) {
        const char *end = memmem(p, n, "\r\n\r\n", 4);
        if (!is_status_line(p, n) || !end)
            return false;
        size_t head = (size_t)(end - p) + 4;
        unsigned status = (unsigned)atoi(p + 9);
        bool upstream = false;
        size_t body = body_of(p, head, &upstream);
        if (status < 100 || status >= 600)
            return false;
        p += head;
        n -= head;
        if (status < 200)
            continue;
        if (!is_status_line(p, n)) { /* else it answered a HEAD */
            body = body < n ? body : n;
            p += body;
            n -= body;
        }
        counts.replies++;
        counts.upstream += upstream;
        counts.by_status[status]++;
        if (told)
            fprintf(told, " %u%s", status, upstream ? "u" : "");
    }
    return true;
}

static void over(struct shot *s, bool late)
{
    if (told)
        fprintf(told, "%llu", (unsigned long long)s->number);
    if (s->got == 0)
        counts.silent++;
    if (!read_replies(s->reply, s->got)) {
        counts.garbage++;
        fprintf(stderr, "fire: %llu was answered: %.*s\n", (unsigned long long)s->number, (int)(s->got < 400 ? s->got : 400), s->reply);
    }
    if (late) {
        counts.late++;
        fprintf(stderr, "fire: %llu did not end, after %zu of its %zu bytes: %.*s\n", (unsigned long long)s->number, s->done, s->n,
                (int)(s->n < 400 ? s->n : 400), s->bytes);
    }
    if (told)
        fputc('\n', told);
    close(s->fd);
    free(s->bytes);
    s->fd = -1;
}

/* ---- firing */

static bool take_frame(struct shot *s)
{
    uint8_t h[4];
    if (fread(h, 1, 4, stdin) != 4)
        return false;
    s->n = (size_t)h[0] << 24 | (size_t)h[1] << 16 | (size_t)h[2] << 8 | h[3];
    if (s->n > FRAME_MAX)
        die("a frame is too large");
    s->bytes = malloc(s->n + 1);
    if (!s->bytes || fread(s->bytes, 1, s->n, stdin) != s->n)
        die("a frame");
    return true;
}

static bool begin(struct shot *s)
{
    if (!take_frame(s))
        return false;
    s->number = counts.frames++;
    s->done = s->got = 0;
    s->cut = s->n > 1 && random_next() % 3 == 0 ? 1 + random_next() % (s->n - 1) : s->n;
    s->late = now_ms() + LATE_MS;
    s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s->fd < 0 || connect(s->fd, (struct sockaddr *)&where, sizeof(where)) < 0)
        die("connecting");
    fcntl(s->fd, F_SETFL, O_NONBLOCK);
    if (s->n == 0)
        shutdown(s->fd, SHUT_WR);
    return true;
}

static void push(struct shot *s)
{
    size_t end = s->done < s->cut ? s->cut : s->n;
    ssize_t k = send(s->fd, s->bytes + s->done, end - s->done, MSG_NOSIGNAL);
    if (k > 0)
        s->done += (size_t)k;
    else if (errno != EAGAIN && errno != EINTR)
        s->done = s->n; /* refused already: what is said about it can be read all the same */
    if (s->done == s->n)
        shutdown(s->fd, SHUT_WR);
}

static void pull(struct shot *s)
{
    ssize_t k = recv(s->fd, s->reply + s->got, REPLY_MAX - s->got, 0);
    if (k > 0)
        s->got += (size_t)k;
    else if (k == 0 || (errno != EAGAIN && errno != EINTR))
        over(s, false);
}

static void turn(struct shot *s, short events)
{
    if (events & (POLLIN | POLLHUP | POLLERR))
        pull(s);
    if (s->fd >= 0 && events & POLLOUT && s->done < s->n)
        push(s);
    if (s->fd >= 0 && now_ms() > s->late)
        over(s, true);
}

static void fire(unsigned conns)
{
    struct pollfd p[CONNS_MAX];
    bool more = true;
    for (;;) {
        unsigned busy = 0;
        for (unsigned i = 0; i < conns; i++) {
            if (shots[i].fd < 0 && more)
                more = begin(&shots[i]);
            busy += shots[i].fd >= 0;
            p[i] = (struct pollfd){shots[i].fd, (short)(POLLIN | (shots[i].done < shots[i].n ? POLLOUT : 0)), 0};
        }
        if (!busy)
            return;
        if (poll(p, conns, 1000) < 0 && errno != EINTR)
            die("poll");
        for (unsigned i = 0; i < conns; i++)
            if (shots[i].fd >= 0)
                turn(&shots[i], p[i].revents);
    }
}

int main(int argc, char **argv)
{
    if (argc != 5 || strlen(argv[1]) >= sizeof(where.sun_path)) {
        fprintf(stderr, "usage: fire SOCKET CONNS LOG|- SEED <frames\n");
        return 2;
    }
    unsigned conns = (unsigned)atoi(argv[2]);
    memcpy(where.sun_path, argv[1], strlen(argv[1]));
    told = strcmp(argv[3], "-") == 0 ? NULL : fopen(argv[3], "w");
    seed = strtoull(argv[4], NULL, 10) * 2654435761u + 1;
    conns = conns < 1 ? 1 : conns > CONNS_MAX ? CONNS_MAX : conns;
    for (unsigned i = 0; i < conns; i++) {
        shots[i].fd = -1;
        shots[i].reply = malloc(REPLY_MAX);
        if (!shots[i].reply)
            die("memory");
    }
    fire(conns);
    if (told && fclose(told) != 0)
        die(argv[3]);
    printf("{\"frames\": %llu, \"replies\": %llu, \"upstream\": %llu, \"silent\": %llu, \"late\": %llu, \"garbage\": %llu, \"status\": {",
           (unsigned long long)counts.frames, (unsigned long long)counts.replies, (unsigned long long)counts.upstream,
           (unsigned long long)counts.silent, (unsigned long long)counts.late, (unsigned long long)counts.garbage);
    const char *comma = "";
    for (unsigned i = 0; i < 600; i++)
        if (counts.by_status[i]) {
            printf("%s\"%u\": %llu", comma, i, (unsigned long long)counts.by_status[i]);
            comma = ", ";
        }
    printf("}}\n");
    return counts.late || counts.garbage;
}
