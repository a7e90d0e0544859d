/* The handlers that THE table of operations (ops.c) names. See server.h for the two steps. */
#ifndef VAULT_OPS_H
#define VAULT_OPS_H

#include "vault/server.h"

#define OP_DECIDE(name) MUST err_t name(struct request *rq, struct pending *p, struct jsonw *w)
#define OP_FINISH(name)                                                                            \
    MUST err_t name(struct vault *v, struct pending *p, struct jsonw *w, struct why *why)

/* op_lease.c: what a consumer may ask */
OP_DECIDE(op_whoami);
OP_DECIDE(op_grants);
OP_DECIDE(op_lease_issue);
OP_FINISH(op_lease_release);
void op_lease_undo(struct vault *v, struct pending *p);
OP_DECIDE(op_lease_renew);
/* leases_env.on_due */
bool op_lease_keep(void *ctx, struct lease *l);
OP_DECIDE(op_lease_end);
OP_FINISH(op_ended);
OP_DECIDE(op_lease_show);
OP_DECIDE(op_leases);
OP_DECIDE(op_introspect);

/* Does the request's token prove this lease (NULL: there is none), is it this consumer's, and do its caveats hold for this peer? ERR_AUTH, recorded,
 * otherwise. What the caveats say of paths and models is for the caller. */
MUST err_t op_prove_token(struct request *rq, struct lease *l, struct token_caveats *caveats);

/* op_proxy.c: what a proxy worker asks */
OP_DECIDE(op_proxy_begin);
OP_FINISH(op_proxy_begun);
void op_proxy_undo(struct vault *v, struct pending *p);
OP_DECIDE(op_proxy_again);
OP_FINISH(op_proxy_renewed);
/* op_token.c: a client renews at the broker */
OP_DECIDE(op_proxy_token);
OP_FINISH(op_proxy_tokened);
/* request_end.c: what a proxy worker tells, and what stops a request */
/* PROXY_USAGE and PROXY_END: no answer. A serial that is not known is left alone: its lease or store has ended meanwhile. */
void op_proxy_report(struct vault_worker *wk, const struct msg *m);
/* leases_env.on_stop */
void op_proxy_lease_ended(void *ctx, struct lease *l, enum lease_end how);
void op_proxy_worker_gone(struct vault_worker *wk);
/* The store is closed: nothing runs on, no route stays, accounts are kept. */
void op_proxy_close(struct vault *v, const char *why);
/* Twice a second: accounts are kept. */
void op_proxy_tick(struct vault *v);

/* op_budget.c */
OP_DECIDE(op_budgets);
/* Appends the proxy's figures in Prometheus' text form. */
void op_proxy_metrics(const struct vault *v, struct buf *out);
/* A member "proxy" of the status. */
void op_proxy_status(const struct vault *v, struct jsonw *w);

/* op_status.c: what an operator may see */
OP_DECIDE(op_status);
OP_DECIDE(op_metrics);
OP_DECIDE(op_audit_read);
OP_DECIDE(op_admin_leases);
OP_DECIDE(op_admin_revoke);

/* op_key.c */
OP_DECIDE(op_init);
OP_DECIDE(op_unlock);
OP_DECIDE(op_lock);
OP_FINISH(op_lock_finish);
OP_DECIDE(op_key_add);
OP_FINISH(op_key_add_finish);
void op_key_add_undo(struct vault *v, struct pending *p);
OP_DECIDE(op_key_list);
OP_DECIDE(op_key_remove);
OP_FINISH(op_key_remove_finish);
OP_DECIDE(op_rekey);
OP_FINISH(op_rekey_finish);
OP_DECIDE(op_accept);
OP_FINISH(op_accept_finish);
OP_FINISH(op_state);
/* One step of a rekey that is under way; called each tick. */
void op_rekey_step(struct vault *v);

/* op_credential.c */
OP_DECIDE(op_cred_put);
OP_FINISH(op_cred_put_finish);
OP_DECIDE(op_cred_list);
OP_DECIDE(op_cred_show);
OP_DECIDE(op_cred_remove);
OP_FINISH(op_cred_remove_finish);

/* op_release.c */
OP_DECIDE(op_cred_release);
OP_FINISH(op_cred_released);
OP_DECIDE(op_cred_resume);
OP_FINISH(op_cred_resumed);

/* op_refresh.c */
OP_DECIDE(op_refresh);
/* The members of the credential's object, with its health. */
void op_write_credential(struct vault *v, struct jsonw *w, const struct credential *c);
/* A member "logins" of the status: each as its object, as far as they fit. */
void op_refresh_status(struct vault *v, struct jsonw *w);
/* Appends the figures of refreshes and of each login in Prometheus' text form. */
void op_refresh_metrics(struct vault *v, struct buf *out);

/* op_login.c */
OP_DECIDE(op_login_begin);
OP_FINISH(op_login_begun);
void op_login_undo(struct vault *v, struct pending *p);
OP_DECIDE(op_login_code);
OP_DECIDE(op_login_show);
OP_FINISH(op_login_shown);
OP_DECIDE(op_login_cancel);

/* op_policy.c */
OP_DECIDE(op_consumer_add);
OP_FINISH(op_policy_finish);
OP_DECIDE(op_consumer_list);
OP_DECIDE(op_consumer_show);
OP_DECIDE(op_consumer_remove);
OP_DECIDE(op_grant_add);
OP_DECIDE(op_grant_remove);
OP_DECIDE(op_reload);
/* Reads the configuration anew and lets sockets and leases follow; a bad one changes nothing. */
MUST err_t policy_reload(struct vault *v, struct why *why);

/* shared */
/* "process" or "none", as it is when nothing is said. A word it does not know is refused: misspelt, it would bind nothing. */
MUST err_t read_owner(const struct msg *m, bool *process, struct why *why);
void write_deliveries(struct jsonw *w, const char *key, unsigned mask);
/* "file,access_token" into a mask; empty: 0. */
MUST err_t read_deliveries(struct view list, unsigned *mask, struct why *why);
/* A page of a list ends when the answer has this many bytes: what one entry may add fits behind it. */
enum { OP_PAGE_BYTES = 48 * 1024 };
struct op_lease_filter {
    struct view consumer, credential; /* empty: any */
    uint64_t cursor;
    bool admin; /* with consumer, uid and pid */
};
MUST err_t op_write_leases(struct vault *v, const struct op_lease_filter *f, struct jsonw *w,
                           struct why *why);
/* Ends the leases that match (all members empty: all); how many. */
unsigned op_end_leases(struct vault *v, const struct op_lease_filter *f);
/* Ends the leases of credentials that are gone, or were enrolled anew since: a crash may have come between a removal and the ends of its
 * leases, which would then count for whatever has the name next. */
void op_end_orphans(struct vault *v);
/* Ends one, with its file; false: it could not be recorded. */
bool op_end_lease(struct vault *v, struct lease *l);

#endif
