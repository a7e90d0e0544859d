/*
 * Local policy. Everything here is a table of names; none of it grants anything: whether a token is good is the vault's to say.
 */
#include "proxy/admit.h"

#include "base/auto.h"
#include "proxy/names.h"
#include <broker/secret.h>

#include <string.h>
#include <strings.h>

#define MARKER "cbrk1_" /* crypto/token.h */

static bool is_name(struct view v, const char *name)
{
    return v.n == strlen(name) && strncasecmp((const char *)v.p, name, v.n) == 0;
}

static bool is_one_of(struct view v, const char *const *names)
{
    for (; *names; names++)
        if (is_name(v, *names))
            return true;
    return false;
}

static bool has_marker(struct view v)
{
    return v.n >= sizeof(MARKER) - 1 && memmem(v.p, v.n, MARKER, sizeof(MARKER) - 1) != NULL;
}

/* ---- host and origin */

static bool host_is_local(struct view host)
{
    static const char *const names[] = {"localhost", "127.0.0.1", "[::1]", NULL};
    size_t n = host.n;
    while (n > 0 && host.p[n - 1] >= '0' && host.p[n - 1] <= '9')
        n--;
    bool port = n > 0 && n < host.n && host.p[n - 1] == ':';
    return is_one_of(host, names) || (port && is_one_of(VIEW(host.p, n - 1), names));
}

bool admit_request(const struct gate_request *rq, struct gate_refusal *no)
{
    unsigned origins = 0;
    (void)gate_header_of(rq->header, rq->n_headers, "origin", &origins);
    if (!host_is_local(rq->host)) {
        *no = (struct gate_refusal){421,
                                    "the Host must be localhost: the broker chooses the upstream"};
        return false;
    }
    if (origins > 0) {
        *no = (struct gate_refusal){403, "requests of web pages (with an Origin) are not served"};
        return false;
    }
    if (rq->upgrade) {
        *no = (struct gate_refusal){426, "no other protocol is spoken here: use plain HTTP/1.1"};
        return false;
    }
    if (has_marker(rq->path)) { /* it would go upstream, and into the log */
        *no = (struct gate_refusal){400, "the path holds a token: send it in a header"};
        return false;
    }
    return true;
}

/* ---- our token */

struct search {
    struct view found;
    bool twice;
    struct admit_room *room;
};

/* In a JWT (RFC 7519) our token is the third part: some clients read the end of their token from the second (provider/phantom.c). */
static struct view unwrapped(struct view token)
{
    const uint8_t *dot =
        token.n > 3 && memcmp(token.p, "eyJ", 3) == 0 ? memchr(token.p, '.', token.n) : NULL;
    size_t n = dot ? (size_t)(token.p + token.n - dot) - 1 : 0;
    dot = n ? memchr(dot + 1, '.', n) : NULL;
    return dot ? VIEW(dot + 1, (size_t)(token.p + token.n - dot) - 1) : token;
}

static void offer(struct search *s, struct view token)
{
    token = unwrapped(token);
    if (!has_marker(token) || token.n > ADMIT_TOKEN_MAX)
        return;
    if (s->found.n && !view_eq(s->found, token))
        s->twice = true;
    s->found = token;
}

static int base64_value(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* RFC 7617: the token is the password, or the user name without one. Decoded behind what was decoded before: that may be found already. */
static void offer_basic(struct search *s, struct view text)
{
    struct admit_room *room = s->room;
    const uint8_t *from = room->bytes + room->used;
    uint32_t bits = 0;
    unsigned have = 0;
    for (size_t i = 0; i < text.n && text.p[i] != '=' && room->used < sizeof(room->bytes); i++) {
        int v = base64_value(text.p[i]);
        if (v < 0)
            return;
        bits = bits << 6 | (uint32_t)v;
        have += 6;
        if (have >= 8)
            room->bytes[room->used++] = (uint8_t)(bits >> (have -= 8));
    }
    size_t n = (size_t)(room->bytes + room->used - from);
    const uint8_t *colon = n ? memchr(from, ':', n) : NULL;
    if (!colon)
        return;
    struct view user = VIEW(from, (size_t)(colon - from));
    struct view password = VIEW(colon + 1, n - user.n - 1);
    offer(s, has_marker(password) ? password : user);
}

static void offer_value(struct search *s, struct view value)
{
    const uint8_t *space = value.n ? memchr(value.p, ' ', value.n) : NULL;
    struct view scheme = VIEW(value.p, space ? (size_t)(space - value.p) : 0);
    struct view rest = space ? VIEW(space + 1, value.n - scheme.n - 1) : value;
    if (is_name(scheme, "basic"))
        offer_basic(s, rest);
    else
        offer(s, rest);
}

static void offer_query(struct search *s, struct view query)
{
    while (query.n) {
        const uint8_t *amp = memchr(query.p, '&', query.n);
        struct view pair = VIEW(query.p, amp ? (size_t)(amp - query.p) : query.n);
        const uint8_t *eq = pair.n ? memchr(pair.p, '=', pair.n) : NULL;
        if (eq && name_class(VIEW(pair.p, (size_t)(eq - pair.p))) & NAME_PARAMETER)
            offer(s, VIEW(eq + 1, (size_t)(pair.p + pair.n - eq - 1)));
        query = amp ? VIEW(amp + 1, query.n - pair.n - 1) : VIEW(NULL, 0);
    }
}

struct view admit_token(const struct gate_request *rq, struct admit_room *room)
{
    struct search s = {.room = room};
    for (unsigned i = 0; i < rq->n_headers; i++)
        if (name_class(rq->header[i].name) & NAME_CREDENTIAL)
            offer_value(&s, rq->header[i].value);
    offer_query(&s, rq->query);
    return s.twice ? VIEW(NULL, 0) : s.found;
}

void admit_wipe(struct admit_room *room)
{
    if (room->used)
        wipe(room->bytes, room->used);
    room->used = 0;
}

/* ---- form of errors */

static bool begins(struct view v, const char *s)
{
    size_t n = strlen(s);
    return v.n >= n && memcmp(v.p, s, n) == 0;
}

enum route_dialect admit_dialect(const struct gate_request *rq)
{
    static const struct {
        const char *header;
        enum route_dialect dialect;
    } by_header[] = {{"anthropic-version", ROUTE_ANTHROPIC}, {"x-goog-api-key", ROUTE_GEMINI}};
    for (size_t i = 0; i < COUNT(by_header); i++)
        if (gate_header_of(rq->header, rq->n_headers, by_header[i].header, NULL).n)
            return by_header[i].dialect;
    if (begins(rq->path, "/v1/messages"))
        return ROUTE_ANTHROPIC;
    if (begins(rq->path, "/v1beta/"))
        return ROUTE_GEMINI;
    return ROUTE_OPENAI;
}
