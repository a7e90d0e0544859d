#include "fake/logins.h"
#include "base/json.h"

static void add_part(struct buf *out, const char *json)
{
    base64url_encode(view_str(json), out);
}

/* {"alg":"none"} . claims . "sig0" */
static const char *jwt(struct buf *out, const char *claims)
{
    buf_reset(out);
    add_part(out, "{\"alg\":\"none\"}");
    buf_add_str(out, ".");
    add_part(out, claims);
    buf_add_str(out, ".c2ln");
    return buf_text(out);
}

static err_t parse(const char *input, struct buf *out, struct why *why)
{
    return provider_by_name(view_str("codex"))->parse(view_str(input), NULL, out, why);
}

static bool refused(const char *input, const char *because)
{
    AUTO(buf_free) struct buf out = {0};
    struct why why = {0};
    err_t e = parse(input, &out, &why);
    if (e == ERR_OK || !strstr(why.text, because))
        printf("    %s: %s\n", input, why.text);
    return e != ERR_OK && out.len == 0 && strstr(why.text, because) &&
           strstr(why.text, "; expected Codex's auth.json");
}

/* auth.json with this access token claims and these further members of tokens */
static void login_with(struct login *l, const char *claims, const char *more)
{
    AUTO(buf_free) struct buf token = {0};
    jwt(&token, claims);
    buf_add_str(&l->input, "{\"tokens\":{\"access_token\":\"");
    buf_add_view(&l->input, buf_view(&token));
    buf_add_fmt(&l->input, "\"%s}}", more);
    login_parse(l, "codex", buf_view(&l->input));
}

TEST(the_login_file_is_read)
{
    AUTO(login_free) struct login l = {0};
    login_load(&l, "codex", "codex.json");
    const struct cred *c = &l.cred;
    CHECK(view_is(c->f[CF_KIND], "login"));
    CHECK(view_contains(c->f[CF_REFRESH_TOKEN], view_str("rt_FAKE.")));
    CHECK(cred_has(c, CF_ID_TOKEN));
    CHECK_INT(cred_ms(c, CF_EXPIRES_AT), FAKE_END);
    CHECK(view_is(c->f[CF_ACCOUNT], "00000000-fa4e-4000-8000-00000000c0de"));
    CHECK(view_is(c->f[CF_PLAN], "plus"));
    CHECK(view_is(c->f[CF_EMAIL], "fake.person@example.invalid"));
    CHECK(view_is(c->f[CF_LAST_REFRESH], "2026-11-20T08:15:30.123456Z"));
    CHECK(view_is(c->f[CF_AUTH_MODE], "chatgpt"));
    CHECK(!cred_has(c, CF_REST)); /* OPENAI_API_KEY: null is nothing to keep */
    CHECK_STR(l.provider->token_prefix(c), "cbat-");
}

TEST(an_api_key_file_is_read)
{
    AUTO(login_free) struct login l = {0};
    login_load(&l, "codex", "codex-api-key.json");
    CHECK(view_is(l.cred.f[CF_KIND], "api_key"));
    CHECK(view_contains(l.cred.f[CF_SECRET], view_str("sk-proj-FAKE-")));
    CHECK_STR(l.provider->token_prefix(&l.cred), "sk-");
    AUTO(login_free) struct login bare = {0};
    login_parse(&bare, "codex", view_str("{\"OPENAI_API_KEY\":\"sk-x\",\"tokens\":null}"));
    CHECK(view_is(bare.cred.f[CF_SECRET], "sk-x"));
    CHECK(!cred_has(&bare.cred, CF_REST));
}

TEST(account_and_end_come_from_the_claims)
{
    AUTO(login_free) struct login l = {0};
    login_with(&l,
               "{\"exp\":4070908800,\"email\":\"a@b.c\",\"https://api.openai.com/auth\":"
               "{\"chatgpt_account_id\":\"acc-1\",\"chatgpt_plan_type\":7}}",
               "");
    CHECK_INT(cred_ms(&l.cred, CF_EXPIRES_AT), FAKE_END);
    CHECK(view_is(l.cred.f[CF_ACCOUNT], "acc-1"));
    CHECK(view_is(l.cred.f[CF_EMAIL], "a@b.c"));
    CHECK(!cred_has(&l.cred, CF_PLAN)); /* of another type: none */
    AUTO(login_free) struct login own = {0};
    login_with(&own, "{\"https://api.openai.com/auth\":{\"chatgpt_account_id\":\"acc-1\"}}",
               ",\"account_id\":\"acc-2\",\"refresh_token\":\"\"");
    CHECK(view_is(own.cred.f[CF_ACCOUNT], "acc-2")); /* the file's own word goes first */
    CHECK(!cred_has(&own.cred, CF_EXPIRES_AT));
    CHECK(!cred_has(&own.cred, CF_REFRESH_TOKEN));
}

TEST(an_id_token_that_does_not_decode_is_left_out)
{
    AUTO(login_free) struct login l = {0};
    AUTO(buf_free) struct buf out = {0};
    struct why why = {0};
    login_with(&l, "{\"exp\":4070908800}", ",\"id_token\":\"not.a.jwt\"");
    CHECK(!cred_has(&l.cred, CF_ID_TOKEN));
    CHECK_OK(l.provider->project(&l.cred, FAKE_NOW, &out, &why), why);
    CHECK(!view_contains(buf_view(&out), view_str("id_token")));
}

TEST(with_key_and_login_the_mode_decides_and_the_other_is_kept)
{
    AUTO(buf_free) struct buf token = {0};
    AUTO(buf_free) struct buf file = {0};
    jwt(&token, "{\"exp\":4070908800}");
    for (int apikey = 0; apikey < 2; apikey++) {
        AUTO(login_free) struct login l = {0};
        buf_reset(&file);
        buf_add_fmt(
            &file, "{%s\"OPENAI_API_KEY\":\"sk-x\",\"tokens\":{\"access_token\":\"%s\"},\"new\":1}",
            apikey ? "\"auth_mode\":\"apikey\"," : "", buf_text(&token));
        login_parse(&l, "codex", buf_view(&file));
        CHECK(view_is(l.cred.f[CF_KIND], apikey ? "api_key" : "login"));
        CHECK(view_contains(l.cred.f[CF_REST], view_str("\"new\":1")));
        CHECK(view_contains(l.cred.f[CF_REST], view_str(apikey ? "\"access_token\"" : "\"sk-x\"")));
    }
}

TEST(wrong_files_are_named)
{
    AUTO(buf_free) struct buf token = {0};
    char file[512];
    CHECK(refused("", "this is empty"));
    CHECK(refused("{}", "JSON object of another kind"));
    CHECK(refused("{\"claudeAiOauth\":{}}", "(provider claude)"));
    CHECK(refused("sk-proj-FAKE", "(provider openai)"));
    CHECK(refused("{\"OPENAI_API_KEY\":null,\"tokens\":null}", "logged out"));
    CHECK(refused("{\"OPENAI_API_KEY\":\"\"}", "logged out"));
    CHECK(refused("{\"OPENAI_API_KEY\":5}", "an integer, not a string"));
    CHECK(refused("{\"auth_mode\":\"apikey\",\"tokens\":{}}", "\"OPENAI_API_KEY\" is missing"));
    CHECK(refused("{\"tokens\":[]}", "a list, not an object"));
    CHECK(refused("{\"tokens\":{}}", "\"access_token\" is missing"));
    CHECK(refused("{\"tokens\":{\"refresh_token\":\"rt_x\"}}", "\"access_token\" is missing"));
    CHECK(refused("{\"tokens\":{\"access_token\":\"opaque\"}}", "not a JWT"));
    CHECK(refused("{\"tokens\":{\"access_token\":\"x\"},\"tokens\":{}}", "twice"));
    static const char *const exps[] = {"\"4070908800\"", "1.5", "0", "-1", "999999999999999"};
    for (size_t i = 0; i < COUNT(exps); i++) {
        char claims[64];
        snprintf(claims, sizeof claims, "{\"exp\":%s}", exps[i]);
        snprintf(file, sizeof file, "{\"tokens\":{\"access_token\":\"%s\"}}", jwt(&token, claims));
        CHECK(refused(file, "\"exp\""));
    }
}

TEST(the_projected_file_is_what_codex_takes)
{
    AUTO(login_free) struct login l = {0};
    AUTO(buf_free) struct buf out = {0};
    AUTO(auto_json) json_t *file = NULL;
    struct why why = {0};
    login_load(&l, "codex", "codex.json");
    CHECK_OK(l.provider->project(&l.cred, FAKE_NOW, &out, &why), why);
    CHECK_OK(json_parse(buf_view(&out), &file, &why), why);
    const json_t *tokens = json_object_get(file, "tokens");
    CHECK_STR(json_string_value(json_object_get(tokens, "refresh_token")), "");
    CHECK_STR(json_string_value(json_object_get(tokens, "account_id")),
              "00000000-fa4e-4000-8000-00000000c0de");
    CHECK(json_is_string(json_object_get(tokens, "id_token")));
    CHECK(json_is_string(json_object_get(tokens, "access_token")));
    CHECK_INT(json_object_size(tokens), 4);
    CHECK_STR(json_string_value(json_object_get(file, "last_refresh")), "2026-11-21T22:00:00.000Z");
    CHECK_STR(json_string_value(json_object_get(file, "auth_mode")), "chatgpt");
    CHECK(json_is_null(json_object_get(file, "OPENAI_API_KEY")));
    CHECK_INT(json_object_size(file), 4);
}

TEST(a_key_has_no_projected_file)
{
    AUTO(login_free) struct login l = {0};
    AUTO(buf_free) struct buf out = {0};
    struct why why = {0};
    login_load(&l, "codex", "codex-api-key.json");
    CHECK_INT(l.provider->project(&l.cred, FAKE_NOW, &out, &why), ERR_CONFLICT);
    CHECK_INT(l.provider->release(&l.cred, DELIVER_ACCESS_TOKEN, FAKE_NOW, &out, &why),
              ERR_CONFLICT);
    CHECK_INT(out.len, 0);
}
