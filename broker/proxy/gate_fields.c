/*
 * Header fields (RFC 9112 section 5). One pass: name by the token table, colon, value by the text table, CRLF. Fields that decide where a
 * message ends, whom it is for or what it asks for are rows of a table with a function each; a name that only equals one of them
 * when `_` is read for `-` (as CGI and its heirs do) is refused, and so are headers that override method or target.
 */
#include "proxy/gate_fields.h"

#include "base/auto.h"
#include "proxy/gate_list.h"

#include <arpa/inet.h>
#include <string.h>

enum { HOST_MAX = 255, LOOK_FIRST = 2048 };

typedef enum gate_result field_fn(struct scan *s, struct fields *f, struct view value);

/* A name: labels, the last of which may be empty (the root). */
static bool is_name(struct view v)
{
    for (size_t i = 0; i < v.n; i++)
        if (!gate_is(v.p[i], GATE_HOST) || (v.p[i] == '.' && (i == 0 || v.p[i - 1] == '.')))
            return false;
    return v.n > 0;
}

static bool is_ipv6(struct view v)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr a;
    return view_copy(v, text, sizeof(text)) && inet_pton(AF_INET6, text, &a) == 1;
}

/* uri-host [ ":" port ] (RFC 9110 section 7.2); a port that is written must be one. */
static bool is_host(struct view v)
{
    bool bracket = v.n && v.p[0] == '[', over;
    uint64_t port = 1;
    const uint8_t *end = v.n && v.n <= HOST_MAX ? memchr(v.p, bracket ? ']' : ':', v.n) : NULL;
    size_t n = end ? (size_t)(end - v.p) : v.n, after = n + bracket;
    if (after < v.n)
        if (v.p[after] != ':' || !gate_number(VIEW(v.p + after + 1, v.n - after - 1), &port, &over))
            return false;
    if (v.n > HOST_MAX || port == 0 || port > 65535 || (bracket && !end))
        return false;
    return bracket ? is_ipv6(VIEW(v.p + 1, n - 1)) : is_name(VIEW(v.p, n));
}

static enum gate_result on_host(struct scan *s, struct fields *f, struct view value)
{
    if (f->has_host)
        return scan_refuse(s, 400, "two Host headers");
    if (!is_host(value))
        return scan_refuse(s, 400, "the Host header names no host");
    f->has_host = true;
    f->host = value;
    return GATE_OK;
}

static enum gate_result on_length(struct scan *s, struct fields *f, struct view value)
{
    bool over;
    if (f->has_length)
        return scan_refuse(s, 400, "two Content-Length headers");
    if (!gate_number(value, &f->length, &over))
        return over ? scan_refuse(s, 413, "the Content-Length is too large")
                    : scan_refuse(s, 400, "the Content-Length is no plain number");
    f->has_length = true;
    return GATE_OK;
}

/* Of a request it must be spelled as everybody spells it: parsers differ about the case. */
static enum gate_result on_coding(struct scan *s, struct fields *f, struct view value)
{
    struct view chunked = view_str("chunked");
    if (f->chunked)
        return scan_refuse(s, 400, "two Transfer-Encoding headers");
    if (s->reply ? !gate_same(value, chunked) : !view_eq(value, chunked))
        return scan_refuse(s, 501, "a Transfer-Encoding other than chunked");
    f->chunked = true;
    return GATE_OK;
}

static bool is_token(struct view v)
{
    for (size_t i = 0; i < v.n; i++)
        if (!gate_is(v.p[i], GATE_TOKEN))
            return false;
    return true;
}

/* A member that names a field of framing asks whoever is next to forget that field. */
static enum gate_result on_connection(struct scan *s, struct fields *f, struct view value)
{
    static const char *const framing[] = {"host", "content-length", "transfer-encoding"};
    struct view m;
    while (gate_list_next(&value, &m)) {
        if (!is_token(m))
            return scan_refuse(s, 400, "the Connection header is malformed");
        f->close = f->close || gate_same(m, view_str("close"));
        f->keep_alive = f->keep_alive || gate_same(m, view_str("keep-alive"));
        for (size_t i = 0; i < COUNT(framing) && !s->reply; i++)
            if (gate_same(m, view_str(framing[i])))
                return scan_refuse(s, 400, "the Connection header names a field of framing");
    }
    return GATE_OK;
}

static enum gate_result on_expect(struct scan *s, struct fields *f, struct view value)
{
    if (f->expect_continue || !gate_same(value, view_str("100-continue")))
        return scan_refuse(s, 417, "an expectation other than 100-continue");
    f->expect_continue = true;
    return GATE_OK;
}

static enum gate_result on_upgrade(struct scan *s, struct fields *f, struct view value)
{
    (void)s;
    (void)value;
    f->upgrade = true;
    return GATE_OK;
}

static enum gate_result on_override(struct scan *s, struct fields *f, struct view value)
{
    (void)f;
    (void)value;
    return scan_refuse(s, 400, "a header that overrides the method or the target");
}

static const struct known {
    const char *name;
    uint8_t n;
    bool in_replies;
    field_fn *fn;
} known[] = {
#define KNOWN(name, in_replies, fn)                                                                \
    {                                                                                              \
        name, sizeof(name) - 1, in_replies, fn                                                     \
    }
    KNOWN("host", false, on_host),
    KNOWN("expect", false, on_expect),
    KNOWN("upgrade", false, on_upgrade),
    KNOWN("connection", true, on_connection),
    KNOWN("content-length", true, on_length),
    KNOWN("transfer-encoding", true, on_coding),
    KNOWN("x-http-method", false, on_override),
    KNOWN("x-method-override", false, on_override),
    KNOWN("x-http-method-override", false, on_override),
    KNOWN("x-original-url", false, on_override),
    KNOWN("x-rewrite-url", false, on_override),
#undef KNOWN
};
/* one bit for each length of a name in the table */
enum {
    KNOWN_LONGEST = 22,
    KNOWN_LENGTHS = 1 << 4 | 1 << 6 | 1 << 7 | 1 << 10 | 1 << 13 | 1 << 14 | 1 << 17 | 1 << 22
};

/* Is it that name, without case and with `_` read as `-`? *exact: without the latter. */
static bool resembles(struct view v, const char *lower, bool *exact)
{
    *exact = true;
    for (size_t i = 0; i < v.n; i++) {
        uint8_t c = v.p[i], want = (uint8_t)lower[i];
        if (c == want || (c >= 'A' && c <= 'Z' && (c | 0x20) == want))
            continue;
        if (c != '_' || want != '-')
            return false;
        *exact = false;
    }
    return true;
}

/* What the field means for the message, if it is one that does. */
static enum gate_result take(struct scan *s, struct fields *f, const struct gate_header *h)
{
    bool exact;
    if (h->name.n > KNOWN_LONGEST || !(KNOWN_LENGTHS >> h->name.n & 1))
        return GATE_OK;
    for (size_t i = 0; i < COUNT(known); i++) {
        const struct known *k = &known[i];
        if (k->n != h->name.n || !resembles(h->name, k->name, &exact))
            continue;
        if (!exact)
            return scan_refuse(s, 400, "a header name that resembles one of framing");
        return s->reply && !k->in_replies ? GATE_OK : k->fn(s, f, h->value);
    }
    return GATE_OK;
}

static enum gate_result bad_name(const struct scan *s, const uint8_t *begin)
{
    uint8_t c = *s->p;
    bool blank = c == ' ' || c == '\t';
    if (c == '\n')
        return scan_refuse(s, 400, "a line ends without CR");
    if (c == '\r')
        return scan_refuse(s, 400, "a header without a colon");
    if (s->p == begin)
        return scan_refuse(s, 400, blank ? "a folded line" : "a header without a name");
    if (blank)
        return scan_refuse(s, 400, "white space in or behind a header's name");
    return scan_refuse(s, 400, "a header's name is no token");
}

/* "name: value CRLF" */
static enum gate_result field(struct scan *s, struct gate_header *h)
{
    const uint8_t *name = s->p, *end;
    scan_skip(s, GATE_TOKEN);
    if (s->p == s->end)
        return GATE_MORE;
    if (*s->p != ':' || s->p == name)
        return bad_name(s, name);
    h->name = VIEW(name, (size_t)(s->p - name));
    s->p++;
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\t'))
        s->p++;
    const uint8_t *value = s->p;
    scan_text(s);
    for (end = s->p; end > value && (end[-1] == ' ' || end[-1] == '\t'); end--)
        continue;
    h->value = VIEW(value, (size_t)(end - value));
    return scan_newline(s);
}

static enum gate_result next_field(struct scan *s, struct fields *f)
{
    if (f->n == GATE_HEADERS_MAX)
        return scan_refuse(s, 431, "too many headers");
    struct gate_header *h = &f->header[f->n];
    enum gate_result r = field(s, h);
    if (r == GATE_OK)
        r = take(s, f, h);
    if (r == GATE_OK)
        f->n++;
    return r;
}

enum gate_result gate_fields(struct scan *s, struct fields *f)
{
    const uint8_t *begin = s->p;
    bool looked = s->full;
    while (s->p < s->end && *s->p != '\r') {
        /* a caller that comes again with each byte of a long head does not pay for all of it each time */
        if (!looked && s->p - begin > LOOK_FIRST && !scan_may_end(s))
            return GATE_MORE;
        looked = looked || s->p - begin > LOOK_FIRST;
        enum gate_result r = next_field(s, f);
        if (r != GATE_OK)
            return r;
    }
    return scan_newline(s);
}
