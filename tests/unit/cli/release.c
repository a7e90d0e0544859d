/* release: nothing is overwritten, nothing is forgotten before it is written. */
#include "unit/cli/home_rig.h"

#define PROJECTED "{\"mcpOAuth\":{\"x\":1.50},\"claudeAiOauth\":{\"accessToken\":\"sk-ant-oat01-FAKE-acc\",\"expiresAt\":4070908800000}}"
#define OWN       "{\"claudeAiOauth\":{\"accessToken\":\"sk-ant-oat01-FAKE-own\",\"refreshToken\":\"sk-ant-ort01-FAKE-own\",\"expiresAt\":4070908800001}}"
#define SHOWN(state, version)                                                                      \
    "{\"name\":\"claude\",\"provider\":\"claude\",\"kind\":\"login\",\"version\":" version ",\"expires_at_ms\":4070908800000,\"state\":\"" state "\"}"
#define BACK                                                                                       \
    "{\"name\":\"claude\",\"provider\":\"claude\",\"version\":2,\"ended\":1,\"fields\":{\"KIND\":\"login\",\"ACCESS_TOKEN\":\"sk-ant-oat01-FAKE-new\","                                                                                  \
    "\"REFRESH_TOKEN\":\"sk-ant-ort01-FAKE-\\u0072ef\",\"EXPIRES_AT\":\"4070908900000\",\"SCOPES\":\"user:inference user:profile\"}}"

#define GIVE_BACK(...) OP(verb_release, "release", "claude", "--home", home.path, ##__VA_ARGS__)

TEST(written_back_whole_and_then_forgotten)
{
    home_begin(PROJECTED);
    BEGIN(call_on("POST /v1/credentials/claude/release ", 200, BACK), call_on("GET /v1/credentials/claude ", 200, SHOWN("held", "2")),
          call_on("DELETE /v1/credentials/claude ", 200, "{\"removed\":\"claude\",\"ended\":0}"),
          call_on(NAMED("GET ", ""), 200, "{}"), call_on(NAMED("DELETE ", "/grants/claude"), 200, "{}"));
    CHECK_INT(GIVE_BACK("--yes"), 0);
    SAYS("claude: given back into ");
    WARNS("goes back into ");
    CHECK(!strstr(call_out, "FAKE") && !strstr(call_err, "FAKE"));
    CHECK_STR(now_holds(), "{\"mcpOAuth\":{\"x\":1.50},\"claudeAiOauth\":{\"scopes\":[\"user:inference\",\"user:profile\"],\"refreshToken\":\"sk-ant-ort01-FAKE-ref\","
                           "\"accessToken\":\"sk-ant-oat01-FAKE-new\",\"expiresAt\":4070908900000}}");
    CHECK(strstr(fake_seen(&fake), "DELETE /v1/credentials/claude ") > strstr(fake_seen(&fake), "/release "));
    CHECK_INT(GIVE_BACK("--yes"), 0); /* cut before its end and done again: the very login is there */
    home_end();
}

TEST(a_login_of_its_own_stays_and_the_broker_keeps_its)
{
    home_begin(OWN);
    BEGIN(call_on("GET /v1/credentials/claude ", 200, SHOWN("ok", "2")));
    CHECK_INT(GIVE_BACK("--yes"), 7);
    WARNS("holds another login");
    CHECK_STR(now_holds(), OWN);
    CHECK(!strstr(fake_seen(&fake), "/release "));
    home_end();
    /* held already: it is compared, and not removed */
    home_begin(OWN);
    BEGIN(call_on("POST /v1/credentials/claude/release ", 200, BACK), call_on("GET /v1/credentials/claude ", 200, SHOWN("held", "2")));
    CHECK_INT(GIVE_BACK("--yes"), 7);
    CHECK_STR(now_holds(), OWN);
    CHECK(!strstr(fake_seen(&fake), "DELETE "));
    home_end();
}

TEST(what_was_replaced_meanwhile_is_not_forgotten)
{
    home_begin(PROJECTED);
    BEGIN(call_on("POST /v1/credentials/claude/release ", 200, BACK), call_on("GET /v1/credentials/claude ", 200, SHOWN("held", "3")));
    CHECK_INT(GIVE_BACK("--yes"), 8);
    WARNS("was replaced meanwhile");
    CHECK(!strstr(fake_seen(&fake), "DELETE "));
    home_end();
}

TEST(an_answer_that_is_none_changes_nothing)
{
    static const char *const bad[] = {"", "[]", "{}", "{\"version\":1,\"fields\":{}}", "{\"version\":1,\"fields\":{\"ACCESS_TOKEN\":7}}", "{\"version\":1,\"fields\":[]}"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        home_begin(PROJECTED);
        BEGIN(call_on("POST /v1/credentials/claude/release ", 200, bad[i]), call_on("GET /v1/credentials/claude ", 200, SHOWN("held", "2")));
        CHECK(GIVE_BACK("--yes") != 0);
        CHECK_STR(now_holds(), PROJECTED);
        CHECK(!strstr(fake_seen(&fake), "DELETE "));
        home_end();
    }
}

TEST(slips)
{
    static const struct op_slip rows[] = {{verb_release, {"release"}, "which login?"}, {verb_release, {"release", "a", "b"}, "which login?"}};
    SLIPS(rows);
}
