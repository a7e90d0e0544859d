/* enroll --from-home: the order of the steps, and what is refused before any of them. */
#include "unit/cli/home_rig.h"

#include "cli/home.h"

#define LOGIN                                                                                      \
    "{\"claudeAiOauth\":{\"accessToken\":\"sk-ant-oat01-FAKE-acc\",\"refreshToken\":\"sk-ant-ort01-FAKE-ref\",\"expiresAt\":4070908800000}}"
#define STRIPPED                                                                                   \
    "{\"claudeAiOauth\":{\"accessToken\":\"sk-ant-oat01-FAKE-acc\",\"refreshToken\":null,\"expiresAt\":4070908800000}}"
#define SHOWN(expires) "{\"name\":\"claude\",\"provider\":\"claude\",\"kind\":\"login\",\"expires_at_ms\":" expires ",\"state\":\"ok\"}"
#define NONE           "{\"error\":\"not_found\",\"message\":\"nothing of that name\"}"

#define TAKE_OVER(...) OP(verb_enroll, "enroll", "--from-home", "claude", "--home", home.path, ##__VA_ARGS__)

TEST(sealed_first_and_only_then_stripped)
{
    home_begin(LOGIN);
    BEGIN(call_on("GET /v1/credentials/claude ", 404, NONE), call_on("POST /v1/credentials ", 200, SHOWN("4070908800000")),
          call_on(NAMED("GET ", ""), 404, NONE), call_on("POST /v1/consumers ", 200, "{}"),
          call_on(NAMED("POST ", "/grants"), 200, "{}"),
          call_on("DELETE /v1/credentials/claude/release ", 200, "{\"resumed\":\"claude\"}"));
    CHECK_INT(TAKE_OVER("--yes"), 0);
    SAYS("claude: taken over, sealed.\n");
    SAYS("broker-cli keep claude");
    WARNS("is sealed by the broker as \"claude\"");
    WARNS("broker-cli release claude");
    CHECK(!strstr(call_err, "FAKE-") && !strstr(call_out, "FAKE-"));
    CHECK_STR(now_holds(), STRIPPED);
    CHECK(strstr(fake_seen(&fake), "\"hold\":true"));
    CHECK(strstr(fake_seen(&fake), "DELETE /v1/credentials/claude/release ") > strstr(fake_seen(&fake), "/grants "));
    CHECK(strstr(fake_seen(&fake), "{\"credential\":\"claude\",\"deliver\":[\"file\"]}"));
    home_end();
}

TEST(a_broker_that_fails_leaves_the_file_alone)
{
    const char *const at[] = {"POST /v1/credentials ", "POST /v1/consumers ", NAMED("POST ", "/grants")};
    for (size_t i = 0; i < COUNT(at); i++) {
        home_begin(LOGIN);
        BEGIN(call_on(at[i], 503, "{\"error\":\"audit_unavailable\",\"message\":\"the log is full\"}"),
              call_on("GET /v1/credentials/claude ", 404, NONE), call_on("POST /v1/credentials ", 200, SHOWN("4070908800000")),
              call_on(NAMED("GET ", ""), 404, NONE), call_on("POST /v1/consumers ", 200, "{}"));
        CHECK_INT(TAKE_OVER("--yes"), 15);
        WARNS("the log is full");
        CHECK_STR(now_holds(), LOGIN);
        home_end();
    }
}

TEST(what_is_held_is_let_go_when_the_file_is_without_it)
{
    static const char held[] = "{\"name\":\"claude\",\"provider\":\"claude\",\"kind\":\"login\",\"expires_at_ms\":4070908800000,\"state\":\"held\"}";
    for (int i = 0; i < 2; i++) { /* killed before the file was replaced; and behind it */
        home_begin(i ? STRIPPED : LOGIN);
        BEGIN(call_on("GET /v1/credentials/claude ", 200, held), call_on(NAMED("GET ", ""), 200, "{}"), call_on(NAMED("POST ", "/grants"), 200, "{}"),
              call_on("DELETE /v1/credentials/claude/release ", 200, "{\"resumed\":\"claude\"}"));
        CHECK_INT(TAKE_OVER("--yes"), 0);
        CHECK_STR(now_holds(), STRIPPED);
        CHECK(strstr(fake_seen(&fake), "DELETE /v1/credentials/claude/release "));
        home_end();
    }
}

TEST(the_same_login_goes_on_and_another_one_is_refused)
{
    home_begin(LOGIN);
    BEGIN(call_on("GET /v1/credentials/claude ", 200, SHOWN("4070908800000")), call_on(NAMED("GET ", ""), 200, "{}"),
          call_on(NAMED("POST ", "/grants"), 200, "{}"));
    CHECK_INT(TAKE_OVER("--yes"), 0);
    CHECK(!strstr(fake_seen(&fake), "POST /v1/credentials "));
    CHECK_STR(now_holds(), STRIPPED);
    CHECK_INT(TAKE_OVER("--yes"), 0); /* done already */
    SAYS("taken over already");
    home_end();
    home_begin(LOGIN);
    BEGIN(call_on("GET /v1/credentials/claude ", 200, SHOWN("4070908800001")));
    CHECK_INT(TAKE_OVER("--yes"), 7);
    WARNS("say --replace");
    CHECK_STR(now_holds(), LOGIN);
    home_end();
}

TEST(a_copy_warns_and_changes_nothing)
{
    home_begin(LOGIN);
    BEGIN(call_on("GET /v1/credentials/claude ", 404, NONE), call_on("POST /v1/credentials ", 200, SHOWN("4070908800000")));
    CHECK_INT(TAKE_OVER("--yes", "--copy"), 0);
    WARNS("two owners of one login log each other out");
    CHECK_STR(now_holds(), LOGIN);
    CHECK(!strstr(fake_seen(&fake), "/consumers"));
    CHECK_INT(TAKE_OVER("--copy"), 2);
    WARNS("say --yes");
    home_end();
}

TEST(slips)
{
    static const struct op_slip rows[] = {
        {verb_enroll, {"enroll", "--from-home", "gemini"}, "claude or codex"},
        {verb_enroll, {"enroll", "a", "b", "--from-home", "claude"}, "takes no source"},
        {verb_enroll, {"enroll", "--from-home", "claude", "--file", "x"}, "takes no source"},
        {verb_enroll, {"enroll", "a", "--provider", "claude", "--copy"}, "go with --from-home"},
        {verb_replace, {"replace", "a", "--from-home", "claude"}, "from-home"},
    };
    SLIPS(rows);
}
