/*
 * The audit chain and its signatures. Invariant: after chain_next the key that made the MAC exists
 * nowhere in this process, so a later owner of the process cannot make a second MAC for an earlier
 * line.
 */
#include "crypto/chain.h"

#include "base/auto.h"

#include <sodium.h>
#include <string.h>

enum { KEY = 32, BLOCK_KEYS = 15, BLOCK = KEY + BLOCK_KEYS * KEY };
_Static_assert(CHAIN_STATE == 8 + 2 * CHAIN_MAC + 1 + BLOCK, "number, mac, digest, left, keys");

/* h = BLAKE2b-256(line): each line is read once, MAC and digest then take 32 bytes of it */
static void hash_line(struct view line, uint8_t h[CHAIN_MAC])
{
    crypto_generichash(h, CHAIN_MAC, line.p, line.n, NULL, 0);
}

/* BLAKE2b-256(key: key, mac before || what), into `mac` */
static void mac_over(const uint8_t *key, uint8_t mac[CHAIN_MAC], struct view what)
{
    crypto_generichash_state st;
    crypto_generichash_init(&st, key, KEY, CHAIN_MAC);
    crypto_generichash_update(&st, mac, CHAIN_MAC);
    crypto_generichash_update(&st, what.p, what.n);
    crypto_generichash_final(&st, mac, CHAIN_MAC);
    wipe(&st, sizeof(st));
}

static void digest_over(uint8_t digest[CHAIN_MAC], const uint8_t mac[CHAIN_MAC],
                        const uint8_t h[CHAIN_MAC])
{
    uint8_t in[3 * CHAIN_MAC];
    memcpy(in, digest, CHAIN_MAC);
    memcpy(in + CHAIN_MAC, mac, CHAIN_MAC);
    memcpy(in + 2 * CHAIN_MAC, h, CHAIN_MAC);
    crypto_generichash(digest, CHAIN_MAC, in, sizeof(in), NULL, 0);
}

/* ---- keys: the secret holds K of the next block, then this block's line keys; those that were used are zeros */

err_t chain_start(const struct secret *k0, struct chain *out)
{
    if (secret_len(k0) != KEY)
        return ERR_INVALID;
    struct secret *key = secret_new(BLOCK);
    if (!key)
        return ERR_UNAVAILABLE;
    wipe(secret_edit(key), BLOCK);
    memcpy(secret_edit(key), secret_bytes(k0), KEY);
    *out = (struct chain){.key = key, .seq = 1};
    return ERR_OK;
}

/* The next line's key. Its block is made from K, which the block's first bytes then take the place of. */
static uint8_t *next_key(struct chain *c)
{
    static const uint8_t nonce[crypto_stream_chacha20_ietf_NONCEBYTES];
    uint8_t *block = secret_edit(c->key);
    if (c->left == 0) {
        uint8_t made[BLOCK];
        crypto_stream_chacha20_ietf(made, BLOCK, nonce, block);
        memcpy(block, made, BLOCK);
        wipe(made, BLOCK);
        c->left = BLOCK_KEYS;
    }
    return block + KEY * (1 + BLOCK_KEYS - c->left--);
}

void chain_digest(uint8_t digest[CHAIN_MAC], const uint8_t mac[CHAIN_MAC], struct view line)
{
    uint8_t h[CHAIN_MAC];
    hash_line(line, h);
    digest_over(digest, mac, h);
}

void chain_next(struct chain *c, struct view line, uint8_t mac[CHAIN_MAC])
{
    uint8_t h[CHAIN_MAC], *key = next_key(c);
    hash_line(line, h);
    mac_over(key, c->mac, VIEW(h, CHAIN_MAC));
    wipe(key, KEY);
    memcpy(mac, c->mac, CHAIN_MAC);
    digest_over(c->digest, mac, h);
    c->seq++;
}

void chain_follow(struct chain *c, struct view line, uint8_t mac[CHAIN_MAC])
{
    mac_over(secret_bytes(c->key), c->mac, line);
    memcpy(mac, c->mac, CHAIN_MAC);
    c->seq++;
}

void chain_skip(struct chain *c, uint64_t seq)
{
    for (; c->seq < seq; c->seq++)
        if (c->key)
            wipe(next_key(c), KEY);
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
    buf_put_u8(out, (uint8_t)c->left);
    buf_add(out, secret_bytes(c->key), BLOCK);
}

err_t chain_load(struct view bytes, struct chain *out, struct why *why)
{
    struct cursor in = cursor_of(bytes);
    struct chain c = {.seq = get_u64(&in)};
    struct view mac = get_bytes(&in, CHAIN_MAC), digest = get_bytes(&in, CHAIN_MAC);
    c.left = get_u8(&in);
    struct view key = get_bytes(&in, BLOCK);
    if (!cursor_done(&in) || c.seq == 0 || c.left > BLOCK_KEYS)
        return fail(why, ERR_CORRUPT, "the saved state of the audit chain is damaged");
    memcpy(c.mac, mac.p, CHAIN_MAC);
    memcpy(c.digest, digest.p, CHAIN_MAC);
    c.key = secret_from(key.p, BLOCK);
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
