/*
 * The process that people start: holds no key, parses no input, starts and ends the others.
 *
 *     vault ── SPAWN{ROLE} ──▶ supervisor     SPAWNED{ROLE PID + socket}, or SPAWNED{STATUS REASON
 * ROLE} when it cannot CHILD_EXIT{ROLE PID EXIT} when it ended vault ── NOTIFY{NOTE} ─▶ the line
 * goes to the service manager vault ◀── RELOAD_SIGNAL, STOP ──        SIGHUP; SIGTERM or SIGINT
 */
#ifndef SUPERVISOR_SUPERVISOR_H
#define SUPERVISOR_SUPERVISOR_H

#include "supervisor/spawn.h"

/* A role (a role with SPAWN_OFTEN) may be started this often within the window; the vault's further wishes wait for their
 * turn. */
enum { SUPERVISOR_STARTS = 10, SUPERVISOR_STARTS_OFTEN = 200, SUPERVISOR_WINDOW_MS = 10000 };

/* Runs until told to end; returns the exit code: 0 after SIGTERM or SIGINT, 1 when the vault ended
 * by itself, else of the error that hindered the start. `roles`: spawn_roles, or a test's own. */
int supervisor_main(const struct options *o, const struct spawn_role *roles);

#endif
