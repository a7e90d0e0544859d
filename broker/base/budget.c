/*
 * Parses budgets: one item after the other, left to right, each byte looked at once. Total on any bytes; nothing is repaired, because a
 * budget that was understood otherwise than it was meant is worse than one that is refused.
 */
#include "base/budget.h"

#include "base/auto.h"
#include "base/clock.h"

#include <string.h>

#define PERIOD_MIN_MS ((int64_t)1000)
#define PERIOD_MAX_MS ((int64_t)366 * 24 * 3600 * 1000)
enum { MICRO = 1000000, DECIMALS = 6 };

static const char *const names[BUDGET_KINDS] = {
#define NAME(n, s) s,
    BROKER_BUDGETS(NAME)
#undef NAME
};

const char *budget_name(enum budget_kind k)
{
    return (unsigned)k < BUDGET_KINDS ? names[k] : "?";
}

static struct view cut(struct view *rest, size_t n)
{
    struct view front = VIEW(rest->p, n);
    *rest = VIEW(rest->p + n, rest->n - n);
    return front;
}

static size_t span(struct view v, const char *set)
{
    size_t n = 0;
    while (n < v.n && v.p[n] && strchr(set, v.p[n]))
        n++;
    return n;
}

static size_t span_to(struct view v, const char *set)
{
    size_t n = 0;
    while (n < v.n && v.p[n] && !strchr(set, v.p[n]))
        n++;
    return n;
}

/* ---- amounts */

static bool digits(struct view v, uint64_t *out)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < v.n; i++) {
        if (v.p[i] < '0' || v.p[i] > '9' || sum > BUDGET_AMOUNT_MAX / 10)
            return false;
        sum = sum * 10 + (uint64_t)(v.p[i] - '0');
    }
    *out = sum;
    return v.n > 0 && sum <= BUDGET_AMOUNT_MAX;
}

static bool whole(struct view v, uint64_t *out)
{
    static const char suffix[] = "KMG";
    const char *s = v.n > 1 && v.p[v.n - 1] ? strchr(suffix, v.p[v.n - 1]) : NULL;
    uint64_t n = 0;
    if (!digits(VIEW(v.p, v.n - (s != NULL)), &n))
        return false;
    for (long i = 0; s && i <= s - suffix; i++) {
        if (n > BUDGET_AMOUNT_MAX / 1000)
            return false;
        n *= 1000;
    }
    *out = n;
    return true;
}

bool budget_dollars(struct view text, uint64_t *micro)
{
    struct view rest = text, front = cut(&rest, span_to(rest, "."));
    uint64_t n = 0, part = 0;
    if (!digits(front, &n) || n > BUDGET_AMOUNT_MAX / MICRO)
        return false;
    if (rest.n > 0) {
        (void)cut(&rest, 1);
        if (rest.n > DECIMALS || !digits(rest, &part))
            return false;
        for (size_t i = rest.n; i < DECIMALS; i++)
            part *= 10;
    }
    if (n * MICRO + part > BUDGET_AMOUNT_MAX)
        return false;
    *micro = n * MICRO + part;
    return true;
}

/* "h" is "1h" */
static bool period(struct view v, int64_t *ms)
{
    char text[24];
    struct why why = {0};
    bool bare = v.n == 1 && v.p[0] && strchr("smhd", v.p[0]);
    text[0] = '1';
    if (v.n == 0 || !view_copy(v, text + bare, sizeof(text) - bare))
        return false;
    if (span(view_str(text), "0123456789") ==
        strlen(text)) /* seconds without a unit are not meant here */
        return false;
    return clock_parse_duration(view_str(text), ms, &why) == ERR_OK && *ms >= PERIOD_MIN_MS &&
           *ms <= PERIOD_MAX_MS;
}

/* ---- items */

static err_t take_limit(struct view value, enum budget_kind k, struct budget *b, struct why *why)
{
    struct budget_limit l = {0};
    struct view amount = cut(&value, span_to(value, "/"));
    bool good = k == BUDGET_COST ? budget_dollars(amount, &l.amount) : whole(amount, &l.amount);
    if (value.n > 0)
        (void)cut(&value, 1);
    if (!good || l.amount == 0 || !period(value, &l.period_ms))
        return fail(why, ERR_INVALID, "%s: expected an amount and a period, like %s", names[k],
                    k == BUDGET_COST ? "5.50/d (US dollars)" : "600/h or 2M/d");
    if (b->limit[k].amount)
        return fail(why, ERR_INVALID, "%s is there twice", names[k]);
    b->limit[k] = l;
    return ERR_OK;
}

static err_t take_concurrent(struct view value, struct budget *b, struct why *why)
{
    uint64_t n = 0;
    if (!whole(value, &n) || n == 0 || n > BUDGET_CONCURRENT_MAX)
        return fail(why, ERR_INVALID, "concurrent: expected a whole number from 1 to %d",
                    BUDGET_CONCURRENT_MAX);
    if (b->concurrent)
        return fail(why, ERR_INVALID, "concurrent is there twice");
    b->concurrent = (uint32_t)n;
    return ERR_OK;
}

static err_t take_item(struct view key, struct view value, struct budget *b, struct why *why)
{
    if (view_is(key, "concurrent"))
        return take_concurrent(value, b, why);
    for (unsigned k = 0; k < BUDGET_KINDS; k++)
        if (view_is(key, names[k]))
            return take_limit(value, (enum budget_kind)k, b, why);
    return fail(
        why, ERR_INVALID,
        "expected items like \"requests: 600/h\"; there are requests, tokens, input, output, "
        "cost and concurrent");
}

/* A comma, white space, or both; false: neither, or a comma with nothing before or behind it. */
static bool take_separator(struct view *rest)
{
    size_t spaces = cut(rest, span(*rest, " ")).n, commas = cut(rest, span(*rest, ",")).n;
    spaces += cut(rest, span(*rest, " ")).n;
    return commas == 1 ? rest->n > 0 : commas == 0 && (spaces > 0 || rest->n == 0);
}

err_t budget_parse(struct view text, struct budget *out, struct why *why)
{
    struct budget b = {0};
    struct view rest = text;
    if (text.n > BUDGET_TEXT_MAX)
        return fail(why, ERR_INVALID, "a budget has at most %d bytes", BUDGET_TEXT_MAX);
    (void)cut(&rest, span(rest, " "));
    if (rest.n == 0)
        return fail(why, ERR_INVALID, "a budget needs an item, like \"requests: 600/h\"");
    while (rest.n > 0) {
        struct view key = cut(&rest, span_to(rest, ":= ,"));
        if (span(rest, ":=") != 1)
            return fail(why, ERR_INVALID, "expected items like \"requests: 600/h\"");
        (void)cut(&rest, 1);
        (void)cut(&rest, span(rest, " "));
        TRY(take_item(key, cut(&rest, span_to(rest, " ,")), &b, why));
        if (!take_separator(&rest))
            return fail(why, ERR_INVALID, "expected one comma between two items of a budget");
    }
    *out = b;
    return ERR_OK;
}
