/* provider/oauth.c: rows, what broker.yaml says in their place, parameters, and what a renewed login is made of. */
#include "check.h"

#include "base/auto.h"
#include "base/msg.h"
#include "provider/oauth.h"

static struct why why;

TEST(every_row_is_whole)
{
    unsigned rows = 0;
    for (const struct provider *const *p = providers; *p; p++) {
        const struct provider_oauth *o = oauth_row(*p);
        if (!o)
            continue;
        rows++;
        bool named = strcmp((*p)->name, "oauth2") == 0; /* where it is says broker.yaml */
        CHECK(named == !o->token_url && named == !o->client_id);
        CHECK(named || (strncmp(o->token_url, "https://", 8) == 0 && o->client_id[0]));
        CHECK(o->loopback || o->page);
        CHECK(!o->loopback || strncmp(o->loopback, "http://localhost:", 17) == 0 || strncmp(o->loopback, "http://127.0.0.1:", 17) == 0);
        CHECK((o->device_poll != NULL) == (o->device_page != NULL) && (o->device_poll != NULL) == (o->device_redirect != NULL));
        CHECK(o->final && o->final[0] && oauth_listed(o->final, view_str("invalid_grant")));
        for (const char *const *r = o->rotated; r && *r; r++)
            CHECK(oauth_listed(o->final, view_str(*r)));
        const struct provider_kind *k = (*p)->kinds;
        while (strcmp(k->name, "login") != 0)
            k++;
        CHECK(k->optional & (1u << CF_REFRESH_TOKEN)); /* a renewed login has where to keep it */
    }
    CHECK(rows >= 2);
}

TEST(broker_yaml_comes_before_the_row)
{
    static char name[] = "claude", url[] = "http://127.0.0.1:9/t", ca[] = "/x.pem";
    struct config_provider own = {.name = name, .token_url = url, .ca = ca, .form = 1, .insecure_loopback = true};
    struct config c = {.providers = &own, .n_providers = 1};
    const struct provider *claude = provider_by_name(view_str("claude")), *codex = provider_by_name(view_str("codex"));
    struct oauth_client o;
    CHECK(oauth_client_of(claude, &c, &o));
    CHECK_STR(o.token_url, url);
    CHECK_STR(o.ca, ca);
    CHECK_STR(o.client_id, oauth_row(claude)->client_id);
    CHECK(o.form && o.insecure_loopback && o.row == oauth_row(claude) && o.provider == claude);
    CHECK(oauth_client_of(codex, &c, &o));
    CHECK_STR(o.token_url, "https://auth.openai.com/oauth/token");
    CHECK(!o.form && !o.insecure_loopback && !o.ca);
    CHECK(oauth_client_of(codex, NULL, &o));
    CHECK(!oauth_client_of(provider_by_name(view_str("openai")), &c, &o));
}

TEST(names_in_broker_yaml_are_checked)
{
    static char good[] = "codex", none[] = "nobody", key[] = "openai";
    static const struct {
        char *name;
        err_t e;
        const char *says;
    } rows[] = {{good, ERR_OK, ""}, {none, ERR_INVALID, "there is no provider nobody"}, {key, ERR_INVALID, "openai has no logins"}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct config_provider own = {.name = rows[i].name};
        struct config c = {.providers = &own, .n_providers = 1};
        why = (struct why){0};
        CHECK_INT(oauth_check_config(&c, "broker.yaml", &why), rows[i].e);
        CHECK(strstr(why.text, rows[i].says));
    }
}

static bool has_pair(const struct buf *pairs, const char *name, const char *value)
{
    struct cursor c = cursor_of(buf_view(pairs));
    struct view n, v;
    while (msg_list_next(&c, &n) && msg_list_next(&c, &v))
        if (view_is(n, name))
            return view_is(v, value);
    return false;
}

static const struct cred login = {.f = {[CF_KIND] = {(const uint8_t *)"login", 5},
                                        [CF_ACCESS_TOKEN] = {(const uint8_t *)"at1", 3},
                                        [CF_REFRESH_TOKEN] = {(const uint8_t *)"rt1", 3},
                                        [CF_EXPIRES_AT] = {(const uint8_t *)"1000", 4},
                                        [CF_SCOPES] = {(const uint8_t *)"a b", 3},
                                        [CF_REST] = {(const uint8_t *)"{}", 2}}};

TEST(parameters_of_a_refresh)
{
    AUTO(buf_free) struct buf a = {0}, b = {0};
    struct oauth_client o;
    CHECK(oauth_client_of(provider_by_name(view_str("claude")), NULL, &o));
    oauth_refresh_pairs(&o, &login, &a);
    CHECK(has_pair(&a, "grant_type", "refresh_token") && has_pair(&a, "refresh_token", "rt1") && has_pair(&a, "client_id", o.client_id) &&
          has_pair(&a, "scope", "a b"));
    CHECK(oauth_client_of(provider_by_name(view_str("codex")), NULL, &o));
    oauth_refresh_pairs(&o, &login, &b);
    CHECK(has_pair(&b, "refresh_token", "rt1") && !has_pair(&b, "scope", "a b"));
    CHECK(msg_fits(F_PAIRS, buf_view(&a)) && msg_fits(F_PAIRS, buf_view(&b)));
}

TEST(what_the_answer_leaves_out_stays)
{
    const struct provider *claude = provider_by_name(view_str("claude"));
    struct cred answer = {.f = {[CF_ACCESS_TOKEN] = view_str("at2"), [CF_EXPIRES_AT] = view_str("2000"), [CF_LAST_REFRESH] = view_str("now")}}, out;
    oauth_merge(claude, &login, &answer, &out);
    CHECK(view_is(out.f[CF_ACCESS_TOKEN], "at2") && view_is(out.f[CF_REFRESH_TOKEN], "rt1") && view_is(out.f[CF_EXPIRES_AT], "2000"));
    CHECK(view_is(out.f[CF_REST], "{}") && view_is(out.f[CF_SCOPES], "a b") && view_is(out.f[CF_KIND], "login"));
    CHECK(!cred_has(&out, CF_LAST_REFRESH)); /* a Claude login has no use for it */
    CHECK_OK(claude->validate(&out, &why), why);
}

TEST(the_end_of_a_token_goes_with_it)
{
    const struct provider *codex = provider_by_name(view_str("codex"));
    struct cred answer = {.f = {[CF_ACCESS_TOKEN] = view_str("at2"), [CF_LAST_REFRESH] = view_str("now")}}, out;
    oauth_merge(codex, &login, &answer, &out);
    CHECK(!cred_has(&out, CF_EXPIRES_AT) && view_is(out.f[CF_LAST_REFRESH], "now"));
    struct cred only_refresh = {.f = {[CF_REFRESH_TOKEN] = view_str("rt2")}};
    oauth_merge(codex, &login, &only_refresh, &out);
    CHECK(view_is(out.f[CF_REFRESH_TOKEN], "rt2") && view_is(out.f[CF_ACCESS_TOKEN], "at1") && view_is(out.f[CF_EXPIRES_AT], "1000"));
}

TEST(only_logins_with_a_refresh_token_are_renewed)
{
    const struct provider *claude = provider_by_name(view_str("claude"));
    struct cred c = login;
    CHECK(oauth_can_refresh(claude, &c));
    c.f[CF_REFRESH_TOKEN] = (struct view){0};
    CHECK(!oauth_can_refresh(claude, &c));
    c = login;
    c.f[CF_KIND] = view_str("setup_token");
    CHECK(!oauth_can_refresh(claude, &c));
}
