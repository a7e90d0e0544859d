/*
 * What broker.yaml says of where logins are made and renewed. A refresh token is sent to such a URL, so it is exact: https, a host, a
 * path; in the clear only to this host, and only where the file says so by name. Which providers there are is not for this
 * layer to know: who uses the list checks its names.
 */
#include "base/config_yaml.h"

#include "base/auto.h"

#include <stdio.h>
#include <string.h>

enum { URL_MAX = 512, CLIENT_MAX = 256, SCOPES_MAX = 1024, WHERE_MAX = 64 };

static bool is_visible(const char *s, size_t max, const char *but)
{
    size_t n = strlen(s);
    for (size_t i = 0; i < n; i++)
        if (s[i] < '!' || s[i] > '~' || strchr(but, s[i]))
            return false;
    return n > 0 && n <= max;
}

static bool is_loopback(struct view host)
{
    return view_is(host, "127.0.0.1") || view_is(host, "[::1]") || view_is(host, "localhost");
}

static err_t check_url(const struct build *b, const char *where, const char *key, const char *url,
                       bool insecure)
{
    struct origin o;
    if (!url)
        return ERR_OK;
    const char *host = strstr(url, "://");
    const char *path = host ? strchr(host + 3, '/') : NULL;
    if (!path || !is_visible(url, URL_MAX, "#\\\"<>") ||
        !origin_parse(VIEW(url, (size_t)(path - url)), &o))
        return build_fail(b, where, key,
                          "expected https://host[:port]/path, the host in lower case");
    if (!o.tls && (!insecure || !is_loopback(o.host)))
        return build_fail(b, where, key,
                          "plain http would show the login to the network: use https, or say "
                          "insecure_loopback: true for a test on 127.0.0.1");
    return ERR_OK;
}

static err_t check(const struct build *b, const char *where, const struct config *c,
                   const struct yaml_provider *y)
{
    bool insecure = y->insecure_loopback == 1;
    if (!is_visible(y->name, CONFIG_PROVIDER_NAME, "\"'"))
        return build_fail(b, where, "name", "expected the name of a provider");
    if (config_provider_of(c, y->name))
        return build_fail(b, where, "name", "there is an entry for it already");
    TRY(check_url(b, where, "token_url", y->token_url, insecure));
    TRY(check_url(b, where, "authorize_url", y->authorize_url, insecure));
    TRY(check_url(b, where, "device_url", y->device_url, insecure));
    if (y->client_id && !is_visible(y->client_id, CLIENT_MAX, ""))
        return build_fail(b, where, "client_id", "expected 1 to %d visible characters", CLIENT_MAX);
    if (y->scopes && (!y->scopes[0] || strlen(y->scopes) > SCOPES_MAX))
        return build_fail(b, where, "scopes", "expected scopes with a space between them");
    if (y->ca && !config_is_file(y->ca))
        return build_fail(b, where, "ca", "expected the absolute path of a PEM file");
    return ERR_OK;
}

static bool copy(const char *in, char **out)
{
    *out = in ? strdup(in) : NULL;
    return !in || *out;
}

static bool take(const struct yaml_provider *y, struct config_provider *p)
{
    p->form = (int8_t)(y->body - 1);
    p->insecure_loopback = y->insecure_loopback == 1;
    bool name = copy(y->name, &p->name), token = copy(y->token_url, &p->token_url);
    bool authorize = copy(y->authorize_url, &p->authorize_url);
    bool device = copy(y->device_url, &p->device_url), client = copy(y->client_id, &p->client_id);
    bool scopes = copy(y->scopes, &p->scopes), ca = copy(y->ca, &p->ca);
    return name && token && authorize && device && client && scopes && ca;
}

err_t build_providers(const struct build *b, const struct yaml_root *y, struct config *out)
{
    if (y->providers_count == 0)
        return ERR_OK;
    out->providers = calloc(y->providers_count, sizeof(*out->providers));
    if (!out->providers)
        return build_fail(b, "", "providers", "out of memory");
    for (unsigned i = 0; i < y->providers_count; i++) {
        char where[WHERE_MAX];
        (void)snprintf(where, sizeof(where), "providers[%u]", i);
        TRY(check(b, where, out, &y->providers[i]));
        if (!take(&y->providers[i], &out->providers[out->n_providers++]))
            return build_fail(b, where, "", "out of memory");
    }
    return ERR_OK;
}

void config_oauth_clear(struct config *c)
{
    for (unsigned i = 0; i < c->n_providers; i++) {
        struct config_provider *p = &c->providers[i];
        free(p->name);
        free(p->token_url);
        free(p->authorize_url);
        free(p->device_url);
        free(p->client_id);
        free(p->scopes);
        free(p->ca);
    }
    free(c->providers);
}

const struct config_provider *config_provider_of(const struct config *c, const char *name)
{
    for (unsigned i = 0; i < c->n_providers; i++)
        if (c->providers[i].name && strcmp(c->providers[i].name, name) == 0)
            return &c->providers[i];
    return NULL;
}
