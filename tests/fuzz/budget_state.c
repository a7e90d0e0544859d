/*
 * One part of the accounts from any bytes, as if it had been opened: all or nothing, and what is taken is encoded to the same bytes, can
 * be looked at, charged and swept. First byte: the part.
 */
#include "vault/account_state.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
    if (!good)
        abort();
}

/* No disk here. */
err_t sink_replace(struct sink *s, const char *name, struct view contents, struct why *why)
{
    (void)s, (void)name, (void)contents;
    return fail(why, ERR_AUDIT, "no sink");
}

static void use(struct accounts *as, struct account *a)
{
    static const struct budget limits = {.limit = {{5, 60000}, {1000, 3600000}, {1, 1000}, {1, 86400000}, {7, 3600000}}, .concurrent = 2};
    const struct account_spent s = {.input = 3, .output = UINT64_MAX, .cost = 2};
    struct why why = {0};
    int64_t retry = 0, now = (int64_t)1800000000000;
    if (account_check(as, a, &limits, now, &retry, &why) == ERR_OK)
        account_begin(as, a, &limits, now);
    (void)account_charge(as, a, &limits, &s, now);
    for (unsigned k = 0; k < BUDGET_KINDS; k++)
        check(a->window[k].used <= BUDGET_AMOUNT_MAX);
    account_end(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct accounts as = {0};
    struct why why = {0};
    struct buf plain = {0};
    if (size == 0)
        return 0;
    struct view in = VIEW(data + 1, size - 1);
    if (account_part_decode(&as, data[0], in, &why) == ERR_OK) {
        account_part_encode(&as, data[0], &plain);
        check(plain.len == in.n);
        for (unsigned i = 0; i < as.n_slots; i++)
            if (as.slot[i])
                use(&as, as.slot[i]);
        accounts_sweep(&as, INT64_MAX / 2);
    }
    accounts_clear(&as);
    buf_free(&plain);
    return 0;
}
