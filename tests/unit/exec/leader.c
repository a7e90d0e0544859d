/* Waiting for the end of a process that is not one's child, with a pidfd and without. */
#include "check.h"

#include "base/clock.h"
#include "exec/leader.h"

#include <errno.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static struct why why;

/* A child that tells who it is and then does `then`; not waited for by the kernel's leave (a zombie stays one). */
static pid_t child(struct leader_id *id, void (*then)(void))
{
    int p[2];
    CHECK(pipe(p) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(p[0]);
        leader_here(id);
        if (write(p[1], id, sizeof(*id)) != (ssize_t)sizeof(*id))
            _exit(1);
        close(p[1]);
        then();
        _exit(0);
    }
    close(p[1]);
    CHECK(read(p[0], id, sizeof(*id)) == (ssize_t)sizeof(*id));
    close(p[0]);
    CHECK_INT(id->pid, pid);
    id->pidfd = -1;
    return pid;
}

static void sleeps(void)
{
    sleep(20);
}
static void becomes_sleep(void)
{
    execl("/bin/sleep", "sleep", "20", (char *)NULL);
}
static void forks_and_ends(void)
{
    if (fork() == 0)
        sleep(3);
}

static void on_gone(void *ctx)
{
    loop_stop(ctx, 7);
}
static void on_late(void *ctx)
{
    loop_stop(ctx, 9);
}

/* 7: heard of the end; 9: not within `ms` */
static int hears(const struct leader_id *id, int64_t ms)
{
    struct loop *l = NULL;
    struct leader *w = NULL;
    struct loop_timer *late = NULL;
    CHECK_OK(loop_new(&l, &why), why);
    CHECK_OK(leader_watch(l, id, on_gone, l, &w, &why), why);
    CHECK(loop_timer_new(l, on_late, l, &late) == ERR_OK);
    CHECK(loop_timer_set(late, clock_boot_ms() + ms) == ERR_OK);
    int how = loop_run(l);
    leader_free(w);
    loop_timer_free(late);
    loop_free(l);
    return how;
}

static void ends_by(int signo, void (*then)(void), bool with_pidfd)
{
    struct leader_id id;
    pid_t pid = child(&id, then);
    if (with_pidfd) {
        id.pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        if (id.pidfd < 0) {
            kill(pid, SIGKILL);
            waitpid(pid, NULL, 0);
            SKIP("no pidfd_open here");
        }
    }
    if (signo) {
        usleep(20000);
        CHECK(leader_lives(&id));
        CHECK_INT(hears(&id, 2 * LEADER_LOOK_MS + 100), 9);
        kill(pid, signo);
    }
    CHECK_INT(hears(&id, 1000), 7); /* it is a zombie still: nobody has waited */
    CHECK(!leader_lives(&id));
    waitpid(pid, NULL, 0);
    CHECK(!leader_lives(&id));
    if (id.pidfd >= 0)
        close(id.pidfd);
}

TEST(by_its_pidfd)
{
    ends_by(SIGKILL, sleeps, true);
    ends_by(SIGTERM, becomes_sleep, true);
    ends_by(0, forks_and_ends, true);
}
TEST(by_looking)
{
    ends_by(SIGKILL, sleeps, false);
    ends_by(SIGTERM, becomes_sleep, false);
    ends_by(0, forks_and_ends, false);
}

TEST(another_process_with_its_pid_is_not_it)
{
    struct leader_id id;
    leader_here(&id);
    CHECK(id.start > 0 && leader_lives(&id));
    id.start++;
    CHECK(!leader_lives(&id));
    id.start = 0; /* not known: the pid alone counts */
    CHECK(leader_lives(&id));
    id.pid = 0x7ffffff0;
    CHECK(!leader_lives(&id));
    if (id.pidfd >= 0)
        close(id.pidfd);
}

TEST(a_name_with_brackets_does_not_confuse)
{
    struct leader_id before, after;
    FILE *out = fopen("/proc/self/comm", "we");
    leader_here(&before);
    CHECK(out && fputs("a) Z 1 (b", out) >= 0 && fclose(out) == 0);
    leader_here(&after);
    CHECK(before.start == after.start && leader_lives(&before));
    close(before.pidfd);
    close(after.pidfd);
}
