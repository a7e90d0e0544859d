#include "fake/logins.h"

static err_t parse(const char *provider, struct view input, struct buf *out, struct why *why)
{
    return provider_by_name(view_str(provider))->parse(input, NULL, out, why);
}

static bool refused(const char *provider, const char *input, const char *because)
{
    AUTO(buf_free) struct buf out = {0};
    struct why why = {0};
    err_t e = parse(provider, view_str(input), &out, &why);
    if (e == ERR_OK || !strstr(why.text, because))
        printf("    %s: %s\n", input, why.text);
    return e == ERR_INVALID && out.len == 0 && strstr(why.text, because) &&
           strstr(why.text, "; expected one");
}

TEST(a_key_is_trimmed_text)
{
    AUTO(login_free) struct login l = {0};
    login_parse(&l, "anthropic", view_str("\n\t sk-ant-api03-FAKE \r\n"));
    CHECK(view_is(l.cred.f[CF_SECRET], "sk-ant-api03-FAKE"));
    CHECK(view_is(l.cred.f[CF_KIND], "api_key"));
}

TEST(keys_of_makes_to_come_are_taken)
{
    static const char *const providers_of_keys[] = {"anthropic", "gemini", "openai"};
    for (size_t i = 0; i < COUNT(providers_of_keys); i++) {
        AUTO(login_free) struct login l = {0};
        login_parse(&l, providers_of_keys[i], view_str("AQ.new-shape_0123=="));
        CHECK(view_is(l.cred.f[CF_SECRET], "AQ.new-shape_0123=="));
    }
}

TEST(tokens_stand_in_for_their_own_provider_only)
{
    static const struct {
        const char *provider, *file, *prefix, *env;
    } rows[] = {{"anthropic", "anthropic.txt", "sk-ant-api03-", "ANTHROPIC_API_KEY"},
                {"gemini", "gemini.txt", "AIza", "GEMINI_API_KEY"},
                {"openai", "openai.txt", "sk-", "OPENAI_API_KEY"}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO(login_free) struct login l = {0};
        login_load(&l, rows[i].provider, rows[i].file);
        CHECK_STR(l.provider->token_prefix(&l.cred), rows[i].prefix);
        CHECK_STR(l.provider->env_secret, rows[i].env);
        CHECK(!strstr(l.provider->token_prefix(&l.cred), "sk-ant-oat"));
    }
}

TEST(wrong_input_is_named)
{
    CHECK(refused("anthropic", "sk-ant-oat01-FAKE", "a Claude setup token (provider claude)"));
    CHECK(refused("anthropic", "sk-ant-ort01-FAKE", "refresh token"));
    CHECK(refused("anthropic", "sk-proj-FAKE", "(provider openai)"));
    CHECK(refused("openai", "sk-ant-api03-FAKE", "(provider anthropic)"));
    CHECK(refused("openai", "AIzaFAKE", "(provider gemini)"));
    CHECK(refused("openai", "eyJhbGciOiJub25lIn0.e30.c2ln", "a JWT"));
    CHECK(refused("openai", "{\"OPENAI_API_KEY\":\"sk-x\"}", "Codex's auth.json (provider codex)"));
    CHECK(refused("openai", "{\"refresh_token\":\"x\"}", "a refresh token without a login"));
    CHECK(refused("openai", "{", "JSON that does not parse"));
    CHECK(refused("openai", "{\"access_token\":\"a\",\"refresh_token\":\"b\",\"expiry_date\":1}",
                  "Gemini CLI's oauth_creds.json (provider gemini)"));
    CHECK(refused("openai", "", "this is empty"));
    CHECK(refused("openai", " \n ", "this is empty"));
    CHECK(refused("openai", "sk-a sk-b", "white space"));
    CHECK(refused("openai", "sk-a\nsk-b", "white space"));
    CHECK(refused("openai", "sk-a\x01", "outside ASCII"));
    CHECK(refused("openai", "sk-\xc3\xa4", "outside ASCII"));
    CHECK(refused("openai", "sk-\xff", "binary"));
    CHECK(refused("openai", "one two", "white space"));
    CHECK(refused("openai", "OPENAI_API_KEY=sk-x", "NAME=value"));
    CHECK(refused("openai", "\"sk-x\"", "quoted"));
    CHECK(refused("openai", "Bearer sk-x", "header value"));
}

TEST(bytes_that_are_no_text_are_refused)
{
    AUTO(buf_free) struct buf out = {0};
    struct why why = {0};
    CHECK_INT(parse("openai", VIEW("sk-a\0b", 6), &out, &why), ERR_INVALID);
    CHECK(strstr(why.text, "binary"));
}

TEST(a_key_has_at_most_4096_bytes)
{
    char big[4097];
    AUTO(buf_free) struct buf out = {0};
    struct why why = {0};
    memset(big, 'x', sizeof big);
    CHECK_OK(parse("gemini", VIEW(big, 4096), &out, &why), why);
    buf_reset(&out);
    CHECK_INT(parse("gemini", VIEW(big, 4097), &out, &why), ERR_INVALID);
    CHECK(strstr(why.text, "4097 bytes"));
    CHECK_INT(out.len, 0);
}
