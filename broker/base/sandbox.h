/*
 * What a role gives up before it reads its first byte of input. Two steps: sandbox_process() at the
 * very start of every role (no dumps, no new privileges, no core, umask 077, signal defaults, freed
 * memory overwritten), and sandbox_enter() when its descriptors are open (capabilities dropped,
 * Landlock rules, then the role's seccomp allow-list). The lists are data: one table for all roles
 * in sandbox_calls.c, the rights on files in landlock.c. A call outside the list kills the process
 * (it is noticed, audited and restarted), except where the table names an errno. The environment is
 * trimmed by the supervisor, when it starts a role (supervisor/spawn.c).
 */
#ifndef BASE_SANDBOX_H
#define BASE_SANDBOX_H

#include <broker/err.h>
#include <stdbool.h>
#include <sys/types.h>

enum sandbox_role {
    SANDBOX_SUPERVISOR, /* spawns: execve, clone, wait, kill */
    SANDBOX_VAULT,      /* AF_UNIX bind/listen, files under state and run; no connect, no execve, no
                           clone */
    SANDBOX_AUDIT,      /* writes below one directory descriptor; no sockets but its own */
    SANDBOX_API,        /* accept4 on given sockets; no socket, no connect, no open */
    SANDBOX_KDF,        /* memory and one socket only */
    SANDBOX_KEYRING,    /* Secret Service over AF_UNIX: no AF_INET, no execve */
    SANDBOX_PROXY, /* TCP and UDP outwards, accept4 on given sockets, reads certificates and resolver
                           files; no AF_UNIX socket of its own, no bind */
    SANDBOX_OAUTH, /* TCP and UDP outwards, one socket, reads certificates and resolver files */
    SANDBOX__COUNT
};

/* A path a role may use, for Landlock, with all below it; never to execute. Missing paths are
 * skipped. NULL path ends the list; no list at all means: read everything, write nothing. */
struct sandbox_path {
    const char *path;
    bool write; /* else read only */
};

MUST err_t sandbox_process(struct why *why);
/* In system mode (effective uid 0): setgroups(0)/setresgid/setresuid to the named user, all
 * capabilities dropped. Does nothing when not root. ERR_NOT_FOUND with the useradd line when there
 * is no such user. */
MUST err_t sandbox_drop_user(const char *user, struct why *why);
/* `report`: where to say what is active ("seccomp landlock:7"), room 64; may be NULL. Kernels
 * without Landlock are reported, not refused. Also names the process (prctl(2) PR_SET_NAME). Built
 * with BROKER_NO_SANDBOX (sanitizers, valgrind) seccomp, Landlock and the dump protection are left
 * out and the report says "none". */
MUST err_t sandbox_enter(enum sandbox_role role, const struct sandbox_path *paths, char report[64],
                         struct why *why);

#endif
