/*
 * The manifest as the vault sees it: a chain of sealed entries that says which credentials there
 * are and which record holds each. One appended entry is the commit of one change. Plaintext of an
 * entry: crypto/FORMAT.md, "Manifest".
 */
#ifndef VAULT_MANIFEST_H
#define VAULT_MANIFEST_H

#include "vault/index.h"

struct manifest {
    const struct store_ops *ops;
    struct store *store;
    struct secret *key; /* of `epoch`; owned */
    uint32_t epoch;
    struct entry_chain chain; /* where the next entry goes */
    bool broken; /* the last write left its outcome open: a new generation comes first */
};

/* Keys it may be sealed under: of the epoch, and during a rekey of the one before (else NULL). */
struct manifest_keys {
    const struct secret *now, *before;
    uint32_t epoch;
};

/* Reads all entries into an empty index; m->key and m->epoch are those that opened it. ERR_CORRUPT
 * names the entry. Makes the first generation of a store that has none and holds no record. A torn
 * end is cut off by a new generation. */
MUST err_t manifest_load(struct manifest *m, const struct manifest_keys *keys, struct index *ix,
                         struct why *why);
void manifest_clear(struct manifest *m);

/* Makes the manifest fit for appending: a new generation of the rows in ix when the last write
 * failed. */
MUST err_t manifest_mend(struct manifest *m, struct index *ix, struct why *why);
/* The commit of a new state of `row`, and of its end. Durable on ERR_OK. On failure the outcome is
 * open until manifest_mend succeeds: neither the old nor the new record may be removed before. `ix`
 * is as before the change. */
MUST err_t manifest_put(struct manifest *m, const struct credential *row, struct why *why);
MUST err_t manifest_remove(struct manifest *m, const struct credential *row, struct why *why);
/* Writes a new generation when most entries are void; ix is as after the last change. Its failure
 * costs a manifest_mend. */
void manifest_compact(struct manifest *m, struct index *ix);
/* A new generation under another key, which it takes over on success. */
MUST err_t manifest_rekey(struct manifest *m, struct index *ix, struct secret **key, uint32_t epoch,
                          struct why *why);

/* The plaintexts. manifest_decode_row is total: ERR_CORRUPT, or ERR_VERSION for a provider that is
 * not known here. */
MUST err_t manifest_encode_row(const struct credential *row, struct buf *out, struct why *why);
MUST err_t manifest_decode_row(struct cursor *c, struct credential *row, struct why *why);

#endif
