#include "check.h"

#include "base/auto.h"
#include "vault/index.h"

static void add(struct index *ix, unsigned i)
{
    struct why why = {0};
    struct credential *row = calloc(1, sizeof(*row));
    CHECK(row);
    (void)snprintf(row->name, sizeof(row->name), "n%u", i * 7919U % 100003U);
    row->version = i;
    CHECK_OK(index_reserve(ix, &why), why);
    index_add(ix, row);
}

static struct credential *find(const struct index *ix, unsigned i)
{
    char name[65];
    (void)snprintf(name, sizeof(name), "n%u", i * 7919U % 100003U);
    return index_find(ix, view_str(name));
}

static void check_order(struct index *ix, size_t n)
{
    size_t seen = 0;
    const char *last = "";
    for (const struct credential *c = NULL; (c = index_next(ix, last)); last = c->name, seen++)
        CHECK(strcmp(c->name, last) > 0);
    CHECK_INT(seen, n);
}

TEST(an_empty_index_finds_nothing)
{
    AUTO(index_clear) struct index ix = {0};
    CHECK(!index_find(&ix, view_str("x")));
    CHECK(!index_find(&ix, view_str("")));
    CHECK(!index_next(&ix, ""));
    index_sort(&ix);
}

TEST(every_row_is_found_and_walked_in_order)
{
    AUTO(index_clear) struct index ix = {0};
    for (unsigned i = 0; i < 5000; i++)
        add(&ix, i);
    for (unsigned i = 0; i < 5000; i++)
        CHECK(find(&ix, i) && find(&ix, i)->version == i);
    CHECK(!find(&ix, 5001));
    check_order(&ix, 5000);
    add(&ix, 5000);
    check_order(&ix, 5001);
}

/* Removal shifts runs of the table back: after each, all others must still be found. */
TEST(removals_lose_nothing_else)
{
    AUTO(index_clear) struct index ix = {0};
    for (unsigned i = 0; i < 400; i++)
        add(&ix, i);
    for (unsigned gone = 0; gone < 400; gone++) {
        unsigned i = gone * 7 % 400;
        index_remove(&ix, find(&ix, i));
        CHECK(!find(&ix, i));
        for (unsigned k = gone + 1; k < 400; k++)
            CHECK(find(&ix, k * 7 % 400));
    }
    CHECK_INT(ix.n, 0);
    check_order(&ix, 0);
    add(&ix, 3);
    CHECK(find(&ix, 3));
}

TEST(addresses_are_stable)
{
    AUTO(index_clear) struct index ix = {0};
    add(&ix, 1);
    const struct credential *one = find(&ix, 1);
    for (unsigned i = 2; i < 1000; i++)
        add(&ix, i);
    index_sort(&ix);
    CHECK(find(&ix, 1) == one);
}

TEST(rows_that_come_in_order_are_never_sorted)
{
    AUTO(index_clear) struct index ix = {0};
    struct why why = {0};
    for (unsigned i = 0; i < 300; i++) {
        struct credential *row = calloc(1, sizeof(*row));
        CHECK(row);
        (void)snprintf(row->name, sizeof(row->name), "%05u", i);
        CHECK_OK(index_reserve(&ix, &why), why);
        index_add(&ix, row);
        CHECK(ix.sorted);
    }
    index_remove(&ix, ix.order[0]);
    CHECK(ix.sorted);
}
