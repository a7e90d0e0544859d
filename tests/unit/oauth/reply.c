/* oauth/reply.c: what answers mean; each row of the table is an answer that a provider gives, or one that none should. */
#include "check.h"

#include "base/auto.h"
#include "base/json.h"
#include "oauth/reply.h"

static struct why why;
enum { AT = 1000000 };

static void parse_as(const char *provider, unsigned status, struct view body, struct reply *out)
{
    reply_parse(&(struct reply_ask){.provider = provider_by_name(view_str(provider)), .status = status, .body = body, .at_ms = AT}, out);
}

/* ---- verdicts */

static const struct {
    const char *provider;
    unsigned status;
    const char *body;
    enum oauth_verdict verdict;
    const char *code;
} verdicts[] = {
    {"claude", 200, "{\"access_token\":\"a\",\"refresh_token\":\"b\",\"expires_in\":3600}", OAUTH_GRANTED, ""},
    {"claude", 200, "{\"access_token\":\"a\"}", OAUTH_GRANTED, ""},
    {"codex", 200, "{\"refresh_token\":\"b\"}", OAUTH_GRANTED, ""},
    {"codex", 200, "{\"id_token\":\"e30.e30.e30\"}", OAUTH_GRANTED, ""},
    {"codex", 200, "{\"id_token\":\"nonsense\"}", OAUTH_GARBAGE, ""},
    {"claude", 200, "{}", OAUTH_GARBAGE, ""},
    {"claude", 200, "", OAUTH_GARBAGE, ""},
    {"claude", 200, "[]", OAUTH_GARBAGE, ""},
    {"claude", 200, "null", OAUTH_GARBAGE, ""},
    {"claude", 200, "<html>", OAUTH_GARBAGE, ""},
    {"claude", 200, "{\"access_token\":\"a\"", OAUTH_GARBAGE, ""},
    {"claude", 200, "{\"access_token\":\"a\",\"access_token\":\"b\"}", OAUTH_GARBAGE, ""},
    {"claude", 200, "{\"access_token\":7}", OAUTH_GARBAGE, ""},
    {"claude", 200, "{\"access_token\":\"a b\"}", OAUTH_GARBAGE, ""},
    {"claude", 200, "{\"access_token\":\"a\\nx-evil: 1\"}", OAUTH_GARBAGE, ""},
    {"claude", 200, "{\"access_token\":\"a\",\"refresh_token\":[]}", OAUTH_GARBAGE, ""},
    {"claude", 200, "{\"access_token\":\"a\",\"expires_in\":\"3600\"}", OAUTH_GARBAGE, ""},
    {"claude", 200, "{\"access_token\":\"a\",\"expires_in\":-1}", OAUTH_GARBAGE, ""},
    {"claude", 200, "{\"access_token\":\"a\",\"expires_in\":1e99}", OAUTH_GARBAGE, ""},
    {"claude", 201, "{\"access_token\":\"a\"}", OAUTH_GARBAGE, ""},
    {"claude", 204, "", OAUTH_GARBAGE, ""},
    {"claude", 302, "", OAUTH_GARBAGE, ""},
    {"claude", 0, "", OAUTH_GARBAGE, ""},
    {"claude", 400, "{\"error\":\"invalid_grant\",\"error_description\":\"Refresh token not found\"}", OAUTH_REVOKED, "invalid_grant"},
    {"claude", 401, "{\"error\":{\"type\":\"invalid_grant\"}}", OAUTH_REVOKED, "invalid_grant"},
    {"claude", 400, "{\"error\":\"invalid_client\"}", OAUTH_REFUSED, "invalid_client"},
    {"claude", 400, "{\"error\":\"refresh_token_reused\"}", OAUTH_REFUSED, "refresh_token_reused"}, /* not its word */
    {"claude", 400, "{\"error\":\"Refresh token sk-ant-ort01-xyz\"}", OAUTH_REFUSED, ""},              /* no word: not passed on */
    {"claude", 400, "", OAUTH_REFUSED, ""},
    {"claude", 404, "not here", OAUTH_REFUSED, ""},
    {"codex", 401, "{\"error\":{\"code\":\"refresh_token_reused\",\"message\":\"used\"}}", OAUTH_ROTATED, "refresh_token_reused"},
    {"codex", 401, "{\"error\":\"refresh_token_expired\"}", OAUTH_REVOKED, "refresh_token_expired"},
    {"codex", 401, "{\"code\":\"refresh_token_invalidated\"}", OAUTH_REVOKED, "refresh_token_invalidated"},
    {"codex", 401, "{\"error\":{\"code\":null,\"type\":\"invalid_request_error\"}}", OAUTH_REFUSED, "invalid_request_error"},
    {"codex", 500, "{\"error\":\"invalid_grant\"}", OAUTH_TRANSIENT, "invalid_grant"}, /* a 5xx kills no login */
    {"codex", 503, "", OAUTH_TRANSIENT, ""},
    {"codex", 429, "{}", OAUTH_TRANSIENT, ""},
    {"codex", 408, "", OAUTH_TRANSIENT, ""},
    {"codex", 400, "{\"error\":\"temporarily_unavailable\"}", OAUTH_TRANSIENT, "temporarily_unavailable"},
    {"codex", 400, "{\"error\":\"authorization_pending\"}", OAUTH_PENDING, "authorization_pending"},
    {"codex", 400, "{\"error\":\"slow_down\"}", OAUTH_SLOW_DOWN, "slow_down"},
    {"codex", 400, "{\"error\":\"expired_token\"}", OAUTH_REVOKED, "expired_token"},
    {"openai", 400, "{\"error\":\"invalid_grant\"}", OAUTH_REFUSED, "invalid_grant"}, /* it has no logins */
};

TEST(verdicts_of_answers)
{
    for (size_t i = 0; i < COUNT(verdicts); i++) {
        AUTO(reply_free) struct reply r;
        parse_as(verdicts[i].provider, verdicts[i].status, view_str(verdicts[i].body), &r);
        if (r.verdict != verdicts[i].verdict)
            printf("    %s %u %s\n", verdicts[i].provider, verdicts[i].status, verdicts[i].body);
        CHECK_INT(r.verdict, verdicts[i].verdict);
        CHECK_STR(r.code, verdicts[i].code);
        CHECK((r.login.len > 0) == (r.verdict == OAUTH_GRANTED));
    }
}

/* ---- fields */

static void granted(const char *provider, const char *body, struct reply *r, struct cred *c)
{
    parse_as(provider, 200, view_str(body), r);
    CHECK_INT(r->verdict, OAUTH_GRANTED);
    CHECK_OK(cred_decode(buf_view(&r->login), c, &why), why);
}

TEST(claude_answers_with_account_and_scope)
{
    AUTO(reply_free) struct reply r;
    struct cred c;
    granted("claude",
            "{\"token_type\":\"Bearer\",\"access_token\":\"sk-ant-oat01-new\",\"expires_in\":28800,\"refresh_token\":\"sk-ant-ort01-new\","
            "\"scope\":\"user:inference user:profile\",\"organization\":{\"uuid\":\"org-1\",\"name\":\"x\"},"
            "\"account\":{\"uuid\":\"acc-1\",\"email_address\":\"a@b.example\"}}",
            &r, &c);
    CHECK(view_is(c.f[CF_ACCESS_TOKEN], "sk-ant-oat01-new") && view_is(c.f[CF_REFRESH_TOKEN], "sk-ant-ort01-new"));
    CHECK(view_is(c.f[CF_SCOPES], "user:inference user:profile") && view_is(c.f[CF_ACCOUNT], "acc-1"));
    CHECK(view_is(c.f[CF_ORGANIZATION], "org-1") && view_is(c.f[CF_EMAIL], "a@b.example"));
    CHECK_INT(cred_ms(&c, CF_EXPIRES_AT), AT + 28800 * 1000);
    CHECK(!cred_has(&c, CF_KIND) && view_is(c.f[CF_LAST_REFRESH], "1970-01-01T00:16:40.000Z"));
}

TEST(without_expires_in_the_row_says_how_long)
{
    AUTO(reply_free) struct reply r;
    struct cred c;
    granted("claude", "{\"access_token\":\"x\"}", &r, &c);
    CHECK_INT(cred_ms(&c, CF_EXPIRES_AT), AT + 8 * 3600 * 1000);
    CHECK(!cred_has(&c, CF_REFRESH_TOKEN));
}

/* {"exp":2000000000,"https://api.openai.com/auth":{"chatgpt_account_id":"acct-9","chatgpt_plan_type":"pro"}} */
static const char jwt[] = "eyJhbGciOiJub25lIn0.eyJleHAiOjIwMDAwMDAwMDAsImh0dHBzOi8vYXBpLm9wZW5haS5jb20vYXV0aCI6eyJjaGF0Z3B0X2FjY291bnRfaWQiOiJhY2N0"
                          "LTkiLCJjaGF0Z3B0X3BsYW5fdHlwZSI6InBybyJ9fQ.c2ln";

TEST(codex_says_end_and_account_inside_the_token)
{
    AUTO(reply_free) struct reply r;
    AUTO(buf_free) struct buf body = {0};
    struct cred c;
    buf_add_fmt(&body, "{\"access_token\":\"%s\",\"id_token\":\"not.a.jwt\",\"refresh_token\":null}", jwt);
    granted("codex", buf_text(&body), &r, &c);
    CHECK_INT(cred_ms(&c, CF_EXPIRES_AT), INT64_C(2000000000000));
    CHECK(view_is(c.f[CF_ACCOUNT], "acct-9") && view_is(c.f[CF_PLAN], "pro"));
    CHECK(!cred_has(&c, CF_ID_TOKEN) && !cred_has(&c, CF_REFRESH_TOKEN)); /* an id_token that does not decode is left out */
}

TEST(an_opaque_codex_token_has_no_known_end)
{
    AUTO(reply_free) struct reply r;
    struct cred c;
    granted("codex", "{\"access_token\":\"opaque\"}", &r, &c);
    CHECK(!cred_has(&c, CF_EXPIRES_AT));
}

TEST(what_is_of_no_consequence_is_left_out_when_it_is_odd)
{
    AUTO(reply_free) struct reply r;
    struct cred c;
    granted("claude", "{\"access_token\":\"x\",\"scope\":[\"a\"],\"account\":\"me\",\"organization\":{\"uuid\":5}}", &r, &c);
    CHECK(!cred_has(&c, CF_SCOPES) && !cred_has(&c, CF_ACCOUNT) && !cred_has(&c, CF_ORGANIZATION));
}

TEST(tokens_up_to_their_bound)
{
    for (int over = 0; over < 2; over++) {
        AUTO(reply_free) struct reply r;
        AUTO(buf_free) struct buf body = {0};
        buf_add_str(&body, "{\"access_token\":\"");
        for (int i = 0; i < 16384 + over; i++)
            buf_put_u8(&body, 'a');
        buf_add_str(&body, "\"}");
        parse_as("claude", 200, buf_view(&body), &r);
        CHECK_INT(r.verdict, over ? OAUTH_GARBAGE : OAUTH_GRANTED);
    }
}

/* ---- the device endpoint */

static enum oauth_verdict device_of(const char *provider, const char *body, struct reply *r)
{
    reply_parse(&(struct reply_ask){.provider = provider_by_name(view_str(provider)), .status = 200, .body = view_str(body), .at_ms = AT, .device = true},
                r);
    return r->verdict;
}

static enum oauth_verdict device(const char *body, struct reply *r)
{
    return device_of("oauth2", body, r);
}

/* The provider's own: another name, a number as text, and no address. */
TEST(device_codes_of_openai)
{
    AUTO(reply_free) struct reply a, b, c, d;
    CHECK_INT(device_of("codex", "{\"device_auth_id\":\"da\",\"user_code\":\"U-1\",\"interval\":\"7\"}", &a), OAUTH_GRANTED);
    CHECK(view_is(buf_view(&a.device_code), "da") && a.interval_ms == 7000 && a.expires_ms == AT + 900 * 1000);
    CHECK_STR(a.user_code, "U-1");
    CHECK_STR(a.verify_uri, "https://auth.openai.com/codex/device");
    CHECK_INT(device_of("codex", "{\"device_auth_id\":\"da\",\"usercode\":\"U-2\"}", &b), OAUTH_GRANTED);
    CHECK(b.interval_ms == 5000);
    CHECK_STR(b.user_code, "U-2");
    CHECK_INT(device_of("codex", "{\"device_code\":\"da\",\"user_code\":\"U-1\"}", &c), OAUTH_GARBAGE);
    CHECK_INT(device_of("codex", "{\"device_auth_id\":\"da\",\"user_code\":\"U-1\",\"interval\":\"soon\"}", &d), OAUTH_GARBAGE);
}

TEST(a_poll_that_gives_a_code)
{
    static const struct {
        unsigned status;
        const char *body;
        enum oauth_verdict verdict;
    } rows[] = {{200, "{\"authorization_code\":\"ac\",\"code_challenge\":\"cc\",\"code_verifier\":\"cv\"}", OAUTH_GRANTED},
                {403, "{\"error\":\"access_denied\"}", OAUTH_PENDING}, {404, "", OAUTH_PENDING},
                {401, "{\"error\":{\"code\":\"access_denied\"}}", OAUTH_REVOKED}, {500, "", OAUTH_TRANSIENT},
                {200, "{\"authorization_code\":\"ac\"}", OAUTH_GARBAGE}, {200, "{\"authorization_code\":\"a c\",\"code_verifier\":\"cv\"}", OAUTH_GARBAGE},
                {200, "", OAUTH_GARBAGE}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO(reply_free) struct reply r;
        reply_parse(&(struct reply_ask){.provider = provider_by_name(view_str("codex")), .status = rows[i].status, .body = view_str(rows[i].body), .at_ms = AT, .poll = true}, &r);
        CHECK_INT(r.verdict, rows[i].verdict);
        CHECK(i > 0 || (view_is(buf_view(&r.code_granted), "ac") && view_is(buf_view(&r.verifier), "cv")));
    }
}

TEST(device_codes)
{
    AUTO(reply_free) struct reply a, b, c, d;
    CHECK_INT(device("{\"device_code\":\"dc\",\"user_code\":\"WDJB-MJHT\",\"verification_uri\":\"https://idp.example/device\","
                     "\"verification_uri_complete\":\"https://idp.example/device?user_code=WDJB-MJHT\",\"expires_in\":1800,\"interval\":7}",
                     &a),
              OAUTH_GRANTED);
    CHECK(view_is(buf_view(&a.device_code), "dc"));
    CHECK_STR(a.user_code, "WDJB-MJHT");
    CHECK_STR(a.verify_uri, "https://idp.example/device");
    CHECK_STR(a.verify_full, "https://idp.example/device?user_code=WDJB-MJHT");
    CHECK_INT(a.interval_ms, 7000);
    CHECK_INT(a.expires_ms, AT + 1800 * 1000);
    CHECK_INT(device("{\"device_code\":\"dc\",\"user_code\":\"U\",\"verification_url\":\"https://g.example\"}", &b), OAUTH_GRANTED);
    CHECK_INT(b.interval_ms, 5000);
    CHECK_STR(b.verify_full, "");
    CHECK_INT(device("{\"device_code\":\"dc\",\"user_code\":\"U\"}", &c), OAUTH_GARBAGE);
    CHECK_INT(device("{\"user_code\":\"U\",\"verification_uri\":\"https://g.example\"}", &d), OAUTH_GARBAGE);
}
