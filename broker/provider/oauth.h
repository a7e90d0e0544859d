/*
 * Where and how a provider's logins are made and renewed: its row (struct provider_oauth) with what broker.yaml says in its place; the
 * parameters of requests; and what a renewed login is made of. Pure, no JSON: used by the vault and the oauth helper.
 */
#ifndef PROVIDER_OAUTH_H
#define PROVIDER_OAUTH_H

#include "base/config.h"
#include <broker/provider.h>

struct oauth_client {
    const struct provider *provider;
    const struct provider_oauth *row;
    /* of the row or of broker.yaml; NULL: there is none */
    const char *token_url, *authorize_url, *device_url, *client_id, *scopes, *ca;
    const char *
        client_secret; /* of the row, while its client_id is in force; NULL: the login's own, if it has one */
    bool form, code_form,
        insecure_loopback; /* form: of the bodies; code_form: of a code's exchange */
};
/* The row of the provider's kind "login"; NULL: its logins are not renewed. */
const struct provider_oauth *oauth_row(const struct provider *p);
/* False: the provider has no logins that can be renewed. `out` views into both. */
bool oauth_client_of(const struct provider *p, const struct config *c, struct oauth_client *out);
/* The same for a login of provider oauth2, whose CF_ISSUER names the entry of broker.yaml it is of; any other has none. False too: there is no
 * such entry any more. */
bool oauth_client_for(const struct provider *p, struct view issuer, const struct config *c,
                      struct oauth_client *out);
/* The provider of this name, or oauth2 where broker.yaml has an entry of this name, which then is the `issuer` ("" else). NULL: neither. */
const struct provider *oauth_named(struct view name, const struct config *c, struct view *issuer);
/* Every name in `providers:` must be one whose logins are renewed, or an identity provider of one's own with its endpoint and client id.
 * `label`: the file, for the sentence. */
MUST err_t oauth_check_config(const struct config *c, const char *label, struct why *why);

/* One parameter of a request, appended to the list that F_PAIRS carries (base/msg.h). An empty value is left out. */
void oauth_pair(struct buf *pairs, const char *name, struct view value);
/* The parameters of a refresh (RFC 6749, section 6); of a login that a client made in its own name: of the same again (section 4.4). */
void oauth_refresh_pairs(const struct oauth_client *client, const struct cred *login,
                         struct buf *pairs);

/* `login` with what the provider's answer brought in its place. What the answer leaves out stays as it was; the end of an access token
 * goes with it; what this kind of credential has no use for is dropped. Views into both. */
void oauth_merge(const struct provider *p, const struct cred *login, const struct cred *answer,
                 struct cred *out);
/* Is this login one that a refresh can renew? */
bool oauth_can_refresh(const struct provider *p, const struct cred *login);
bool oauth_listed(const char *const *list, struct view code); /* NULL list: no */

#endif
