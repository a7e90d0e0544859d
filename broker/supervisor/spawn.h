/*
 * How the roles are started: which program, told what, with which environment.
 */
#ifndef SUPERVISOR_SPAWN_H
#define SUPERVISOR_SPAWN_H

#include "supervisor/options.h"

enum { SPAWN_ROLES = 16, SPAWN_FD = 3 };

/* SPAWN_DIRS: --state, --run, --config, --system and --log-level; SPAWN_CONFIG: --config alone; SPAWN_OFTEN: lives for one job, so that many
 * starts are no sign of a fault (supervisor.h). */
enum { SPAWN_DIRS = 1, SPAWN_CONFIG = 2, SPAWN_OFTEN = 4 };

struct spawn_role {
    const char *name;
    const char *program;      /* file name, found beside brokerd or in ../libexec/credential-broker;
                                 NULL: brokerd itself;      with a slash: taken as it is */
    unsigned told;            /* of the above */
    const char *const *keeps; /* names of further variables it keeps; "NAME=value" is set;
                                 NULL-terminated, may be NULL */
};
/* The vault is the first row; a row without a name ends the table. */
extern const struct spawn_role spawn_roles[];
/* Index of the role, -1 when there is none. */
int spawn_find(const struct spawn_role *roles, const char *name);

struct spawner;
/* Finds and opens every program now, so that what runs later is what was installed when brokerd
 * started (an upgrade meanwhile would mix two message tables). A missing program is an error only
 * when its role is started. `roles` and `o` must stay. */
MUST err_t spawner_new(const struct spawn_role *roles, const struct options *o,
                       struct spawner **out, struct why *why);
void spawner_free(struct spawner *s); /* takes NULL */

struct spawned {
    pid_t pid;
    int sock; /* our end of the pair whose other end the role has as descriptor SPAWN_FD */
};
/* ERR_NOT_FOUND: its program is not installed; ERR_LIMIT: no process or descriptor left. The role
 * gets /dev/null for stdin and stdout, our stderr, its socket, no other descriptor, a session of
 * its own, no blocked signal. */
MUST err_t spawn_role(struct spawner *s, int role, struct spawned *out, struct why *why);

#endif
