/* cli/json_edit.c: one member changes, every other byte stays. */
#include "cli/json_edit.h"

#include "base/auto.h"
#include "check.h"

static struct why why;

static const char *set(const char *text, const char *object, const char *key, const char *raw)
{
    static char out[512];
    AUTO(buf_free) struct buf b = {.max = 400};
    buf_add_str(&b, text);
    err_t e = json_edit_set(&b, object, key, view_str(raw), &why);
    (void)snprintf(out, sizeof(out), "%s", e == ERR_OK ? buf_text(&b) : err_wire(e));
    return out;
}

TEST(a_value_is_replaced_in_its_place)
{
    CHECK_STR(set("{ \"a\" : 1.50 ,\n\"b\":\"x\" }\n", NULL, "b", "null"), "{ \"a\" : 1.50 ,\n\"b\":null }\n");
    CHECK_STR(set("{\"o\":{\"a\":1,\"b\":[1, 2]},\"a\":3}", "o", "b", "{}"), "{\"o\":{\"a\":1,\"b\":{}},\"a\":3}");
    CHECK_STR(set("{\"o\":{\"a\":\"\\u00e9\\/\"},\"a\":3}", NULL, "a", "\"z\""), "{\"o\":{\"a\":\"\\u00e9\\/\"},\"a\":\"z\"}");
}

TEST(what_is_missing_is_made)
{
    CHECK_STR(set("", NULL, "a", "1"), "{\"a\":1}");
    CHECK_STR(set("{}", NULL, "a", "1"), "{\"a\":1}");
    CHECK_STR(set("{ \n}", NULL, "a", "1"), "{\"a\":1 \n}");
    CHECK_STR(set("{\"b\":2}", NULL, "a", "1"), "{\"a\":1,\"b\":2}");
    CHECK_STR(set("", "o", "a", "1"), "{\"o\":{\"a\":1}}");
    CHECK_STR(set("{\"o\":null}", "o", "a", "1"), "{\"o\":{\"a\":1}}");
    CHECK_STR(set("{\"o\":{}}", "o", "a", "1"), "{\"o\":{\"a\":1}}");
}

TEST(what_is_no_object_is_left_alone)
{
    static const char *const bad[] = {"[]", "1", "\"x\"", "{", "{}}", "x", "{\"a\":1,}"};
    for (size_t i = 0; i < COUNT(bad); i++)
        CHECK_STR(set(bad[i], NULL, "a", "1"), "invalid");
    CHECK_STR(set("{\"o\":[1]}", "o", "a", "1"), "invalid");
    CHECK_STR(set("{\"o\":7}", "o", "a", "1"), "invalid");
    CHECK_STR(set("{\"a\":1,\"a\":2}", NULL, "a", "3"), "invalid");
    CHECK_STR(set("{\"o\":{},\"o\":{\"a\":1}}", "o", "a", "3"), "invalid");
}

TEST(a_text_does_not_grow_over_its_room)
{
    char raw[500];
    memset(raw, '1', sizeof(raw) - 1);
    raw[sizeof(raw) - 1] = '\0';
    CHECK_STR(set("{}", NULL, "a", raw), "too_large");
}

TEST(finding)
{
    struct view v;
    CHECK(json_edit_find(view_str("{\"o\":{\"a\": 12 }}"), "o", "a", &v) && view_is(v, "12"));
    CHECK(json_edit_find(view_str("{\"a\":\"x\"}"), NULL, "a", &v) && view_is(v, "\"x\""));
    CHECK(!json_edit_find(view_str("{\"o\":{\"a\":12}}"), NULL, "a", &v));
    CHECK(!json_edit_find(view_str("{\"o\":[]}"), "o", "a", &v));
    CHECK(!json_edit_find(view_str("{\"a\":1,\"a\":2}"), NULL, "a", &v)); /* two: which one? */
    CHECK(!json_edit_find(view_str(""), NULL, "a", &v));
}
