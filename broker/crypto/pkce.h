/*
 * Proof Key for Code Exchange (RFC 7636): a verifier that stays here, its challenge that goes along in the URL, and a state (RFC 6749,
 * section 10.12) that comes back with the code.
 */
#ifndef CRYPTO_PKCE_H
#define CRYPTO_PKCE_H

#include "base/buf.h"

enum { PKCE_TEXT = 43 }; /* 32 bytes in base64url */

/* 256 random bits, NUL-terminated. */
MUST err_t pkce_random(char out[PKCE_TEXT + 1]);
/* Its S256 challenge: base64url of the SHA-256 of the text (section 4.2). */
MUST err_t pkce_challenge(struct view verifier, char out[PKCE_TEXT + 1]);

#endif
