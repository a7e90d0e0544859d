/* provider/gemini.c: a key, or Gemini CLI's login. */
#include "fake/logins.h"

#include "base/msg.h"
#include "provider/grant.h"

static struct why why;

TEST(a_login_is_read_and_lent_as_its_access_token)
{
    AUTO(login_free) struct login l = {0};
    AUTO(buf_free) struct buf out = {0};
    login_load(&l, "gemini", "gemini-login.json");
    CHECK(view_is(l.cred.f[CF_KIND], "login") && cred_ms(&l.cred, CF_EXPIRES_AT) == FAKE_END);
    CHECK_OK(l.provider->release(&l.cred, DELIVER_ACCESS_TOKEN, FAKE_NOW, &out, &why), why);
    CHECK(view_eq(buf_view(&out), l.cred.f[CF_ACCESS_TOKEN]));
    CHECK_INT(l.provider->release(&l.cred, DELIVER_SECRET, FAKE_NOW, &out, &why), ERR_CONFLICT);
    CHECK(!provider_upstream(l.provider, view_str("login")) && provider_upstream(l.provider, view_str("api_key")));
}

TEST(what_is_no_login)
{
    static const char *const rows[] = {"{\"access_token\":\"a\"}", "{\"expiry_date\":5}", "{\"access_token\":\"a\",\"expiry_date\":\"x\"}", "{", "two words"};
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO(buf_free) struct buf out = {0};
        CHECK_INT(provider_by_name(view_str("gemini"))->parse(view_str(rows[i]), NULL, &out, &why), ERR_INVALID);
        CHECK(strstr(why.text, "oauth_creds.json") && out.len == 0);
    }
}

static bool names(const struct buf *pairs, const char *name, const char *value)
{
    struct cursor c = cursor_of(buf_view(pairs));
    struct view n, v;
    while (msg_list_next(&c, &n) && msg_list_next(&c, &v))
        if (view_is(n, name))
            return view_is(v, value);
    return false;
}

/* Of an installed program: it goes along wherever the client id does, and nowhere else. */
TEST(the_clients_published_secret)
{
    AUTO(buf_free) struct buf code = {0}, refresh = {0}, other = {0};
    static char name[] = "gemini", id[] = "of-ones-own";
    struct config_provider own = {.name = name, .client_id = id, .form = -1};
    const struct config config = {.providers = &own, .n_providers = 1};
    const struct provider *p = provider_by_name(view_str("gemini"));
    const struct cred login = {.f = {[CF_REFRESH_TOKEN] = view_str("rt")}};
    struct oauth_client c;
    CHECK(oauth_client_of(p, NULL, &c) && c.client_secret && c.form && c.code_form);
    grant_code_pairs(&c, &(struct grant_code){.redirect = "http://127.0.0.1:9/oauth2callback", .code = view_str("c"), .verifier = view_str("v")}, &code);
    oauth_refresh_pairs(&c, &login, &refresh);
    CHECK(names(&code, "client_secret", c.client_secret) && names(&refresh, "client_secret", c.client_secret));
    CHECK(oauth_client_of(p, &config, &c) && !c.client_secret);
    oauth_refresh_pairs(&c, &login, &other);
    CHECK(names(&other, "client_id", id) && !names(&other, "client_secret", ""));
}
