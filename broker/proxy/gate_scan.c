/*
 * Classes of bytes and the smallest steps of the gate. The table is made by the preprocessor out of the grammar's own words, so that no
 * number in it was typed by hand; its test holds it against the RFCs' lists.
 */
#include "proxy/gate_scan.h"

#include "base/utf8.h"

#include <string.h>

#define DIGIT(c)            ((c) >= '0' && (c) <= '9')
#define ALPHA(c)            (((c) >= 'a' && (c) <= 'z') || ((c) >= 'A' && (c) <= 'Z'))
#define HEXDIG(c)           (DIGIT(c) || ((c) >= 'a' && (c) <= 'f') || ((c) >= 'A' && (c) <= 'F'))
#define HOSTCHAR(c)         (DIGIT(c) || ALPHA(c) || (c) == '-' || (c) == '.' || (c) == '_')
#define ANY4(c, a, b, d, e) ((c) == (a) || (c) == (b) || (c) == (d) || (c) == (e))
#define TCHAR(c)                                                                                   \
    (HOSTCHAR(c) || ANY4(c, '!', '#', '$', '%') || ANY4(c, '&', '\'', '*', '+') ||                 \
     ANY4(c, '^', '`', '|', '~'))
/* sub-delims of RFC 3986 without `;`, which some servers take for the start of parameters */
#define SUBDELIM(c)                                                                                \
    (ANY4(c, '!', '$', '&', '\'') || ANY4(c, '(', ')', '*', '+') || (c) == ',' || (c) == '=')
#define PCHAR(c) (HOSTCHAR(c) || SUBDELIM(c) || ANY4(c, '~', '%', ':', '@'))
#define BARE(c)  (ANY4(c, '[', ']', '{', '}') || (c) == '|' || (c) == '^' || (c) == '`')
#define TEXT(c)  (((c) >= ' ' && (c) < 0x7f) || (c) == '\t')

#define CLASS(c)                                                                                   \
    ((TCHAR(c) ? GATE_TOKEN : 0) | (TEXT(c) ? GATE_TEXT : 0) |                                     \
     (TEXT(c) || (c) >= 0x80 ? GATE_OBS : 0) | (PCHAR(c) || (c) == '/' ? GATE_PATH : 0) |          \
     (PCHAR(c) || BARE(c) || (c) == '/' || (c) == '?' ? GATE_QUERY : 0) |                          \
     (HOSTCHAR(c) ? GATE_HOST : 0) | (DIGIT(c) ? GATE_DIGIT : 0) | (HEXDIG(c) ? GATE_HEX : 0))
#define CLASS4(c)  CLASS(c), CLASS((c) + 1), CLASS((c) + 2), CLASS((c) + 3)
#define CLASS16(c) CLASS4(c), CLASS4((c) + 4), CLASS4((c) + 8), CLASS4((c) + 12)
#define CLASS64(c) CLASS16(c), CLASS16((c) + 16), CLASS16((c) + 32), CLASS16((c) + 48)

const uint8_t gate_class[256] = {CLASS64(0), CLASS64(64), CLASS64(128), CLASS64(192)};

enum gate_result scan_refuse(const struct scan *s, unsigned status, const char *reason)
{
    *s->no = (struct gate_refusal){s->reply ? 502 : status, reason};
    return GATE_REFUSED;
}

struct scan scan_of(struct view bytes, bool reply, struct gate_refusal *no)
{
    static const uint8_t nothing[1];
    bool full = bytes.n >= GATE_HEAD_MAX;
    if (bytes.n == 0)
        bytes.p = nothing;
    return (struct scan){bytes.p, bytes.p + (full ? GATE_HEAD_MAX : bytes.n), full, reply, no};
}

enum gate_result scan_end(const struct scan *s, enum gate_result r)
{
    return r == GATE_MORE && s->full ? scan_refuse(s, 431, "the head is too large") : r;
}

void scan_text(struct scan *s)
{
    s->p += utf8_plain(s->p, (size_t)(s->end - s->p));
    scan_skip(s, s->reply ? GATE_OBS : GATE_TEXT);
}

enum gate_result scan_newline(struct scan *s)
{
    if (s->p == s->end)
        return GATE_MORE;
    if (*s->p == '\n')
        return scan_refuse(s, 400, "a line ends without CR");
    if (*s->p != '\r')
        return scan_refuse(s, 400, "a byte that has no place here");
    if (s->p + 1 == s->end)
        return GATE_MORE;
    if (s->p[1] != '\n')
        return scan_refuse(s, 400, "CR without LF");
    s->p += 2;
    return GATE_OK;
}

bool scan_may_end(const struct scan *s)
{
    const uint8_t *line = s->p, *lf;
    for (unsigned lines = 0; lines <= GATE_HEADERS_MAX; lines++, line = lf + 1) {
        lf = memchr(line, '\n', (size_t)(s->end - line));
        if (!lf)
            return false;
        /* an empty line, or one that is wrong and must be seen now */
        if (lf == line || lf[-1] != '\r' || lf == line + 1)
            return true;
    }
    return true; /* too many lines: to be refused */
}

bool gate_number(struct view v, uint64_t *out, bool *over)
{
    uint64_t n = 0;
    *over = false;
    if (v.n == 0 || (v.p[0] == '0' && v.n > 1))
        return false;
    for (size_t i = 0; i < v.n; i++) {
        if (!gate_is(v.p[i], GATE_DIGIT))
            return false;
        unsigned digit = v.p[i] - (unsigned)'0';
        *over = *over || n > ((uint64_t)INT64_MAX - digit) / 10;
        n = *over ? 0 : n * 10 + digit;
    }
    *out = n;
    return !*over;
}

bool gate_same(struct view v, struct view lower)
{
    if (v.n != lower.n)
        return false;
    for (size_t i = 0; i < v.n; i++) {
        uint8_t c = v.p[i];
        if ((c >= 'A' && c <= 'Z' ? c | 0x20 : c) != lower.p[i])
            return false;
    }
    return true;
}
