/*
 * Keys under keys: 32 bytes sealed with XChaCha20-Poly1305 under another key. nonce (24) ||
 * ciphertext (32) || tag (16).
 */
#ifndef CRYPTO_WRAP_H
#define CRYPTO_WRAP_H

#include "base/buf.h"
#include <broker/secret.h>

enum { WRAP_KEY = 32, WRAP_BYTES = 72 };

/* `ad`: what the wrapping is bound to. `key` has WRAP_KEY bytes. */
void wrap_key(const struct secret *kek, struct view ad, const struct secret *key,
              uint8_t out[WRAP_BYTES]);
/* ERR_CORRUPT: other key, other ad, or changed bytes; ERR_UNAVAILABLE: no locked memory left. */
MUST err_t unwrap_key(const struct secret *kek, struct view ad, const uint8_t in[WRAP_BYTES],
                      struct secret **key, struct why *why);

#endif
