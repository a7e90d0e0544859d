/* base/budget.c: what a budget may look like, and what each part means. */
#include "base/budget.h"

#include "base/auto.h"
#include "check.h"

static struct why why;

static err_t parse(const char *text, struct budget *b)
{
    memset(b, 0, sizeof(*b));
    return budget_parse(view_str(text), b, &why);
}

TEST(every_key_and_every_period)
{
    struct budget b;
    CHECK_OK(parse("requests: 600/h, tokens: 2M/d, input: 1500K/90s, output: 1G/m, cost: 5.50/7d, concurrent: 4", &b), why);
    CHECK_INT(b.limit[BUDGET_REQUESTS].amount, 600);
    CHECK_INT(b.limit[BUDGET_REQUESTS].period_ms, 3600000);
    CHECK_INT(b.limit[BUDGET_TOKENS].amount, 2000000);
    CHECK_INT(b.limit[BUDGET_TOKENS].period_ms, 86400000);
    CHECK_INT(b.limit[BUDGET_INPUT].amount, 1500000);
    CHECK_INT(b.limit[BUDGET_INPUT].period_ms, 90000);
    CHECK_INT(b.limit[BUDGET_OUTPUT].amount, 1000000000);
    CHECK_INT(b.limit[BUDGET_OUTPUT].period_ms, 60000);
    CHECK_INT(b.limit[BUDGET_COST].amount, 5500000);
    CHECK_INT(b.limit[BUDGET_COST].period_ms, (int64_t)7 * 86400000);
    CHECK_INT(b.concurrent, 4);
    CHECK_STR(budget_name(BUDGET_COST), "cost");
    CHECK_STR(budget_name(BUDGET_KINDS), "?");
}

TEST(separators_are_commas_spaces_or_both)
{
    static const char *const good[] = {"requests=600/h tokens=2M/d", "requests:600/h,tokens:2M/d", "  requests: 600/h ,  tokens: 2M/d  ",
                                       "requests: 600/h tokens: 2M/d"};
    for (size_t i = 0; i < COUNT(good); i++) {
        struct budget b;
        CHECK_OK(parse(good[i], &b), why);
        CHECK_INT(b.limit[BUDGET_REQUESTS].amount, 600);
        CHECK_INT(b.limit[BUDGET_TOKENS].amount, 2000000);
        CHECK_INT(b.limit[BUDGET_COST].amount, 0);
        CHECK_INT(b.concurrent, 0);
    }
}

TEST(what_is_not_meant_is_refused_and_changes_nothing)
{
    static const char *const bad[] = {
        "", " ", ",", "requests", "requests:", "requests: ", "requests: 600", "requests: 600/", "requests: /h", "requests: 0/h",
        "requests: 600/h,", "requests: 600/h,,tokens: 1/d", ", requests: 600/h", "requests: 600/hh", "requests: 600/w", "requests: 600/60",
        "requests: 600/0s", "requests: 600/999ms", "requests: 600/367d", "requests: 600/-1h", "requests: -1/h", "requests: +1/h",
        "requests: 1.5/h", "requests: 1k/h", "requests: K/h", "requests: 600/h requests: 1/h", "Requests: 600/h", "calls: 1/h",
        "requests:: 1/h", "requests := 1/h", "requests : 1/h", "requests: 9007199254740993/h", "requests: 9007199254741G/h", "cost: 1.0000001/d",
        "cost: ./d", "cost: 1./d", "cost: .5/d", "cost: 1K/d", "cost: 0/d", "cost: 0.000000/d", "cost: 9007199254.740993/d", "cost: 1,5/d",
        "concurrent: 0", "concurrent: 65537", "concurrent: 1/h", "concurrent: 1, concurrent: 1", "requests: 600/h/h", "requests: 600/h; tokens: 1/d",
        "requests:\t1/h"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct budget b = {.concurrent = 7};
        why.text[0] = '\0';
        if (budget_parse(view_str(bad[i]), &b, &why) != ERR_INVALID)
            printf("    taken: \"%s\"\n", bad[i]);
        CHECK_INT(budget_parse(view_str(bad[i]), &b, &why), ERR_INVALID);
        CHECK(why.text[0] && b.concurrent == 7 && b.limit[0].amount == 0);
    }
    struct budget b;
    CHECK_INT(budget_parse(VIEW("requests: 1/h\0", 14), &b, &why), ERR_INVALID);
    char longest[300] = "requests: 1/h";
    memset(longest + 13, ' ', sizeof(longest) - 13);
    CHECK_INT(budget_parse(VIEW(longest, 257), &b, &why), ERR_INVALID);
    CHECK_OK(budget_parse(VIEW(longest, 256), &b, &why), why);
}

TEST(amounts_at_their_edges)
{
    struct budget b;
    CHECK_OK(parse("requests: 9007199254740992/h", &b), why);
    CHECK(b.limit[BUDGET_REQUESTS].amount == BUDGET_AMOUNT_MAX);
    CHECK_OK(parse("requests: 1/366d, tokens: 1/1s, cost: 0.000001/d, concurrent: 65536", &b), why);
    CHECK_INT(b.limit[BUDGET_TOKENS].period_ms, 1000);
    CHECK_INT(b.limit[BUDGET_COST].amount, 1);
    CHECK_INT(b.concurrent, 65536);
    CHECK_OK(parse("cost: 9007199254.740992/d", &b), why);
    CHECK(b.limit[BUDGET_COST].amount == BUDGET_AMOUNT_MAX);
}

TEST(dollars)
{
    uint64_t v = 99;
    CHECK(budget_dollars(view_str("3"), &v) && v == 3000000);
    CHECK(budget_dollars(view_str("0.25"), &v) && v == 250000);
    CHECK(budget_dollars(view_str("0"), &v) && v == 0);
    CHECK(!budget_dollars(view_str(""), &v) && !budget_dollars(view_str("-1"), &v) && !budget_dollars(view_str("1 "), &v) && v == 0);
}
