/*
 * Requests that wait for something that is under way elsewhere (a refresh). A parked request is its packet, kept; when what it waits for has
 * ended it is taken up as if it came now, once, and decided on what is true then (struct request: again).
 */
#ifndef VAULT_PARKED_H
#define VAULT_PARKED_H

#include "vault/server.h"

enum { PARKED_MS = 12000 }; /* a worker waits 15 s for an answer */

struct parked;
/* Keeps the request on the list: rq->deferred is set and `p` is gone. */
MUST err_t parked_add(struct parked **list, struct request *rq, struct pending *p);
/* Takes up all of them, or only those that have waited too long. */
void parked_wake(struct vault *v, struct parked **list);
void parked_wake_late(struct vault *v, struct parked **list);
/* All of `from` go behind those on `list`. */
void parked_join(struct parked **list, struct parked **from);
void parked_free(struct parked **list); /* they get no answer: their workers are gone */

#endif
