/*
 * Records and ends of proxied requests (request_end.c); what brings them about is called from ops.h.
 */
#ifndef VAULT_REQUEST_END_H
#define VAULT_REQUEST_END_H

#include "vault/server.h"

/* The number of a worker among the proxy's. */
unsigned request_worker(unsigned kind);
/* What every record about a request says. It views into `q`. */
struct audit_record request_record(const struct proxied *q, enum audit_event event, err_t outcome);

struct request_ending {
    err_t outcome;
    uint64_t http_status;
    int64_t duration_ms, first_ms; /* 0: not told */
};
/* Records the end, gives back what it held, and its place in the table. */
void request_end(struct vault *v, struct proxied *q, const struct request_ending *end);

#endif
