/*
 * Name resolution that never blocks the loop (c-ares): A and AAAA, /etc/hosts first, answers kept for their TTL within bounds, one query at a
 * time per name however many wait.
 */
#ifndef PROXY_RESOLVE_H
#define PROXY_RESOLVE_H

#include "base/loop.h"
#include "base/buf.h"
#include <sys/socket.h>

enum { RESOLVE_ADDRESSES = 16, RESOLVE_TIMEOUT_MS = 10000 };
struct resolved {
    struct sockaddr_storage address
        [RESOLVE_ADDRESSES]; /* IPv6 and IPv4 interleaved (RFC 8305 section 4), with the port that was asked for */
    unsigned n;
};
struct resolver;
struct resolve_query;
MUST err_t resolver_new(struct loop *l, struct resolver **out, struct why *why);
/* The same with name servers of its own ("10.0.0.2:53,…", which must outlive it) instead of those of /etc/resolv.conf; NULL: those. */
MUST err_t resolver_new_at(struct loop *l, const char *servers, struct resolver **out,
                           struct why *why);
void resolver_free(struct resolver *r); /* takes NULL; what still waits is never called */
typedef void resolve_fn(void *ctx, err_t e, const struct resolved *r, const struct why *why);
/* Calls `fn` once, with ERR_OK, ERR_UNAVAILABLE (no such name, no answer that helps) or ERR_TIMEOUT, from the loop or (literal address, fresh answer) before it returns; *out is NULL then. */
void resolve_start(struct resolver *r, struct view host, uint16_t port, resolve_fn *fn, void *ctx,
                   struct resolve_query **out);
void resolve_cancel(struct resolve_query *q); /* fn is not called any more; takes NULL */

#endif
