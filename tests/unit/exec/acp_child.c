/* A program as a child that is as little of one as can be. */
#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "exec/acp_child.h"

extern char **environ;

static struct why why;

static err_t start(const char *path, const char *script, struct acp_child *c)
{
    char *argv[] = {"sh", "-c", (char *)(uintptr_t)script, NULL};
    struct acp_program p = {path, argv, environ};
    return acp_child_start(&p, c, &why);
}
static void close_all(struct acp_child *c)
{
    close(c->in);
    close(c->out);
    close(c->err);
}
static void read_all(int fd, char *text, size_t room)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    size_t n = 0;
    for (ssize_t r; poll(&p, 1, 5000) > 0 && (r = read(fd, text + n, room - 1 - n)) > 0;)
        n += (size_t)r;
    text[n] = '\0';
}

TEST(its_input_output_and_errors_are_ours)
{
    struct acp_child c;
    char text[100];
    int status;
    CHECK_OK(start("/bin/sh", "read x; echo got $x; echo oh >&2; exit 7", &c), why);
    CHECK(fcntl(c.out, F_GETFL) & O_NONBLOCK);
    CHECK(write(c.in, "this\n", 5) == 5);
    read_all(c.out, text, sizeof(text));
    CHECK_STR(text, "got this\n");
    read_all(c.err, text, sizeof(text));
    CHECK_STR(text, "oh\n");
    CHECK(waitpid(c.pid, &status, 0) == c.pid && WEXITSTATUS(status) == 7);
    close_all(&c);
}

TEST(what_cannot_be_run_is_said)
{
    struct acp_child c = {.pid = -1};
    CHECK_INT(start("/nowhere/program", "", &c), ERR_NOT_FOUND);
    CHECK(strstr(why.text, "/nowhere/program cannot be run") != NULL);
    CHECK_INT(start("/dev/null", "", &c), ERR_PERMISSION);
    CHECK(c.pid == -1 && waitpid(-1, NULL, WNOHANG) < 0); /* nothing is left */
}

TEST(the_standard_descriptors_are_open_afterwards)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        close(0);
        close(1);
        close(2);
        _exit(acp_child_prepare(&why) == ERR_OK && fcntl(0, F_GETFD) >= 0 && fcntl(1, F_GETFD) >= 0 &&
                      fcntl(2, F_GETFD) >= 0 && fcntl(3, F_GETFD) < 0
                  ? 0
                  : 1);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    CHECK_OK(acp_child_prepare(&why), why);
}

/* ---- signals, in a process of their own */

static int ended_status = -1;
static void on_ended(void *ctx, int status)
{
    ended_status = status;
    loop_stop(ctx, 0);
}

/* Becomes the parent of `script`; ends as it does. `ready` is written to when signals are passed. */
static _Noreturn void stand_before(const char *script, int ready)
{
    struct acp_signals *s = NULL;
    struct acp_child c;
    struct loop *l = NULL;
    char byte;
    struct pollfd p;
    if (loop_new(&l, &why) != ERR_OK || start("/bin/sh", script, &c) != ERR_OK ||
        acp_signals_new(l, c.pid, on_ended, l, &s, &why) != ERR_OK)
        _exit(90);
    p = (struct pollfd){.fd = c.out, .events = POLLIN};
    if (poll(&p, 1, 5000) < 0 || read(c.out, &byte, 1) < 0 || write(ready, "r", 1) < 0)
        _exit(91);
    (void)loop_run(l);
    acp_signals_free(s);
    acp_child_mirror(ended_status);
}
static int stand(const char *script, int signo)
{
    int ready[2], status = -1;
    char byte;
    CHECK(pipe2(ready, O_CLOEXEC) == 0);
    pid_t pid = fork();
    if (pid == 0)
        stand_before(script, ready[1]);
    CHECK(read(ready[0], &byte, 1) == 1);
    if (signo)
        CHECK(kill(pid, signo) == 0);
    CHECK(waitpid(pid, &status, 0) == pid);
    close(ready[0]);
    close(ready[1]);
    return status;
}

TEST(its_exit_code_is_ours)
{
    int status = stand("echo; exit 33", 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 33);
}

TEST(its_death_is_ours)
{
    static const int signals[] = {SIGTERM, SIGKILL, SIGSEGV, SIGPIPE, SIGUSR1};
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        char script[64];
        snprintf(script, sizeof(script), "ulimit -c 0; echo; kill -%d $$", signals[i]);
        int status = stand(script, 0);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == signals[i]);
    }
}

TEST(our_signals_are_its)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        char script[128];
        snprintf(script, sizeof(script), "trap 'exit %d' %d; echo; while :; do sleep 0.01; done", 50 + signals[i], signals[i]);
        int status = stand(script, signals[i]);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 50 + signals[i]);
    }
    int status = stand("echo; while :; do sleep 0.01; done", SIGTERM);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

TEST(it_dies_with_us)
{
    char text[100], byte;
    int ready[2], said[2], status;
    CHECK(pipe2(ready, O_CLOEXEC) == 0 && pipe(said) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        char script[64];
        snprintf(script, sizeof(script), "echo; while echo x >&%d; do sleep 0.01; done", said[1]);
        stand_before(script, ready[1]);
    }
    close(said[1]);
    CHECK(read(ready[0], &byte, 1) == 1 && kill(pid, SIGKILL) == 0);
    CHECK(waitpid(pid, &status, 0) == pid);
    int64_t until = clock_boot_ms() + 5000;
    while (read(said[0], text, sizeof(text)) > 0) /* until nobody holds the other end */
        CHECK(clock_boot_ms() < until);
    close(said[0]);
    close(ready[0]);
    close(ready[1]);
}

TEST(signals_that_were_ignored_are_still)
{
    struct acp_child c;
    char text[200];
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGCHLD, SIG_IGN);
    char *argv[] = {"grep", "SigIgn", "/proc/self/status", NULL}; /* a shell has its own ideas of SIGCHLD */
    struct acp_program grep = {"/bin/grep", argv, environ};
    CHECK_OK(acp_child_start(&grep, &c, &why), why);
    (void)signal(SIGHUP, SIG_DFL);
    read_all(c.out, text, sizeof(text));
    unsigned long long ignored = strtoull(strchr(text, '\t'), NULL, 16);
    CHECK(ignored & 1ull << (SIGHUP - 1));
    CHECK(ignored & 1ull << (SIGCHLD - 1));
    CHECK(waitpid(c.pid, NULL, 0) == c.pid); /* we wait for it all the same */
    close_all(&c);
}
