/* What /proc shows of a process that has changed its looks. */
#include "check.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exec/looks.h"

static size_t slurp(const char *path, char *text, size_t room)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, room - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    return n > 0 ? (size_t)n : 0;
}

static bool holds_letters(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (text[i])
            return true;
    return false;
}

/* In a child: 0 when what it shows is as it must be. */
static int changed(const char *name)
{
    char before[8192], after[8192], line[200];
    if (slurp("/proc/self/environ", before, sizeof(before)) < 3 || !getenv("PATH"))
        return 1;
    looks_change(name);
    if (getenv("PATH") || holds_letters(after, slurp("/proc/self/environ", after, sizeof(after))))
        return 2;
    (void)slurp("/proc/self/cmdline", line, sizeof(line));
    if (name && strcmp(line, name) != 0)
        return 3;
    return !name && !strstr(line, "looks") ? 4 : 0;
}

static int in_child(const char *name)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0)
        _exit(changed(name));
    CHECK(waitpid(pid, &status, 0) == pid);
    return WEXITSTATUS(status);
}

TEST(the_environment_is_gone)
{
    CHECK_INT(in_child(NULL), 0);
}

TEST(the_name_is_shown)
{
    CHECK_INT(in_child("another-name"), 0);
}
