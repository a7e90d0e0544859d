/*
 * Records: one sealed credential version. Fresh 32-byte data key per write, XChaCha20-Poly1305 (libsodium's
 * crypto_aead_xchacha20poly1305_ietf); the data key is wrapped with the epoch's key-encryption key, the same way. Every byte of a
 * record is additional data, ciphertext or tag. Layout, byte by byte: crypto/FORMAT.md, section "Record".
 */
#ifndef CRYPTO_SEAL_H
#define CRYPTO_SEAL_H

#include "base/buf.h"
#include <broker/secret.h>

enum { SEAL_KEY = 32, SEAL_ID = 16, SEAL_HASH = 32, SEAL_PLAIN_MAX = SECRET_MAX };

struct seal_meta { /* all of it is authenticated */
    uint8_t store_id[SEAL_ID], cred_id[SEAL_ID];
    char name[65];    /* NUL-terminated, checked by name_check rules */
    char kind[33];    /* provider name */
    uint64_t version; /* 1, 2, … */
    uint32_t epoch;   /* key epoch */
    uint8_t
        prev_hash[SEAL_HASH]; /* seal_hash of the previous version's record; zeros for the first */
    uint8_t policy_hash[SEAL_HASH];   /* hash of the credential's own release policy */
    int64_t created_ms, not_after_ms; /* wall clock; not_after 0: none */
};

/* `kek`: the epoch's key. Appends the record to `out`. `plain` has 1 to SEAL_PLAIN_MAX bytes (what opens again as one secret). */
MUST err_t seal_record(const struct secret *kek, const struct seal_meta *meta, struct view plain,
                       struct buf *out, struct why *why);
/* Reads the authenticated header without a key (nothing of it may be trusted yet). ERR_CORRUPT, ERR_VERSION (unknown format,
 * suite or flag). */
MUST err_t seal_peek(struct view record, struct seal_meta *meta, struct why *why);
/* Opens: every byte is verified, and `expect` (NULL: not compared) must equal the record's own meta in all members. The
 * plaintext is a new secret. ERR_CORRUPT on any difference. */
MUST err_t seal_open(const struct secret *kek, struct view record, const struct seal_meta *expect,
                     struct secret **plain, struct why *why);
/* Re-wraps the data key under another epoch's key. Since the header names the epoch, the body is sealed anew with a fresh data key. */
MUST err_t seal_rewrap(const struct secret *old_kek, const struct secret *new_kek,
                       uint32_t new_epoch, struct view record, struct buf *out, struct why *why);
/* BLAKE2b-256 of the record's bytes. */
void seal_hash(struct view record, uint8_t out[SEAL_HASH]);

/* Small sealed things (manifest entries, journal state): AEAD with context string, sequence number and the previous entry's tag
 * as additional data, so that entries cannot be moved, dropped or replayed. Layout in FORMAT.md, "Entry". */
enum { ENTRY_TAG = 16, ENTRY_OVERHEAD = 64, ENTRY_PLAIN_MAX = 4096 - ENTRY_OVERHEAD };
struct entry_chain {
    uint64_t generation, seq; /* seq of the next entry */
    uint8_t prev_tag[ENTRY_TAG];
};
MUST err_t entry_seal(const struct secret *key, const char *context, struct entry_chain *chain,
                      struct view plain, struct buf *out, struct why *why); /* advances the chain */
MUST err_t entry_open(const struct secret *key, const char *context, struct entry_chain *chain,
                      struct view entry, struct buf *plain,
                      struct why *why); /* appends; advances the chain */

void random_bytes(void *p, size_t n); /* the kernel's CSPRNG, through libsodium */

#endif
