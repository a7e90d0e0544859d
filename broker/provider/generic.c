/*
 * Any named secret: a password, a database URL, a private key. Taken as it is (text, also of many
 * lines); for the proxy it may come with the one origin it is for and the header it goes out in. A
 * secret with a header must do for a header: a line break in it would let its owner write further
 * headers.
 */
#include "base/auto.h"
#include "provider/inject.h"
#include "provider/intake.h"
#include "provider/kind.h"
#include "provider/providers.h"
#include "provider/text.h"

#include <string.h>
#include <strings.h>

enum { SECRET_BYTES_MAX = 60 * 1024 };

/* `echo secret | …` and most editors end a one-line secret with a line break that is not part of
 * it. */
static struct view without_last_newline(struct view v)
{
    const uint8_t *first = v.n ? memchr(v.p, '\n', v.n) : NULL;
    if (!first || first + 1 != v.p + v.n)
        return v;
    v.n--;
    if (v.n && v.p[v.n - 1] == '\r')
        v.n--;
    return v;
}

static err_t read_generic(struct intake *in, struct why *why)
{
    struct view v = without_last_newline(in->input);
    if (text_trim(v).n == 0)
        return fail(why, ERR_INVALID, "this is empty");
    if (v.n > SECRET_BYTES_MAX)
        return fail(why, ERR_INVALID, "this has %zu bytes", v.n);
    if (!text_no_nul(v))
        return fail(why, ERR_INVALID, "this is binary, or not UTF-8 text");
    in->cred.f[CF_KIND] = view_str("generic");
    in->cred.f[CF_SECRET] = v;
    return ERR_OK;
}

static err_t generic_parse(struct view input, const struct provider_options *opt, struct buf *out,
                           struct why *why)
{
    AUTO(intake_free)
    struct intake in = {.provider = &provider_generic, .input = input, .options = opt};
    return intake_run(&in, read_generic, out, why);
}

/* ---- origin: scheme "://" host [":" port], RFC 6454 */

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
    return h.n > 0 && h.n <= 253 && before != '.' && before != '-';
}

static bool is_port(struct view p)
{
    unsigned n = 0;
    if (p.n == 0 || p.n > 5 || p.p[0] == '0')
        return false;
    for (size_t i = 0; i < p.n; i++) {
        if (p.p[i] < '0' || p.p[i] > '9')
            return false;
        n = n * 10 + (unsigned)(p.p[i] - '0');
    }
    return n <= 65535;
}

static bool is_origin(struct view v)
{
    bool tls = text_starts(v, "https://");
    if (!tls && !text_starts(v, "http://"))
        return false;
    size_t skip = tls ? 8 : 7;
    struct view host = VIEW(v.p + skip, v.n - skip);
    const uint8_t *colon = host.n ? memchr(host.p, ':', host.n) : NULL;
    if (colon) {
        struct view port = VIEW(colon + 1, (size_t)(host.p + host.n - colon - 1));
        host.n = (size_t)(colon - host.p);
        if (!is_port(port))
            return false;
    }
    return tls ? is_host(host) : view_is(host, "127.0.0.1") || view_is(host, "localhost");
}

/* ---- header: name ":" value with one {} in it, RFC 9110 section 5 */

static bool is_token_byte(uint8_t c)
{
    return c > 0x20 && c < 0x7f && !strchr("\"(),/:;<=>?@[\\]{}", c);
}

/* These say where a message goes or ends. */
static bool is_framing(struct view name)
{
    static const char *const framing[] = {"host",    "content-length", "transfer-encoding",
                                          "te",      "connection",     "upgrade",
                                          "trailer", "expect"};
    for (size_t i = 0; i < COUNT(framing); i++)
        if (strlen(framing[i]) == name.n &&
            strncasecmp(framing[i], (const char *)name.p, name.n) == 0)
            return true;
    return false;
}

static unsigned count_slots(struct view v)
{
    unsigned n = 0;
    for (size_t i = 0; i + 1 < v.n; i++)
        n += v.p[i] == '{' && v.p[i + 1] == '}';
    return n;
}

static bool is_header_template(struct view v)
{
    size_t n = 0;
    while (n < v.n && is_token_byte(v.p[n]))
        n++;
    if (n == 0 || n == v.n || v.p[n] != ':' || is_framing(VIEW(v.p, n)))
        return false;
    for (size_t i = n; i < v.n; i++)
        if (v.p[i] < 0x20 || v.p[i] > 0x7e)
            return false;
    return count_slots(v) == 1;
}

/* The forms of a template: inject_template() knows them all. */
static bool is_template(struct view v)
{
    struct inject_template t;
    if (!inject_template(v, &t))
        return false;
    if (t.query)
        return true;
    return t.basic ? !is_framing(t.name) : is_header_template(v);
}

static bool uses_basic(const struct cred *c)
{
    struct inject_template t;
    return inject_template(c->f[CF_HEADER], &t) && t.basic;
}

static err_t generic_validate(const struct cred *c, struct why *why)
{
    TRY(kind_validate(&provider_generic, c, why));
    if (c->f[CF_SECRET].n > SECRET_BYTES_MAX)
        return fail(why, ERR_INVALID, "the secret has over %d bytes", SECRET_BYTES_MAX);
    if (cred_has(c, CF_ORIGIN) && !is_origin(c->f[CF_ORIGIN]))
        return fail(why, ERR_INVALID,
                    "origin must be https://host[:port] in lower case without a path, "
                    "or http://127.0.0.1 or http://localhost");
    if (!cred_has(c, CF_HEADER))
        return ERR_OK;
    if (!is_template(c->f[CF_HEADER]))
        return fail(why, ERR_INVALID,
                    "header must be a name, a colon and a value with one {} in "
                    "it, for example \"Authorization: Bearer {}\"; or \"Authorization: Basic "
                    "{basic}\", or a query parameter: \"query:key={}\"");
    if (uses_basic(c) && cred_has(c, CF_USERNAME) &&
        memchr(c->f[CF_USERNAME].p, ':', c->f[CF_USERNAME].n))
        return fail(why, ERR_INVALID, "a user name of basic authentication holds no colon");
    if (!text_line(c->f[CF_SECRET]))
        return fail(why, ERR_INVALID, "a secret that goes out in a header must be one line");
    return ERR_OK;
}

KIND_RELEASE(generic)

static const struct provider_upstream upstream = {.dialect = ROUTE_PLAIN};

static const struct provider_kind kinds[] = {
    {.name = "generic",
     .upstream = &upstream,
     .deliveries = DELIVER_BIT(PROXY) | DELIVER_BIT(HELPER) | DELIVER_BIT(SECRET),
     .value = CF_SECRET,
     .required = CF_BIT(SECRET),
     .optional = CF_BIT(ORIGIN) | CF_BIT(HEADER) | CF_BIT(ENV) | CF_BIT(USERNAME),
     .token_prefix = "",
     .free_text = true},
    {0},
};

const struct provider provider_generic = {
    .name = "generic",
    .title = "secret",
    .expects = "up to 60 KiB of UTF-8 text without NUL bytes",
    .deliveries = DELIVER_BIT(PROXY) | DELIVER_BIT(HELPER) | DELIVER_BIT(SECRET),
    .kinds = kinds,
    .parse = generic_parse,
    .validate = generic_validate,
    .release = generic_release,
    .token_prefix = generic_token_prefix,
};
