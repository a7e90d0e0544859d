/*
 * The table of caveats: which values are well-formed, and how each narrows what a token allows.
 * Used by token.c only.
 */
#ifndef CRYPTO_CAVEATS_H
#define CRYPTO_CAVEATS_H

#include "crypto/token.h"

/* Known type and well-formed value? Total. */
bool caveat_valid(unsigned type, struct view value);
/* Narrows `all` by one caveat, whose value it may view into. False (and nothing done) when it is
 * not valid, or when `all` holds TOKEN_MAX_CAVEATS of its kind. */
bool caveat_apply(unsigned type, struct view value, struct token_caveats *all);

#endif
