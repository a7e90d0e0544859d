/*
 * The reader of request bodies. Every body of the API is one flat object, so this is a single pass
 * without a tree, without an allocation and without recursion; a general parser spent more than the
 * rest of a request together. Invariant: nothing is read outside [at, end), and what a value
 * becomes is never longer than its JSON, so it is written over the bytes already read (a list
 * item's two length bytes take the place of its two quotes). Sentences name members and positions,
 * never a value: a body may hold a secret.
 */
#include "api/body.h"
#include "base/auto.h"
#include "base/utf8.h"

#include <string.h>

struct text {
    uint8_t *at, *end, *start;
};

static MUST err_t expected(const struct text *t, const char *what, struct why *why)
{
    return fail(why, ERR_INVALID, "the body has no %s at byte %zu", what,
                (size_t)(t->at - t->start));
}

static void skip_space(struct text *t)
{
    while (t->at < t->end && (*t->at == ' ' || *t->at == '\t' || *t->at == '\n' || *t->at == '\r'))
        t->at++;
}

static bool take(struct text *t, char c)
{
    if (t->at == t->end || *t->at != (uint8_t)c)
        return false;
    t->at++;
    return true;
}

/* ---- strings */

static size_t utf8_put(uint32_t cp, uint8_t *out)
{
    if (cp < 0x80) {
        out[0] = (uint8_t)cp;
        return 1;
    }
    size_t len = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = len - 1; i > 0; i--, cp >>= 6)
        out[i] = (uint8_t)(0x80 | (cp & 0x3f));
    out[0] = (uint8_t)(lead[len] | cp);
    return len;
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits after "\u"; false when they are not there. */
static bool hex4(struct text *t, uint32_t *out)
{
    uint32_t v = 0;
    if (t->end - t->at < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        int d = hex_digit(t->at[i]);
        if (d < 0)
            return false;
        v = v << 4 | (uint32_t)d;
    }
    t->at += 4;
    *out = v;
    return true;
}

/* After "\u": one code point, a surrogate pair counting as one. NUL and half a pair are refused. */
static bool code_point(struct text *t, uint32_t *out)
{
    uint32_t hi, lo;
    if (!hex4(t, &hi) || hi == 0 || (hi >= 0xdc00 && hi <= 0xdfff))
        return false;
    if (hi < 0xd800 || hi > 0xdbff) {
        *out = hi;
        return true;
    }
    if (!take(t, '\\') || !take(t, 'u') || !hex4(t, &lo) || lo < 0xdc00 || lo > 0xdfff)
        return false;
    *out = 0x10000 + ((hi - 0xd800) << 10) + (lo - 0xdc00);
    return true;
}

/* After the backslash: writes what the escape stands for; the number of bytes, 0 when it is none.
 */
static size_t unescape(struct text *t, uint8_t *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (t->at == t->end)
        return 0;
    uint8_t c = *t->at++;
    const char *which = memchr(from, c, sizeof(from) - 1);
    uint32_t cp;
    if (which) {
        out[0] = (uint8_t)to[which - from];
        return 1;
    }
    return c == 'u' && code_point(t, &cp) ? utf8_put(cp, out) : 0;
}

/* Bytes from here on that stand for themselves; 0 at a quote, an escape, a control character or bad
 * UTF-8. */
static size_t plain_run(const struct text *t)
{
    const uint8_t *p = t->at;
    while (p < t->end && *p >= ' ' && *p != '"' && *p != '\\') {
        uint32_t cp;
        size_t n = *p < 0x80 ? 1 : utf8_next(p, (size_t)(t->end - p), &cp);
        if (n == 0)
            break;
        p += n;
    }
    return (size_t)(p - t->at);
}

/* A string from its opening quote on, written without escapes at `out` (at or before the text
 * itself). */
static MUST err_t read_string(struct text *t, uint8_t *out, struct view *v, struct why *why)
{
    uint8_t *w = out;
    if (!take(t, '"'))
        return expected(t, "string", why);
    while (t->at < t->end && *t->at != '"') {
        size_t n = plain_run(t);
        if (n > 0) {
            memmove(w, t->at, n);
            t->at += n;
        } else if (take(t, '\\')) {
            n = unescape(t, w);
        }
        if (n == 0)
            return expected(t, "valid character, escape or UTF-8", why);
        w += n;
    }
    if (!take(t, '"'))
        return expected(t, "closing quote", why);
    *v = VIEW(out, (size_t)(w - out));
    return ERR_OK;
}

/* ---- values */

static MUST err_t read_number(struct text *t, uint64_t *out, struct why *why)
{
    const uint8_t *first = t->at;
    uint64_t v = 0;
    for (; t->at < t->end && *t->at >= '0' && *t->at <= '9'; t->at++) {
        v = v * 10 + (uint64_t)(*t->at - '0');
        if (v > INT64_MAX || t->at - first > 18)
            return expected(t, "number that fits", why);
    }
    bool leading_zero = t->at - first > 1 && *first == '0';
    bool goes_on = t->at < t->end && memchr(".eE", *t->at, 3);
    if (t->at == first || leading_zero || goes_on)
        return expected(t, "whole number from 0", why);
    *out = v;
    return ERR_OK;
}

static MUST err_t read_bool(struct text *t, uint64_t *out, struct why *why)
{
    static const char *const word[] = {"false", "true"};
    for (unsigned i = 0; i < COUNT(word); i++) {
        size_t n = strlen(word[i]);
        if ((size_t)(t->end - t->at) >= n && memcmp(t->at, word[i], n) == 0) {
            t->at += n;
            *out = i;
            return ERR_OK;
        }
    }
    return expected(t, "true or false", why);
}

/* One item of an array, appended at *w in the form of its kind. */
static MUST err_t read_item(struct text *t, enum route_kind kind, bool first, uint8_t **w,
                            struct why *why)
{
    struct view v;
    if (kind == K_LIST) {
        TRY(read_string(t, *w + 2, &v, why));
        if (v.n > UINT16_MAX)
            return expected(t, "item of that length", why);
        (*w)[0] = (uint8_t)(v.n >> 8);
        (*w)[1] = (uint8_t)v.n;
        *w += 2 + v.n;
        return ERR_OK;
    }
    uint8_t *to = *w + (first ? 0 : 1);
    if (kind == K_NUMBERS) {
        const uint8_t *digits = t->at;
        uint64_t ignored;
        TRY(read_number(t, &ignored, why));
        v = VIEW(to, (size_t)(t->at - digits));
        memmove(to, digits, v.n);
    } else {
        TRY(read_string(t, to, &v, why));
        if (v.n == 0 || memchr(v.p, ',', v.n))
            return expected(t, "name in the array", why);
    }
    if (!first)
        **w = ',';
    *w = to + v.n;
    return ERR_OK;
}

static MUST err_t read_array(struct text *t, enum route_kind kind, struct view *out,
                             struct why *why)
{
    uint8_t *start = t->at, *w = start;
    if (!take(t, '['))
        return expected(t, "array", why);
    skip_space(t);
    for (bool first = true; !take(t, ']'); first = false) {
        if (!first && !take(t, ','))
            return expected(t, "comma or closing bracket", why);
        skip_space(t);
        TRY(read_item(t, kind, first, &w, why));
        skip_space(t);
    }
    *out = VIEW(start, (size_t)(w - start));
    return ERR_OK;
}

static MUST err_t read_value(struct text *t, const struct route_field *f, struct values *v,
                             size_t i, struct why *why)
{
    switch (f->kind) {
    case K_TEXT:
        TRY(read_string(t, t->at, &v->text[i], why));
        break;
    case K_NUMBER:
        TRY(read_number(t, &v->number[i], why));
        break;
    case K_BOOL:
        TRY(read_bool(t, &v->number[i], why));
        break;
    case K_NAMES:
    case K_NUMBERS:
    case K_LIST:
        TRY(read_array(t, f->kind, &v->text[i], why));
        break;
    }
    if (v->text[i].n > route_field_max(f))
        return fail(why, ERR_INVALID, "\"%s\" has more than %u bytes", f->name, route_field_max(f));
    v->given |= 1u << i;
    return ERR_OK;
}

/* ---- the object */

static MUST err_t find_member(const struct route *r, struct view key, const struct values *v,
                              size_t *out, struct why *why)
{
    for (size_t i = 0; i < r->n_fields; i++) {
        if (r->fields[i].from != IN_BODY || !view_is(key, r->fields[i].name))
            continue;
        if (values_has(v, i))
            return fail(why, ERR_INVALID, "\"%s\" is given twice", r->fields[i].name);
        *out = i;
        return ERR_OK;
    }
    return fail(why, ERR_INVALID, "there is no member \"%.*s\" here",
                (int)(key.n < 64 ? key.n : 64), (const char *)key.p);
}

static MUST err_t read_member(const struct route *r, struct text *t, struct values *v,
                              struct why *why)
{
    struct view key = {0};
    size_t i = 0;
    TRY(read_string(t, t->at, &key, why));
    TRY(find_member(r, key, v, &i, why));
    skip_space(t);
    if (!take(t, ':'))
        return expected(t, "colon", why);
    skip_space(t);
    err_t e = read_value(t, &r->fields[i], v, i, why);
    skip_space(t);
    return e;
}

err_t body_read(const struct route *r, uint8_t *body, size_t n, struct values *v, struct why *why)
{
    struct text t = {.at = body, .end = body + n, .start = body};
    if (n == 0)
        return ERR_OK;
    skip_space(&t);
    if (!take(&t, '{'))
        return expected(&t, "JSON object", why);
    skip_space(&t);
    for (bool first = true; !take(&t, '}'); first = false) {
        if (!first && !take(&t, ','))
            return expected(&t, "comma or closing brace", why);
        skip_space(&t);
        TRY(read_member(r, &t, v, why));
    }
    skip_space(&t);
    return t.at == t.end ? ERR_OK : expected(&t, "end of the object", why);
}

struct view values_text(const struct route *r, const struct values *v, const char *name)
{
    for (size_t i = 0; i < r->n_fields; i++)
        if (values_has(v, i) && strcmp(r->fields[i].name, name) == 0)
            return v->text[i];
    return (struct view){0};
}
