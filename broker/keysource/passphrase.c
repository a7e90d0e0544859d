/*
 * Key source `passphrase`: Argon2id (RFC 9106) over what a person types. Runs in a short-lived
 * helper: a quarter of a gigabyte and half a second have no place in the vault's loop. Salt and
 * cost are authenticated by the key header's MAC, and the floors and ceilings of kdf_passphrase
 * hold for stored params as for new ones, so a weakened slot is refused, not followed.
 * - params: u8 version (1), u32 passes, u64 bytes of memory, salt (16): 29 bytes, big-endian
 */
#include "keysource/keysources.h"

#include "base/auto.h"
#include "crypto/keyslot.h"
#include "crypto/seal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { VERSION = 1, SALT = 16, PARAMS = 1 + 4 + 8 + SALT, SHORTEST = 8 };

struct cost {
    uint32_t passes;
    uint64_t memory;
    uint8_t salt[SALT];
};

static bool cost_decode(struct view params, struct cost *out)
{
    struct cursor c = cursor_of(params);
    uint8_t version = get_u8(&c);
    out->passes = get_u32(&c);
    out->memory = get_u64(&c);
    struct view salt = get_bytes(&c, SALT);
    if (!cursor_done(&c) || version != VERSION)
        return false;
    memcpy(out->salt, salt.p, SALT);
    return true;
}

static err_t derive(struct view passphrase, const struct cost *cost, struct secret **key,
                    struct why *why)
{
    if (passphrase.n == 0)
        return fail(why, ERR_INVALID, "a passphrase is needed");
    if (passphrase.n > KEYSOURCE_PASSPHRASE_MAX)
        return fail(why, ERR_TOO_LARGE, "a passphrase has at most %d bytes",
                    KEYSOURCE_PASSPHRASE_MAX);
    if (cost->memory > SIZE_MAX)
        return fail(why, ERR_INVALID,
                    "this machine has not the memory the passphrase's params name");
    return kdf_passphrase(passphrase, cost->salt, cost->passes, (size_t)cost->memory, key, why);
}

static err_t passphrase_create(const struct keysource_ask *ask, struct buf *params,
                               struct secret **key, struct why *why)
{
    struct cost cost = {.passes = KDF_OPS_MIN, .memory = KDF_MEM_MIN};
    if (ask->passphrase.n < SHORTEST)
        return fail(why, ERR_INVALID, "a passphrase has at least %d bytes", SHORTEST);
    if (!buf_reserve(params, PARAMS))
        return fail(why, ERR_TOO_LARGE, "no room for the params");
    random_bytes(cost.salt, SALT);
    TRY(derive(ask->passphrase, &cost, key, why));
    buf_put_u8(params, VERSION);
    buf_put_u32(params, cost.passes);
    buf_put_u64(params, cost.memory);
    buf_add(params, cost.salt, SALT);
    return ERR_OK;
}

static err_t passphrase_open(const struct keysource_ask *ask, struct secret **key, struct why *why)
{
    struct cost cost;
    if (!cost_decode(ask->params, &cost))
        return fail(why, ERR_CORRUPT, "the params of the passphrase slot cannot be read");
    return derive(ask->passphrase, &cost, key, why);
}

static void passphrase_describe(struct view params, char out[160])
{
    struct cost cost;
    if (cost_decode(params, &cost))
        (void)snprintf(out, 160, "Argon2id, %" PRIu32 " passes, %" PRIu64 " MiB", cost.passes,
                       cost.memory >> 20);
    else
        (void)snprintf(out, 160, "unreadable params");
}

const struct keysource keysource_passphrase = {
    .name = "passphrase",
    .title = "a passphrase",
    .interactive = true,
    .helper = "kdf",
    .create = passphrase_create,
    .open = passphrase_open,
    .describe = passphrase_describe,
};
