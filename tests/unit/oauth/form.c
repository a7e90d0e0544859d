/* oauth/form.c: parameters as JSON and as a form. */
#include "check.h"

#include "base/auto.h"
#include "base/msg.h"
#include "oauth/form.h"

static struct why why;

static struct buf pairs;

static void put(const char *name, const char *value)
{
    list_put(&pairs, view_str(name));
    list_put(&pairs, view_str(value));
}

TEST(json_and_form_of_the_same_parameters)
{
    AUTO(buf_free) struct buf json = {0}, form = {0};
    buf_reset(&pairs);
    put("grant_type", "refresh_token");
    put("refresh_token", "sk-ant-ort01-a+b/c=\"\\ d&e");
    put("scope", "a:b \xc3\xbc");
    CHECK_OK(form_body(buf_view(&pairs), false, &json, &why), why);
    CHECK_STR(buf_text(&json), "{\"grant_type\":\"refresh_token\",\"refresh_token\":\"sk-ant-ort01-a+b/c=\\\"\\\\ d&e\",\"scope\":\"a:b \xc3\xbc\"}");
    CHECK_OK(form_body(buf_view(&pairs), true, &form, &why), why);
    CHECK_STR(buf_text(&form), "grant_type=refresh_token&refresh_token=sk-ant-ort01-a%2Bb%2Fc%3D%22%5C%20d%26e&scope=a%3Ab%20%C3%BC");
}

TEST(nothing_is_an_empty_body)
{
    AUTO(buf_free) struct buf json = {0}, form = {0};
    CHECK_OK(form_body(VIEW(NULL, 0), false, &json, &why), why);
    CHECK_STR(buf_text(&json), "{}");
    CHECK_OK(form_body(VIEW(NULL, 0), true, &form, &why), why);
    CHECK_INT(form.len, 0);
}

TEST(a_name_without_a_value_and_a_name_that_is_none_are_refused)
{
    AUTO(buf_free) struct buf out = {0};
    buf_reset(&pairs);
    list_put(&pairs, view_str("grant_type"));
    CHECK_INT(form_body(buf_view(&pairs), false, &out, &why), ERR_INVALID);
    CHECK_INT(form_body(buf_view(&pairs), true, &out, &why), ERR_INVALID);
    buf_reset(&pairs);
    put("a\"b", "c");
    CHECK_INT(form_body(buf_view(&pairs), false, &out, &why), ERR_INVALID);
}

TEST(a_body_over_its_bound_is_refused)
{
    AUTO(buf_free) struct buf out = {.max = 16};
    buf_reset(&pairs);
    put("refresh_token", "0123456789");
    CHECK_INT(form_body(buf_view(&pairs), true, &out, &why), ERR_TOO_LARGE);
    buf_free(&pairs);
}
