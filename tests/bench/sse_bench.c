/*
 * Opens N event streams through a Unix socket at once and measures, over S seconds once all run: events, the delay of each against the time that
 * stands in it (p50, p99), and with -p what the servers cost: CPU time per event, and resident memory per stream (what they grew by).
 *     sse_bench -s SOCKET -c N -t S [-e EVERY_MS] [-H 'Name: value']... [-p PID]... [-m KB]
 * -m: what the servers had before their first stream; else what they have now.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { MAX_PIDS = 16, BUCKETS = 1 << 20, NS_PER_BUCKET = 100, ROOM = 65536 };

static struct {
    struct sockaddr_un addr;
    int conns, every, pids, pid[MAX_PIDS], epoll;
    double seconds, before_kb;
    char headers[4096];
    uint64_t events, failed;
    uint32_t histogram[BUCKETS];
} b = {.conns = 500, .every = 100, .seconds = 5};

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void die(const char *what)
{
    fprintf(stderr, "sse_bench: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double cpu_us(void)
{
    double sum = 0;
    for (int i = 0; i < b.pids; i++) {
        clockid_t clock;
        struct timespec t;
        if ((errno = clock_getcpuclockid(b.pid[i], &clock)) != 0 || clock_gettime(clock, &t) < 0)
            die("the CPU time of a server");
        sum += (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
    }
    return sum;
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

static void open_stream(void)
{
    char request[8192];
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&b.addr, sizeof(b.addr)) < 0)
        die("connect");
    int n = snprintf(request, sizeof(request), "GET /sse?n=1000000&every=%d HTTP/1.1\r\nHost: localhost\r\n%s\r\n", b.every, b.headers);
    if (send(fd, request, (size_t)n, MSG_NOSIGNAL) != n)
        die("send");
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(b.epoll, EPOLL_CTL_ADD, fd, &ev) < 0)
        die("epoll_ctl");
}

/* Events of one read: "at":NS in each. */
static unsigned on_read(int fd, bool count)
{
    static char text[ROOM + 1];
    unsigned found = 0;
    ssize_t n = recv(fd, text, ROOM, MSG_DONTWAIT);
    if (n <= 0) {
        if (b.failed++ == 0)
            fprintf(stderr, "sse_bench: a stream ended\n");
        close(fd);
        return 0;
    }
    text[n] = '\0';
    int64_t now = now_ns();
    for (char *at = text; (at = strstr(at, "\"at\":")) != NULL; found++) {
        int64_t delay = now - strtoll(at += 5, NULL, 10);
        uint64_t bucket = delay < 0 ? 0 : (uint64_t)delay / NS_PER_BUCKET;
        if (count)
            b.histogram[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
    }
    return found;
}

static unsigned turn(bool count)
{
    struct epoll_event ev[256];
    unsigned found = 0;
    int n = epoll_wait(b.epoll, ev, 256, 100);
    for (int i = 0; i < n; i++)
        found += on_read(ev[i].data.fd, count);
    return found;
}

static double percentile_us(double p)
{
    uint64_t sum = 0, want = (uint64_t)((double)b.events * p);
    for (uint64_t i = 0; i < BUCKETS; i++)
        if ((sum += b.histogram[i]) > want)
            return (double)i * NS_PER_BUCKET / 1e3;
    return (double)BUCKETS * NS_PER_BUCKET / 1e3;
}

static bool option(int o)
{
    size_t n = strlen(b.headers);
    switch (o) {
    case 's':
        b.addr.sun_family = AF_UNIX;
        return strlen(optarg) < sizeof(b.addr.sun_path) && strcpy(b.addr.sun_path, optarg);
    case 'c':
        return (b.conns = atoi(optarg)) > 0;
    case 't':
        return (b.seconds = strtod(optarg, NULL)) > 0;
    case 'e':
        return (b.every = atoi(optarg)) > 0;
    case 'H':
        return snprintf(b.headers + n, sizeof(b.headers) - n, "%s\r\n", optarg) > 0;
    case 'm':
        return (b.before_kb = strtod(optarg, NULL)) > 0;
    case 'p':
        return b.pids < MAX_PIDS && (b.pid[b.pids++] = atoi(optarg)) > 0;
    default:
        return false;
    }
}

int main(int argc, char **argv)
{
    struct rlimit files = {65536, 65536};
    bool good = true;
    for (int o; good && (o = getopt(argc, argv, "s:c:t:e:H:p:m:")) != -1;)
        good = option(o);
    if (!good || !b.addr.sun_path[0]) {
        fprintf(stderr, "usage: sse_bench -s SOCKET [-c N] [-t S] [-e EVERY_MS] [-H HEADER]... [-p PID]...\n");
        return 2;
    }
    (void)setrlimit(RLIMIT_NOFILE, &files);
    b.epoll = epoll_create1(EPOLL_CLOEXEC);
    double rss = b.before_kb > 0 ? b.before_kb : rss_kb();
    for (int i = 0; i < b.conns; i++) {
        open_stream();
        for (int k = 0; i % 50 == 49 && k < 4; k++)
            (void)turn(false);
    }
    for (int64_t until = now_ns() + 2000000000; now_ns() < until;)
        (void)turn(false);
    rss = rss_kb() - rss;
    double cpu = cpu_us();
    int64_t start = now_ns(), until = start + (int64_t)(b.seconds * 1e9);
    while (now_ns() < until)
        b.events += turn(true);
    double events = b.events ? (double)b.events : 1;
    printf("sse c=%d events=%llu rate=%.0f p50_us=%.1f p99_us=%.1f failed=%llu", b.conns, (unsigned long long)b.events,
           events / ((double)(now_ns() - start) / 1e9), percentile_us(0.5), percentile_us(0.99), (unsigned long long)b.failed);
    if (b.pids)
        printf(" cpu_us=%.2f kb_per_stream=%.2f", (cpu_us() - cpu) / events, rss / b.conns);
    printf("\n");
    return b.failed ? 1 : 0;
}
