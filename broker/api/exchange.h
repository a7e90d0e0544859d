/* The steps of a request that do not depend on who reads the socket: head → row → message. */
#ifndef API_EXCHANGE_H
#define API_EXCHANGE_H

#include "api/head.h"
#include "api/request.h"

/* Of a request on its way to its message. All views are the front's. */
struct exchange {
    struct route_match match;
    struct view query;
    struct view authorization; /* the header's value; empty: none */
    uint8_t *body;             /* is rewritten in place */
    size_t body_n;
};

/* Finds the row of `role`, and holds what the head says of the body against it. ERR_TOO_LARGE: the
 * connection must be closed. `match.allow` is set on ERR_METHOD. */
MUST err_t exchange_row(uint32_t role, const char *method, struct view target,
                        const struct head *head, struct exchange *x, struct why *why);
/* Builds the packet from the row, the target, the bearer token and the whole body. */
MUST err_t exchange_message(struct exchange *x, struct request_ids ids, struct buf *packet,
                            struct why *why);

#endif
