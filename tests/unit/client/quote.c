/* Writing one JSON string. */
#include "check.h"

#include <broker/client.h>

TEST(quotes_what_needs_it)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"", "\"\""},
        {"plain", "\"plain\""},
        {"a\"b\\c/", "\"a\\\"b\\\\c/\""},
        {"\b\f\n\r\t", "\"\\b\\f\\n\\r\\t\""},
        {"\x01\x1f\x7f", "\"\\u0001\\u001f\\u007f\""},
        {"\xc3\xa9\xf0\x9f\x98\x80", "\"\xc3\xa9\xf0\x9f\x98\x80\""},
    };
    char out[64];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        CHECK(broker_json_quote(rows[i].in, out, sizeof(out)));
        CHECK_STR(out, rows[i].out);
    }
}

TEST(what_it_wrote_reads_back)
{
    char in[128], json[1024], out[128];
    for (int i = 1; i < 127; i++)
        in[i - 1] = (char)i;
    in[126] = '\0';
    json[0] = '{', json[1] = '"', json[2] = 'a', json[3] = '"', json[4] = ':';
    CHECK(broker_json_quote(in, json + 5, sizeof(json) - 6));
    strcat(json, "}");
    CHECK(broker_json_str(json, strlen(json), "a", out, sizeof(out)));
    CHECK_STR(out, in);
}

TEST(room_is_kept_to_the_byte)
{
    char out[8];
    CHECK(broker_json_quote("abcde", out, 8));
    memset(out, '?', sizeof(out));
    CHECK(!broker_json_quote("abcde", out, 7));
    CHECK_STR(out, "");
    CHECK(!broker_json_quote("a\nb", out, 6));
    CHECK(broker_json_quote("a\nb", out, 7));
    CHECK(!broker_json_quote("", out, 2));
    CHECK(broker_json_quote("", out, 3));
    CHECK(!broker_json_quote("", out, 0));
}

TEST(bytes_that_are_no_utf8_are_refused_not_replaced)
{
    static const char *const bad[] = {"\xff", "a\xc3", "\xed\xa0\x80", "\xc0\x80",
                                      "\xf5\x80\x80\x80"};
    char out[32];
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK(!broker_json_quote(bad[i], out, sizeof(out)));
        CHECK_STR(out, "");
    }
}
