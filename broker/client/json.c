/*
 * JSON (RFC 8259) read in place. A grammar check walks the text once with the kinds of the open
 * brackets in a bit stack, so nesting costs a bit and never a stack frame; lookups then walk over
 * values that are known to be well-formed, and still check every bound, because a slice can come
 * from anywhere. Nothing is allocated: a released secret is copied once, by json_text, to where it
 * goes.
 */
#include "client/json.h"

#include "base/utf8.h"

#include <broker/client.h>
#include <string.h>

struct scan {
    const char *p, *end;
};

static void skip_space(struct scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r'))
        s->p++;
}

static bool take(struct scan *s, char c)
{
    if (s->p >= s->end || *s->p != c)
        return false;
    s->p++;
    return true;
}

static bool take_word(struct scan *s, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0)
        return false;
    s->p += n;
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool take_digits(struct scan *s)
{
    const char *from = s->p;
    while (s->p < s->end && is_digit(*s->p))
        s->p++;
    return s->p > from;
}

static bool take_number(struct scan *s)
{
    (void)take(s, '-');
    if (!take(s, '0') && !take_digits(s))
        return false;
    if (take(s, '.') && !take_digits(s))
        return false;
    if (!take(s, 'e') && !take(s, 'E'))
        return true;
    if (!take(s, '+'))
        (void)take(s, '-');
    return take_digits(s);
}

static bool take_hex4(struct scan *s, uint32_t *out)
{
    uint32_t v = 0;
    if (s->end - s->p < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        char c = *s->p++;
        if (is_digit(c))
            v = v << 4 | (uint32_t)(c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            v = v << 4 | (uint32_t)((c | 0x20) - 'a' + 10);
        else
            return false;
    }
    *out = v;
    return true;
}

/* After "\u": one code point, a surrogate pair being one. NUL is refused: it would end a C string
 * early. */
static bool take_unicode(struct scan *s, uint32_t *out)
{
    uint32_t hi, lo;
    if (!take_hex4(s, &hi) || hi == 0)
        return false;
    *out = hi;
    if (hi < 0xd800 || hi > 0xdfff)
        return true;
    if (hi > 0xdbff || !take(s, '\\') || !take(s, 'u') || !take_hex4(s, &lo))
        return false;
    if (lo < 0xdc00 || lo > 0xdfff)
        return false;
    *out = 0x10000 + ((hi - 0xd800) << 10) + (lo - 0xdc00);
    return true;
}

static bool take_escape(struct scan *s, uint32_t *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (s->p >= s->end || *s->p == '\0')
        return false;
    char c = *s->p++;
    if (c == 'u')
        return take_unicode(s, out);
    const char *at = strchr(from, c);
    if (at)
        *out = (unsigned char)to[at - from];
    return at != NULL;
}

/* A code point as UTF-8; how many bytes. */
static size_t encode(uint32_t code, char out[4])
{
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (code & 0x3f));
        code >>= 6;
    }
    out[0] = (char)(lead[n] | code);
    return n;
}

/* One character of a string as UTF-8 bytes in `out`; 0: not valid here. */
static size_t take_char(struct scan *s, char out[4])
{
    uint32_t code;
    if (take(s, '\\'))
        return take_escape(s, &code) ? encode(code, out) : 0;
    if (s->p >= s->end || (unsigned char)*s->p < 0x20)
        return 0;
    size_t n = utf8_next((const uint8_t *)s->p, (size_t)(s->end - s->p), &code);
    memcpy(out, s->p, n);
    s->p += n;
    return n;
}

static bool take_string(struct scan *s)
{
    char bytes[4];
    if (!take(s, '"'))
        return false;
    while (!take(s, '"'))
        if (take_char(s, bytes) == 0)
            return false;
    return true;
}

static bool take_scalar(struct scan *s)
{
    if (s->p >= s->end)
        return false;
    switch (*s->p) {
    case '"':
        return take_string(s);
    case 't':
        return take_word(s, "true");
    case 'f':
        return take_word(s, "false");
    case 'n':
        return take_word(s, "null");
    default:
        return take_number(s);
    }
}

static bool take_key(struct scan *s)
{
    skip_space(s);
    if (!take_string(s))
        return false;
    skip_space(s);
    return take(s, ':');
}

/* The brackets that are open: bit 0 is the innermost, set for an object. */
struct nest {
    uint32_t objects;
    unsigned depth;
};

static bool nest_in(struct nest *n, bool object)
{
    if (n->depth == JSON_DEPTH)
        return false;
    n->objects = n->objects << 1 | object;
    n->depth++;
    return true;
}

static void nest_out(struct nest *n)
{
    n->objects >>= 1;
    n->depth--;
}

static char nest_close(const struct nest *n)
{
    return n->objects & 1 ? '}' : ']';
}

enum step { STEP_BAD, STEP_VALUE, STEP_AFTER };

/* At the place of a value: takes a scalar or an empty bracket (STEP_AFTER), or opens one up to its
 * first value (STEP_VALUE). */
static enum step take_start(struct scan *s, struct nest *n)
{
    skip_space(s);
    bool object = take(s, '{');
    if (!object && !take(s, '['))
        return take_scalar(s) ? STEP_AFTER : STEP_BAD;
    if (!nest_in(n, object))
        return STEP_BAD;
    skip_space(s);
    if (take(s, nest_close(n))) {
        nest_out(n);
        return STEP_AFTER;
    }
    return !object || take_key(s) ? STEP_VALUE : STEP_BAD;
}

/* Behind a value inside a bracket: closes it (STEP_AFTER), or goes on to the next value. */
static enum step take_after(struct scan *s, struct nest *n)
{
    skip_space(s);
    if (take(s, nest_close(n))) {
        nest_out(n);
        return STEP_AFTER;
    }
    if (!take(s, ','))
        return STEP_BAD;
    return !(n->objects & 1) || take_key(s) ? STEP_VALUE : STEP_BAD;
}

/* One value of any kind, white space before it included. */
static bool take_value(struct scan *s, struct json_slice *out)
{
    struct nest n = {0};
    skip_space(s);
    const char *from = s->p;
    enum step step = take_start(s, &n);
    while (step != STEP_BAD && (step == STEP_VALUE || n.depth > 0))
        step = step == STEP_VALUE ? take_start(s, &n) : take_after(s, &n);
    if (step == STEP_BAD)
        return false;
    *out = (struct json_slice){from, (size_t)(s->p - from)};
    return true;
}

bool json_value(const char *text, size_t n, struct json_slice *out)
{
    if (!text)
        return false;
    struct scan s = {text, text + n};
    struct json_slice v;
    if (!take_value(&s, &v))
        return false;
    skip_space(&s);
    if (s.p != s.end)
        return false;
    *out = v;
    return true;
}

/* A key and its value; `is_it` says whether the key reads `key`. */
static bool take_member(struct scan *s, const char *key, bool *is_it, struct json_slice *value)
{
    char name[JSON_KEY_MAX + 1];
    skip_space(s);
    const char *from = s->p;
    if (!take_string(s))
        return false;
    struct json_slice text = {from, (size_t)(s->p - from)};
    *is_it = json_text(text, name, sizeof(name), NULL) && strcmp(name, key) == 0;
    skip_space(s);
    return take(s, ':') && take_value(s, value);
}

bool json_member(struct json_slice object, const char *key, struct json_slice *out)
{
    struct scan s = {object.p, object.p + object.n};
    struct json_slice value, found = {0};
    bool is_it;
    if (!object.p || !take(&s, '{'))
        return false;
    do {
        if (!take_member(&s, key, &is_it, &value))
            return false;
        if (is_it && found.p)
            return false;
        if (is_it)
            found = value;
        skip_space(&s);
    } while (take(&s, ','));
    if (!found.p || !take(&s, '}'))
        return false;
    *out = found;
    return true;
}

bool json_item(struct json_slice array, size_t *at, struct json_slice *out)
{
    if (!array.p || array.n < 2 || array.p[0] != '[' || *at >= array.n)
        return false;
    struct scan s = {array.p + *at, array.p + array.n};
    if (!take(&s, *at == 0 ? '[' : ',') || !take_value(&s, out))
        return false;
    skip_space(&s);
    *at = (size_t)(s.p - array.p);
    return true;
}

bool json_text(struct json_slice value, char *out, size_t room, size_t *len)
{
    struct scan s = {value.p, value.p + value.n};
    size_t at = 0;
    char bytes[4];
    if (room == 0)
        return false;
    bool ok = value.p && take(&s, '"');
    while (ok && !take(&s, '"')) {
        size_t n = take_char(&s, bytes);
        ok = n > 0 && room - at > n;
        if (ok)
            memcpy(out + at, bytes, n);
        at += ok ? n : 0;
    }
    explicit_bzero(bytes, sizeof(bytes));
    if (!ok || s.p != s.end) {
        explicit_bzero(out, at);
        out[0] = '\0';
        return false;
    }
    out[at] = '\0';
    if (len)
        *len = at;
    return true;
}

bool json_int(struct json_slice value, int64_t *out)
{
    struct scan s = {value.p, value.p + value.n};
    if (!value.p || !take_number(&s) || s.p != s.end)
        return false;
    bool minus = value.p[0] == '-';
    int64_t v = 0;
    for (const char *p = value.p + minus; p < s.end; p++) {
        int digit = *p - '0';
        if (!is_digit(*p) || __builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, minus ? -digit : digit, &v))
            return false;
    }
    *out = v;
    return true;
}

bool json_is(struct json_slice value, const char *literal)
{
    return value.p && value.n == strlen(literal) && memcmp(value.p, literal, value.n) == 0;
}

/* "a" or "a.b" from a whole text. */
static bool find(const char *json, size_t n, const char *path, struct json_slice *out)
{
    char key[JSON_KEY_MAX + 1];
    struct json_slice v;
    if (!json_value(json, n, &v))
        return false;
    const char *dot = strchr(path, '.');
    size_t first = dot ? (size_t)(dot - path) : 0;
    if (first > JSON_KEY_MAX)
        return false;
    memcpy(key, path, first);
    key[first] = '\0';
    if (dot && !json_member(v, key, &v))
        return false;
    return json_member(v, dot ? dot + 1 : path, out);
}

bool broker_json_str(const char *json, size_t n, const char *path, char *out, size_t room)
{
    struct json_slice v;
    return find(json, n, path, &v) && json_text(v, out, room, NULL);
}

bool broker_json_int(const char *json, size_t n, const char *path, int64_t *out)
{
    struct json_slice v;
    return find(json, n, path, &v) && json_int(v, out);
}
