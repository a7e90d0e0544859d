/*
 * Keeps leases alive, and ends them.
 */
#ifndef EXEC_KEEPER_H
#define EXEC_KEEPER_H

#include "base/loop.h"

#include <broker/client.h>

enum { KEEPER_LEASES = 32, KEEPER_TIMEOUT_MS = 10000, KEEPER_END_MS = 2000 };

struct keeper;
/* `socket`: the broker's, stays the caller's. `ttl_ms`: what each renewal asks for; 0: as granted. */
MUST err_t keeper_new(struct loop *l, const char *socket, int64_t ttl_ms, struct keeper **out,
                      struct why *why);
/* Takes the token over. Renews first when 60 % of the lease's time are over. */
MUST err_t keeper_add(struct keeper *k, struct broker_lease *lease, struct why *why);
/* Gives back those that have not ended, as far as the broker hears it in KEEPER_END_MS. Blocks. */
void keeper_end(struct keeper *k);
size_t keeper_living(const struct keeper *k); /* those not known to have ended */
void keeper_free(struct keeper *k);           /* wipes; takes NULL */

#endif
