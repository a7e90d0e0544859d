/*
 * Classes of text. Total functions over any bytes; an empty view is a line but not visible, no name
 * and no number.
 */
#include "provider/text.h"

#include "base/utf8.h"
#include <string.h>

bool text_line(struct view v)
{
    uint32_t cp;
    for (size_t i = 0, len; i < v.n; i += len) {
        i += utf8_plain(v.p + i, v.n - i);
        if (i == v.n)
            break;
        len = utf8_next(v.p + i, v.n - i, &cp);
        if (len == 0 || cp < 0x20 || (cp >= 0x7f && cp < 0xa0))
            return false;
    }
    return true;
}

bool text_visible(struct view v)
{
    for (size_t i = 0; i < v.n; i++)
        if (v.p[i] < 0x21 || v.p[i] > 0x7e)
            return false;
    return v.n > 0;
}

bool text_no_nul(struct view v)
{
    return utf8_valid(v) && (v.n == 0 || !memchr(v.p, 0, v.n));
}

bool text_starts(struct view v, const char *prefix)
{
    size_t n = strlen(prefix);
    return v.n >= n && view_eq(VIEW(v.p, n), VIEW(prefix, n));
}

bool text_env_name(struct view v)
{
    for (size_t i = 0; i < v.n; i++) {
        uint8_t c = v.p[i];
        bool digit = c >= '0' && c <= '9';
        if (!(c >= 'A' && c <= 'Z') && c != '_' && !(digit && i > 0))
            return false;
    }
    return v.n > 0;
}

bool text_millis(struct view v)
{
    int64_t ms = 0;
    if (v.n == 0 || v.n > 15 || (v.p[0] == '0' && v.n > 1))
        return false;
    for (size_t i = 0; i < v.n; i++) {
        if (v.p[i] < '0' || v.p[i] > '9')
            return false;
        ms = ms * 10 + (v.p[i] - '0');
    }
    return ms <= TEXT_MILLIS_MAX;
}

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct view text_trim(struct view v)
{
    while (v.n && is_space(v.p[0])) {
        v.p++;
        v.n--;
    }
    while (v.n && is_space(v.p[v.n - 1]))
        v.n--;
    return v;
}
