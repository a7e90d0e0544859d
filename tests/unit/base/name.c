#include "base/name.h"

#include "check.h"

TEST(good_names)
{
    static const char *const good[] = {"a", "0", "gateway", "acp-claude", "a.b_c-d", "x64", "claude2"};
    struct why w = {0};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        CHECK_OK(name_check(view_str(good[i]), "consumer", &w), w);
    char longest[65];
    memset(longest, 'a', 64);
    CHECK_OK(name_check(VIEW(longest, 64), "consumer", &w), w);
}

TEST(bad_names_are_refused_with_a_reason)
{
    static const char *const bad[] = {"", ".", "..", "a..b", "-a", "_a", ".a", "A", "a/b", "a b", "a\nb", "a\x7f", "\xc3\xa9", "admin",
                                      "a\\b", "a:b", "a*"};
    struct why w = {0};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        w.text[0] = 0;
        CHECK_INT(name_check(view_str(bad[i]), "consumer", &w), ERR_INVALID);
        CHECK(w.text[0] != 0);
    }
    char over[65];
    memset(over, 'a', 65);
    CHECK_INT(name_check(VIEW(over, 65), "credential", &w), ERR_INVALID);
    CHECK_INT(name_check(VIEW("a\0b", 3), "credential", &w), ERR_INVALID);
}
