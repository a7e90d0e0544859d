/*
 * A table of encoders, each with a variant. Of base64 it is the characters that depend on the secret alone, whatever stands before and behind
 * it: from ceil(8k/6) to floor(8(k+n)/6) with k bytes before it in its group. Percent and JSON forms come in the dialects of the common
 * encoders; where a secret has nothing to escape they are all the raw form, and are kept once.
 */
#include "proxy/guard_forms.h"

#include "base/auto.h"
#include "base/utf8.h"
#include <broker/secret.h>

#include <string.h>

struct form {
    void (*encode)(struct view secret, const struct form *f, struct buf *out);
    const char *
        set; /* base64: the last two digits; percent: what is not escaped but letters and digits; JSON: what is, but `"` and `\` */
    unsigned variant; /* base64: bytes before it */
    bool upper;       /* hex digits */
    bool all;         /* percent, JSON: every byte is escaped; base64: unused */
};

static void raw(struct view secret, const struct form *f, struct buf *out)
{
    (void)f;
    buf_add_view(out, secret);
}

static bool is_alnum(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static uint8_t base64_digit(unsigned v, const char *last)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    return (uint8_t)(v < 62 ? digits[v] : last[v - 62]);
}

/* Bit i of the secret, with the bits of `before` bytes in front of it, is bit 8 * before + i of the coded text. */
static void base64(struct view secret, const struct form *f, struct buf *out)
{
    size_t before = f->variant, from = (8 * before + 5) / 6, to = 8 * (before + secret.n) / 6;
    for (size_t i = from; i < to; i++) {
        size_t bit = 6 * i - 8 * before, at = bit / 8;
        unsigned two = (unsigned)secret.p[at] << 8;
        if (at + 1 < secret.n)
            two |= secret.p[at + 1];
        buf_put_u8(out, base64_digit(two >> (10 - bit % 8) & 63, f->set));
    }
}

static void add_hex(struct buf *out, uint8_t c, bool upper)
{
    const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    buf_put_u8(out, (uint8_t)digits[c >> 4]);
    buf_put_u8(out, (uint8_t)digits[c & 15]);
}

static void hex(struct view secret, const struct form *f, struct buf *out)
{
    for (size_t i = 0; i < secret.n; i++)
        add_hex(out, secret.p[i], f->upper);
}

static bool in_set(const char *set, uint8_t c)
{
    return c && strchr(set, c);
}

static void percent(struct view secret, const struct form *f, struct buf *out)
{
    for (size_t i = 0; i < secret.n; i++) {
        uint8_t c = secret.p[i];
        if (!f->all && c == ' ' && in_set(f->set, '+')) {
            buf_put_u8(out, '+');
        } else if (!f->all && c != '+' && (is_alnum(c) || in_set(f->set, c))) {
            buf_put_u8(out, c);
        } else {
            buf_put_u8(out, '%');
            add_hex(out, c, f->upper);
        }
    }
}

static void add_unit(struct buf *out, uint32_t unit, bool upper)
{
    buf_add_str(out, "\\u");
    add_hex(out, (uint8_t)(unit >> 8), upper);
    add_hex(out, (uint8_t)unit, upper);
}

static void add_units(struct buf *out, uint32_t cp, bool upper)
{
    if (cp < 0x10000) {
        add_unit(out, cp, upper);
        return;
    }
    add_unit(out, 0xd800 + ((cp - 0x10000) >> 10), upper);
    add_unit(out, 0xdc00 + ((cp - 0x10000) & 0x3ff), upper);
}

/* ASCII as JSON's encoders write it. */
static void add_json_char(struct buf *out, uint8_t c, const struct form *f)
{
    static const char plain[] = "\b\f\n\r\t\"\\", letter[] = "bfnrt\"\\";
    const char *at = c ? strchr(plain, c) : NULL;
    if (at || (c == '/' && in_set(f->set, c))) {
        buf_put_u8(out, '\\');
        buf_put_u8(out, at ? (uint8_t)letter[at - plain] : c);
    } else if (c < 0x20 || in_set(f->set, c)) {
        add_unit(out, c, f->upper);
    } else {
        buf_put_u8(out, c);
    }
}

/* A byte that is no UTF-8 is taken for the character of that number. `variant`: what is no ASCII is escaped too. */
static void json(struct view secret, const struct form *f, struct buf *out)
{
    for (size_t i = 0; i < secret.n;) {
        uint32_t cp = secret.p[i];
        size_t n = utf8_next(secret.p + i, secret.n - i, &cp);
        n = n ? n : 1;
        if (f->all || (f->variant && cp >= 0x80))
            add_units(out, cp, f->upper);
        else if (cp >= 0x80)
            buf_add(out, secret.p + i, n);
        else
            add_json_char(out, (uint8_t)cp, f);
        i += n;
    }
}

static const struct form forms[] = {
    {raw, "", 0, false, false},
    {base64, "+/", 0, false, false},
    {base64, "+/", 1, false, false},
    {base64, "+/", 2, false, false},
    {base64, "-_", 0, false, false},
    {base64, "-_", 1, false, false},
    {base64, "-_", 2, false, false},
    {hex, "", 0, false, false},
    {hex, "", 0, true, false},
    {percent, "", 0, false, true},
    {percent, "", 0, true, true},
    {percent, "-._~", 0, false, false}, /* RFC 3986 */
    {percent, "-._~", 0, true, false},
    {percent, "-._~!'()*", 0, true, false}, /* encodeURIComponent */
    {percent, "-._*+", 0, true, false},     /* form-urlencoded: a blank is + */
    {json, "", 0, false, false},
    {json, "/", 0, false, false},   /* PHP, and whoever writes for <script> */
    {json, "<>&", 0, false, false}, /* Go */
    {json, "", 1, false, false},    /* ASCII only: Python */
    {json, "/", 1, false, false},
    {json, "<>&'+`", 1, true, false}, /* .NET */
    {json, "", 0, false, true},
    {json, "", 0, true, true},
};
_Static_assert(COUNT(forms) == GUARD_FORMS, "room for each");

/* Is out[from..] one of the forms before it, the first of which begins at `at`? */
static bool seen(const struct buf *out, size_t at, size_t from, const size_t *end, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (view_eq(VIEW(out->p + at, end[i] - at), VIEW(out->p + from, out->len - from)))
            return true;
        at = end[i];
    }
    return false;
}

unsigned guard_forms(struct view secret, struct buf *out, size_t end[GUARD_FORMS])
{
    unsigned n = 0;
    const size_t began = out->len;
    for (size_t i = 0; i < COUNT(forms); i++) {
        size_t from = out->len;
        forms[i].encode(secret, &forms[i], out);
        if (out->bad)
            return n;
        if (seen(out, began, from, end, n)) {
            wipe(out->p + from, out->len - from);
            out->len = from;
        } else {
            end[n++] = out->len;
        }
    }
    return n;
}
