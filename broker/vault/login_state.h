/* What login.c and login_run.c share. Internal. */
#ifndef VAULT_LOGIN_STATE_H
#define VAULT_LOGIN_STATE_H

#include "crypto/pkce.h"
#include "vault/login.h"
#include "vault/oauthcall.h"

enum login_state { LOGIN_STARTING, LOGIN_WAITING, LOGIN_EXCHANGING, LOGIN_DONE, LOGIN_FAILED };

struct login {
    struct vault *v;
    struct login *next;
    char id[LOGIN_ID + 1];
    enum login_state state;
    enum grant_flow flow;
    const struct provider *provider;
    char name[65], issuer[CONFIG_PROVIDER_NAME + 1];
    char origin[513], header[513], env[129];
    unsigned ceiling, tries;
    bool replace;
    /* secrets; NULL: there is none. The verifier is text, the provider's in the end where it makes one */
    struct secret *verifier, *client_secret, *device_code;
    char challenge[PKCE_TEXT + 1], csrf[PKCE_TEXT + 1]; /* csrf: the `state` of RFC 6749 */
    char redirect[GRANT_URI];
    /* of a device grant */
    char user_code[65], verify_uri[GRANT_URI], verify_full[1025];
    int64_t interval_ms, ask_at_ms; /* boot clock; 0: a question is on its way */
    unsigned silent;                /* questions in a row without an answer */
    int64_t ends_ms; /* boot clock: the deadline; of an ended one, when it is forgotten */
    /* the outcome */
    err_t e;
    char why[256];
    uint64_t version, pos;
    bool renewable;
};

/* The provider's endpoints now. ERR_CONFLICT: broker.yaml has no such entry any more. */
MUST err_t login_client(const struct login *l, struct oauth_client *out, struct why *why);
/* It has ended: recorded, its secrets wiped. */
void login_end(struct login *l, err_t e, const struct why *why);

/* login_run.c: the requests. Each ends in login_end(), or in a state that waits. */
void login_ask_device(struct login *l);
void login_ask_client(struct login *l);
void login_poll(struct login *l);
void login_exchange(struct login *l, struct view code);

#endif
