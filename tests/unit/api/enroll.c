/* Foreign bytes → canonical form, by text and by base64; and what is refused. */
#include "api/enroll.h"
#include "api/request.h"
#include "base/auto.h"
#include "base/json.h"
#include "check.h"

#include <broker/provider.h>

static struct why why;

static err_t enroll(const char *json, struct buf *out)
{
    struct route_match m;
    struct values v = {0};
    AUTO(buf_free) struct buf body = {0};
    buf_add_str(&body, json);
    CHECK_OK(route_find(FROM_ADMIN, "POST", view_str("/v1/credentials"), &m, &why), why);
    TRY(body_read(m.route, body.p, body.len, &v, &why));
    TRY(request_params(&m, VIEW(NULL, 0), &v, &why));
    TRY(request_check(m.route, &v, &why));
    buf_reset(out);
    return enroll_canonical(m.route, &v, out, &why);
}

#define KEY  "sk-ant-api03-abcdefghijklmnopqrstuvwxyz0123456789"
#define HEAD "{\"name\":\"k\",\"provider\":\"anthropic\","

TEST(text_and_base64_give_the_same)
{
    AUTO(buf_free) struct buf a = {0}, b = {0}, c = {0};
    struct cred cred;
    CHECK_OK(enroll(HEAD "\"data\":\"" KEY "\"}", &a), why);
    CHECK_OK(cred_decode(buf_view(&a), &cred, &why), why);
    CHECK(view_is(cred.f[CF_SECRET], KEY));
    CHECK_OK(enroll(HEAD
                    "\"data_base64\":"
                    "\"c2stYW50LWFwaTAzLWFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6MDEyMzQ1Njc4OQ==\"}",
                    &b),
             why);
    CHECK_OK(enroll(HEAD "\"data_base64\":"
                         "\"c2stYW50LWFwaTAzLWFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6MDEyMzQ1Njc4OQ\"}",
                    &c),
             why);
    CHECK(view_eq(buf_view(&a), buf_view(&b)) && view_eq(buf_view(&a), buf_view(&c)));
}

TEST(options_reach_the_provider)
{
    AUTO(buf_free) struct buf out = {0};
    struct cred cred;
    CHECK_OK(enroll("{\"name\":\"db\",\"provider\":\"generic\",\"data\":\"hunter2hunter2\","
                    "\"username\":\"alice\","
                    "\"env\":\"DB_PASSWORD\",\"origin\":\"https://"
                    "db.example\",\"header\":\"Authorization: Bearer {}\"}",
                    &out),
             why);
    CHECK_OK(cred_decode(buf_view(&out), &cred, &why), why);
    CHECK(view_is(cred.f[CF_USERNAME], "alice") && view_is(cred.f[CF_ENV], "DB_PASSWORD"));
    CHECK(view_is(cred.f[CF_ORIGIN], "https://db.example"));
}

TEST(a_foreign_file_comes_with_its_escapes_undone)
{
    AUTO(buf_free) struct buf out = {0};
    struct cred cred;
    CHECK_OK(
        enroll(
            "{\"name\":\"c\",\"provider\":\"claude\",\"data\":\"{\\n  \\\"claudeAiOauth\\\": "
            "{\\\"accessToken\\\":"
            "\\\"sk-ant-oat01-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\\\",\\\"refreshToken\\\":"
            "\\\"sk-ant-ort01-bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\\\",\\\"expiresAt\\\":1795300000000,"
            "\\\"scopes\\\":[\\\"user:inference\\\"],\\\"subscriptionType\\\":\\\"max\\\"}\\n}\"}",
            &out),
        why);
    CHECK_OK(cred_decode(buf_view(&out), &cred, &why), why);
    CHECK(view_is(cred.f[CF_ACCESS_TOKEN], "sk-ant-oat01-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
    CHECK(cred_has(&cred, CF_REFRESH_TOKEN));
}

TEST(everything_else_is_refused)
{
    static const char *const bad[] = {
        HEAD "\"data\":\"" KEY "\",\"data_base64\":\""
             "aGk="
             "\"}",
        "{\"name\":\"k\",\"provider\":\"anthropic\"}",
        HEAD "\"data\":\"\"}",
        HEAD "\"data_base64\":\"not base64!\"}",
        HEAD "\"data_base64\":\"aGk=\\n\"}",
        HEAD "\"data_base64\":\"====\"}",
        "{\"name\":\"k\",\"provider\":\"nobody\",\"data\":\"x\"}",
        "{\"name\":\"k\",\"data\":\"x\"}",
        "{\"provider\":\"generic\",\"data\":\"x\"}",
        "{\"name\":\"k\",\"provider\":\"claude\",\"data\":\"{\"}",
        "{\"name\":\"k\",\"provider\":\"claude\",\"data\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
        "[[[\"}",
        "{\"name\":\"K\",\"provider\":\"generic\",\"data\":\"x\"}",
    };
    AUTO(buf_free) struct buf out = {0};
    json_wiping_allocators();
    for (size_t i = 0; i < COUNT(bad); i++) {
        if (enroll(bad[i], &out) != ERR_INVALID)
            printf("    %s\n", bad[i]);
        CHECK_INT(enroll(bad[i], &out), ERR_INVALID);
    }
}

TEST(sentences_hold_no_secret)
{
    AUTO(buf_free) struct buf out = {0};
    CHECK_INT(enroll("{\"name\":\"k\",\"provider\":\"claude\",\"data\":\"s3cr3t-not-json\"}", &out),
              ERR_INVALID);
    CHECK(!strstr(why.text, "s3cr3t"));
}
