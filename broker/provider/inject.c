/*
 * Makes routes. The credential's own value goes into exactly one place, a header or a query parameter, and every form of it that this
 * file makes is listed among the secrets, so that the guard knows them. Nothing is guessed: a generic secret without an origin or
 * a template has no route.
 */
#include "provider/inject.h"

#include "base/auto.h"
#include "provider/kind.h"
#include "provider/text.h"

#include <broker/secret.h>
#include <string.h>

const char *const inject_anthropic[] = {"POST /v1/messages", "POST /v1/messages/count_tokens",
                                        "GET /v1/models", NULL};
const char *const inject_openai[] = {"POST /v1/responses", "POST /v1/chat/completions",
                                     "GET /v1/models", "POST /v1/embeddings", NULL};
const char *const inject_codex[] = {
    "POST /v1/responses",  "POST /v1/chat/completions", "GET /v1/models",
    "POST /v1/embeddings", "POST /responses",           "POST /chat/completions",
    "GET /models",         "POST /embeddings",          NULL};
const char *const inject_gemini[] = {"POST /v1beta/models", "GET /v1beta/models", "POST /v1/models",
                                     "GET /v1/models", NULL};

/* ---- templates */

static struct view skip_spaces(struct view v)
{
    while (v.n && v.p[0] == ' ')
        v = VIEW(v.p + 1, v.n - 1);
    return v;
}

static bool is_token(struct view v)
{
    for (size_t i = 0; i < v.n; i++)
        if (v.p[i] < 0x21 || v.p[i] > 0x7e || strchr("\"(),/:;<=>?@[\\]{}", v.p[i]))
            return false;
    return v.n > 0;
}

/* The text in front of the slot and behind it; false: no slot, or a second one. */
static bool split(struct view text, const char *slot, struct inject_template *t)
{
    size_t n = strlen(slot);
    const uint8_t *at = memmem(text.p, text.n, slot, n);
    if (!at)
        return false;
    t->before = VIEW(text.p, (size_t)(at - text.p));
    t->after = VIEW(at + n, text.n - t->before.n - n);
    return !memmem(t->after.p, t->after.n, "{}", 2) && !memmem(t->after.p, t->after.n, slot, n) &&
           !memmem(t->before.p, t->before.n, "{}", 2);
}

static bool query_template(struct view text, struct inject_template *t)
{
    static const size_t skip = sizeof("query:") - 1, tail = sizeof("={}") - 1;
    t->query = true;
    if (text.n <= skip + tail || !view_is(VIEW(text.p + text.n - tail, tail), "={}"))
        return false;
    t->name = VIEW(text.p + skip, text.n - skip - tail);
    return is_token(t->name) && !memchr(t->name.p, '%', t->name.n) &&
           !memchr(t->name.p, '&', t->name.n) && !memchr(t->name.p, '#', t->name.n) &&
           !memchr(t->name.p, '+', t->name.n);
}

static bool header_template(struct view text, struct inject_template *t)
{
    const uint8_t *colon = text.n ? memchr(text.p, ':', text.n) : NULL;
    if (!colon)
        return false;
    t->name = VIEW(text.p, (size_t)(colon - text.p));
    struct view value = skip_spaces(VIEW(colon + 1, text.n - t->name.n - 1));
    t->basic = memmem(value.p, value.n, "{basic}", 7) != NULL;
    for (size_t i = 0; i < value.n; i++)
        if (value.p[i] < 0x20 || value.p[i] > 0x7e)
            return false;
    return is_token(t->name) && value.n > 0 && split(value, t->basic ? "{basic}" : "{}", t);
}

bool inject_template(struct view text, struct inject_template *out)
{
    struct inject_template t = {0};
    bool good = text_starts(text, "query:") ? query_template(text, &t) : header_template(text, &t);
    if (good)
        *out = t;
    return good;
}

/* ---- encodings */

/* RFC 4648 section 4, with padding. */
static void add_base64(struct buf *out, struct view v)
{
    size_t from = out->len;
    base64url_encode(v, out);
    for (size_t i = from; i < out->len; i++)
        out->p[i] = out->p[i] == '-' ? '+' : out->p[i] == '_' ? '/' : out->p[i];
    while ((out->len - from) % 4)
        buf_put_u8(out, '=');
}

/* RFC 3986 section 2: everything but unreserved. */
static void add_percent(struct buf *out, struct view v)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < v.n; i++) {
        uint8_t c = v.p[i], low = c | 0x20;
        bool plain = (low >= 'a' && low <= 'z') || (c >= '0' && c <= '9') ||
                     (c && strchr("-._~", c) != NULL);
        if (plain) {
            buf_put_u8(out, c);
            continue;
        }
        buf_put_u8(out, '%');
        buf_put_u8(out, (uint8_t)hex[c >> 4]);
        buf_put_u8(out, (uint8_t)hex[c & 15]);
    }
}

/* Views into a buffer that still grows would dangle: places are kept, and become views at the end. */
struct piece {
    size_t at, n;
};
static struct piece end_piece(const struct buf *b, size_t from)
{
    return (struct piece){from, b->len - from};
}
static struct view piece_view(const struct buf *b, struct piece p)
{
    return VIEW(b->p + p.at, p.n);
}

/* ---- parts of a route */

struct inject {
    const struct provider *p;
    const struct provider_upstream *up;
    const struct cred *c;
    struct buf *scratch;
    struct route *r;
    struct why *why;
};

static void add_header(struct route *r, struct view name, struct view value)
{
    r->header[r->n_headers++] = (struct route_header){name, value};
}

static err_t provider_header(struct inject *in, struct view secret)
{
    const char *slot = strstr(in->up->form, "{}");
    size_t from = in->scratch->len;
    buf_add(in->scratch, in->up->form, (size_t)(slot - in->up->form));
    buf_add_view(in->scratch, secret);
    buf_add_str(in->scratch, slot + 2);
    TRY(buf_ok(in->scratch, in->why));
    add_header(in->r, view_str(in->up->header),
               piece_view(in->scratch, end_piece(in->scratch, from)));
    if (in->up->extra_header && cred_has(in->c, in->up->extra))
        add_header(in->r, view_str(in->up->extra_header), in->c->f[in->up->extra]);
    if (in->up->merge_header)
        in->r->merge =
            (struct route_header){view_str(in->up->merge_header), view_str(in->up->merge_value)};
    return ERR_OK;
}

static void add_basic(struct inject *in, struct view secret)
{
    AUTO(buf_free) struct buf pair = {.max = SECRET_MAX};
    if (cred_has(in->c, CF_USERNAME))
        buf_add_view(&pair, in->c->f[CF_USERNAME]);
    buf_put_u8(&pair, ':');
    buf_add_view(&pair, secret);
    if (pair.bad)
        in->scratch->bad = true;
    else
        add_base64(in->scratch, buf_view(&pair));
}

/* The whole value lies in the scratch; so does its secret part, which is listed when it is not the bare secret. */
static err_t template_value(struct inject *in, const struct inject_template *t, struct view secret)
{
    struct buf *b = in->scratch;
    size_t from = b->len;
    buf_add_view(b, t->before);
    size_t inner = b->len;
    if (t->query)
        add_percent(b, secret);
    else if (t->basic)
        add_basic(in, secret);
    else
        buf_add_view(b, secret);
    struct piece part = end_piece(b, inner);
    buf_add_view(b, t->after);
    TRY(buf_ok(b, in->why));
    struct view value = piece_view(b, end_piece(b, from));
    if (t->query)
        in->r->query = (struct route_header){t->name, value};
    else
        add_header(in->r, t->name, value);
    if (t->query || t->basic)
        in->r->secret[in->r->n_secrets++] = piece_view(b, part);
    return ERR_OK;
}

static err_t own_template(struct inject *in, struct view secret)
{
    struct inject_template t;
    if (!cred_has(in->c, CF_HEADER) || !inject_template(in->c->f[CF_HEADER], &t))
        return fail(in->why, ERR_CONFLICT,
                    "this secret does not say how it goes upstream: enroll it with --origin and "
                    "--header \"Authorization: Bearer {}\" to use it through the proxy");
    return template_value(in, &t, secret);
}

struct view inject_origin(const struct provider *p, const struct cred *c)
{
    const struct provider_upstream *up = provider_upstream(p, c->f[CF_KIND]);
    return !up ? VIEW(NULL, 0) : up->origin ? view_str(up->origin) : c->f[CF_ORIGIN];
}

/* "https://host[:port]", as validated: not looked at again but for its parts. */
static err_t take_origin(struct inject *in, const struct inject_upstream *up)
{
    struct view o = inject_origin(in->p, in->c);
    struct route *r = in->r;
    bool tls = up->host.n ? up->tls : text_starts(o, "https://");
    r->flags = (tls ? ROUTE_TLS : 0u) | (up->private_hosts ? ROUTE_PRIVATE : 0u);
    r->ca = up->ca;
    r->host = up->host;
    r->port = up->port;
    if (up->host.n)
        return ERR_OK;
    size_t skip = tls ? sizeof("https://") - 1 : sizeof("http://") - 1;
    if (o.n <= skip)
        return fail(in->why, ERR_CONFLICT,
                    "this secret has no origin: enroll it with --origin https://HOST to use it "
                    "through the proxy");
    r->host = VIEW(o.p + skip, o.n - skip);
    r->port = tls ? 443 : 80;
    const uint8_t *colon = memchr(r->host.p, ':', r->host.n);
    if (colon) {
        unsigned port = 0;
        for (const uint8_t *d = colon + 1; d < o.p + o.n; d++)
            port = port * 10 + (unsigned)(*d - '0');
        r->port = (uint16_t)port;
        r->host.n = (size_t)(colon - r->host.p);
    }
    if (!tls) /* a provider lets only loopback be without TLS */
        r->flags |= ROUTE_PRIVATE;
    return ERR_OK;
}

err_t inject_route(const struct provider *p, const struct cred *c, const struct inject_upstream *up,
                   struct buf *scratch, struct route *out, struct why *why)
{
    const struct provider_kind *k = kind_of(p, c);
    struct route r = {.provider = view_str(p->name)};
    if (!k || !k->upstream)
        return fail(why, ERR_CONFLICT, "a credential of provider %s is not used through the proxy",
                    p->name);
    struct inject in = {p, k->upstream, c, scratch, &r, why};
    struct view secret = c->f[k->value];
    if (secret.n == 0)
        return fail(why, ERR_CONFLICT, "the credential has no value to use");
    /* all that is appended below fits without moving what views point to */
    if (!buf_reserve(scratch, 4 * secret.n + 4096))
        return fail(why, ERR_UNAVAILABLE, "out of memory");
    TRY(take_origin(&in, up));
    if (k->value == CF_ACCESS_TOKEN) /* a login: a newer token may be there by the time of a 401 */
        r.flags |= ROUTE_RENEWS;
    r.dialect = (enum route_dialect)k->upstream->dialect;
    r.strip = k->upstream->strip ? view_str(k->upstream->strip) : VIEW(NULL, 0);
    r.prefix = k->upstream->prefix ? view_str(k->upstream->prefix) : VIEW(NULL, 0);
    r.secret[r.n_secrets++] = secret;
    TRY(k->upstream->header ? provider_header(&in, secret) : own_template(&in, secret));
    *out = r;
    return ERR_OK;
}
