/*
 * The routes that the vault handed out: kept in secret memory, each with its guard, until the vault takes it back and the last stream on
 * it has ended.
 */
#ifndef PROXY_ROUTES_H
#define PROXY_ROUTES_H

#include "base/route.h"
#include "proxy/guard.h"
#include "proxy/proxy.h"
#include <broker/secret.h>

enum { ROUTES_MAX = 4096 };
struct proxy_route {
    uint64_t id;
    struct route route; /* views into `bytes` */
    struct secret *bytes;
    struct guard *guard;
    unsigned users; /* streams on it */
    bool ended;     /* the vault took it back */
    struct proxy_route *next;
};
MUST err_t routes_new(struct routes **out, struct why *why);
void routes_free(struct routes *rs); /* takes NULL; wipes */
/* ERR_INVALID: no route, or one of this id is there; ERR_LIMIT: too many, or no room. */
MUST err_t routes_put(struct routes *rs, uint64_t id, struct view bytes, struct why *why);
/* Found and used; NULL: none of this id. */
struct proxy_route *routes_take(struct routes *rs, uint64_t id);
void routes_give(struct routes *rs, struct proxy_route *r); /* takes NULL */
void routes_end(struct routes *rs, uint64_t id);

#endif
