/*
 * The key header of a store: the store's id, its epoch, and up to 8 slots, each of which opens the master key (LUKS style).
 *
 * A slot's secret (32 bytes from a key source) seeds an X25519 key pair; the header keeps the public key and the master key sealed
 * to it (crypto_box_seal), so that a rekey can seal the new master key to every slot without asking for every
 * passphrase. But anybody can seal to a public key: a MAC under the master key alone would let who can write the file put a
 * master key of his own in every slot. So the header is signed (Ed25519) by a key whose public half each slot pins with a MAC under
 * its own secret, and whose private half lies wrapped under the master key. The signature covers every byte of the header:
 * slots cannot be removed, re-inserted or weakened unseen. During a rekey the header also holds the previous master key wrapped
 * under the new one. Layout: FORMAT.md, "Key header".
 */
#ifndef CRYPTO_KEYSLOT_H
#define CRYPTO_KEYSLOT_H

#include "base/buf.h"
#include "crypto/kdf.h"
#include <broker/keysource.h>
#include <broker/secret.h>

enum { KEYSLOTS_MAX = 8, KEYSLOT_SOURCE_MAX = 32 };

struct keyslot {
    bool used;
    char source[33];
    uint8_t params[KEYSOURCE_PARAMS_MAX];
    size_t params_len;
    int64_t created_ms;
    uint8_t pk[32], sealed[80]; /* X25519 public key; crypto_box_seal of the 32-byte master key */
    uint8_t pin[32];            /* MAC under the slot's secret of store id and auth_pk */
};
struct keyheader {
    uint8_t store_id[16];
    uint32_t epoch;  /* of the master key in the slots */
    bool rekeying;   /* the previous master key is still held */
    uint64_t serial; /* grows with each write of the header */
    struct keyslot slot[KEYSLOTS_MAX];
    uint8_t commitment[32], prev_wrapped[72];
    uint8_t auth_pk[32], auth_wrapped[72]; /* Ed25519 public key; its seed under the master key */
    uint8_t sig[64];
};

/* A new store: random id and master key, epoch 1, no slot yet: add one before it is written. */
MUST err_t keyheader_create(struct keyheader *h, struct secret **master, struct why *why);
/* Adds a slot (index in *slot) and signs. ERR_LIMIT when all are used; ERR_AUTH when `master` is not this header's. */
struct keyslot_new {
    const char *source;
    struct view params;
    const struct secret *key; /* the slot's secret */
    int64_t now_ms;
};
MUST err_t keyslot_add(struct keyheader *h, const struct secret *master,
                       const struct keyslot_new *in, unsigned *slot, struct why *why);
/* Refuses (ERR_CONFLICT) to remove the last slot. A kept copy of the old header still opens: rekey afterwards. */
MUST err_t keyheader_remove(struct keyheader *h, const struct secret *master, unsigned slot,
                            struct why *why);
/* Tries one slot's secret: ERR_AUTH when it is another's, ERR_CORRUPT when it is the slot's but pin, signature or commitment is
 * wrong, ERR_NOT_FOUND when the slot is not used. *previous: NULL unless rekeying. */
MUST err_t keyheader_open(const struct keyheader *h, unsigned slot, const struct secret *slot_key,
                          struct secret **master, struct secret **previous, struct why *why);
/* Begins a rekey: a fresh master key, epoch + 1, sealed to every slot; the old one kept wrapped. ERR_CONFLICT: one is under way. */
MUST err_t keyheader_rekey_begin(struct keyheader *h, const struct secret *old_master,
                                 struct secret **new_master, struct why *why);
MUST err_t keyheader_rekey_end(struct keyheader *h, const struct secret *master, struct why *why);

/* What outlives every rekey: the parent of the keys for tokens, the lease journal, the audit log's state and redaction. Derived from the
 * header's signing seed, which stays the same for the store's life. */
MUST err_t keyheader_root(const struct keyheader *h, const struct secret *master,
                          struct secret **root, struct why *why);

unsigned keyheader_slots(const struct keyheader *h); /* used ones */
void keyheader_encode(const struct keyheader *h, struct buf *out);
/* Total. ERR_VERSION for a newer format or unknown flag; ERR_CORRUPT otherwise. The signature is checked in keyheader_open. */
MUST err_t keyheader_decode(struct view bytes, struct keyheader *out, struct why *why);

#endif
