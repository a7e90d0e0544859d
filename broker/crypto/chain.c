/*
 * The audit chain and its signatures. Invariant: after chain_next the key that made the MAC exists
 * nowhere in this process, so a later owner of the process cannot make a second MAC for an earlier
 * line.
 */
#include "crypto/chain.h"

#include "base/auto.h"

#include <sodium.h>
#include <string.h>

enum { KEY = 32 };

static void hash_parts(const uint8_t *key, struct view a, struct view b, struct view c,
                       uint8_t out[CHAIN_MAC])
{
    crypto_generichash_state st;
    crypto_generichash_init(&st, key, key ? KEY : 0, CHAIN_MAC);
    crypto_generichash_update(&st, a.p, a.n);
    crypto_generichash_update(&st, b.p, b.n);
    crypto_generichash_update(&st, c.p, c.n);
    crypto_generichash_final(&st, out, CHAIN_MAC);
    wipe(&st, sizeof(st));
}

err_t chain_start(const struct secret *k0, struct chain *out)
{
    if (secret_len(k0) != KEY)
        return ERR_INVALID;
    struct secret *key = secret_from(secret_bytes(k0), KEY);
    if (!key)
        return ERR_UNAVAILABLE;
    *out = (struct chain){.key = key, .seq = 1};
    return ERR_OK;
}

/* k ← BLAKE2b-256(key: k, "evolve"), in place */
static void evolve(struct secret *key)
{
    uint8_t next[KEY];
    crypto_generichash(next, KEY, (const uint8_t *)"evolve", 6, secret_bytes(key), KEY);
    memcpy(secret_edit(key), next, KEY);
    wipe(next, KEY);
}

void chain_digest(uint8_t digest[CHAIN_MAC], const uint8_t mac[CHAIN_MAC], struct view line)
{
    uint8_t next[CHAIN_MAC];
    hash_parts(NULL, VIEW(digest, CHAIN_MAC), VIEW(mac, CHAIN_MAC), line, next);
    memcpy(digest, next, CHAIN_MAC);
}

void chain_next(struct chain *c, struct view line, uint8_t mac[CHAIN_MAC])
{
    uint8_t next[CHAIN_MAC];
    hash_parts(secret_bytes(c->key), VIEW(c->mac, CHAIN_MAC), line, VIEW(NULL, 0), next);
    memcpy(c->mac, next, CHAIN_MAC);
    memcpy(mac, next, CHAIN_MAC);
    chain_digest(c->digest, next, line);
    evolve(c->key);
    c->seq++;
}

void chain_follow(struct chain *c, struct view line, uint8_t mac[CHAIN_MAC])
{
    hash_parts(secret_bytes(c->key), VIEW(c->mac, CHAIN_MAC), line, VIEW(NULL, 0), mac);
    memcpy(c->mac, mac, CHAIN_MAC);
    c->seq++;
}

void chain_skip(struct chain *c, uint64_t seq)
{
    for (; c->seq < seq; c->seq++)
        if (c->key)
            evolve(c->key);
}

void chain_relink(struct chain *c, const uint8_t digest[CHAIN_MAC], const uint8_t mac[CHAIN_MAC],
                  struct view line)
{
    memcpy(c->mac, mac, CHAIN_MAC);
    memmove(c->digest, digest, CHAIN_MAC);
    chain_digest(c->digest, mac, line);
}

void chain_clear(struct chain *c)
{
    secret_free(c->key);
    *c = (struct chain){0};
}

void chain_save(const struct chain *c, struct buf *out)
{
    buf_put_u64(out, c->seq);
    buf_add(out, c->mac, CHAIN_MAC);
    buf_add(out, c->digest, CHAIN_MAC);
    buf_add(out, secret_bytes(c->key), KEY);
}

err_t chain_load(struct view bytes, struct chain *out, struct why *why)
{
    struct cursor in = cursor_of(bytes);
    struct chain c = {.seq = get_u64(&in)};
    struct view mac = get_bytes(&in, CHAIN_MAC), digest = get_bytes(&in, CHAIN_MAC),
                key = get_bytes(&in, KEY);
    if (!cursor_done(&in) || c.seq == 0)
        return fail(why, ERR_CORRUPT, "the saved state of the audit chain is damaged");
    memcpy(c.mac, mac.p, CHAIN_MAC);
    memcpy(c.digest, digest.p, CHAIN_MAC);
    c.key = secret_from(key.p, KEY);
    if (!c.key)
        return fail(why, ERR_UNAVAILABLE, "no locked memory left for the key of the audit chain");
    *out = c;
    return ERR_OK;
}

/* ---- checkpoints */

enum { SIGNED = 8 + 16 + 8 + CHAIN_MAC };

/* label || log id || u64 seq || digest */
static void signed_bytes(const uint8_t log_id[16], uint64_t seq, const uint8_t digest[CHAIN_MAC],
                         uint8_t out[SIGNED])
{
    memcpy(out, "cbr1 chk", 8);
    memcpy(out + 8, log_id, 16);
    for (unsigned i = 0; i < 8; i++)
        out[24 + i] = (uint8_t)(seq >> (56 - 8 * i));
    memcpy(out + 32, digest, CHAIN_MAC);
}

err_t sign_keypair(uint8_t pk[CHAIN_PK], struct secret **sk)
{
    struct secret *key = secret_new(crypto_sign_SECRETKEYBYTES);
    if (!key)
        return ERR_UNAVAILABLE;
    crypto_sign_keypair(pk, secret_edit(key));
    *sk = key;
    return ERR_OK;
}

void sign_checkpoint(const struct secret *sk, const uint8_t log_id[16], uint64_t seq,
                     const uint8_t digest[CHAIN_MAC], uint8_t sig[CHAIN_SIG])
{
    uint8_t in[SIGNED];
    signed_bytes(log_id, seq, digest, in);
    crypto_sign_detached(sig, NULL, in, sizeof(in), secret_bytes(sk));
}

bool verify_checkpoint(const uint8_t pk[CHAIN_PK], const uint8_t log_id[16], uint64_t seq,
                       const uint8_t digest[CHAIN_MAC], const uint8_t sig[CHAIN_SIG])
{
    uint8_t in[SIGNED];
    signed_bytes(log_id, seq, digest, in);
    return crypto_sign_verify_detached(sig, in, sizeof(in), pk) == 0;
}
