/*
 * A worker in a child process, a fake vault and HTTP clients in the test: the real code on real
 * sockets. The listening socket is an abstract one, so nothing is left behind. When a test fails in
 * between, the child sees its vault's end close and exits.
 */
#ifndef TESTS_API_RIG_H
#define TESTS_API_RIG_H

#include "api/front.h"
#include "base/auto.h"
#include "base/clock.h"
#include "base/ipc.h"
#include "check.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

enum { RIG_WAIT_MS = 5000 };

#ifndef RIG_FRONT
#define RIG_FRONT NULL /* the role's own */
#endif

struct rig {
    pid_t pid;
    uint32_t role;
    int vault;  /* our end of the line */
    int listen; /* the consumer's socket, kept to learn its address */
    struct sockaddr_un addr;
    socklen_t addr_n;
    struct buf packet;
    int fd; /* the descriptor of the last message, or -1 */
};

/* ---- the vault's side */

static inline void rig_send(struct rig *r, int fd)
{
    struct why why = {0};
    CHECK(!r->packet.bad);
    CHECK_OK(ipc_send(r->vault, buf_view(&r->packet), fd, &why), why);
}

/* The next message of the worker; false when none comes in `ms`. */
static inline bool rig_poll(struct rig *r, struct msg *m, int ms)
{
    struct why why = {0};
    if (ipc_wait(r->vault, ms, &why) != ERR_OK)
        return false;
    auto_close(&r->fd);
    r->fd = -1;
    if (ipc_recv(r->vault, &r->packet, &r->fd, &why) != ERR_OK)
        return false;
    CHECK_OK(msg_parse(buf_view(&r->packet), r->role, m, &why), why);
    return true;
}

static inline void rig_expect(struct rig *r, enum msg_type type, struct msg *m)
{
    CHECK(rig_poll(r, m, RIG_WAIT_MS));
    CHECK_STR(msg_rule(m->type)->name, msg_rule(type)->name);
}

static inline void rig_reply(struct rig *r, uint64_t id, err_t e, const char *text)
{
    msg_begin(&r->packet, MSG_REPLY, id, 0);
    msg_put_u64(&r->packet, F_STATUS, e);
    if (e != ERR_OK)
        msg_put_str(&r->packet, F_REASON, text);
    else
        msg_put(&r->packet, F_BODY, view_str(text));
    rig_send(r, -1);
}

static inline int rig_socket(struct sockaddr_un *addr, socklen_t *n)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_un any = {.sun_family = AF_UNIX};
    *n = sizeof(*addr);
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&any, sizeof(any.sun_family)) == 0 &&
          listen(fd, 512) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)addr, n) == 0);
    return fd;
}

static inline void rig_listen(struct rig *r, const char *consumer, int fd, uint64_t quota)
{
    msg_begin(&r->packet, MSG_LISTEN, 0, 0);
    msg_put_str(&r->packet, F_CONSUMER, consumer);
    if (quota)
        msg_put_u64(&r->packet, F_MAX_CONNS, quota);
    rig_send(r, fd);
}

/* ---- the worker */

static inline void rig_open(struct rig *r, uint32_t role, const struct conn_limits *limits,
                            uint64_t quota)
{
    struct why why = {0};
    int pair[2];
    *r = (struct rig){.role = role, .fd = -1, .packet.max = MSG_MAX};
    CHECK_OK(ipc_pair(pair, &why), why);
    fflush(NULL);
    r->pid = fork();
    CHECK(r->pid >= 0);
    if (r->pid == 0) {
        struct worker *w = NULL;
        const struct worker_options opt = {.limits = limits, .front = RIG_FRONT};
        close(pair[0]);
        (void)signal(SIGPIPE, SIG_IGN);
        int code =
            worker_new(role, pair[1], &opt, &w, &why) == ERR_OK ? worker_run(w, "test") : 9;
        worker_free(w);
        exit(code); /* not _exit: the leak checker runs at exit */
    }
    close(pair[1]);
    r->vault = pair[0];
    struct msg m;
    rig_expect(r, MSG_READY, &m);
    CHECK(view_is(msg_view(&m, F_REASON), "test"));
    r->listen = rig_socket(&r->addr, &r->addr_n);
    rig_listen(r, role == FROM_ADMIN ? "admin" : "gateway", r->listen, quota);
}

/* Ends the vault; the worker's exit code. */
static inline int rig_close(struct rig *r)
{
    int status = -1;
    close(r->vault);
    close(r->listen);
    auto_close(&r->fd);
    buf_free(&r->packet);
    CHECK(waitpid(r->pid, &status, 0) == r->pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* ---- clients */

static inline int http_connect(const struct rig *r)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && connect(fd, (const struct sockaddr *)&r->addr, r->addr_n) == 0);
    return fd;
}

static inline void http_send_n(int fd, const void *p, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t k = send(fd, (const char *)p + at, n - at, MSG_NOSIGNAL);
        CHECK(k > 0);
        at += (size_t)k;
    }
}

static inline void http_send(int fd, const char *text)
{
    http_send_n(fd, text, strlen(text));
}

static inline void http_request(int fd, const char *method, const char *target, const char *headers,
                                const char *body)
{
    char head[1024];
    size_t n = body ? strlen(body) : 0;
    snprintf(head, sizeof(head), "%s %s HTTP/1.1\r\n%s", method, target, headers ? headers : "");
    if (body)
        snprintf(head + strlen(head), sizeof(head) - strlen(head),
                 "Content-Type: application/json\r\nContent-Length: %zu\r\n", n);
    snprintf(head + strlen(head), sizeof(head) - strlen(head), "\r\n");
    http_send(fd, head);
    if (n)
        http_send_n(fd, body, n);
}

struct answer {
    int status; /* 0: the connection ended without one; -1: nothing came */
    char head[4096];
    char *body; /* into text */
    size_t body_n;
    char text[256 * 1024];
};

/* Reads one byte range; 0 at the end of file, -1 when nothing comes in `ms`. */
static inline ssize_t http_some(int fd, void *p, size_t n, int ms)
{
    struct pollfd pfd = {.fd = fd, .events = POLLIN};
    if (poll(&pfd, 1, ms) <= 0)
        return -1;
    ssize_t k = recv(fd, p, n, 0);
    return k < 0 ? 0 : k;
}

static inline size_t http_length(const char *head)
{
    const char *p = strcasestr(head, "\r\ncontent-length:");
    return p ? strtoul(p + 17, NULL, 10) : 0;
}

/* Exactly one response, so that pipelined ones stay in the socket. */
static inline void http_answer_in(int fd, struct answer *a, int ms)
{
    size_t n = 0;
    a->status = 0;
    a->head[0] = '\0';
    while (n < 4 || memcmp(a->head + n - 4, "\r\n\r\n", 4) != 0) {
        ssize_t k = n + 1 < sizeof(a->head) ? http_some(fd, a->head + n, 1, ms) : 0;
        if (k <= 0) {
            a->status = k < 0 ? -1 : 0;
            return;
        }
        a->head[++n] = '\0';
        n--;
        n++;
    }
    size_t want = http_length(a->head), have = 0;
    CHECK(want < sizeof(a->text));
    while (have < want) {
        ssize_t k = http_some(fd, a->text + have, want - have, ms);
        CHECK(k > 0);
        have += (size_t)k;
    }
    a->text[have] = '\0';
    a->body = a->text;
    a->body_n = have;
    a->status = atoi(a->head + 9);
}

static inline void http_read(int fd, struct answer *a)
{
    http_answer_in(fd, a, RIG_WAIT_MS);
}

/* The worker closes it; no further response comes before that. */
static inline bool http_closed(int fd)
{
    char rest[4096];
    ssize_t k, sum = 0;
    while ((k = http_some(fd, rest, sizeof(rest), RIG_WAIT_MS)) > 0)
        sum += k;
    return k == 0 && sum < 256;
}

#endif
