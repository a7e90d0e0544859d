/*
 * What only the proxy uses of the configuration: own upstreams, prices, the number of workers. A credential is sent to an origin, so an
 * origin is exact: scheme, host, port, nothing else; and one in the clear must be said to be private.
 */
#include "base/config_yaml.h"

#include "base/auto.h"
#include "base/glob.h"

#include <stdio.h>
#include <string.h>

enum { HOST_MAX = 253, PATTERN_MAX = 128, PATH_MAX_BYTES = 512, WHERE_MAX = 64 };

/* ---- origins */

static bool is_host(struct view h)
{
    uint8_t before = '.';
    for (size_t i = 0; i < h.n; i++) {
        uint8_t c = h.p[i];
        bool alnum = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!alnum && (before == '.' || (c != '-' && c != '.')))
            return false;
        before = c;
    }
    return h.n > 0 && h.n <= HOST_MAX && before != '.' && before != '-';
}

/* "[::1]" */
static bool is_literal(struct view h)
{
    bool good = h.n > 4 && h.n <= 41 && h.p[0] == '[' && h.p[h.n - 1] == ']';
    for (size_t i = 1; good && i + 1 < h.n; i++)
        good = memchr("0123456789abcdef:", h.p[i], 17) != NULL;
    return good;
}

static bool read_port(struct view p, uint16_t *out)
{
    unsigned n = 0;
    for (size_t i = 0; i < p.n && n <= UINT16_MAX; i++) {
        if (p.p[i] < '0' || p.p[i] > '9')
            return false;
        n = n * 10 + (unsigned)(p.p[i] - '0');
    }
    *out = (uint16_t)n;
    return p.n > 0 && p.p[0] != '0' && n <= UINT16_MAX;
}

bool origin_parse(struct view text, struct origin *out)
{
    static const char tls[] = "https://", plain[] = "http://";
    struct origin o = {.tls = text.n > 8 && memcmp(text.p, tls, 8) == 0};
    size_t skip = o.tls ? 8 : 7;
    if (!o.tls && (text.n <= 7 || memcmp(text.p, plain, 7) != 0))
        return false;
    struct view rest = VIEW(text.p + skip, text.n - skip);
    const uint8_t *colon = memrchr(rest.p, ':', rest.n);
    if (rest.p[rest.n - 1] == ']')
        colon = NULL;
    o.host = colon ? VIEW(rest.p, (size_t)(colon - rest.p)) : rest;
    o.port = o.tls ? 443 : 80;
    if (colon && !read_port(VIEW(colon + 1, rest.n - o.host.n - 1), &o.port))
        return false;
    if (!is_host(o.host) && !is_literal(o.host))
        return false;
    *out = o;
    return true;
}

/* ---- upstreams */

static bool is_word(const char *s)
{
    size_t n = s ? strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_-") : 0;
    return n > 0 && n <= 32 && s[n] == '\0';
}

bool config_is_file(const char *s)
{
    size_t n = strlen(s);
    for (size_t i = 0; i < n; i++)
        if (s[i] < '!' || s[i] > '~')
            return false;
    return s[0] == '/' && n <= PATH_MAX_BYTES;
}

static bool names_twice(const struct config *c, const struct yaml_upstream *y)
{
    for (unsigned i = 0; i < c->n_upstreams; i++) {
        const struct config_upstream *u = &c->upstreams[i];
        if (u->provider && strcmp(u->provider, y->provider) == 0 &&
            (strcmp(y->provider, "generic") != 0 || strcmp(u->origin, y->origin) == 0))
            return true;
    }
    return false;
}

static err_t check_upstream(const struct build *b, const char *where, const struct config *c,
                            const struct yaml_upstream *y)
{
    struct origin o;
    if (!is_word(y->provider))
        return build_fail(b, where, "provider", "expected the name of a provider");
    if (!y->origin || !origin_parse(view_str(y->origin), &o))
        return build_fail(b, where, "origin",
                          "expected https://host[:port] in lower case, without a path");
    if (!o.tls && !y->private)
        return build_fail(b, where, "origin",
                          "plain http would show the credential to the network: use https, or say "
                          "private: true where it is your own");
    if (y->ca && !config_is_file(y->ca))
        return build_fail(b, where, "ca", "expected the absolute path of a PEM file");
    if (names_twice(c, y))
        return build_fail(b, where, "provider", "there is an upstream for it already");
    return ERR_OK;
}

static err_t build_upstreams(const struct build *b, const struct yaml_root *y, struct config *out)
{
    if (y->upstreams_count == 0)
        return ERR_OK;
    out->upstreams = calloc(y->upstreams_count, sizeof(*out->upstreams));
    for (unsigned i = 0; out->upstreams && i < y->upstreams_count; i++) {
        const struct yaml_upstream *from = &y->upstreams[i];
        struct config_upstream *u = &out->upstreams[i];
        char where[WHERE_MAX];
        (void)snprintf(where, sizeof(where), "upstreams[%u]", i);
        TRY(check_upstream(b, where, out, from));
        out->n_upstreams++;
        u->private = from->private == 1;
        u->provider = strdup(from->provider);
        u->origin = strdup(from->origin);
        u->ca = from->ca ? strdup(from->ca) : NULL;
        if (!u->provider || !u->origin || (from->ca && !u->ca))
            return build_fail(b, where, "", "out of memory");
    }
    return out->upstreams ? ERR_OK : build_fail(b, "", "upstreams", "out of memory");
}

/* ---- prices */

static err_t take_price(const struct build *b, const char *where, const char *key, const char *in,
                        uint64_t *out)
{
    if (in && !budget_dollars(view_str(in), out))
        return build_fail(b, where, key, "expected US dollars per million tokens, like 3 or 0.25");
    return ERR_OK;
}

static err_t build_price(const struct build *b, const char *where, const struct yaml_price *y,
                         struct config_price *out)
{
    if (!y->model || !y->model[0] || strchr(y->model, ' ') || strlen(y->model) > PATTERN_MAX)
        return build_fail(b, where, "model", "expected a model or a pattern");
    TRY(take_price(b, where, "input", y->input, &out->input));
    TRY(take_price(b, where, "output", y->output, &out->output));
    out->cache_read = out->cache_write = out->input;
    TRY(take_price(b, where, "cache_read", y->cache_read, &out->cache_read));
    TRY(take_price(b, where, "cache_write", y->cache_write, &out->cache_write));
    if (!y->input || !y->output)
        return build_fail(b, where, y->input ? "output" : "input", "is required here");
    out->model = strdup(y->model);
    return out->model ? ERR_OK : build_fail(b, where, "model", "out of memory");
}

static err_t build_prices(const struct build *b, const struct yaml_root *y, struct config *out)
{
    if (y->prices_count == 0)
        return ERR_OK;
    out->prices = calloc(y->prices_count, sizeof(*out->prices));
    for (unsigned i = 0; out->prices && i < y->prices_count; i++) {
        char where[WHERE_MAX];
        (void)snprintf(where, sizeof(where), "prices[%u]", i);
        TRY(build_price(b, where, &y->prices[i], &out->prices[out->n_prices++]));
    }
    return out->prices ? ERR_OK : build_fail(b, "", "prices", "out of memory");
}

/* ---- all of it */

err_t build_proxy(const struct build *b, const struct yaml_root *y, struct config *out)
{
    const char *n = y->proxy ? y->proxy->workers : NULL;
    out->proxies = 1;
    if (n) {
        if (n[0] < '1' || n[0] > '0' + CONFIG_MAX_PROXIES || n[1])
            return build_fail(b, "proxy", "workers", "expected a whole number from 1 to %d",
                              CONFIG_MAX_PROXIES);
        out->proxies = (unsigned)(n[0] - '0');
    }
    TRY(build_upstreams(b, y, out));
    return build_prices(b, y, out);
}

void config_proxy_clear(struct config *c)
{
    for (unsigned i = 0; i < c->n_upstreams; i++) {
        free(c->upstreams[i].provider);
        free(c->upstreams[i].origin);
        free(c->upstreams[i].ca);
    }
    for (unsigned i = 0; i < c->n_prices; i++)
        free(c->prices[i].model);
    free(c->upstreams);
    free(c->prices);
}

bool config_delivers(const struct config_consumer *c, unsigned delivery)
{
    for (unsigned i = 0; i < c->n_grants; i++)
        if (c->grants[i].deliver & 1u << delivery)
            return true;
    return false;
}

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

bool config_same_upstreams(const struct config *a, const struct config *b)
{
    bool same = a->n_upstreams == b->n_upstreams;
    for (unsigned i = 0; same && i < a->n_upstreams; i++) {
        const struct config_upstream *x = &a->upstreams[i], *y = &b->upstreams[i];
        same = same_text(x->provider, y->provider) && same_text(x->origin, y->origin) &&
               same_text(x->ca, y->ca) && x->private == y->private;
    }
    return same;
}

const struct config_price *config_price_of(const struct config *c, struct view model)
{
    for (unsigned i = 0; i < c->n_prices; i++)
        if (glob_match(view_str(c->prices[i].model), model))
            return &c->prices[i];
    return NULL;
}
