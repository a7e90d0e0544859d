/*
 * The seccomp allow-lists: one table for all roles (syscalls.c).
 */
#ifndef BASE_SYSCALLS_H
#define BASE_SYSCALLS_H

#include "base/sandbox.h"

/* Loads the role's filter, for good and for all children. */
MUST err_t syscalls_confine(enum sandbox_role role, struct why *why);

#endif
