/* cli/home.c: what is in a login file, and how it changes hands. */
#include "cli/home.h"

#include "base/auto.h"
#include "check.h"

#define JWT "eyJhbGciOiJub25lIn0.eyJleHAiOjQwNzA5MDg4MDB9.c2ln"
#define CLAUDE                                                                                     \
    "{\"mcpOAuth\":{\"s\":{\"n\":1.50}},\"claudeAiOauth\":{\"accessToken\":\"sk-ant-oat01-A\","    \
    "\"refreshToken\":\"sk-ant-ort01-R\",\"expiresAt\":4070908800000,\"scopes\":[\"user:inference\",\"user:profile\"],\"new\":[1]}}"
#define CODEX                                                                                      \
    "{\"OPENAI_API_KEY\":null,\"tokens\":{\"id_token\":\"" JWT "\",\"access_token\":\"" JWT        \
    "\",\"refresh_token\":\"rt_R\",\"account_id\":\"acc\"},\"last_refresh\":\"2026-01-01T00:00:00Z\"}"

static struct why why;
static struct buf text = {.max = HOME_FILE_MAX};

static const struct home_form *begin(const char *name, const char *is)
{
    buf_reset(&text);
    buf_add_str(&text, is);
    return home_form(name);
}

TEST(states)
{
    static const struct {
        const char *program, *text;
        enum home_state state;
    } cases[] = {
        {"claude", "", HOME_NOTHING},
        {"claude", " \n", HOME_NOTHING},
        {"claude", "{}", HOME_NOTHING},
        {"claude", "{\"mcpOAuth\":{}}", HOME_NOTHING},
        {"claude", "{\"claudeAiOauth\":null}", HOME_NOTHING},
        {"claude", "{\"claudeAiOauth\":{\"accessToken\":\"\",\"refreshToken\":\"\"}}", HOME_NOTHING},
        {"claude", "{\"claudeAiOauth\":{\"accessToken\":\"x\",\"refreshToken\":null}}", HOME_PROJECTED},
        {"claude", "{\"claudeAiOauth\":{\"accessToken\":\"x\"}}", HOME_PROJECTED},
        {"claude", CLAUDE, HOME_LOGIN},
        {"claude", "{\"claudeAiOauth\":[]}", HOME_FOREIGN},
        {"claude", "[]", HOME_FOREIGN},
        {"claude", "{\"claudeAiOauth\":", HOME_FOREIGN},
        {"codex", CODEX, HOME_LOGIN},
        {"codex", "{\"OPENAI_API_KEY\":\"sk-x\",\"tokens\":null}", HOME_NOTHING},
        {"codex", "{\"tokens\":{\"access_token\":\"x\",\"refresh_token\":\"\"}}", HOME_PROJECTED},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        CHECK_INT(home_state(home_form(cases[i].program), view_str(cases[i].text)), cases[i].state);
    CHECK(!home_form("gemini") && !home_form(""));
    CHECK_INT(home_expires(home_form("claude"), view_str(CLAUDE)), 4070908800000);
    CHECK_INT(home_expires(home_form("codex"), view_str(CODEX)), 4070908800000);
    CHECK_INT(home_expires(home_form("codex"), view_str("{}")), 0);
}

TEST(stripping_takes_the_refresh_token_and_nothing_else)
{
    const struct home_form *f = begin("claude", CLAUDE);
    CHECK_OK(home_strip(f, &text, 0, &why), why);
    CHECK_STR(buf_text(&text), "{\"mcpOAuth\":{\"s\":{\"n\":1.50}},\"claudeAiOauth\":{\"accessToken\":\"sk-ant-oat01-A\","
                               "\"refreshToken\":null,\"expiresAt\":4070908800000,\"scopes\":[\"user:inference\",\"user:profile\"],\"new\":[1]}}");
    CHECK_INT(home_state(f, buf_view(&text)), HOME_PROJECTED);
    f = begin("codex", CODEX);
    CHECK_OK(home_strip(f, &text, 1000, &why), why);
    CHECK_STR(buf_text(&text), "{\"OPENAI_API_KEY\":null,\"tokens\":{\"id_token\":\"" JWT "\",\"access_token\":\"" JWT
                               "\",\"refresh_token\":\"\",\"account_id\":\"acc\"},\"last_refresh\":\"1970-01-01T00:00:01.000Z\"}");
    CHECK_INT(home_state(f, buf_view(&text)), HOME_PROJECTED);
}

TEST(merging_takes_tokens_over_and_leaves_what_is_the_programs)
{
    static const char projected[] = "{\"claudeAiOauth\":{\"accessToken\":\"sk-ant-oat01-B\",\"expiresAt\":4070908900000,\"scopes\":[\"user:inference\"],\"rateLimitTier\":\"t\"}}";
    const struct home_form *f = begin("claude", "{\"mcpOAuth\":{},\"claudeAiOauth\":{\"accessToken\":\"old\",\"expiresAt\":1,\"scopes\":[\"user:profile\"]}}");
    CHECK_OK(home_merge(f, &text, view_str(projected), &why), why);
    CHECK_STR(buf_text(&text), "{\"mcpOAuth\":{},\"claudeAiOauth\":{\"refreshToken\":null,\"rateLimitTier\":\"t\",\"accessToken\":\"sk-ant-oat01-B\",\"expiresAt\":4070908900000,"
                               "\"scopes\":[\"user:profile\"]}}");
    size_t n = text.len;
    CHECK_OK(home_merge(f, &text, view_str(projected), &why), why); /* once more: as it is */
    CHECK_INT(text.len, n);
    f = begin("codex", "");
    CHECK_OK(home_merge(f, &text, view_str("{\"auth_mode\":\"chatgpt\",\"OPENAI_API_KEY\":null,\"tokens\":{\"access_token\":\"" JWT "\",\"refresh_token\":\"\"},\"last_refresh\":\"now\"}"), &why), why);
    CHECK_INT(home_state(f, buf_view(&text)), HOME_PROJECTED);
    CHECK(strstr(buf_text(&text), "\"OPENAI_API_KEY\":null") && strstr(buf_text(&text), "\"last_refresh\":\"now\""));
}

TEST(restoring_gives_back_what_stripping_took)
{
    static const struct {
        const char *program, *text;
    } cases[] = {{"claude", CLAUDE}, {"codex", CODEX}};
    const struct provider_options none = {0};
    for (size_t i = 0; i < COUNT(cases); i++) {
        AUTO(buf_free) struct buf canonical = {0};
        struct cred c;
        const struct home_form *f = begin(cases[i].program, cases[i].text);
        CHECK_OK(provider_by_name(view_str(f->name))->parse(view_str(cases[i].text), &none, &canonical, &why), why);
        CHECK_OK(cred_decode(buf_view(&canonical), &c, &why), why);
        CHECK_OK(home_strip(f, &text, 0, &why), why);
        CHECK_OK(home_restore(f, &text, &c, &why), why);
        CHECK_STR(buf_text(&text), cases[i].text);
        /* without a file: from what was kept of it */
        buf_reset(&text);
        CHECK_OK(home_restore(f, &text, &c, &why), why);
        CHECK_INT(home_state(f, buf_view(&text)), HOME_LOGIN);
        CHECK_INT(home_expires(f, buf_view(&text)), 4070908800000);
        CHECK(i == 1 || (strstr(buf_text(&text), "mcpOAuth") && strstr(buf_text(&text), "\"new\":[1]")));
    }
}
