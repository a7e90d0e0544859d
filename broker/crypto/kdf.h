/*
 * Keys from keys: subkeys of the master key, a key from a passphrase, a key from any material.
 * FORMAT.md, "Key derivation".
 */
#ifndef CRYPTO_KDF_H
#define CRYPTO_KDF_H

#include "base/buf.h"
#include <broker/secret.h>

/* Subkeys of a master key: BLAKE2b-256 keyed by it over a context ("record-kek", "manifest",
 * "token", "lease-journal", "audit-state", "redact", …; 1 to 64 bytes) and the epoch. */
MUST err_t kdf_subkey(const struct secret *master, const char *context, uint32_t epoch,
                      struct secret **out);
/* Argon2id (RFC 9106, crypto_pwhash) with floors 3 passes / 256 MiB and ceilings 16 passes / 4 GiB,
 * refused (ERR_INVALID) beyond. The passphrase is 1 to 1,024 bytes. */
enum { KDF_OPS_MIN = 3, KDF_OPS_MAX = 16 };
#define KDF_MEM_MIN ((size_t)256 << 20)
#define KDF_MEM_MAX ((size_t)4 << 30)
MUST err_t kdf_passphrase(struct view passphrase, const uint8_t salt[16], uint32_t ops, size_t mem,
                          struct secret **out, struct why *why);
/* Any key material (a key file's contents) → 32 bytes: BLAKE2b-256 with a context. */
MUST err_t kdf_material(struct view material, const char *context, struct secret **out);

#endif
