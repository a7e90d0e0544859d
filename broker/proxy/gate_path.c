/*
 * Which paths and queries are acceptable. The rule is that a target has one spelling: what policy compares byte by byte is then what every
 * server makes of it, decoded or not, once or twice. So a percent-encoded byte is refused where it need not be encoded (letters, digits,
 * `-._~`: this is where `%2e` and `%6b%65%79` go) or where decoding it would change the structure: `/ \ ; % ? #` and controls in a path
 * (`%25` is the front half of every double encoding), NUL in a query. Encoded text beyond ASCII must be UTF-8 in a path: overlong forms of
 * `/` and `.` are none. In a query `%7e` is allowed, because Java's URLEncoder writes it, and `;` is not, because some servers split there.
 */
#include "proxy/gate_path.h"

#include "base/utf8.h"
#include "proxy/gate_scan.h"

#include <string.h>

enum { ESCAPE = 3, UTF8_MAX = 4 };

/* The byte that `%XX` at the front of v stands for; -1: it is no such thing. */
static int escape(struct view v)
{
    if (v.n < ESCAPE || v.p[0] != '%' || !gate_is(v.p[1], GATE_HEX) || !gate_is(v.p[2], GATE_HEX))
        return -1;
    return (int)(gate_hex(v.p[1]) << 4 | gate_hex(v.p[2]));
}

/* How many bytes of v the escapes of one character beyond ASCII take; 0: no valid UTF-8, or a control. */
static size_t escaped_utf8(struct view v)
{
    uint8_t raw[UTF8_MAX];
    size_t n = 0;
    uint32_t cp = 0;
    for (int c; n < UTF8_MAX && (c = escape(VIEW(v.p + n * ESCAPE, v.n - n * ESCAPE))) >= 0; n++)
        raw[n] = (uint8_t)c;
    size_t used = utf8_next(raw, n, &cp);
    return cp < 0xa0 ? 0 : used * ESCAPE;
}

static bool is_unreserved(int c)
{
    return c == '~' || gate_is((uint8_t)c, GATE_HOST);
}

/* *used: bytes of v that the escapes at its front take. */
static const char *path_escape(struct view v, size_t *used)
{
    int c = escape(v);
    if (c < 0)
        return "the path holds a % that is no escape";
    if (c < ' ' || c == 0x7f)
        return "the path holds an escaped control";
    *used = c < 0x80 ? ESCAPE : escaped_utf8(v);
    if (*used == 0)
        return "the path holds escapes that are no UTF-8";
    if (is_unreserved(c))
        return "the path escapes what needs no escape";
    return c < 0x80 && strchr("/\\;%?#", c) ? "the path escapes a delimiter" : NULL;
}

/* A segment between two slashes, or behind the last one. */
static const char *segment_fault(struct view v, bool last)
{
    if (v.n == 0 && !last)
        return "the path has an empty segment";
    if (view_is(v, ".") || view_is(v, ".."))
        return "the path has a dot segment";
    return NULL;
}

const char *gate_path_fault(struct view path)
{
    if (path.n == 0 || path.p[0] != '/')
        return "the path does not begin with /";
    size_t begin = 1, used;
    const char *fault = NULL;
    for (size_t i = 1; i < path.n && !fault; i += used) {
        used = 1;
        if (path.p[i] == '/') {
            fault = segment_fault(VIEW(path.p + begin, i - begin), false);
            begin = i + 1;
        } else if (path.p[i] == '%') {
            fault = path_escape(VIEW(path.p + i, path.n - i), &used);
        } else if (!gate_is(path.p[i], GATE_PATH)) {
            fault = "the path holds a byte that has no place there";
        }
    }
    return fault ? fault : segment_fault(VIEW(path.p + begin, path.n - begin), true);
}

bool gate_path_ok(struct view path)
{
    return path.n <= GATE_TARGET_MAX && gate_path_fault(path) == NULL;
}

const char *gate_query_fault(struct view query)
{
    for (size_t i = 0; i < query.n; i++) {
        if (!gate_is(query.p[i], GATE_QUERY))
            return "the query holds a byte that has no place there";
        if (query.p[i] != '%')
            continue;
        int c = escape(VIEW(query.p + i, query.n - i));
        if (c <= 0)
            return "the query holds a % that is no escape, or an escaped NUL";
        if (c != '~' && is_unreserved(c))
            return "the query escapes what needs no escape";
    }
    return NULL;
}
