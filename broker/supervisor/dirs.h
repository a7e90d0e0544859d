/*
 * The directories brokerd lives in.
 */
#ifndef SUPERVISOR_DIRS_H
#define SUPERVISOR_DIRS_H

#include "supervisor/options.h"

/* Makes the state, run and configuration directories where they are missing (the last one if it
 * can); in system mode (as root) they go to the user. */
MUST err_t dirs_make(const struct options *o, struct why *why);
/* As the user we stay: refuses, with the remedy, directories of somebody else or writable by
 * somebody else. */
MUST err_t dirs_check(const struct options *o, struct why *why);

#endif
