/*
 * The audit chain: each line carries a MAC under a key that evolves and is forgotten (Bellare & Yee; Schneier & Kelsey), so that who
 * takes the machine over cannot rewrite what was written before; Ed25519-signed checkpoints let anybody with the public key
 * see truncation and edits down to the last checkpoint. A MAC means nothing to who has only the public key, so what is
 * signed is a digest of the lines, which anybody can compute.
 *     h_i      = BLAKE2b-256(line_i without its mac)
 *     mac_i    = BLAKE2b-256(key: k_i, mac_{i-1} || h_i)
 *     digest_i = BLAKE2b-256(digest_{i-1} || mac_i || h_i)
 * The keys k_i come from a fast-key-erasure generator: 15 at a time and the key of the next 15, each wiped when it was used; k_i depends
 * on i alone.
 * FORMAT.md, "Audit chain".
 */
#ifndef CRYPTO_CHAIN_H
#define CRYPTO_CHAIN_H

#include "base/buf.h"
#include <broker/secret.h>

enum { CHAIN_MAC = 32, CHAIN_SIG = 64, CHAIN_PK = 32, CHAIN_STATE = 585 };

struct chain {
    struct secret *key; /* the keys of the lines to come; chain_follow: the key */
    unsigned left;      /* line keys in it that were not used yet */
    uint64_t seq;       /* of the next line; the first is 1 */
    uint8_t mac[CHAIN_MAC], digest[CHAIN_MAC]; /* of the last line; zeros at the start */
};

/* k_0 from 32 random bytes (the auditor's key), copied. ERR_UNAVAILABLE: no locked memory left. */
MUST err_t chain_start(const struct secret *k0, struct chain *out);
/* MAC of the next line; advances seq, mac, digest and the key. `line`: `{"seq":N,…}` without the mac member (but with its
 * closing brace) and without newline; what is written is the same with `,"mac":"<64 hex>"` before the brace. */
void chain_next(struct chain *c, struct view line, uint8_t mac[CHAIN_MAC]);
/* As chain_next under a key that does not evolve, and without a digest: one hash instead of three, for a chain that must be whole but
 * need not keep its past from whoever takes the process over (the lease journal: what it says is of today). */
void chain_follow(struct chain *c, struct view line, uint8_t mac[CHAIN_MAC]);
/* Goes on at line `seq` (later than the next) of a log that lost the lines before it: the key evolves, mac and digest stay. */
void chain_skip(struct chain *c, uint64_t seq);
/* Takes the mac that stands in the log for the last line, where it is not the one that chain_next gave. `digest`: from before. */
void chain_relink(struct chain *c, const uint8_t digest[CHAIN_MAC], const uint8_t mac[CHAIN_MAC],
                  struct view line);
/* The digest's step alone, for who has no key. */
void chain_digest(uint8_t digest[CHAIN_MAC], const uint8_t mac[CHAIN_MAC], struct view line);
void chain_clear(struct chain *c); /* frees the key; takes a zero chain */
/* State to survive a restart: u64 seq, mac, digest, u8 line keys left, the keys (CHAIN_STATE bytes), to be sealed by the caller. */
void chain_save(const struct chain *c, struct buf *out);
MUST err_t chain_load(struct view bytes, struct chain *out, struct why *why);

MUST err_t sign_keypair(uint8_t pk[CHAIN_PK], struct secret **sk); /* Ed25519 (RFC 8032) */
/* A checkpoint is itself a line, number `seq`, and signs all lines before it: call with the chain's seq and digest before
 * chain_next of the checkpoint's line, whose last members (before the mac) are `,"log":"<32 hex>","sig":"<128 hex>"` and which
 * holds `"event":"audit.checkpoint"`: verify_dir finds it by that. */
void sign_checkpoint(const struct secret *sk, const uint8_t log_id[16], uint64_t seq,
                     const uint8_t digest[CHAIN_MAC], uint8_t sig[CHAIN_SIG]);
bool verify_checkpoint(const uint8_t pk[CHAIN_PK], const uint8_t log_id[16], uint64_t seq,
                       const uint8_t digest[CHAIN_MAC], const uint8_t sig[CHAIN_SIG]);

/* Keyed redaction id of a value: "r:" + 16 hex digits of BLAKE2b keyed by the operator's redaction key, NUL-terminated. */
enum { REDACT_LEN = 18 };
void redact_id(const struct secret *key, struct view value, char out[REDACT_LEN + 1]);

#endif
