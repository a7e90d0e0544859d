/* budget. */
#include "unit/cli/operator.h"

#include "base/clock.h"

static char page[2][900];

static void begin(void)
{
    long long now = (long long)clock_wall_ms();
    snprintf(page[0], sizeof(page[0]),
             "{\"budgets\":[{\"consumer\":\"gw\",\"credential\":\"claude\",\"budget\":\"x\",\"running\":1,\"concurrent\":4,"
             "\"limits\":[{\"of\":\"requests\",\"limit\":600,\"used\":12,\"left\":588,\"period_ms\":3600000,\"renews_at_ms\":%lld},"
             "{\"of\":\"cost\",\"limit\":5500000,\"used\":1230000,\"left\":4270000,\"period_ms\":86400000,\"renews_at_ms\":%lld}]}],"
             "\"next\":\"gw\"}",
             now + 90500, now + 7200500);
    snprintf(page[1], sizeof(page[1]),
             "{\"budgets\":[{\"consumer\":\"other\",\"credential\":\"key\",\"budget\":null,\"running\":0,\"concurrent\":null,\"limits\":[]}],"
             "\"next\":null}");
    BEGIN(call_on("GET /v1/budgets ", 200, page[0]), call_on("GET /v1/budgets?after=gw ", 200, page[1]),
          call_on("GET /v1/budgets?consumer=other ", 200, page[1]), call_on("GET /v1/budgets?consumer=none ", 404, "{\"error\":\"not_found\",\"message\":\"no such consumer\"}"),
          call_on("GET /v1/budgets?consumer=empty ", 200, "{\"budgets\":[],\"next\":null}"));
}

TEST(what_is_used_what_is_left_and_when_it_renews)
{
    begin();
    CHECK_INT(OP(verb_budget, "budget"), 0);
    CHECK_STR(call_out, "CONSUMER  CREDENTIAL  OF        LIMIT     USED   LEFT   RENEWS IN\n"
                        "gw        claude      requests  600/1h    12     588    1m 30s\n"
                        "gw        claude      cost      $5.50/1d  $1.23  $4.27  2h\n"
                        "gw        claude      running   4         1      3      -\n"
                        "other     key         running   -         0      -      -\n");
    fake_stop(&fake);
}

TEST(one_consumer_as_text_and_as_json)
{
    begin();
    CHECK_INT(OP(verb_budget, "budget", "other"), 0);
    SAYS("other     key");
    CHECK_INT(OP(verb_budget, "budget", "--json"), 0);
    SAYS("{\"budgets\":[{\"consumer\":\"gw\"");
    SAYS("\"credential\":\"key\"");
    CHECK_INT(OP(verb_budget, "budget", "none"), err_exit(ERR_NOT_FOUND));
    CHECK_INT(OP(verb_budget, "budget", "empty"), 0);
    WARNS("--deliver proxy");
    fake_stop(&fake);
}

TEST(lines_that_are_not_usable)
{
    static const struct op_slip rows[] = {{verb_budget, {"budget", "a", "b"}, "one consumer"}, {verb_budget, {"budget", "a/b"}, "consumer name"}};
    SLIPS(rows);
}

TEST(broken_answers)
{
    BROKEN(verb_budget, "budget");
}
