#include "fake/logins.h"
#include "base/json.h"

static bool refused(const char *input, const char *because)
{
    AUTO(buf_free) struct buf out = {0};
    struct why why = {0};
    err_t e = provider_by_name(view_str("claude"))->parse(view_str(input), NULL, &out, &why);
    if (e == ERR_OK || !strstr(why.text, because))
        printf("    %s: %s\n", input, why.text);
    return e != ERR_OK && out.len == 0 && strstr(why.text, because) &&
           strstr(why.text, "; expected Claude Code's .credentials.json");
}
#define FILE_OF(inner) "{\"claudeAiOauth\":{" inner "}}"
#define TOKEN          "\"accessToken\":\"sk-ant-oat01-FAKE\""
#define ENDS           "\"expiresAt\":4070908800000"

TEST(the_login_file_is_read)
{
    AUTO(login_free) struct login l = {0};
    login_load(&l, "claude", "claude.json");
    const struct cred *c = &l.cred;
    CHECK(view_is(c->f[CF_KIND], "login"));
    CHECK(view_contains(c->f[CF_ACCESS_TOKEN], view_str("sk-ant-oat01-FAKE-")));
    CHECK(view_contains(c->f[CF_REFRESH_TOKEN], view_str("sk-ant-ort01-FAKE-")));
    CHECK_INT(cred_ms(c, CF_EXPIRES_AT), FAKE_END);
    CHECK_INT(cred_ms(c, CF_REFRESH_EXPIRES), FAKE_END + 86400000);
    CHECK(view_is(c->f[CF_SCOPES], "user:inference user:profile user:sessions:claude_code"));
    CHECK(view_is(c->f[CF_PLAN], "max"));
    CHECK(view_is(c->f[CF_TIER], "default_claude_max_5x"));
}

TEST(what_else_the_file_has_is_kept)
{
    AUTO(login_free) struct login l = {0};
    AUTO(auto_json) json_t *rest = NULL;
    struct why why = {0};
    login_load(&l, "claude", "claude.json");
    CHECK_OK(json_parse(l.cred.f[CF_REST], &rest, &why), why);
    CHECK_INT(json_object_size(rest), 2);
    CHECK(json_is_object(json_object_get(json_object_get(rest, "mcpOAuth"), "fake-server|0000")));
    const json_t *inner = json_object_get(rest, "claudeAiOauth");
    CHECK_INT(json_object_size(inner), 1);
    CHECK_STR(json_string_value(json_object_get(inner, "clientId")), "fake-client");
}

TEST(a_login_without_refresh_token_is_taken)
{
    static const char *const files[] = {
        FILE_OF(TOKEN "," ENDS),
        FILE_OF(TOKEN "," ENDS ",\"refreshToken\":null,\"subscriptionType\":null,\"scopes\":null"),
        FILE_OF(TOKEN "," ENDS ",\"refreshToken\":\"\",\"scopes\":[]"),
    };
    for (size_t i = 0; i < COUNT(files); i++) {
        AUTO(login_free) struct login l = {0};
        login_parse(&l, "claude", view_str(files[i]));
        CHECK(!cred_has(&l.cred, CF_REFRESH_TOKEN));
        CHECK(!cred_has(&l.cred, CF_SCOPES));
        CHECK(!cred_has(&l.cred, CF_REST));
    }
}

TEST(types_are_strict)
{
    CHECK(refused(FILE_OF(TOKEN), "\"expiresAt\" is missing"));
    CHECK(refused(FILE_OF(TOKEN ",\"expiresAt\":null"), "\"expiresAt\" is missing"));
    CHECK(refused(FILE_OF(TOKEN ",\"expiresAt\":\"4070908800000\""), "a string, not an integer"));
    CHECK(refused(FILE_OF(TOKEN ",\"expiresAt\":4070908800000.0"), "a fraction, not an integer"));
    CHECK(refused(FILE_OF(TOKEN ",\"expiresAt\":4070908800"), "not between")); /* seconds */
    CHECK(refused(FILE_OF(TOKEN ",\"expiresAt\":-1"), "not between"));
    CHECK(refused(FILE_OF(ENDS), "\"accessToken\" is missing"));
    CHECK(refused(FILE_OF(ENDS ",\"accessToken\":null"), "\"accessToken\" is null"));
    CHECK(refused(FILE_OF(ENDS ",\"accessToken\":7"), "an integer, not a string"));
    CHECK(refused(FILE_OF(TOKEN "," ENDS ",\"refreshToken\":{}"), "an object, not a string"));
    CHECK(refused(FILE_OF(TOKEN "," ENDS ",\"scopes\":\"user:inference\""), "not a list"));
    CHECK(refused(FILE_OF(TOKEN "," ENDS ",\"scopes\":[1]"), "no scope"));
    CHECK(refused(FILE_OF(TOKEN "," ENDS ",\"scopes\":[\"a b\"]"), "no scope"));
    CHECK(refused(FILE_OF(TOKEN "," ENDS ",\"refreshTokenExpiresAt\":\"x\""), "not an integer"));
}

TEST(a_blanked_login_says_logged_out)
{
    CHECK(refused(FILE_OF("\"accessToken\":\"\",\"refreshToken\":\"\",\"expiresAt\":0"),
                  "logged out"));
}

TEST(wrong_files_are_named)
{
    CHECK(refused("", "this is empty"));
    CHECK(refused("{}", "JSON object of another kind"));
    CHECK(refused("[]", "a JSON list"));
    CHECK(refused("{\"claudeAiOauth\":null}", "is null, not an object"));
    CHECK(refused("{\"claudeAiOauth\":[]}", "is a list, not an object"));
    CHECK(refused("{\"mcpOAuth\":{}}", "without its login"));
    CHECK(refused("{\"tokens\":{},\"OPENAI_API_KEY\":null}", "Codex's auth.json (provider codex)"));
    CHECK(refused("{\"refreshToken\":\"x\"}", "a refresh token without a login"));
    CHECK(refused("{\"claudeAiOauth\":", "ends too early"));
    CHECK(refused("{\"claudeAiOauth\":{},\"claudeAiOauth\":{}}", "twice"));
    CHECK(refused("sk-ant-ort01-FAKE", "refresh token"));
    CHECK(refused("sk-ant-api03-FAKE", "(provider anthropic)"));
}

TEST(a_token_with_a_line_break_does_not_pass)
{
    AUTO(buf_free) struct buf out = {0};
    struct why why = {0};
    struct view file = view_str(FILE_OF("\"accessToken\":\"sk-ant\\nX: y\"," ENDS));
    CHECK_INT(provider_by_name(view_str("claude"))->parse(file, NULL, &out, &why), ERR_INVALID);
    CHECK(strstr(why.text, "ACCESS_TOKEN"));
}

TEST(a_setup_token_is_trimmed_text)
{
    AUTO(login_free) struct login l = {0};
    login_parse(&l, "claude", view_str(" \r\n sk-ant-oat01-FAKEFAKE\r\n\n"));
    CHECK(view_is(l.cred.f[CF_KIND], "setup_token"));
    CHECK(view_is(l.cred.f[CF_SECRET], "sk-ant-oat01-FAKEFAKE"));
    CHECK(!cred_has(&l.cred, CF_EXPIRES_AT));
    CHECK(refused("sk-ant-oat01-FAKE FAKE", "white space"));
    CHECK(refused("sk-ant-oat01-FAKE\nFAKE", "white space"));
    CHECK(refused("sk-ant-oat01-\xc3\xa4", "outside ASCII"));
}

TEST(an_overlong_setup_token_is_refused)
{
    char big[4098];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = 0;
    memcpy(big, "sk-ant-oat01-", 13);
    CHECK(refused(big, "too much"));
}

TEST(the_projected_file_is_what_clients_take)
{
    AUTO(login_free) struct login l = {0};
    AUTO(buf_free) struct buf out = {0};
    struct why why = {0};
    login_parse(
        &l, "claude",
        view_str(FILE_OF(TOKEN "," ENDS ",\"refreshToken\":\"sk-ant-ort01-FAKE\","
                               "\"scopes\":[\"user:profile\"],\"subscriptionType\":\"pro\"")));
    CHECK_OK(l.provider->project(&l.cred, FAKE_NOW, &out, &why), why);
    CHECK(view_is(buf_view(&out), FILE_OF(TOKEN "," ENDS ",\"scopes\":[\"user:inference\"],"
                                                "\"subscriptionType\":\"pro\"")));
}

TEST(a_setup_token_is_no_short_lived_token)
{
    AUTO(login_free) struct login l = {0};
    AUTO(buf_free) struct buf out = {0};
    struct why why = {0};
    login_load(&l, "claude", "claude-setup-token.txt");
    CHECK_INT(l.provider->release(&l.cred, DELIVER_ACCESS_TOKEN, FAKE_NOW, &out, &why),
              ERR_CONFLICT);
    CHECK(strstr(why.text, "it serves: proxy, helper, secret"));
    CHECK_INT(l.provider->project(&l.cred, FAKE_NOW, &out, &why), ERR_CONFLICT);
    CHECK_OK(l.provider->release(&l.cred, DELIVER_SECRET, FAKE_NOW, &out, &why), why);
    CHECK_STR(l.provider->token_prefix(&l.cred), "sk-ant-oat01-");
}
