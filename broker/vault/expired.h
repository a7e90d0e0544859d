/*
 * Leases that expired are recorded together: those of one consumer, credential and delivery that expired in one turn of the loop share a
 * line of the audit log, which names them all. A busy consumer's short leases would else fill half of the log.
 */
#ifndef VAULT_EXPIRED_H
#define VAULT_EXPIRED_H

#include "vault/lease.h"

enum { EXPIRED_MAX = 48 }; /* leases in one line */

struct vault;
struct expired {
    unsigned n;
    char consumer[65], credential[65];
    enum delivery delivery;
    char ids[EXPIRED_MAX * (2 * TOKEN_LEASE_ID + 1)]; /* hex, a blank between two */
};

void expired_add(struct vault *v, const struct lease *l);
/* Records what was added. At the end of each turn, and before the log is closed. */
void expired_tell(struct vault *v);

#endif
