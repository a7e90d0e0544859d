/* base/start.c: what the workers do alike at their start. */
#include "base/start.h"

#include "base/auto.h"
#include "check.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>

TEST(a_descriptor_is_a_plain_small_number)
{
    static const char *const bad[] = {"", "2", "-4", "1025", "99999999999999999999", "4x", "x"};
    int fd = -7;
    for (size_t i = 0; i < COUNT(bad); i++)
        CHECK(!start_fd(bad[i], &fd) && fd == -7);
    CHECK(start_fd("3", &fd) && fd == 3);
    CHECK(start_fd("1024", &fd) && fd == 1024);
}

TEST(descriptors_are_raised_as_far_as_the_hard_limit_and_never_lowered)
{
    struct rlimit was, r;
    CHECK(getrlimit(RLIMIT_NOFILE, &was) == 0);
    r = (struct rlimit){64, was.rlim_max < 512 ? was.rlim_max : 512};
    pid_t pid = fork(); /* a hard limit does not come back */
    CHECK(pid >= 0);
    if (pid == 0) {
        struct rlimit now;
        bool good = setrlimit(RLIMIT_NOFILE, &r) == 0;
        start_descriptors(32);
        good = good && getrlimit(RLIMIT_NOFILE, &now) == 0 && now.rlim_cur == 64;
        start_descriptors(128);
        good = good && getrlimit(RLIMIT_NOFILE, &now) == 0 && now.rlim_cur == 128;
        start_descriptors(100000);
        good = good && getrlimit(RLIMIT_NOFILE, &now) == 0 && now.rlim_cur == r.rlim_max;
        _exit(good ? 0 : 1);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 0);
}

static bool readable(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static void make(char path[static 64], const char *dir)
{
    (void)snprintf(path, 64, "%s/f", dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    close(fd);
}

/* In a child: the sandbox is for life. What it may read is told by its exit code. */
TEST(outwards_reads_certificates_and_what_lies_beside_the_configuration_only)
{
    char beside[] = "/tmp/start-a-XXXXXX", elsewhere[] = "/tmp/start-b-XXXXXX", file[64], other[64], config[80];
    CHECK(mkdtemp(beside) && mkdtemp(elsewhere));
    make(file, beside);
    make(other, elsewhere);
    (void)snprintf(config, sizeof(config), "%s/broker.yaml", beside);
    CHECK(setenv("SSL_CERT_DIR", "relative", 1) == 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        char report[64] = "";
        struct why why = {0};
        if (sandbox_process(&why) != ERR_OK || start_outwards(SANDBOX_PROXY, config, report, &why) != ERR_OK)
            _exit(9);
        bool confined = strstr(report, "landlock") != NULL;
        bool good = readable("/etc/hosts") && readable(file) && !(confined && readable(other));
        _exit(good ? (confined ? 0 : 77) : 1);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(unlink(file) == 0 && unlink(other) == 0 && rmdir(beside) == 0 && rmdir(elsewhere) == 0);
    CHECK(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        SKIP("no Landlock here");
    CHECK_INT(WEXITSTATUS(status), 0);
}
