/*
 * What is decided about a request before the vault is asked: the local policy of the data plane, and where the client's token is.
 */
#ifndef PROXY_ADMIT_H
#define PROXY_ADMIT_H

#include "base/route.h"
#include "proxy/gate.h"

/* Host must be a name of this machine and there must be no Origin: a page in a browser, or a rebound name, does not get in by a relay.
 * An upgrade is answered 426 (RFC 9110 section 15.5.22: the client falls back to plain requests). */
bool admit_request(const struct gate_request *rq, struct gate_refusal *no);
/* Our token (crypto/token.h, by its marker): from Authorization (Bearer, Basic), x-api-key, x-goog-api-key, api-key, Proxy-Authorization, or
 * a key parameter of the query. Empty: none. Two different ones: empty, so that nobody wonders which was meant. `room` is used where it
 * must be decoded; admit_wipe() it, whatever came of it. */
enum { ADMIT_TOKEN_MAX = 4096 };
struct admit_room {
    size_t used; /* 0 at first */
    uint8_t bytes[ADMIT_TOKEN_MAX];
};
struct view admit_token(const struct gate_request *rq, struct admit_room *room);
void admit_wipe(struct admit_room *room);
/* Which form of errors will this client understand, judged from its request alone? */
enum route_dialect admit_dialect(const struct gate_request *rq);

#endif
