/*
 * Landlock (landlock(7)): what a role may do with files, and with processes and sockets outside
 * brokerd. Raw system calls with definitions of our own, because the headers of a distribution are
 * older than the kernels it runs on.
 */
#ifndef BASE_LANDLOCK_H
#define BASE_LANDLOCK_H

#include "base/sandbox.h"

/* Restricts this process for good. *abi is the kernel's version, 0 when it has no Landlock (nothing
 * is restricted then; no error). Needs no_new_privs. */
MUST err_t landlock_confine(enum sandbox_role role, const struct sandbox_path *paths, int *abi,
                            struct why *why);

#endif
