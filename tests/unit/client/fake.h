/*
 * A broker that is not one: a forked server on a Unix socket in a directory of its own. It answers
 * each request with the next of the canned replies, bytes as they are, and keeps what it was asked
 * in a file. Ended by its pid.
 */
#ifndef TESTS_CLIENT_FAKE_H
#define TESTS_CLIENT_FAKE_H

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* What becomes of the connection with a reply. */
enum fake_then {
    FAKE_KEEP,     /* stays open for the next request */
    FAKE_CLOSE,    /* closed when the reply is sent */
    FAKE_HANG,     /* the reply is sent, then nothing more */
    FAKE_DROP,     /* closed without reading the request */
    FAKE_DROP_NEXT /* the reply is sent; the next request is dropped unread */
};
struct fake_reply {
    const char *match; /* "GET /v1/grants": only to a request that begins so; NULL: to any */
    const char *bytes; /* NULL: none */
    size_t n;          /* 0: strlen(bytes) */
    enum fake_then then;
    bool often; /* stays in the list */
};
struct fake {
    char dir[64];
    char path[108];
    char seen[108]; /* file of all requests */
    pid_t pid;
};

static inline void fake_write(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t w = send(fd, p, n, MSG_NOSIGNAL);
        if (w <= 0)
            return;
        p += w;
        n -= (size_t)w;
    }
}

/* One whole request (a head, and a body by its Content-Length); 0 at the end of the connection. */
static inline size_t fake_read(int fd, char *buf, size_t room)
{
    size_t n = 0, want = 0;
    while (n < room - 1) {
        ssize_t r = recv(fd, buf + n, room - 1 - n, 0);
        if (r <= 0)
            return 0;
        n += (size_t)r;
        buf[n] = '\0';
        char *end = strstr(buf, "\r\n\r\n"), *length = strstr(buf, "Content-Length: ");
        if (!end)
            continue;
        want =
            (size_t)(end + 4 - buf) + (length && length < end ? strtoul(length + 16, NULL, 10) : 0);
        if (n >= want)
            return n;
    }
    return n;
}

static inline void fake_note(const char *seen, const char *p, size_t n)
{
    int fd = open(seen, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, p, n) < 0 || write(fd, "\n", 1) < 0)
        _exit(1);
    close(fd);
}

static inline struct fake_reply *fake_pick(struct fake_reply *r, size_t n, bool *gone,
                                           const char *asked)
{
    for (size_t i = 0; i < n; i++)
        if (!gone[i] && (!r[i].match || strncmp(asked, r[i].match, strlen(r[i].match)) == 0)) {
            gone[i] = !r[i].often;
            return &r[i];
        }
    return NULL;
}

/* Serves one connection. */
static inline void fake_serve(int fd, const struct fake *f, struct fake_reply *r, size_t n,
                              bool *gone)
{
    static char buf[200000];
    for (;;) {
        for (size_t i = 0; i < n; i++)
            if (!gone[i] && r[i].then == FAKE_DROP) {
                gone[i] = true;
                usleep(30000); /* lets the request arrive, unread */
                return;
            }
        size_t len = fake_read(fd, buf, sizeof(buf));
        if (len == 0)
            return;
        fake_note(f->seen, buf, len);
        struct fake_reply *a = fake_pick(r, n, gone, buf);
        if (!a)
            return;
        if (a->bytes)
            fake_write(fd, a->bytes, a->n ? a->n : strlen(a->bytes));
        if (a->then == FAKE_HANG)
            pause();
        if (a->then == FAKE_DROP_NEXT && recv(fd, buf, 1, MSG_PEEK) > 0)
            return;
        if (a->then == FAKE_CLOSE)
            return;
    }
}

static inline int fake_listen(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 16) < 0) {
        perror("fake");
        exit(2);
    }
    return fd;
}

static inline void fake_dir(struct fake *f)
{
    snprintf(f->dir, sizeof(f->dir), "/tmp/fake-XXXXXX");
    if (!mkdtemp(f->dir)) {
        perror("mkdtemp");
        exit(2);
    }
    snprintf(f->path, sizeof(f->path), "%s/broker.sock", f->dir);
    snprintf(f->seen, sizeof(f->seen), "%s/seen", f->dir);
    f->pid = 0;
}

/* Forks the server; it waits `late_ms` before it listens. */
static inline void fake_run(struct fake *f, struct fake_reply *r, size_t n, unsigned late_ms)
{
    int l = late_ms ? -1 : fake_listen(f->path);
    f->pid = fork();
    if (f->pid == 0) {
        static bool gone[64];
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (late_ms) {
            usleep(late_ms * 1000);
            l = fake_listen(f->path);
        }
        for (int fd; (fd = accept(l, NULL, NULL)) >= 0; close(fd))
            fake_serve(fd, f, r, n, gone);
        _exit(0);
    }
    if (l >= 0)
        close(l);
}

static inline void fake_start(struct fake *f, struct fake_reply *r, size_t n)
{
    fake_dir(f);
    fake_run(f, r, n, 0);
}

/* Replies made by fake_ok; fake_stop frees them. */
static char *fake_made[64];
static size_t fake_n_made;

/* "HTTP/1.1 200 OK" with this JSON. */
static inline char *fake_ok(int status, const char *json)
{
    size_t room = strlen(json) + 200;
    char *out = malloc(room);
    if (!out || fake_n_made == sizeof(fake_made) / sizeof(fake_made[0]))
        abort();
    snprintf(
        out, room,
        "HTTP/1.1 %d Whatever\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
        status, strlen(json), json);
    fake_made[fake_n_made++] = out;
    return out;
}

static inline int fake_remove(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    return remove(path);
}

static inline void fake_stop(struct fake *f)
{
    if (f->pid > 0) {
        kill(f->pid, SIGKILL);
        waitpid(f->pid, NULL, 0);
    }
    f->pid = 0;
    if (f->dir[0])
        nftw(f->dir, fake_remove, 8, FTW_DEPTH | FTW_PHYS);
    f->dir[0] = '\0';
    while (fake_n_made > 0)
        free(fake_made[--fake_n_made]);
}

/* All that was asked so far, in static room. */
static inline const char *fake_seen(const struct fake *f)
{
    static char text[400000];
    size_t n = 0;
    FILE *in = fopen(f->seen, "re");
    if (in) {
        n = fread(text, 1, sizeof(text) - 1, in);
        fclose(in);
    }
    text[n] = '\0';
    return text;
}

#endif
