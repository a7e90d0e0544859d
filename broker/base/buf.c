/*
 * Bounded bytes: growing buffers that are wiped when they move, total big-endian readers, hex and base64url.
 * Invariant: nothing reads or writes outside [p, p + len); a failure is remembered in `bad` and checked once.
 */
#include "base/buf.h"

#include <broker/secret.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct view view_str(const char *s)
{
    return VIEW(s, s ? strlen(s) : 0);
}

bool view_eq(struct view a, struct view b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool view_is(struct view v, const char *s)
{
    return view_eq(v, view_str(s));
}

bool view_copy(struct view v, char *out, size_t cap)
{
    out[0] = '\0';
    if (v.n >= cap || (v.n && memchr(v.p, 0, v.n)))
        return false;
    if (v.n)
        memcpy(out, v.p, v.n);
    out[v.n] = '\0';
    return true;
}

/* ---- buf */

static size_t max_of(const struct buf *b)
{
    return b->max ? b->max : BUF_DEFAULT_MAX;
}

void buf_free(struct buf *b)
{
    if (b->p) {
        wipe(b->p, b->cap);
        free(b->p);
    }
    size_t max = b->max;
    *b = (struct buf){.max = max};
}

void buf_reset(struct buf *b)
{
    if (b->p)
        wipe(b->p, b->len);
    b->len = 0;
    b->bad = false;
}

/* realloc would leave the old bytes behind: copy, wipe, free */
static bool grow(struct buf *b, size_t need)
{
    size_t cap = b->cap ? b->cap : 128;
    while (cap < need)
        cap *= 2;
    uint8_t *p = malloc(cap);
    if (!p)
        return false;
    if (b->p) {
        memcpy(p, b->p, b->len);
        wipe(b->p, b->cap);
        free(b->p);
    }
    b->p = p;
    b->cap = cap;
    return true;
}

bool buf_reserve(struct buf *b, size_t more)
{
    if (b->bad || more > max_of(b) || b->len > max_of(b) - more) {
        b->bad = true;
        return false;
    }
    bool room = b->p && b->len + more <= b->cap;
    if (more && !room && !grow(b, b->len + more))
        b->bad = true;
    return !b->bad;
}

void buf_add_slowly(struct buf *b, const void *p, size_t n)
{
    if (n == 0 || !buf_reserve(b, n))
        return;
    memcpy(b->p + b->len, p, n);
    b->len += n;
}

void buf_add_view(struct buf *b, struct view v)
{
    buf_add(b, v.p, v.n);
}

void buf_add_fmt(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0 || !buf_reserve(b, (size_t)n + 1)) {
        b->bad = true;
        return;
    }
    va_start(ap, fmt);
    (void)vsnprintf((char *)b->p + b->len, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->len += (size_t)n;
}

void buf_put_str16(struct buf *b, struct view v)
{
    if (v.n > UINT16_MAX) {
        b->bad = true;
        return;
    }
    buf_put_u16(b, (uint16_t)v.n);
    buf_add_view(b, v);
}

void buf_put_str32(struct buf *b, struct view v)
{
    if (v.n > UINT32_MAX) {
        b->bad = true;
        return;
    }
    buf_put_u32(b, (uint32_t)v.n);
    buf_add_view(b, v);
}

struct view buf_view(const struct buf *b)
{
    return VIEW(b->p, b->len);
}

const char *buf_text(struct buf *b)
{
    size_t max = max_of(b);
    b->max =
        max + 1; /* the NUL is not part of the contents, so it may stand one past the maximum */
    bool room = buf_reserve(b, 1);
    b->max = max;
    if (!room)
        return NULL;
    b->p[b->len] = 0;
    return (const char *)b->p;
}

err_t buf_ok(const struct buf *b, struct why *why)
{
    if (b->bad)
        return fail(why, ERR_TOO_LARGE, "more than %zu bytes", max_of(b));
    return ERR_OK;
}

/* ---- cursor */

struct cursor cursor_of(struct view v)
{
    /* an empty view may have a NULL pointer, and NULL + 0 is not defined in C */
    static const uint8_t nothing[1];
    const uint8_t *p = v.p ? v.p : nothing;
    return (struct cursor){p, p + v.n, false};
}

size_t cursor_left(const struct cursor *c)
{
    return c->bad ? 0 : (size_t)(c->end - c->p);
}

bool cursor_done(const struct cursor *c)
{
    return !c->bad && c->p == c->end;
}

struct view get_bytes(struct cursor *c, size_t n)
{
    if (c->bad || n > (size_t)(c->end - c->p)) {
        c->bad = true;
        return VIEW(NULL, 0);
    }
    struct view v = VIEW(c->p, n);
    c->p += n;
    return v;
}

/* The next n bytes into `out`; zeros when there are not as many. */
static void get_raw(struct cursor *c, void *out, size_t n)
{
    struct view v = get_bytes(c, n);
    if (v.n)
        memcpy(out, v.p, n);
    else
        memset(out, 0, n);
}

uint8_t get_u8(struct cursor *c)
{
    uint8_t v;
    get_raw(c, &v, sizeof(v));
    return v;
}

uint16_t get_u16(struct cursor *c)
{
    uint16_t v;
    get_raw(c, &v, sizeof(v));
    return be16toh(v);
}

uint32_t get_u32(struct cursor *c)
{
    uint32_t v;
    get_raw(c, &v, sizeof(v));
    return be32toh(v);
}

uint64_t get_u64(struct cursor *c)
{
    uint64_t v;
    get_raw(c, &v, sizeof(v));
    return be64toh(v);
}

struct view get_str16(struct cursor *c)
{
    return get_bytes(c, get_u16(c));
}

struct view get_str32(struct cursor *c)
{
    return get_bytes(c, get_u32(c));
}

#define EACH(byte) (UINT64_C(0x0101010101010101) * (uint8_t)(byte))

/* ---- hex and base64url */

void hex_encode(const void *p, size_t n, char *out)
{
    static const char digit[] = "0123456789abcdef";
    const uint8_t *b = p;
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digit[b[i] >> 4];
        out[2 * i + 1] = digit[b[i] & 15];
    }
    out[2 * n] = '\0';
}

static int nibble(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

bool hex_decode(struct view text, void *out, size_t n)
{
    if (text.n != 2 * n)
        return false;
    for (size_t i = 0; i < text.n; i++)
        if (nibble(text.p[i]) < 0)
            return false;
    uint8_t *o = out;
    for (size_t i = 0; i < n; i++)
        o[i] = (uint8_t)(nibble(text.p[2 * i]) * 16 + nibble(text.p[2 * i + 1]));
    return true;
}

/* A set bit for each byte of x (below 64) that is at least `least`: the lowest of that byte. */
static uint64_t at_least(uint64_t x, uint8_t least)
{
    return ((x + EACH(0x80 - least)) >> 7) & EACH(1);
}

/* Six bytes to eight characters at once, without a table or a branch that depends on them: secrets pass here. The alphabet is A-Z, a-z,
 * 0-9, '-', '_'; each step says what a character is more, or less, than the one before the step. */
static void encode_six(const uint8_t in[6], uint8_t out[8])
{
    uint64_t x = 0;
    memcpy(&x, in, 6);
    x = be64toh(x) >> 16;
    /* 48 bits → 2 of 24 → 4 of 12 → 8 of 6, each at the low end of its part */
    x = (x & 0xffffff) | x >> 24 << 32;
    x = (x & 0x00000fff00000fff) | (x & 0x00fff00000fff000) << 4;
    uint64_t spread = (x & 0x003f003f003f003f) | (x & 0x0fc00fc00fc00fc0) << 2;
    uint64_t more = at_least(spread, 26) * ('a' - 'Z' - 1) + at_least(spread, 63) * ('_' - '-' - 1);
    uint64_t less = at_least(spread, 52) * ('z' + 1 - '0') + at_least(spread, 62) * ('9' + 1 - '-');
    spread = htobe64(spread + EACH('A') + more - less);
    memcpy(out, &spread, 8);
}

void base64url_encode(struct view v, struct buf *out)
{
    size_t n = (v.n * 4 + 2) / 3;
    if (!buf_reserve(out, n))
        return;
    for (size_t at = 0; at < v.n; at += 6) {
        uint8_t in[6] = {0}, text[8];
        memcpy(in, v.p + at, v.n - at < 6 ? v.n - at : 6);
        encode_six(in, text);
        memcpy(out->p + out->len, text, n < 8 ? n : 8);
        out->len += n < 8 ? n : 8;
        n -= n < 8 ? n : 8;
    }
}

static int b64_value(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

err_t base64url_decode(struct view text, struct buf *out, struct why *why)
{
    size_t before = out->len;
    uint32_t acc = 0;
    unsigned bits = 0;
    bool good = text.n % 4 != 1 && buf_reserve(out, text.n / 4 * 3 + 2);
    for (size_t i = 0; good && i < text.n; i++) {
        int v = b64_value(text.p[i]);
        good = v >= 0;
        acc = acc << 6 | (uint32_t)(v & 63);
        bits += 6;
        if (good && bits >= 8) {
            bits -= 8;
            out->p[out->len++] = (uint8_t)(acc >> bits);
        }
    }
    if (good && (acc & ((1u << bits) - 1)) == 0) /* canonical: no stray bits at the end */
        return ERR_OK;
    if (out->p && out->len > before)
        wipe(out->p + before, out->len - before);
    out->len = before;
    return fail(why, ERR_INVALID, "not base64url (RFC 4648 section 5, no padding)");
}
