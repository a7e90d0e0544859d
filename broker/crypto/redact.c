/*
 * Redaction ids: the same value gives the same id under one operator's key, so he can correlate; a
 * leaked log says nothing. 64 bits are enough to tell values apart and too few to be the value.
 */
#include "crypto/chain.h"

#include <sodium.h>
#include <string.h>

void redact_id(const struct secret *key, struct view value, char out[REDACT_LEN + 1])
{
    uint8_t id[crypto_generichash_BYTES_MIN];
    crypto_generichash(id, sizeof(id), value.p, value.n, secret_bytes(key), secret_len(key));
    memcpy(out, "r:", 2);
    hex_encode(id, (REDACT_LEN - 2) / 2, out + 2);
}
