/*
 * Something that may take its time, done by a forked child while the loop goes on; its outcome is a
 * few bytes on a pipe.
 */
#ifndef EXEC_ERRAND_H
#define EXEC_ERRAND_H

#include "base/loop.h"

#include <stddef.h>

enum { ERRAND_ANSWER_MAX = 4096 }; /* PIPE_BUF: one write */
struct errand;
struct errand_options {
    /* In the child, with no descriptor but /dev/null as 0 to 2, `answer`, and `keep` (-1: none) in its new place. It may return. */
    void (*run)(void *ctx, int answer, int keep);
    /* In the parent, once: what was written; n is 0 where the child died before it had. The errand is gone. */
    void (*heard)(void *ctx, const void *p, size_t n);
    void *ctx;
    int keep; /* stays the caller's; -1: none */
};
/* The child is waited for by nobody here: the caller ignores SIGCHLD, or waits for every child. */
MUST err_t errand_send(struct loop *l, const struct errand_options *o, struct errand **out,
                       struct why *why);
void errand_forget(struct errand *e); /* takes NULL: nothing is heard of it any more */

#endif
