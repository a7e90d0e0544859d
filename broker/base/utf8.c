/*
 * The one UTF-8 decoder. Forms are a table of lead bytes with the range their second byte may have
 * (RFC 3629 section 4): the ranges alone exclude overlong forms and surrogates, so no check follows
 * the decoding.
 */
#include "base/utf8.h"

#include <string.h>

struct form {
    uint8_t lo, hi, len, second_lo, second_hi;
};
static const struct form forms[] = {
    {0x00, 0x7f, 1, 0x00, 0x00}, {0xc2, 0xdf, 2, 0x80, 0xbf}, {0xe0, 0xe0, 3, 0xa0, 0xbf},
    {0xe1, 0xec, 3, 0x80, 0xbf}, {0xed, 0xed, 3, 0x80, 0x9f}, {0xee, 0xef, 3, 0x80, 0xbf},
    {0xf0, 0xf0, 4, 0x90, 0xbf}, {0xf1, 0xf3, 4, 0x80, 0xbf}, {0xf4, 0xf4, 4, 0x80, 0x8f},
};

static const struct form *form_of(uint8_t lead)
{
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (lead >= forms[i].lo && lead <= forms[i].hi)
            return &forms[i];
    return NULL;
}

size_t utf8_next(const uint8_t *p, size_t n, uint32_t *cp)
{
    static const uint8_t lead_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    const struct form *f = form_of(p[0]);
    if (!f || f->len > n)
        return 0;
    uint32_t c = p[0] & lead_bits[f->len];
    for (size_t k = 1; k < f->len; k++) {
        uint8_t lo = k == 1 ? f->second_lo : 0x80, hi = k == 1 ? f->second_hi : 0xbf;
        if (p[k] < lo || p[k] > hi)
            return 0;
        c = c << 6 | (p[k] & 0x3f);
    }
    *cp = c;
    return f->len;
}

/* Bit tricks on a word (Hacker's Delight, section 6-1): a high bit is set in each byte that is not plain. */
static bool word_is_plain(const uint8_t *p)
{
    const uint64_t one = 0x0101010101010101, high = 0x8080808080808080;
    uint64_t w;
    memcpy(&w, p, sizeof(w));
    uint64_t del = w ^ (one * 0x7f);
    return ((w | (w - one * 0x20) | (del - one)) & high) == 0;
}

size_t utf8_plain(const uint8_t *p, size_t n)
{
    size_t i = 0;
    while (n - i >= sizeof(uint64_t) && word_is_plain(p + i))
        i += sizeof(uint64_t);
    while (i < n && p[i] >= 0x20 && p[i] < 0x7f)
        i++;
    return i;
}

bool utf8_valid(struct view v)
{
    uint32_t cp;
    for (size_t i = 0, len; i < v.n; i += len) {
        i += utf8_plain(v.p + i, v.n - i);
        if (i == v.n)
            break;
        len = utf8_next(v.p + i, v.n - i, &cp);
        if (len == 0)
            return false;
    }
    return true;
}
