/*
 * Strict JSON over jansson. What jansson would accept and we do not is refused before or around it:
 * size and depth by one linear scan that needs no stack, duplicate keys and trailing bytes by its
 * flags. Its own error texts quote the input ("unexpected token near 'sk-…'"), so only its code and
 * position are used. Memory: jansson's blocks carry their length in front, so that free can wipe
 * all of them.
 */
#include "base/json.h"

#include <broker/secret.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct block {
    size_t n;
    _Alignas(max_align_t) uint8_t bytes[];
};

static void *wiping_malloc(size_t n)
{
    if (n > SIZE_MAX - sizeof(struct block))
        return NULL;
    struct block *b = malloc(sizeof *b + n);
    if (!b)
        return NULL;
    b->n = n;
    return b->bytes;
}

static void wiping_free(void *p)
{
    if (!p)
        return;
    struct block *b = (struct block *)(void *)((uint8_t *)p - offsetof(struct block, bytes));
    wipe(b->bytes, b->n);
    free(b);
}

void json_wiping_allocators(void)
{
    json_set_alloc_funcs(wiping_malloc, wiping_free);
    json_object_seed(0); /* reads /dev/urandom now: later a sandbox may not let it */
}

static unsigned line_of(const uint8_t *from, const uint8_t *at)
{
    unsigned line = 1;
    for (; from < at; from++)
        line += *from == '\n';
    return line;
}

/* Where nesting first goes over the cap; NULL when it never does. Brackets that do not match are
 * jansson's to find. */
static const uint8_t *too_deep(struct view t)
{
    unsigned depth = 0;
    bool in_string = false;
    for (const uint8_t *p = t.p, *end = t.p + t.n; p < end; p++) {
        if (*p == '"')
            in_string = !in_string;
        else if (in_string)
            p += *p == '\\'; /* the escaped byte opens and closes nothing */
        else if (*p == '{' || *p == '[')
            depth++;
        else if ((*p == '}' || *p == ']') && depth)
            depth--;
        if (depth > JSON_MAX_DEPTH)
            return p;
    }
    return NULL;
}

static const char *const syntax[] = {
    [json_error_invalid_utf8] = "the text is not UTF-8",
    [json_error_premature_end_of_input] = "the text ends too early",
    [json_error_end_of_input_expected] = "there are bytes after the value",
    [json_error_null_character] = "a string holds \\u0000",
    [json_error_null_byte_in_key] = "a key holds \\u0000",
    [json_error_duplicate_key] = "a key occurs twice",
    [json_error_numeric_overflow] = "a number is out of range",
};

static err_t syntax_error(const json_error_t *e, struct why *why)
{
    enum json_error_code code = json_error_code(e);
    if (code == json_error_out_of_memory)
        return fail(why, ERR_INTERNAL, "out of memory in JSON");
    const char *what = (size_t)code < sizeof syntax / sizeof *syntax ? syntax[code] : NULL;
    return fail(why, ERR_INVALID, "not valid JSON at line %d, column %d: %s", e->line, e->column,
                what ? what : "a value, a key or a separator was expected here");
}

err_t json_parse(struct view text, json_t **out, struct why *why)
{
    if (text.n == 0)
        return fail(why, ERR_INVALID, "not valid JSON: there is nothing");
    if (text.n > JSON_MAX_BYTES)
        return fail(why, ERR_TOO_LARGE, "%zu bytes of JSON are over the limit of %d", text.n,
                    JSON_MAX_BYTES);
    const uint8_t *deep = too_deep(text);
    if (deep)
        return fail(why, ERR_INVALID, "JSON at line %u is nested over %d deep",
                    line_of(text.p, deep), JSON_MAX_DEPTH);
    json_error_t e = {0};
    json_t *v =
        json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &e);
    if (!v)
        return syntax_error(&e, why);
    *out = v;
    return ERR_OK;
}

const char *json_kind(const json_t *v)
{
    static const char *const kinds[] = {
        [JSON_OBJECT] = "an object",   [JSON_ARRAY] = "a list",    [JSON_STRING] = "a string",
        [JSON_INTEGER] = "an integer", [JSON_REAL] = "a fraction", [JSON_TRUE] = "true",
        [JSON_FALSE] = "false",        [JSON_NULL] = "null",
    };
    return v ? kinds[json_typeof(v)] : "nothing";
}

err_t json_get_str(const json_t *obj, const char *key, size_t max, bool required, struct view *out,
                   struct why *why)
{
    const json_t *v = json_object_get(obj, key);
    if (!v || json_is_null(v)) {
        if (required)
            return fail(why, ERR_INVALID, "\"%s\" is %s", key, v ? "null" : "missing");
        *out = (struct view){0};
        return ERR_OK;
    }
    if (!json_is_string(v))
        return fail(why, ERR_INVALID, "\"%s\" is %s, not a string", key, json_kind(v));
    struct view s = VIEW(json_string_value(v), json_string_length(v));
    if (s.n > max)
        return fail(why, ERR_INVALID, "\"%s\" has %zu bytes, over its limit of %zu", key, s.n, max);
    if (memchr(s.p, 0, s.n))
        return fail(why, ERR_INVALID, "\"%s\" holds a NUL", key);
    *out = s;
    return ERR_OK;
}

err_t json_get_int(const json_t *obj, const char *key, int64_t min, int64_t max, int64_t *out,
                   struct why *why)
{
    const json_t *v = json_object_get(obj, key);
    if (!v || json_is_null(v))
        return ERR_OK;
    if (!json_is_integer(v))
        return fail(why, ERR_INVALID, "\"%s\" is %s, not an integer", key, json_kind(v));
    int64_t n = json_integer_value(v);
    if (n < min || n > max)
        return fail(why, ERR_INVALID, "\"%s\" is not between %" PRId64 " and %" PRId64, key, min,
                    max);
    *out = n;
    return ERR_OK;
}

static bool is_known(const char *key, const char *const known[])
{
    for (; *known; known++)
        if (strcmp(key, *known) == 0)
            return true;
    return false;
}

err_t json_only_keys(const json_t *obj, const char *const known[], struct why *why)
{
    if (!json_is_object(obj))
        return fail(why, ERR_INVALID, "expected an object, found %s", json_kind(obj));
    json_t *o = (json_t *)(uintptr_t)obj; /* jansson's iterators want it so; nothing is changed */
    for (void *at = json_object_iter(o); at; at = json_object_iter_next(o, at))
        if (!is_known(json_object_iter_key(at), known))
            return fail(why, ERR_INVALID, "unknown member \"%.64s\"", json_object_iter_key(at));
    return ERR_OK;
}
