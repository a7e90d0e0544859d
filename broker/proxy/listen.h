/* The listening sockets the vault handed over, one per consumer, and how many connections each may have. */
#ifndef PROXY_LISTEN_H
#define PROXY_LISTEN_H

#include "proxy/proxy.h"

struct listener; /* one consumer's socket */

enum { LISTEN_QUOTA = 1024 };

MUST err_t listeners_new(struct proxy *p, struct listeners **out, struct why *why);
void listeners_free(struct listeners *all); /* takes NULL; every connection must be gone */
/* Takes `fd` over, also on failure. `quota` 0: LISTEN_QUOTA. A socket already there for the consumer is replaced; its connections stay. */
MUST err_t listen_add(struct listeners *all, struct view consumer, int fd, uint64_t quota,
                      struct why *why);
/* Closes the socket and all its connections. */
void listen_remove(struct listeners *all, struct view consumer);
/* A connection of `from` is gone. */
void listener_release(struct listener *from);
/* After the process ran out of descriptors or memory: accept again. */
void listeners_retry(struct listeners *all);

#endif
