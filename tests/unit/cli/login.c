/* cli/login.c: what is asked of the broker, and what is said. */
#include "unit/cli/operator.h"

#define ID    "0123456789abcdef0123456789abcdef"
#define STATE "SSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSS"
#define NONE  call_on("GET /v1/credentials/claude ", 404, "{\"error\":\"not_found\",\"message\":\"nothing\"}")
#define HAS(state) call_on("GET /v1/credentials/claude ", 200, "{\"name\":\"claude\",\"provider\":\"claude\",\"state\":\"" state "\",\"detail\":{}}")
#define BEGUN(flow)                                                                                                                          \
    call_on("POST /v1/logins ", 200, "{\"id\":\"" ID "\",\"name\":\"claude\",\"flow\":\"" flow "\",\"status\":\"waiting\","                   \
                                     "\"authorize_url\":\"https://idp.example/auth?x\",\"state\":\"" STATE "\"}")
#define AT(status, more) "{\"id\":\"" ID "\",\"name\":\"claude\",\"status\":\"" status "\"" more "}"
#define DONE             AT("done", ",\"version\":3,\"renewable\":true")

static struct fake_reply once(const char *match, int status, const char *json)
{
    struct fake_reply r = call_on(match, status, json);
    r.often = false;
    return r;
}

TEST(a_pasted_code_goes_to_the_broker_and_nothing_of_it_is_shown)
{
    BEGIN(NONE, BEGUN("page"), once("GET /v1/logins/", 200, AT("waiting", "")), once("POST /v1/logins/" ID "/code ", 200, AT("exchanging", "")),
          call_on("GET /v1/logins/", 200, DONE));
    CHECK_INT(OP_IN(verb_login, "my-code#" STATE "\n", "login", "claude", "--provider", "claude"), 0);
    ASKED("POST /v1/logins", "{\"name\":\"claude\",\"provider\":\"claude\",\"flow\":\"page\"}");
    ASKED("POST /v1/logins/" ID "/code", "{\"code\":\"my-code\",\"state\":\"" STATE "\"}");
    SAYS("claude: logged in, version 3, sealed.");
    WARNS("https://idp.example/auth?x");
    CHECK(!strstr(call_out, "my-code") && !strstr(call_err, "my-code") && !strstr(call_err, "refresh token"));
    fake_stop(&fake);
}

TEST(a_code_of_another_login_is_said_and_the_next_one_taken)
{
    BEGIN(NONE, BEGUN("page"), once("GET /v1/logins/", 200, AT("waiting", "")), once("GET /v1/logins/", 200, AT("waiting", "")),
          once("POST /v1/logins/" ID "/code ", 401, "{\"error\":\"bad_token\",\"message\":\"another login's\"}"),
          once("POST /v1/logins/" ID "/code ", 200, AT("exchanging", "")), call_on("GET /v1/logins/", 200, DONE));
    CHECK_INT(OP_IN(verb_login, "\nhalf\na#wrong\nb#" STATE, "login", "claude", "--provider", "claude"), 0);
    WARNS("another login's");
    WARNS("paste all of it");
    fake_stop(&fake);
}

TEST(input_that_ends_gives_it_up)
{
    BEGIN(NONE, BEGUN("page"), call_on("GET /v1/logins/", 200, AT("waiting", "")), call_on("DELETE /v1/logins/", 200, "{}"));
    CHECK_INT(OP_IN(verb_login, "", "login", "claude", "--provider", "claude"), 2);
    WARNS("standard input, which has ended");
    ASKED("DELETE /v1/logins/" ID, NULL);
    fake_stop(&fake);
}

TEST(a_failed_login_is_its_error)
{
    BEGIN(NONE, BEGUN("page"), once("GET /v1/logins/", 200, AT("waiting", "")), once("POST /v1/logins/" ID "/code ", 200, AT("exchanging", "")),
          call_on("GET /v1/logins/", 200, AT("failed", ",\"error\":\"unavailable\",\"message\":\"idp.example: no way\"")));
    CHECK_INT(OP_IN(verb_login, "c#" STATE "\n", "login", "claude", "--provider", "claude", "--json"), 21);
    WARNS("idp.example: no way");
    SAYS("{\"error\":\"unavailable\",\"message\":\"idp.example: no way\"}");
    fake_stop(&fake);
}

TEST(a_device_code_is_shown)
{
    BEGIN(NONE, once("POST /v1/logins ", 200, AT("starting", "")), once("GET /v1/logins/", 200, AT("starting", "")),
          once("GET /v1/logins/", 200, AT("waiting", ",\"user_code\":\"AB-CD\",\"verification_uri\":\"https://idp.example/d\",\"verification_uri_complete\":null")),
          call_on("GET /v1/logins/", 200, DONE));
    CHECK_INT(OP(verb_login, "login", "claude", "--provider", "codex", "--device"), 0);
    ASKED("POST /v1/logins", "{\"name\":\"claude\",\"provider\":\"codex\",\"flow\":\"device\"}");
    WARNS("https://idp.example/d");
    WARNS("enter this code: AB-CD");
    fake_stop(&fake);
}

TEST(a_login_that_works_is_not_replaced_unasked_and_a_dead_one_is)
{
    BEGIN(HAS("ok"));
    CHECK_INT(OP(verb_login, "login", "claude"), 7);
    WARNS("broker-cli login claude --replace");
    CHECK_INT(OP(verb_login, "login", "claude", "--replace"), 2);
    WARNS("say --yes");
    fake_stop(&fake);
    BEGIN(HAS("needs_login"), BEGUN("page"), call_on("GET /v1/logins/", 200, DONE));
    CHECK_INT(OP(verb_login, "login", "claude"), 0); /* the provider is the old one's */
    ASKED("POST /v1/logins", "{\"name\":\"claude\",\"provider\":\"claude\",\"flow\":\"page\",\"replace\":true}");
    fake_stop(&fake);
}

TEST(a_clients_secret_comes_from_a_file_and_is_not_shown)
{
    BEGIN(NONE, once("POST /v1/logins ", 200, AT("exchanging", "")), call_on("GET /v1/logins/", 200, AT("done", ",\"version\":1,\"renewable\":false")));
    CHECK_INT(OP_IN(verb_login, "hush\n", "login", "claude", "--provider", "corp", "--client-credentials", "--client-secret-file", "-", "--origin",
                    "https://a.example", "--deliver", "proxy,helper"),
              0);
    ASKED("POST /v1/logins", "{\"name\":\"claude\",\"provider\":\"corp\",\"flow\":\"client\",\"client_secret\":\"hush\",\"origin\":\"https://a.example\","
                             "\"ceiling\":[\"proxy\",\"helper\"]}");
    CHECK(!strstr(call_out, "hush") && !strstr(call_err, "hush"));
    WARNS("offline_access");
    fake_stop(&fake);
}

TEST(on_a_terminal_a_code_is_not_echoed)
{
    static const struct op_step steps[] = {{"Then paste the code", "typed-code#" STATE "\n"}, {NULL, NULL}};
    BEGIN(NONE, BEGUN("page"), once("GET /v1/logins/", 200, AT("waiting", "")), once("POST /v1/logins/" ID "/code ", 200, AT("exchanging", "")),
          call_on("GET /v1/logins/", 200, DONE));
    CHECK_INT(TTY(verb_login, steps, "login", "claude", "--provider", "claude"), 0);
    SAYS("claude: logged in");
    CHECK(!strstr(call_out, "typed-code") && strstr(fake_seen(&fake), "typed-code"));
    fake_stop(&fake);
}

TEST(an_interrupt_gives_it_up_and_the_broker_is_told)
{
    static const struct op_step steps[] = {{"Then paste the code", "\003"}, {NULL, NULL}};
    BEGIN(NONE, BEGUN("page"), call_on("GET /v1/logins/", 200, AT("waiting", "")), call_on("DELETE /v1/logins/", 200, "{}"));
    int status = TTY(verb_login, steps, "login", "claude", "--provider", "claude");
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
    ASKED("DELETE /v1/logins/" ID, NULL);
    fake_stop(&fake);
}

TEST(slips)
{
    static const struct {
        const char *words[8];
        int code;
        const char *says;
    } rows[] = {
        {{"login"}, 2, "broker-cli login NAME --provider PROVIDER"},
        {{"login", "claude"}, 2, "--provider is needed"},
        {{"login", "claude", "--provider", "openai"}, 2, "broker-cli enroll claude --provider openai"},
        {{"login", "claude", "--device", "--paste"}, 2, "one of them"},
        {{"login", "claude", "--client-credentials"}, 2, "--client-secret-file"},
        {{"login", "claude", "--provider", "corp", "--client-credentials", "--client-secret-file", "/nonexistent"}, 6, "/nonexistent"},
        {{"login", "claude", "--provider", "claude", "--deliver", "fax"}, 2, "fax"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *line[16];
        size_t n = 0;
        BEGIN(NONE);
        for (; rows[i].words[n]; n++)
            line[n] = rows[i].words[n];
        line[n++] = "--socket";
        line[n++] = fake.path;
        line[n] = NULL;
        int code = op_call(verb_login, line, "");
        CHECK(code == rows[i].code || !printf("    %s: %d %s\n", rows[i].says, code, call_err));
        WARNS(rows[i].says);
        CHECK(!strstr(fake_seen(&fake), "POST "));
        fake_stop(&fake);
    }
}
