/*
 * The vault's worker processes (api, admin, audit): asked of the supervisor, watched, restarted with a back-off. A worker's death
 * costs the connections it held and nothing else: leases live here.
 */
#ifndef VAULT_WORKER_H
#define VAULT_WORKER_H

#include "vault/vault.h"

const char *worker_role(unsigned kind); /* "api" "admin" "audit" "proxy" "proxy2" … */
bool worker_is_proxy(unsigned kind);
uint32_t worker_from(
    unsigned kind); /* what it may send: FROM_API, FROM_ADMIN, FROM_PROXY (base/msg.h) */
/* Is this listening socket one of that kind of worker? */
bool worker_serves(unsigned kind, const struct vault_listener *l);
/* Is it to run, as the configuration stands? */
bool worker_wanted(const struct vault *v, unsigned kind);
/* Starts the proxy workers that are wanted and do not run, ends those that are not. */
void worker_follow(struct vault *v);
struct vault_worker *worker_of_role(struct vault *v, const char *role); /* NULL: a helper's */
/* Asks the supervisor for the worker; worker_attach() follows when its socket has come. */
MUST err_t worker_spawn(struct vault *v, unsigned kind, struct why *why);
/* Takes `sock`, also when it fails. */
MUST err_t worker_attach(struct vault *v, unsigned kind, int sock, int32_t pid, struct why *why);
/* It is set up: hands it every listening socket that is its own. */
void worker_on_ready(struct vault_worker *wk, struct view sandbox_report);
MUST err_t worker_listen(struct vault_worker *wk, const struct vault_listener *l, struct why *why);
void worker_unlisten(struct vault_worker *wk, const struct vault_listener *l);
/* Sends or queues; the channel to a worker that lets more than 8 MiB pile up is shut, and its end is then seen by the loop: nothing is
 * freed in here. Packets to a dead worker are dropped. */
void worker_send(struct vault_worker *wk, struct buf *packet, int fd);
/* An empty packet to build an answer in (no descriptor). It goes out in its order with the others of this turn, at worker_flush(); one
 * that is `bad` then, or empty, is not sent. Valid until the next call. */
struct buf *worker_packet(struct vault_worker *wk);
void worker_flush(struct vault_worker *wk);
void worker_send_queued(struct vault_worker *wk);
/* It died or broke the protocol: its connections are forgotten and a new one is asked for. */
void worker_lost(struct vault_worker *wk, const char *why);
/* The supervisor could not start one: asked again after the back-off. */
void worker_refused(struct vault_worker *wk, const char *why);
/* From the supervisor: a child ended. */
void worker_on_exit(struct vault *v, const char *role, int32_t pid, int status);
/* Restarts what is due. */
void worker_tick(struct vault *v);
void worker_free(struct vault_worker *wk);

#endif
