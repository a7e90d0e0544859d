#include "fake/logins.h"
#include "provider/intake.h"
#include "provider/kind.h"

static err_t read_fails(struct intake *in, struct why *why)
{
    (void)in;
    return fail(why, ERR_TOO_LARGE, "this is a pumpkin");
}

static err_t read_key(struct intake *in, struct why *why)
{
    (void)why;
    in->cred.f[CF_KIND] = view_str("api_key");
    in->cred.f[CF_SECRET] = in->input;
    return ERR_OK;
}

static struct intake intake_for(const char *provider, const struct provider_options *o)
{
    return (struct intake){
        .provider = provider_by_name(view_str(provider)), .input = view_str("xkey"), .options = o};
}

TEST(a_failed_read_says_what_was_expected)
{
    AUTO(intake_free) struct intake in = intake_for("openai", NULL);
    AUTO(buf_free) struct buf out = {0};
    struct why why = {0};
    CHECK_INT(intake_run(&in, read_fails, &out, &why), ERR_TOO_LARGE);
    CHECK(strstr(why.text, "this is a pumpkin; expected one OpenAI API key"));
    CHECK_INT(out.len, 0);
}

TEST(env_goes_with_any_key_the_rest_with_generic_only)
{
    static const struct provider_options bad[] = {
        {.origin = {(const uint8_t *)"https://a", 9}},
        {.header = {(const uint8_t *)"A: {}", 5}},
        {.username = {(const uint8_t *)"me", 2}},
        {.env = {(const uint8_t *)"bad name", 8}},
    };
    AUTO(buf_free) struct buf out = {0};
    struct why why = {0};
    for (size_t i = 0; i < COUNT(bad); i++) {
        AUTO(intake_free) struct intake in = intake_for("openai", &bad[i]);
        CHECK_INT(intake_run(&in, read_key, &out, &why), ERR_INVALID);
        CHECK_INT(out.len, 0);
    }
    struct provider_options env = {.env = view_str("LLM_API_KEY")};
    AUTO(intake_free) struct intake in = intake_for("openai", &env);
    struct cred c = {0};
    CHECK_OK(intake_run(&in, read_key, &out, &why), why);
    CHECK_OK(cred_decode(buf_view(&out), &c, &why), why);
    CHECK(view_is(c.f[CF_ENV], "LLM_API_KEY"));
}

static void parse_root(struct intake *in, const char *text)
{
    struct why why = {0};
    CHECK_OK(json_parse(view_str(text), &in->root, &why), why);
}

TEST(members_become_fields)
{
    static const struct intake_member rows[] = {{"a", CF_PLAN, true}, {"b", CF_TIER, false}};
    static const char *const bad[] = {"{}",        "{\"a\":null}",           "{\"a\":\"\"}",
                                      "{\"a\":1}", "{\"a\":\"x\",\"b\":[]}", "[]"};
    struct why why = {0};
    for (size_t i = 0; i < COUNT(bad); i++) {
        AUTO(intake_free) struct intake in = {0};
        parse_root(&in, bad[i]);
        CHECK_INT(intake_members(&in, in.root, rows, COUNT(rows), &why), ERR_INVALID);
    }
    AUTO(intake_free) struct intake in = {0};
    parse_root(&in, "{\"a\":\"x\",\"b\":null}");
    CHECK_OK(intake_members(&in, in.root, rows, COUNT(rows), &why), why);
    CHECK(view_is(in.cred.f[CF_PLAN], "x"));
    CHECK(!cred_has(&in.cred, CF_TIER));
}

TEST(times_are_written_in_their_own_room)
{
    AUTO(intake_free) struct intake in = {0};
    struct why why = {0};
    CHECK_OK(intake_time(&in, CF_EXPIRES_AT, 253402300799999, &why), why);
    CHECK_OK(intake_time(&in, CF_REFRESH_EXPIRES, 0, &why), why);
    CHECK_INT(cred_ms(&in.cred, CF_EXPIRES_AT), 253402300799999);
    CHECK(view_is(in.cred.f[CF_REFRESH_EXPIRES], "0"));
    CHECK_INT(intake_time(&in, CF_EXPIRES_AT, -1, &why), ERR_INVALID);
    CHECK_INT(intake_time(&in, CF_EXPIRES_AT, 253402300800000, &why), ERR_INVALID);
}

static bool rest_is(const char *file, const char *rest)
{
    static const char *const inner[] = {"a", NULL}, *const top[] = {"t", NULL};
    AUTO(intake_free) struct intake in = {0};
    struct why why = {0};
    parse_root(&in, file);
    CHECK_OK(intake_rest(&in, &(struct intake_used){"in", inner, top}, &why), why);
    CHECK(json_object_get(in.root, "t")); /* the tree that fields look into is as it was */
    return view_is(in.cred.f[CF_REST], rest);
}

TEST(the_rest_is_what_was_not_used)
{
    CHECK(rest_is("{\"in\":{\"a\":1},\"t\":2}", ""));
    CHECK(rest_is("{\"in\":null,\"t\":2}", ""));
    CHECK(rest_is("{\"in\":{\"a\":1,\"b\":2},\"t\":2}", "{\"in\":{\"b\":2}}"));
    CHECK(rest_is("{\"in\":{\"a\":1},\"t\":2,\"x\":[null]}", "{\"x\":[null]}"));
    CHECK(rest_is("{\"t\":2,\"a\":1}", "{\"a\":1}"));
}
