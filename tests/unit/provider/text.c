#include "check.h"
#include "provider/text.h"

TEST(a_line_has_no_control_characters)
{
    CHECK(text_line(view_str("Grüße … ok")));
    CHECK(text_line((struct view){0}));
    CHECK(!text_line(view_str("a\nb")));
    CHECK(!text_line(view_str("a\x1b[2J")));
    CHECK(!text_line(view_str("a\x7f")));
    CHECK(!text_line(view_str("a\xc2\x9b"))); /* C1: CSI */
    CHECK(!text_line(view_str("a\xff")));
    CHECK(!text_line(VIEW("a\0b", 3)));
}

TEST(visible_is_ascii_without_space)
{
    CHECK(text_visible(view_str("!sk-ant~")));
    CHECK(!text_visible((struct view){0}));
    CHECK(!text_visible(view_str("a b")));
    CHECK(!text_visible(view_str("a\t")));
    CHECK(!text_visible(view_str("\xc3\xa4")));
    CHECK(!text_visible(view_str("a\x7f")));
}

TEST(text_without_nul_may_have_lines)
{
    CHECK(text_no_nul(view_str("a\nb\r\n\x1b")));
    CHECK(text_no_nul((struct view){0}));
    CHECK(!text_no_nul(VIEW("a\0", 2)));
    CHECK(!text_no_nul(view_str("\xed\xa0\x80")));
}

TEST(environment_names)
{
    CHECK(text_env_name(view_str("_")));
    CHECK(text_env_name(view_str("A1_B")));
    CHECK(!text_env_name((struct view){0}));
    CHECK(!text_env_name(view_str("1A")));
    CHECK(!text_env_name(view_str("lower")));
    CHECK(!text_env_name(view_str("A=B")));
    CHECK(!text_env_name(view_str("A B")));
}

TEST(milliseconds_have_one_form)
{
    CHECK(text_millis(view_str("0")));
    CHECK(text_millis(view_str("1795298400000")));
    CHECK(text_millis(view_str("253402300799999")));
    CHECK(!text_millis(view_str("253402300800000")));
    CHECK(!text_millis(view_str("1000000000000000")));
    CHECK(!text_millis(view_str("01")));
    CHECK(!text_millis(view_str("-1")));
    CHECK(!text_millis(view_str("+1")));
    CHECK(!text_millis(view_str("1 ")));
    CHECK(!text_millis((struct view){0}));
}

TEST(trimming)
{
    CHECK(view_is(text_trim(view_str(" \t\r\n a b \v\f\n")), "a b"));
    CHECK(view_is(text_trim(view_str("a")), "a"));
    CHECK_INT(text_trim(view_str(" \n ")).n, 0);
    CHECK_INT(text_trim((struct view){0}).n, 0);
}

TEST(prefixes)
{
    CHECK(text_starts(view_str("sk-ant"), "sk-"));
    CHECK(text_starts(view_str("sk-"), "sk-"));
    CHECK(!text_starts(view_str("sk"), "sk-"));
    CHECK(text_starts(view_str("x"), ""));
    CHECK(text_starts((struct view){0}, ""));
}
