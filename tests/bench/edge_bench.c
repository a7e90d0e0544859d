/*
 * Two edges of a relay, through a Unix socket:
 *     edge_bench gone  -s SOCKET [-H 'Name: value']... [-n N]        N times: a stream runs, its client closes; how long until the upstream has
 *                                                                  seen that (the provider of the benchmark tells; the same clock)
 *     edge_bench stall -s SOCKET [-H 'Name: value']... -p PID...     60 MB to a reader that does not read for 2 s: what the servers grew by
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { MAX_PIDS = 16, MAX_TIMES = 1000 };
static struct {
    struct sockaddr_un addr;
    int pids, pid[MAX_PIDS], times;
    char headers[4096];
    double us[MAX_TIMES];
} b = {.times = 50};

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void die(const char *what)
{
    fprintf(stderr, "edge_bench: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int ask(const char *target)
{
    char request[8192];
    struct timeval patience = {5, 0};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&b.addr, sizeof(b.addr)) < 0)
        die("connect");
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    int n = snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", target, b.headers);
    if (send(fd, request, (size_t)n, MSG_NOSIGNAL) != n)
        die("send");
    return fd;
}

/* Reads until `want` is there; what follows it as a number. */
static int64_t await(int fd, const char *want)
{
    char text[65536];
    size_t have = 0;
    for (;;) {
        ssize_t n = recv(fd, text + have, sizeof(text) - 1 - have, 0);
        if (n <= 0)
            die("the answer");
        text[have += (size_t)n] = '\0';
        char *at = strstr(text, want);
        if (at && strchr(at, '}'))
            return strtoll(at + strlen(want), NULL, 10);
    }
}

static int by_size(const void *a, const void *c)
{
    double x = *(const double *)a, y = *(const double *)c;
    return (x > y) - (x < y);
}

static void gone(void)
{
    for (int i = 0; i < b.times; i++) {
        int fd = ask("/sse?n=1000000&every=10");
        (void)await(fd, "\"at\":");
        int64_t from = now_ns();
        close(fd);
        usleep(60000);
        fd = ask("/gone");
        int64_t at = await(fd, "\"at\":");
        close(fd);
        if (at < from) { /* not seen in 60 ms */
            fprintf(stderr, "edge_bench: the upstream did not see the end\n");
            exit(1);
        }
        b.us[i] = (double)(at - from) / 1e3;
    }
    qsort(b.us, (size_t)b.times, sizeof(b.us[0]), by_size);
    printf("gone n=%d p50_us=%.1f p99_us=%.1f\n", b.times, b.us[b.times / 2], b.us[b.times * 99 / 100]);
}

static double rss_kb(void)
{
    double sum = 0;
    for (int i = 0; i < b.pids; i++) {
        char path[64], line[256];
        snprintf(path, sizeof(path), "/proc/%d/status", b.pid[i]);
        FILE *f = fopen(path, "r");
        while (f && fgets(line, sizeof(line), f))
            if (strncmp(line, "VmRSS:", 6) == 0)
                sum += strtod(line + 6, NULL);
        if (f)
            fclose(f);
    }
    return sum;
}

static void stall(void)
{
    static char sink[1 << 16];
    uint64_t got = 0;
    double before = rss_kb();
    int fd = ask("/bulk?bytes=60000000");
    usleep(2000000);
    double grown = rss_kb() - before;
    for (ssize_t n; got < 60000000 && (n = recv(fd, sink, sizeof(sink), 0)) > 0;)
        got += (uint64_t)n;
    close(fd);
    printf("stall grown_kb=%.0f bytes=%llu\n", grown, (unsigned long long)got);
    if (got < 60000000)
        exit(1);
}

int main(int argc, char **argv)
{
    bool is_gone = argc > 1 && strcmp(argv[1], "gone") == 0, good = is_gone || (argc > 1 && strcmp(argv[1], "stall") == 0);
    for (int o; good && (o = getopt(argc - 1, argv + 1, "s:H:n:p:")) != -1;) {
        size_t n = strlen(b.headers);
        if (o == 's' && strlen(optarg) < sizeof(b.addr.sun_path))
            strcpy(b.addr.sun_path, optarg);
        else if (o == 'H')
            snprintf(b.headers + n, sizeof(b.headers) - n, "%s\r\n", optarg);
        else if (o == 'n')
            b.times = atoi(optarg);
        else if (o == 'p' && b.pids < MAX_PIDS)
            b.pid[b.pids++] = atoi(optarg);
        else
            good = false;
    }
    b.addr.sun_family = AF_UNIX;
    if (!good || !b.addr.sun_path[0] || b.times < 1 || b.times > MAX_TIMES) {
        fprintf(stderr, "usage: edge_bench gone|stall -s SOCKET [-H HEADER]... [-n N] [-p PID]...\n");
        return 2;
    }
    if (is_gone)
        gone();
    else
        stall();
    return 0;
}
