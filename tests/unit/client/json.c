/* The JSON reader: what it reads, what it refuses, and that no byte string makes it read past its
 * end. */
#include "check.h"

#include "client/json.h"

#include <broker/client.h>

static bool valid(const char *text)
{
    struct json_slice v;
    return json_value(text, strlen(text), &v);
}

static const char *read_str(const char *json, const char *path)
{
    static char out[64];
    return broker_json_str(json, strlen(json), path, out, sizeof(out)) ? out : NULL;
}

TEST(takes_every_kind_of_value)
{
    static const char *const good[] = {
        "null",
        "true",
        "false",
        "0",
        "-0",
        "12",
        "-1.5",
        "1e9",
        "1E-9",
        "0.0e+1",
        "\"\"",
        "\"a\"",
        "[]",
        "{}",
        " [ ] ",
        "[1,2]",
        "[[],{}]",
        "{\"a\":1,\"b\":[{\"c\":null}]}",
        "\t{\r\n\"a\" : \"\\u00e9\" }\n",
        "\"\xc3\xa9\"",
        "\"\\ud83d\\ude00\"",
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        CHECK(valid(good[i]) || !printf("    refused: %s\n", good[i]));
}

TEST(refuses_what_is_not_json)
{
    static const char *const bad[] = {
        "",
        " ",
        "nul",
        "nulll",
        "truefalse",
        "01",
        "+1",
        "1.",
        ".5",
        "1e",
        "--1",
        "0x1",
        "NaN",
        "\"",
        "\"a",
        "'a'",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u0000\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800\\u0041\"",
        "\"\n\"",
        "\"\x01\"",
        "\"\xff\"",
        "\"\xc0\xaf\"",
        "\"\xed\xa0\x80\"",
        "\"\xc3\"",
        "[",
        "]",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{",
        "}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{1:1}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":1]",
        "[1}",
        "[]]",
        "{} {}",
        "[1]x",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        CHECK(!valid(bad[i]) || !printf("    taken: %s\n", bad[i]));
    CHECK(!json_value(NULL, 0, &(struct json_slice){0}));
    CHECK(!json_value("1\0", 2, &(struct json_slice){0}));
}

TEST(nesting_has_an_end)
{
    char text[2 * (JSON_DEPTH + 1) + 1];
    for (int depth = JSON_DEPTH; depth <= JSON_DEPTH + 1; depth++) {
        memset(text, '[', (size_t)depth);
        memset(text + depth, ']', (size_t)depth);
        text[2 * depth] = '\0';
        CHECK_INT(valid(text), depth == JSON_DEPTH);
    }
}

TEST(finds_members_by_path)
{
    const char *json =
        "{\"a\":\"x\",\"b\":{\"a\":\"y\",\"n\":-7},\"n\":null,\"l\":[1],\"\\u0063\":\"z\"}";
    int64_t n = 1;
    CHECK_STR(read_str(json, "a"), "x");
    CHECK_STR(read_str(json, "b.a"), "y");
    CHECK_STR(read_str(json, "c"), "z"); /* an escaped key is the same key */
    CHECK(broker_json_int(json, strlen(json), "b.n", &n) && n == -7);
    CHECK(!read_str(json, "n"));
    CHECK(!read_str(json, "l"));
    CHECK(!read_str(json, "b"));
    CHECK(!read_str(json, "b.x"));
    CHECK(!read_str(json, "a.a"));
    CHECK(!read_str(json, ""));
    CHECK(!read_str(json, "."));
    CHECK(!read_str("[\"a\"]", "a"));
    CHECK(!read_str("{\"a\":\"x\"} x", "a")); /* the whole text has to be good */
}

TEST(a_key_that_comes_twice_is_no_answer)
{
    CHECK(!read_str("{\"a\":\"x\",\"a\":\"y\"}", "a"));
    CHECK(!read_str("{\"a\":\"x\",\"\\u0061\":\"y\"}", "a"));
    CHECK_STR(read_str("{\"a\":\"x\",\"b\":1,\"b\":2}", "a"), "x");
}

TEST(strings_fit_or_are_not_given)
{
    char out[4] = "???";
    const char *json = "{\"a\":\"abc\",\"b\":\"abcd\",\"c\":\"\xe2\x82\xac\",\"d\":"
                       "\"a\xe2\x82\xac\",\"e\":\"\\u20ac\"}";
    CHECK(broker_json_str(json, strlen(json), "a", out, sizeof(out)));
    CHECK_STR(out, "abc");
    CHECK(!broker_json_str(json, strlen(json), "b", out, sizeof(out)));
    CHECK_STR(out, "");
    CHECK(broker_json_str(json, strlen(json), "c", out, sizeof(out)));
    CHECK(!broker_json_str(json, strlen(json), "d", out, sizeof(out)));
    CHECK(broker_json_str(json, strlen(json), "e", out, sizeof(out)));
    CHECK_STR(out, "\xe2\x82\xac");
    CHECK(!broker_json_str(json, strlen(json), "a", out, 0));
}

TEST(escapes_are_undone)
{
    CHECK_STR(read_str("{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}", "a"), "\"\\/\b\f\n\r\t");
    CHECK_STR(read_str("{\"a\":\"\\u0041\\u00e9\\u20AC\\ud83d\\ude00\"}", "a"),
              "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
}

TEST(a_slice_is_room_enough_for_its_text)
{
    const char *text = "\"\\u0041bc\"";
    struct json_slice v;
    char out[16];
    size_t n = 0;
    CHECK(json_value(text, strlen(text), &v));
    CHECK(json_text(v, out, v.n, &n));
    CHECK_INT(n, 3);
    CHECK(json_value("\"\"", 2, &v) && json_text(v, out, v.n, &n));
    CHECK_INT(n, 0);
}

TEST(integers_only_and_in_range)
{
    static const struct {
        const char *text;
        bool good;
        int64_t n;
    } rows[] = {
        {"0", true, 0},
        {"-0", true, 0},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"99999999999999999999999", false, 0},
        {"1.0", false, 0},
        {"1e2", false, 0},
        {"\"1\"", false, 0},
        {"true", false, 0},
        {"null", false, 0},
        {"-", false, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t n = 42;
        CHECK_INT(json_int((struct json_slice){rows[i].text, strlen(rows[i].text)}, &n),
                  rows[i].good);
        CHECK_INT(n, rows[i].good ? rows[i].n : 42);
    }
}

TEST(walks_an_array)
{
    const char *text = " [ 1 , \"a,]\" , [2,3] , {} ] ";
    static const char *const want[] = {"1", "\"a,]\"", "[2,3]", "{}"};
    struct json_slice list, item;
    size_t at = 0, n = 0;
    CHECK(json_value(text, strlen(text), &list));
    for (; json_item(list, &at, &item); n++) {
        CHECK(n < 4 && item.n == strlen(want[n]));
        CHECK(memcmp(item.p, want[n], item.n) == 0);
    }
    CHECK_INT(n, 4);
    at = 0;
    CHECK(!json_item((struct json_slice){"[]", 2}, &at, &item));
    CHECK(!json_item((struct json_slice){"{}", 2}, &at, &item));
    CHECK(!json_item((struct json_slice){0}, &at, &item));
}

TEST(no_truncation_of_a_reply_is_valid)
{
    const char *json =
        "{\"id\":\"0123\",\"secret\":\"a\\u00e9\\\"\",\"n\":[1,-2.5e3,true],\"o\":{\"x\":null}}";
    size_t n = strlen(json);
    struct json_slice v;
    for (size_t cut = 0; cut < n; cut++) {
        char *exact = malloc(cut ? cut : 1); /* so that a read past the end is seen by ASan */
        memcpy(exact, json, cut);
        CHECK(!json_value(exact, cut, &v));
        free(exact);
    }
    CHECK(json_value(json, n, &v));
}
