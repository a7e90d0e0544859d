/* The body reader: what it takes, what each value becomes, and that everything else is refused. */
#include "api/body.h"
#include "base/auto.h"
#include "check.h"

static const struct route_field fields[] = {
    {"credential", F_CREDENTIAL, IN_BODY, K_TEXT, true, 0, 0},
    {"deliver", F_DELIVER, IN_BODY, K_NAMES, false, 0, 0},
    {"ttl_ms", F_TTL_MS, IN_BODY, K_NUMBER, false, 0, 0},
    {"token", F_TOKEN, IN_BODY, K_TEXT, false, 0, 0},
    {"after", F_AFTER, IN_QUERY, K_TEXT, false, 0, 0},
    {"all", F_FLAGS, IN_BODY, K_BOOL, false, 0, 0},
    {"uids", F_UIDS, IN_BODY, K_NUMBERS, false, 0, 0},
    {"allow", F_ALLOW, IN_BODY, K_LIST, false, 0, 0},
};
static const struct route row = {FROM_API, "POST",        "/x", MSG_LEASE_ISSUE, 4096,
                                 fields,   COUNT(fields), 0,    REPLY_JSON};

static uint8_t text[8192];
static struct values v;
static struct why why;

/* From an exact-size block, so that a sanitizer sees a read past the end. */
static err_t read_n(const void *json, size_t n)
{
    uint8_t *exact = malloc(n ? n : 1);
    memcpy(exact, json, n);
    v = (struct values){0};
    why = (struct why){0};
    err_t e = body_read(&row, exact, n, &v, &why);
    memcpy(text, exact, n);
    for (size_t i = 0; i < ROUTE_MAX_FIELDS; i++)
        if (v.text[i].n)
            v.text[i].p = text + (v.text[i].p - exact);
    free(exact);
    return e;
}

static err_t reads(const char *json)
{
    return read_n(json, strlen(json));
}

static bool is(const char *name, const char *value)
{
    return view_is(values_text(&row, &v, name), value);
}

TEST(every_kind_is_read)
{
    CHECK_OK(
        reads(" { \"ttl_ms\" : 900000 ,\"credential\":\"claude\",\t\"all\":true,\r\n\"uids\":[0, "
              "1000 ,7],"
              "\"deliver\":[\"proxy\",\"file\"],\"allow\":[ \"POST /v1/messages\",\"GET /\"]} \n"),
        why);
    CHECK(is("credential", "claude"));
    CHECK(is("deliver", "proxy,file"));
    CHECK(is("uids", "0,1000,7"));
    CHECK_INT(v.number[2], 900000);
    CHECK_INT(v.number[5], 1);
    struct cursor c = cursor_of(values_text(&row, &v, "allow"));
    struct view item;
    CHECK(msg_list_next(&c, &item) && view_is(item, "POST /v1/messages"));
    CHECK(msg_list_next(&c, &item) && view_is(item, "GET /"));
    CHECK(!msg_list_next(&c, &item) && !c.bad);
    CHECK_INT(v.given, 0xef & ~(1u << 3));
}

TEST(empty_bodies_and_empty_values)
{
    CHECK_OK(reads(""), why);
    CHECK_INT(v.given, 0);
    CHECK_OK(reads("{}"), why);
    CHECK_OK(reads("  { }  "), why);
    CHECK_OK(reads("{\"credential\":\"\",\"deliver\":[],\"uids\":[ ],\"allow\":[]}"), why);
    CHECK_INT(v.given, 0xc3);
    CHECK_INT(v.text[0].n + v.text[1].n + v.text[6].n + v.text[7].n, 0);
    CHECK_OK(reads("{\"all\":false,\"ttl_ms\":0}"), why);
    CHECK_INT(v.number[5], 0);
}

TEST(escapes_are_undone)
{
    CHECK_OK(
        reads(
            "{\"credential\":\"a\\\"\\\\\\/\\b\\f\\n\\r\\tz\\u0041\\u00e9\\u20ac\\ud83d\\ude00\"}"),
        why);
    CHECK(is("credential", "a\"\\/\b\f\n\r\tzA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"));
    CHECK_OK(reads("{\"\\u0063redenti\\u0061l\":\"x\"}"), why);
    CHECK(is("credential", "x"));
    CHECK_OK(reads("{\"allow\":[\"\\u0041\\n\",\"\\\"\"]}"), why);
    CHECK_INT(v.text[7].n, 2 + 2 + 2 + 1);
    CHECK_OK(reads("{\"deliver\":[\"\\u0061\",\"b\\u0063\"]}"), why);
    CHECK(is("deliver", "a,bc"));
}

TEST(raw_utf8_is_taken)
{
    CHECK_OK(reads("{\"token\":\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\x7f\"}"), why);
    CHECK(is("token", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\x7f"));
}

static const char *const refused[] = {
    "[]",
    "null",
    "1",
    "\"x\"",
    "{",
    "}",
    "{}}",
    "{}{}",
    "{} x",
    "x{}",
    "{,}",
    "{\"credential\"}",
    "{\"credential\":}",
    "{\"credential\":\"a\",}",
    "{\"credential\":\"a\"\"token\":\"b\"}",
    "{\"credential\" \"a\"}",
    "{credential:\"a\"}",
    "{'credential':'a'}",
    "{\"credential\":'a'}",
    "{\"credential\":a}",
    "{\"credential\":null}",
    "{\"credential\":1}",
    "{\"credential\":true}",
    "{\"credential\":[\"a\"]}",
    "{\"credential\":{}}",
    "{\"credential\":{\"a\":1}}",
    "{\"credential\":\"a}",
    "{\"credential\":\"a\\\"}",
    "{\"credential\":\"\\x41\"}",
    "{\"credential\":\"\\u12\"}",
    "{\"credential\":\"\\u12g4\"}",
    "{\"credential\":\"\\u0000\"}",
    "{\"credential\":\"\\ud800\"}",
    "{\"credential\":\"\\ud800\\u0041\"}",
    "{\"credential\":\"\\udc00\"}",
    "{\"credential\":\"\\ud800\\ud800\"}",
    "{\"credential\":\"\x01\"}",
    "{\"credential\":\"\n\"}",
    "{\"credential\":\"\x80\"}",
    "{\"credential\":\"\xc0\x80\"}",
    "{\"credential\":\"\xed\xa0\x80\"}",
    "{\"credential\":\"\xf4\x90\x80\x80\"}",
    "{\"credential\":\"\xe2\x82\"}",
    "\xef\xbb\xbf{}",
    /* numbers */
    "{\"ttl_ms\":\"1\"}",
    "{\"ttl_ms\":-1}",
    "{\"ttl_ms\":-0}",
    "{\"ttl_ms\":01}",
    "{\"ttl_ms\":1.0}",
    "{\"ttl_ms\":1e3}",
    "{\"ttl_ms\":1E3}",
    "{\"ttl_ms\":+1}",
    "{\"ttl_ms\":0x1}",
    "{\"ttl_ms\":}",
    "{\"ttl_ms\":9223372036854775808}",
    "{\"ttl_ms\":18446744073709551616}",
    "{\"ttl_ms\":99999999999999999999999999}",
    "{\"ttl_ms\":true}",
    "{\"ttl_ms\":[1]}",
    /* booleans */
    "{\"all\":1}",
    "{\"all\":\"true\"}",
    "{\"all\":tru}",
    "{\"all\":True}",
    "{\"all\":truex}",
    /* arrays */
    "{\"deliver\":\"proxy\"}",
    "{\"deliver\":[\"a\",]}",
    "{\"deliver\":[,]}",
    "{\"deliver\":[\"a\" \"b\"]}",
    "{\"deliver\":[\"a,b\"]}",
    "{\"deliver\":[\"\"]}",
    "{\"deliver\":[1]}",
    "{\"deliver\":[[\"a\"]]}",
    "{\"deliver\":[{}]}",
    "{\"deliver\":[\"a\"}",
    "{\"deliver\":[\"a\"",
    "{\"uids\":[\"0\"]}",
    "{\"uids\":[-1]}",
    "{\"uids\":[1.5]}",
    "{\"uids\":[0,]}",
    "{\"uids\":0}",
    "{\"allow\":[1]}",
    "{\"allow\":[null]}",
    "{\"allow\":[[]]}",
    /* members */
    "{\"x\":1}",
    "{\"Credential\":\"a\"}",
    "{\"after\":\"a\"}",
    "{\"\":1}",
    "{\"credential\":\"a\",\"credential\":\"b\"}",
    "{\"credential\":\"a\",\"\\u0063redential\":\"b\"}",
    "{\"ttl_ms\":1,\"ttl_ms\":1}",
    "{\"deliver\":[],\"deliver\":[]}",
};

TEST(everything_else_is_refused_and_said)
{
    for (size_t i = 0; i < COUNT(refused); i++) {
        err_t e = reads(refused[i]);
        if (e != ERR_INVALID)
            printf("    taken: %s\n", refused[i]);
        CHECK_INT(e, ERR_INVALID);
        CHECK(why.text[0] != '\0');
    }
}

TEST(sentences_hold_no_value)
{
    CHECK_INT(reads("{\"token\":\"s3cr3t-value\",\"ttl_ms\":\"s3cr3t\"}"), ERR_INVALID);
    CHECK(!strstr(why.text, "s3cr3t"));
    CHECK_INT(reads("{\"token\":\"s3cr3t-value\\q\"}"), ERR_INVALID);
    CHECK(!strstr(why.text, "s3cr3t"));
}

TEST(every_truncation_is_refused)
{
    static const char whole[] = "{\"credential\":\"a\\u00e9\xc3\xa9\",\"ttl_ms\":10,\"all\":true,"
                                "\"uids\":[1,2],\"allow\":[\"x\"]}";
    for (size_t n = 1; n < sizeof(whole) - 1; n++)
        CHECK_INT(read_n(whole, n), ERR_INVALID);
    CHECK_INT(read_n(whole, sizeof(whole) - 1), ERR_OK);
}

TEST(lengths_end_where_the_field_does)
{
    char json[4096], value[3000];
    memset(value, 'a', sizeof(value));
    snprintf(json, sizeof(json), "{\"credential\":\"%.64s\"}", value);
    CHECK_OK(reads(json), why);
    snprintf(json, sizeof(json), "{\"credential\":\"%.65s\"}", value);
    CHECK_INT(reads(json), ERR_INVALID);
    snprintf(json, sizeof(json), "{\"token\":\"%.2048s\"}", value);
    CHECK_OK(reads(json), why);
    snprintf(json, sizeof(json), "{\"token\":\"%.2049s\"}", value);
    CHECK_INT(reads(json), ERR_INVALID);
    CHECK_OK(reads("{\"ttl_ms\":9223372036854775807}"), why);
    CHECK_INT((int64_t)v.number[2], INT64_MAX);
}

TEST(deep_nesting_costs_nothing)
{
    static char deep[100000];
    memset(deep, '[', sizeof(deep));
    memcpy(deep, "{\"deliver\":", 11);
    v = (struct values){0};
    CHECK_INT(body_read(&row, (uint8_t *)deep, sizeof(deep), &v, &why), ERR_INVALID);
}
