/*
 * Runs a function in a forked child, because what a sandbox takes away cannot be given back. Gives the wait status.
 */
#ifndef TESTS_FORKED_H
#define TESTS_FORKED_H

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FORKED_BAD = 99 }; /* exit code: the sandbox itself failed */

static inline int forked(int (*fn)(void *ctx), void *ctx)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0)
        _exit(fn(ctx));
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        abort();
    return status;
}

static inline int exit_code(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static inline int killed_by(int status)
{
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

#endif
