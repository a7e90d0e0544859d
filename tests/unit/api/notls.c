/* The two calls that must work do, and any other one ends the process. */
#include "check.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int gnutls_global_init(void);
void gnutls_global_deinit(void);
void gnutls_init(void);

TEST(starting_and_ending_do_nothing)
{
    CHECK_INT(gnutls_global_init(), 0);
    gnutls_global_deinit();
}

TEST(a_call_for_tls_ends_the_process)
{
    int status;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        const struct rlimit none = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &none);
        gnutls_init();
        _exit(0);
    }
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}
