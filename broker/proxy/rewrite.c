/*
 * Writes heads. Invariant: every line written is a name the gate took, a colon, a value the gate took (or the route's own), CRLF; so nothing a
 * peer sent can end a line early. The order is fixed: request line, Host, our lines, then the client's.
 */
#include "proxy/rewrite.h"

#include "base/auto.h"
#include "proxy/names.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static bool same(struct view a, struct view b)
{
    return a.n == b.n && strncasecmp((const char *)a.p, (const char *)b.p, a.n) == 0;
}

static bool is(struct view v, const char *name)
{
    return same(v, view_str(name));
}

static void line(struct buf *out, struct view name, struct view value)
{
    if (!buf_reserve(out, name.n + value.n + 4)) {
        out->bad = true;
        return;
    }
    uint8_t *at = out->p + out->len;
    memcpy(at, name.p, name.n);
    at += name.n;
    *at++ = ':';
    *at++ = ' ';
    memcpy(at, value.p, value.n);
    at += value.n;
    *at++ = '\r';
    *at = '\n';
    out->len += name.n + value.n + 4;
}

static void put_number(struct buf *out, const char *before, uint64_t v, const char *after)
{
    char digits[24];
    size_t at = sizeof(digits);
    do
        digits[--at] = (char)('0' + v % 10);
    while (v /= 10);
    buf_add_str(out, before);
    buf_add(out, digits + at, sizeof(digits) - at);
    buf_add_str(out, after);
}

/* ---- what stays behind */

static bool is_nominated(const struct gate_header *h, unsigned n, struct view name)
{
    char text[64];
    if (!view_copy(name, text, sizeof(text)))
        return false;
    for (size_t i = 0; text[i]; i++)
        text[i] = (char)tolower((unsigned char)text[i]);
    for (unsigned i = 0; i < n; i++)
        if (is(h[i].name, "connection") && gate_list_has(h[i].value, text))
            return true;
    return false;
}

static bool has_connection(const struct gate_header *h, unsigned n)
{
    unsigned found = 0;
    (void)gate_header_of(h, n, "connection", &found);
    return found > 0;
}

/* As a server does that takes `_` in a field's name for `-` (RFC 3875 section 4.1.18). */
static bool reads_as(struct view a, struct view b)
{
    bool alike = a.n == b.n;
    for (size_t i = 0; alike && i < a.n; i++) {
        int x = a.p[i] == '_' ? '-' : tolower(a.p[i]), y = b.p[i] == '_' ? '-' : tolower(b.p[i]);
        alike = x == y;
    }
    return alike;
}

/* A query's `a[]` or `a[b]` is another `a` to some servers. */
static struct view without_index(struct view name)
{
    const uint8_t *at = name.n ? memchr(name.p, '[', name.n) : NULL;
    return at ? VIEW(name.p, (size_t)(at - name.p)) : name;
}

static bool is_set_by(const struct route *r, struct view name)
{
    for (unsigned i = 0; i < r->n_headers; i++)
        if (reads_as(r->header[i].name, name))
            return true;
    return r->merge.name.n && reads_as(r->merge.name, name);
}

static bool holds_token(struct view value)
{
    return value.n > 32 && memmem(value.p, value.n, "cbrk1_", 6) != NULL;
}

static bool stays_behind(const struct gate_header *h, const struct route *r)
{
    unsigned class = name_class(h->name);
    return class & (NAME_HOP | NAME_OURS | NAME_CREDENTIAL) || is_set_by(r, h->name) ||
           holds_token(h->value) || holds_token(h->name);
}

/* ---- request line */

static struct view path_tail(struct view path, struct view strip)
{
    bool has = strip.n && path.n >= strip.n && memcmp(path.p, strip.p, strip.n) == 0 &&
               (path.n == strip.n || path.p[strip.n] == '/');
    return has ? VIEW(path.p + strip.n, path.n - strip.n) : path;
}

static void put_query(struct buf *out, struct view query, const struct route *r)
{
    char mark = '?';
    while (query.n) {
        const uint8_t *amp = memchr(query.p, '&', query.n);
        struct view pair = VIEW(query.p, amp ? (size_t)(amp - query.p) : query.n);
        const uint8_t *eq = pair.n ? memchr(pair.p, '=', pair.n) : NULL;
        struct view name = VIEW(pair.p, eq ? (size_t)(eq - pair.p) : pair.n);
        bool out_of_place = name_class(name) & NAME_PARAMETER || holds_token(pair) ||
                            (r->query.name.n && reads_as(without_index(name), r->query.name));
        if (pair.n && !out_of_place) {
            buf_add(out, &mark, 1);
            buf_add_view(out, pair);
            mark = '&';
        }
        query = amp ? VIEW(amp + 1, query.n - pair.n - 1) : VIEW(NULL, 0);
    }
    if (r->query.name.n == 0)
        return;
    buf_add(out, &mark, 1);
    buf_add_view(out, r->query.name);
    buf_add(out, "=", 1);
    buf_add_view(out, r->query.value);
}

static void put_request_line(const struct gate_request *rq, const struct route *r, struct buf *out)
{
    struct view tail = path_tail(rq->path, r->strip);
    buf_add_view(out, rq->method);
    buf_add(out, " ", 1);
    buf_add_view(out, r->prefix);
    if (tail.n == 0 && r->prefix.n == 0)
        buf_add(out, "/", 1);
    buf_add_view(out, tail);
    put_query(out, rq->query, r);
    buf_add_str(out, " HTTP/1.1\r\nHost: ");
    buf_add_view(out, r->host);
    if (r->port != (r->flags & ROUTE_TLS ? 443 : 80))
        put_number(out, ":", r->port, "");
    buf_add_str(out, "\r\n");
}

/* ---- our lines */

static void put_merged(const struct gate_request *rq, const struct route *r, struct buf *out)
{
    char member[128];
    bool there = false, any = false;
    if (r->merge.name.n == 0 || !view_copy(r->merge.value, member, sizeof(member)))
        return;
    buf_add_view(out, r->merge.name);
    buf_add(out, ": ", 2);
    for (unsigned i = 0; i < rq->n_headers; i++) {
        const struct gate_header *h = &rq->header[i];
        if (!same(h->name, r->merge.name) || h->value.n == 0 || holds_token(h->value))
            continue;
        if (any)
            buf_add(out, ",", 1);
        buf_add_view(out, h->value);
        there = there || gate_list_has(h->value, member);
        any = true;
    }
    if (!there) {
        if (any)
            buf_add(out, ",", 1);
        buf_add_view(out, r->merge.value);
    }
    buf_add(out, "\r\n", 2);
}

static void put_framing(enum gate_body body, uint64_t length, struct buf *out)
{
    if (body == GATE_BODY_CHUNKED)
        buf_add_str(out, "Transfer-Encoding: chunked\r\n");
    else if (body == GATE_BODY_LENGTH)
        put_number(out, "Content-Length: ", length, "\r\n");
}

err_t rewrite_request(const struct gate_request *rq, const struct route *r, struct buf *out,
                      struct why *why)
{
    bool nominated = has_connection(rq->header, rq->n_headers);
    put_request_line(rq, r, out);
    for (unsigned i = 0; i < r->n_headers; i++)
        line(out, r->header[i].name, r->header[i].value);
    put_merged(rq, r, out);
    put_framing(rq->body, rq->length, out);
    buf_add_str(out, "Accept-Encoding: identity\r\n"); /* the guard and the usage reader read it */
    for (unsigned i = 0; i < rq->n_headers; i++) {
        const struct gate_header *h = &rq->header[i];
        if (!stays_behind(h, r) && !(nominated && is_nominated(rq->header, rq->n_headers, h->name)))
            line(out, h->name, h->value);
    }
    buf_add(out, "\r\n", 2);
    return buf_ok(out, why);
}

/* ---- reply */

static void put_reply_framing(const struct rewrite_reply *how, struct buf *out)
{
    const struct gate_response *rp = how->reply;
    if (how->chunked)
        buf_add_str(out, "Transfer-Encoding: chunked\r\n");
    else if (rp->body == GATE_BODY_LENGTH)
        put_number(out, "Content-Length: ", rp->length, "\r\n");
    if (how->close)
        buf_add_str(out, "Connection: close\r\n");
    else if (how->http10)
        buf_add_str(out, "Connection: keep-alive\r\n");
}

err_t rewrite_response(const struct rewrite_reply *how, struct buf *out, struct why *why)
{
    const struct gate_response *rp = how->reply;
    bool nominated = has_connection(rp->header, rp->n_headers);
    put_number(out, "HTTP/1.1 ", rp->status, rp->status < 400 ? " OK\r\n" : " Error\r\n");
    put_reply_framing(how, out);
    for (unsigned i = 0; i < rp->n_headers; i++) {
        const struct gate_header *h = &rp->header[i];
        if (!(name_class(h->name) & (NAME_HOP | NAME_SESSION)) &&
            !(nominated && is_nominated(rp->header, rp->n_headers, h->name)))
            line(out, h->name, h->value);
    }
    buf_add(out, "\r\n", 2);
    return buf_ok(out, why);
}
