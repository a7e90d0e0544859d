/*
 * Encodes and decodes routes. Both ends ask the same route_ok(), so what the vault can encode the worker can use, and nothing that could end
 * a line of a request head, or name a second host, passes either. Invariant: decode(encode(r)) is r.
 */
#include "base/route.h"

#include <string.h>

enum { FORMAT = 1, HOST_MAX = 255, NAME_MAX_BYTES = 128, VALUE_MAX = 20000 };

static bool is_token_byte(uint8_t c)
{
    static const char others[] = "!#$%&'*+-.^_`|~"; /* RFC 9110 section 5.6.2 */
    bool alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    for (size_t i = 0; !alnum && i < sizeof(others) - 1; i++)
        alnum = c == (uint8_t)others[i];
    return alnum;
}

static bool is_token(struct view v)
{
    for (size_t i = 0; i < v.n; i++)
        if (!is_token_byte(v.p[i]))
            return false;
    return v.n > 0 && v.n <= NAME_MAX_BYTES;
}

static bool is_visible(struct view v, uint8_t least, size_t max)
{
    for (size_t i = 0; i < v.n; i++)
        if (v.p[i] < least || v.p[i] > '~')
            return false;
    return v.n <= max;
}

static bool is_value(struct view v)
{
    bool edges = v.n > 0 && v.p[0] != ' ' && v.p[v.n - 1] != ' ';
    return edges && is_visible(v, ' ', VALUE_MAX);
}

static bool is_host(struct view v)
{
    bool good = v.n > 0 && v.n <= HOST_MAX;
    for (size_t i = 0; good && i < v.n; i++) {
        uint8_t c = v.p[i];
        good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
               c == '_' || c == ':' || c == '[' || c == ']';
    }
    return good;
}

/* A part of a path: empty, or from a slash on, not ending in one. */
static bool is_path(struct view v)
{
    return v.n == 0 ||
           (v.p[0] == '/' && v.p[v.n - 1] != '/' && is_visible(v, '!', NAME_MAX_BYTES) &&
            !memchr(v.p, '?', v.n) && !memchr(v.p, '#', v.n));
}

static bool pair_ok(const struct route_header *h, bool may_lack)
{
    if (h->name.n == 0)
        return may_lack && h->value.n == 0;
    return is_token(h->name) && is_value(h->value);
}

static bool route_ok(const struct route *r)
{
    bool good = is_host(r->host) && r->port != 0 && is_path(r->strip) && is_path(r->prefix) &&
                is_token(r->provider) && is_visible(r->ca, '!', 4096);
    good = good && (r->flags & ~(unsigned)ROUTE_FLAGS) == 0 &&
           (unsigned)r->dialect < ROUTE_DIALECTS && pair_ok(&r->query, true) &&
           pair_ok(&r->merge, true);
    good = good && r->n_headers <= ROUTE_HEADERS && r->n_secrets <= ROUTE_SECRETS;
    for (unsigned i = 0; good && i < r->n_headers; i++)
        good = pair_ok(&r->header[i], false);
    for (unsigned i = 0; good && i < r->n_secrets; i++)
        good = r->secret[i].n > 0 && r->secret[i].n <= UINT16_MAX;
    return good && (r->query.name.n == 0 || is_visible(r->query.value, '!', VALUE_MAX));
}

static void put_pair(struct buf *out, const struct route_header *h)
{
    buf_put_str16(out, h->name);
    buf_put_str16(out, h->value);
}

err_t route_encode(const struct route *r, struct buf *out, struct why *why)
{
    if (!route_ok(r))
        return fail(why, ERR_INVALID, "this is no route that a request can take");
    size_t from = out->len;
    buf_put_u8(out, FORMAT);
    buf_put_u8(out, (uint8_t)r->flags);
    buf_put_u8(out, (uint8_t)r->dialect);
    buf_put_str16(out, r->host);
    buf_put_u16(out, r->port);
    buf_put_str16(out, r->ca);
    buf_put_str16(out, r->strip);
    buf_put_str16(out, r->prefix);
    buf_put_str16(out, r->provider);
    buf_put_u8(out, (uint8_t)r->n_headers);
    for (unsigned i = 0; i < r->n_headers; i++)
        put_pair(out, &r->header[i]);
    put_pair(out, &r->query);
    put_pair(out, &r->merge);
    buf_put_u8(out, (uint8_t)r->n_secrets);
    for (unsigned i = 0; i < r->n_secrets; i++)
        buf_put_str16(out, r->secret[i]);
    if (out->len - from > ROUTE_MAX)
        return fail(why, ERR_TOO_LARGE, "a route of over %d bytes", ROUTE_MAX);
    return buf_ok(out, why);
}

static struct route_header get_pair(struct cursor *c)
{
    struct route_header h;
    h.name = get_str16(c);
    h.value = get_str16(c);
    return h;
}

err_t route_decode(struct view bytes, struct route *out, struct why *why)
{
    struct cursor c = cursor_of(bytes);
    struct route r = {0};
    unsigned format = get_u8(&c);
    r.flags = get_u8(&c);
    r.dialect = (enum route_dialect)get_u8(&c);
    r.host = get_str16(&c);
    r.port = get_u16(&c);
    r.ca = get_str16(&c);
    r.strip = get_str16(&c);
    r.prefix = get_str16(&c);
    r.provider = get_str16(&c);
    r.n_headers = get_u8(&c);
    for (unsigned i = 0; i < r.n_headers && i < ROUTE_HEADERS; i++)
        r.header[i] = get_pair(&c);
    r.query = get_pair(&c);
    r.merge = get_pair(&c);
    r.n_secrets = get_u8(&c);
    for (unsigned i = 0; i < r.n_secrets && i < ROUTE_SECRETS; i++)
        r.secret[i] = get_str16(&c);
    if (format != FORMAT || !cursor_done(&c) || !route_ok(&r))
        return fail(why, ERR_INVALID, "this is no route");
    *out = r;
    return ERR_OK;
}
