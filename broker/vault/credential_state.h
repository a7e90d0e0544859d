/*
 * What credential.c and credential_keys.c share: the state behind `struct credentials`, and the
 * steps of a change. Internal.
 */
#ifndef VAULT_CREDENTIAL_STATE_H
#define VAULT_CREDENTIAL_STATE_H

#include "vault/manifest.h"

enum { CREDENTIAL_CACHE = 32 };

struct cached { /* the sealed bytes of a record that verified */
    uint8_t hash[SEAL_HASH];
    struct buf bytes;
    uint64_t used;
};

struct credentials {
    const struct store_ops *ops;
    struct store *store;
    const struct keyheader *header;
    const struct secret *redact_key;
    struct secret *kek,
        *kek_before; /* key-encryption keys of `epoch` and, during a rekey, of the one before */
    uint32_t epoch;
    struct manifest manifest;
    struct index index;
    size_t stale;    /* rows still under the epoch before */
    size_t rekey_at; /* where in the order of names the next step of a rekey looks */
    uint64_t clock;  /* of the cache */
    struct cached cache[CREDENTIAL_CACHE];
    struct { /* what credential_view() opened last */
        uint8_t hash[SEAL_HASH];
        struct secret *plain; /* NULL: nothing */
        struct cred cred;     /* views into it */
    } view;
};

/* All that is derived from the master keys. */
struct credential_keys {
    uint32_t epoch;
    struct secret *kek, *kek_before, *manifest, *manifest_before; /* before: NULL unless rekeying */
};
MUST err_t credential_keys_derive(uint32_t epoch, const struct secret *master,
                                  const struct secret *previous, struct credential_keys *out,
                                  struct why *why);
void credential_keys_clear(struct credential_keys *k);
/* Takes over the keys, and brings the manifest under the present epoch's when it is not. On failure
 * all is as before. */
MUST err_t credentials_take_keys(struct credentials *cs, struct credential_keys *keys,
                                 struct why *why);

/* NULL: no key of that epoch is held. */
const struct secret *credential_kek(const struct credentials *cs, uint32_t epoch);
/* "<id hex>-<version>-<epoch>" */
void credential_record_name(const struct credential *c, char out[STORE_NAME_MAX + 1]);
/* The slot that holds the record of this hash, or the least recently used one, emptied. */
struct cached *credential_cached(struct credentials *cs, const uint8_t hash[SEAL_HASH]);

/* What the record of a row must say of itself; prev_hash and not_after are left zero. */
MUST err_t credential_meta(const struct credentials *cs, const struct credential *c,
                           struct seal_meta *out, struct why *why);
MUST err_t credential_read(struct credentials *cs, const struct credential *c, struct buf *record,
                           struct why *why);
MUST err_t credential_write(struct credentials *cs, struct credential *next, struct view record,
                            struct why *why);
MUST err_t credential_commit(struct credentials *cs, struct credential *row,
                             const struct credential *next, struct why *why);

#endif
