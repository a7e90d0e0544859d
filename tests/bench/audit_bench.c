/*
 * What a record costs: the vault's time per append (format, chain, ring), and durable records per second when 1, 16 or 64 are waited
 * for together, beside the bare floor (append + fdatasync of the same bytes by one process). Run on the disk that matters:
 *     audit_bench [directory]
 */
#include "base/auto.h"
#include "base/ipc.h"
#include "base/loop.h"
#include "vault/audit.h"
#include "vault/peer.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

enum { APPENDS = 200000, ROUNDS = 2000 };

struct bench {
    struct loop *loop;
    struct sink *sink;
    struct audit *audit;
    struct why why;
    bool journal;                /* a lease entry goes with each record */
    unsigned batch, rounds;
    uint64_t pos;
    double begun, took[ROUNDS];
};

static double now_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static double cpu_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void must(err_t e, const struct why *why)
{
    if (e == ERR_OK)
        return;
    fprintf(stderr, "audit_bench: %s\n", why->text);
    exit(1);
}

static void append(struct bench *b)
{
    static const uint8_t entry[180];
    struct peer peer = {.uid = 1000, .gid = 1000, .pid = 4711, .pidfd = -1, .exe = "/usr/local/bin/claude"};
    struct audit_record r = {.event = AUDIT_LEASE_ISSUE, .consumer = "gateway", .credential = "claude", .provider = "claude",
                             .delivery = "access_token", .lease = "00112233445566778899aabbccddeeff", .peer = &peer, .ttl_ms = 900000};
    must(audit_append(b->audit, &r, &b->pos, &b->why), &b->why);
    if (b->journal)
        must(sink_append(b->sink, SINK_JOURNAL, VIEW(entry, sizeof(entry)), &b->pos, &b->why), &b->why);
}

static void turn(struct bench *b)
{
    b->begun = now_us();
    for (unsigned i = 0; i < b->batch; i++)
        append(b);
    sink_flush(b->sink, true);
}

static void on_progress(void *ctx)
{
    struct bench *b = ctx;
    if (b->rounds == ROUNDS || sink_durable(b->sink) < b->pos)
        return;
    b->took[b->rounds++] = now_us() - b->begun;
    if (b->rounds == ROUNDS)
        loop_stop(b->loop, 0);
    else
        turn(b);
}

static void durable(struct bench *b, unsigned batch, bool journal)
{
    b->batch = batch;
    b->journal = journal;
    b->rounds = 0;
    double begun = now_us();
    turn(b);
    (void)loop_run(b->loop);
    double all = now_us() - begun;
    qsort(b->took, ROUNDS, sizeof(b->took[0]), by_value);
    printf("durable, %2u at once%s  %9.0f records/s   wait p50 %5.0f us  p99 %5.0f us\n", batch,
           journal ? " + journal" : "          ", ROUNDS * batch / all * 1e6, b->took[ROUNDS / 2], b->took[ROUNDS * 99 / 100]);
}

/* The vault's own CPU time: room in the ring is waited for outside the clock. */
static void appends(struct bench *b)
{
    double spent = 0;
    for (unsigned i = 0; i < APPENDS; i += 1000) {
        double begun = cpu_us();
        for (unsigned k = 0; k < 1000; k++)
            append(b);
        spent += cpu_us() - begun;
        must(sink_settle(b->sink, 5000, &b->why), &b->why);
    }
    printf("append, checkpoints included       %9.2f us CPU\n", spent / APPENDS);
}

static void floor_of(int dirfd)
{
    static double took[ROUNDS];
    static const char line[420];
    AUTO(auto_close) int fd = openat(dirfd, "floor", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    for (unsigned i = 0; i < ROUNDS; i++) {
        double begun = now_us();
        if (pwrite(fd, line, sizeof(line), (off_t)(i * sizeof(line))) < 0 || fdatasync(fd) != 0)
            perror("floor");
        took[i] = now_us() - begun;
    }
    qsort(took, ROUNDS, sizeof(took[0]), by_value);
    printf("floor: pwrite + fdatasync         %9.0f records/s   wait p50 %5.0f us  p99 %5.0f us\n", 1e6 / took[ROUNDS / 2],
           took[ROUNDS / 2], took[ROUNDS * 99 / 100]);
}

static void clean(const char *dir, int dirfd)
{
    DIR *d = fdopendir(dirfd);
    for (struct dirent *e; d && (e = readdir(d)) != NULL;)
        (void)unlinkat(dirfd, e->d_name, 0);
    (void)closedir(d);
    (void)rmdir(dir);
}

static void bench(struct bench *b, int dirfd, int sock)
{
    static const uint8_t key[32] = {1}, id[16] = {2};
    must(secret_pool_open(1 << 20, &b->why), &b->why);
    struct secret *seal = secret_from(key, sizeof(key));
    must(loop_new(&b->loop, &b->why), &b->why);
    must(sink_new(b->loop, sock, on_progress, b, &b->sink, &b->why), &b->why);
    struct audit_env env = {.dirfd = dirfd, .sink = b->sink, .seal_key = seal, .redact_key = seal, .store_id = id,
                            .max_bytes = 64 << 20};
    must(audit_create(&env, &b->audit, &b->why), &b->why);
    must(sink_roll(b->sink, SINK_JOURNAL, "leases-000001.journal", &b->why), &b->why);
    b->rounds = ROUNDS;
    appends(b);
    floor_of(dirfd);
    static const unsigned batches[] = {1, 16, 64, 256};
    for (size_t i = 0; i < COUNT(batches); i++)
        for (int journal = 0; journal < 2; journal++)
            durable(b, batches[i], journal);
    audit_close(b->audit);
    sink_free(b->sink);
    loop_free(b->loop);
    secret_free(seal);
}

int main(int argc, char **argv)
{
    static struct bench b;
    char dir[256];
    int pair[2];
    (void)snprintf(dir, sizeof(dir), "%s/audit-bench-XXXXXX", argc > 1 ? argv[1] : "/tmp");
    int dirfd = mkdtemp(dir) ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (dirfd < 0) {
        perror(dir);
        return 1;
    }
    must(ipc_pair(pair, &b.why), &b.why);
    pid_t pid = fork();
    if (pid == 0) {
        close(pair[0]);
        _exit(sink_writer_main(pair[1], dirfd));
    }
    close(pair[1]);
    bench(&b, dirfd, pair[0]);
    (void)waitpid(pid, NULL, 0);
    clean(dir, dirfd);
    return 0;
}
