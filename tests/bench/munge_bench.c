/*
 * Load on munged: N processes that call munge_encode in turn for some seconds (libmunge connects for each call). Prints what http_bench
 * prints, without the latencies.     munge_bench SOCKET CLIENTS SECONDS PID
 */
#include <errno.h>
#include <munge.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CLIENTS = 256 };

struct count {
    uint64_t done, failed;
    uint64_t pad[6]; /* a cache line each */
};

static double now_s(clockid_t clock)
{
    struct timespec t = {0};
    (void)clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int client(const char *sock, double end, struct count *count)
{
    munge_ctx_t ctx = munge_ctx_create();
    if (!ctx || munge_ctx_set(ctx, MUNGE_OPT_SOCKET, sock) != EMUNGE_SUCCESS)
        return 1;
    while (now_s(CLOCK_MONOTONIC) < end) {
        char *credential = NULL;
        if (munge_encode(&credential, ctx, NULL, 0) == EMUNGE_SUCCESS)
            count->done++;
        else
            count->failed++;
        free(credential);
    }
    munge_ctx_destroy(ctx);
    return 0;
}

int main(int argc, char **argv)
{
    int clients = argc == 5 ? atoi(argv[2]) : 0;
    clockid_t clock;
    if (clients < 1 || clients > MAX_CLIENTS || clock_getcpuclockid(atoi(argv[4]), &clock) != 0) {
        fprintf(stderr, "usage: munge_bench SOCKET CLIENTS SECONDS PID\n");
        return 2;
    }
    struct count *counts = mmap(NULL, sizeof(*counts) * MAX_CLIENTS, PROT_READ | PROT_WRITE,
                                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (counts == MAP_FAILED)
        return 1;
    double cpu = now_s(clock), start = now_s(CLOCK_MONOTONIC), end = start + strtod(argv[3], NULL);
    for (int i = 0; i < clients; i++) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(client(argv[1], end, &counts[i]));
        if (pid < 0)
            return 1;
    }
    int bad = 0;
    for (int i = 0, status; i < clients; i++)
        bad |= wait(&status) < 0 || status != 0;
    struct count all = {0};
    for (int i = 0; i < clients; i++) {
        all.done += counts[i].done;
        all.failed += counts[i].failed;
    }
    double s = now_s(CLOCK_MONOTONIC) - start, each = (double)(all.done ? all.done : 1);
    printf("munge_encode c=%d requests=%llu rps=%.0f failed=%llu cpu_us=%.2f\n", clients,
           (unsigned long long)all.done, (double)all.done / s, (unsigned long long)all.failed,
           (now_s(clock) - cpu) * 1e6 / each);
    return bad || all.failed || !all.done;
}
