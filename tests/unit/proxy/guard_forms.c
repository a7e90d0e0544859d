/* What Python's base64, urllib.parse and json (the last with the replacements that PHP, Go and .NET make) give for the same secret. */
#include "base/auto.h"
#include "check.h"
#include "proxy/guard_forms.h"

#define SECRET "k/+ \"\303\251\\<&>~'\011\360\237\230\200z"
static const char *const expected[] = {
    SECRET,
    "ay8rICLDqVw8Jj5+Jwnwn5iAe",
    "svKyAiw6lcPCY+ficJ8J+YgH",
    "rLysgIsOpXDwmPn4nCfCfmIB6",
    "ay8rICLDqVw8Jj5-Jwnwn5iAe",
    "svKyAiw6lcPCY-ficJ8J-YgH",
    "rLysgIsOpXDwmPn4nCfCfmIB6", /* the same in base64url: kept once */
    "6b2f2b2022c3a95c3c263e7e2709f09f98807a",
    "6B2F2B2022C3A95C3C263E7E2709F09F98807A",
    "%6b%2f%2b%20%22%c3%a9%5c%3c%26%3e%7e%27%09%f0%9f%98%80%7a",
    "%6B%2F%2B%20%22%C3%A9%5C%3C%26%3E%7E%27%09%F0%9F%98%80%7A",
    "k%2f%2b%20%22%c3%a9%5c%3c%26%3e~%27%09%f0%9f%98%80z",
    "k%2F%2B%20%22%C3%A9%5C%3C%26%3E~%27%09%F0%9F%98%80z",
    "k%2F%2B%20%22%C3%A9%5C%3C%26%3E~'%09%F0%9F%98%80z",
    "k%2F%2B+%22%C3%A9%5C%3C%26%3E%7E%27%09%F0%9F%98%80z",
    "k/+ \\\"\303\251\\\\<&>~'\\t\360\237\230\200z",
    "k\\/+ \\\"\303\251\\\\<&>~'\\t\360\237\230\200z",
    "k/+ \\\"\303\251\\\\\\u003c\\u0026\\u003e~'\\t\360\237\230\200z",
    "k/+ \\\"\\u00e9\\\\<&>~'\\t\\ud83d\\ude00z",
    "k\\/+ \\\"\\u00e9\\\\<&>~'\\t\\ud83d\\ude00z",
    "k/\\u002B \\\"\\u00E9\\\\\\u003C\\u0026\\u003E~\\u0027\\t\\uD83D\\uDE00z",
    "\\u006b\\u002f\\u002b\\u0020\\u0022\\u00e9\\u005c\\u003c\\u0026\\u003e\\u007e\\u0027\\u0009\\ud83d"
    "\\ude00\\u007a",
    "\\u006B\\u002F\\u002B\\u0020\\u0022\\u00E9\\u005C\\u003C\\u0026\\u003E\\u007E\\u0027\\u0009\\uD83D"
    "\\uDE00\\u007A",
};

static struct view form_at(const struct buf *text, const size_t *end, unsigned i)
{
    size_t from = i ? end[i - 1] : 0;
    return VIEW(text->p + from, end[i] - from);
}

static bool has(const struct buf *text, const size_t *end, unsigned n, const char *form)
{
    for (unsigned i = 0; i < n; i++)
        if (view_is(form_at(text, end, i), form))
            return true;
    return false;
}

TEST(each_form_is_there_once_and_no_other)
{
    AUTO(buf_free) struct buf text = {0};
    size_t end[GUARD_FORMS];
    unsigned n = guard_forms(view_str(SECRET), &text, end);
    CHECK_INT(n, COUNT(expected) - 1);
    for (size_t i = 0; i < COUNT(expected); i++) {
        if (!has(&text, end, n, expected[i]))
            printf("    missing: %s\n", expected[i]);
        CHECK(has(&text, end, n, expected[i]));
    }
    CHECK_INT(end[n - 1], text.len);
}

TEST(a_secret_without_anything_to_escape_has_few_forms)
{
    AUTO(buf_free) struct buf text = {0};
    size_t end[GUARD_FORMS];
    unsigned n = guard_forms(view_str("sk-AAAAAAAAAAAA"), &text, end);
    /* raw, 3 x base64 (no digit 62 or 63), hex in lower and upper, 2 x all percent, all \u in lower and upper */
    CHECK_INT(n, 10);
    CHECK(has(&text, end, n, "sk-AAAAAAAAAAAA") && has(&text, end, n, "c2stQUFBQUFBQUFBQUFB"));
    CHECK(has(&text, end, n, "NrLUFBQUFBQUFBQUFBQ")); /* base64 of x + secret, without its first two */
}

TEST(bytes_that_are_no_utf8_are_latin_1_to_json)
{
    AUTO(buf_free) struct buf text = {0};
    size_t end[GUARD_FORMS];
    unsigned n = guard_forms(VIEW("ab\xff\xc3zzzz\0", 9), &text, end);
    CHECK(has(&text, end, n, "ab\\u00ff\\u00c3zzzz\\u0000"));
}

TEST(forms_are_appended_behind_what_is_there)
{
    AUTO(buf_free) struct buf text = {0};
    size_t end[GUARD_FORMS];
    buf_add_str(&text, "sk-AAAAAAAAAAAA");
    CHECK_INT(guard_forms(view_str("sk-AAAAAAAAAAAA"), &text, end), 10);
    CHECK_INT(end[0], 30);
}

TEST(no_room_is_said)
{
    for (size_t max = 1; max < 200; max++) {
        AUTO(buf_free) struct buf text = {.max = max};
        size_t end[GUARD_FORMS];
        (void)guard_forms(view_str("sk-AAAAAAAAAAAA"), &text, end);
        CHECK(text.bad && text.len <= max);
    }
}
