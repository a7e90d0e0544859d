/*
 * The seccomp allow-lists: one table for all roles (sandbox_calls.c).
 */
#ifndef BASE_SANDBOX_CALLS_H
#define BASE_SANDBOX_CALLS_H

#include "base/sandbox.h"

/* Loads the role's filter, for good and for all children. */
MUST err_t sandbox_calls_confine(enum sandbox_role role, struct why *why);

#endif
