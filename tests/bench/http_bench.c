/*
 * Load on an HTTP/1.1 server behind a Unix socket, from one process: N connections, each with one
 * request in flight, for S seconds; either kept alive or a new connection per request. Prints one
 * line: requests, req/s, p50 and p99 in µs, failures (anything but the expected status), and with
 * -p the server's CPU time per request. libc only, so that it can run anywhere. http_bench -s
 * broker.sock [-c 16] [-t 5] [-x] [-m POST] [-u /v1/leases] [-b '{"credential":"a"}'] [-e 200] [-p
 * PID]
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CONNS = 4096, ROOM = 8192, BUCKETS = 65536, NS_PER_BUCKET = 1000 };

struct client {
    int fd;
    int64_t began;
    size_t have, want; /* want: 0 until the head is there */
    char text[ROOM];
};
struct bench {
    struct sockaddr_un addr;
    int conns, seconds, status, pid, epoll;
    bool each; /* a connection per request */
    char request[4096];
    size_t request_n;
    uint64_t done, failed;
    uint32_t histogram[BUCKETS]; /* µs */
    struct client *client;
};

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void die(const char *what)
{
    fprintf(stderr, "http_bench: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* User and system time of a process in µs, from /proc/PID/stat (clock ticks: coarse, hence runs of
 * seconds). */
static double cpu_us(int pid)
{
    char path[64], line[1024];
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    FILE *f = fopen(path, "r");
    if (!f || !fgets(line, sizeof(line), f))
        die(path);
    fclose(f);
    unsigned long user = 0, kernel = 0;
    char *p = strrchr(line, ')');
    if (!p ||
        sscanf(p + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &kernel) != 2)
        die(path);
    return (double)(user + kernel) * 1e6 / (double)sysconf(_SC_CLK_TCK);
}

static void client_open(struct bench *b, struct client *c)
{
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&b->addr, sizeof(b->addr)) < 0)
        die("connect");
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(b->epoll, EPOLL_CTL_ADD, c->fd, &ev) < 0)
        die("epoll_ctl");
}

static void client_ask(struct bench *b, struct client *c)
{
    c->began = now_ns();
    c->have = c->want = 0;
    if (c->fd < 0)
        client_open(b, c);
    if (send(c->fd, b->request, b->request_n, MSG_NOSIGNAL) != (ssize_t)b->request_n)
        die("send");
}

static void client_close(struct client *c)
{
    close(c->fd);
    c->fd = -1;
}

/* Bytes of the whole response once its head is there; 0 before. */
static size_t response_size(const char *text)
{
    const char *end = strstr(text, "\r\n\r\n"), *length = strcasestr(text, "\r\ncontent-length:");
    if (!end)
        return 0;
    return (size_t)(end + 4 - text) + (length && length < end ? strtoul(length + 17, NULL, 10) : 0);
}

static void client_done(struct bench *b, struct client *c, bool good)
{
    uint64_t us = (uint64_t)(now_ns() - c->began) / NS_PER_BUCKET;
    b->histogram[us < BUCKETS ? us : BUCKETS - 1]++;
    b->done++;
    b->failed += !good;
    if (b->each || !good)
        client_close(c);
    client_ask(b, c);
}

static void client_read(struct bench *b, struct client *c)
{
    ssize_t n = recv(c->fd, c->text + c->have, ROOM - 1 - c->have, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        client_done(b, c, false);
        return;
    }
    c->have += (size_t)n;
    c->text[c->have] = '\0';
    if (c->want == 0)
        c->want = response_size(c->text);
    if (c->want > 0 && c->have >= c->want)
        client_done(b, c, atoi(c->text + 9) == b->status);
}

static uint64_t percentile(const struct bench *b, double p)
{
    uint64_t sum = 0, want = (uint64_t)((double)b->done * p);
    for (uint64_t us = 0; us < BUCKETS; us++)
        if ((sum += b->histogram[us]) > want)
            return us;
    return BUCKETS;
}

static void run(struct bench *b)
{
    struct epoll_event ev[256];
    double cpu = b->pid ? cpu_us(b->pid) : 0;
    int64_t start = now_ns(), end = start + b->seconds * 1000000000LL;
    for (int i = 0; i < b->conns; i++) {
        b->client[i].fd = -1;
        client_ask(b, &b->client[i]);
    }
    while (now_ns() < end) {
        int n = epoll_wait(b->epoll, ev, 256, 1000);
        for (int i = 0; i < n; i++)
            client_read(b, ev[i].data.ptr);
    }
    double s = (double)(now_ns() - start) / 1e9;
    printf("%s c=%d requests=%llu req/s=%.0f p50_us=%llu p99_us=%llu failed=%llu",
           b->each ? "connect" : "keepalive", b->conns, (unsigned long long)b->done,
           (double)b->done / s, (unsigned long long)percentile(b, 0.5),
           (unsigned long long)percentile(b, 0.99), (unsigned long long)b->failed);
    if (b->pid)
        printf(" cpu_us=%.1f", (cpu_us(b->pid) - cpu) / (double)(b->done ? b->done : 1));
    printf("\n");
}

static void build_request(struct bench *b, const char *method, const char *target, const char *body)
{
    size_t n = strlen(body);
    int k = n ? snprintf(b->request, sizeof(b->request),
                         "%s %s HTTP/1.1\r\nHost: b\r\nContent-Type: "
                         "application/json\r\nContent-Length: %zu\r\n\r\n%s",
                         method, target, n, body)
              : snprintf(b->request, sizeof(b->request), "%s %s HTTP/1.1\r\nHost: b\r\n\r\n",
                         method, target);
    b->request_n = (size_t)k;
    if (k < 0 || b->request_n >= sizeof(b->request)) {
        fprintf(stderr, "http_bench: the request is too long\n");
        exit(2);
    }
}

int main(int argc, char **argv)
{
    static struct bench b = {.conns = 16, .seconds = 5, .status = 200, .addr.sun_family = AF_UNIX};
    const char *path = NULL, *method = "GET", *target = "/v1/whoami", *body = "";
    for (int o; (o = getopt(argc, argv, "s:c:t:xm:u:b:e:p:")) != -1;) {
        switch (o) {
        case 's':
            path = optarg;
            break;
        case 'c':
            b.conns = atoi(optarg);
            break;
        case 't':
            b.seconds = atoi(optarg);
            break;
        case 'x':
            b.each = true;
            break;
        case 'm':
            method = optarg;
            break;
        case 'u':
            target = optarg;
            break;
        case 'b':
            body = optarg;
            break;
        case 'e':
            b.status = atoi(optarg);
            break;
        case 'p':
            b.pid = atoi(optarg);
            break;
        default:
            return 2;
        }
    }
    if (!path || strlen(path) >= sizeof(b.addr.sun_path) || b.conns < 1 || b.conns > MAX_CONNS) {
        fprintf(stderr, "usage: http_bench -s SOCKET [-c N] [-t S] [-x] [-m METHOD] [-u TARGET] "
                        "[-b BODY] [-e STATUS] [-p PID]\n");
        return 2;
    }
    memcpy(b.addr.sun_path, path, strlen(path) + 1);
    build_request(&b, method, target, body);
    b.epoll = epoll_create1(EPOLL_CLOEXEC);
    b.client = calloc((size_t)b.conns, sizeof(*b.client));
    if (b.epoll < 0 || !b.client)
        die("start");
    run(&b);
    return b.failed ? 1 : 0;
}
