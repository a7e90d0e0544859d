/* The vault's end of the line: what is to be sent waits in order; what arrives is handed out by
 * message type. */
#ifndef API_LINK_H
#define API_LINK_H

#include "api/worker.h"

/* Takes over `vault_fd`. */
MUST err_t link_new(struct worker *w, int vault_fd, struct link **out, struct why *why);
void link_free(struct link *l); /* takes NULL; closes vault_fd */

/* Queues the packet of the request `id`; the connection's descriptor goes with it when the vault
 * has not seen it yet. ERR_UNAVAILABLE when the vault does not keep up. */
MUST err_t link_request(struct link *l, uint64_t id, struct view packet, struct why *why);
/* A connection the vault knows has ended: it is told in a moment, unless the next connection in the
 * same slot says it. */
void link_closed(struct link *l, const struct conn *c);
/* Queues READY; `sandbox` travels as its reason, may be NULL. */
void link_ready(struct link *l, const char *sandbox);
/* Sends what is queued, as far as the vault takes it; the rest when it does again. */
void link_flush(struct link *l);
/* When link_flush() is next wanted although nothing happens (clock_boot_ms); INT64_MAX: not. */
int64_t link_due(const struct link *l);

#endif
