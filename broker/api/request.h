/*
 * A request's way from its parts to its message: target → row and parameters → values → packet.
 * Pure functions over bytes, no libmicrohttpd, so that the tests and the fuzzer reach all of it.
 */
#ifndef API_REQUEST_H
#define API_REQUEST_H

#include "api/body.h"

/* Splits a raw request target. ERR_INVALID for what is not origin-form (RFC 9112 section 3.2.1),
 * for any escape, and for bytes that no path or query of ours has. */
MUST err_t request_target(struct view raw, struct view *path, struct view *query, struct why *why);

/* Path parameters and the query ("a=b&c=d") into `v`. Unknown, repeated or malformed ones are
 * ERR_INVALID. */
MUST err_t request_params(const struct route_match *m, struct view query, struct values *v,
                          struct why *why);
/* The `Authorization` header's value, where the row wants it: ERR_AUTH when it is no `Bearer
 * <token>`. */
MUST err_t request_bearer(const struct route *r, struct view authorization, struct values *v,
                          struct why *why);
/* Is everything there that must be, and are names names? */
MUST err_t request_check(const struct route *r, const struct values *v, struct why *why);
/* Builds the packet. What msg_parse() would refuse is ERR_INVALID here: the vault ends a worker
 * that sends such a message. */
struct request_ids {
    uint64_t request, conn;
};
MUST err_t request_message(const struct route *r, const struct values *v, struct request_ids ids,
                           struct buf *out, struct why *why);

#endif
