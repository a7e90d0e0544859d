/*
 * A link where a program looks for its login file.
 */
#ifndef EXEC_LINK_H
#define EXEC_LINK_H

#include <broker/err.h>

/* Makes `dir`/`name` a symlink to `target`; `dir` is made (0700) where only its last part is
 * missing. A link of ours from an earlier start (…/files/CREDENTIAL/NAME) is replaced, in one step.
 * ERR_EXISTS: a file, or somebody else's link, is there: it is never touched. */
MUST err_t link_place(const char *dir, const char *name, const char *target, struct why *why);

#endif
