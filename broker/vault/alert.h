/*
 * What an operator must hear of at once: a line in the log, and the command that the configuration names for it, which the supervisor runs.
 */
#ifndef VAULT_ALERT_H
#define VAULT_ALERT_H

#include "vault/vault.h"

/* A login is dead. `text` holds no secret. */
void alert_needs_login(struct vault *v, const struct credential *c, enum login_end how,
                       const char *text);
const char *login_end_name(enum login_end how); /* "revoked"; "" while it works */

#endif
