/* Segment files: names, locks, offsets, errors. Real files; what the disk does not do by itself is done by limits and mounts. */
#include "sink_rig.h"
#include "vault/sink_segment.h"

#include <sys/file.h>
#include <sys/stat.h>

static struct ring_place place(const char *name, uint64_t offset)
{
    struct ring_place p = {.offset = offset};
    (void)view_copy(view_str(name), p.name, sizeof(p.name));
    return p;
}

static int write_text(struct segment *seg, const char *text)
{
    size_t half = strlen(text) / 2;
    struct iovec iov[] = {{(void *)(uintptr_t)text, half}, {(void *)(uintptr_t)(text + half), strlen(text) - half}};
    return segment_write(seg, iov, 2);
}

TEST(the_next_name_counts_with_carry)
{
    char name[RING_NAME] = "audit-000009.jsonl";
    CHECK(segment_next_name(name));
    CHECK_STR(name, "audit-000010.jsonl");
    (void)view_copy(view_str("leases-099999.journal"), name, sizeof(name));
    CHECK(segment_next_name(name));
    CHECK_STR(name, "leases-100000.journal");
    (void)view_copy(view_str("audit-999999.jsonl"), name, sizeof(name));
    CHECK(!segment_next_name(name));
    (void)view_copy(view_str("plain"), name, sizeof(name));
    CHECK(!segment_next_name(name));
}

TEST(a_new_segment_takes_the_next_free_number)
{
    struct rig r;
    rig_begin(&r, NULL);
    struct segment a = {.dir = r.dirfd, .fd = -1}, b = a, c = a;
    struct ring_place p = place("audit-000001.jsonl", SEGMENT_NEW);
    CHECK_INT(segment_open(&a, &p, true), 0);
    CHECK_STR(a.at.name, "audit-000001.jsonl");
    CHECK_INT(segment_open(&b, &p, true), EWOULDBLOCK); /* empty, but another's */
    CHECK_INT(write_text(&a, "line\n"), 0);
    CHECK_INT(a.at.offset, 5);
    CHECK(a.dirty);
    CHECK_INT(segment_sync(&a), 0);
    CHECK(!a.dirty);
    CHECK_INT(segment_open(&b, &p, true), 0);
    CHECK_STR(b.at.name, "audit-000002.jsonl");
    segment_close(&b); /* left empty: as good as new */
    CHECK_INT(segment_open(&c, &p, true), 0);
    CHECK_STR(c.at.name, "audit-000002.jsonl");
    struct stat st;
    CHECK_INT(fstat(c.fd, &st), 0);
    CHECK_INT(st.st_mode & 07777, 0600);
    segment_close(&a);
    segment_close(&c);
    CHECK_INT(c.fd, -1);
    rig_end(&r);
}

TEST(an_existing_segment_is_resumed_and_cut)
{
    struct rig r;
    rig_begin(&r, NULL);
    struct segment a = {.dir = r.dirfd, .fd = -1};
    struct ring_place p = place("audit-000001.jsonl", 0);
    CHECK_INT(segment_open(&a, &p, true), ENOENT);
    CHECK_OK(file_write_atomic_at(r.dirfd, p.name, VIEW("one\ntwo\nthr", 11), 0600, &r.why), r.why);
    p.offset = 12;
    CHECK_INT(segment_open(&a, &p, true), EINVAL); /* shorter than that */
    p.offset = 4;
    CHECK_INT(segment_open(&a, &p, false), 0);
    rig_check_file(&r, p.name, "one\ntwo\nthr");
    CHECK_INT(write_text(&a, "two\nthree\n"), 0); /* the same again, and the rest */
    rig_check_file(&r, p.name, "one\ntwo\nthree\n");
    segment_close(&a);
    p.offset = 8;
    CHECK_INT(segment_open(&a, &p, true), 0);
    rig_check_file(&r, p.name, "one\ntwo\n");
    segment_close(&a);
    rig_end(&r);
}

TEST(a_locked_segment_is_not_cut)
{
    struct rig r;
    rig_begin(&r, NULL);
    struct segment a = {.dir = r.dirfd, .fd = -1};
    CHECK_OK(file_write_atomic_at(r.dirfd, "audit-000001.jsonl", VIEW("one\ntwo\n", 8), 0600, &r.why), r.why);
    int fd = openat(r.dirfd, "audit-000001.jsonl", O_RDONLY | O_CLOEXEC);
    CHECK_INT(flock(fd, LOCK_EX), 0);
    struct ring_place p = place("audit-000001.jsonl", 4);
    CHECK_INT(segment_open(&a, &p, true), EWOULDBLOCK);
    rig_check_file(&r, p.name, "one\ntwo\n");
    close(fd);
    CHECK_INT(segment_open(&a, &p, true), 0);
    segment_close(&a);
    rig_end(&r);
}

TEST(links_and_other_things_are_no_segments)
{
    struct rig r;
    rig_begin(&r, NULL);
    struct segment a = {.dir = r.dirfd, .fd = -1};
    CHECK_INT(symlinkat("/tmp/sink-test-elsewhere", r.dirfd, "audit-000001.jsonl"), 0);
    CHECK_INT(mkdirat(r.dirfd, "audit-000002.jsonl", 0700), 0);
    struct ring_place p = place("audit-000001.jsonl", SEGMENT_NEW);
    CHECK_INT(segment_open(&a, &p, true), ELOOP);
    p = place("audit-000002.jsonl", SEGMENT_NEW);
    CHECK_INT(segment_open(&a, &p, true), EISDIR);
    CHECK_INT(a.fd, -1);
    CHECK(access("/tmp/sink-test-elsewhere", F_OK) != 0);
    rig_end(&r);
}

TEST(a_write_over_the_limit_leaves_whole_lines)
{
    struct rig r;
    struct rlimit old;
    rig_begin(&r, NULL);
    struct segment a = {.dir = r.dirfd, .fd = -1};
    struct ring_place p = place("audit-000001.jsonl", SEGMENT_NEW);
    CHECK_INT(segment_open(&a, &p, true), 0);
    CHECK_INT(write_text(&a, "12345678\n"), 0);
    (void)signal(SIGXFSZ, SIG_IGN);
    CHECK_INT(getrlimit(RLIMIT_FSIZE, &old), 0);
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &(struct rlimit){12, old.rlim_max}), 0);
    int no = write_text(&a, "abcdefgh\n");
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &old), 0);
    CHECK_INT(no, EFBIG);
    CHECK(!a.lost);
    CHECK_INT(a.at.offset, 9);
    rig_check_file(&r, "audit-000001.jsonl", "12345678\n"); /* the four bytes that fitted are gone */
    CHECK_INT(write_text(&a, "abcdefgh\n"), 0);
    rig_check_file(&r, "audit-000001.jsonl", "12345678\nabcdefgh\n");
    segment_close(&a);
    rig_end(&r);
}

TEST(an_abandoned_segment_keeps_what_is_durable)
{
    struct rig r;
    rig_begin(&r, NULL);
    struct segment a = {.dir = r.dirfd, .fd = -1};
    struct ring_place p = place("audit-000001.jsonl", SEGMENT_NEW);
    CHECK_INT(segment_open(&a, &p, true), 0);
    CHECK_INT(write_text(&a, "durable\n"), 0);
    CHECK_INT(write_text(&a, "perhaps\n"), 0);
    a.lost = true;
    a.at.offset = 8;
    CHECK_INT(segment_abandon(&a), 0);
    CHECK_STR(a.at.name, "audit-000002.jsonl");
    CHECK(!a.lost && a.at.offset == 0);
    rig_check_file(&r, "audit-000001.jsonl", "durable\n");
    CHECK_INT(segment_abandon(&a), 0); /* nothing durable in it: no empty files are left behind */
    CHECK_STR(a.at.name, "audit-000002.jsonl");
    segment_close(&a);
    rig_end(&r);
}

TEST(a_failed_sync_loses_the_segment)
{
    struct rig r;
    rig_begin(&r, NULL);
    struct segment a = {.dir = r.dirfd, .fd = -1};
    int pair[2]; /* fdatasync of a pipe is EINVAL: a failure that needs no broken disk */
    CHECK_INT(pipe2(pair, O_CLOEXEC), 0);
    a.fd = pair[1];
    CHECK_INT(segment_sync(&a), 0); /* clean: nothing is asked */
    a.dirty = true;
    CHECK_INT(segment_sync(&a), EINVAL);
    CHECK(a.lost);
    close(pair[0]);
    segment_close(&a);
    rig_end(&r);
}

TEST(a_file_is_replaced_whole)
{
    struct rig r;
    rig_begin(&r, NULL);
    CHECK_INT(segment_replace(r.dirfd, "audit.state", VIEW("old", 3)), 0);
    CHECK_INT(segment_replace(r.dirfd, "audit.state", VIEW("newer", 5)), 0);
    rig_check_file(&r, "audit.state", "newer");
    CHECK(faccessat(r.dirfd, ".audit.state.tmp", F_OK, 0) != 0);
    CHECK_INT(mkdirat(r.dirfd, "taken", 0700), 0);
    CHECK_INT(segment_replace(r.dirfd, "taken", VIEW("x", 1)), EISDIR);
    CHECK(faccessat(r.dirfd, ".taken.tmp", F_OK, 0) != 0);
    rig_end(&r);
}
