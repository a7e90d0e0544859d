/* lease list, revoke, reload. */
#include "unit/cli/operator.h"

#include "base/clock.h"

#define ID "e9831642d4bc09a8c700a7e60dcace0a"
#define LEASE                                                                                      \
    "{\"consumer\":\"gateway\",\"uid\":0,\"pid\":6000,\"id\":\"" ID                                \
    "\",\"credential\":\"claude\",\"deliver\":\"access_token\","                                   \
    "\"expires_at_ms\":%lld,\"owner\":\"%s\"}"

static char page[2][600];

static void begin(void)
{
    long long now = (long long)clock_wall_ms();
    snprintf(page[0], sizeof(page[0]), "{\"leases\":[" LEASE "],\"cursor\":7}", now + 899500,
             "process");
    snprintf(page[1], sizeof(page[1]), "{\"leases\":[" LEASE "],\"cursor\":null}", now - 5000,
             "none");
    BEGIN(call_on("GET /v1/leases ", 200, page[0]),
          call_on("GET /v1/leases?cursor=7 ", 200, page[1]),
          call_on("GET /v1/leases?consumer=gateway&credential=claude ", 200, page[0]),
          call_on("GET /v1/leases?consumer=gateway&credential=claude&cursor=7 ", 200, page[1]),
          call_on("GET /v1/leases?credential=claude ", 200, page[1]));
}

TEST(a_list_over_all_pages)
{
    begin();
    CHECK_INT(OP2(verb_lease, "lease", "list"), 0);
    CHECK_STR(call_out, "LEASE                             CONSUMER  CREDENTIAL  DELIVERY      UID "
                        " PID   ENDS IN  OWNER\n" ID
                        "  gateway   claude      access_token  0    6000  14m 59s  process\n" ID
                        "  gateway   claude      access_token  0    6000  0s       -\n");
    CHECK_INT(OP2(verb_lease, "lease", "list", "--json"), 0);
    CHECK(strncmp(call_out, "{\"leases\":[{\"consumer\":\"gateway\",", 30) == 0);
    SAYS("},{\"consumer\":");
    SAYS("],\"cursor\":null}\n");
    fake_stop(&fake);
}

TEST(filters_go_with_every_page)
{
    begin();
    CHECK_INT(OP2(verb_lease, "lease", "list", "--credential", "claude", "--consumer", "gateway"),
              0);
    CHECK_INT(op_asked("GET /v1/leases?consumer=gateway&credential=claude&cursor=7", NULL), 1);
    CHECK_INT(OP2(verb_lease, "lease", "list", "--credential", "claude"), 0);
    CHECK_INT(op_asked("GET /v1/leases?credential=claude", NULL), 1);
    fake_stop(&fake);
}

TEST(revoking)
{
    BEGIN(call_on("POST /v1/revoke ", 200, "{\"ended\":1}"));
    CHECK_INT(OP(verb_revoke, "revoke", ID), 0);
    ASKED("POST /v1/revoke", "{\"lease\":\"" ID "\"}");
    CHECK_STR(call_out, "1 lease ended.\n");
    CHECK_INT(OP2(verb_lease, "lease", "revoke", "--consumer", "gateway"), 0);
    ASKED("POST /v1/revoke", "{\"consumer\":\"gateway\"}");
    CHECK_INT(
        OP(verb_revoke, "revoke", "--consumer", "gateway", "--credential", "claude", "--json"), 0);
    ASKED("POST /v1/revoke", "{\"consumer\":\"gateway\",\"credential\":\"claude\"}");
    CHECK_STR(call_out, "{\"ended\":1}\n");
    fake_stop(&fake);
}

TEST(revoking_all_asks_first)
{
    const struct op_step no[] = {{"Revoke every lease of every consumer? [y/N] ", "n\n"}, {0}};
    BEGIN(call_on("POST /v1/revoke ", 200, "{\"ended\":12}"));
    CHECK_INT(OP(verb_revoke, "revoke", "--all"), 2);
    WARNS("say --yes");
    int status = TTY(verb_revoke, no, "revoke", "--all");
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == err_exit(ERR_DENIED));
    CHECK_STR(fake_seen(&fake), "");
    CHECK_INT(OP(verb_revoke, "revoke", "--all", "--yes"), 0);
    ASKED("POST /v1/revoke", "{\"all\":true}");
    CHECK_STR(call_out, "12 leases ended.\n");
    fake_stop(&fake);
}

TEST(reloading)
{
    BEGIN(
        {.match = "POST /v1/reload ", .bytes = fake_ok(200, "{\"consumers\":2}")},
        {.match = "POST /v1/reload ", .bytes = fake_ok(200, "{\"consumers\":1}")},
        call_on(
            "POST /v1/reload ", 400,
            "{\"error\":\"invalid\",\"message\":\"broker.yaml: line 7: unknown key \\\"x\\\"\"}"));
    CHECK_INT(OP(verb_reload, "reload"), 0);
    CHECK_STR(call_out, "The configuration was read anew: 2 consumers.\n");
    CHECK_INT(OP(verb_reload, "reload"), 0);
    CHECK_STR(call_out, "The configuration was read anew: 1 consumer.\n");
    CHECK_INT(OP(verb_reload, "reload"), err_exit(ERR_INVALID));
    CHECK_STR(call_err, "broker-cli reload: broker.yaml: line 7: unknown key \"x\"\n");
    fake_stop(&fake);
}

TEST(slips)
{
    static const struct op_slip rows[] = {
        {verb_lease, {"lease", "list", "x"}, "not expected"},
        {verb_lease, {"lease", "list", "--consumer", "a&b"}, "is no name"},
        {verb_lease, {"lease", "revoke"}, "which leases?"},
        {verb_revoke, {"revoke"}, "which leases?"},
        {verb_revoke, {"revoke", "a", "b"}, "which leases?"},
        {verb_revoke, {"revoke", ID, "--consumer", "a"}, "one of the three"},
        {verb_revoke, {"revoke", "--all", "--consumer", "a"}, "one of the three"},
        {verb_reload, {"reload", "x"}, "not expected"},
    };
    SLIPS(rows);
}

TEST(refusals_and_broken_answers)
{
    BEGIN(call_on(NULL, 404, "{\"error\":\"not_found\",\"message\":\"no live lease of that id\"}"));
    CHECK_INT(OP(verb_revoke, "revoke", ID), err_exit(ERR_NOT_FOUND));
    CHECK_STR(call_err, "broker-cli revoke: no live lease of that id\n");
    fake_stop(&fake);
    BROKEN(verb_lease, "lease", "list");
    BROKEN(verb_revoke, "revoke", ID);
    BROKEN(verb_reload, "reload", "--json");
}
