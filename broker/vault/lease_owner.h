/*
 * The owner of a lease with owner: process, held by a pidfd of the lease's own.
 */
#ifndef VAULT_LEASE_OWNER_H
#define VAULT_LEASE_OWNER_H

#include "vault/lease_table.h"

/* n->pidfd becomes a duplicate of the peer's, n->start_ticks its start time. ERR_CONFLICT: the kernel gave no pidfd, or the process has
 * ended. ERR_LIMIT: open descriptors. */
MUST err_t owner_adopt(struct lease_node *n, const struct peer *peer, struct why *why);
/* After a restart of brokerd: is the process still the one that the lease was issued to? Sets n->pidfd, which is the lease's also when it
 * is not. */
bool owner_find(struct lease_node *n);

#endif
