/* refresh */
#include "unit/cli/operator.h"

TEST(a_login_is_renewed)
{
    BEGIN(call_on("POST /v1/credentials/claude/refresh ", 200, "{\"name\":\"claude\",\"version\":4,\"expires_at_ms\":4070908800000}"));
    CHECK_INT(OP(verb_refresh, "refresh", "claude"), 0);
    SAYS("claude: renewed, version 4; good for ");
    CHECK_INT(OP(verb_refresh, "refresh", "claude", "--json"), 0);
    CHECK_STR(call_out, "{\"name\":\"claude\",\"version\":4,\"expires_at_ms\":4070908800000}\n");
    fake_stop(&fake);
}

TEST(what_the_broker_says_is_passed_on)
{
    BEGIN(call_on("POST /v1/credentials/claude/refresh ", 409, "{\"error\":\"needs_login\",\"message\":\"its provider has ended it\"}"));
    CHECK_INT(OP(verb_refresh, "refresh", "claude"), err_exit(ERR_NEEDS_LOGIN));
    CHECK(strstr(call_err, "broker-cli refresh: its provider has ended it"));
    fake_stop(&fake);
}

TEST(its_line)
{
    BEGIN(call_on("GET /", 404, "{}"));
    CHECK_INT(OP(verb_refresh, "refresh"), err_exit(ERR_USAGE));
    CHECK(strstr(call_err, "which login?"));
    CHECK_INT(OP(verb_refresh, "refresh", "a", "b"), err_exit(ERR_USAGE));
    CHECK_INT(OP(verb_refresh, "refresh", "../x"), err_exit(ERR_USAGE));
    fake_stop(&fake);
}
