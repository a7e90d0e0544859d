/* What a process that stays behind keeps open. */
#include "check.h"

#include "exec/fds.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

static int count_fds(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n - 3; /* ".", ".." and the directory's own */
}

/* Runs `fn` in a child: its failures end it with a status. */
static int in_child(int (*fn)(void))
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0)
        _exit(fn());
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

static int keeps_two(void)
{
    struct why why = {0};
    int p[2], kept[3];
    char c = 0, target[64] = "";
    if (pipe(p) < 0 || dup2(p[0], 90) < 0)
        return 1;
    kept[0] = p[1], kept[1] = -1, kept[2] = 90;
    if (fds_keep(kept, 3, &why) != ERR_OK)
        return 2;
    if (kept[0] != 3 || kept[1] != -1 || kept[2] != 4)
        return 3;
    if (!(fcntl(3, F_GETFD) & FD_CLOEXEC) || !(fcntl(4, F_GETFD) & FD_CLOEXEC))
        return 4;
    if (count_fds() != 5)
        return 5;
    if (write(3, "x", 1) != 1 || read(4, &c, 1) != 1 || c != 'x')
        return 6;
    for (int i = 0; i < 3; i++) {
        char path[32];
        snprintf(path, sizeof(path), "/proc/self/fd/%d", i);
        if (readlink(path, target, sizeof(target) - 1) != 9 || strcmp(target, "/dev/null") != 0)
            return 7;
    }
    return 0;
}

static int keeps_what_stood_in_the_wrong_place(void)
{
    struct why why = {0};
    int p[2], kept[2];
    char c = 0;
    close(0);
    close(1);
    close(2);
    if (pipe(p) < 0 || p[0] != 0 || p[1] != 1) /* where /dev/null goes */
        return 1;
    if (dup2(0, 4) < 0 || dup2(1, 3) < 0) /* and each where the other goes */
        return 2;
    kept[0] = 4, kept[1] = 3;
    if (fds_keep(kept, 2, &why) != ERR_OK)
        return 3;
    if (write(kept[1], "y", 1) != 1 || read(kept[0], &c, 1) != 1 || c != 'y')
        return 4;
    return count_fds() == 5 ? 0 : 5;
}

static int one_that_is_not_open(void)
{
    struct why why = {0};
    int kept[] = {77}, many[FDS_KEPT + 1] = {0};
    close(77);
    if (fds_keep(kept, 1, &why) == ERR_OK)
        return 1;
    return fds_keep(many, FDS_KEPT + 1, &why) == ERR_INTERNAL ? 0 : 2;
}

TEST(only_what_is_named_stays_open)
{
    CHECK_INT(in_child(keeps_two), 0);
}
TEST(places_that_overlap_are_no_matter)
{
    CHECK_INT(in_child(keeps_what_stood_in_the_wrong_place), 0);
}
TEST(what_cannot_be_kept_is_said)
{
    CHECK_INT(in_child(one_that_is_not_open), 0);
}
