/* vault/lease_replay.c: restarts, crashes at every byte, every bit changed, lost and repeated segments, other boots, clocks set back. */
#include "lease_rig.h"

#include <sched.h>
#include <sys/mount.h>

enum { LEASES_MAX = 16 };

static uint8_t ids[LEASES_MAX][16];

static void remember(int i, const struct lease *l)
{
    CHECK(l);
    memcpy(ids[i], l->id, 16);
}

/* Text of a segment, for cutting and changing. */
static size_t read_segment(const char *name, uint8_t *out, size_t cap)
{
    int fd = openat(tape.dirfd, name, O_RDONLY);
    ssize_t n = fd >= 0 ? read(fd, out, cap) : -1;
    close(fd);
    return n < 0 ? 0 : (size_t)n;
}

static void write_segment(const char *name, const uint8_t *p, size_t n)
{
    int fd = openat(tape.dirfd, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, p, n) != (ssize_t)n)
        abort();
    close(fd);
}

static unsigned files_with(const char *suffix)
{
    unsigned n = 0;
    DIR *d = opendir(rig.dir);
    for (struct dirent *e; (e = readdir(d));)
        n += strstr(e->d_name, suffix) != NULL;
    closedir(d);
    return n;
}

TEST(a_restart_finds_every_lease_as_it_was)
{
    rig_start();
    struct lease *l = issue(60000, 600000, 5), *gone = issue(60000, 600000, 0);
    remember(0, l);
    remember(1, gone);
    remember(2, issue(120000, 600000, 0));
    CHECK_OK(lease_use(rig.ls, l, &why), why);
    CHECK_OK(lease_renew(rig.ls, l, 90000, &why), why);
    CHECK_OK(lease_set_file(rig.ls, l, "files/x/.credentials.json", &why), why);
    CHECK_OK(lease_end(rig.ls, gone, LEASE_END_REVOKED, &why), why);
    struct lease before = *l;
    for (int i = 0; i < 3; i++) { /* also a restart that had nothing to write */
        CHECK_OK(rig_restart(), why);
        CHECK(again(ids[0]) && !again(ids[1]) && again(ids[2]));
        CHECK(memcmp(again(ids[0]), &before, sizeof(before)) == 0);
        CHECK_INT(leases_live(rig.ls), 2);
    }
    uint64_t cursor = 0;
    CHECK(lease_next(rig.ls, &cursor) == again(ids[0]) && lease_next(rig.ls, &cursor) == again(ids[2]));
    struct lease *later = issue(60000, 600000, 0);
    CHECK(lease_next(rig.ls, &cursor) == later && !lease_next(rig.ls, &cursor));
    pass_ms(90001);
    spin(2);
    CHECK_INT(rig.ends, 2); /* timers run on */
    rig_done();
}

TEST(what_ran_out_meanwhile_ends_in_the_first_turn)
{
    rig_start();
    remember(0, issue(60000, 60000, 0));
    remember(1, issue(90000, 90000, 0));
    pass_ms(60001);
    CHECK_OK(rig_restart(), why);
    CHECK(!again(ids[0]) && again(ids[1]));
    CHECK_INT(rig.ends, 0);
    spin(2);
    CHECK_INT(rig.ends, 1);
    CHECK_INT(rig.how[0], LEASE_END_EXPIRED);
    CHECK_OK(rig_restart(), why);
    spin(2);
    CHECK_INT(rig.ends, 1); /* once */
    rig_done();
}

/* Entries since the last call. */
static unsigned appended(void)
{
    static unsigned before;
    unsigned n = tape.appends - before;
    before = tape.appends;
    return n;
}

TEST(leases_that_expire_together_take_one_entry_and_are_told_once)
{
    rig_start();
    for (int i = 0; i < 100; i++)
        CHECK(issue(60000, 600000, 0));
    struct lease *renewed = issue(60000, 600000, 0);
    remember(0, renewed);
    CHECK_OK(lease_renew(rig.ls, renewed, 120000, &why), why);
    remember(1, issue(70000, 70000, 0));
    pass_ms(65000);
    (void)appended();
    spin(1);
    CHECK_INT(rig.ends, 100);
    CHECK(appended() <= 3); /* it, and what the keeper writes */
    for (int i = 0; i < 2; i++) {
        CHECK_OK(rig_restart(), why);
        spin(2);
        CHECK_INT(rig.ends, 100);
        CHECK(again(ids[0]) && again(ids[1]) && leases_live(rig.ls) == 2);
    }
    rig_done();
}

TEST(an_entry_of_expiry_ends_nothing_of_another_generation)
{
    rig_start();
    remember(0, issue(60000, 60000, 0));
    CHECK_OK(rig_restart(), why); /* its entry stays in the generation of before … */
    CHECK(issue(1000, 1000, 0));
    pass_ms(1500);
    spin(2);
    CHECK_INT(rig.ends, 1);
    CHECK(again(ids[0]));
    pass_ms(60000); /* … so its end is told by its id */
    spin(2);
    CHECK_INT(rig.ends, 2);
    CHECK_OK(rig_restart(), why);
    spin(2);
    CHECK_INT(rig.ends, 2);
    rig_done();
}

/* ---- boots and clocks */

static void reboot(int64_t off_ms, int64_t wall_step)
{
    moved.boot = -real_ms(CLOCK_BOOTTIME) + 5000; /* the boot clock begins anew */
    moved.wall += off_ms + wall_step;
    moved.id++;
}

TEST(after_a_reboot_the_wall_clock_counts)
{
    rig_start();
    remember(0, issue(60000, 600000, 0));
    remember(1, issue(600000, 600000, 0));
    reboot(30000, 0);
    CHECK_OK(rig_restart(), why);
    struct lease *l = again(ids[0]);
    CHECK(l && again(ids[1]));
    int64_t left = l->expires_boot_ms - clock_boot_ms();
    CHECK(left > 28000 && left <= 30000);
    CHECK(l->max_boot_ms - clock_boot_ms() <= 570000);
    reboot(31000, 0);
    CHECK_OK(rig_restart(), why);
    CHECK(!again(ids[0]) && again(ids[1]));
    rig_done();
}

TEST(a_clock_set_back_extends_nothing)
{
    rig_start();
    remember(0, issue(60000, 600000, 0));
    remember(1, issue(600000, 600000, 0));
    pass_ms(31000);
    spin(2); /* a tick carries the clock forward */
    reboot(0, -86400000);
    CHECK_OK(rig_restart(), why);
    struct lease *l = again(ids[0]);
    CHECK(l);
    CHECK(l->expires_boot_ms - clock_boot_ms() <= 30000); /* not a day */
    CHECK(l->max_boot_ms - clock_boot_ms() <= 570000);
    pass_ms(29100);
    reboot(0, -1000);
    CHECK_OK(rig_restart(), why); /* the last tick was at the restart: at most as much again */
    l = again(ids[0]);
    CHECK(!l || l->expires_boot_ms - clock_boot_ms() <= 30000);
    CHECK(again(ids[1])->expires_boot_ms - clock_boot_ms() <= 570000);
    rig_done();
}

TEST(an_expired_lease_does_not_come_back_by_the_clock)
{
    rig_start();
    remember(0, issue(60000, 600000, 0));
    pass_ms(60001);
    spin(2);
    CHECK_INT(rig.ends, 1);
    reboot(0, -86400000);
    CHECK_OK(rig_restart(), why);
    CHECK(!again(ids[0]));
    rig_done();
}

/* ---- owners */

TEST(an_owner_that_lives_is_found_again_in_the_same_boot)
{
    rig_start();
    pid_t child;
    remember(0, issue_owned(&child));
    CHECK_OK(rig_restart(), why);
    spin(2);
    CHECK(again(ids[0]));
    end_child(child);
    spin(2);
    CHECK(!again(ids[0]));
    CHECK_INT(rig.ends, 1);
    CHECK_INT(rig.how[0], LEASE_END_OWNER);
    rig_done();
}

TEST(an_owner_that_is_gone_or_of_another_boot_ends_its_lease)
{
    rig_start();
    pid_t child, other;
    remember(0, issue_owned(&child));
    remember(1, issue_owned(&other));
    remember(2, issue(60000, 60000, 0));
    end_child(child);
    CHECK_OK(rig_restart(), why);
    CHECK(!again(ids[0]) && again(ids[1]) && again(ids[2]));
    spin(2);
    CHECK_INT(rig.ends, 1);
    CHECK_INT(rig.how[0], LEASE_END_OWNER);
    reboot(0, 0);
    CHECK_OK(rig_restart(), why);
    CHECK(!again(ids[1]) && again(ids[2]));
    end_child(other);
    rig_done();
}

/* The pid passes to another process between two runs: forced in a pid namespace of our own where that is allowed. */
static int child_with_pid(pid_t pid)
{
    int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
    char text[16];
    int n = snprintf(text, sizeof(text), "%d", pid - 1);
    bool ok = fd >= 0 && write(fd, text, (size_t)n) == n;
    close(fd);
    pid_t child = ok ? fork() : -1;
    if (child == 0)
        for (;;)
            pause();
    return child;
}

static int in_own_pids(void)
{
    pid_t first, second;
    uint8_t id[16];
    rig_start();
    struct lease *l = issue_owned(&first);
    if (!l)
        return 1;
    memcpy(id, l->id, 16);
    end_child(first);
    struct timespec t = {0, 30000000}; /* start times are in ticks of 10 ms */
    nanosleep(&t, NULL);
    second = child_with_pid(first);
    if (second != first)
        return 77;
    bool held = rig_restart() == ERR_OK && !again(id);
    end_child(second);
    rig_done();
    return held ? 0 : 1;
}

TEST(a_pid_used_again_is_not_the_owner)
{
    pid_t pid = fork();
    if (pid == 0) {
        if (unshare(CLONE_NEWPID | CLONE_NEWNS) != 0)
            _exit(77);
        pid_t inner = fork();
        if (inner == 0) {
            if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 || mount("proc", "/proc", "proc", 0, NULL) != 0)
                _exit(77);
            _exit(setjmp(check_out) == 0 ? in_own_pids() : 1);
        }
        int status = 0;
        waitpid(inner, &status, 0);
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        SKIP("needs root and a pid namespace of its own");
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* ---- crashes: the journal cut at every byte */

static struct { /* after each entry: its end in the segment, and which leases live */
    size_t end;
    unsigned live;
} history[64];
static unsigned n_history;
static uint8_t text[16384];

static void note_state(void)
{
    unsigned live = 0;
    for (int i = 0; i < LEASES_MAX; i++)
        live |= again(ids[i]) ? 1u << i : 0;
    history[n_history].end = (size_t)lseek(tape.fd, 0, SEEK_END);
    history[n_history++].live = live;
}

/* One segment with HEAD, DONE and some leases' lives; returns its length. */
static size_t make_history(void)
{
    memset(ids, 0, sizeof(ids));
    n_history = 0;
    rig_start();
    for (int i = 0; i < 6; i++) {
        remember(i, issue(60000 + i, 600000, 3));
        note_state();
        if (i == 2) {
            CHECK_OK(lease_end(rig.ls, again(ids[0]), LEASE_END_REVOKED, &why), why);
            note_state();
            CHECK_OK(lease_use(rig.ls, again(ids[1]), &why), why);
            note_state();
        }
    }
    CHECK_OK(lease_end(rig.ls, again(ids[4]), LEASE_END_REVOKED, &why), why);
    note_state();
    return read_segment(tape.name, text, sizeof(text));
}

static unsigned live_at(size_t n)
{
    unsigned live = 0;
    for (unsigned i = 0; i < n_history && history[i].end <= n; i++)
        live = history[i].live;
    return live;
}

static unsigned live_now(void)
{
    unsigned live = 0;
    for (int i = 0; i < LEASES_MAX; i++)
        live |= again(ids[i]) ? 1u << i : 0;
    return live;
}

static void reset_dir(void)
{
    tape.fail_after = 0;
    leases_close(rig.ls);
    rig.ls = NULL;
    tape.fail_after = -1;
    if (tape.fd >= 0)
        close(tape.fd);
    tape.fd = -1;
    rig_empty_dir();
}

TEST(a_journal_cut_at_any_byte_gives_what_was_whole)
{
    size_t n = make_history();
    for (size_t cut = 0; cut <= n; cut++) {
        reset_dir();
        write_segment("leases-000001.journal", text, cut);
        CHECK_OK(rig_open(), why);
        CHECK_INT(live_now(), live_at(cut));
        CHECK(issue(60000, 60000, 0)); /* and goes on from there */
        CHECK_OK(rig_restart(), why);
        CHECK_INT(live_now(), live_at(cut));
    }
    rig_done();
}

TEST(a_tail_of_zeros_is_a_crash_too)
{
    size_t n = make_history();
    static const size_t zeros[] = {1, 3, 4, 100, 4096};
    for (size_t i = 0; i < COUNT(zeros); i++) {
        reset_dir();
        uint8_t *longer = calloc(1, n + zeros[i]);
        memcpy(longer, text, n);
        write_segment("leases-000001.journal", longer, n + zeros[i]);
        free(longer);
        CHECK_OK(rig_open(), why);
        CHECK_INT(live_now(), live_at(n));
    }
    rig_done();
}

TEST(every_bit_changed_refuses_all_leases)
{
    size_t n = make_history();
    for (size_t bit = 0; bit < 8 * n; bit++) {
        reset_dir();
        text[bit / 8] ^= (uint8_t)(1 << bit % 8);
        write_segment("leases-000001.journal", text, n);
        text[bit / 8] ^= (uint8_t)(1 << bit % 8);
        err_t e = rig_open();
        if (e != ERR_CORRUPT)
            printf("    bit %zu of byte %zu: %d\n", bit % 8, bit / 8, e);
        CHECK_INT(e, ERR_CORRUPT);
        CHECK(rig.ls && live_now() == 0 && leases_live(rig.ls) == 0);
    }
    rig_done();
}

TEST(after_corruption_the_broker_goes_on_and_keeps_the_evidence)
{
    size_t n = make_history();
    reset_dir();
    text[n / 2] ^= 1;
    write_segment("leases-000001.journal", text, n);
    CHECK_INT(rig_open(), ERR_CORRUPT);
    CHECK(strstr(why.text, "leases-000001.journal, byte ") && strstr(why.text, "all leases of earlier runs are refused"));
    CHECK_INT(files_with(".corrupt"), 1);
    remember(0, issue(60000, 60000, 0));
    CHECK_STR(tape.name, "leases-000002.journal");
    CHECK_OK(rig_restart(), why);
    CHECK(again(ids[0]) && leases_live(rig.ls) == 1);
    rig_done();
}

TEST(cuts_in_the_middle_swaps_and_insertions_are_corruption)
{
    size_t n = make_history();
    for (unsigned i = 0; i + 1 < n_history; i++) {
        size_t from = i == 0 ? 0 : history[i - 1].end, to = history[i].end; /* HEAD and the first PUT; else one entry */
        reset_dir();
        uint8_t *less = malloc(n);
        memcpy(less, text, from);
        memcpy(less + from, text + to, n - to);
        write_segment("leases-000001.journal", less, n - (to - from));
        CHECK_INT(rig_open(), ERR_CORRUPT);
        reset_dir();
        memcpy(less, text, n);
        uint8_t *more = malloc(2 * n); /* the entry twice */
        memcpy(more, text, to);
        memcpy(more + to, text + from, n - from);
        write_segment("leases-000001.journal", more, n + (to - from));
        CHECK_INT(rig_open(), ERR_CORRUPT);
        free(more);
        free(less);
    }
    rig_done();
}

TEST(another_key_opens_nothing)
{
    uint8_t k[32] = {8};
    size_t n = make_history();
    reset_dir();
    write_segment("leases-000001.journal", text, n);
    secret_free(rig.key);
    rig.key = secret_from(k, 32);
    CHECK_INT(rig_open(), ERR_CORRUPT);
    CHECK_INT(leases_live(rig.ls), 0);
    rig_done();
}

/* ---- several segments */

/* What the writer does after an I/O error: a new segment, and all that was not durable again. */
TEST(repeats_at_the_beginning_of_a_segment_are_dropped)
{
    size_t n = make_history();
    for (unsigned i = 0; i < n_history; i++)
        for (size_t cut = history[i].end; cut <= n; cut += 37) {
            reset_dir();
            write_segment("leases-000001.journal", text, cut); /* its tail may be torn */
            write_segment("leases-000002.journal", text + history[i].end, n - history[i].end);
            CHECK_OK(rig_open(), why);
            CHECK_INT(live_now(), live_at(n));
        }
    reset_dir();
    write_segment("leases-000001.journal", text, n);
    write_segment("leases-000002.journal", text, n); /* HEAD as well */
    write_segment("leases-000003.journal", text, 0);
    CHECK_OK(rig_open(), why);
    CHECK_INT(live_now(), live_at(n));
    rig_done();
}

TEST(a_repeat_that_differs_and_a_gap_are_corruption)
{
    size_t n = make_history(), half = history[3].end, later = history[4].end;
    reset_dir();
    write_segment("leases-000001.journal", text, half);
    write_segment("leases-000002.journal", text + later, n - later);
    CHECK_INT(rig_open(), ERR_CORRUPT);
    reset_dir();
    write_segment("leases-000001.journal", text, n);
    text[half + 60] ^= 1;
    write_segment("leases-000002.journal", text + half, n - half);
    CHECK_INT(rig_open(), ERR_CORRUPT);
    rig_done();
}

TEST(a_generation_that_is_not_done_needs_the_one_before)
{
    make_history();
    unsigned live = live_now();
    CHECK_OK(rig_restart(), why);
    remember(8, issue(60000, 60000, 0)); /* begins generation 2 in its own segment; no lease was copied */
    live |= 1u << 8;
    CHECK_STR(tape.name, "leases-000002.journal");
    CHECK_OK(rig_restart(), why);
    CHECK_INT(live_now(), live);
    remember(9, issue(60000, 60000, 0));
    live |= 1u << 9;
    CHECK_OK(rig_restart(), why);
    CHECK_INT(live_now(), live);
    CHECK(renameat(tape.dirfd, "leases-000001.journal", tape.dirfd, "kept") == 0);
    CHECK_INT(rig_restart(), ERR_CORRUPT); /* cut off at its beginning */
    CHECK_INT(live_now(), 0);
    rig_done();
}

TEST(a_done_generation_stands_alone)
{
    make_history();
    unsigned live = live_now();
    CHECK_OK(rig_restart(), why);
    pass_ms(2000);
    spin(2); /* the keeper copies all and writes DONE */
    pass_ms(2000);
    spin(2);
    CHECK_INT(files_with(".journal"), 1);
    CHECK_STR(tape.name, "leases-000002.journal");
    CHECK_OK(rig_restart(), why);
    CHECK_INT(live_now(), live);
    size_t n = read_segment("leases-000002.journal", text, sizeof(text));
    unsigned corrupt = 0;
    for (size_t bit = 0; bit < 8 * n; bit += 7) {
        reset_dir();
        text[bit / 8] ^= (uint8_t)(1 << bit % 8);
        write_segment("leases-000002.journal", text, n);
        text[bit / 8] ^= (uint8_t)(1 << bit % 8);
        corrupt += rig_open() == ERR_CORRUPT;
    }
    CHECK_INT(corrupt, (8 * n + 6) / 7);
    rig_done();
}

TEST(foreign_files_are_left_alone_and_bad_ones_refused)
{
    static const char *const names[] = {"leases-.journal", "leases-1x.journal", "xleases-000001.journal", "leases-000001.journal~",
                                        "leases-000000.journal", "audit-000001.jsonl", "leases-000001.corrupt"};
    rig_start();
    for (size_t i = 0; i < COUNT(names); i++)
        write_segment(names[i], (const uint8_t *)"what is this", 12);
    CHECK_OK(rig_restart(), why);
    write_segment("leases-000007.journal", (const uint8_t *)"what is this", 12);
    CHECK_INT(rig_restart(), ERR_CORRUPT);
    CHECK(issue(60000, 60000, 0));
    CHECK_STR(tape.name, "leases-000008.journal");
    tape.fail_after = 0;
    leases_close(rig.ls);
    rig.ls = NULL;
    CHECK(mkdirat(tape.dirfd, "leases-000009.journal", 0700) == 0);
    err_t e = rig_open();
    unlinkat(tape.dirfd, "leases-000009.journal", AT_REMOVEDIR);
    CHECK(e != ERR_OK && !rig.ls);
    rig_done();
}
