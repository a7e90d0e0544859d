/* vault/account.c: windows, limits, charges; what a clock or a changed budget cannot do. */
#include "vault/account.h"

#include "base/auto.h"
#include "check.h"

static struct why why;
static struct accounts as;
static const int64_t hour = 3600000, t0 = (int64_t)500000 * 3600000; /* the beginning of an hour */

static struct budget budget_of(const char *text)
{
    struct budget b;
    CHECK_OK(budget_parse(view_str(text), &b, &why), why);
    return b;
}

static struct account *fresh(void)
{
    accounts_clear(&as);
    struct account *a = account_of(&as, "gw", "claude");
    CHECK(a && a->running == 0);
    return a;
}

static err_t check(struct account *a, const struct budget *b, int64_t now, int64_t *retry)
{
    *retry = -1;
    return account_check(&as, a, b, now, retry, &why);
}

TEST(requests_are_exact_and_renew_with_the_window)
{
    struct account *a = fresh();
    struct budget b = budget_of("requests: 3/h");
    int64_t retry;
    for (int i = 0; i < 3; i++) {
        CHECK_OK(check(a, &b, t0 + 1000 + i, &retry), why);
        account_begin(&as, a, &b, t0 + 1000 + i);
        account_end(a);
    }
    CHECK_INT(check(a, &b, t0 + 5000, &retry), ERR_LIMIT);
    CHECK_INT(retry, hour - 5000);
    CHECK(strstr(why.text, "3 requests in 3600 s"));
    CHECK_INT(check(a, &b, t0 + hour - 1, &retry), ERR_LIMIT);
    CHECK_INT(retry, 1);
    CHECK_OK(check(a, &b, t0 + hour, &retry), why);
    CHECK_INT(account_look(a, BUDGET_REQUESTS, &b.limit[BUDGET_REQUESTS], t0 + hour).used, 0);
}

TEST(concurrency_is_exact)
{
    struct account *a = fresh();
    struct budget b = budget_of("concurrent: 2");
    int64_t retry;
    account_begin(&as, a, &b, t0);
    CHECK_OK(check(a, &b, t0, &retry), why);
    account_begin(&as, a, &b, t0);
    CHECK_INT(check(a, &b, t0, &retry), ERR_LIMIT);
    CHECK_INT(retry, 1000);
    account_end(a);
    CHECK_OK(check(a, &b, t0, &retry), why);
    account_end(a);
    account_end(a); /* one too many does not wrap */
    CHECK_INT(a->running, 0);
    CHECK_INT(as.n_dirty, 0); /* nothing to keep */
}

TEST(tokens_are_charged_by_kind)
{
    struct account *a = fresh();
    struct budget b = budget_of("tokens: 1000/h, input: 600/h, output: 500/h, cost: 0.01/h");
    const struct account_spent s = {.input = 100, .cache_write = 50, .cache_read = 100000, .output = 200, .cost = 3000};
    int64_t retry;
    CHECK_INT(account_charge(&as, a, &b, &s, t0), BUDGET_KINDS);
    CHECK_INT(a->window[BUDGET_TOKENS].used, 350);
    CHECK_INT(a->window[BUDGET_INPUT].used, 150);
    CHECK_INT(a->window[BUDGET_OUTPUT].used, 200);
    CHECK_INT(a->window[BUDGET_COST].used, 3000);
    CHECK_INT(a->window[BUDGET_REQUESTS].period_ms, 0);
    CHECK_OK(check(a, &b, t0, &retry), why);
    CHECK_INT(account_charge(&as, a, &b, &s, t0), BUDGET_KINDS);
    CHECK_INT(account_charge(&as, a, &b, &s, t0), BUDGET_TOKENS); /* told once, for the charge that did it */
    CHECK_INT(check(a, &b, t0, &retry), ERR_LIMIT);
    CHECK(strstr(why.text, "1000 tokens in"));
    CHECK_INT(account_charge(&as, a, &b, &s, t0), BUDGET_INPUT);
    CHECK_INT(account_charge(&as, a, &b, &s, t0), BUDGET_KINDS);
    b = budget_of("cost: 0.01/h");
    CHECK_INT(check(a, &b, t0, &retry), ERR_LIMIT);
    CHECK(strstr(why.text, "$0.01 in"));
}

TEST(amounts_do_not_wrap)
{
    struct account *a = fresh();
    struct budget b = budget_of("tokens: 9007199254740992/d");
    const struct account_spent s = {.input = UINT64_MAX, .output = UINT64_MAX, .cache_write = UINT64_MAX};
    CHECK_INT(account_charge(&as, a, &b, &s, t0), BUDGET_TOKENS);
    CHECK(a->window[BUDGET_TOKENS].used == BUDGET_AMOUNT_MAX);
    CHECK_INT(account_charge(&as, a, &b, &s, t0), BUDGET_KINDS);
    CHECK(a->window[BUDGET_TOKENS].used == BUDGET_AMOUNT_MAX);
}

TEST(a_clock_stepped_back_renews_nothing)
{
    struct account *a = fresh();
    struct budget b = budget_of("requests: 1/h");
    int64_t retry;
    account_begin(&as, a, &b, t0 + 10);
    account_end(a);
    CHECK_INT(check(a, &b, t0 - 1, &retry), ERR_LIMIT);
    CHECK_INT(check(a, &b, t0 - 100 * hour, &retry), ERR_LIMIT);
    CHECK(retry > 100 * hour);
    CHECK_INT(check(a, &b, t0 + 20, &retry), ERR_LIMIT);
    CHECK_OK(check(a, &b, t0 + hour, &retry), why);
}

TEST(a_changed_period_keeps_what_was_used_until_the_old_window_is_over)
{
    struct account *a = fresh();
    struct budget b = budget_of("requests: 2/d"), other = budget_of("requests: 2/h");
    int64_t day = 24 * hour, t = t0 - t0 % day + 5 * hour, retry;
    account_begin(&as, a, &b, t);
    account_begin(&as, a, &b, t);
    CHECK_INT(check(a, &other, t, &retry), ERR_LIMIT);
    CHECK_INT(retry, hour);
    CHECK_OK(check(a, &other, t + 19 * hour, &retry), why);
    CHECK_OK(check(a, &(struct budget){0}, t, &retry), why); /* no budget, no limit */
    b = budget_of("requests: 3/d"); /* more of it counts at once */
    CHECK_OK(check(a, &b, t, &retry), why);
}

TEST(what_is_presumed_spent_renews_once)
{
    accounts_clear(&as);
    as.suspect = true;
    struct account *a = account_of(&as, "gw", "claude");
    struct budget b = budget_of("requests: 5/h, tokens: 9/d");
    int64_t retry, day = 24 * hour, t = t0 - t0 % day + hour / 2;
    CHECK(a->presumed);
    CHECK_INT(account_look(a, BUDGET_REQUESTS, &b.limit[BUDGET_REQUESTS], t).used, 5);
    CHECK_INT(check(a, &b, t, &retry), ERR_LIMIT);
    CHECK_INT(as.n_dirty, 1);
    CHECK_INT(check(a, &b, t + hour, &retry), ERR_LIMIT); /* the day's tokens still */
    CHECK(strstr(why.text, "tokens"));
    CHECK_OK(check(a, &b, t + day, &retry), why);
    as.suspect = false;
    CHECK(!account_of(&as, "gw", "other")->presumed);
}

TEST(accounts_are_found_placed_and_swept)
{
    accounts_clear(&as);
    struct budget b = budget_of("requests: 5/h");
    char name[16];
    for (unsigned i = 0; i < 200; i++) {
        (void)snprintf(name, sizeof(name), "c%u", i);
        struct account *a = account_of(&as, "gw", name);
        CHECK(a && a->slot == i && account_of(&as, "gw", name) == a);
        account_begin(&as, a, &b, t0);
        if (i != 7)
            account_end(a);
    }
    CHECK(!account_find(&as, "gwc", "1") && !account_find(&as, "g", "wc1") && !account_find(&as, "c1", "gw"));
    CHECK_INT(as.n_dirty, (200 + ACCOUNTS_PER_PART - 1) / ACCOUNTS_PER_PART);
    accounts_sweep(&as, t0 + 1);
    CHECK(account_find(&as, "gw", "c199"));
    accounts_sweep(&as, t0 + hour);
    CHECK(!account_find(&as, "gw", "c199") && account_find(&as, "gw", "c7")); /* one runs */
    CHECK_INT(account_of(&as, "gw", "again")->slot, 0);
    CHECK(!account_place(&as, 7, "x", "y") && !account_place(&as, ACCOUNTS_MAX, "x", "y") && !account_place(&as, 9, "gw", "c7"));
    struct account *far = account_place(&as, 1000, "x", "y");
    CHECK(far && account_find(&as, "x", "y") == far);
    accounts_clear(&as);
}

TEST(headroom_is_a_small_part_of_what_is_left)
{
    struct account *a = fresh();
    static const struct {
        const char *budget;
        uint64_t requests, tokens;
        unsigned running, want;
    } rows[] = {
        {"requests: 6400/h", 0, 0, 0, 32},  {"requests: 640/h", 0, 0, 0, 10},     {"requests: 640/h", 600, 0, 0, 0},
        {"requests: 640/h", 700, 0, 0, 0},  {"tokens: 160/d", 0, 150, 0, 32},     {"tokens: 160/d", 0, 151, 0, 0},
        {"tokens: 160/d", 0, 999, 0, 0},    {"concurrent: 15", 0, 0, 0, 0},       {"concurrent: 160", 0, 0, 9, 32},
        {"concurrent: 160", 0, 0, 10, 0},   {"requests: 640/h, concurrent: 4", 0, 0, 0, 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct budget b = budget_of(rows[i].budget);
        a = fresh();
        a->running = rows[i].running;
        a->window[BUDGET_REQUESTS] = (struct account_window){t0, hour, rows[i].requests};
        a->window[BUDGET_TOKENS] = (struct account_window){t0 - t0 % (24 * hour), 24 * hour, rows[i].tokens};
        CHECK_INT(account_headroom(a, &b, t0 + 1, 32), rows[i].want);
    }
    struct budget none = {0};
    CHECK_INT(account_headroom(fresh(), &none, t0, 32), 32);
    a = fresh();
    a->presumed = true;
    CHECK_INT(account_headroom(a, &none, t0, 32), 0);
}

TEST(what_was_reserved_is_given_back_to_its_window_only)
{
    struct account *a = fresh();
    struct budget b = budget_of("requests: 100/h"), none = {0};
    int64_t in = account_reserve(&as, a, &b, 5, t0 + 1);
    CHECK_INT(in, t0);
    CHECK_INT(a->window[BUDGET_REQUESTS].used, 5);
    account_give_back(&as, a, 2, in);
    CHECK_INT(a->window[BUDGET_REQUESTS].used, 3);
    account_give_back(&as, a, 9, in); /* never under nothing */
    CHECK_INT(a->window[BUDGET_REQUESTS].used, 0);
    in = account_reserve(&as, a, &b, 5, t0 + 1);
    account_begin(&as, a, &b, t0 + hour);
    account_give_back(&as, a, 5, in); /* that window is over */
    CHECK_INT(a->window[BUDGET_REQUESTS].used, 1);
    CHECK_INT(account_reserve(&as, a, &none, 5, t0), -1);
    account_give_back(&as, a, 5, -1);
    CHECK_INT(a->window[BUDGET_REQUESTS].used, 1);
}
