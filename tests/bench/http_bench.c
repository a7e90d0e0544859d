/*
 * Load on a server behind a Unix socket, from one process: N connections, each with one request in
 * flight, for some seconds; kept alive, or a new connection per request. Prints one line: requests,
 * good ones per second, p50 and p99, failures (anything but the expected status; the first one is
 * told on stderr), and with -p the CPU time of the server's processes per good request. libc only, so that it can run anywhere.
 *     http_bench -s broker.sock [-c 16] [-t 5] [-x] [-m POST] [-u /v1/leases] [-b '{"credential":"a"}']
 *                [-B BYTES] [-H 'Name: value']... [-e 200] [-p PID]... [-n 10 -k 10000]
 * -j: no HTTP, the body is the request and a JSON object with "status":"success" the reply (as of oidc-agent).
 * -n N -k K: #### in the body becomes 0, K, 2K … N times and from the start again, of the same width.
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

enum { MAX_CONNS = 4096, MAX_PIDS = 16, ROOM = 8192, BUCKETS = 1 << 20, NS_PER_BUCKET = 100 };

struct client {
    int fd;
    int64_t began;
    size_t have, want; /* want: 0 until the head is there */
    char text[ROOM];
};
struct bench {
    struct sockaddr_un addr;
    int conns, status, epoll;
    double seconds;
    int pids, pid[MAX_PIDS];
    bool each, json; /* a connection per request; bare JSON */
    char *request, headers[4096];
    size_t request_n;
    char *number; /* the #### in the request; NULL: none */
    int width;
    unsigned names, step, turn;
    uint64_t done, failed;
    uint32_t histogram[BUCKETS];
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

/* CPU time of the server's processes, all their threads, in µs. */
static double cpu_us(const struct bench *b)
{
    double sum = 0;
    for (int i = 0; i < b->pids; i++) {
        clockid_t clock;
        struct timespec t;
        if ((errno = clock_getcpuclockid(b->pid[i], &clock)) != 0 || clock_gettime(clock, &t) < 0)
            die("the CPU time of a server");
        sum += (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
    }
    return sum;
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

static void next_name(struct bench *b)
{
    char digits[16];
    if (!b->number)
        return;
    snprintf(digits, sizeof(digits), "%0*u", b->width, b->turn * b->step);
    memcpy(b->number, digits, (size_t)b->width);
    b->turn = (b->turn + 1) % b->names;
}

static void client_ask(struct bench *b, struct client *c)
{
    next_name(b);
    c->began = now_ns();
    c->have = c->want = 0;
    if (c->fd < 0)
        client_open(b, c);
    for (size_t at = 0; at < b->request_n;) {
        ssize_t n = send(c->fd, b->request + at, b->request_n - at, MSG_NOSIGNAL);
        if (n <= 0)
            die("send");
        at += (size_t)n;
    }
}

static void client_close(struct client *c)
{
    close(c->fd);
    c->fd = -1;
}

/* Bytes of the whole response once its head is there; 0 before. */
static size_t response_size(const struct bench *b, const struct client *c)
{
    if (b->json)
        return c->text[c->have - 1] == '}' ? c->have : 0;
    const char *end = strstr(c->text, "\r\n\r\n"),
               *length = strcasestr(c->text, "\r\ncontent-length:");
    if (!end)
        return 0;
    return (size_t)(end + 4 - c->text) +
           (length && length < end ? strtoul(length + 17, NULL, 10) : 0);
}

static bool is_good(const struct bench *b, const struct client *c)
{
    return b->json ? strstr(c->text, "\"status\":\"success\"") != NULL
                   : atoi(c->text + 9) == b->status;
}

static void client_done(struct bench *b, struct client *c, bool good)
{
    uint64_t n = (uint64_t)(now_ns() - c->began) / NS_PER_BUCKET;
    b->histogram[n < BUCKETS ? n : BUCKETS - 1]++;
    b->done++;
    if (!good && b->failed++ == 0)
        fprintf(stderr, "http_bench: the first failure: %s\n",
                c->have ? c->text : "the connection was closed");
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
        c->want = response_size(b, c);
    if (c->want > 0 && c->have >= c->want)
        client_done(b, c, is_good(b, c));
}

static double percentile_us(const struct bench *b, double p)
{
    uint64_t sum = 0, want = (uint64_t)((double)b->done * p);
    for (uint64_t i = 0; i < BUCKETS; i++)
        if ((sum += b->histogram[i]) > want)
            return (double)i * NS_PER_BUCKET / 1e3;
    return (double)BUCKETS * NS_PER_BUCKET / 1e3;
}

static void run(struct bench *b)
{
    struct epoll_event ev[256];
    double cpu = cpu_us(b);
    int64_t start = now_ns(), end = start + (int64_t)(b->seconds * 1e9);
    for (int i = 0; i < b->conns; i++) {
        b->client[i].fd = -1;
        client_ask(b, &b->client[i]);
    }
    while (now_ns() < end) {
        int n = epoll_wait(b->epoll, ev, 256, 1000);
        for (int i = 0; i < n; i++)
            client_read(b, ev[i].data.ptr);
    }
    double s = (double)(now_ns() - start) / 1e9, good = (double)(b->done - b->failed);
    printf("%s c=%d requests=%llu rps=%.0f p50_us=%.1f p99_us=%.1f failed=%llu",
           b->each ? "connect" : "keepalive", b->conns, (unsigned long long)b->done, good / s,
           percentile_us(b, 0.5), percentile_us(b, 0.99), (unsigned long long)b->failed);
    if (b->pids)
        printf(" cpu_us=%.2f", (cpu_us(b) - cpu) / (good > 0 ? good : 1));
    printf("\n");
}

static void build_request(struct bench *b, const char *method, const char *target, const char *body)
{
    size_t n = strlen(body), room = n + strlen(target) + sizeof(b->headers) + 256;
    b->request = malloc(room);
    int k = !b->request ? -1
            : b->json   ? snprintf(b->request, room, "%s", body)
            : n         ? snprintf(b->request, room,
                                   "%s %s HTTP/1.1\r\nHost: localhost\r\n%sContent-Type: "
                                           "application/json\r\nContent-Length: %zu\r\n\r\n%s",
                                   method, target, b->headers, n, body)
                        : snprintf(b->request, room, "%s %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n",
                                   method, target, b->headers);
    if (k < 0)
        die("the request");
    b->request_n = (size_t)k;
    b->number = b->names ? strchr(b->request, '#') : NULL;
    b->width = b->number ? (int)strspn(b->number, "#") : 0;
}

struct ask {
    const char *path, *method, *target, *body;
    char *made; /* a body of -B bytes */
};

static bool option(struct bench *b, struct ask *a, int o)
{
    size_t used;
    switch (o) {
    case 's':
        a->path = optarg;
        return strlen(optarg) < sizeof(b->addr.sun_path);
    case 'm':
        a->method = optarg;
        return true;
    case 'u':
        a->target = optarg;
        return true;
    case 'b':
        a->body = optarg;
        return true;
    case 'c':
        b->conns = atoi(optarg);
        return b->conns >= 1 && b->conns <= MAX_CONNS;
    case 't':
        b->seconds = strtod(optarg, NULL);
        return b->seconds > 0;
    case 'x':
        b->each = true;
        return true;
    case 'j':
        b->json = true;
        return true;
    case 'e':
        b->status = atoi(optarg);
        return true;
    case 'n':
        b->names = (unsigned)atoi(optarg);
        return b->names > 0;
    case 'k':
        b->step = (unsigned)atoi(optarg);
        return true;
    case 'H':
        used = strlen(b->headers);
        return snprintf(b->headers + used, sizeof(b->headers) - used, "%s\r\n", optarg) > 0;
    case 'B':
        free(a->made);
        a->made = calloc(1, (size_t)atoi(optarg) + 1);
        a->body = a->made ? memset(a->made, 'x', (size_t)atoi(optarg)) : "";
        return a->made != NULL;
    case 'p':
        return b->pids < MAX_PIDS && (b->pid[b->pids++] = atoi(optarg)) > 0;
    default:
        return false;
    }
}

int main(int argc, char **argv)
{
    static struct bench b = {
        .conns = 16, .seconds = 5, .status = 200, .step = 1, .addr.sun_family = AF_UNIX};
    struct ask a = {NULL, "GET", "/v1/whoami", "", NULL};
    bool good = true;
    for (int o; good && (o = getopt(argc, argv, "s:c:t:xjm:u:b:B:H:e:p:n:k:")) != -1;)
        good = option(&b, &a, o);
    if (!good || !a.path) {
        fprintf(stderr, "usage: http_bench -s SOCKET [-c N] [-t S] [-x] [-j] [-m METHOD] [-u "
                        "TARGET] [-b BODY | -B BYTES] [-H HEADER]... [-e STATUS] "
                        "[-p PID]... [-n N -k K]\n");
        return 2;
    }
    memcpy(b.addr.sun_path, a.path, strlen(a.path) + 1);
    build_request(&b, a.method, a.target, a.body);
    b.epoll = epoll_create1(EPOLL_CLOEXEC);
    b.client = calloc((size_t)b.conns, sizeof(*b.client));
    if (b.epoll < 0 || !b.client)
        die("start");
    run(&b);
    return b.failed ? 1 : 0;
}
