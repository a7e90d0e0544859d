#include "check.h"
#include "base/utf8.h"

static bool valid(const char *s)
{
    return utf8_valid(view_str(s));
}

TEST(each_length_decodes)
{
    static const struct {
        const char *text;
        size_t len;
        uint32_t cp;
    } rows[] = {
        {"\x01", 1, 1},
        {"\x7f", 1, 0x7f},
        {"\xc2\x80", 2, 0x80},
        {"\xdf\xbf", 2, 0x7ff},
        {"\xe0\xa0\x80", 3, 0x800},
        {"\xed\x9f\xbf", 3, 0xd7ff},
        {"\xee\x80\x80", 3, 0xe000},
        {"\xef\xbf\xbf", 3, 0xffff},
        {"\xf0\x90\x80\x80", 4, 0x10000},
        {"\xf4\x8f\xbf\xbf", 4, 0x10ffff},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint32_t cp = 0;
        CHECK_INT(utf8_next((const uint8_t *)rows[i].text, strlen(rows[i].text), &cp), rows[i].len);
        CHECK_INT(cp, rows[i].cp);
    }
}

TEST(overlong_surrogates_and_stray_bytes_are_refused)
{
    CHECK(!valid("\xc0\x80"));
    CHECK(!valid("\xc1\xbf"));
    CHECK(!valid("\xe0\x9f\xbf"));
    CHECK(!valid("\xed\xa0\x80"));
    CHECK(!valid("\xf0\x8f\xbf\xbf"));
    CHECK(!valid("\xf4\x90\x80\x80"));
    CHECK(!valid("\xf5\x80\x80\x80"));
    CHECK(!valid("\x80"));
    CHECK(!valid("a\xff"));
}

TEST(every_cut_sequence_is_refused)
{
    static const char *const whole[] = {"\xc3\xa4", "\xe2\x80\xa6", "\xf0\x9f\x98\x80"};
    for (size_t i = 0; i < 3; i++) {
        CHECK(valid(whole[i]));
        for (size_t n = 1; n < strlen(whole[i]); n++)
            CHECK(!utf8_valid(VIEW(whole[i], n)));
    }
    CHECK(utf8_valid((struct view){0}));
    CHECK(utf8_valid(VIEW("a\0b", 3)));
}

TEST(plain_runs_end_at_the_first_other_byte)
{
    uint8_t text[40];
    for (unsigned n = 0; n <= sizeof(text); n++)
        for (unsigned at = 0; at < n; at++)
            for (unsigned b = 0; b < 256; b++) {
                memset(text, 'a' + (int)(at % 26), sizeof(text));
                text[at] = (uint8_t)b;
                CHECK_INT(utf8_plain(text, n), b >= 0x20 && b < 0x7f ? n : at);
            }
    CHECK_INT(utf8_plain((const uint8_t *)"", 0), 0);
}
