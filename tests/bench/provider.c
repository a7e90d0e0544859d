/*
 * The upstream of the proxy's benchmark: one thread, plain or TLS, as little work as possible, the same for whoever stands in front of it.
 *     provider [-t CERT KEY]         prints its port (127.0.0.1) and serves until it is killed
 * POST or GET anything: 200 with 330 bytes of JSON, when the whole body has come.
 * GET /sse?n=N&every=MS: N events of 200 bytes, one each MS, each with the time it was sent at (ns, monotonic).
 * GET /bulk?bytes=N: N bytes.
 * GET /gone: {"at":NS}, when it saw the end of the last stream that its client gave up.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { ROOM = 16384, EVENT = 200, BATCH = 256, MAX = 65536, TICK_MS = 5 };

struct conn {
    int fd;
    SSL *tls;
    size_t have, body; /* bytes of the head so far; of the body still to come */
    bool in_body;
    char *text; /* ROOM bytes while a head is read */
    unsigned events, every;
    int64_t next_ms;
    uint64_t bulk;
    struct conn *stream_next; /* list of those that stream */
    bool streams, gone;
};
static struct {
    int epoll, listener;
    SSL_CTX *tls;
    struct conn *streams;
    char json[1024], block[65536];
    size_t json_n;
    int64_t gone_ns;
} g;

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static ssize_t take(struct conn *c, void *p, size_t n)
{
    if (!c->tls)
        return recv(c->fd, p, n, 0);
    int got = SSL_read(c->tls, p, (int)n);
    if (got > 0)
        return got;
    int e = SSL_get_error(c->tls, got);
    ERR_clear_error();
    errno = e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE ? EAGAIN : EPIPE;
    return e == SSL_ERROR_ZERO_RETURN ? 0 : -1;
}

static ssize_t give(struct conn *c, const void *p, size_t n)
{
    if (!c->tls)
        return send(c->fd, p, n, MSG_NOSIGNAL);
    int done = SSL_write(c->tls, p, (int)n);
    if (done > 0)
        return done;
    int e = SSL_get_error(c->tls, done);
    ERR_clear_error();
    errno = e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE ? EAGAIN : EPIPE;
    return -1;
}

static void drop(struct conn *c)
{
    if (c->streams && !c->gone)
        g.gone_ns = now_ns();
    c->gone = true;
    if (c->streams)
        return; /* the next tick frees it */
    if (c->tls)
        SSL_free(c->tls);
    close(c->fd);
    free(c->text);
    free(c);
}

static void watch(struct conn *c, int op, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.ptr = c};
    if (epoll_ctl(g.epoll, op, c->fd, &ev) < 0)
        perror("epoll_ctl");
}

static bool pump_bulk(struct conn *c)
{
    while (c->bulk > 0) {
        ssize_t n = give(c, g.block, c->bulk < sizeof(g.block) ? (size_t)c->bulk : sizeof(g.block));
        if (n < 0 && errno != EAGAIN)
            return false;
        if (n < 0) {
            watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
            return true;
        }
        c->bulk -= (uint64_t)n;
    }
    watch(c, EPOLL_CTL_MOD, EPOLLIN);
    return true;
}

static unsigned long query(const char *target, const char *name)
{
    const char *at = strstr(target, name);
    return at ? strtoul(at + strlen(name), NULL, 10) : 0;
}

static bool answer(struct conn *c)
{
    static const char sse[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    char head[160];
    char *end = strchr(c->text, '\r');
    *end = '\0';
    if (strstr(c->text, "/sse?")) {
        c->events = (unsigned)query(c->text, "n=");
        c->every = (unsigned)query(c->text, "every=");
        c->next_ms = now_ns() / 1000000 + (int64_t)((unsigned)rand() % (c->every + 1));
        c->streams = true;
        c->stream_next = g.streams;
        g.streams = c;
        return give(c, sse, sizeof(sse) - 1) > 0;
    }
    if (strstr(c->text, "/gone")) {
        int n = snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: 26\r\n\r\n{\"at\":%19lld}", (long long)g.gone_ns);
        return give(c, head, (size_t)n) == n;
    }
    if (strstr(c->text, "/bulk?")) {
        c->bulk = query(c->text, "bytes=");
        int n = snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %llu\r\n\r\n", (unsigned long long)c->bulk);
        return give(c, head, (size_t)n) > 0 && pump_bulk(c);
    }
    return give(c, g.json, g.json_n) == (ssize_t)g.json_n;
}

/* False: it ended. */
static bool on_bytes(struct conn *c)
{
    static char sink[1 << 16];
    for (;;) {
        bool body = c->in_body;
        if (!body && !c->text && !(c->text = malloc(ROOM)))
            return false;
        ssize_t n = body ? take(c, sink, c->body < sizeof(sink) ? c->body : sizeof(sink)) : take(c, c->text + c->have, ROOM - 1 - c->have);
        if (n < 0 && errno == EAGAIN)
            return true;
        if (n <= 0)
            return false;
        if (body) {
            c->body -= (size_t)n;
        } else {
            c->have += (size_t)n;
            c->text[c->have] = '\0';
            char *end = strstr(c->text, "\r\n\r\n");
            if (!end)
                continue;
            const char *length = strcasestr(c->text, "\r\ncontent-length:");
            size_t more = length ? strtoul(length + 17, NULL, 10) : 0, got = c->have - (size_t)(end + 4 - c->text);
            c->body = more > got ? more - got : 0;
            c->in_body = true;
        }
        if (c->body > 0)
            continue;
        bool good = answer(c);
        c->in_body = false;
        c->have = 0;
        free(c->text); /* an idle connection costs little */
        c->text = NULL;
        if (!good)
            return false;
    }
}

static void on_accept(void)
{
    for (;;) {
        int fd = accept4(g.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), one = 1;
        if (fd < 0)
            return;
        struct conn *c = calloc(1, sizeof(*c));
        c->fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        if (g.tls) {
            c->tls = SSL_new(g.tls);
            SSL_set_fd(c->tls, fd);
            SSL_set_accept_state(c->tls);
        }
        watch(c, EPOLL_CTL_ADD, EPOLLIN);
    }
}

static void send_event(struct conn *c)
{
    char out[EVENT + 64], event[EVENT + 1];
    int n = snprintf(event, sizeof(event), "event: content_block_delta\ndata: {\"at\":%lld,\"type\":\"content_block_delta\",\"text\":\"", (long long)now_ns());
    memset(event + n, 'x', (size_t)(EVENT - n));
    memcpy(event + EVENT - 5, "\"}\n\n", 4);
    event[EVENT - 1] = '\n';
    n = snprintf(out, sizeof(out), "%x\r\n%.*s\r\n%s", EVENT, EVENT, event, c->events == 1 ? "0\r\n\r\n" : "");
    if (give(c, out, (size_t)n) < 0 && errno != EAGAIN)
        c->gone = true;
    c->events--;
}

static void on_tick(int fd)
{
    uint64_t times;
    int64_t now = now_ns() / 1000000;
    if (read(fd, &times, sizeof(times)) < 0)
        return;
    for (struct conn **at = &g.streams; *at;) {
        struct conn *c = *at;
        if (!c->gone && c->next_ms <= now) {
            send_event(c);
            c->next_ms += c->every;
        }
        if (c->gone || c->events == 0) {
            *at = c->stream_next;
            c->streams = false;
            if (c->gone)
                drop(c);
        } else {
            at = &c->stream_next;
        }
    }
}

static void start(const char *cert, const char *key)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(in);
    struct rlimit files = {MAX, MAX};
    (void)setrlimit(RLIMIT_NOFILE, &files);
    if (cert) {
        g.tls = SSL_CTX_new(TLS_server_method());
        SSL_CTX_set_min_proto_version(g.tls, TLS1_2_VERSION);
        SSL_CTX_set_mode(g.tls, SSL_MODE_RELEASE_BUFFERS);
        if (SSL_CTX_use_certificate_chain_file(g.tls, cert) != 1 || SSL_CTX_use_PrivateKey_file(g.tls, key, SSL_FILETYPE_PEM) != 1)
            exit(1);
    }
    static const char body[] = "{\"id\":\"msg_01\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-sonnet-4-5\",\"content\":[{\"type\":\"text\","
                               "\"text\":\"Hello! How can I help you today? This is an answer of an ordinary length, for the sake of the measurement.\"}],"
                               "\"stop_reason\":\"end_turn\",\"stop_sequence\":null,\"usage\":{\"input_tokens\":12,\"output_tokens\":25}}";
    g.json_n = (size_t)snprintf(g.json, sizeof(g.json), "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", sizeof(body) - 1, body);
    g.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (bind(g.listener, (struct sockaddr *)&in, sizeof(in)) < 0 || listen(g.listener, 4096) < 0 || getsockname(g.listener, (struct sockaddr *)&in, &n) < 0)
        exit(1);
    printf("%u\n", ntohs(in.sin_port));
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static struct conn listener, tick;
    bool tls = argc == 4 && strcmp(argv[1], "-t") == 0;
    if (argc != 1 && !tls) {
        fprintf(stderr, "usage: provider [-t CERT KEY]\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    start(tls ? argv[2] : NULL, tls ? argv[3] : NULL);
    g.epoll = epoll_create1(EPOLL_CLOEXEC);
    listener.fd = g.listener;
    tick.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct itimerspec each = {{0, TICK_MS * 1000000}, {0, TICK_MS * 1000000}};
    timerfd_settime(tick.fd, 0, &each, NULL);
    watch(&listener, EPOLL_CTL_ADD, EPOLLIN);
    watch(&tick, EPOLL_CTL_ADD, EPOLLIN);
    for (;;) {
        struct epoll_event ev[BATCH];
        int n = epoll_wait(g.epoll, ev, BATCH, -1);
        bool ticked = false; /* looked at last: it frees connections that may have an event in this batch */
        for (int i = 0; i < n; i++) {
            struct conn *c = ev[i].data.ptr;
            if (c == &listener)
                on_accept();
            else if (c == &tick)
                ticked = true;
            else if ((ev[i].events & EPOLLOUT && c->bulk && !pump_bulk(c)) || (ev[i].events & ~(uint32_t)EPOLLOUT && !c->gone && !on_bytes(c)))
                drop(c);
        }
        if (ticked)
            on_tick(tick.fd);
    }
}
