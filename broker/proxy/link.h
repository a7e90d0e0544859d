/*
 * The line to the vault: what is to be sent waits in order until the end of the turn, so that all a turn asks goes in one go; what arrives is
 * handed out by message type.
 */
#ifndef PROXY_LINK_H
#define PROXY_LINK_H

#include "proxy/proxy.h"

struct client;

MUST err_t link_new(struct proxy *p, int vault_fd, struct link **out, struct why *why);
void link_free(struct link *l); /* takes NULL; closes vault_fd */

void link_ready(struct link *l, const char *sandbox);
/* Queues a request of this connection, whose descriptor goes along the first time. ERR_UNAVAILABLE: the vault does not keep up. */
MUST err_t link_request(struct link *l, struct client *c, struct view packet, struct why *why);
/* Queues what nobody waits for; `urgent`: it does not wait for company. A line that is full ends the worker. */
void link_tell(struct link *l, struct view packet, bool urgent);
/* The same for PROXY_USAGE and PROXY_END, of which many go in one packet. */
void link_news(struct link *l, struct view packet, bool urgent);
/* Sends what is queued, as far as the vault takes it. */
void link_flush(struct link *l);

#endif
