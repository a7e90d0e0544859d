/*
 * What the vault has decided and recorded in advance: in a burst on one connection, so many more requests of the same token, method and path
 * may begin within a moment without being asked about. They run one after another, under the serial of the first; the vault is told the end of
 * each, and of what was left unused. Any other request, a cut, a failure and the connection's end give back what is left.
 */
#ifndef PROXY_ALLOWANCE_H
#define PROXY_ALLOWANCE_H

#include "proxy/client.h"
#include "proxy/routes.h"

struct allowance;
/* The vault's REPLY grants one to this connection, for requests like `rq` with this token; it takes the place of none. Without memory there is
 * none, and what it was for is asked about. */
void allowance_take(struct client *c, const struct msg *reply, const struct gate_request *rq,
                    struct view token);
/* May this request begin under the connection's allowance? One use of it is taken. *lease is its lease (16 bytes), *serial its serial. NULL:
 * no; the vault must be asked. The route is used once more, as by routes_take(). */
struct proxy_route *allowance_use(struct client *c, const struct gate_request *rq,
                                  struct view token, uint8_t *lease, uint64_t *serial);
/* The request of this serial has ended well: may another one begin under it? */
bool allowance_goes_on(const struct client *c, uint64_t serial);
/* Was it cut, by its lease (16 bytes, NULL: not) or its serial? */
bool allowance_is_of(const struct client *c, const uint8_t *lease, uint64_t serial);
bool allowance_is_over(const struct client *c, int64_t now_ms);
/* No request runs under it: gives back what is left, and tells the vault. Nothing happens when there is none. */
void allowance_end(struct client *c);
/* The same where the vault is told otherwise: by the end of the last request under it. */
void allowance_drop(struct client *c);

#endif
