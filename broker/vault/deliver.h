/*
 * From a lease to what the client gets: the value (access_token, helper, secret) or the projected file. The only code that opens a
 * sealed credential for somebody else's use; it runs after the release was recorded.
 */
#ifndef VAULT_DELIVER_H
#define VAULT_DELIVER_H

#include "base/jsonw.h"
#include "vault/vault.h"

/* The lease object of the API. `released`: with token and value (opens the credential); else without. */
MUST err_t deliver_lease(struct vault *v, struct lease *l, bool released, struct jsonw *w,
                         struct why *why);
/* As without release, with consumer, uid and pid: for an operator. */
MUST err_t deliver_lease_admin(struct vault *v, const struct lease *l, struct jsonw *w,
                               struct why *why);
/* Can this credential be released in this delivery now? Judged from the index, nothing is opened. */
MUST err_t deliver_usable(const struct credential *c, enum delivery d, int64_t now_ms,
                          struct why *why);
/* A member with the field's text, or null. */
void deliver_field(struct jsonw *w, const struct cred *cred, enum cred_field f, const char *key);
/* The deliveries this credential can have at all: its provider's for its kind, within the operator's ceiling. */
unsigned deliver_possible(const struct credential *c);
/* A lease ended: its projected file goes when no other live lease uses it. */
void deliver_end(struct vault *v, const struct lease *l);
/* A credential was replaced: projected files follow. */
void deliver_refresh(struct vault *v, const char *credential);
/* Nothing of the credential is valid any more: its files say `{}`, which programs take for "logged out". */
void deliver_void(struct vault *v, const char *credential);
/* The store is locked: no projected file stays. It is open again: those of live leases come back. */
void deliver_remove_all(struct vault *v);
void deliver_restore(struct vault *v);

#endif
