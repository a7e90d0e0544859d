/*
 * One owner of every refresh token: the state machine that renews logins (DESIGN.md, section 7).
 *
 *     VALID ─ begin ─▶ INTENT durable ─ request ─▶ RAW durable ─ parsed ─▶ new version committed ─▶ VALID
 *       ▲                  │ no answer: the old token is tried again, after a while        │ the provider says it is dead
 *       └── later ◀────────┘                                                               ▼
 *                                                                             NEEDS_LOGIN, ciphertext kept
 *
 * Single-flight per credential: whoever needs a new token while a refresh runs waits for that one. Nobody else waits for anything. A login is
 * called dead for one reason only: its provider says so of the refresh token that is the newest.
 */
#ifndef VAULT_REFRESH_H
#define VAULT_REFRESH_H

#include "vault/server.h"

struct refreshes;

/* Why one begins; the word is the audit record's source. */
enum refresh_cause {
    REFRESH_EARLY,    /* 80 % of its life have passed */
    REFRESH_LEASE,    /* somebody asks for a token and too little is left */
    REFRESH_REJECTED, /* an upstream answered 401 */
    REFRESH_DEMAND,   /* an operator */
    REFRESH_RECOVERY, /* a crash came between */
    REFRESH__COUNT
};

/* The store is open: takes up what a crash left. The store is closed. */
void refreshes_open(struct vault *v);
void refreshes_close(struct vault *v);
void refreshes_tick(struct vault *v); /* twice a second: what is due begins */
/* A credential was enrolled, replaced, removed or let go by an operator. */
void refresh_note_change(struct vault *v, const char *name);
/* A file with this credential lies with a consumer: it is renewed while there is enough left for a long run. */
void refresh_note_file(struct vault *v, const char *name);
/* An upstream took this version. */
void refresh_note_accepted(struct vault *v, const char *name, uint64_t version);

/* As deliver_usable(), but where a login is renewed by the broker itself the sentence says so (ERR_UNAVAILABLE: later). */
MUST err_t refresh_usable(struct vault *v, const struct credential *c, enum delivery d,
                          struct why *why);
/* For a request that needs more life than the access token has left: begins a refresh, or joins the one that runs, and parks the request
 * (rq->deferred, and `p` is gone). ERR_OK without deferred: enough is left, or there is nothing to wait for; refresh_usable() then says. */
MUST err_t refresh_for_use(struct request *rq, struct pending *p, const struct credential *c,
                           enum delivery d);
/* The same after an upstream's 401 to the present version. ERR_NEEDS_LOGIN, ERR_UNAVAILABLE: there is nothing to wait for. */
MUST err_t refresh_after_401(struct request *rq, struct pending *p, const struct credential *c);

/* Begins one now, whatever the back-off says, and parks the request; taken up again it is answered with the outcome. */
MUST err_t refresh_on_demand(struct request *rq, struct pending *p, const struct credential *c,
                             struct jsonw *w);

/* Before a login leaves the broker: a refresh that runs, or whose outcome is open, comes to its end first; the request is parked for that. */
MUST err_t refresh_settled(struct request *rq, struct pending *p, const struct credential *c);

/* Before the store is locked: the request is parked until the refresh that began last has come to its end, PARKED_MS at most, for an answer that
 * nobody takes may be the only good refresh token. */
MUST err_t refreshes_quiet(struct request *rq, struct pending *p);

/* What an operator sees. */
struct refresh_view {
    bool renewable; /* it has a refresh token, and its provider's row says where to go */
    bool running,
        doubtful;      /* doubtful: a request may have been carried out whose answer never came */
    unsigned failures; /* in a row */
    int64_t last_ms, next_ms; /* wall clock; 0: none */
    const char *why;          /* of the last failure; "" */
};
void refresh_look(struct vault *v, const struct credential *c, struct refresh_view *out);
struct refresh_counts {
    uint64_t begun, renewed, failed, dead, waited;
    unsigned running;
};
struct refresh_counts refresh_counts(const struct vault *v);

#endif
