/* vault/account_state.c: accounts come back as they were, or whoever they were of has spent everything. */
#include "sink_rig.h"

#include "scratch.h"
#include "vault/account_state.h"

static struct accounts as;
static struct budget limits;
static const int64_t t0 = (int64_t)500000 * 3600000;

static struct secret *key_of(uint8_t byte)
{
    struct secret *s = secret_new(32);
    memset(secret_edit(s), byte, 32);
    return s;
}

static void spend(const char *consumer, const char *credential, unsigned requests)
{
    struct account *a = account_of(&as, consumer, credential);
    const struct account_spent s = {.input = 10, .output = 5, .cost = 77};
    for (unsigned i = 0; i < requests; i++) {
        account_begin(&as, a, &limits, t0);
        (void)account_charge(&as, a, &limits, &s, t0);
    }
}

static bool durable(struct rig *r)
{
    sink_flush(r->sink, true);
    return sink_durable(r->sink) == sink_head(r->sink);
}

static void setup(struct rig *r)
{
    scratch_pool();
    rig_begin(r, NULL);
    rig_start_writer(r);
    accounts_clear(&as);
    CHECK_OK(budget_parse(view_str("requests: 100/h, tokens: 1M/d, cost: 9/d"), &limits, &r->why), r->why);
}

TEST(what_was_kept_comes_back)
{
    struct rig r;
    AUTO(auto_secret) struct secret *key = NULL;
    unsigned bad = 9;
    char name[16];
    setup(&r);
    key = key_of(1);
    for (unsigned i = 0; i < 40; i++) {
        (void)snprintf(name, sizeof(name), "c%u", i);
        spend("gw", name, i + 1);
    }
    account_state_keep(&as, r.sink, key, false);
    CHECK_INT(as.n_dirty, 0);
    CHECK(rig_until(&r, durable, 5000));
    accounts_clear(&as);
    CHECK_OK(account_state_load(&as, r.dirfd, key, &bad, &r.why), r.why);
    CHECK(bad == 0 && !as.suspect);
    for (unsigned i = 0; i < 40; i++) {
        (void)snprintf(name, sizeof(name), "c%u", i);
        const struct account *a = account_find(&as, "gw", name);
        CHECK(a && a->running == 0);
        CHECK_INT(a->window[BUDGET_REQUESTS].used, i + 1);
        CHECK_INT(a->window[BUDGET_TOKENS].used, 15 * (i + 1));
        CHECK_INT(a->window[BUDGET_COST].used, 77 * (i + 1));
        CHECK(a->window[BUDGET_REQUESTS].start_ms == t0 && a->window[BUDGET_REQUESTS].period_ms == 3600000);
    }
    rig_end(&r);
}

TEST(at_most_once_a_second_and_only_what_changed)
{
    struct rig r;
    AUTO(auto_secret) struct secret *key = NULL;
    setup(&r);
    key = key_of(1);
    spend("gw", "a", 1);
    account_state_keep(&as, r.sink, key, false);
    uint64_t head = sink_head(r.sink);
    account_state_keep(&as, r.sink, key, true); /* nothing changed */
    CHECK(sink_head(r.sink) == head);
    spend("gw", "a", 1);
    account_state_keep(&as, r.sink, key, false); /* too soon */
    CHECK(sink_head(r.sink) == head && as.n_dirty == 1);
    account_state_keep(&as, r.sink, key, true);
    CHECK(sink_head(r.sink) > head && as.n_dirty == 0);
    rig_end(&r);
}

/* each single byte of the file changed, another key, another part's file: never fresh budgets */
TEST(a_file_that_does_not_verify_makes_its_accounts_spent)
{
    struct rig r;
    AUTO(auto_secret) struct secret *key = NULL, *other = NULL;
    AUTO(buf_free) struct buf good = {0};
    unsigned bad;
    setup(&r);
    key = key_of(1);
    other = key_of(2);
    spend("gw", "a", 1);
    account_state_keep(&as, r.sink, key, true);
    CHECK(rig_until(&r, durable, 5000));
    CHECK_OK(file_read_at(r.dirfd, "budget-000000.state", 8192, &good, &r.why), r.why);
    for (size_t i = 0; i < good.len; i++) {
        good.p[i] ^= 1;
        CHECK_OK(file_write_atomic_at(r.dirfd, "budget-000000.state", buf_view(&good), 0600, &r.why), r.why);
        good.p[i] ^= 1;
        accounts_clear(&as);
        CHECK_OK(account_state_load(&as, r.dirfd, key, &bad, &r.why), r.why);
        CHECK(bad == 1 && as.suspect && !account_find(&as, "gw", "a"));
    }
    CHECK(strstr(r.why.text, "budget-000000.state"));
    int64_t retry;
    CHECK_INT(account_check(&as, account_of(&as, "gw", "a"), &limits, t0, &retry, &r.why), ERR_LIMIT);
    CHECK_OK(file_write_atomic_at(r.dirfd, "budget-000000.state", buf_view(&good), 0600, &r.why), r.why);
    accounts_clear(&as);
    CHECK_OK(account_state_load(&as, r.dirfd, other, &bad, &r.why), r.why);
    CHECK(bad == 1 && as.suspect);
    CHECK_OK(file_write_atomic_at(r.dirfd, "budget-000001.state", buf_view(&good), 0600, &r.why), r.why);
    accounts_clear(&as);
    CHECK_OK(account_state_load(&as, r.dirfd, key, &bad, &r.why), r.why);
    CHECK(bad == 1 && as.suspect && account_find(&as, "gw", "a"));
    /* other files are not looked at */
    CHECK_OK(file_remove_at(r.dirfd, "budget-000001.state", &r.why), r.why);
    CHECK_OK(file_write_atomic_at(r.dirfd, "budget-1.state", buf_view(&good), 0600, &r.why), r.why);
    CHECK_OK(file_write_atomic_at(r.dirfd, "budget-999999.state", buf_view(&good), 0600, &r.why), r.why);
    accounts_clear(&as);
    CHECK_OK(account_state_load(&as, r.dirfd, key, &bad, &r.why), r.why);
    CHECK(bad == 0 && !as.suspect);
    CHECK_OK(account_state_remove(r.dirfd, &r.why), r.why);
    CHECK(faccessat(r.dirfd, "budget-000000.state", F_OK, 0) != 0);
    CHECK_OK(file_remove_at(r.dirfd, "budget-1.state", &r.why), r.why);
    CHECK_OK(file_remove_at(r.dirfd, "budget-999999.state", &r.why), r.why);
    rig_end(&r);
    accounts_clear(&as);
}

TEST(parts_are_strict)
{
    AUTO(buf_free) struct buf plain = {0};
    struct why why = {0};
    accounts_clear(&as);
    CHECK_OK(budget_parse(view_str("requests: 100/h, cost: 9/d"), &limits, &why), why);
    spend("gw", "a", 1);
    spend("gw", "b", 1);
    account_part_encode(&as, 0, &plain);
    for (size_t n = 0; n < plain.len; n++) {
        struct accounts got = {0};
        CHECK_INT(account_part_decode(&got, 0, VIEW(plain.p, n), &why), ERR_CORRUPT);
        CHECK(!got.slot || !got.slot[0]); /* all or nothing */
        accounts_clear(&got);
    }
    struct accounts got = {0};
    buf_put_u8(&plain, 0);
    CHECK_INT(account_part_decode(&got, 0, buf_view(&plain), &why), ERR_CORRUPT);
    plain.len--;
    CHECK_OK(account_part_decode(&got, 3, buf_view(&plain), &why), why);
    CHECK_INT(account_find(&got, "gw", "a")->slot, 3 * ACCOUNTS_PER_PART);
    CHECK_INT(account_part_decode(&got, 4, buf_view(&plain), &why), ERR_CORRUPT); /* the same names twice */
    accounts_clear(&got);
    accounts_clear(&as);
}

/* the longest names and every kind of window fit one entry */
TEST(a_full_part_fits_its_file)
{
    AUTO(buf_free) struct buf plain = {.max = 4096 - 64};
    struct why why = {0};
    char name[65];
    accounts_clear(&as);
    CHECK_OK(budget_parse(view_str("requests: 100/h, tokens: 1M/d, input: 1/d, output: 1/d, cost: 9/d"), &limits, &why), why);
    for (unsigned i = 0; i < ACCOUNTS_PER_PART; i++) {
        memset(name, 'a' + (int)i, 64);
        name[64] = '\0';
        spend(name, name, 1);
    }
    account_part_encode(&as, 0, &plain);
    CHECK_OK(buf_ok(&plain, &why), why);
    accounts_clear(&as);
}
