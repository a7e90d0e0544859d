/*
 * A new store: its header and master key, its first key slot, its audit log.
 */
#ifndef VAULT_INIT_H
#define VAULT_INIT_H

#include "vault/keycall.h"
#include "vault/server.h"

/* Makes a store whose first slot comes from `how`; `p` is answered. ERR_CONFLICT: one is being made already. A failure leaves
 * VAULT_UNINITIALISED, and nothing of ours with the key source. */
void init_start(struct vault *v, const struct keycall *how, struct pending *p);

#endif
