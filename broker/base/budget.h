/*
 * The budget of a grant, as text and as numbers: how many requests, tokens and dollars in which period, and how many requests at once.
 *     requests: 600/h, tokens: 2M/d, input: 1500K/d, output: 500K/d, cost: 5.50/d, concurrent: 4
 * A separator may be a comma, a space or both; `=` may stand for the colon. Amounts are whole numbers with an optional K, M or G (decimal);
 * of `cost` US dollars with up to six decimals. A period is s, m, h, d or a duration like 15m: at least 1 s, at most 366 days.
 */
#ifndef BASE_BUDGET_H
#define BASE_BUDGET_H

#include "base/buf.h"

/* Stored in budget files: append only. tokens: input and output together; input: with what is written to a cache, without what is read from one */
/* clang-format off */
#define BROKER_BUDGETS(X)                                                                        \
    X(REQUESTS, "requests") X(TOKENS, "tokens") X(INPUT, "input") X(OUTPUT, "output") X(COST, "cost")
/* clang-format on */
enum budget_kind {
#define BUDGET_ENUM(n, s) BUDGET_##n,
    BROKER_BUDGETS(BUDGET_ENUM)
#undef BUDGET_ENUM
        BUDGET_KINDS
};
enum { BUDGET_TEXT_MAX = 256, BUDGET_CONCURRENT_MAX = 65536 };
#define BUDGET_AMOUNT_MAX ((uint64_t)1 << 53) /* a JSON number holds it exactly */

struct budget_limit {
    uint64_t amount; /* 0: no limit. Of BUDGET_COST: millionths of a dollar */
    int64_t period_ms;
};
struct budget {
    struct budget_limit limit[BUDGET_KINDS];
    uint32_t concurrent; /* 0: no limit */
};

/* Strict: an unknown or repeated key, an amount of 0, a period out of range, anything left over is ERR_INVALID and says what was expected. */
MUST err_t budget_parse(struct view text, struct budget *out, struct why *why);
const char *budget_name(enum budget_kind k);
/* "5.50", "0.000001": dollars into millionths; false when it is none or over BUDGET_AMOUNT_MAX. Also for prices. */
bool budget_dollars(struct view text, uint64_t *micro);

#endif
