/*
 * Descriptors of a process that stays behind a program: none of the program's may be held open.
 */
#ifndef EXEC_FDS_H
#define EXEC_FDS_H

#include <broker/err.h>

enum { FDS_KEPT = 4 };
/* Closes every descriptor but keep[0..n), which move to 3, 4, … in this order (-1 stays -1), close-on-exec; 0 to 2
 * are /dev/null afterwards. */
MUST err_t fds_keep(int *keep, int n, struct why *why);

#endif
