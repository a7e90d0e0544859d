/*
 * What the audit log must know again after a restart: the chain's present key, the signing key, the newest anchor. Sealed, because
 * who has it can write lines that verify; one small file, replaced as a whole, because half of it is worth nothing.
 * Losing it loses the chain: audit_open then begins a new one with new keys, under suspicion.
 */
#include "vault/audit_state.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/file.h"
#include "crypto/seal.h"

#include <string.h>

enum { STATE_FORMAT = 2, STATE_MAX = 1024, SIGN_KEY = 64 };
static const char context[] = "audit-state";

struct audit *audit_new(const struct audit_env *env)
{
    struct audit *a = calloc(1, sizeof(*a));
    if (!a)
        return NULL;
    a->env = *env;
    if (a->env.max_bytes == 0)
        a->env.max_bytes = (uint64_t)64 << 20;
    a->line.max = AUDIT_LINE_MAX;
    a->checkpoint_ms = clock_boot_ms();
    return a;
}

void audit_free(struct audit *a)
{
    if (!a)
        return;
    chain_clear(&a->chain);
    secret_free(a->sign);
    buf_free(&a->line);
    free(a);
}

/* Small files in hex, so that they can be pasted into the auditor's tools. */
static err_t write_hex(int dirfd, const char *name, const uint8_t *p, mode_t mode, struct why *why)
{
    char text[2 * CHAIN_PK + 2];
    hex_encode(p, CHAIN_PK, text);
    text[2 * CHAIN_PK] = '\n';
    err_t e = file_write_atomic_at(dirfd, name, VIEW(text, 2 * CHAIN_PK + 1), mode, why);
    wipe(text, sizeof(text));
    return e;
}

err_t audit_new_keys(struct audit *a, const char *suffix, struct why *why)
{
    AUTO(auto_secret) struct secret *k0 = secret_new(CHAIN_MAC);
    AUTO(auto_secret) struct secret *sign = NULL;
    uint8_t pk[CHAIN_PK];
    char key_name[64], pub_name[64];
    struct chain chain;
    if (!k0)
        return fail(why, ERR_UNAVAILABLE, "no secret memory left");
    random_bytes(secret_edit(k0), CHAIN_MAC);
    (void)snprintf(key_name, sizeof(key_name), "auditor%s.key", suffix);
    (void)snprintf(pub_name, sizeof(pub_name), "audit%s.pub", suffix);
    if (sign_keypair(pk, &sign) != ERR_OK)
        return fail(why, ERR_UNAVAILABLE, "no secret memory left");
    TRY(write_hex(a->env.dirfd, key_name, secret_bytes(k0), 0600, why));
    TRY(write_hex(a->env.dirfd, pub_name, pk, 0644, why));
    if (chain_start(k0, &chain) != ERR_OK)
        return fail(why, ERR_UNAVAILABLE, "no secret memory left");
    chain_clear(&a->chain);
    secret_free(a->sign);
    a->chain = chain;
    a->sign = TAKE(sign);
    memcpy(a->pk, pk, CHAIN_PK);
    return ERR_OK;
}

static void encode(const struct audit *a, struct buf *out)
{
    buf_put_u8(out, STATE_FORMAT);
    buf_put_u8(out, a->suspect);
    buf_put_u64(out, a->anchor_seq);
    buf_add(out, a->anchor_hash, sizeof(a->anchor_hash));
    buf_put_u64(out, a->key_serial);
    buf_add(out, a->pk, CHAIN_PK);
    buf_add(out, secret_bytes(a->sign), SIGN_KEY);
    chain_save(&a->chain, out);
}

err_t audit_state_seal(const struct audit *a, struct buf *out, struct why *why)
{
    AUTO(buf_free) struct buf plain = {.max = STATE_MAX};
    struct entry_chain only = {0};
    encode(a, &plain);
    TRY(buf_ok(&plain, why));
    return entry_seal(a->env.seal_key, context, &only, buf_view(&plain), out, why);
}

static err_t decode(struct audit *a, struct view plain, struct why *why)
{
    struct cursor c = cursor_of(plain);
    uint8_t format = get_u8(&c), suspect = get_u8(&c);
    uint64_t anchor_seq = get_u64(&c);
    struct view hash = get_bytes(&c, sizeof(a->anchor_hash));
    uint64_t key_serial = get_u64(&c);
    struct view pk = get_bytes(&c, CHAIN_PK);
    struct view key = get_bytes(&c, SIGN_KEY), chain = get_bytes(&c, CHAIN_STATE);
    if (format > STATE_FORMAT)
        return fail(why, ERR_VERSION, "%s was written by a newer version", AUDIT_STATE_FILE);
    if (!cursor_done(&c) || format != STATE_FORMAT || suspect > 1)
        return fail(why, ERR_CORRUPT, "%s is damaged", AUDIT_STATE_FILE);
    AUTO(auto_secret) struct secret *sign = secret_from(key.p, SIGN_KEY);
    if (!sign)
        return fail(why, ERR_UNAVAILABLE, "no secret memory left");
    TRY(chain_load(chain, &a->chain, why));
    a->sign = TAKE(sign);
    a->suspect = suspect;
    a->anchor_seq = anchor_seq;
    a->key_serial = key_serial;
    memcpy(a->anchor_hash, hash.p, sizeof(a->anchor_hash));
    memcpy(a->pk, pk.p, CHAIN_PK);
    return ERR_OK;
}

err_t audit_state_load(struct audit *a, struct why *why)
{
    AUTO(buf_free) struct buf sealed = {0}, plain = {.max = STATE_MAX};
    struct entry_chain only = {0};
    err_t e = file_read_at(a->env.dirfd, AUDIT_STATE_FILE, STATE_MAX, &sealed, why);
    if (e == ERR_TOO_LARGE || e == ERR_INVALID)
        return fail(why, ERR_CORRUPT, "%s is damaged", AUDIT_STATE_FILE);
    if (e != ERR_OK)
        return e;
    struct why own = {0};
    e = entry_open(a->env.seal_key, context, &only, buf_view(&sealed), &plain, &own);
    if (e == ERR_VERSION)
        return fail(why, e, "%s: %s", AUDIT_STATE_FILE, own.text);
    if (e != ERR_OK)
        return fail(why, ERR_CORRUPT, "%s does not open with this store's key", AUDIT_STATE_FILE);
    return decode(a, buf_view(&plain), why);
}
