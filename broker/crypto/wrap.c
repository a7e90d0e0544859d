/* Keys under keys: a fresh random nonce of 24 bytes for each wrapping, so that no counter has to
 * survive a crash. */
#include "crypto/wrap.h"

#include "base/auto.h"
#include "crypto/seal.h"

#include <sodium.h>

enum {
    NONCE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
    TAG = crypto_aead_xchacha20poly1305_ietf_ABYTES
};
_Static_assert(WRAP_BYTES == NONCE + WRAP_KEY + TAG, "layout of a wrapped key");

void wrap_key(const struct secret *kek, struct view ad, const struct secret *key,
              uint8_t out[WRAP_BYTES])
{
    random_bytes(out, NONCE);
    crypto_aead_xchacha20poly1305_ietf_encrypt(out + NONCE, NULL, secret_bytes(key), WRAP_KEY, ad.p,
                                               ad.n, NULL, out, secret_bytes(kek));
}

err_t unwrap_key(const struct secret *kek, struct view ad, const uint8_t in[WRAP_BYTES],
                 struct secret **key, struct why *why)
{
    AUTO(auto_secret) struct secret *got = secret_new(WRAP_KEY);
    if (!got)
        return fail(why, ERR_UNAVAILABLE, "no locked memory left for a key");
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(secret_edit(got), NULL, NULL, in + NONCE,
                                                   WRAP_KEY + TAG, ad.p, ad.n, in,
                                                   secret_bytes(kek)) != 0)
        return fail(why, ERR_CORRUPT, "a wrapped key does not open: another key, or changed bytes");
    *key = TAKE(got);
    return ERR_OK;
}
