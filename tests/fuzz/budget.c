/* The text of a budget from any bytes: total, and what is taken is in range and taken again when it is written down plainly. */
#include "base/budget.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
    if (!good)
        abort();
}

static void write_again(const struct budget *b, struct buf *out)
{
    for (unsigned k = 0; k < BUDGET_KINDS; k++) {
        const struct budget_limit *l = &b->limit[k];
        if (l->amount == 0)
            continue;
        buf_add_str(out, out->len ? ", " : "");
        if (k == BUDGET_COST)
            buf_add_fmt(out, "cost: %" PRIu64 ".%06" PRIu64 "/%" PRId64 "ms", l->amount / 1000000, l->amount % 1000000, l->period_ms);
        else
            buf_add_fmt(out, "%s: %" PRIu64 "/%" PRId64 "ms", budget_name((enum budget_kind)k), l->amount, l->period_ms);
    }
    if (b->concurrent)
        buf_add_fmt(out, "%sconcurrent: %u", out->len ? ", " : "", b->concurrent);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct budget b = {0}, again = {0};
    struct why why = {0};
    struct buf text = {0};
    if (budget_parse(VIEW(data, size), &b, &why) != ERR_OK) {
        check(why.text[0] != '\0' && b.concurrent == 0);
        return 0;
    }
    unsigned n = b.concurrent > 0;
    for (unsigned k = 0; k < BUDGET_KINDS; k++) {
        n += b.limit[k].amount > 0;
        check(b.limit[k].amount <= BUDGET_AMOUNT_MAX && (b.limit[k].amount > 0) == (b.limit[k].period_ms >= 1000));
    }
    check(n > 0 && b.concurrent <= BUDGET_CONCURRENT_MAX);
    write_again(&b, &text);
    check(budget_parse(buf_view(&text), &again, &why) == ERR_OK && memcmp(&b, &again, sizeof(b)) == 0);
    buf_free(&text);
    return 0;
}
