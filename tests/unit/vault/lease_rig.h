/*
 * A rig for the leases' tests: a sink that writes the journal's segments at once and can be made to fail, a clock that can be moved,
 * a loop that can be turned by hand, and the calls that most tests make.
 */
#ifndef TESTS_LEASE_RIG_H
#define TESTS_LEASE_RIG_H

#include "check.h"

#include "base/auto.h"
#include "base/clock.h"
#include "vault/lease_journal.h"
#include "vault/lease_keeper.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

static struct why why;

/* ---- clock: the real one, moved */

static struct {
    int64_t boot, wall; /* ms to add */
    uint8_t id;
} moved = {.id = 1};

static int64_t real_ms(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t clock_boot_ms(void)
{
    return real_ms(CLOCK_BOOTTIME) + moved.boot;
}

int64_t clock_wall_ms(void)
{
    return real_ms(CLOCK_REALTIME) + moved.wall;
}

void clock_boot_id(uint8_t out[16])
{
    memset(out, moved.id, 16);
}

static inline void pass_ms(int64_t ms)
{
    moved.boot += ms;
    moved.wall += ms;
}

/* ---- sink */

static struct {
    int dirfd, fd;
    uint64_t pos, durable_lag;
    unsigned appends, rolls;
    int fail_after; /* appends and rolls that still work; -1: all */
    bool discard;
    char name[64];
} tape = {.dirfd = -1, .fd = -1, .fail_after = -1};

static bool tape_fails(void)
{
    if (tape.fail_after == 0)
        return true;
    if (tape.fail_after > 0)
        tape.fail_after--;
    return false;
}

err_t sink_append(struct sink *s, enum sink_stream stream, struct view bytes, uint64_t *pos, struct why *w)
{
    (void)s;
    if (tape_fails())
        return fail(w, ERR_AUDIT, "the tape fails");
    if (stream != SINK_JOURNAL || bytes.n > SINK_RECORD_MAX || (!tape.discard && tape.fd < 0))
        abort();
    if (!tape.discard && write(tape.fd, bytes.p, bytes.n) != (ssize_t)bytes.n)
        abort();
    tape.appends++;
    tape.pos += bytes.n;
    *pos = tape.pos;
    return ERR_OK;
}

err_t sink_remove(struct sink *s, const char *name, struct why *w)
{
    (void)s;
    if (tape_fails())
        return fail(w, ERR_AUDIT, "the tape fails");
    if (unlinkat(tape.dirfd, name, 0) != 0)
        abort();
    return ERR_OK;
}

err_t sink_roll(struct sink *s, enum sink_stream stream, const char *name, struct why *w)
{
    (void)s;
    if (tape_fails())
        return fail(w, ERR_AUDIT, "the tape fails");
    if (stream != SINK_ROLL_JOURNAL)
        abort();
    if (tape.fd >= 0)
        close(tape.fd);
    tape.fd = openat(tape.dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (tape.fd < 0)
        abort();
    snprintf(tape.name, sizeof(tape.name), "%s", name);
    tape.rolls++;
    return ERR_OK;
}

uint64_t sink_durable(const struct sink *s)
{
    (void)s;
    return tape.pos - (tape.durable_lag < tape.pos ? tape.durable_lag : tape.pos);
}

uint64_t sink_head(const struct sink *s)
{
    (void)s;
    return tape.pos;
}

err_t sink_close(struct sink *s, enum sink_stream stream, struct why *w)
{
    (void)s, (void)w;
    if (stream != SINK_JOURNAL)
        abort();
    if (tape.fd >= 0)
        close(tape.fd);
    tape.fd = -1;
    return ERR_OK;
}

err_t sink_settle(struct sink *s, int ms, struct why *w)
{
    (void)s, (void)ms, (void)w;
    return ERR_OK;
}

/* ---- rig */

enum { ENDS_MAX = 256 };
static struct {
    char dir[64];
    struct loop *loop;
    struct loop_fd *spin;
    int spin_fd, turns;
    struct secret *key;
    struct leases *ls;
    unsigned ends, stops; /* stops: told of each end, explicit ones too, while the lease is still whole */
    enum lease_end last_stop;
    enum lease_end how[ENDS_MAX];
    char ended[ENDS_MAX][33];
} rig;

static inline void on_end(void *ctx, const struct lease *l, enum lease_end how)
{
    if (ctx != &rig || lease_by_id(rig.ls, l->id))
        abort(); /* is not found any more */
    if (rig.ends < ENDS_MAX) {
        rig.how[rig.ends] = how;
        memcpy(rig.ended[rig.ends], l->id_hex, 33);
    }
    rig.ends++;
}

static inline void on_stop(void *ctx, struct lease *l, enum lease_end how)
{
    if (ctx != &rig || strlen(l->id_hex) != 32 || lease_by_id(rig.ls, l->id))
        abort();
    rig.stops++;
    rig.last_stop = how;
}

static void on_spin(void *ctx, int fd, uint32_t events)
{
    (void)ctx, (void)fd, (void)events;
}

static void on_turn(void *ctx)
{
    (void)ctx;
    if (rig.ls)
        leases_turn_end(rig.ls);
    if (rig.turns > 0 && --rig.turns == 0)
        loop_stop(rig.loop, 0);
}

/* Turns the loop without waiting. */
static inline void spin(int turns)
{
    uint64_t one = 1;
    rig.turns = turns;
    if (write(rig.spin_fd, &one, sizeof(one)) != sizeof(one))
        abort();
    (void)loop_run(rig.loop);
    if (read(rig.spin_fd, &one, sizeof(one)) != sizeof(one))
        abort();
}

static inline struct leases_env rig_env(void)
{
    return (struct leases_env){.loop = rig.loop, .dirfd = tape.dirfd, .journal_key = rig.key, .on_end = on_end, .on_stop = on_stop, .ctx = &rig};
}

static inline err_t rig_open(void)
{
    struct leases_env env = rig_env();
    return leases_open(&env, &rig.ls, &why);
}

static inline void rig_empty_dir(void)
{
    DIR *d = opendir(rig.dir);
    for (struct dirent *e; d && (e = readdir(d));)
        unlinkat(dirfd(d), e->d_name, 0);
    closedir(d);
}

static void rig_down(void)
{
    leases_close(rig.ls);
    rig.ls = NULL;
    loop_unwatch(rig.spin);
    loop_free(rig.loop);
    secret_free(rig.key);
    rig_empty_dir();
    rmdir(rig.dir);
    close(rig.spin_fd);
    if (tape.fd >= 0)
        close(tape.fd);
    close(tape.dirfd);
    secret_pool_close();
}

/* Everything but open leases; what an earlier, failed test left is taken down first. */
static inline void rig_up(void)
{
    uint8_t k[32] = {7};
    if (rig.loop)
        rig_down();
    memset(&rig, 0, sizeof(rig));
    memset(&moved, 0, sizeof(moved));
    memset(&tape, 0, sizeof(tape));
    moved.id = 1;
    tape.fd = tape.fail_after = -1;
    strcpy(rig.dir, "/tmp/broker-lease-XXXXXX");
    if (!mkdtemp(rig.dir) || (tape.dirfd = open(rig.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        abort();
    CHECK_OK(secret_pool_open(1 << 16, &why), why);
    CHECK((rig.key = secret_from(k, 32)) != NULL);
    CHECK_OK(loop_new(&rig.loop, &why), why);
    loop_on_turn_end(rig.loop, on_turn, NULL);
    rig.spin_fd = eventfd(0, EFD_CLOEXEC);
    CHECK_OK(loop_watch(rig.loop, &(struct loop_source){rig.spin_fd, EPOLLIN, on_spin, NULL}, &rig.spin, &why), why);
}

static inline void rig_start(void)
{
    rig_up();
    CHECK_OK(rig_open(), why);
}

/* As brokerd dies and starts again: nothing is told to the journal. */
static inline err_t rig_restart(void)
{
    tape.fail_after = 0;
    leases_close(rig.ls);
    rig.ls = NULL;
    tape.fail_after = -1;
    if (tape.fd >= 0)
        close(tape.fd);
    tape.fd = -1;
    return rig_open();
}

static inline void rig_done(void)
{
    rig_down();
    memset(&rig, 0, sizeof(rig));
}

/* ---- leases */

static struct config_consumer consumer_a = {.name = (char[]){"a"}, .max_leases = 65536};

static inline struct lease *issue_as(const struct config_consumer *c, const struct peer *p, const struct policy_limits *limits)
{
    struct lease *l = NULL;
    struct lease_ask ask = {.consumer = c, .peer = p, .credential = "claude", .token_prefix = "sk-", .limits = limits};
    return lease_issue(rig.ls, &ask, &l, &why) == ERR_OK ? l : NULL;
}

static inline struct lease *issue(int64_t ttl_ms, int64_t max_ms, uint64_t uses)
{
    struct peer p = {.uid = 1000, .pid = 1, .pidfd = -1};
    struct policy_limits limits = {.delivery = DELIVER_FILE, .ttl_ms = ttl_ms, .max_ttl_ms = max_ms, .uses = uses};
    return issue_as(&consumer_a, &p, &limits);
}

/* A process of its own, and a lease that it owns. */
static inline struct lease *issue_owned(pid_t *child)
{
    *child = fork();
    if (*child == 0) {
        for (;;)
            pause();
    }
    int pidfd = (int)syscall(SYS_pidfd_open, *child, 0);
    struct peer p = {.uid = 1000, .pid = *child, .pidfd = pidfd};
    struct policy_limits limits = {.delivery = DELIVER_FILE, .ttl_ms = 60000, .max_ttl_ms = 60000, .owner_process = true};
    struct lease *l = issue_as(&consumer_a, &p, &limits);
    close(pidfd);
    return l;
}

static inline void end_child(pid_t child)
{
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

/* What an unconverted lease is remembered by between restarts. */
static inline struct lease *again(const uint8_t id[TOKEN_LEASE_ID])
{
    return lease_by_id(rig.ls, id);
}

#endif
