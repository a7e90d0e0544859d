/*
 * The program to start: found before anything is leased, so that a slip in its name costs nothing.
 */
#ifndef EXEC_COMMAND_H
#define EXEC_COMMAND_H

#include <broker/err.h>

/* The path that `name` stands for, by `search` (a PATH; NULL takes the usual one) where it has no
 * slash. `out` has room for PATH_MAX. ERR_NOT_FOUND, or ERR_PERMISSION: it is there and cannot be
 * run. */
MUST err_t command_find(const char *name, const char *search, char *out, struct why *why);

#endif
