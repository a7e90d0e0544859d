/*
 * Between an ACP client on standard input and output and its adapter: every message passes as it is,
 * and the adapter gets its login from the broker over the protocol, again and again while it runs.
 */
#ifndef EXEC_ACP_H
#define EXEC_ACP_H

#include "exec/acp_child.h"
#include "exec/lease.h"

enum {
    ACP_DRAIN_MS =
        10000, /* the client may stand still so long before what an ended adapter said is dropped */
    ACP_ERRORS_MS = 1000
};
struct acp_ask {
    int64_t ttl_ms; /* of the leases that are taken later; 0: as granted */
    bool owner_process;
};
struct acp;
/* Listens on 127.0.0.1 where one of the leases is proxied and is told of a relay, or may be; acp_port is 0 else. */
MUST err_t acp_new(const struct acp_ask *ask, const struct exec_leases *leases, struct acp **out,
                   struct why *why);
uint16_t acp_port(const struct acp *a);
/* Starts the adapter. What it needs of `leases` is taken over, the rest freed; the environment of this
 * process is wiped. After an error they are as they were. */
MUST err_t acp_start(struct acp *a, const struct acp_program *program, struct exec_leases *leases,
                     struct why *why);
/* Until the adapter has ended: its status, of wait(2). */
int acp_serve(struct acp *a);
void acp_free(struct acp *a); /* takes NULL */

#endif
