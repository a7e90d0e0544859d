/* vault/policy.c: a table of questions and their answers, and that every refusal names the limit and the remedy. */
#include "check.h"

#include "base/auto.h"
#include "vault/policy.h"

#include <unistd.h>

static struct why why;

enum { P = 1 << DELIVER_PROXY, A = 1 << DELIVER_ACCESS_TOKEN, F = 1 << DELIVER_FILE, H = 1 << DELIVER_HELPER,
       S = 1 << DELIVER_SECRET, ALL = P | A | F | H | S };
#define MIN ((int64_t)60000)
#define HOUR (60 * MIN)
#define NO DELIVER__COUNT /* no delivery asked for */

/* One consumer with one grant for "claude"; what is asked; what comes. */
struct row {
    unsigned granted, provider;
    enum delivery asked;
    int64_t ttl;
    uint64_t uses_granted, uses;
    bool owner_granted, owner, pidfd;
    err_t expected;
    enum delivery delivery;
    int64_t ttl_out;
    uint64_t uses_out;
    bool owner_out;
};

/* The grant's ttl is 15m, its max_ttl 1h. */
static const struct row rows[] = {
    /* deliveries: granted, served, asked → the least exposed or the asked one */
    {ALL, ALL, NO, 0, 0, 0, 0, 0, 1, ERR_OK, DELIVER_PROXY, 15 * MIN, 0, 0},
    {ALL & ~P, ALL, NO, 0, 0, 0, 0, 0, 1, ERR_OK, DELIVER_ACCESS_TOKEN, 15 * MIN, 0, 0},
    {ALL, ALL & ~P, NO, 0, 0, 0, 0, 0, 1, ERR_OK, DELIVER_ACCESS_TOKEN, 15 * MIN, 0, 0},
    {F | H | S, ALL, NO, 0, 0, 0, 0, 0, 1, ERR_OK, DELIVER_FILE, 15 * MIN, 0, 0},
    {H | S, ALL, NO, 0, 0, 0, 0, 0, 1, ERR_OK, DELIVER_HELPER, 15 * MIN, 0, 0},
    {S, ALL, NO, 0, 0, 0, 0, 0, 1, ERR_OK, DELIVER_SECRET, 15 * MIN, 0, 0},
    {ALL, S, NO, 0, 0, 0, 0, 0, 1, ERR_OK, DELIVER_SECRET, 15 * MIN, 0, 0},
    {ALL, F | S, NO, 0, 0, 0, 0, 0, 1, ERR_OK, DELIVER_FILE, 15 * MIN, 0, 0},
    {F | S, A | S, NO, 0, 0, 0, 0, 0, 1, ERR_OK, DELIVER_SECRET, 15 * MIN, 0, 0},
    {F, S, NO, 0, 0, 0, 0, 0, 1, ERR_DENIED, 0, 0, 0, 0},
    {A | F, H | S, NO, 0, 0, 0, 0, 0, 1, ERR_DENIED, 0, 0, 0, 0},
    {ALL, 0, NO, 0, 0, 0, 0, 0, 1, ERR_DENIED, 0, 0, 0, 0},
    {S, ALL, DELIVER__COUNT + 1, 0, 0, 0, 0, 0, 1, ERR_DENIED, 0, 0, 0, 0},
    /* ttl */
    {F, F, NO, 1000, 0, 0, 0, 0, 1, ERR_OK, DELIVER_FILE, 1000, 0, 0},
    {F, F, NO, 999, 0, 0, 0, 0, 1, ERR_INVALID, 0, 0, 0, 0},
    {F, F, NO, 1, 0, 0, 0, 0, 1, ERR_INVALID, 0, 0, 0, 0},
    {F, F, NO, -1, 0, 0, 0, 0, 1, ERR_INVALID, 0, 0, 0, 0},
    {F, F, NO, INT64_MIN, 0, 0, 0, 0, 1, ERR_INVALID, 0, 0, 0, 0},
    {F, F, NO, 15 * MIN - 1, 0, 0, 0, 0, 1, ERR_OK, DELIVER_FILE, 15 * MIN - 1, 0, 0},
    {F, F, NO, 15 * MIN, 0, 0, 0, 0, 1, ERR_OK, DELIVER_FILE, 15 * MIN, 0, 0},
    {F, F, NO, 15 * MIN + 1, 0, 0, 0, 0, 1, ERR_DENIED, 0, 0, 0, 0},
    {F, F, NO, HOUR, 0, 0, 0, 0, 1, ERR_DENIED, 0, 0, 0, 0},
    {F, F, NO, INT64_MAX, 0, 0, 0, 0, 1, ERR_DENIED, 0, 0, 0, 0},
    /* uses */
    {F, F, NO, 0, 0, 1, 0, 0, 1, ERR_OK, DELIVER_FILE, 15 * MIN, 1, 0},
    {F, F, NO, 0, 0, UINT64_MAX, 0, 0, 1, ERR_OK, DELIVER_FILE, 15 * MIN, UINT64_MAX, 0},
    {F, F, NO, 0, 5, 0, 0, 0, 1, ERR_OK, DELIVER_FILE, 15 * MIN, 5, 0},
    {F, F, NO, 0, 5, 1, 0, 0, 1, ERR_OK, DELIVER_FILE, 15 * MIN, 1, 0},
    {F, F, NO, 0, 5, 5, 0, 0, 1, ERR_OK, DELIVER_FILE, 15 * MIN, 5, 0},
    {F, F, NO, 0, 5, 6, 0, 0, 1, ERR_DENIED, 0, 0, 0, 0},
    {F, F, NO, 0, 1, UINT64_MAX, 0, 0, 1, ERR_DENIED, 0, 0, 0, 0},
    /* owner: granted, asked, the kernel's pidfd */
    {F, F, NO, 0, 0, 0, 0, 1, 1, ERR_OK, DELIVER_FILE, 15 * MIN, 0, 1},
    {F, F, NO, 0, 0, 0, 1, 0, 1, ERR_OK, DELIVER_FILE, 15 * MIN, 0, 1},
    {F, F, NO, 0, 0, 0, 1, 1, 1, ERR_OK, DELIVER_FILE, 15 * MIN, 0, 1},
    {F, F, NO, 0, 0, 0, 0, 0, 0, ERR_OK, DELIVER_FILE, 15 * MIN, 0, 0},
    {F, F, NO, 0, 0, 0, 1, 0, 0, ERR_DENIED, 0, 0, 0, 0},
    {F, F, NO, 0, 0, 0, 0, 1, 0, ERR_DENIED, 0, 0, 0, 0},
    /* the first step that fails is the answer */
    {F, S, DELIVER_FILE, 1, 1, 2, 1, 1, 0, ERR_DENIED, 0, 0, 0, 0},
    {F, F, DELIVER_FILE, 1, 1, 2, 1, 1, 0, ERR_INVALID, 0, 0, 0, 0},
};

static char claude[] = "claude";
static struct config_grant grant;
static struct config_consumer consumer = {.name = (char[]){"gateway"}, .grants = &grant, .n_grants = 1};

static void try_row(const struct row *r)
{
    static const struct policy_limits untouched = {.delivery = 77, .ttl_ms = -7, .max_ttl_ms = -7, .uses = 7};
    struct peer peer = {.uid = 1000, .gid = 1000, .pid = 2, .pidfd = r->pidfd ? 3 : -1};
    struct policy_ask ask = {.credential = view_str("claude"), .has_delivery = r->asked != NO, .delivery = r->asked,
                             .ttl_ms = r->ttl, .uses = r->uses, .owner_process = r->owner, .provider_mask = r->provider};
    struct policy_limits out = untouched;
    grant = (struct config_grant){.credential = claude, .ttl_ms = 15 * MIN, .max_ttl_ms = HOUR, .deliver = r->granted,
                                  .uses = r->uses_granted, .owner_process = r->owner_granted};
    why.text[0] = '\0';
    CHECK_INT(policy_decide(&consumer, &peer, &ask, &out, &why), r->expected);
    if (r->expected != ERR_OK) {
        CHECK(memcmp(&out, &untouched, sizeof(out)) == 0);
        CHECK(strlen(why.text) > 20);
        return;
    }
    CHECK_INT(out.delivery, r->delivery);
    CHECK_INT(out.ttl_ms, r->ttl_out);
    CHECK_INT(out.max_ttl_ms, HOUR);
    CHECK(out.uses == r->uses_out && out.owner_process == r->owner_out);
}

TEST(questions_and_answers)
{
    for (size_t i = 0; i < COUNT(rows); i++)
        try_row(&rows[i]);
}

/* Every set of granted and served deliveries against every question: 32 * 32 * 6 cases, from the rule alone. */
TEST(the_whole_matrix_of_deliveries)
{
    unsigned allowed_cases = 0;
    for (unsigned granted = 1; granted <= ALL; granted++)
        for (unsigned served = 0; served <= ALL; served++)
            for (unsigned asked = 0; asked <= DELIVER__COUNT; asked++) {
                unsigned both = granted & served;
                bool ok = asked == NO ? both != 0 : (both & 1u << asked) != 0;
                unsigned least = 0;
                while (both && !(both & 1u << least))
                    least++;
                struct row r = {granted, served, asked, 0, 0, 0, 0, 0, 1, ok ? ERR_OK : ERR_DENIED, asked == NO ? least : asked,
                                15 * MIN, 0, 0};
                try_row(&r);
                allowed_cases += ok;
            }
    CHECK_INT(allowed_cases, 31 * 32 - (243 - 32) + 5 * 16 * 16);
}

static err_t decide(const char *credential, unsigned mask, const struct peer *peer)
{
    struct policy_ask ask = {.credential = view_str(credential), .provider_mask = mask};
    struct policy_limits out;
    return policy_decide(&consumer, peer, &ask, &out, &why);
}

TEST(no_grant_and_no_credential_look_alike)
{
    struct peer peer = {.pidfd = -1};
    char first[256];
    grant = (struct config_grant){.credential = claude, .deliver = ALL, .ttl_ms = MIN, .max_ttl_ms = MIN};
    CHECK_OK(decide("claude", ALL, &peer), why);
    CHECK_INT(decide("openai", ALL, &peer), ERR_DENIED); /* enrolled, not granted */
    strcpy(first, why.text);
    CHECK_INT(decide("openai", 0, &peer), ERR_DENIED); /* neither */
    CHECK_STR(why.text, first);
    CHECK_INT(decide("claude", 0, &peer), ERR_DENIED); /* granted, not enrolled */
    CHECK_STR(why.text, "gateway has no grant for \"claude\", or it is not enrolled: see the grants, or ask the operator for a grant");
    static const char *const near[] = {"", "claud", "claude2", "Claude", "claude ", "c"};
    for (size_t i = 0; i < COUNT(near); i++)
        CHECK_INT(decide(near[i], ALL, &peer), ERR_DENIED);
    struct policy_ask ask = {.credential = VIEW("claude\0x", 8), .provider_mask = ALL};
    struct policy_limits out;
    CHECK_INT(policy_decide(&consumer, &peer, &ask, &out, &why), ERR_DENIED);
}

TEST(sentences_name_the_limit_and_the_remedy)
{
    static const struct {
        struct row row;
        const char *limit, *remedy;
    } said[] = {
        {{F, F, NO, 2 * HOUR, 0, 0, 0, 0, 1, ERR_DENIED, 0, 0, 0, 0}, "a ttl of 2h is over the grant's 15m", "raise the grant's ttl"},
        {{F, F, NO, 0, 5, 6, 0, 0, 1, ERR_DENIED, 0, 0, 0, 0}, "6 uses are over the grant's 5", "ask for fewer"},
        {{F | S, A | F | S, DELIVER_ACCESS_TOKEN, 0, 0, 0, 0, 0, 1, ERR_DENIED, 0, 0, 0, 0}, "is not granted", "ask for file, secret"},
        {{F, S, NO, 0, 0, 0, 0, 0, 1, ERR_DENIED, 0, 0, 0, 0}, "allows file", "serves none of them"},
        {{F, F, NO, 10, 0, 0, 0, 0, 1, ERR_INVALID, 0, 0, 0, 0}, "at least 1s", ""},
        {{F, F, NO, 0, 0, 0, 1, 0, 0, ERR_DENIED, 0, 0, 0, 0}, "cannot tell when a process ends", "owner: none"},
    };
    for (size_t i = 0; i < COUNT(said); i++) {
        try_row(&said[i].row);
        if (!strstr(why.text, said[i].limit) || !strstr(why.text, said[i].remedy))
            printf("    case %zu: %s\n", i, why.text);
        CHECK(strstr(why.text, said[i].limit) && strstr(why.text, said[i].remedy));
    }
}

TEST(conditions_of_consumer_and_grant_both_hold)
{
    uint32_t one[] = {1000}, two[] = {1000, 2000};
    struct config_peer none = {0}, only1 = {.uid = {one, 1}}, both = {.uid = {two, 2}}, gid = {.gid = {two, 2}};
    const struct {
        const struct config_peer *of_consumer, *of_grant;
        uint32_t uid, gid;
        err_t expected;
    } cases[] = {
        {&none, &none, 5, 5, ERR_OK},       {&only1, &none, 1000, 5, ERR_OK},   {&only1, &none, 2000, 5, ERR_DENIED},
        {&none, &only1, 1000, 5, ERR_OK},   {&none, &only1, 2000, 5, ERR_DENIED}, {&both, &only1, 1000, 5, ERR_OK},
        {&both, &only1, 2000, 5, ERR_DENIED}, {&only1, &both, 2000, 5, ERR_DENIED}, {&both, &both, 2000, 5, ERR_OK},
        {&gid, &none, 1, 2000, ERR_OK},     {&gid, &none, 2000, 1, ERR_DENIED}, {&only1, &gid, 1000, 2000, ERR_OK},
        {&only1, &gid, 1000, 1, ERR_DENIED}, {&both, &none, 0, 0, ERR_DENIED}, /* root is nobody special */
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct peer peer = {.uid = cases[i].uid, .gid = cases[i].gid, .pidfd = -1};
        grant = (struct config_grant){.credential = claude, .deliver = F, .ttl_ms = MIN, .max_ttl_ms = MIN,
                                      .peer = *cases[i].of_grant};
        consumer.peer = *cases[i].of_consumer;
        CHECK_INT(decide("claude", F, &peer), cases[i].expected);
    }
    consumer.peer = none;
}

TEST(the_right_one_of_many_grants)
{
    static char names[40][8];
    static struct config_grant grants[40];
    struct config_consumer many = {.name = (char[]){"m"}, .grants = grants, .n_grants = 40};
    struct peer peer = {.pidfd = -1};
    for (unsigned i = 0; i < 40; i++) {
        snprintf(names[i], sizeof(names[i]), "c%u", i);
        grants[i] = (struct config_grant){.credential = names[i], .deliver = F, .ttl_ms = 1000 + i, .max_ttl_ms = 9999};
    }
    for (unsigned i = 0; i < 40; i++) {
        struct policy_ask ask = {.credential = view_str(names[i]), .provider_mask = F};
        struct policy_limits out;
        CHECK_OK(policy_decide(&many, &peer, &ask, &out, &why), why);
        CHECK_INT(out.ttl_ms, 1000 + i);
    }
    many.n_grants = 0;
    struct policy_ask ask = {.credential = view_str("c0"), .provider_mask = F};
    struct policy_limits out;
    CHECK_INT(policy_decide(&many, &peer, &ask, &out, &why), ERR_DENIED);
}

TEST(administrators_are_root_the_daemon_and_the_list)
{
    uint32_t list[] = {4000, 4001};
    struct config c = {.admin_uid = {list, 2}}, empty = {0};
    uint32_t own = (uint32_t)geteuid();
    const struct {
        const struct config *c;
        uint32_t uid;
        err_t expected;
    } cases[] = {{&empty, 0, ERR_OK}, {&empty, own, ERR_OK}, {&empty, own + 7, ERR_DENIED}, {&c, 4000, ERR_OK}, {&c, 4001, ERR_OK},
                 {&c, 4002, ERR_DENIED}, {&c, 0, ERR_OK}, {&c, UINT32_MAX, ERR_DENIED}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct peer peer = {.uid = cases[i].uid, .gid = 0, .pidfd = -1};
        CHECK_INT(policy_admin(cases[i].c, &peer, &why), cases[i].expected);
    }
    CHECK(strstr(why.text, "admin: { uid: [..] }"));
}
