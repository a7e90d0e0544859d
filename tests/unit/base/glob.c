/* base/glob.c: stars, and nothing else, are special. */
#include "base/glob.h"

#include "base/auto.h"
#include "base/clock.h"
#include "check.h"

TEST(patterns)
{
    static const struct {
        const char *pattern, *text;
        bool matches;
    } rows[] = {{"", "", true}, {"", "a", false}, {"*", "", true}, {"*", "anything", true}, {"**", "x", true}, {"a", "a", true},
                {"a", "A", false}, {"a", "ab", false}, {"claude-*", "claude-opus-4", true}, {"claude-*", "claude-", true},
                {"claude-*", "claude", false}, {"claude-*", "xclaude-opus", false}, {"*-mini", "gpt-5-mini", true}, {"*-mini", "gpt-5-mini-2", false},
                {"*-mini", "mini", false}, {"a*b*c", "aXbYc", true}, {"a*b*c", "abc", true}, {"a*b*c", "aXcYb", false}, {"a*b*c", "abcbc", true},
                {"*aab", "aaaab", true}, {"a?c", "abc", false}, {"a?c", "a?c", true}, {"[a]", "a", false}, {"[a]", "[a]", true}, {"*a*", "bbb", false},
                {"gpt-5*", "gpt-5", true}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (glob_match(view_str(rows[i].pattern), view_str(rows[i].text)) != rows[i].matches)
            printf("    \"%s\" on \"%s\"\n", rows[i].pattern, rows[i].text);
        CHECK_INT(glob_match(view_str(rows[i].pattern), view_str(rows[i].text)), rows[i].matches);
    }
    CHECK(glob_match(VIEW("a\0*", 3), VIEW("a\0b", 3)));
    CHECK(!glob_match(VIEW("a\0", 2), VIEW("a", 1)));
}

/* many stars on a text that almost fits: the product of both lengths, not a power */
TEST(hostile_patterns_end)
{
    char pattern[256], text[4096];
    for (size_t i = 0; i < sizeof(pattern); i++)
        pattern[i] = i % 2 ? 'a' : '*';
    pattern[255] = 'b';
    memset(text, 'a', sizeof(text));
    int64_t before = clock_boot_ms();
    CHECK(!glob_match(VIEW(pattern, sizeof(pattern)), VIEW(text, sizeof(text))));
    CHECK(clock_boot_ms() - before < 2000);
}
