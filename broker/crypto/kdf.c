/*
 * Keys from keys. libsodium 1.0.18 has no HKDF; keyed BLAKE2b is a PRF, and its input here is
 * injective: a label, then the length-prefixed context, then numbers of fixed size. Invariant: no
 * derived key is on the stack or heap, only in secrets.
 */
#include "crypto/kdf.h"

#include "base/auto.h"
#include <broker/keysource.h>

#include <sodium.h>
#include <string.h>

enum { KEY = 32, CONTEXT_MAX = 64, LABELLED = 8 + 1 + CONTEXT_MAX };
static const char label_subkey[8] = "cbr1 sub", label_material[8] = "cbr1 mat";

/* label || u8 length || context; 0 when the context is not 1 to 64 bytes */
static size_t labelled(const char label[8], const char *context, uint8_t out[LABELLED])
{
    size_t n = strlen(context);
    if (n == 0 || n > CONTEXT_MAX)
        return 0;
    memcpy(out, label, 8);
    out[8] = (uint8_t)n;
    memcpy(out + 9, context, n);
    return 9 + n;
}

err_t kdf_subkey(const struct secret *master, const char *context, uint32_t epoch,
                 struct secret **out)
{
    uint8_t in[LABELLED + 4];
    size_t n = labelled(label_subkey, context, in);
    if (n == 0 || secret_len(master) != KEY)
        return ERR_INVALID;
    for (unsigned i = 0; i < 4; i++)
        in[n++] = (uint8_t)(epoch >> (24 - 8 * i));
    struct secret *key = secret_new(KEY);
    if (!key)
        return ERR_UNAVAILABLE;
    crypto_generichash(secret_edit(key), KEY, in, n, secret_bytes(master), KEY);
    *out = key;
    return ERR_OK;
}

static err_t check_cost(uint32_t ops, size_t mem, struct why *why)
{
    if (ops < KDF_OPS_MIN || ops > KDF_OPS_MAX)
        return fail(why, ERR_INVALID, "%u passes of Argon2id: allowed are %d to %d", ops,
                    KDF_OPS_MIN, KDF_OPS_MAX);
    if (mem < KDF_MEM_MIN || mem > KDF_MEM_MAX)
        return fail(why, ERR_INVALID, "%zu MiB for Argon2id: allowed are %zu to %zu", mem >> 20,
                    KDF_MEM_MIN >> 20, KDF_MEM_MAX >> 20);
    return ERR_OK;
}

err_t kdf_passphrase(struct view passphrase, const uint8_t salt[16], uint32_t ops, size_t mem,
                     struct secret **out, struct why *why)
{
    TRY(check_cost(ops, mem, why));
    if (passphrase.n == 0 || passphrase.n > KEYSOURCE_PASSPHRASE_MAX)
        return fail(why, ERR_INVALID, "a passphrase has 1 to %d bytes", KEYSOURCE_PASSPHRASE_MAX);
    AUTO(auto_secret) struct secret *key = secret_new(KEY);
    if (!key)
        return fail(why, ERR_UNAVAILABLE, "no locked memory left for a key");
    if (crypto_pwhash(secret_edit(key), KEY, (const char *)passphrase.p, passphrase.n, salt, ops,
                      mem, crypto_pwhash_ALG_ARGON2ID13) != 0)
        return fail(why, ERR_UNAVAILABLE, "Argon2id needs %zu MiB of memory and did not get them",
                    mem >> 20);
    *out = TAKE(key);
    return ERR_OK;
}

err_t kdf_material(struct view material, const char *context, struct secret **out)
{
    uint8_t in[LABELLED];
    size_t n = labelled(label_material, context, in);
    if (n == 0 || material.n == 0)
        return ERR_INVALID;
    struct secret *key = secret_new(KEY);
    if (!key)
        return ERR_UNAVAILABLE;
    crypto_generichash_state st;
    crypto_generichash_init(&st, NULL, 0, KEY);
    crypto_generichash_update(&st, in, n);
    crypto_generichash_update(&st, material.p, material.n);
    crypto_generichash_final(&st, secret_edit(key), KEY);
    wipe(&st, sizeof(st));
    *out = key;
    return ERR_OK;
}
