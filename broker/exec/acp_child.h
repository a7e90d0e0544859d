/*
 * A program as a child that is as little of one as can be: its input, output and errors go through
 * us, our signals are its signals, and its end is our end.
 */
#ifndef EXEC_ACP_CHILD_H
#define EXEC_ACP_CHILD_H

#include "base/loop.h"

#include <sys/types.h>

struct acp_child {
    pid_t pid;
    int in, out, err; /* our ends of its pipes, non-blocking; the caller's */
};
struct acp_program {
    const char *path;
    char **argv, **environ;
};
/* To be called first of all: descriptors 0 to 2 are open afterwards. */
MUST err_t acp_child_prepare(struct why *why);
/* Starts it, with the signals as this process has got them. ERR_PERMISSION as of execve. */
MUST err_t acp_child_start(const struct acp_program *program, struct acp_child *out,
                           struct why *why);
/* From here on: ended(ctx, status) when it has ended, a status of wait(2); signals that this process is sent are passed to it,
 * but those of a terminal, which it gets itself. Every other child is waited for too. */
typedef void acp_ended_fn(void *ctx, int status);
struct acp_signals;
MUST err_t acp_signals_new(struct loop *l, pid_t pid, acp_ended_fn *ended, void *ctx,
                           struct acp_signals **out, struct why *why);
void acp_signals_free(struct acp_signals *s); /* takes NULL */
/* Ends as the child did: by the same signal, or with its exit status. */
_Noreturn void acp_child_mirror(int status);

#endif
