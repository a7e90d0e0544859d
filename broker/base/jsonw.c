/*
 * Writes JSON straight into a buffer. The writer keeps commas and nesting right; strings go through one escaper that
 * copies runs of plain bytes and replaces what is not UTF-8, so the output is valid JSON whatever came in.
 */
#include "base/jsonw.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <string.h>

enum { DEPTH_MAX = 16 };

struct jsonw jsonw_to(struct buf *out)
{
    return (struct jsonw){.out = out};
}

static void lead(struct jsonw *w, const char *key)
{
    static const char comma_quote[] = ",\"";
    size_t skip = w->need_comma ? 0 : 1;
    w->need_comma = true;
    if (!key) {
        buf_add(w->out, comma_quote, 1 - skip);
        return;
    }
    buf_add(w->out, comma_quote + skip, 2 - skip);
    buf_add(w->out, key, strlen(key));
    buf_add(w->out, "\":", 2);
}

void jsonw_open(struct jsonw *w, const char *key, char bracket)
{
    lead(w, key);
    buf_put_u8(w->out, (uint8_t)bracket);
    w->need_comma = false;
    if (++w->depth > DEPTH_MAX)
        w->out->bad = true;
}

void jsonw_close(struct jsonw *w, char bracket)
{
    buf_put_u8(w->out, (uint8_t)bracket);
    w->need_comma = true;
    if (w->depth == 0)
        w->out->bad = true;
    else
        w->depth--;
}

static bool plain(uint8_t c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static void escape(struct buf *out, uint8_t c)
{
    static const char two[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    for (const char *t = two; *t; t += 2)
        if ((uint8_t)t[0] == c) {
            buf_add(out, (char[]){'\\', t[1]}, 2);
            return;
        }
    buf_add_fmt(out, "\\u%04x", c);
}

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/* In each byte that is below `limit` (at most 0x80) the highest bit; in others perhaps, behind such a byte or where its own was set. */
static uint64_t below(uint64_t x, uint8_t limit)
{
    return (x - EACH(limit)) & EACH(0x80);
}

/* Eight bytes at a time; what holds one that may not be plain is looked at byte by byte. */
size_t jsonw_plain(struct view v)
{
    size_t i = 0;
    for (uint64_t x; i + sizeof(x) <= v.n; i += sizeof(x)) {
        memcpy(&x, v.p + i, sizeof(x));
        uint64_t special = below(x ^ EACH('"'), 1) | below(x ^ EACH('\\'), 1) |
                           below(x ^ EACH(0x7f), 1) | below(x, ' ') | (x & EACH(0x80));
        if (special)
            break;
    }
    while (i < v.n && plain(v.p[i]))
        i++;
    return i;
}

static void write_text(struct buf *out, struct view v)
{
    buf_put_u8(out, '"');
    for (size_t i = 0; i < v.n;) {
        size_t run = jsonw_plain(VIEW(v.p + i, v.n - i));
        buf_add(out, v.p + i, run);
        i += run;
        if (i == v.n)
            break;
        uint32_t cp;
        size_t len = utf8_next(v.p + i, v.n - i, &cp);
        if (len == 0)
            buf_add_str(out, "\\ufffd");
        else if (len == 1)
            escape(out, v.p[i]);
        else
            buf_add(out, v.p + i, len);
        i += len ? len : 1;
    }
    buf_put_u8(out, '"');
}

void jsonw_view(struct jsonw *w, const char *key, struct view v)
{
    lead(w, key);
    write_text(w->out, v);
}

void jsonw_str(struct jsonw *w, const char *key, const char *s)
{
    if (!s)
        jsonw_null(w, key);
    else
        jsonw_view(w, key, view_str(s));
}

void jsonw_int(struct jsonw *w, const char *key, int64_t v)
{
    lead(w, key);
    char digits[24];
    size_t at = sizeof(digits);
    uint64_t u = v < 0 ? -(uint64_t)v : (uint64_t)v;
    do
        digits[--at] = (char)('0' + u % 10);
    while (u /= 10);
    if (v < 0)
        digits[--at] = '-';
    buf_add(w->out, digits + at, sizeof(digits) - at);
}

void jsonw_bool(struct jsonw *w, const char *key, bool v)
{
    lead(w, key);
    buf_add_str(w->out, v ? "true" : "false");
}

void jsonw_null(struct jsonw *w, const char *key)
{
    lead(w, key);
    buf_add_str(w->out, "null");
}

void jsonw_hex(struct jsonw *w, const char *key, const void *p, size_t n)
{
    lead(w, key);
    buf_put_u8(w->out, '"');
    if (buf_reserve(w->out, 2 * n + 1)) {
        hex_encode(p, n, (char *)w->out->p + w->out->len);
        w->out->len += 2 * n;
    }
    buf_put_u8(w->out, '"');
}

void jsonw_raw(struct jsonw *w, const char *key, struct view json)
{
    lead(w, key);
    buf_add_view(w->out, json);
}
