/*
 * The leases of one start: all of them, or none.
 */
#ifndef EXEC_LEASE_H
#define EXEC_LEASE_H

#include "exec/options.h"
#include "exec/profile.h"

struct exec_lease {
    const struct profile_slot *slot;
    const struct profile_way *way;
    struct broker_lease lease;
    char *file, *dir;   /* absolute path of the projected file and its directory; NULL: no file */
    char *proxy_socket; /* absolute path of the data plane's socket; NULL: not proxied */
};
struct exec_leases {
    struct exec_lease item[PROFILE_USES];
    size_t n;
    struct broker_client *client;
};
/* Leases what the profile wants, or what was asked for by name. While the broker is away, locked or
 * busy it goes on trying until wait_ms are over. A half of them is given back. */
MUST err_t exec_leases_take(const struct exec_options *o, const struct profile *p,
                            struct exec_leases *out, struct why *why);
/* The absolute path of the broker's socket. `out` has room for PATH_MAX. */
MUST err_t exec_leases_socket(const struct exec_leases *l, char *out, struct why *why);
/* Gives them back to the broker: the program was not started. */
void exec_leases_end(struct exec_leases *l);
void exec_leases_free(struct exec_leases *l); /* wipes */

#endif
