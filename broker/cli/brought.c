/*
 * One strict reader of queries, for the listener and for pasted addresses alike. What it takes fits the message that it is sent in. The
 * buffers are the structure's own, so that one wipe is enough.
 */
#include "cli/brought.h"

#include "base/auto.h"

#include <broker/secret.h>
#include <string.h>

void brought_wipe(struct brought *b)
{
    wipe(b, sizeof(*b));
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decoded into `out`; only visible ASCII comes out of it. */
static bool decode(struct view v, char *out, size_t room)
{
    size_t n = 0;
    for (size_t i = 0; i < v.n; i++) {
        int c = v.p[i];
        if (c == '%') {
            int hi = i + 2 < v.n ? hex_digit(v.p[i + 1]) : -1;
            int lo = hi >= 0 ? hex_digit(v.p[i + 2]) : -1;
            c = lo >= 0 ? hi * 16 + lo : -1;
            i += 2;
        }
        if (c <= ' ' || c > '~' || n + 1 >= room)
            return false;
        out[n++] = (char)c;
    }
    out[n] = '\0';
    return n > 0;
}

static bool take_pair(struct view pair, struct brought *out)
{
    const uint8_t *eq = pair.n ? memchr(pair.p, '=', pair.n) : NULL;
    struct view key = VIEW(pair.p, eq ? (size_t)(eq - pair.p) : pair.n);
    struct view value = eq ? VIEW(eq + 1, pair.n - key.n - 1) : VIEW(NULL, 0);
    struct {
        const char *name;
        char *to;
        size_t room;
    } ours[] = {{"code", out->code, sizeof(out->code)},
                {"state", out->state, sizeof(out->state)},
                {"error", out->error, sizeof(out->error)}};
    for (size_t i = 0; i < COUNT(ours); i++)
        if (view_is(key, ours[i].name))
            return !ours[i].to[0] && decode(value, ours[i].to, ours[i].room);
    return true;
}

static bool is_word(const char *s)
{
    return strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_.-") == strlen(s);
}

bool brought_by_query(struct view query, struct brought *out)
{
    struct brought b = {0};
    const uint8_t *p = query.p, *end = query.n ? query.p + query.n : query.p;
    bool good = query.n <= BROUGHT_MAX;
    while (good && p < end) {
        const uint8_t *amp = memchr(p, '&', (size_t)(end - p));
        const uint8_t *stop = amp ? amp : end;
        good = take_pair(VIEW(p, (size_t)(stop - p)), &b);
        p = amp ? amp + 1 : end;
    }
    good = good && (b.code[0] != '\0') != (b.error[0] != '\0') && is_word(b.error);
    if (good)
        *out = b;
    else
        *out = (struct brought){0};
    brought_wipe(&b);
    return good;
}

/* ---- pasted */

static struct view trim(struct view v)
{
    while (v.n && (v.p[0] <= ' '))
        v = VIEW(v.p + 1, v.n - 1);
    while (v.n && v.p[v.n - 1] <= ' ')
        v.n--;
    return v;
}

static bool from_address(struct view text, struct brought *out)
{
    const uint8_t *mark = memchr(text.p, '?', text.n);
    if (!mark)
        return false;
    struct view query = VIEW(mark + 1, (size_t)(text.p + text.n - mark - 1));
    const uint8_t *fragment = query.n ? memchr(query.p, '#', query.n) : NULL;
    if (fragment)
        query.n = (size_t)(fragment - query.p);
    return brought_by_query(query, out);
}

static bool from_words(struct view text, struct brought *out)
{
    const uint8_t *hash = memchr(text.p, '#', text.n);
    if (!hash)
        return false;
    struct view code = VIEW(text.p, (size_t)(hash - text.p));
    struct view state = VIEW(hash + 1, text.n - code.n - 1);
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] <= ' ' || text.p[i] > '~')
            return false;
    return code.n && state.n && view_copy(code, out->code, sizeof(out->code)) &&
           view_copy(state, out->state, sizeof(out->state));
}

err_t brought_by_paste(struct view text, struct brought *out, struct why *why)
{
    *out = (struct brought){0};
    text = trim(text);
    bool address = text.n > 8 && memmem(text.p, text.n, "://", 3);
    if (text.n && text.n <= BROUGHT_MAX &&
        (address ? from_address(text, out) : from_words(text, out)) && out->state[0])
        return ERR_OK;
    brought_wipe(out);
    return fail(why, ERR_INVALID,
                "that is neither a code with # and its second part, nor the address that the "
                "browser was sent to; paste all of it");
}
