/*
 * Phantom renewal: what a client is answered that renews its login at the broker instead of at its provider. It gets tokens of ours and
 * nothing else, in the form that it insists on.
 */
#ifndef PROVIDER_PHANTOM_H
#define PROVIDER_PHANTOM_H

#include "base/jsonw.h"

struct phantom {
    struct view access;         /* our token, which ends at expires_ms */
    struct view renewal;        /* the one that renews: the client's phantom refresh token */
    int64_t expires_ms, now_ms; /* wall clock */
};
/* Writes the answer for the client of this name ("codex", "claude"). ERR_INVALID: none of that name. */
MUST err_t phantom_answer(struct view client, const struct phantom *p, struct jsonw *w,
                          struct why *why);
bool phantom_knows(struct view client);
/* Appends `token` dressed as a JWT (RFC 7519) whose one claim of use is its end: header.claims.token. Nothing is signed: the third part
 * proves itself. */
void phantom_jwt(struct view token, int64_t expires_ms, struct buf *out);

#endif
