/*
 * One request to an identity provider, made and read by a short-lived helper (broker/oauth): a refresh, the exchange of a code, a device
 * code, a client's own grant; they differ in their parameters only. The vault sees the answer's bytes, which it can keep, and then its
 * meaning as strict fields; it parses neither HTTP nor JSON.
 *
 *     struct oauth_client c;  AUTO(buf_free) struct buf pairs = {0};
 *     oauth_client_of(provider, v->config, &c);  oauth_pair(&pairs, "grant_type", …);
 *     oauthcall_start(v, &(struct oauthcall){.client = &c, .pairs = buf_view(&pairs), .done = on_done, .ctx = x});
 */
#ifndef VAULT_OAUTHCALL_H
#define VAULT_OAUTHCALL_H

#include "provider/oauth.h"
#include "vault/vault.h"

/* An answer as it came. */
struct oauth_raw {
    unsigned status; /* of HTTP */
    struct view body;
    int64_t retry_ms, at_ms; /* Retry-After; wall clock when it came */
};
/* What became of a call. Views and pointers are good during done() only. */
struct oauth_outcome {
    err_t e;   /* ERR_OK: there is an answer, and `verdict` says what it means */
    bool sent; /* not ERR_OK: the request may have been carried out all the same */
    enum oauth_verdict verdict;
    const char *code; /* the error's; "" */
    unsigned status;  /* of HTTP; 0 for a parse */
    int64_t retry_ms, at_ms;
    struct cred login; /* granted: the fields that came (without KIND) */
    /* granted, of the device endpoint */
    struct view device_code, user_code, verify_uri, verify_full;
    struct view auth_code, verifier; /* granted, of a poll */
    int64_t interval_ms, expires_ms;
};
struct oauthcall {
    const struct oauth_client *client; /* what is needed of it is copied */
    const char *url;                   /* NULL: its token_url */
    struct view pairs;                 /* copied, wiped (provider/oauth.h) */
    bool device;                       /* the answer is one of the device endpoint */
    bool
        poll; /* whether the person has agreed, where the answer is a code (provider's device_poll) */
    int64_t ttl_ms;                /* for the request; 0: OAUTHCALL_TTL_MS */
    const struct oauth_raw *parse; /* nothing is asked: this is read, which was kept before */
    /* The answer came: keeps it, durably, before anybody reads it. NULL: it need not be kept. */
    err_t (*keep)(void *ctx, const struct oauth_raw *raw, struct why *why);
    void (*done)(void *ctx, const struct oauth_outcome *o, const struct why *why);
    void *ctx;
};
enum { OAUTHCALL_TTL_MS = 30000, OAUTHCALL_RUNNING = 32, OAUTHCALL_WAITING = 1024 };
/* `done` is called exactly once, possibly before this returns. At most OAUTHCALL_RUNNING helpers run at once; further calls wait for their
 * turn, OAUTHCALL_WAITING of them (then ERR_LIMIT). */
void oauthcall_start(struct vault *v, const struct oauthcall *call);
/* Ends the calls with this context; their done() is not called. */
void oauthcall_drop(struct vault *v, const void *ctx);
/* From the supervisor: a helper is there (`sock` is taken), or cannot be. */
void oauthcall_on_spawned(struct vault *v, int sock);
void oauthcall_on_refused(struct vault *v, const char *why);
void oauthcall_cancel_all(struct vault *v);

#endif
