/*
 * The relay: a small process that broker-exec leaves behind, so that a program that speaks only TCP
 * reaches the broker's data plane from a namespace without any network.
 */
#ifndef EXEC_RELAY_H
#define EXEC_RELAY_H

#include "exec/lease.h"

enum { RELAY_READY_MS = 10000 };
struct relay_ask {
    const char *broker_socket, *proxy_socket; /* absolute */
    int64_t ttl_ms;                           /* what a renewal asks for; 0: as granted */
    bool ends_leases;                         /* the broker does not end them with the program */
};
/* Starts it for the present process, which is about to become the program: it listens on 127.0.0.1:*port when this
 * returns, keeps the proxied ones of `leases` alive, and ends with this process. It holds none of this process's
 * descriptors and is no child that a wait(2) would see. */
MUST err_t relay_start(const struct relay_ask *ask, struct exec_leases *leases, uint16_t *port,
                       struct why *why);

#endif
