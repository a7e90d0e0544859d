#include "check.h"
#include "base/auto.h"
#include "base/json.h"

static err_t parse(const char *text, json_t **v, struct why *why)
{
    return json_parse(view_str(text), v, why);
}

static bool refused(const char *text, const char *because)
{
    AUTO(auto_json) json_t *v = NULL;
    struct why why = {0};
    bool is = parse(text, &v, &why) == ERR_INVALID && !v && strstr(why.text, because);
    if (!is)
        printf("    %s: \"%s\"\n", text, why.text);
    return is;
}

TEST(values_of_every_type_parse)
{
    static const char *const texts[] = {
        "{}",    "[]",   "\"x\"", "1",    "-0",
        "1.5e3", "true", "false", "null", " {\"a\": [1, {\"b\": \"\\u00e4\"}]} \n"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        AUTO(auto_json) json_t *v = NULL;
        struct why why = {0};
        CHECK_OK(parse(texts[i], &v, &why), why);
        CHECK(v != NULL);
    }
}

TEST(duplicate_keys_are_refused_at_any_depth)
{
    CHECK(refused("{\"a\":1,\"a\":2}", "twice"));
    CHECK(refused("[{\"x\":{\"a\":1,\"b\":2,\"a\":1}}]", "twice"));
    CHECK(refused("{\"a\":1,\"\\u0061\":2}", "twice"));
}

TEST(trailing_bytes_are_refused)
{
    CHECK(refused("{} x", "after"));
    CHECK(refused("{}{}", "after"));
    CHECK(refused("1 2", "after"));
    CHECK(refused("[1]]", "after"));
    AUTO(auto_json) json_t *v = NULL;
    CHECK(json_parse(VIEW("{}\0", 3), &v, NULL) == ERR_INVALID);
}

TEST(syntax_errors_say_where)
{
    CHECK(refused("", "nothing"));
    CHECK(refused("{\n  \"a\": 1,\n  oops\n}", "line 3"));
    CHECK(refused("{\"a\":", "too early"));
    CHECK(refused("[1,]", "line 1, column 4"));
    CHECK(refused("\"\\u0000\"", "\\u0000"));
    CHECK(refused("{\"\\u0000\":1}", "\\u0000"));
    CHECK(refused("\"\xff\"", "UTF-8"));
    CHECK(refused("99999999999999999999999", "range"));
    CHECK(refused("1e999", "range"));
    CHECK(refused("\"a\nb\"", "line 1"));
    CHECK(refused("NaN", "line 1"));
    CHECK(refused("'x'", "line 1"));
    CHECK(refused("01", "line 1"));
    CHECK(refused("{\"a\":1,}", "line 1"));
    CHECK(refused("// c\n{}", "line 1"));
}

TEST(errors_never_quote_the_text)
{
    static const char *const texts[] = {"{\"token\": sk-ant-secretsecret}",
                                        "{\"k\":\"v\"} sk-ant-secretsecret",
                                        "{\"sk-ant-secretsecret\":1,\"sk-ant-secretsecret\":2}",
                                        "sk-ant-secretsecret", "{\"k\":\"sk-ant-secretsecret"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        AUTO(auto_json) json_t *v = NULL;
        struct why why = {0};
        CHECK_INT(parse(texts[i], &v, &why), ERR_INVALID);
        CHECK(!strstr(why.text, "secret"));
    }
}

/* `n` times `open`, then 1, then `n` times `close` */
static err_t parse_nested(size_t n, const char *open, char close, struct why *why)
{
    AUTO(buf_free) struct buf b = {0};
    AUTO(auto_json) json_t *v = NULL;
    for (size_t i = 0; i < n; i++)
        buf_add_str(&b, open);
    buf_put_u8(&b, '1');
    for (size_t i = 0; i < n; i++)
        buf_put_u8(&b, (uint8_t)close);
    return json_parse(buf_view(&b), &v, why);
}

TEST(depth_is_capped)
{
    struct why why = {0};
    CHECK_OK(parse_nested(JSON_MAX_DEPTH, "[", ']', &why), why);
    CHECK_OK(parse_nested(JSON_MAX_DEPTH, "{\"a\":", '}', &why), why);
    CHECK_INT(parse_nested(JSON_MAX_DEPTH + 1, "[", ']', &why), ERR_INVALID);
    CHECK(strstr(why.text, "deep"));
    CHECK_INT(parse_nested(JSON_MAX_DEPTH + 1, "{\"a\":", '}', &why), ERR_INVALID);
    CHECK_INT(parse_nested(100000, "[", ']', &why), ERR_INVALID);
    CHECK(strstr(why.text, "deep"));
}

TEST(brackets_in_strings_are_no_depth)
{
#define MANY "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
    struct why why = {0};
    AUTO(auto_json) json_t *plain = NULL, *quote = NULL, *slash = NULL;
    CHECK_OK(parse("[\"" MANY "\"]", &plain, &why), why);
    /* an escaped quote does not end the string; a quote after an escaped backslash does */
    CHECK_OK(parse("[\"\\\"" MANY "\"]", &quote, &why), why);
    CHECK_OK(parse("[\"\\\\\",\"" MANY "\"]", &slash, &why), why);
    CHECK(refused("[\"\\\\\"," MANY, "deep"));
    CHECK(refused("[\"\\\"\"," MANY, "deep"));
}

TEST(size_is_capped)
{
    AUTO(buf_free) struct buf b = {.max = JSON_MAX_BYTES + 16};
    AUTO(auto_json) json_t *v = NULL, *w = NULL;
    struct why why = {0};
    CHECK(buf_reserve(&b, JSON_MAX_BYTES + 1));
    buf_put_u8(&b, '1');
    memset(b.p + 1, ' ', JSON_MAX_BYTES);
    b.len = JSON_MAX_BYTES;
    CHECK_OK(json_parse(buf_view(&b), &v, &why), why);
    b.len = JSON_MAX_BYTES + 1;
    CHECK_INT(json_parse(buf_view(&b), &w, &why), ERR_TOO_LARGE);
}

TEST(strings_are_read_strictly)
{
    AUTO(auto_json) json_t *v = NULL;
    struct why why = {0};
    struct view out = VIEW("before", 6);
    CHECK_OK(parse("{\"s\":\"abc\",\"e\":\"\",\"n\":null,\"i\":5,\"o\":{}}", &v, &why), why);
    CHECK_OK(json_get_str(v, "s", 3, true, &out, &why), why);
    CHECK(view_is(out, "abc"));
    CHECK_INT(json_get_str(v, "s", 2, true, &out, &why), ERR_INVALID);
    CHECK(view_is(out, "abc")); /* untouched on failure */
    CHECK_INT(json_get_str(v, "i", 9, false, &out, &why), ERR_INVALID);
    CHECK(strstr(why.text, "an integer, not a string"));
    CHECK_INT(json_get_str(v, "o", 9, false, &out, &why), ERR_INVALID);
    CHECK_INT(json_get_str(v, "none", 9, true, &out, &why), ERR_INVALID);
    CHECK_INT(json_get_str(v, "n", 9, true, &out, &why), ERR_INVALID);
    CHECK_OK(json_get_str(v, "n", 9, false, &out, &why), why);
    CHECK_INT(out.n, 0);
    CHECK_OK(json_get_str(v, "e", 0, true, &out, &why), why);
    CHECK_INT(out.n, 0);
    CHECK_OK(json_get_str(NULL, "s", 9, false, &out, &why), why);
}

TEST(integers_are_read_strictly)
{
    AUTO(auto_json) json_t *v = NULL;
    struct why why = {0};
    int64_t n = 7;
    CHECK_OK(parse("{\"i\":5,\"r\":5.0,\"s\":\"5\",\"n\":null,\"b\":true}", &v, &why), why);
    CHECK_OK(json_get_int(v, "none", 0, 9, &n, &why), why);
    CHECK_OK(json_get_int(v, "n", 0, 9, &n, &why), why);
    CHECK_INT(n, 7);
    CHECK_INT(json_get_int(v, "r", 0, 9, &n, &why), ERR_INVALID);
    CHECK_INT(json_get_int(v, "s", 0, 9, &n, &why), ERR_INVALID);
    CHECK_INT(json_get_int(v, "b", 0, 9, &n, &why), ERR_INVALID);
    CHECK_INT(json_get_int(v, "i", 6, 9, &n, &why), ERR_INVALID);
    CHECK_INT(json_get_int(v, "i", 0, 4, &n, &why), ERR_INVALID);
    CHECK(strstr(why.text, "between 0 and 4"));
    CHECK_INT(n, 7);
    CHECK_OK(json_get_int(v, "i", 5, 5, &n, &why), why);
    CHECK_INT(n, 5);
}

TEST(unknown_members_are_named)
{
    static const char *const known[] = {"a", "b", NULL};
    AUTO(auto_json) json_t *v = NULL, *w = NULL, *list = NULL;
    struct why why = {0};
    CHECK_OK(parse("{\"a\":1,\"b\":2}", &v, &why), why);
    CHECK_OK(json_only_keys(v, known, &why), why);
    CHECK_OK(parse("{\"a\":1,\"c\":2}", &w, &why), why);
    CHECK_INT(json_only_keys(w, known, &why), ERR_INVALID);
    CHECK(strstr(why.text, "\"c\""));
    CHECK_OK(parse("[]", &list, &why), why);
    CHECK_INT(json_only_keys(list, known, &why), ERR_INVALID);
    CHECK(strstr(why.text, "a list"));
    CHECK_INT(json_only_keys(NULL, known, &why), ERR_INVALID);
}

#if !defined(__SANITIZE_ADDRESS__)
/* Looks at a block after it was freed, past the allocator's own words: no other way to see a wipe.
 */
static bool wiped(volatile uint8_t *p, size_t n)
{
    for (size_t i = 64; i < n; i++)
        if (p[i])
            return false;
    return true;
}
#endif

TEST(freed_memory_is_wiped)
{
#if defined(__SANITIZE_ADDRESS__)
    SKIP("the address sanitizer forbids looking at freed memory");
#else
    json_wiping_allocators();
    json_malloc_t get;
    json_free_t put;
    json_get_alloc_funcs(&get, &put);
    uint8_t *block = get(512);
    CHECK(block != NULL && (uintptr_t)block % _Alignof(max_align_t) == 0);
    memset(block, 0xa5, 512);
    volatile uint8_t *after = block;
    put(block);
    CHECK(wiped(after, 512));
    put(NULL);
    CHECK(get(SIZE_MAX) == NULL);
    json_set_alloc_funcs(malloc, free);
#endif
}

TEST(parsing_works_with_wiping_allocators)
{
    json_wiping_allocators();
    {
        AUTO(auto_json) json_t *v = NULL;
        struct why why = {0};
        CHECK_OK(parse("{\"a\":[1,2,{\"b\":\"a string of some length to be moved\"}]}", &v, &why),
                 why);
        CHECK_INT(json_object_size(v), 1);
    }
    json_set_alloc_funcs(malloc, free);
}
