/* provider/grant.c: each request of each flow, as the vendors and the RFCs have them. */
#include "check.h"

#include "base/auto.h"
#include "base/msg.h"
#include "provider/grant.h"

#include <string.h>

static struct why why;

static char corp_name[] = "corp", corp_token[] = "https://idp.example/token", corp_auth[] = "https://idp.example/auth?tenant=1",
            corp_device[] = "https://idp.example/device", corp_id[] = "me", corp_scopes[] = "openid a+b";
static struct config_provider corp = {
    .name = corp_name, .token_url = corp_token, .authorize_url = corp_auth, .device_url = corp_device, .client_id = corp_id, .scopes = corp_scopes, .form = -1};
static const struct config config = {.providers = &corp, .n_providers = 1};

static struct oauth_client client(const char *name)
{
    struct oauth_client c;
    struct view issuer;
    const struct provider *p = oauth_named(view_str(name), &config, &issuer);
    CHECK(p && oauth_client_for(p, issuer, &config, &c));
    return c;
}

/* "name=value name=value": all of them, in order */
static const char *listed(const struct buf *pairs)
{
    static char text[2048];
    struct cursor c = cursor_of(buf_view(pairs));
    struct view n, v;
    text[0] = '\0';
    CHECK(msg_fits(F_PAIRS, buf_view(pairs)));
    while (msg_list_next(&c, &n) && msg_list_next(&c, &v)) {
        size_t at = strlen(text);
        snprintf(text + at, sizeof(text) - at, "%s%.*s=%.*s", at ? " " : "", (int)n.n, (const char *)n.p, (int)v.n, (const char *)v.p);
    }
    return text;
}

TEST(flows_have_names)
{
    for (unsigned f = 0; f < GRANT__COUNT; f++) {
        enum grant_flow back;
        CHECK(grant_flow_from_name(view_str(grant_flow_name((enum grant_flow)f)), &back) && back == (enum grant_flow)f);
    }
    enum grant_flow none;
    CHECK(!grant_flow_from_name(view_str("fax"), &none) && !grant_flow_from_name(VIEW(NULL, 0), &none));
    CHECK_STR(grant_flow_name(GRANT__COUNT), "?");
}

TEST(which_provider_has_which_flow)
{
    static const struct {
        const char *provider;
        enum grant_flow flow;
        uint64_t port;
        err_t e;
        const char *redirect;
    } rows[] = {
        {"claude", GRANT_PAGE, 0, ERR_OK, "https://platform.claude.com/oauth/code/callback"},
        {"claude", GRANT_LOOPBACK, 4567, ERR_OK, "http://localhost:4567/callback"},
        {"claude", GRANT_DEVICE, 0, ERR_CONFLICT, ""},
        {"codex", GRANT_PAGE, 0, ERR_CONFLICT, ""},
        {"codex", GRANT_LOOPBACK, 1455, ERR_OK, "http://localhost:1455/auth/callback"},
        {"codex", GRANT_LOOPBACK, 1456, ERR_INVALID, ""},
        {"codex", GRANT_LOOPBACK, 0, ERR_INVALID, ""},
        {"codex", GRANT_DEVICE, 0, ERR_OK, ""},
        {"corp", GRANT_LOOPBACK, 65535, ERR_OK, "http://127.0.0.1:65535/callback"},
        {"corp", GRANT_LOOPBACK, 65536, ERR_INVALID, ""},
        {"corp", GRANT_PAGE, 0, ERR_CONFLICT, ""},
        {"corp", GRANT_DEVICE, 0, ERR_OK, ""},
        {"corp", GRANT_CLIENT, 0, ERR_OK, ""},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char redirect[GRANT_URI];
        struct oauth_client c = client(rows[i].provider);
        CHECK_INT(grant_check(&c, rows[i].flow, rows[i].port, redirect, &why), rows[i].e);
        CHECK_STR(redirect, rows[i].redirect);
    }
    struct oauth_client c = client("corp");
    char redirect[GRANT_URI];
    c.authorize_url = NULL;
    CHECK_INT(grant_check(&c, GRANT_LOOPBACK, 1, redirect, &why), ERR_CONFLICT);
    CHECK(strstr(why.text, "authorize_url") && strstr(why.text, "broker.yaml"));
    c.device_url = NULL;
    CHECK_INT(grant_check(&c, GRANT_DEVICE, 1, redirect, &why), ERR_CONFLICT);
    c.client_id = NULL;
    CHECK_INT(grant_check(&c, GRANT_CLIENT, 1, redirect, &why), ERR_CONFLICT);
}

TEST(the_url_that_a_person_opens)
{
    AUTO(buf_free) struct buf claude = {0}, codex = {0}, own = {0};
    struct grant_code g = {.redirect = "https://platform.claude.com/oauth/code/callback", .state = "st", .challenge = view_str("ch")};
    struct oauth_client c = client("claude");
    grant_authorize_url(&c, &g, &claude);
    CHECK_STR(buf_text(&claude), "https://claude.com/cai/oauth/authorize?code=true&response_type=code&client_id=9d1c250a-e61b-44d9-88ed-5944d1962f5e"
                                 "&redirect_uri=https%3A%2F%2Fplatform.claude.com%2Foauth%2Fcode%2Fcallback"
                                 "&scope=user%3Aprofile%20user%3Ainference%20user%3Asessions%3Aclaude_code&code_challenge=ch&code_challenge_method=S256&state=st");
    c = client("codex");
    grant_authorize_url(&c, &g, &codex);
    CHECK(strstr(buf_text(&codex), "codex_cli_simplified_flow=true") && strstr(buf_text(&codex), "scope=openid%20profile%20email%20offline_access"));
    c = client("corp");
    grant_authorize_url(&c, &g, &own);
    CHECK(strncmp(buf_text(&own), "https://idp.example/auth?tenant=1&response_type=code&", 53) == 0 && strstr(buf_text(&own), "scope=openid%20a%2Bb&"));
}

TEST(parameters)
{
    AUTO(buf_free) struct buf a = {0}, b = {0}, c = {0}, d = {0}, e = {0}, f = {0}, g = {0}, h = {0};
    struct grant_code code = {.redirect = "R", .state = "S", .code = view_str("C"), .verifier = view_str("V")};
    const struct grant_device device = {.device_code = view_str("D"), .user_code = view_str("U")};
    struct oauth_client claude = client("claude"), codex = client("codex"), own = client("corp");
    grant_code_pairs(&claude, &code, &a);
    CHECK_STR(listed(&a), "grant_type=authorization_code code=C redirect_uri=R client_id=9d1c250a-e61b-44d9-88ed-5944d1962f5e code_verifier=V state=S");
    grant_code_pairs(&codex, &code, &b);
    CHECK_STR(listed(&b), "grant_type=authorization_code code=C redirect_uri=R client_id=app_EMoamEEZ73f0CkXaXp7hrann code_verifier=V");
    code.client_secret = view_str("X");
    grant_code_pairs(&own, &code, &c);
    CHECK_STR(listed(&c), "grant_type=authorization_code code=C redirect_uri=R client_id=me code_verifier=V client_secret=X");
    grant_device_pairs(&codex, VIEW(NULL, 0), &d);
    CHECK_STR(listed(&d), "client_id=app_EMoamEEZ73f0CkXaXp7hrann");
    grant_device_pairs(&own, VIEW(NULL, 0), &e);
    CHECK_STR(listed(&e), "client_id=me scope=openid a+b");
    grant_poll_pairs(&codex, &device, &f);
    CHECK_STR(listed(&f), "device_auth_id=D user_code=U");
    grant_poll_pairs(&own, &device, &g);
    CHECK_STR(listed(&g), "grant_type=urn:ietf:params:oauth:grant-type:device_code device_code=D client_id=me");
    grant_client_pairs(&own, view_str("X"), &h);
    CHECK_STR(listed(&h), "grant_type=client_credentials client_id=me client_secret=X scope=openid a+b");
    CHECK(!claude.code_form && !codex.form && codex.code_form && own.form && own.code_form);
}

TEST(where_polls_go)
{
    char url[GRANT_URI];
    struct oauth_client codex = client("codex"), own = client("corp");
    CHECK_OK(grant_poll_url(&codex, url, &why), why);
    CHECK_STR(url, "https://auth.openai.com/api/accounts/deviceauth/token");
    CHECK_OK(grant_poll_url(&own, url, &why), why);
    CHECK_STR(url, "https://idp.example/token");
}

TEST(the_login_that_an_answer_gives)
{
    static const char *const provider[] = {"claude", "codex", "corp"};
    for (size_t i = 0; i < COUNT(provider); i++) {
        struct oauth_client c = client(provider[i]);
        struct cred answer = {.f = {[CF_ACCESS_TOKEN] = view_str("at"), [CF_REFRESH_TOKEN] = view_str("rt"), [CF_EXPIRES_AT] = view_str("2000"),
                                    [CF_EMAIL] = view_str("e@x"), [CF_LAST_REFRESH] = view_str("now"), [CF_ORGANIZATION] = view_str("o")}},
                    out;
        const struct grant_with own = {.issuer = view_str("corp"), .client_secret = view_str("X"), .origin = view_str("https://a.example")}, none = {0};
        grant_login(&c, &answer, i == 2 ? &own : &none, &out);
        CHECK_OK(c.provider->validate(&out, &why), why);
        CHECK(view_is(out.f[CF_KIND], "login") && view_is(out.f[CF_REFRESH_TOKEN], "rt") && oauth_can_refresh(c.provider, &out));
        CHECK(view_is(out.f[CF_AUTH_MODE], i == 1 ? "chatgpt" : ""));
        CHECK(view_is(out.f[CF_ISSUER], i == 2 ? "corp" : "") && view_is(out.f[CF_HEADER], i == 2 ? "Authorization: Bearer {}" : ""));
        CHECK(i != 2 || (view_is(out.f[CF_SCOPES], "openid a+b") && view_is(out.f[CF_SECRET], "X")));
    }
}
