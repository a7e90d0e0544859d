/*
 * One function per request. What providers do differently stands in their rows (struct provider_oauth), none is known here by name.
 */
#include "provider/grant.h"

#include "base/auto.h"
#include "provider/kind.h"

#include <string.h>

static const char *const names[GRANT__COUNT] = {"page", "loopback", "device", "client"};

const char *grant_flow_name(enum grant_flow f)
{
    return (unsigned)f < GRANT__COUNT ? names[f] : "?";
}

bool grant_flow_from_name(struct view name, enum grant_flow *out)
{
    for (unsigned f = 0; f < GRANT__COUNT; f++)
        if (view_is(name, names[f])) {
            *out = (enum grant_flow)f;
            return true;
        }
    return false;
}

/* ---- where the code goes */

/* Port 0 in the row's URI stands for any. */
static err_t loopback_uri(const struct oauth_client *c, uint64_t port, char out[GRANT_URI],
                          struct why *why)
{
    const char *uri = c->row->loopback;
    const char *colon = strchr(uri + sizeof("http:") - 1, ':'), *path = strchr(colon, '/');
    unsigned long fixed = strtoul(colon + 1, NULL, 10);
    if (port == 0 || port > UINT16_MAX || (fixed && fixed != port))
        return fail(why, ERR_INVALID, "%s sends the browser to %s; the port must be given",
                    c->provider->name, uri);
    (void)snprintf(out, GRANT_URI, "%.*s:%u%s", (int)(colon - uri), uri, (unsigned)port, path);
    return ERR_OK;
}

static err_t lacks(const struct oauth_client *c, const char *what, const char *instead,
                   struct why *why)
{
    return fail(why, ERR_CONFLICT, "%s has no %s; %s", c->provider->name, what, instead);
}

err_t grant_check(const struct oauth_client *c, enum grant_flow flow, uint64_t port,
                  char redirect[GRANT_URI], struct why *why)
{
    const struct provider_oauth *row = c->row;
    bool by_browser = flow == GRANT_PAGE || flow == GRANT_LOOPBACK;
    redirect[0] = '\0';
    if (!c->token_url || !c->client_id)
        return lacks(c, "token_url and client_id", "say them in broker.yaml, providers:", why);
    if (by_browser && !c->authorize_url)
        return lacks(c, "authorize_url",
                     "say it in broker.yaml, providers:, or log in with --device", why);
    if (flow == GRANT_DEVICE && !c->device_url)
        return lacks(c, "device_url", "log in without --device", why);
    if (flow == GRANT_PAGE && !row->page)
        return lacks(c, "page that shows a code", "use the flow loopback", why);
    if (flow == GRANT_LOOPBACK && !row->loopback)
        return lacks(c, "redirect to this host", "use the flow page", why);
    if (flow == GRANT_PAGE)
        (void)view_copy(view_str(row->page), redirect, GRANT_URI);
    return flow == GRANT_LOOPBACK ? loopback_uri(c, port, redirect, why) : ERR_OK;
}

/* ---- the URL that a person opens (RFC 6749 section 4.1.1, RFC 7636 section 4.3) */

static void put_escaped(struct buf *out, const char *s)
{
    for (; *s; s++) {
        bool plain = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
                     (*s >= '0' && *s <= '9') || strchr("-._~", *s);
        if (plain)
            buf_put_u8(out, (uint8_t)*s);
        else
            buf_add_fmt(out, "%%%02X", (unsigned)(uint8_t)*s);
    }
}

static void put_query(struct buf *url, const char *name, const char *value)
{
    if (!value)
        return;
    buf_put_u8(url, url->len && memchr(url->p, '?', url->len) ? '&' : '?');
    buf_add_str(url, name);
    buf_put_u8(url, '=');
    put_escaped(url, value);
}

void grant_authorize_url(const struct oauth_client *c, const struct grant_code *g, struct buf *url)
{
    char challenge[65] = "";
    (void)view_copy(g->challenge, challenge, sizeof(challenge));
    buf_add_str(url, c->authorize_url);
    for (const char *const *m = c->row->authorize_more; m && m[0]; m += 2)
        put_query(url, m[0], m[1]);
    put_query(url, "response_type", "code");
    put_query(url, "client_id", c->client_id);
    put_query(url, "redirect_uri", g->redirect);
    put_query(url, "scope", c->scopes);
    put_query(url, "code_challenge", challenge);
    put_query(url, "code_challenge_method", "S256");
    put_query(url, "state", g->state);
}

/* ---- parameters */

void grant_code_pairs(const struct oauth_client *c, const struct grant_code *g, struct buf *pairs)
{
    oauth_pair(pairs, "grant_type", view_str("authorization_code"));
    oauth_pair(pairs, "code", g->code);
    oauth_pair(pairs, "redirect_uri", view_str(g->redirect));
    oauth_pair(pairs, "client_id", view_str(c->client_id));
    oauth_pair(pairs, "code_verifier", g->verifier);
    oauth_pair(pairs, "client_secret",
               c->client_secret ? view_str(c->client_secret) : g->client_secret);
    if (c->row->code_names_state)
        oauth_pair(pairs, "state", view_str(g->state));
}

void grant_client_pairs(const struct oauth_client *c, struct view secret, struct buf *pairs)
{
    const struct cred own = {.f = {[CF_SECRET] = secret}};
    oauth_refresh_pairs(c, &own, pairs);
}

/* RFC 8628 section 3.1 */
void grant_device_pairs(const struct oauth_client *c, struct view secret, struct buf *pairs)
{
    oauth_pair(pairs, "client_id", view_str(c->client_id));
    oauth_pair(pairs, "client_secret", secret);
    if (!c->row->device_poll)
        oauth_pair(pairs, "scope", view_str(c->scopes));
}

/* RFC 8628 section 3.4 */
void grant_poll_pairs(const struct oauth_client *c, const struct grant_device *d, struct buf *pairs)
{
    if (c->row->device_poll) {
        oauth_pair(pairs, "device_auth_id", d->device_code);
        oauth_pair(pairs, "user_code", d->user_code);
        return;
    }
    oauth_pair(pairs, "grant_type", view_str("urn:ietf:params:oauth:grant-type:device_code"));
    oauth_pair(pairs, "device_code", d->device_code);
    oauth_pair(pairs, "client_id", view_str(c->client_id));
    oauth_pair(pairs, "client_secret", d->client_secret);
}

err_t grant_poll_url(const struct oauth_client *c, char url[GRANT_URI], struct why *why)
{
    const char *sibling = c->row->device_poll;
    const char *from = sibling ? c->device_url : c->token_url, *slash = strrchr(from, '/');
    size_t keep = sibling && slash ? (size_t)(slash - from) + 1 : strlen(from);
    int n = snprintf(url, GRANT_URI, "%.*s%s", (int)keep, from, sibling ? sibling : "");
    if (n < 0 || n >= GRANT_URI)
        return fail(why, ERR_INVALID, "the URL of %s's device grant is too long",
                    c->provider->name);
    return ERR_OK;
}

/* ---- the login */

static const struct provider_kind *login_kind(const struct provider *p)
{
    const struct provider_kind *k = p->kinds;
    while (k->name && strcmp(k->name, "login") != 0)
        k++;
    return k;
}

void grant_login(const struct oauth_client *c, const struct cred *answer,
                 const struct grant_with *with, struct cred *out)
{
    const struct provider_kind *k = login_kind(c->provider);
    struct cred all = *answer;
    all.f[CF_SECRET] = with->client_secret;
    all.f[CF_ISSUER] = with->issuer;
    all.f[CF_ORIGIN] = with->origin;
    all.f[CF_HEADER] =
        with->header.n || !with->origin.n ? with->header : view_str("Authorization: Bearer {}");
    all.f[CF_ENV] = with->env;
    all.f[CF_AUTH_MODE] = view_str("chatgpt"); /* of the one kind that has this field */
    if (!cred_has(&all, CF_SCOPES) && c->scopes)
        all.f[CF_SCOPES] = view_str(c->scopes); /* RFC 6749 section 5.1: as asked for */
    *out = (struct cred){.f = {[CF_KIND] = view_str("login")}};
    for (unsigned f = 1; f < CF__COUNT; f++)
        if (cred_has(&all, f) && f != CF_KIND && ((k->required | k->optional) & (1u << f)))
            out->f[f] = all.f[f];
}
