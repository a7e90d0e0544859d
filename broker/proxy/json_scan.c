/*
 * The tokenizer is two small machines: `expect` says which token may come next (the grammar between tokens), `inside` which token the input
 * broke off in. What is open is one bit per level. Invariant: every call takes at least one byte or changes `inside`, so a caller's
 * loop ends. Text other than printable ASCII is marked, not decoded: no name that is compared here has any.
 */
#include "proxy/json_scan.h"

#include "base/utf8.h"
#include "proxy/run.h"

#include <string.h>

enum expect {
    EXPECT_VALUE,
    EXPECT_FIRST_VALUE,
    EXPECT_FIRST_KEY,
    EXPECT_KEY,
    EXPECT_COLON,
    EXPECT_AFTER,
    EXPECT_NOTHING
};
enum inside { INSIDE_NONE, INSIDE_STRING, INSIDE_NUMBER, INSIDE_WORD, INSIDE_BAD };
enum escape {
    ESCAPE_NONE,
    ESCAPE_UNIT = 4 /* down to 1: digits of \u that are to come */,
    ESCAPE_CHAR
};

static uint8_t take(struct view *in)
{
    uint8_t c = *in->p;
    *in = VIEW(in->p + 1, in->n - 1);
    return c;
}

static void keep_text(struct json_scan *j, const uint8_t *p, size_t n)
{
    size_t room = (size_t)(JSON_SCAN_TEXT - j->len);
    j->odd = j->odd || utf8_plain(p, n) < n;
    j->cut = j->cut || n > room;
    size_t fits = n < room ? n : room;
    memcpy(j->text + j->len, p, fits);
    j->len = (uint8_t)(j->len + fits);
}

static void begin(struct json_scan *j, enum inside what)
{
    j->inside = (uint8_t)what;
    j->len = 0;
    j->cut = j->odd = false;
}

static bool in_object(const struct json_scan *j)
{
    unsigned d = j->depth - 1U;
    return j->depth > 0 && (j->object[d / 64] >> (d % 64) & 1) != 0;
}

static bool takes_value(const struct json_scan *j)
{
    return j->expect == EXPECT_VALUE || j->expect == EXPECT_FIRST_VALUE;
}

static enum json_scan_token end_value(struct json_scan *j, enum json_scan_token t)
{
    j->inside = INSIDE_NONE;
    j->expect = j->depth ? EXPECT_AFTER : EXPECT_NOTHING;
    return t;
}

static enum json_scan_token open_at(struct json_scan *j, bool object)
{
    unsigned d = j->depth;
    uint64_t bit;
    if (!takes_value(j) || d == JSON_SCAN_DEPTH)
        return JSON_SCAN_BAD;
    bit = UINT64_C(1) << (d % 64);
    j->object[d / 64] = object ? j->object[d / 64] | bit : j->object[d / 64] & ~bit;
    j->depth++;
    j->expect = object ? EXPECT_FIRST_KEY : EXPECT_FIRST_VALUE;
    return object ? JSON_SCAN_OBJECT : JSON_SCAN_ARRAY;
}

static enum json_scan_token close_at(struct json_scan *j, bool object)
{
    enum expect empty = object ? EXPECT_FIRST_KEY : EXPECT_FIRST_VALUE;
    if (j->depth == 0 || in_object(j) != object ||
        (j->expect != EXPECT_AFTER && j->expect != empty))
        return JSON_SCAN_BAD;
    j->depth--;
    return end_value(j, JSON_SCAN_CLOSE);
}

static enum json_scan_token move_on(struct json_scan *j, enum expect from, enum expect to)
{
    if (j->expect != from)
        return JSON_SCAN_BAD;
    j->expect = (uint8_t)to;
    return JSON_SCAN_MORE;
}

static enum json_scan_token begin_string(struct json_scan *j)
{
    j->key = j->expect == EXPECT_KEY || j->expect == EXPECT_FIRST_KEY;
    if (!j->key && !takes_value(j))
        return JSON_SCAN_BAD;
    begin(j, INSIDE_STRING);
    j->store = j->quiet == 0 && (j->key || j->keep);
    return JSON_SCAN_MORE;
}

static bool starts_number(uint8_t c)
{
    return c == '-' || (c >= '0' && c <= '9');
}

/* Takes nothing: the first character belongs to the token. */
static enum json_scan_token begin_scalar(struct json_scan *j, uint8_t c)
{
    bool number = starts_number(c);
    if (!takes_value(j) || (!number && !(c >= 'a' && c <= 'z')))
        return JSON_SCAN_BAD;
    begin(j, number ? INSIDE_NUMBER : INSIDE_WORD);
    j->store = j->quiet == 0;
    return JSON_SCAN_MORE;
}

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static enum json_scan_token between(struct json_scan *j, struct view *in)
{
    uint8_t c = *in->p;
    if (c != '"' && c != ',' && c != ':' && c != '{' && c != '}' && c != '[' && c != ']' &&
        !is_space(c))
        return begin_scalar(j, c);
    (void)take(in);
    switch (c) {
    case '"':
        return begin_string(j);
    case ',':
        return move_on(j, EXPECT_AFTER, in_object(j) ? EXPECT_KEY : EXPECT_VALUE);
    case ':':
        return move_on(j, EXPECT_COLON, EXPECT_VALUE);
    case '{':
    case '[':
        return open_at(j, c == '{');
    case '}':
    case ']':
        return close_at(j, c == '}');
    default:
        while (in->n && is_space(*in->p))
            (void)take(in);
        return JSON_SCAN_MORE;
    }
}

static enum json_scan_token end_string(struct json_scan *j)
{
    if (!j->key)
        return end_value(j, JSON_SCAN_STRING);
    j->inside = INSIDE_NONE;
    j->expect = EXPECT_COLON;
    j->keep = false;
    return JSON_SCAN_KEY;
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One digit of a \u escape. One that stands for no ASCII character is kept as a byte that is none either, and so are all behind it:
 * such a text equals no name. */
static enum json_scan_token unit_digit(struct json_scan *j, uint8_t c)
{
    static const uint8_t other = 0x80;
    int v = hex_value(c);
    if (v < 0)
        return JSON_SCAN_BAD;
    bool high = j->escape > 2; /* the two upper digits */
    j->odd = j->odd || (high && v != 0);
    j->unit = (uint8_t)(high ? 0 : j->unit << 4 | v);
    if (--j->escape == ESCAPE_NONE && j->store)
        keep_text(j, j->odd ? &other : &j->unit, 1);
    return JSON_SCAN_MORE;
}

static enum json_scan_token in_escape(struct json_scan *j, uint8_t c)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (j->escape <= ESCAPE_UNIT)
        return unit_digit(j, c);
    j->escape = c == 'u' ? ESCAPE_UNIT : ESCAPE_NONE;
    if (c == 'u')
        return JSON_SCAN_MORE;
    const char *at = memchr(from, c, sizeof(from) - 1);
    if (!at)
        return JSON_SCAN_BAD;
    if (j->store)
        keep_text(j, (const uint8_t *)&to[at - from], 1);
    return JSON_SCAN_MORE;
}

static enum json_scan_token in_string(struct json_scan *j, struct view *in)
{
    if (j->escape != ESCAPE_NONE)
        return in_escape(j, take(in));
    size_t n = run_of_string(in->p, in->n);
    if (j->store)
        keep_text(j, in->p, n);
    *in = VIEW(in->p + n, in->n - n);
    if (in->n == 0)
        return JSON_SCAN_MORE;
    uint8_t c = take(in);
    if (c == '"')
        return end_string(j);
    if (c != '\\')
        return JSON_SCAN_BAD;
    j->escape = ESCAPE_CHAR;
    return JSON_SCAN_MORE;
}

static bool goes_on(const struct json_scan *j, uint8_t c)
{
    if (j->inside == INSIDE_WORD)
        return c >= 'a' && c <= 'z';
    return starts_number(c) || c == '.' || c == 'e' || c == 'E' || c == '+';
}

static bool is_word(struct view v)
{
    return view_is(v, "true") || view_is(v, "false") || view_is(v, "null");
}

/* A number or a word: ends before the first character that cannot be in it. */
static enum json_scan_token in_scalar(struct json_scan *j, struct view *in)
{
    size_t n = 0;
    while (n < in->n && goes_on(j, in->p[n]))
        n++;
    if (j->store || j->inside == INSIDE_WORD)
        keep_text(j, in->p, n);
    *in = VIEW(in->p + n, in->n - n);
    if (in->n == 0)
        return JSON_SCAN_MORE;
    if (j->inside == INSIDE_NUMBER)
        return end_value(j, JSON_SCAN_NUMBER);
    return is_word(json_scan_text(j)) ? end_value(j, JSON_SCAN_WORD) : JSON_SCAN_BAD;
}

static enum json_scan_token step(struct json_scan *j, struct view *in)
{
    switch (j->inside) {
    case INSIDE_NONE:
        return between(j, in);
    case INSIDE_STRING:
        return in_string(j, in);
    case INSIDE_BAD:
        return JSON_SCAN_BAD;
    default:
        return in_scalar(j, in);
    }
}

enum json_scan_token json_scan_next(struct json_scan *j, struct view *in)
{
    while (in->n) {
        enum json_scan_token t = step(j, in);
        if (t == JSON_SCAN_MORE || (t != JSON_SCAN_BAD && j->quiet && j->depth >= j->quiet))
            continue;
        if (t == JSON_SCAN_BAD)
            j->inside = INSIDE_BAD;
        j->quiet = 0;
        return t;
    }
    return JSON_SCAN_MORE;
}

void json_scan_skip(struct json_scan *j)
{
    j->quiet = j->depth;
}

struct view json_scan_text(const struct json_scan *j)
{
    return VIEW(j->text, j->len);
}

bool json_scan_whole(const struct json_scan *j)
{
    return !j->cut;
}

bool json_scan_plain(const struct json_scan *j)
{
    return !j->odd;
}

bool json_scan_done(const struct json_scan *j)
{
    return j->expect == EXPECT_NOTHING && j->inside == INSIDE_NONE;
}
