/* vault/proxied.c: the table of running requests. */
#include "vault/proxied.h"

#include "base/auto.h"
#include "check.h"

static struct proxied_table tab;

TEST(serials_are_never_used_twice_and_name_their_place)
{
    tab = (struct proxied_table){0};
    struct proxied *a = proxied_new(&tab, 0);
    uint64_t serial = a->serial;
    CHECK(serial > 0 && serial < (uint64_t)1 << 53);
    CHECK(proxied_find(&tab, 0, serial) == a && !proxied_find(&tab, 1, serial) && !proxied_find(&tab, 0, 0));
    CHECK(!proxied_find(&tab, 0, serial + PROXIED_PER_WORKER) && !proxied_find(&tab, 0, serial + 1));
    proxied_free(&tab, a);
    CHECK(!proxied_find(&tab, 0, serial) && !proxied_find(&tab, 0, 0));
    struct proxied *b = proxied_new(&tab, 0);
    CHECK(b == a && b->serial != serial && !proxied_find(&tab, 0, serial));
    struct proxied *c = proxied_new(&tab, 3);
    CHECK(c->serial != b->serial && c->worker == 3 && proxied_running(&tab) == 2);
    struct proxied_table other = {0};
    struct proxied *d = proxied_new(&other, 0);
    CHECK(d->serial >> 12 != serial >> 12); /* another run begins elsewhere */
    proxied_free(&other, d);
    proxied_clear(&other);
    proxied_free(&tab, b);
    proxied_free(&tab, c);
    proxied_clear(&tab);
}

TEST(each_worker_has_its_share_and_no_more)
{
    tab = (struct proxied_table){0};
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < PROXIED_PER_WORKER; i++)
            CHECK(proxied_new(&tab, 1));
        CHECK(!proxied_new(&tab, 1) && proxied_running(&tab) == PROXIED_PER_WORKER);
        uint32_t at = 0;
        unsigned n = 0;
        for (struct proxied *p; (p = proxied_next(&tab, 1, &at)) != NULL; n++)
            proxied_free(&tab, p);
        CHECK_INT(n, PROXIED_PER_WORKER);
        CHECK_INT(proxied_running(&tab), 0);
    }
    struct proxied *p = proxied_new(&tab, 0);
    CHECK(p);
    proxied_free(&tab, p);
    proxied_clear(&tab);
}

TEST(a_lease_knows_its_requests_in_whatever_order_they_end)
{
    static const unsigned order[][3] = {{0, 1, 2}, {2, 1, 0}, {1, 0, 2}, {1, 2, 0}};
    for (size_t i = 0; i < COUNT(order); i++) {
        struct lease l = {.id_hex = "00112233445566778899aabbccddeeff"}, m = {.id_hex = "x"};
        struct proxied *p[4];
        tab = (struct proxied_table){0};
        for (unsigned k = 0; k < 4; k++) {
            p[k] = proxied_new(&tab, k % 2);
            proxied_link(p[k], k == 3 ? &m : &l);
        }
        CHECK_STR(p[0]->lease_hex, l.id_hex);
        for (unsigned k = 0, left = 3; k < 3; k++) {
            proxied_free(&tab, p[order[i][k]]);
            left--;
            unsigned n = 0;
            for (struct proxied *q = l.running; q; q = q->next, n++)
                CHECK(q->lease == &l && *q->back == q);
            CHECK_INT(n, left);
        }
        CHECK(!l.running && m.running == p[3]);
        proxied_unlink(p[3]);
        proxied_unlink(p[3]);
        CHECK(!m.running && !p[3]->lease && proxied_find(&tab, 1, p[3]->serial) == p[3]);
        proxied_free(&tab, p[3]);
        proxied_clear(&tab);
    }
}

TEST(usage_only_grows_and_is_priced_as_a_whole)
{
    struct proxied p = {.priced = true, .price = {.input = 3, .output = 15000000, .cache_read = 300000, .cache_write = 3750000}};
    struct account_spent more;
    proxied_used(&p, &(struct proxied_usage){.in_bytes = 5, .out_bytes = 6, .input = 100, .output = 10, .cache_read = 1000, .cache_write = 4}, &more);
    CHECK(more.input == 100 && more.output == 10 && more.cache_read == 1000 && more.cache_write == 4 && more.cost == 150 + 300 + 15);
    proxied_used(&p, &(struct proxied_usage){.input = 50, .output = 11}, &more);
    CHECK(more.input == 0 && more.output == 1 && more.cache_read == 0 && more.cost == 15);
    CHECK(p.usage.input == 100 && p.usage.in_bytes == 5 && p.cost == 480);
    /* a millionth at a time is not lost */
    struct proxied q = {.priced = true, .price = {.input = 300000}};
    uint64_t sum = 0;
    for (unsigned i = 1; i <= 100; i++) {
        proxied_used(&q, &(struct proxied_usage){.input = i}, &more);
        sum += more.cost;
    }
    CHECK_INT(sum, 30);
    struct proxied r = {.priced = false, .price = {.input = 1000000}};
    proxied_used(&r, &(struct proxied_usage){.input = 5}, &more);
    CHECK(more.cost == 0 && more.input == 5);
}

TEST(numbers_beyond_all_measure_do_not_wrap)
{
    struct proxied p = {.priced = true, .price = {.input = BUDGET_AMOUNT_MAX, .output = BUDGET_AMOUNT_MAX, .cache_read = BUDGET_AMOUNT_MAX}};
    struct account_spent more;
    const struct proxied_usage huge = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
    proxied_used(&p, &huge, &more);
    CHECK(more.input == BUDGET_AMOUNT_MAX && more.cost == BUDGET_AMOUNT_MAX && p.usage.in_bytes == BUDGET_AMOUNT_MAX);
    proxied_used(&p, &huge, &more);
    CHECK(more.input == 0 && more.cost == 0);
}

TEST(what_goes_into_the_log_is_plain)
{
    char out[9];
    proxied_text(view_str("/v1/a b\x7f\xc3\xa9"), false, out, sizeof(out));
    CHECK_STR(out, "/v1/a_b_");
    proxied_text(view_str("a\"b\\c~"), false, out, sizeof(out));
    CHECK_STR(out, "a\"b\\c~");
    proxied_text(view_str("a\"b\\c~/@"), true, out, sizeof(out));
    CHECK_STR(out, "a_b_c_/@");
    proxied_text(VIEW("a\0b", 3), true, out, sizeof(out));
    CHECK_STR(out, "a_b");
    proxied_text(VIEW(NULL, 0), true, out, sizeof(out));
    CHECK_STR(out, "");
    proxied_text(view_str("/v1/x/sk-ant-oat01-cbrk1_AXKBcjDr"), false, out, sizeof(out)); /* a token, cut or not, is nothing for it */
    CHECK_STR(out, "");
}
