#include "fake/logins.h"
#include "provider/shape.h"

static const struct {
    const char *input, *what, *provider;
} rows[] = {
    {"", "empty", NULL},
    {" \n\t", "empty", NULL},
    {"\x7f"
     "ELF\x01\xff",
     "binary", NULL},
    {"{\"claudeAiOauth\":null}", ".credentials.json", "claude"},
    {"{\"mcpOAuth\":{}}", "without its login", NULL},
    {" {\"tokens\":1}", "auth.json", "codex"},
    {"{\"OPENAI_API_KEY\":null}", "auth.json", "codex"},
    {"{\"private_key_id\":\"x\"}", "Google service account", "generic"},
    {"{\"access_token\":1,\"expiry_date\":1,\"refresh_token\":1}", "oauth_creds.json", "gemini"},
    {"{\"access_token\":1,\"refresh_token\":1}", "bare OAuth", NULL},
    {"{\"accessToken\":1,\"refreshToken\":1}", "inside of claudeAiOauth", NULL},
    {"{\"refresh_token\":\"x\"}", "refresh token without", NULL},
    {"{\"refreshToken\":\"x\"}", "refresh token without", NULL},
    {"{\"x\":1}", "another kind", NULL},
    {"{\"x\":1", "does not parse", NULL},
    {"[1]", "list", NULL},
    {"sk-ant-oat01-x", "setup token", "claude"},
    {"sk-ant-ort01-x", "refresh token", NULL},
    {"sk-ant-api03-x", "Anthropic", "anthropic"},
    {"sk-proj-x", "OpenAI", "openai"},
    {"AIzaX", "Gemini", "gemini"},
    {"eyJhbGciOi.x.y", "JWT", NULL},
    {"rt_x", "refresh token", NULL},
    {"ghp_x", "GitHub", "generic"},
    {"-----BEGIN X-----", "PEM", "generic"},
    {"Bearer sk-x", "header value", NULL},
    {"\"sk-x\"", "quoted", NULL},
    {"OPENAI_API_KEY=sk-x", "NAME=value", NULL},
    {"two words", "white space", NULL},
    {"xkey-of-a-make-to-come", "no known key", NULL},
    {"AB=", "no known key", NULL},
};

TEST(shapes_are_told_by_their_names)
{
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct shape *s = shape_of(view_str(rows[i].input));
        if (!strstr(s->what, rows[i].what))
            printf("    %s is %s\n", rows[i].input, s->what);
        CHECK(strstr(s->what, rows[i].what));
        CHECK(!s->provider == !rows[i].provider);
        if (s->provider)
            CHECK_STR(s->provider, rows[i].provider);
        CHECK(shape_is_unknown_word(s) == (strcmp(rows[i].what, "no known key") == 0));
    }
    CHECK(strstr(shape_of(VIEW("a\0b", 3))->what, "binary"));
}

TEST(every_hint_names_a_provider_that_is_there)
{
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct shape *s = shape_of(view_str(rows[i].input));
        CHECK(!s->provider || provider_by_name(view_str(s->provider)));
    }
}

TEST(refusals_name_the_shape_and_quote_nothing)
{
    struct why why = {0};
    CHECK_INT(shape_refuse(view_str("sk-ant-oat01-FAKEFAKEFAKE"), &why), ERR_INVALID);
    CHECK_STR(why.text, "this is a Claude setup token (provider claude)");
    CHECK_INT(shape_refuse(view_str("hunter2 hunter2"), &why), ERR_INVALID);
    CHECK(!strstr(why.text, "hunter2"));
}
