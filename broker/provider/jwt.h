/*
 * JSON Web Tokens (RFC 7519, compact form of RFC 7515), read but not verified: the signature is the
 * provider's business.
 */
#ifndef PROVIDER_JWT_H
#define PROVIDER_JWT_H

#include "base/json.h"

/* The claims: an object that the caller json_decref()s. ERR_INVALID when there are not three parts,
 * a part is not base64url, or header and claims are no JSON objects. `what` names the token in the
 * sentence. */
MUST err_t jwt_claims(struct view token, const char *what, json_t **claims, struct why *why);

#endif
