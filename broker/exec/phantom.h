/*
 * A login file that holds no login: for programs that take theirs only from a file which they write themselves.
 */
#ifndef EXEC_PHANTOM_H
#define EXEC_PHANTOM_H

#include <broker/err.h>

/* Writes `text` as `dir`/`name` (0600), in one step; `dir` is made (0700) where only its last part is missing. One of an earlier start is
 * replaced. ERR_EXISTS: what is there has no token of ours in it, or is a link: it is never touched. */
MUST err_t phantom_place(const char *dir, const char *name, const char *text, struct why *why);

#endif
