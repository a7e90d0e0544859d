/*
 * Random texts and their S256 challenges. Scratch is wiped: a verifier is what makes a stolen code worthless.
 */
#include "crypto/pkce.h"

#include "base/auto.h"
#include "crypto/seal.h"

#include <broker/secret.h>
#include <sodium.h>

static err_t encode(const uint8_t bytes[32], char out[PKCE_TEXT + 1])
{
    AUTO(buf_free) struct buf text = {.max = 64};
    base64url_encode(VIEW(bytes, 32), &text);
    return !text.bad && view_copy(buf_view(&text), out, PKCE_TEXT + 1) ? ERR_OK : ERR_INTERNAL;
}

err_t pkce_random(char out[PKCE_TEXT + 1])
{
    uint8_t bytes[32];
    random_bytes(bytes, sizeof(bytes));
    err_t e = encode(bytes, out);
    wipe(bytes, sizeof(bytes));
    return e;
}

err_t pkce_challenge(struct view verifier, char out[PKCE_TEXT + 1])
{
    uint8_t hash[crypto_hash_sha256_BYTES];
    crypto_hash_sha256(hash, verifier.p, verifier.n);
    return encode(hash, out);
}
