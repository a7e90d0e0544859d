/* provider/oauth2.c: logins at identity providers that broker.yaml names. */
#include "fake/logins.h"

#include "provider/inject.h"
#include "provider/oauth.h"

static struct why why;

static err_t parse(const char *text, struct buf *out)
{
    why = (struct why){0};
    return provider_by_name(view_str("oauth2"))->parse(view_str(text), NULL, out, &why);
}

TEST(what_comes_in)
{
    static const struct {
        const char *text;
        err_t e;
        const char *says;
    } rows[] = {
        {"{\"access_token\":\"a\",\"issuer\":\"corp\"}", ERR_OK, ""},
        {"{\"access_token\":\"a\",\"issuer\":\"corp\",\"client_secret\":\"s\",\"expires_at_ms\":5}", ERR_OK, ""},
        {"{\"access_token\":\"a\"}", ERR_INVALID, "issuer"},
        {"{\"issuer\":\"corp\"}", ERR_INVALID, "expected JSON with access_token"},
        {"{\"access_token\":\"a\",\"issuer\":\"Co rp\"}", ERR_INVALID, "issuer"},
        {"{\"access_token\":\"a b\",\"issuer\":\"corp\"}", ERR_INVALID, "ACCESS_TOKEN"},
        {"{\"access_token\":\"a\",\"issuer\":\"corp\",\"expires_at_ms\":\"soon\"}", ERR_INVALID, "expires_at_ms"},
        {"sk-ant-oat01-x", ERR_INVALID, "expected JSON"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO(buf_free) struct buf out = {0};
        CHECK_INT(parse(rows[i].text, &out), rows[i].e);
        CHECK(strstr(why.text, rows[i].says) || !printf("    %s\n", why.text));
    }
}

TEST(where_it_may_go_is_checked_as_of_a_generic_secret)
{
    AUTO(login_free) struct login l = {0};
    login_load(&l, "oauth2", "oauth2.json");
    l.cred.f[CF_ORIGIN] = view_str("https://api.example");
    l.cred.f[CF_HEADER] = view_str("Authorization: Bearer {}");
    CHECK_OK(l.provider->validate(&l.cred, &why), why);
    l.cred.f[CF_ORIGIN] = view_str("http://api.example");
    CHECK_INT(l.provider->validate(&l.cred, &why), ERR_INVALID);
    l.cred.f[CF_ORIGIN] = view_str("https://api.example");
    l.cred.f[CF_HEADER] = view_str("Host: {}");
    CHECK_INT(l.provider->validate(&l.cred, &why), ERR_INVALID);
}

TEST(its_row_says_no_endpoints)
{
    struct oauth_client c;
    const struct provider *p = provider_by_name(view_str("oauth2"));
    CHECK(oauth_row(p) && !oauth_client_of(p, NULL, &c) && !oauth_client_for(p, view_str("corp"), NULL, &c));
}
