/*
 * The audit writer against disks that fail: full, read-only, over a limit, stuck, lying at fsync; killed and restarted at any moment.
 * Promise: in the order they were appended, whatever happens, every record is in the segments, and after dropping exact
 * repeats each is there once. Calls fail by plan: pwritev, fdatasync and friends are ours here, ahead of libc's.
 */
#include "sink_rig.h"
#include "vault/audit_log.h"

#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

enum call { CALL_PWRITEV, CALL_FDATASYNC, CALL_FTRUNCATE, CALL_FSYNC, CALLS };
static struct plan {
    _Atomic int skip[CALLS];  /* calls that work before the ones that fail */
    _Atomic int times[CALLS]; /* how many fail */
    _Atomic int error[CALLS]; /* 0 for pwritev: writes half of it */
    _Atomic int count[CALLS];
} *plan;

static bool fails(enum call c)
{
    if (!plan)
        return false;
    plan->count[c]++;
    if (plan->times[c] == 0 || plan->skip[c]-- > 0)
        return false;
    plan->times[c]--;
    errno = plan->error[c];
    return true;
}

ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t at)
{
    if (fails(CALL_PWRITEV)) {
        if (plan->error[CALL_PWRITEV] == 0)
            return syscall(SYS_pwrite64, fd, iov[0].iov_base, (iov[0].iov_len + 1) / 2, at);
        return -1;
    }
    return syscall(SYS_pwritev, fd, iov, (long)n, at, 0L);
}

int fdatasync(int fd)
{
    return fails(CALL_FDATASYNC) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    return fails(CALL_FSYNC) ? -1 : (int)syscall(SYS_fsync, fd);
}

int ftruncate(int fd, off_t n)
{
    return fails(CALL_FTRUNCATE) ? -1 : (int)syscall(SYS_ftruncate, fd, n);
}

static void plan_new(void)
{
    if (!plan)
        plan = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(plan != MAP_FAILED);
    memset((void *)plan, 0, sizeof(*plan));
}

static void will_fail(enum call c, int skip, int times, int error)
{
    plan->skip[c] = skip;
    plan->error[c] = error;
    plan->times[c] = times;
}

/* ---- what is appended and how it is checked */

struct flow {
    struct rig r;
    unsigned n; /* records so far; each goes to both streams */
};

static void flow_begin(struct flow *f)
{
    plan_new();
    f->n = 0;
    rig_begin(&f->r, NULL);
    rig_start_writer(&f->r);
    CHECK_OK(sink_roll(f->r.sink, SINK_AUDIT, "audit-000001.jsonl", &f->r.why), f->r.why);
    CHECK_OK(sink_roll(f->r.sink, SINK_JOURNAL, "leases-000001.journal", &f->r.why), f->r.why);
}

static bool flow_append(struct flow *f)
{
    char line[160];
    (void)snprintf(line, sizeof(line), "{\"seq\":%u,\"x\":\"%0*d\"}\n", f->n + 1, (int)(f->n * 37 % 90) + 1, 0);
    if (sink_ready(f->r.sink, 2 * sizeof(line), &f->r.why) != ERR_OK)
        return false;
    (void)sink_push(f->r.sink, SINK_AUDIT, view_str(line));
    f->r.pos = sink_push(f->r.sink, SINK_JOURNAL, view_str(line));
    f->n++;
    return true;
}

static void flow_send(struct flow *f, unsigned n, bool durable)
{
    for (unsigned i = 0; i < n; i++)
        CHECK(flow_append(f));
    sink_flush(f->r.sink, durable);
}

/* As many of n as are taken: the writer may have met the disk's error before the last. */
static void flow_offer(struct flow *f, unsigned n)
{
    while (n-- && flow_append(f))
        ;
    f->r.pos = sink_head(f->r.sink);
    sink_flush(f->r.sink, true);
}

/* Numbers of one file's whole lines, after `last`; a repeat may only be of lines already seen. */
static unsigned check_lines(struct view text, unsigned last)
{
    while (text.n) {
        const uint8_t *end = memchr(text.p, '\n', text.n);
        uint64_t seq;
        if (!end)
            break;
        CHECK(audit_line_seq(VIEW(text.p, (size_t)(end - text.p)), &seq));
        CHECK(seq <= last + 1);
        last = seq == last + 1 ? last + 1 : last;
        text = VIEW(end + 1, text.n - (size_t)(end + 1 - text.p));
    }
    return last;
}

#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static unsigned check_stream(struct rig *r, const char *form)
{
    unsigned last = 0;
    for (unsigned i = 1; i < 200; i++) {
        char name[64];
        (void)snprintf(name, sizeof(name), form, i);
        AUTO(buf_free) struct buf b = {.max = 64 << 20};
        if (file_read_at(r->dirfd, name, 64 << 20, &b, &r->why) == ERR_OK)
            last = check_lines(buf_view(&b), last);
    }
    return last;
}

static void flow_check(struct flow *f)
{
    CHECK(rig_until(&f->r, rig_is_durable, 15000));
    CHECK_INT(check_stream(&f->r, "audit-%06u.jsonl"), f->n);
    CHECK_INT(check_stream(&f->r, "leases-%06u.journal"), f->n);
}

/* Not one line twice: for faults after which even exact repeats would be a mistake. */
static void check_once(struct flow *f)
{
    AUTO(buf_free) struct buf a = rig_read(&f->r, "audit-000001.jsonl");
    unsigned lines = 0;
    for (size_t i = 0; i < a.len; i++)
        lines += a.p[i] == '\n';
    CHECK_INT(lines, f->n);
}

static bool exists(struct rig *r, const char *name)
{
    return faccessat(r->dirfd, name, F_OK, 0) == 0;
}

/* ---- life */

TEST(the_writer_drains_the_ring_after_the_vaults_end)
{
    struct flow f;
    flow_begin(&f);
    flow_send(&f, 1, true);
    CHECK(rig_until(&f.r, rig_is_durable, 2000));
    CHECK_INT(kill(f.r.writer, SIGSTOP), 0);
    flow_send(&f, 1999, false);
    pid_t writer = f.r.writer;
    f.r.writer = 0;
    (void)rig_end_vault(&f.r);
    CHECK_INT(kill(writer, SIGTERM), 0); /* a stop of the whole group must not cost records */
    CHECK_INT(kill(writer, SIGINT), 0);
    CHECK_INT(kill(writer, SIGCONT), 0);
    int status = -1;
    CHECK_INT(waitpid(writer, &status, 0), writer);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 0);
    CHECK_INT(check_stream(&f.r, "audit-%06u.jsonl"), 2000);
    CHECK_INT(check_stream(&f.r, "leases-%06u.journal"), 2000);
    rig_end(&f.r);
}

TEST(a_burst_shares_its_syncs)
{
    struct flow f;
    flow_begin(&f);
    flow_send(&f, 1, true);
    CHECK(rig_until(&f.r, rig_is_durable, 2000));
    int before = plan->count[CALL_FDATASYNC];
    flow_send(&f, 400, true);
    CHECK(rig_until(&f.r, rig_is_durable, 2000));
    CHECK(plan->count[CALL_FDATASYNC] - before <= 4);
    flow_check(&f);
    rig_end(&f.r);
}

TEST(a_roll_is_a_barrier_and_keeps_the_order)
{
    struct flow f;
    flow_begin(&f);
    flow_send(&f, 10, false);
    CHECK_OK(sink_roll(f.r.sink, SINK_ROLL_AUDIT, "audit-000002.jsonl", &f.r.why), f.r.why);
    flow_send(&f, 5, false);
    CHECK_OK(sink_replace(f.r.sink, "audit.state", VIEW("after 15", 8), &f.r.why), f.r.why);
    CHECK_OK(sink_roll(f.r.sink, SINK_JOURNAL, "leases-000002.journal", &f.r.why), f.r.why);
    flow_send(&f, 5, true);
    flow_check(&f);
    rig_check_file(&f.r, "audit.state", "after 15");
    AUTO(buf_free) struct buf a = rig_read(&f.r, "audit-000001.jsonl"), l = rig_read(&f.r, "leases-000001.journal");
    CHECK_INT(check_lines(buf_view(&a), 0), 10);
    CHECK_INT(check_lines(buf_view(&l), 0), 15);
    rig_end(&f.r);
}

TEST(a_file_is_removed_after_what_came_before_and_never_one_in_use)
{
    struct flow f;
    flow_begin(&f);
    flow_send(&f, 10, false);
    CHECK_OK(sink_roll(f.r.sink, SINK_JOURNAL, "leases-000002.journal", &f.r.why), f.r.why);
    CHECK_OK(sink_replace(f.r.sink, "audit.state", VIEW("x", 1), &f.r.why), f.r.why);
    CHECK_OK(sink_remove(f.r.sink, "leases-000001.journal", &f.r.why), f.r.why);
    CHECK_OK(sink_remove(f.r.sink, "leases-000002.journal", &f.r.why), f.r.why);
    CHECK_OK(sink_remove(f.r.sink, "audit-000001.jsonl", &f.r.why), f.r.why);
    CHECK_OK(sink_remove(f.r.sink, "was-never-there", &f.r.why), f.r.why);
    flow_send(&f, 5, true);
    CHECK(rig_until(&f.r, rig_is_durable, 2000));
    CHECK(faccessat(f.r.dirfd, "leases-000001.journal", F_OK, 0) != 0);
    CHECK(faccessat(f.r.dirfd, "leases-000002.journal", F_OK, 0) == 0 && faccessat(f.r.dirfd, "audit-000001.jsonl", F_OK, 0) == 0);
    CHECK(faccessat(f.r.dirfd, "audit.state", F_OK, 0) == 0);
    rig_end(&f.r);
}

TEST(a_closed_stream_gives_up_its_lock)
{
    struct flow f;
    struct why why = {0};
    flow_begin(&f);
    flow_send(&f, 3, true);
    CHECK(rig_until(&f.r, rig_is_durable, 2000));
    CHECK_OK(sink_close(f.r.sink, SINK_AUDIT, &why), why);
    f.r.pos = sink_head(f.r.sink);
    sink_flush(f.r.sink, true);
    CHECK(rig_until(&f.r, rig_is_durable, 2000));
    AUTO(buf_free) struct buf b = rig_read(&f.r, "audit-000001.jsonl");
    CHECK_OK(sink_resume(f.r.sink, SINK_AUDIT, "audit-000001.jsonl", b.len, &why), why);
    flow_send(&f, 3, true);
    flow_check(&f);
    CHECK(!exists(&f.r, "audit-000002.jsonl"));
    rig_end(&f.r);
}

/* ---- what an operator can mend */

static void expect_fault_then_recovery(struct flow *f, const char *sentence)
{
    CHECK(rig_until(&f->r, rig_is_sick, 1000));
    CHECK(strstr(f->r.why.text, sentence));
    CHECK(!flow_append(f));
    CHECK(rig_until(&f->r, rig_is_well, 2000));
    flow_send(f, 5, true);
    flow_check(f);
}

TEST(errors_of_a_write_are_retried_until_they_end)
{
    static const int errors[] = {ENOSPC, EDQUOT, EFBIG, EROFS, EPERM};
    for (size_t i = 0; i < COUNT(errors); i++) {
        struct flow f;
        flow_begin(&f);
        flow_send(&f, 5, true);
        CHECK(rig_until(&f.r, rig_is_durable, 2000));
        will_fail(CALL_PWRITEV, (int)i % 2, 2, errors[i]);
        flow_send(&f, 5, true);
        expect_fault_then_recovery(&f, strerror(errors[i]));
        check_once(&f);
        CHECK(!exists(&f.r, "audit-000002.jsonl"));
        rig_end(&f.r);
    }
}

TEST(a_short_write_and_an_interrupted_one_go_on)
{
    struct flow f;
    flow_begin(&f);
    will_fail(CALL_PWRITEV, 0, 3, 0);
    flow_send(&f, 50, true);
    flow_check(&f);
    will_fail(CALL_PWRITEV, 1, 3, EINTR);
    flow_send(&f, 50, true);
    flow_check(&f);
    CHECK(rig_is_well(&f.r));
    rig_end(&f.r);
}

TEST(a_file_size_limit_is_reported_and_passes)
{
    struct flow f;
    plan_new();
    f.n = 0;
    rig_begin(&f.r, NULL);
    f.r.fsize = 2000;
    rig_start_writer(&f.r);
    CHECK_OK(sink_roll(f.r.sink, SINK_AUDIT, "audit-000001.jsonl", &f.r.why), f.r.why);
    CHECK_OK(sink_roll(f.r.sink, SINK_JOURNAL, "leases-000001.journal", &f.r.why), f.r.why);
    flow_offer(&f, 100);
    CHECK(rig_until(&f.r, rig_is_sick, 1000));
    CHECK(strstr(f.r.why.text, "File too large"));
    AUTO(buf_free) struct buf b = rig_read(&f.r, "audit-000001.jsonl");
    CHECK(b.len == 0 || b.p[b.len - 1] == '\n'); /* no torn line while it waits */
    CHECK_INT(prlimit(f.r.writer, RLIMIT_FSIZE, &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY}, NULL), 0);
    CHECK(rig_until(&f.r, rig_is_well, 2000));
    flow_check(&f);
    rig_end(&f.r);
}

/* A tmpfs of our own, seen by us and our children only. */
static void mount_small(const char *dir, const char *options)
{
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", dir, "tmpfs", 0, options) != 0)
        SKIP("cannot mount here");
}

static void flow_begin_mounted(struct flow *f, char dir[32], const char *options)
{
    if (geteuid() != 0)
        SKIP("needs root for a mount");
    plan_new();
    f->n = 0;
    (void)snprintf(dir, 32, "/tmp/sink-test-XXXXXX");
    CHECK(mkdtemp(dir));
    mount_small(dir, options);
    rig_begin(&f->r, dir);
}

static void flow_end_mounted(struct flow *f)
{
    (void)rig_end_vault(&f->r);
    CHECK_INT(umount2(f->r.dir, MNT_DETACH), 0);
    rig_end(&f->r);
}

TEST(a_full_disk_stops_records_until_there_is_room)
{
    struct flow f;
    char dir[32];
    flow_begin_mounted(&f, dir, "size=64k");
    rig_start_writer(&f.r);
    CHECK_OK(sink_roll(f.r.sink, SINK_AUDIT, "audit-000001.jsonl", &f.r.why), f.r.why);
    CHECK_OK(sink_roll(f.r.sink, SINK_JOURNAL, "leases-000001.journal", &f.r.why), f.r.why);
    flow_offer(&f, 1000);
    CHECK(rig_until(&f.r, rig_is_sick, 1000));
    CHECK(strstr(f.r.why.text, "No space left"));
    CHECK(!flow_append(&f));
    CHECK_INT(mount("tmpfs", dir, "tmpfs", MS_REMOUNT, "size=4m"), 0);
    CHECK(rig_until(&f.r, rig_is_well, 2000));
    flow_send(&f, 10, true);
    flow_check(&f);
    flow_end_mounted(&f);
}

TEST(a_read_only_disk_stops_records_until_it_is_writable)
{
    struct flow f;
    char dir[32];
    flow_begin_mounted(&f, dir, "size=1m");
    CHECK_INT(mount("tmpfs", dir, "tmpfs", MS_REMOUNT | MS_RDONLY, "size=1m"), 0);
    rig_start_writer(&f.r);
    CHECK_OK(sink_roll(f.r.sink, SINK_AUDIT, "audit-000001.jsonl", &f.r.why), f.r.why);
    CHECK_OK(sink_roll(f.r.sink, SINK_JOURNAL, "leases-000001.journal", &f.r.why), f.r.why);
    flow_offer(&f, 10);
    CHECK(rig_until(&f.r, rig_is_sick, 1000));
    CHECK(strstr(f.r.why.text, "Read-only"));
    CHECK_INT(mount("tmpfs", dir, "tmpfs", MS_REMOUNT, "size=1m"), 0);
    CHECK(rig_until(&f.r, rig_is_well, 2000));
    flow_send(&f, 10, true);
    flow_check(&f);
    flow_end_mounted(&f);
}

/* open(2) of a FIFO nobody reads does not return: a device that hangs. */
TEST(a_stuck_open_is_seen_and_passes)
{
    struct flow f;
    plan_new();
    f.n = 0;
    rig_begin(&f.r, NULL);
    CHECK_INT(mkfifoat(f.r.dirfd, "audit-000001.jsonl", 0600), 0);
    rig_start_writer(&f.r);
    CHECK_OK(sink_roll(f.r.sink, SINK_AUDIT, "audit-000001.jsonl", &f.r.why), f.r.why);
    CHECK_OK(sink_roll(f.r.sink, SINK_JOURNAL, "leases-000001.journal", &f.r.why), f.r.why);
    int64_t from = clock_boot_ms();
    flow_send(&f, 10, true);
    CHECK(rig_until(&f.r, rig_is_sick, 2000));
    CHECK(clock_boot_ms() - from < 1000);
    CHECK(strstr(f.r.why.text, "stuck"));
    int fd = openat(f.r.dirfd, "audit-000001.jsonl", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    CHECK(fd >= 0);
    (void)poll(NULL, 0, 50);
    CHECK_INT(unlinkat(f.r.dirfd, "audit-000001.jsonl", 0), 0);
    close(fd);
    CHECK(rig_until(&f.r, rig_is_well, 2000));
    flow_check(&f);
    rig_end(&f.r);
}

/* ---- what nobody can mend */

TEST(after_a_failed_sync_all_that_was_not_durable_goes_to_a_new_segment)
{
    struct flow f;
    flow_begin(&f);
    flow_send(&f, 5, true);
    CHECK(rig_until(&f.r, rig_is_durable, 2000));
    will_fail(CALL_FDATASYNC, 0, 1, EIO);
    flow_send(&f, 5, true);
    flow_check(&f);
    CHECK(rig_is_well(&f.r));
    AUTO(buf_free) struct buf a = rig_read(&f.r, "audit-000001.jsonl"), b = rig_read(&f.r, "audit-000002.jsonl");
    CHECK_INT(check_lines(buf_view(&a), 0), 5);
    CHECK_INT(check_lines(buf_view(&b), 5), 10);
    CHECK(!exists(&f.r, "leases-000002.journal")); /* its own sync did not fail */
    CHECK_OK(sink_roll(f.r.sink, SINK_AUDIT, "audit-000002.jsonl", &f.r.why), f.r.why); /* the vault does not know */
    flow_send(&f, 5, true);
    flow_check(&f);
    CHECK(exists(&f.r, "audit-000003.jsonl"));
    rig_end(&f.r);
}

TEST(an_io_error_of_a_write_begins_a_new_segment)
{
    struct flow f;
    flow_begin(&f);
    flow_send(&f, 5, true);
    CHECK(rig_until(&f.r, rig_is_durable, 2000));
    will_fail(CALL_PWRITEV, 1, 1, EIO); /* the journal's */
    flow_send(&f, 5, true);
    flow_check(&f);
    CHECK(exists(&f.r, "leases-000002.journal"));
    CHECK(!exists(&f.r, "audit-000002.jsonl"));
    rig_end(&f.r);
}

TEST(a_disk_that_always_fails_leaves_no_heap_of_segments)
{
    struct flow f;
    flow_begin(&f);
    flow_send(&f, 5, true);
    CHECK(rig_until(&f.r, rig_is_durable, 2000));
    will_fail(CALL_FDATASYNC, 0, 6, EIO);
    flow_send(&f, 5, true);
    CHECK(rig_until(&f.r, rig_is_sick, 1000));
    flow_check(&f);
    CHECK(!exists(&f.r, "audit-000003.jsonl"));
    rig_end(&f.r);
}

/* ---- killed */

TEST(a_killed_writer_repeats_the_same_bytes_in_the_same_place)
{
    struct flow f;
    flow_begin(&f);
    flow_send(&f, 5, true);
    CHECK(rig_until(&f.r, rig_is_durable, 2000));
    flow_send(&f, 500, false);
    CHECK(rig_until(&f.r, rig_is_written, 2000)); /* in the page cache, not yet synced */
    CHECK(!rig_is_durable(&f.r));
    rig_kill_writer(&f.r);
    rig_start_writer(&f.r);
    flow_check(&f);
    check_once(&f);
    rig_end(&f.r);
}

TEST(a_segment_removed_under_a_dead_writer_does_not_stop_the_next)
{
    struct flow f;
    flow_begin(&f);
    flow_send(&f, 5, true);
    CHECK(rig_until(&f.r, rig_is_durable, 2000));
    rig_kill_writer(&f.r);
    CHECK_INT(unlinkat(f.r.dirfd, "audit-000001.jsonl", 0), 0);
    rig_start_writer(&f.r);
    flow_send(&f, 5, true);
    CHECK(rig_until(&f.r, rig_is_durable, 2000));
    AUTO(buf_free) struct buf a = rig_read(&f.r, "audit-000001.jsonl");
    CHECK_INT(check_lines(buf_view(&a), 5), 10);
    rig_end(&f.r);
}

static bool settled(struct rig *r)
{
    return rig_is_durable(r) || rig_is_sick(r);
}

/* Which call fails next, and how. */
static void plan_a_fault(uint32_t x)
{
    static const int errors[] = {EIO, EIO, ENOSPC, 0, EINTR, EDQUOT};
    enum call c = (x >> 4) % CALLS;
    int e = errors[(x >> 6) % COUNT(errors)];
    will_fail(c, (int)((x >> 9) % 3), 1, c != CALL_PWRITEV && (e == 0 || e == EINTR) ? EIO : e);
}

static void roll_and_replace(struct flow *f, unsigned number)
{
    char name[64];
    (void)snprintf(name, sizeof(name), "audit-%06u.jsonl", number);
    (void)!sink_roll(f->r.sink, SINK_AUDIT, name, NULL);
    (void)!sink_replace(f->r.sink, "audit.state", VIEW("x", 1), NULL);
    f->r.pos = sink_head(f->r.sink);
}

/* Kills and failing calls in a load that rolls: nothing is lost, nothing comes twice but as an exact repeat. Whoever is refused waits
 * until it is well again, so that a slow machine only makes the test longer. */
TEST(random_faults_and_kills_lose_nothing)
{
    struct flow f;
    uint32_t seed = 20261121;
    unsigned rolls = 1, kills = 0;
    flow_begin(&f);
    while (f.n < 4000 || kills < 100) {
        seed = seed * 1664525u + 1013904223u;
        uint32_t x = seed >> 8;
        if (x % 16 == 0)
            plan_a_fault(x);
        for (unsigned k = 0; k < (x >> 5) % 60; k++)
            if (!flow_append(&f))
                CHECK(rig_until(&f.r, rig_is_well, 10000));
        if (x % 29 == 0)
            roll_and_replace(&f, ++rolls);
        sink_flush(f.r.sink, x % 3 == 0);
        if (x % 5 == 0)
            (void)rig_until(&f.r, settled, 100);
        if (x % 2) {
            (void)poll(NULL, 0, (int)(x >> 7) % 4);
            rig_kill_writer(&f.r);
            rig_start_writer(&f.r);
            kills++;
        }
    }
    CHECK(plan->count[CALL_FDATASYNC] > 50 && plan->count[CALL_PWRITEV] > 50);
    f.r.pos = sink_head(f.r.sink);
    sink_flush(f.r.sink, true);
    flow_check(&f);
    rig_end(&f.r);
}
