/*
 * The DNS client underneath proxy/resolve.h: c-ares, its sockets and its timer driven by the loop. No cache, no sharing of queries.
 */
#ifndef PROXY_RESOLVE_CHANNEL_H
#define PROXY_RESOLVE_CHANNEL_H

#include "proxy/resolve.h"

struct channel;
/* `servers`: "127.0.0.1:53,…" instead of those of /etc/resolv.conf; NULL: those. Where that file changes it is read again. */
MUST err_t channel_new(struct loop *l, const char *servers, struct channel **out, struct why *why);
void channel_free(struct channel *c); /* takes NULL; answers that are still due do not come */
/* The answer: addresses with port 0 and for how many seconds it holds; or the error: ERR_NOT_FOUND no such name or no address,
 * ERR_TIMEOUT, ERR_UNAVAILABLE any other. */
typedef void channel_fn(void *ctx, err_t e, const struct resolved *r, int ttl_s);
/* May call `fn` before it returns. */
void channel_ask(struct channel *c, const char *name, channel_fn *fn, void *ctx);

#endif
