/*
 * Puts together a provider's row and broker.yaml, and a login and the answer to its refresh. The rule of the second: a login is
 * never made worse by an answer. A token that is not in the answer stays (a provider that does not rotate sends none back), and
 * so does everything that the program's own file had beside the tokens.
 */
#include "provider/oauth.h"

#include "base/msg.h"
#include "base/name.h"
#include "provider/kind.h"

#include <string.h>

const struct provider_oauth *oauth_row(const struct provider *p)
{
    for (const struct provider_kind *k = p->kinds; k->name; k++)
        if (strcmp(k->name, "login") == 0)
            return k->oauth;
    return NULL;
}

static const char *either(const char *own, const char *row)
{
    return own ? own : row;
}

/* The entry of broker.yaml; NULL: there is none. */
static const struct config_provider *entry_of(const struct config *c, struct view name)
{
    char text[CONFIG_PROVIDER_NAME + 1];
    return c && name.n && view_copy(name, text, sizeof(text)) ? config_provider_of(c, text) : NULL;
}

bool oauth_client_of(const struct provider *p, const struct config *c, struct oauth_client *out)
{
    return oauth_client_for(p, VIEW(NULL, 0), c, out);
}

bool oauth_client_for(const struct provider *p, struct view issuer, const struct config *c,
                      struct oauth_client *out)
{
    static const struct config_provider nothing = {.form = -1};
    const struct provider_oauth *row = oauth_row(p);
    const struct config_provider *own = entry_of(c, issuer.n ? issuer : view_str(p->name));
    if (!row || (!own && !row->token_url))
        return false;
    own = own ? own : &nothing;
    *out = (struct oauth_client){
        .provider = p,
        .row = row,
        .token_url = either(own->token_url, row->token_url),
        .authorize_url = either(own->authorize_url, row->authorize_url),
        .device_url = either(own->device_url, row->device_url),
        .client_id = either(own->client_id, row->client_id),
        .client_secret = own->client_id ? NULL : row->client_secret,
        .scopes = either(own->scopes, row->scopes),
        .ca = own->ca,
        .form = own->form < 0 ? row->form : own->form == 1,
        .code_form = own->form < 0 ? row->code_form : own->form == 1,
        .insecure_loopback = own->insecure_loopback,
    };
    return true;
}

const struct provider *oauth_named(struct view name, const struct config *c, struct view *issuer)
{
    const struct provider *p = provider_by_name(name);
    const struct config_provider *own = p ? NULL : entry_of(c, name);
    *issuer = own ? view_str(own->name) : VIEW(NULL, 0);
    return own ? provider_by_name(view_str("oauth2")) : p;
}

err_t oauth_check_config(const struct config *c, const char *label, struct why *why)
{
    for (unsigned i = 0; i < c->n_providers; i++) {
        const struct config_provider *own = &c->providers[i];
        const struct provider *p = provider_by_name(view_str(own->name));
        bool named = p && oauth_row(p) && oauth_row(p)->token_url;
        if (p && !oauth_row(p))
            return fail(why, ERR_INVALID, "%s: providers: %s has no logins that are renewed", label,
                        p->name);
        if (!named && (!own->token_url || !own->client_id))
            return fail(why, ERR_INVALID,
                        "%s: providers: there is no provider %s; one of your own needs token_url "
                        "and client_id",
                        label, own->name);
        if (!named && name_check(view_str(own->name), "provider", NULL) != ERR_OK)
            return fail(why, ERR_INVALID, "%s: providers: %s is no name", label, own->name);
    }
    return ERR_OK;
}

void oauth_pair(struct buf *pairs, const char *name, struct view value)
{
    if (value.n == 0)
        return;
    list_put(pairs, view_str(name));
    list_put(pairs, value);
}

void oauth_refresh_pairs(const struct oauth_client *client, const struct cred *login,
                         struct buf *pairs)
{
    bool own = !cred_has(login, CF_REFRESH_TOKEN) && cred_has(login, CF_SECRET);
    oauth_pair(pairs, "grant_type", view_str(own ? "client_credentials" : "refresh_token"));
    oauth_pair(pairs, "refresh_token", login->f[CF_REFRESH_TOKEN]);
    oauth_pair(pairs, "client_id", view_str(client->client_id));
    oauth_pair(pairs, "client_secret",
               client->client_secret ? view_str(client->client_secret) : login->f[CF_SECRET]);
    if (own)
        oauth_pair(pairs, "scope", view_str(client->scopes));
    else if (client->row->refresh_names_scopes)
        oauth_pair(pairs, "scope", login->f[CF_SCOPES]);
}

bool oauth_can_refresh(const struct provider *p, const struct cred *login)
{
    const struct provider_kind *k = kind_of(p, login);
    return k && k->oauth && (cred_has(login, CF_REFRESH_TOKEN) || cred_has(login, CF_SECRET));
}

bool oauth_listed(const char *const *list, struct view code)
{
    for (; list && *list; list++)
        if (view_is(code, *list))
            return true;
    return false;
}

void oauth_merge(const struct provider *p, const struct cred *login, const struct cred *answer,
                 struct cred *out)
{
    const struct provider_kind *k = kind_of(p, login);
    uint32_t known = k ? k->required | k->optional : 0;
    struct cred merged = *login;
    if (cred_has(answer, CF_ACCESS_TOKEN))
        merged.f[CF_EXPIRES_AT] = (struct view){0};
    if (cred_has(answer, CF_REFRESH_TOKEN))
        merged.f[CF_REFRESH_EXPIRES] = (struct view){0};
    for (unsigned f = 1; f < CF__COUNT; f++)
        if (cred_has(answer, f) && (known & (1u << f)))
            merged.f[f] = answer->f[f];
    *out = merged;
}
