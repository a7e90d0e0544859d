/*
 * What is done when an upstream answers 401 to a credential of ours: the hook of the refresher. Once per request.
 */
#ifndef VAULT_RENEW_H
#define VAULT_RENEW_H

#include "vault/vault.h"

/* ERR_OK: the credential has a newer version than the one the request went out with, and the request may be tried again with it.
 * ERR_NEEDS_LOGIN: it has not; the operator is told once per version. */
MUST err_t renew_after_401(struct vault *v, const struct proxied *q, const struct credential *c,
                           struct why *why);

#endif
