/*
 * A worker in a child process; the test is its vault, its clients and its upstream: the real code on real sockets. When a test fails in
 * between, the child sees its vault's end close and exits.
 */
#ifndef TESTS_PROXY_RIG_H
#define TESTS_PROXY_RIG_H

#include "base/auto.h"
#include "base/clock.h"
#include "base/ipc.h"
#include "base/route.h"
#include "check.h"
#include "proxy/proxy.h"
#include <broker/secret.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

enum { RIG_WAIT_MS = 5000, RIG_PIECE = 1 << 16 };
#define RIG_SECRET "sk-ant-oat01-planted-9f8e7d6c5b4a39281706"
#define RIG_TOKEN  "sk-ant-oat01-cbrk1_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789_abcdef"
#define RIG_LEASE  "000102030405060708090a0b0c0d0e0f"

struct rig {
    pid_t pid;
    int vault, listen;
    struct sockaddr_un addr;
    socklen_t addr_n;
    int upstream; /* a listening TCP socket on loopback */
    uint16_t port;
    struct buf packet, news;
    size_t news_at; /* in `news`, the rest of a PROXY_NEWS: its packets are handed out one by one */
    bool showed;    /* the last message came with a descriptor */
};

/* ---- the vault */

static inline void rig_send(struct rig *r, int fd)
{
    struct why why = {0};
    CHECK(!r->packet.bad);
    CHECK_OK(ipc_send(r->vault, buf_view(&r->packet), fd, &why), why);
}

static inline bool rig_next_news(struct rig *r, struct msg *m)
{
    struct why why = {0};
    struct cursor c = cursor_of(VIEW(r->news.p + r->news_at, r->news.len - r->news_at));
    if (cursor_left(&c) == 0)
        return false;
    struct view one = get_str32(&c);
    CHECK(!c.bad);
    r->news_at += one.n + 4;
    CHECK_OK(msg_parse(one, FROM_PROXY, m, &why), why);
    CHECK(m->type == MSG_PROXY_END || m->type == MSG_PROXY_USAGE);
    r->showed = false;
    return true;
}

static inline bool rig_poll(struct rig *r, struct msg *m, int ms)
{
    struct why why = {0};
    if (rig_next_news(r, m))
        return true;
    if (ipc_wait(r->vault, ms, &why) != ERR_OK)
        return false;
    AUTO(auto_close) int fd = -1; /* kept open here, the client would not see its connection's end */
    if (ipc_recv(r->vault, &r->packet, &fd, &why) != ERR_OK)
        return false;
    r->showed = fd >= 0;
    CHECK_OK(msg_parse(buf_view(&r->packet), FROM_PROXY, m, &why), why);
    if (m->type != MSG_PROXY_NEWS)
        return true;
    buf_reset(&r->news);
    buf_add_view(&r->news, msg_view(m, F_BODY));
    r->news_at = 0;
    return rig_next_news(r, m);
}

/* The next message of this type; PROXY_USAGE and CLOSED are passed over unless they are meant. */
static inline void rig_expect(struct rig *r, enum msg_type type, struct msg *m)
{
    do
        CHECK(rig_poll(r, m, RIG_WAIT_MS));
    while (m->type != type && (m->type == MSG_PROXY_USAGE || m->type == MSG_CLOSED));
    CHECK_STR(msg_rule(m->type)->name, msg_rule(type)->name);
}

static inline void rig_route_flags(struct rig *r, uint64_t id, unsigned flags, const char *secret)
{
    AUTO(buf_free) struct buf blob = {0};
    char bearer[256];
    struct why why = {0};
    struct route route = {.flags = ROUTE_PRIVATE | flags, .dialect = ROUTE_ANTHROPIC, .port = r->port, .n_headers = 1, .n_secrets = 1};
    (void)snprintf(bearer, sizeof(bearer), "Bearer %s", secret);
    route.host = view_str("127.0.0.1");
    route.provider = view_str("claude");
    route.header[0] = (struct route_header){view_str("authorization"), view_str(bearer)};
    route.merge = (struct route_header){view_str("anthropic-beta"), view_str("oauth-2025-04-20")};
    route.secret[0] = view_str(secret);
    CHECK_OK(route_encode(&route, &blob, &why), why);
    msg_begin(&r->packet, MSG_ROUTE, 0, 0);
    msg_put(&r->packet, F_BODY, buf_view(&blob));
    msg_put_u64(&r->packet, F_ROUTE, id);
    rig_send(r, -1);
}

/* `uses`: more of the same may follow, for `ms`. */
struct rig_allowed {
    uint64_t uses, ms;
};
static inline void rig_grant_more(struct rig *r, const struct msg *asked, uint64_t serial, uint64_t route, struct rig_allowed more)
{
    uint64_t conn = asked->conn;
    msg_begin(&r->packet, MSG_REPLY, asked->id, conn);
    msg_put_u64(&r->packet, F_STATUS, ERR_OK);
    if (more.uses) {
        msg_put_u64(&r->packet, F_TTL_MS, more.ms);
        msg_put_u64(&r->packet, F_USES, more.uses);
    }
    msg_put_str(&r->packet, F_LEASE, RIG_LEASE);
    msg_put_u64(&r->packet, F_SERIAL, serial);
    msg_put_u64(&r->packet, F_ROUTE, route);
    rig_send(r, -1);
}

static inline void rig_grant(struct rig *r, const struct msg *asked, uint64_t serial, uint64_t route)
{
    rig_grant_more(r, asked, serial, route, (struct rig_allowed){0});
}

static inline void rig_deny(struct rig *r, const struct msg *asked, err_t e, uint64_t retry_ms)
{
    uint64_t conn = asked->conn;
    msg_begin(&r->packet, MSG_REPLY, asked->id, conn);
    msg_put_u64(&r->packet, F_STATUS, e);
    msg_put_str(&r->packet, F_REASON, "refused by the test");
    if (retry_ms)
        msg_put_u64(&r->packet, F_RETRY_MS, retry_ms);
    rig_send(r, -1);
}

/* ---- beginning and end */

static inline void rig_sockets(struct rig *r)
{
    struct sockaddr_un any = {.sun_family = AF_UNIX};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(in);
    r->listen = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    r->addr_n = sizeof(r->addr);
    CHECK(r->listen >= 0 && bind(r->listen, (struct sockaddr *)&any, sizeof(any.sun_family)) == 0 && listen(r->listen, 512) == 0);
    CHECK(getsockname(r->listen, (struct sockaddr *)&r->addr, &r->addr_n) == 0);
    r->upstream = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(r->upstream >= 0 && bind(r->upstream, (struct sockaddr *)&in, sizeof(in)) == 0 && listen(r->upstream, 128) == 0);
    CHECK(getsockname(r->upstream, (struct sockaddr *)&in, &n) == 0);
    r->port = ntohs(in.sin_port);
}

static inline void rig_child(struct rig *r, int theirs, const struct proxy_times *times)
{
    struct why why = {0};
    struct proxy *p = NULL;
    close(r->vault);
    close(r->listen);
    close(r->upstream);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* one that turns for ever does not outlive its test */
    (void)mallopt(M_PERTURB, 0xa5);         /* what is used once more when it was freed makes no sense */
    if (secret_pool_open(1 << 20, &why) != ERR_OK || proxy_new(theirs, times, &p, &why) != ERR_OK) {
        (void)fprintf(stderr, "rig: %s\n", why.text);
        _exit(90);
    }
    int code = proxy_run(p, "test");
    proxy_free(p);
    secret_pool_close();
    _exit(code);
}

static inline void rig_listen(struct rig *r, const char *consumer, uint64_t quota)
{
    msg_begin(&r->packet, MSG_LISTEN, 0, 0);
    msg_put_str(&r->packet, F_CONSUMER, consumer);
    msg_put_u64(&r->packet, F_MAX_CONNS, quota);
    rig_send(r, r->listen);
}

static inline void rig_begin(struct rig *r, const struct proxy_times *times)
{
    struct why why = {0};
    struct msg m;
    int pair[2];
    *r = (struct rig){.packet.max = MSG_MAX, .news.max = MSG_MAX};
    (void)signal(SIGPIPE, SIG_IGN);
    CHECK_OK(ipc_pair(pair, &why), why);
    r->vault = pair[0];
    rig_sockets(r);
    r->pid = fork();
    CHECK(r->pid >= 0);
    if (r->pid == 0)
        rig_child(r, pair[1], times);
    close(pair[1]);
    rig_expect(r, MSG_READY, &m);
    rig_listen(r, "gateway", 256);
}

/* The worker ends because its vault does; its exit code. */
static inline int rig_end(struct rig *r)
{
    int status = -1;
    close(r->vault);
    for (int i = 0; i < RIG_WAIT_MS / 10 && waitpid(r->pid, &status, WNOHANG) == 0; i++)
        (void)poll(NULL, 0, 10);
    if (status == -1)
        kill(r->pid, SIGKILL);
    close(r->listen);
    close(r->upstream);
    buf_free(&r->packet);
    buf_free(&r->news);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* ---- clients and upstreams */

static inline int rig_client(struct rig *r)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&r->addr, r->addr_n) == 0);
    return fd;
}

static inline void rig_write(int fd, const void *p, size_t n)
{
    const uint8_t *at = p;
    while (n > 0) {
        ssize_t done = send(fd, at, n, MSG_NOSIGNAL);
        CHECK(done > 0);
        at += done;
        n -= (size_t)done;
    }
}

static inline void rig_say(int fd, const char *text)
{
    rig_write(fd, text, strlen(text));
}

/* Reads until `want` has been seen, or the end (want NULL), or RIG_WAIT_MS without a byte. What was read, NUL-terminated, in a buffer of
 * the caller's. True: seen, or ended. */
static inline bool rig_read(int fd, const char *want, char *out, size_t room)
{
    size_t n = 0;
    out[0] = '\0';
    while (n + 1 < room) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, RIG_WAIT_MS) <= 0)
            return false;
        ssize_t got = recv(fd, out + n, room - 1 - n, 0);
        if (got <= 0)
            return want == NULL;
        n += (size_t)got;
        out[n] = '\0';
        if (want && memmem(out, n, want, strlen(want)))
            return true;
    }
    return false;
}

static inline int rig_accept(struct rig *r)
{
    struct pollfd p = {.fd = r->upstream, .events = POLLIN};
    CHECK(poll(&p, 1, RIG_WAIT_MS) == 1);
    int fd = accept4(r->upstream, NULL, NULL, SOCK_CLOEXEC);
    CHECK(fd >= 0);
    return fd;
}

/* Nothing comes to the upstream. */
static inline bool rig_untouched(struct rig *r, int ms)
{
    struct pollfd p = {.fd = r->upstream, .events = POLLIN};
    return poll(&p, 1, ms) == 0;
}

#define RIG_HEAD(method, path) method " " path " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " RIG_TOKEN "\r\nanthropic-version: 2023-06-01\r\n"

/* One granted request up to the upstream, which has read its head: serial 7, route 1. The upstream's descriptor. */
static inline int rig_granted(struct rig *r, int client, const char *request, char *seen, size_t room)
{
    struct msg m;
    rig_say(client, request);
    rig_expect(r, MSG_PROXY_BEGIN, &m);
    rig_route_flags(r, 1, 0, RIG_SECRET);
    rig_grant(r, &m, 7, 1);
    int up = rig_accept(r);
    CHECK(rig_read(up, "\r\n\r\n", seen, room));
    return up;
}

#endif
