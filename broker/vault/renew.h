/*
 * What is done when an upstream answers 401 to a credential of ours. Once per request.
 */
#ifndef VAULT_RENEW_H
#define VAULT_RENEW_H

#include "vault/server.h"

/* ERR_OK: the credential has a newer version than the one the request went out with, and the request may be tried again with it; or the
 * request waits for a refresh (rq->deferred, and `p` is gone). ERR_NEEDS_LOGIN: it has not, and will not; the operator is told once per
 * version. ERR_UNAVAILABLE: the refresh has not come to an end, or failed for now. */
MUST err_t renew_after_401(struct request *rq, struct pending *p, const struct proxied *q,
                           const struct credential *c);

#endif
