/* The option parser: every kind of value, every way to write it, every slip. */
#include "check.h"

#include "base/options.h"

struct all {
    bool flag;
    const char *text;
    uint64_t number;
    int64_t time;
    struct option_list list;
    bool help;
};
static const struct option_row rows[] = {
    {"flag", OPTION_FLAG, offsetof(struct all, flag), NULL, "a flag"},
    {"text", OPTION_TEXT, offsetof(struct all, text), "PATH", "a text"},
    {"number", OPTION_NUMBER, offsetof(struct all, number), "N", "a number"},
    {"time", OPTION_TIME, offsetof(struct all, time), "TIME", "a time"},
    {"list", OPTION_LIST, offsetof(struct all, list), "NAME", "many"},
    {"help", OPTION_FLAG, offsetof(struct all, help), NULL, "show this"},
};
static const struct options plain = {.rows = rows, .n = 6},
                            ends = {.rows = rows, .n = 6, .operand_ends = true};
static struct why why;
static struct operands rest;

static err_t parse(const struct options *o, const char *const *words, struct all *into)
{
    static char *argv[80];
    size_t n = 0;
    for (; words[n]; n++)
        argv[n] = (char *)(uintptr_t)words[n];
    argv[n] = NULL;
    return options_parse(o, argv, into, &rest, &why);
}
#define LINE(...) ((const char *const[]){"verb", __VA_ARGS__, NULL})

TEST(both_ways_to_give_a_value)
{
    struct all a = {0};
    CHECK_OK(parse(&plain,
                   LINE("--text", "x", "--number=18446744073709551615", "--time=15m", "--list", "a",
                        "--list=b=c", "--flag"),
                   &a),
             why);
    CHECK_STR(a.text, "x");
    CHECK(a.number == UINT64_MAX && a.flag && !a.help);
    CHECK_INT(a.time, 900000);
    CHECK_INT(a.list.n, 2);
    CHECK_STR(a.list.item[1], "b=c");
    CHECK_INT(rest.n, 0);
    CHECK(!rest.at[0]);
}

TEST(a_value_may_look_like_an_option)
{
    struct all a = {0};
    CHECK_OK(parse(&plain, LINE("--text", "--flag", "--list=-h"), &a), why);
    CHECK_STR(a.text, "--flag");
    CHECK(!a.flag && !a.help);
}

TEST(operands_stand_anywhere_and_keep_their_order)
{
    struct all a = {0};
    CHECK_OK(parse(&plain, LINE("one", "--flag", "two", "-", "--", "--text", "--", "-x"), &a), why);
    CHECK(a.flag && !a.text);
    CHECK_INT(rest.n, 6);
    static const char *const want[] = {"one", "two", "-", "--text", "--", "-x"};
    for (size_t i = 0; i < 6; i++)
        CHECK_STR(rest.at[i], want[i]);
    CHECK(!rest.at[6]);
}

TEST(the_first_operand_can_end_the_options)
{
    struct all a = {0};
    CHECK_OK(parse(&ends, LINE("--flag", "cmd", "--text", "--", "-h"), &a), why);
    CHECK(a.flag && !a.text && !a.help);
    CHECK_INT(rest.n, 4);
    CHECK_STR(rest.at[2], "--");
}

TEST(h_is_help)
{
    struct all a = {0};
    CHECK_OK(parse(&plain, LINE("-h"), &a), why);
    CHECK(a.help);
}

TEST(an_empty_line_is_well)
{
    struct all a = {0};
    char *none[] = {NULL};
    CHECK_OK(options_parse(&plain, none, &a, &rest, &why), why);
    CHECK_INT(rest.n, 0);
}

TEST(slips_are_said_with_what_was_expected)
{
    static const struct {
        const char *words[5], *says;
    } slips[] = {
        {{"v", "--txt", "x"}, "did you mean --text?"},
        {{"v", "--tex=x"}, "did you mean --text?"},
        {{"v", "--nothing-like-it"}, "--help lists them"},
        {{"v", "--text"}, "--text wants PATH after it"},
        {{"v", "--text="}, "nothing was given"},
        {{"v", "--text", ""}, "nothing was given"},
        {{"v", "--flag=yes"}, "--flag takes no value"},
        {{"v", "--text", "a", "--text=b"}, "--text is given twice"},
        {{"v", "--flag", "--flag"}, "--flag is given twice"},
        {{"v", "--number", "-1"}, "whole number"},
        {{"v", "--number", "18446744073709551616"}, "whole number"},
        {{"v", "--number", "1x"}, "whole number"},
        {{"v", "--number="}, "whole number"},
        {{"v", "--time", "soon"}, "15m"},
        {{"v", "-x"}, "options are long"},
        {{"v", "-help"}, "options are long"},
        {{"v", "--=x"}, "no option --"},
    };
    for (size_t i = 0; i < sizeof(slips) / sizeof(slips[0]); i++) {
        struct all a = {0};
        CHECK_INT(parse(&plain, slips[i].words, &a), ERR_USAGE);
        CHECK(strstr(why.text, slips[i].says) || !printf("    %s\n", why.text));
    }
}

TEST(what_a_text_was_is_not_repeated)
{
    struct all a = {0};
    CHECK_INT(parse(&plain, LINE("--text=hunter2", "--text=hunter3"), &a), ERR_USAGE);
    CHECK(!strstr(why.text, "hunter"));
    CHECK_INT(parse(&plain, LINE("--flag=hunter2"), &a), ERR_USAGE);
    CHECK(!strstr(why.text, "hunter"));
    CHECK_INT(parse(&plain, LINE("--txt=hunter2"), &a), ERR_USAGE);
    CHECK(!strstr(why.text, "hunter"));
}

TEST(a_list_has_an_end)
{
    const char *words[2 + 2 * OPTION_LIST_MAX + 2] = {"v"};
    struct all a = {0};
    for (size_t i = 0; i < OPTION_LIST_MAX; i++)
        words[1 + i] = "--list=x";
    CHECK_OK(parse(&plain, words, &a), why);
    CHECK_INT(a.list.n, OPTION_LIST_MAX);
    words[1 + OPTION_LIST_MAX] = "--list=x";
    a = (struct all){0};
    CHECK_INT(parse(&plain, words, &a), ERR_USAGE);
    CHECK_INT(a.list.n, OPTION_LIST_MAX);
}

TEST(times)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {
        {"250ms", 250},    {"90s", 90000}, {"15m", 900000}, {"8h", 28800000},
        {"7d", 604800000}, {"30", 30000},  {"0", 0},        {"3650d", INT64_C(315360000000)},
        {"007s", 7000}};
    static const char *const bad[] = {
        "",     "s",     "-1s",   "+1s",           "1 s",           "1S",
        "1.5h", "1h30m", "3651d", "999999999999d", "1000000000000", "99999999999999999999s",
        "1w"};
    int64_t ms = -1;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        CHECK_OK(options_time(good[i].text, &ms, &why), why);
        CHECK_INT(ms, good[i].ms);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ms = -7;
        CHECK_INT(options_time(bad[i], &ms, &why), ERR_USAGE);
        CHECK_INT(ms, -7);
    }
}

TEST(near_is_a_slip_and_not_another_word)
{
    CHECK(options_near("sokcet", "socket") && options_near("socke", "socket") &&
          options_near("ttl", "tl"));
    CHECK(!options_near("lock", "unlocked") && !options_near("", "a") && !options_near("a", "b"));
    CHECK(!options_near("a-word-of-over-thirty-one-characters", "socket") &&
          !options_near("grant", "lease"));
}

TEST(help_has_a_line_for_each_row)
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    CHECK(out != NULL);
    options_help(&plain, out);
    fclose(out);
    CHECK(strstr(text, "  --text PATH") && strstr(text, "a text\n") && strstr(text, "  --flag "));
    free(text);
}
