/*
 * Carries bytes between TCP connections on 127.0.0.1 and the broker's data plane, a Unix socket. It
 * reads nothing into them.
 */
#ifndef EXEC_PUMP_H
#define EXEC_PUMP_H

#include "base/loop.h"

#include <stddef.h>

enum {
    PUMP_CONNECTIONS = 1024, /* at a time; those beyond wait in the kernel's queue */
    PUMP_PATIENCE_MS = 5000, /* a new connection waits so long for a proxy that is starting */
    PUMP_LINGER_MS =
        2000 /* what the client still sends is taken, so that it can read the end of the answer */
};
struct pump_options {
    const char *proxy_socket; /* stays the caller's */
    unsigned connections;     /* 0: PUMP_CONNECTIONS; less where the descriptor limit wants it */
    int64_t patience_ms;      /* 0: PUMP_PATIENCE_MS */
};

struct pump;
/* Listens on 127.0.0.1, on a port that the kernel picks. ERR_UNAVAILABLE: the loopback interface is down. */
MUST err_t pump_new(struct loop *l, const struct pump_options *o, struct pump **out,
                    struct why *why);
uint16_t pump_port(const struct pump *p);
size_t pump_connections(const struct pump *p); /* open now */
void pump_free(struct pump *p);                /* takes NULL; cuts what is open */

#endif
