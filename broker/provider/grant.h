/*
 * How a login is made: the URL that a person opens, the parameters of each request, and the login that the answer gives (RFC 6749
 * sections 4.1 and 4.4, RFC 7636, RFC 8628, RFC 8252). Pure: verifier, challenge and state come from the caller, requests are made elsewhere.
 */
#ifndef PROVIDER_GRANT_H
#define PROVIDER_GRANT_H

#include "provider/oauth.h"

enum grant_flow {
    GRANT_PAGE,     /* the provider's page shows the code, a person pastes it */
    GRANT_LOOPBACK, /* the browser brings it to a port of this host */
    GRANT_DEVICE,   /* the person enters a short code elsewhere; the broker asks until they have */
    GRANT_CLIENT,   /* nobody: the client has a secret of its own */
    GRANT__COUNT
};
const char *grant_flow_name(enum grant_flow f); /* "page" "loopback" "device" "client" */
bool grant_flow_from_name(struct view name, enum grant_flow *out);

enum { GRANT_URI = 513 };
/* Can this provider's logins be made so? The redirect URI into `redirect` (GRANT_URI bytes; "" where the flow has none); `port`: of the
 * loopback listener. ERR_CONFLICT: not so; the sentence says how. ERR_INVALID: no port, or another than the provider takes. */
MUST err_t grant_check(const struct oauth_client *c, enum grant_flow flow, uint64_t port,
                       char redirect[GRANT_URI], struct why *why);

struct grant_code {
    const char *redirect, *state;
    struct view challenge;      /* for the URL */
    struct view code, verifier; /* for the exchange */
    struct view client_secret;  /* empty: none */
};
void grant_authorize_url(const struct oauth_client *c, const struct grant_code *g, struct buf *url);
void grant_code_pairs(const struct oauth_client *c, const struct grant_code *g, struct buf *pairs);
void grant_client_pairs(const struct oauth_client *c, struct view secret, struct buf *pairs);
void grant_device_pairs(const struct oauth_client *c, struct view secret, struct buf *pairs);

struct grant_device {
    struct view device_code, user_code, client_secret;
};
/* The question whether the person has agreed, and where it goes. */
void grant_poll_pairs(const struct oauth_client *c, const struct grant_device *d,
                      struct buf *pairs);
MUST err_t grant_poll_url(const struct oauth_client *c, char url[GRANT_URI], struct why *why);

/* What else a new login is made of. */
struct grant_with {
    struct view issuer, client_secret, origin, header, env;
};
/* The login that an answer gives; views into both. What its kind has no use for is dropped. */
void grant_login(const struct oauth_client *c, const struct cred *answer,
                 const struct grant_with *with, struct cred *out);

#endif
