/*
 * The contract of a key source: what gives the 32-byte slot secret that opens one key slot of the store (crypto/keyslot.h).
 * One source is one file in broker/keysource/ that ends in one const table.
 *
 * `params` is what the slot keeps in the clear (authenticated by the slot header's MAC): the salt and cost of a passphrase, the
 * path of a key file, the attributes of a keyring item. At most KEYSOURCE_PARAMS_MAX bytes, the source's own encoding,
 * documented in its file. Sources with `helper` set run in a short-lived process, because they block (Argon2id) or
 * bring a library that has no place beside keys (libsecret, glib).
 */
#ifndef BROKER_KEYSOURCE_H
#define BROKER_KEYSOURCE_H

#include "base/buf.h"
#include <broker/secret.h>

enum { KEYSOURCE_KEY_BYTES = 32, KEYSOURCE_PARAMS_MAX = 1024, KEYSOURCE_PASSPHRASE_MAX = 1024 };

struct keysource_ask {
    struct view params;     /* as kept in the slot; empty on create */
    struct view passphrase; /* interactive sources only */
    struct view
        path; /* create: file to make (keyfile) or name of the credential (systemd) or label (keyring); may be empty */
    const char *config_dir; /* where a default key file goes */
    uint8_t store_id[16];   /* binds keyring items to this store */
};

struct keysource {
    const char *name; /* "keyfile" "passphrase" "keyring" "systemd" */
    const char *title;
    bool interactive;   /* needs a passphrase from a person: never tried at start */
    const char *helper; /* NULL: runs in the vault; else role of the helper: "kdf" or "keyring" */

    /* A new slot secret, and the params that find it again (appended). Must not overwrite an existing key. */
    err_t (*create)(const struct keysource_ask *ask, struct buf *params, struct secret **key,
                    struct why *why);
    /* The slot secret. ERR_AUTH: wrong passphrase (as far as the source can tell), ERR_NOT_FOUND: nothing there,
     * ERR_PERMISSION: unsafe file, ERR_UNAVAILABLE: locked keyring, no D-Bus. Returns within 10 s. */
    err_t (*open)(const struct keysource_ask *ask, struct secret **key, struct why *why);
    /* Removes what create made, where the source keeps something of ours; NULL: nothing to remove. */
    err_t (*remove)(const struct keysource_ask *ask, struct why *why);
    /* One line for `key list` from the params, no secrets. */
    void (*describe)(struct view params, char out[160]);
};

/* NULL-terminated. In brokerd the keyring row has NULL create/open/remove: they live in the brokerd-keyring program only. */
extern const struct keysource *const keysources[];
const struct keysource *keysource_by_name(struct view name);

/* The helper's side: answers one KEY_ASK on `sock` and returns an exit code. `table` is the rows that this helper serves. */
int keysource_serve(int sock, const struct keysource *const table[]);

#endif
