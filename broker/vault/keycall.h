/*
 * One question to a key source, answered later: in this process where the source is harmless, else in a short-lived helper
 * (Argon2id blocks for a second and takes 256 MiB; libsecret brings glib and D-Bus).
 */
#ifndef VAULT_KEYCALL_H
#define VAULT_KEYCALL_H

#include "vault/vault.h"

/* `key` is the callee's (NULL exactly on failure and after remove); `params` is valid during the call only. */
typedef void keycall_done_fn(void *ctx, err_t e, struct view params, struct secret *key,
                             const struct why *why);

enum keycall_op { KEYCALL_CREATE, KEYCALL_OPEN, KEYCALL_REMOVE };
struct keycall {
    const struct keysource *source;
    enum keycall_op op;
    const uint8_t *store_id; /* of a store that is not there yet; NULL: the present one's */
    struct view params, passphrase, path; /* copied */
    keycall_done_fn *done;
    void *ctx;
};
/* `done` is called exactly once, possibly before this returns. At most KEYCALL_MAX wait for a helper at once: ERR_LIMIT. */
enum { KEYCALL_MAX = 4 };
void keycall_start(struct vault *v, const struct keycall *call);
/* Removes what a source keeps for these params; nobody waits for it, a failure is logged. */
void keycall_forget(struct vault *v, const char *source, struct view params);
/* From the supervisor: a helper of this role is there (`sock` is taken), or cannot be. */
void keycall_on_spawned(struct vault *v, const char *role, int sock);
void keycall_on_refused(struct vault *v, const char *role, const char *why);
void keycall_cancel_all(struct vault *v);

#endif
