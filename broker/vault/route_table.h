/*
 * The routes that proxy workers hold: one per credential version in use. The table has no secret in it: the credential is opened when a
 * worker gets the route, and not again. A route ends, at every worker that has it, when the last lease that used it ends, when its
 * credential is replaced, removed or locked away, and when the configuration sends it elsewhere.
 */
#ifndef VAULT_ROUTE_TABLE_H
#define VAULT_ROUTE_TABLE_H

#include "base/config.h"
#include "vault/credential.h"

struct vault;
struct vault_worker;
struct lease;

struct live_route {
    uint64_t id;
    char credential[65];
    uint8_t cred_id[SEAL_ID];
    uint64_t version;
    unsigned holders; /* mask of proxy workers */
    unsigned leases;  /* that took it last */
    bool ended;       /* no new request takes it; kept while a lease points to it */
    bool rejected;    /* an upstream refused its credential: told once */
    struct live_route *next;
};
struct route_table {
    struct live_route *all;
    uint64_t last_id;
};

/* Builds the route of this credential as the configuration has it, and appends its encoding (a secret). */
MUST err_t route_build(const struct vault *v, const struct credential *c, const struct cred *cred,
                       struct buf *out, struct why *why);
/* The route of the credential's present version, taken by the lease; sent to the worker if it does not hold it (this opens the credential). */
MUST err_t route_take(struct vault_worker *wk, struct lease *l, const struct credential *c,
                      uint64_t *id, struct why *why);
/* The lease's route; NULL: it took none. */
struct live_route *route_of_lease(const struct lease *l);
void route_drop_lease(struct vault *v, struct lease *l);
void route_end_credential(struct vault *v, const char *name);
void route_end_all(struct vault *v);
/* The worker is gone, and all it held. */
void route_forget_worker(struct vault *v, unsigned kind);
/* Ends all and frees the table. No lease takes part any more. */
void route_table_close(struct vault *v);
/* Does the configuration name providers that exist? ERR_INVALID; `file` is for the sentence. */
MUST err_t route_check_config(const struct config *c, const char *file, struct why *why);

#endif
