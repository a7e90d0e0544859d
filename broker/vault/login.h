/*
 * Logins that the broker makes itself, so that what comes of them is never on a disk in the clear (DESIGN.md, sections 3 and 7). Verifier,
 * state and device code are made or kept here; a person sees a URL and a short code, and brings back a code that is good for nothing without
 * the verifier. Requests go out by the oauth helper (vault/oauthcall.h).
 *
 *     page, loopback:   WAITING ── code, with the right state ──▶ EXCHANGING ──▶ DONE, sealed under its name
 *     device:           STARTING ──▶ WAITING, asks each `interval` ─▶ (EXCHANGING) ─▶ DONE
 *     client:           EXCHANGING ──▶ DONE
 *     and from each:    FAILED, with a sentence that says what to do
 *
 * Each has a deadline, LOGINS_MAX of them may be there. What has ended is kept for a while, for whoever asks.
 */
#ifndef VAULT_LOGIN_H
#define VAULT_LOGIN_H

#include "provider/grant.h"
#include "vault/server.h"

enum { LOGIN_ID = 32, LOGINS_MAX = 16, LOGIN_TRIES = 5 };

struct login;

/* What is asked for; views are copied. */
struct login_ask {
    struct view name, provider; /* provider: "claude", or the name of an entry of broker.yaml */
    struct view origin, header, env, client_secret;
    enum grant_flow flow;
    uint64_t port;    /* of the loopback listener */
    unsigned ceiling; /* as struct credential_put */
    bool replace;
    const struct peer *peer; /* who asks; for the record */
};
/* ERR_EXISTS: enrolled already, and `replace` was not said. ERR_NOT_FOUND: nothing to replace. ERR_INVALID, ERR_CONFLICT: no such provider, or it
 * has no such flow. ERR_LIMIT: too many at once. `begin` records; then `start` makes the first request, if the flow begins with one. */
MUST err_t login_begin(struct vault *v, const struct login_ask *ask, struct login **out,
                       struct why *why);
void login_start(struct login *l);
void login_id(const struct login *l, char out[LOGIN_ID + 1]);
void login_name(const struct login *l, char out[65]);
/* NULL: there is none of this id. */
struct login *login_find(const struct vault *v, struct view id);
/* The code that was brought. ERR_AUTH: not of this login (`state`); LOGIN_TRIES of these end it. ERR_CONFLICT: none is waited for. */
MUST err_t login_take_code(struct login *l, struct view code, struct view state, struct why *why);
/* The provider sent an error in place of a code; the login ends. As login_take_code. */
MUST err_t login_take_error(struct login *l, struct view error, struct view state, struct why *why);
/* Nobody waits for it any more; it is gone. */
void login_cancel(struct login *l);
/* What an operator may see; `first`: also the URL to open and its state. */
void login_write(const struct login *l, bool first, struct jsonw *w);
/* The record of its end: to be durable before the end is told. 0: none. */
uint64_t login_pos(const struct login *l);

/* Twice a second: questions that are due, deadlines, what is old. */
void logins_tick(struct vault *v);
/* The store is closed: none goes on. */
void logins_close(struct vault *v);
unsigned logins_pending(const struct vault *v);

#endif
