/* proxy/token_body.c: what is read as a token request, and everything that is not. */
#include "proxy/token_body.h"

#include "base/auto.h"
#include "check.h"

#include <stdio.h>

static struct token_body got;
static struct why why;

static err_t read_as(enum token_body_type type, const char *text)
{
    return token_body_read(type, view_str(text), "refresh_token", &got, &why);
}

static bool is(const char *grant, const char *token)
{
    return strcmp(got.grant_type, grant) == 0 && view_is(VIEW(got.token, got.token_len), token);
}

TEST(what_codex_sends)
{
    CHECK_OK(read_as(TOKEN_BODY_JSON, "{\"client_id\":\"app_x\",\"grant_type\":\"refresh_token\",\"refresh_token\":\"cbat-cbrk1_a_b\"}"), why);
    CHECK(is("refresh_token", "cbat-cbrk1_a_b"));
    CHECK_OK(read_as(TOKEN_BODY_JSON, " {\"scope\" : null, \"n\":1.5e3 ,\"t\":true,\n\"refresh_token\" :\t\"t\" , \"x\":\"\\u0041\\\"\", \"grant_type\": \"refresh_token\" } "), why);
    CHECK(is("refresh_token", "t"));
}

TEST(what_a_form_sends)
{
    CHECK_OK(read_as(TOKEN_BODY_FORM, "grant_type=urn%3Aietf%3aparams&refresh_token=a%2Bb&client_id=x+y&empty="), why);
    CHECK(is("urn:ietf:params", "a+b"));
}

TEST(json_that_two_readers_could_take_differently_is_refused)
{
    static const char *const bad[] = {
        "", " ", "[]", "\"grant_type\"", "null", "{", "{}", "{}{}", "{\"grant_type\":\"refresh_token\"}", "{\"refresh_token\":\"t\"}",
        "{\"grant_type\":\"refresh_token\",\"refresh_token\":\"t\"} x",
        "{\"grant_type\":\"refresh_token\",\"refresh_token\":\"t\"}{}",
        "{\"grant_type\":\"refresh_token\",\"refresh_token\":\"t\",}",
        "{\"grant_type\":\"refresh_token\",\"refresh_token\":\"t\",\"refresh_token\":\"u\"}",
        "{\"grant_type\":\"refresh_token\",\"refresh_token\":\"t\",\"refresh_toke\\u006e\":\"u\"}",
        "{\"grant_type\":\"a\",\"grant_type\":\"refresh_token\",\"refresh_token\":\"t\"}",
        "{\"grant_type\":\"refresh_token\",\"refresh_token\":\"\"}",
        "{\"grant_type\":\"\",\"refresh_token\":\"t\"}",
        "{\"grant_type\":\"refresh_token\",\"refresh_token\":null}",
        "{\"grant_type\":1,\"refresh_token\":\"t\"}",
        "{\"grant_type\":\"refresh_token\",\"refresh_token\":{\"refresh_token\":\"t\"}}",
        "{\"grant_type\":\"refresh_token\",\"refresh_token\":[\"t\"]}",
        "{\"grant_type\":\"refresh_token\",\"x\":{},\"refresh_token\":\"t\"}",
        "{\"grant_type\":\"refresh_token\",\"refresh_token\":\"t\\u0041\"}",
        "{\"grant_type\":\"refresh_token\",\"refresh_token\":\"t u\"}",
        "{\"grant_type\":\"refresh_token\",\"refresh_token\":\"t\xc3\xa9\"}",
        "{\"grant_type\":\"refresh_token\",'refresh_token':\"t\"}",
        "{\"grant_type\":\"refresh_token\",\"refresh_token\":\"t\"",
        "{\"refresh_token\":\"t\",\"grant_type\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}",
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        err_t e = read_as(TOKEN_BODY_JSON, bad[i]);
        if (e != ERR_INVALID)
            (void)fprintf(stderr, "taken: %s\n", bad[i]);
        CHECK_INT(e, ERR_INVALID);
        CHECK(why.text[0] && !strstr(why.text, "\"t\""));
    }
    /* a NUL inside, and a name that only begins as ours */
    static const char nul[] = "{\"grant_type\":\"refresh_token\",\"refresh_token\":\"t\0u\"}";
    CHECK_INT(token_body_read(TOKEN_BODY_JSON, VIEW(nul, sizeof(nul) - 1), "refresh_token", &got, &why), ERR_INVALID);
    CHECK_INT(read_as(TOKEN_BODY_JSON, "{\"grant_type\":\"refresh_token\",\"refresh_token\\u0000\":\"t\"}"), ERR_INVALID);
    CHECK_INT(read_as(TOKEN_BODY_JSON, "{\"grant_type\":\"refresh_token\",\"refresh_token_\":\"t\"}"), ERR_INVALID);
}

TEST(forms_that_are_refused)
{
    static const char *const bad[] = {
        "", "&", "grant_type", "grant_type=a", "refresh_token=t", "grant_type=a&refresh_token=t&", "grant_type=a&refresh_token=t&refresh_token=u",
        "grant_type=a&refresh_token=t&refresh%5ftoken=u", "grant_type=a&refresh_token=%", "grant_type=a&refresh_token=%4", "grant_type=a&refresh_token=%4g",
        "grant_type=a&refresh_token=t%20u", "grant_type=a&refresh_token=t+u", "grant_type=a&refresh_token=%00", "grant_type=a&refresh_token=",
        "grant_type=a&refresh_token=t u", "grant_type=a&refresh_token=\xc3\xa9", "grant_type=a\n&refresh_token=t", "grant_type%00=a&refresh_token=t",
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        err_t e = read_as(TOKEN_BODY_FORM, bad[i]);
        if (e != ERR_INVALID)
            (void)fprintf(stderr, "taken: %s\n", bad[i]);
        CHECK_INT(e, ERR_INVALID);
    }
}

TEST(sizes_are_bounded)
{
    char text[TOKEN_BODY_MAX + 2];
    char token[TOKEN_BODY_TOKEN + 2];
    memset(token, 'a', sizeof(token));
    token[TOKEN_BODY_TOKEN] = '\0';
    (void)snprintf(text, sizeof(text), "{\"grant_type\":\"g\",\"refresh_token\":\"%s\"}", token);
    CHECK_OK(read_as(TOKEN_BODY_JSON, text), why);
    CHECK_INT(got.token_len, TOKEN_BODY_TOKEN);
    token[TOKEN_BODY_TOKEN] = 'a';
    token[TOKEN_BODY_TOKEN + 1] = '\0';
    (void)snprintf(text, sizeof(text), "{\"grant_type\":\"g\",\"refresh_token\":\"%s\"}", token);
    CHECK_INT(read_as(TOKEN_BODY_JSON, text), ERR_INVALID);
    memset(text, ' ', sizeof(text));
    CHECK_INT(token_body_read(TOKEN_BODY_JSON, VIEW(text, TOKEN_BODY_MAX + 1), "refresh_token", &got, &why), ERR_TOO_LARGE);
    size_t n = 0;
    for (int i = 0; i < TOKEN_BODY_MEMBERS - 1; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "a%d=b&", i);
    (void)snprintf(text + n, sizeof(text) - n, "grant_type=g&refresh_token=t");
    CHECK_INT(read_as(TOKEN_BODY_FORM, text), ERR_INVALID);
    CHECK(strstr(why.text, "members"));
}

TEST(types_by_their_name_alone)
{
    static const struct {
        const char *value;
        enum token_body_type type;
    } cases[] = {
        {"application/json", TOKEN_BODY_JSON},           {"Application/JSON; charset=utf-8", TOKEN_BODY_JSON},
        {"application/json ;x", TOKEN_BODY_JSON},        {"application/x-www-form-urlencoded", TOKEN_BODY_FORM},
        {"application/jsonx", TOKEN_BODY_OTHER},         {"text/plain", TOKEN_BODY_OTHER},
        {"", TOKEN_BODY_OTHER},                          {"application/json, text/plain", TOKEN_BODY_OTHER},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        CHECK_INT(token_body_type(view_str(cases[i].value)), cases[i].type);
    CHECK_INT(read_as(TOKEN_BODY_OTHER, "grant_type=a&refresh_token=t"), ERR_INVALID);
}
