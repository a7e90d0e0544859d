/* enroll, replace: real logins on their way in, shown redacted; nothing of a secret on the outputs
 * or the command line. */
#include "unit/cli/operator.h"

#define KEY                                                                                        \
    "sk-ant-api03-FAKE-"                                                                           \
    "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqr-FAKEAA"
#define LOGIN                                                                                      \
    "{\"claudeAiOauth\":{\"accessToken\":\"sk-ant-oat01-FAKE-acc\",\"refreshToken\":\"sk-ant-"     \
    "ort01-FAKE-ref\","                                                                            \
    "\"expiresAt\":4070908800000,\"scopes\":[\"user:inference\",\"user:profile\"],"                \
    "\"subscriptionType\":\"max\"}}"
#define DONE(name) "{\"name\":\"" name "\",\"version\":1}"

static void nothing_secret_shows(void)
{
    static const char *const parts[] = {"FAKE-acc", "FAKE-ref", "FAKE-abc", "wordpass"};
    for (size_t i = 0; i < COUNT(parts); i++)
        CHECK(!strstr(call_out, parts[i]) && !strstr(call_err, parts[i]));
}

/* The decoded data_base64 of the only request. */
static const char *sent_data(struct buf *out)
{
    struct why why = {0};
    const char *at = strstr(fake_seen(&fake), "\"data_base64\":\"");
    CHECK(at);
    at += strlen("\"data_base64\":\"");
    CHECK_OK(base64url_decode(VIEW(at, strcspn(at, "\"")), out, &why), why);
    return buf_text(out);
}

TEST(a_login_from_a_file_is_shown_redacted_and_sent_whole)
{
    AUTO(scratch_free) struct scratch s = scratch_new();
    AUTO(buf_free) struct buf data = {0};
    const char *file = scratch_path(&s, "login.json");
    scratch_write(file, LOGIN, strlen(LOGIN), 0600);
    setenv("TZ", "UTC", 1);
    BEGIN(call_on("POST /v1/credentials ", 200, DONE("claude")));
    CHECK_INT(OP(verb_enroll, "enroll", "claude", "--provider", "claude", "--file", file), 0);
    CHECK_STR(call_out, "claude: enrolled, version 1, sealed.\n");
    WARNS("Claude Code login\n  kind            login\n  plan            max\n"
          "  scopes          user:inference user:profile\n  expires         2099-01-01 00:00 (in ");
    WARNS("  access token    21 bytes\n");
    WARNS("login.json is still there. Remove it");
    nothing_secret_shows();
    CHECK_STR(sent_data(&data), LOGIN);
    CHECK(
        strstr(fake_seen(&fake), "{\"name\":\"claude\",\"provider\":\"claude\",\"data_base64\":"));
    fake_stop(&fake);
}

TEST(a_key_from_standard_input)
{
    AUTO(buf_free) struct buf data = {0};
    BEGIN(call_on("POST /v1/credentials ", 200, DONE("key")));
    CHECK_INT(OP_IN(verb_enroll, KEY "\n", "enroll", "key", "--provider", "anthropic"), 0);
    CHECK_STR(call_err, "Anthropic API key\n  kind            api_key\n  secret          105 "
                        "bytes, ending …KEAA\n");
    nothing_secret_shows();
    CHECK_STR(sent_data(&data), KEY "\n");
    CHECK_INT(OP_IN(verb_enroll, KEY, "enroll", "key", "--provider", "anthropic", "--file", "-"),
              0);
    CHECK(!strstr(call_err, "still there"));
    fake_stop(&fake);
}

TEST(json_is_the_answer_alone)
{
    BEGIN(call_on("POST /v1/credentials ", 200, DONE("key")));
    CHECK_INT(OP_IN(verb_enroll, KEY, "enroll", "key", "--provider", "anthropic", "--json"), 0);
    CHECK_STR(call_out, DONE("key") "\n");
    CHECK_STR(call_err, "");
    fake_stop(&fake);
}

TEST(a_generic_secret_with_all_that_is_known_of_it)
{
    BEGIN(call_on("POST /v1/credentials ", 200, DONE("forge")));
    setenv("FORGE_PASSWORD", "wordpass", 1);
    CHECK_INT(OP(verb_enroll, "enroll", "forge", "--provider", "generic", "--from-env",
                 "FORGE_PASSWORD", "--origin", "https://forge.example", "--header",
                 "Authorization: Bearer {}", "--env", "FORGE_TOKEN", "--username", "a-long-name",
                 "--deliver", "helper,secret", "--deliver", "proxy"),
              0);
    ASKED("POST /v1/credentials",
          "{\"name\":\"forge\",\"provider\":\"generic\",\"data_base64\":\"d29yZHBhc3M\","
          "\"origin\":\"https://forge.example\",\"header\":\"Authorization: Bearer "
          "{}\",\"env\":\"FORGE_TOKEN\","
          "\"username\":\"a-long-name\",\"ceiling\":[\"helper\",\"secret\",\"proxy\"]}");
    WARNS("  origin          https://forge.example\n");
    WARNS("  username        …me\n");
    WARNS("  secret          8 bytes\n"); /* not even its end */
    nothing_secret_shows();
    unsetenv("FORGE_PASSWORD");
    CHECK_INT(
        OP(verb_enroll, "enroll", "forge", "--provider", "generic", "--from-env", "FORGE_PASSWORD"),
        err_exit(ERR_NOT_FOUND));
    CHECK_STR(call_err, "broker-cli enroll: the variable FORGE_PASSWORD is not set\n");
    fake_stop(&fake);
}

TEST(replace_sends_the_provider_that_is_there)
{
    BEGIN(call_on("GET /v1/credentials/key ", 200, "{\"name\":\"key\",\"provider\":\"anthropic\"}"),
          call_on("PUT /v1/credentials/key ", 200, "{\"name\":\"key\",\"version\":2}"));
    CHECK_INT(OP_IN(verb_replace, KEY, "replace", "key"), 0);
    CHECK_STR(call_out, "key: replaced, version 2, sealed.\n");
    CHECK(strstr(fake_seen(&fake), "\r\n\r\n{\"provider\":\"anthropic\",\"data_base64\":\""));
    nothing_secret_shows();
    CHECK_INT(OP_IN(verb_replace, KEY, "replace", "key", "--provider", "anthropic"), 0);
    CHECK_INT(op_asked("GET /v1/credentials/key", NULL), 1); /* said on the line: not asked */
    fake_stop(&fake);
    BEGIN(call_on("GET", 404,
                  "{\"error\":\"not_found\",\"message\":\"nothing of that name is enrolled; use: "
                  "broker-cli enroll\"}"));
    CHECK_INT(OP_IN(verb_replace, KEY, "replace", "key"), err_exit(ERR_NOT_FOUND));
    WARNS("broker-cli enroll");
    fake_stop(&fake);
    BEGIN(call_on("GET", 200, "{\"provider\":\"from-the-future\"}"));
    CHECK_INT(OP_IN(verb_replace, KEY, "replace", "key"), 2);
    WARNS("no provider \"from-the-future\"; there are anthropic, claude,");
    fake_stop(&fake);
}

TEST(what_is_no_login_is_refused_before_anything_leaves)
{
    static const struct {
        const char *provider, *input;
    } rows[] = {{"claude", "{}"},     {"claude", "not json sk-ant-oat01-FAKE-acc"},
                {"codex", LOGIN},     {"anthropic", "a b"},
                {"anthropic", LOGIN}, {"gemini", ""},
                {"openai", "\n"}};
    BEGIN(call_on(NULL, 200, DONE("x")));
    for (size_t i = 0; i < COUNT(rows); i++) {
        CHECK_INT(OP_IN(verb_enroll, rows[i].input, "enroll", "x", "--provider", rows[i].provider),
                  err_exit(ERR_INVALID));
        CHECK(strlen(call_err) > 30);
        CHECK_STR(call_out, "");
        nothing_secret_shows();
    }
    CHECK_STR(fake_seen(&fake), "");
    fake_stop(&fake);
}

TEST(input_is_bounded)
{
    static char large[130 * 1024];
    memset(large, 'a', sizeof(large) - 1);
    CHECK_INT(op_call(verb_enroll,
                      (const char *const[]){"enroll", "x", "--provider", "generic", NULL}, large),
              err_exit(ERR_TOO_LARGE));
    WARNS("no login is that large");
    CHECK_INT(op_call(verb_enroll,
                      (const char *const[]){"enroll", "x", "--provider", "generic", "--file",
                                            "/nowhere/x", NULL},
                      ""),
              err_exit(ERR_NOT_FOUND));
    WARNS("/nowhere/x: No such file");
    CHECK_INT(
        op_call(verb_enroll,
                (const char *const[]){"enroll", "x", "--provider", "generic", "--file", "/", NULL},
                ""),
        err_exit(ERR_IO));
}

TEST(on_a_terminal_a_file_is_asked_about)
{
    AUTO(scratch_free) struct scratch s = scratch_new();
    const struct op_step no[] = {{"Take it? [y/N] ", "n\n"}, {0}},
                         old[] = {{"in the place of the old one? [y/N] ", "y\n"}, {0}};
    const char *file = scratch_path(&s, "key");
    scratch_write(file, KEY, strlen(KEY), 0600);
    BEGIN(call_on("PUT", 200, "{\"name\":\"key\",\"version\":2}"));
    int status = TTY(verb_enroll, no, "enroll", "key", "--provider", "anthropic", "--file", file);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == err_exit(ERR_DENIED));
    SAYS("ending …KEAA");
    CHECK_STR(fake_seen(&fake), "");
    CHECK_INT(TTY(verb_replace, old, "replace", "key", "--provider", "anthropic", "--file", file),
              0);
    SAYS("key: replaced, version 2, sealed.");
    CHECK(!strstr(call_out, "sk-ant"));
    fake_stop(&fake);
}

TEST(refusals)
{
    BEGIN(call_on("POST", 409,
                  "{\"error\":\"exists\",\"message\":\"\\\"key\\\" is enrolled already; broker-cli "
                  "replace key\"}"));
    CHECK_INT(OP_IN(verb_enroll, KEY, "enroll", "key", "--provider", "anthropic"),
              err_exit(ERR_EXISTS));
    WARNS("broker-cli replace key\n");
    CHECK_STR(call_out, "");
    CHECK_INT(OP_IN(verb_enroll, KEY, "enroll", "key", "--provider", "anthropic", "--json"),
              err_exit(ERR_EXISTS));
    SAYS("{\"error\":\"exists\",");
    fake_stop(&fake);
}

TEST(slips)
{
    static const struct op_slip rows[] = {
        {verb_enroll,
         {"enroll"},
         "one name is expected: broker-cli enroll NAME --provider PROVIDER"},
        {verb_enroll, {"enroll", "a", "b"}, "one name is expected"},
        {verb_enroll, {"enroll", "a"}, "--provider is needed"},
        {verb_enroll,
         {"enroll", "a", "--provider", "nope"},
         "there are anthropic, claude, codex, gemini, generic, oauth2, openai"},
        {verb_enroll, {"enroll", "a/b", "--provider", "claude"}, "is no credential name"},
        {verb_enroll, {"enroll", "a", "--provider", "claude", "--deliver", "fiel"}, "not \"fiel\""},
        {verb_enroll,
         {"enroll", "a", "--provider", "claude", "--file=x", "--from-env=y"},
         "not both"},
        {verb_enroll, {"enroll", "a", "--secret", "x"}, "no option --secret"},
        {verb_replace, {"replace"}, "broker-cli replace NAME"},
        {verb_replace, {"replace", "../x"}, "is no credential name"},
    };
    SLIPS(rows);
}

TEST(broken_answers)
{
    BROKEN(verb_replace, "replace", "key");
    setenv("KEY", KEY, 1);
    BROKEN(verb_enroll, "enroll", "key", "--provider", "anthropic", "--from-env", "KEY");
    BROKEN(verb_enroll, "enroll", "key", "--provider", "anthropic", "--from-env", "KEY", "--json");
    nothing_secret_shows();
}
