#include "base/jsonw.h"

#include "check.h"

static const char *written(struct buf *b)
{
    return buf_text(b);
}

TEST(objects_and_arrays_get_their_commas)
{
    struct buf b = {0};
    struct jsonw w = jsonw_to(&b);
    jsonw_open(&w, NULL, '{');
    jsonw_str(&w, "a", "x");
    jsonw_open(&w, "list", '[');
    jsonw_int(&w, NULL, 1);
    jsonw_int(&w, NULL, -2);
    jsonw_open(&w, NULL, '{');
    jsonw_close(&w, '}');
    jsonw_close(&w, ']');
    jsonw_bool(&w, "t", true);
    jsonw_null(&w, "n");
    jsonw_str(&w, "none", NULL);
    jsonw_hex(&w, "h", "\x01\xff", 2);
    jsonw_raw(&w, "r", view_str("[1]"));
    jsonw_close(&w, '}');
    CHECK_STR(written(&b), "{\"a\":\"x\",\"list\":[1,-2,{}],\"t\":true,\"n\":null,\"none\":null,\"h\":\"01ff\",\"r\":[1]}");
    buf_free(&b);
}

TEST(strings_are_escaped)
{
    struct buf b = {0};
    struct jsonw w = jsonw_to(&b);
    jsonw_view(&w, NULL, VIEW("q\"b\\n\nt\tr\rz\0e\x1f\x7f", 15));
    CHECK_STR(written(&b), "\"q\\\"b\\\\n\\nt\\tr\\rz\\u0000e\\u001f\\u007f\"");
    buf_free(&b);
}

TEST(utf8_passes_and_everything_else_is_replaced)
{
    static const char *const row[][2] = {
        {"\xc3\xa9", "\"\xc3\xa9\""},
        {"\xe2\x82\xac", "\"\xe2\x82\xac\""},
        {"\xf0\x9f\x98\x80", "\"\xf0\x9f\x98\x80\""},
        {"\xc0\xaf", "\"\\ufffd\\ufffd\""},             /* overlong */
        {"\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\""}, /* surrogate */
        {"\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\""},
        {"\xe2\x82", "\"\\ufffd\\ufffd\""}, /* cut */
        {"\x80", "\"\\ufffd\""},
    };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct buf b = {0};
        struct jsonw w = jsonw_to(&b);
        jsonw_str(&w, NULL, row[i][0]);
        CHECK_STR(written(&b), row[i][1]);
        buf_free(&b);
    }
}

TEST(integers_at_the_ends)
{
    struct buf b = {0};
    struct jsonw w = jsonw_to(&b);
    jsonw_open(&w, NULL, '[');
    jsonw_int(&w, NULL, INT64_MIN);
    jsonw_int(&w, NULL, INT64_MAX);
    jsonw_int(&w, NULL, 0);
    jsonw_close(&w, ']');
    CHECK_STR(written(&b), "[-9223372036854775808,9223372036854775807,0]");
    buf_free(&b);
}

TEST(unbalanced_brackets_are_bad)
{
    struct buf b = {0};
    struct jsonw w = jsonw_to(&b);
    jsonw_close(&w, '}');
    CHECK(b.bad);
    buf_free(&b);
    w = jsonw_to(&b);
    for (int i = 0; i < 20; i++)
        jsonw_open(&w, NULL, '[');
    CHECK(b.bad);
    buf_free(&b);
}

TEST(plain_is_told_at_every_place_and_for_every_byte)
{
    uint8_t text[40];
    for (size_t n = 0; n <= 33; n++)
        for (size_t at = 0; at < n; at++)
            for (int c = 0; c < 256; c++) {
                memset(text, c % 2 ? ' ' : '~', sizeof(text));
                text[at] = (uint8_t)c;
                bool plain = c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
                CHECK_INT(jsonw_plain(VIEW(text, n)), plain ? n : at);
            }
    CHECK_INT(jsonw_plain(VIEW(NULL, 0)), 0);
}
