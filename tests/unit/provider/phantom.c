/* provider/phantom.c: the answers, and the JWT dress. */
#include "provider/phantom.h"

#include "base/auto.h"
#include "base/json.h"
#include "check.h"

#include <jansson.h>

static const struct phantom sample = {.access = {(const uint8_t *)"cbat-cbrk1_a_b", 14}, .renewal = {(const uint8_t *)"cbat-cbrk1_c_d", 14}, .expires_ms = 2000900000, .now_ms = 2000000000};

static json_t *answered(const char *client)
{
    AUTO(buf_free) struct buf out = {0};
    struct jsonw w = jsonw_to(&out);
    struct why why = {0};
    CHECK_OK(phantom_answer(view_str(client), &sample, &w, &why), why);
    json_t *v = json_loadb((const char *)out.p, out.len, JSON_REJECT_DUPLICATES, NULL);
    CHECK(v);
    return v;
}

TEST(codex_gets_a_jwt_that_decodes_and_tells_its_end)
{
    AUTO(auto_json) json_t *v = answered("codex"), *claims = NULL;
    AUTO(buf_free) struct buf text = {0};
    struct why why = {0};
    const char *jwt = json_string_value(json_object_get(v, "access_token"));
    CHECK_STR(json_string_value(json_object_get(v, "refresh_token")), "cbat-cbrk1_c_d");
    CHECK(!json_object_get(v, "id_token"));
    const char *dot = strchr(jwt, '.');
    CHECK_OK(base64url_decode(VIEW(dot + 1, (size_t)(strrchr(jwt, '.') - dot - 1)), &text, &why), why);
    claims = json_loadb((const char *)text.p, text.len, JSON_REJECT_DUPLICATES, NULL);
    CHECK_INT(json_integer_value(json_object_get(claims, "exp")), 2000900);
    CHECK_STR(strrchr(jwt, '.') + 1, "cbat-cbrk1_a_b");
}

TEST(claude_gets_the_token_and_the_seconds_that_are_left)
{
    AUTO(auto_json) json_t *v = answered("claude");
    CHECK_STR(json_string_value(json_object_get(v, "access_token")), "cbat-cbrk1_a_b");
    CHECK_INT(json_integer_value(json_object_get(v, "expires_in")), 900);
    CHECK_STR(json_string_value(json_object_get(v, "token_type")), "Bearer");
    CHECK(!json_object_get(v, "refresh_token")); /* its identity token is its own */
}

TEST(nobody_else_renews)
{
    AUTO(buf_free) struct buf out = {0};
    struct jsonw w = jsonw_to(&out);
    struct why why = {0};
    CHECK_INT(phantom_answer(view_str("gemini"), &sample, &w, &why), ERR_INVALID);
    CHECK_INT(phantom_answer(VIEW(NULL, 0), &sample, &w, &why), ERR_INVALID);
    CHECK(out.len == 0 && phantom_knows(view_str("codex")) && phantom_knows(view_str("claude")) && !phantom_knows(view_str("code")));
}
