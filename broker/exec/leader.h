/*
 * A process that is waited for without being its parent. What counts is its leader: what it forked
 * does not keep it alive, an exec does not end it.
 */
#ifndef EXEC_LEADER_H
#define EXEC_LEADER_H

#include "base/loop.h"

#include <sys/types.h>

enum { LEADER_LOOK_MS = 200 };
struct leader_id {
    pid_t pid;
    int pidfd;      /* -1: this kernel, or a filter, gives none (pidfd_open, Linux 5.3) */
    uint64_t start; /* in clock ticks after boot; 0: not known, no /proc */
};
/* Of the present process; the pidfd is the caller's, close-on-exec. */
void leader_here(struct leader_id *out);
/* Is it alive, by kill(2) and /proc? A process that was not waited for yet is not, nor is another with its pid. */
bool leader_lives(const struct leader_id *id);

struct leader;
/* Calls gone(ctx) once when it has ended: at once by the pidfd, which stays the caller's, else within LEADER_LOOK_MS. */
MUST err_t leader_watch(struct loop *l, const struct leader_id *id, loop_timer_fn *gone, void *ctx,
                        struct leader **out, struct why *why);
void leader_free(struct leader *w); /* takes NULL */

#endif
