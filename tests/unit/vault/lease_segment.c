/* vault/lease_segment.c: names, order, and waiting for a writer that still drains. */
#include "lease_rig.h"

#include <sys/file.h>

static struct lease_segments s = {.lock = -1};

static int put(const char *name, const char *bytes)
{
    int fd = openat(tape.dirfd, name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, bytes, strlen(bytes)) != (ssize_t)strlen(bytes))
        abort();
    return fd;
}

TEST(segments_are_read_in_order_of_their_numbers)
{
    char name[LEASE_SEGMENT_NAME];
    rig_up();
    CHECK_OK(lease_segments_read(NULL, tape.dirfd, &s, &why), why);
    CHECK_INT(s.n, 0);
    close(put("leases-000010.journal", "ten"));
    close(put("leases-1000000.journal", "million"));
    close(put("leases-000009.journal", "nine"));
    close(put("leases-000009.journal~", "x"));
    close(put("leases-9999999999999999999.journal", "x"));
    close(put("leases-000011.corrupt", "x"));
    CHECK_OK(lease_segments_read(NULL, tape.dirfd, &s, &why), why);
    CHECK_INT(s.n, 3);
    CHECK(s.one[0].number == 9 && s.one[1].number == 10 && s.one[2].number == 1000000);
    CHECK(view_is(buf_view(&s.one[1].bytes), "ten"));
    lease_segment_name(7, name);
    CHECK_STR(name, "leases-000007.journal");
    lease_segments_set_aside(tape.dirfd, &s);
    CHECK(faccessat(tape.dirfd, "leases-000009.corrupt", F_OK, 0) == 0);
    CHECK(faccessat(tape.dirfd, "leases-1000000.corrupt", F_OK, 0) == 0);
    CHECK_OK(lease_segments_read(NULL, tape.dirfd, &s, &why), why);
    CHECK_INT(s.n, 0);
    lease_segments_free(&s);
    rig_done();
}

TEST(a_writer_that_drains_is_waited_for)
{
    rig_up();
    int fd = put("leases-000001.journal", "first");
    pid_t child = fork(); /* shares the descriptor, and so the lock */
    if (child == 0) {
        struct timespec t = {0, 100000000};
        nanosleep(&t, NULL);
        int next = put("leases-000002.journal", "second"); /* takes the new one before it lets go of the old */
        (void)flock(next, LOCK_EX);
        (void)flock(fd, LOCK_UN);
        nanosleep(&t, NULL);
        (void)!write(next, " and last", 9);
        _exit(0);
    }
    CHECK(flock(fd, LOCK_EX | LOCK_NB) == 0);
    close(fd);
    CHECK_OK(lease_segments_read(NULL, tape.dirfd, &s, &why), why);
    CHECK_INT(s.n, 2);
    CHECK(view_is(buf_view(&s.one[1].bytes), "second and last"));
    waitpid(child, NULL, 0);
    lease_segments_free(&s);
    rig_done();
}

TEST(a_writer_that_never_ends_is_named)
{
    rig_up();
    int fd = put("leases-000001.journal", "x");
    CHECK(flock(fd, LOCK_EX | LOCK_NB) == 0);
    int64_t from = real_ms(CLOCK_MONOTONIC);
    CHECK_INT(lease_segments_read(NULL, tape.dirfd, &s, &why), ERR_UNAVAILABLE);
    CHECK(strstr(why.text, "leases-000001.journal"));
    CHECK(real_ms(CLOCK_MONOTONIC) - from >= LEASE_SEGMENT_WAIT_MS - 10);
    lease_segments_free(&s);
    struct leases *ls = NULL;
    struct leases_env env = rig_env();
    CHECK_INT(leases_open(&env, &ls, &why), ERR_UNAVAILABLE);
    CHECK(!ls);
    close(fd);
    CHECK_OK(leases_open(&env, &ls, &why), why); /* torn: nothing was whole */
    leases_close(ls);
    rig_done();
}
