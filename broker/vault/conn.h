/*
 * The connections that the workers showed. A connection is known from the moment its descriptor came with a request and the kernel's
 * facts about its peer were read and found good; until then its id means nothing.
 */
#ifndef VAULT_CONN_H
#define VAULT_CONN_H

#include "vault/vault.h"

/* The connection of this id; NULL when it was never shown, was refused, or is closed. */
struct vault_conn *conn_find(const struct vault_worker *wk, uint64_t id);
/* Attests the peer of `fd` and remembers it under `id`. ERR_DENIED, recorded: its facts cannot be had, it did not come by this role's
 * socket, or they do not fulfil the conditions. Takes the place of another connection in the same slot. */
MUST err_t conn_show(struct vault_worker *wk, uint64_t id, int fd, struct why *why);
/* Before each request: after a reload its peer must fulfil the new conditions. ERR_DENIED, recorded, and the connection is forgotten: it
 * no longer does, or its consumer was removed. */
MUST err_t conn_judge_again(struct vault_worker *wk, struct vault_conn *c, struct why *why);
/* A descriptor that was passed on, or inherited, ends with the process it was attested for: has that ended? */
bool conn_has_ended(const struct vault_worker *wk, const struct vault_conn *c);
/* Asks of all connections in the worker's newest batch of packets at once whose process lives; conn_has_ended() then need not. */
void conn_ask_all(const struct vault_worker *wk, const struct ipc_batch *b);
void conn_close(struct vault_worker *wk, uint64_t id);
void conn_close_all(struct vault_worker *wk);

#endif
