#include "fake/logins.h"
#include "provider/kind.h"

/* a provider of its own: short-lived `ticket`, free-text `note` */
static const struct provider_kind kinds[] = {
    {.name = "ticket",
     .deliveries = DELIVER_BIT(PROXY) | DELIVER_BIT(ACCESS_TOKEN) | DELIVER_BIT(FILE),
     .value = CF_ACCESS_TOKEN,
     .required = CF_BIT(ACCESS_TOKEN),
     .optional = CF_BIT(EXPIRES_AT) | CF_BIT(ENV) | CF_BIT(ACCOUNT),
     .token_prefix = "tick-"},
    {.name = "note",
     .deliveries = DELIVER_BIT(SECRET),
     .value = CF_SECRET,
     .required = CF_BIT(SECRET),
     .token_prefix = "",
     .free_text = true},
    {0},
};
static const struct provider provider_test = {
    .name = "test", .title = "Test", .expects = "a test", .kinds = kinds};
KIND_FUNCTIONS(test)

static struct cred ticket(void)
{
    return (struct cred){
        .f = {[CF_KIND] = view_str("ticket"), [CF_ACCESS_TOKEN] = view_str("abc")}};
}

TEST(kinds_are_found)
{
    struct cred c = ticket(), none = {0};
    CHECK(kind_of(&provider_test, &c) == &kinds[0]);
    CHECK(kind_of(&provider_test, &none) == NULL);
    CHECK_STR(test_token_prefix(&c), "tick-");
    CHECK_STR(test_token_prefix(&none), "");
    c.f[CF_KIND] = view_str("ticke");
    CHECK(kind_of(&provider_test, &c) == NULL);
    CHECK_INT(test_validate(&c, NULL), ERR_INVALID);
    CHECK_INT(test_release(&c, DELIVER_ACCESS_TOKEN, 0, NULL, NULL), ERR_INVALID);
}

TEST(fields_are_those_of_the_kind)
{
    struct cred c = ticket();
    struct why why = {0};
    CHECK_OK(test_validate(&c, &why), why);
    c.f[CF_PLAN] = view_str("x");
    CHECK_INT(test_validate(&c, &why), ERR_INVALID);
    CHECK_STR(why.text, "Test of kind ticket has no use for PLAN");
    c = ticket();
    c.f[CF_ACCESS_TOKEN] = (struct view){0};
    CHECK_INT(test_validate(&c, &why), ERR_INVALID);
    CHECK_STR(why.text, "Test of kind ticket without ACCESS_TOKEN");
}

TEST(tokens_must_do_for_a_header)
{
    static const char *const bad[] = {"a b", "a\n", "a\r\nX: y", "\xc3\xa4", "a\t"};
    struct why why = {0};
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct cred c = ticket();
        c.f[CF_ACCESS_TOKEN] = view_str(bad[i]);
        CHECK_INT(test_validate(&c, &why), ERR_INVALID);
        CHECK(strstr(why.text, "ACCESS_TOKEN"));
        c = ticket();
        c.f[CF_ACCOUNT] = view_str(bad[i]);
        CHECK_INT(test_validate(&c, &why), ERR_INVALID);
        struct cred note = {.f = {[CF_KIND] = view_str("note"), [CF_SECRET] = view_str(bad[i])}};
        CHECK_OK(test_validate(&note, &why), why);
    }
}

TEST(environment_names_are_checked)
{
    struct cred c = ticket();
    struct why why = {0};
    c.f[CF_ENV] = view_str("GOOD_1");
    CHECK_OK(test_validate(&c, &why), why);
    c.f[CF_ENV] = view_str("bad name");
    CHECK_INT(test_validate(&c, &why), ERR_INVALID);
}

TEST(a_refused_delivery_lists_what_is_served)
{
    AUTO(buf_free) struct buf out = {0};
    struct cred c = ticket();
    struct why why = {0};
    CHECK_INT(test_release(&c, DELIVER_SECRET, 0, &out, &why), ERR_CONFLICT);
    CHECK_STR(why.text, "a ticket of provider test is not delivered as secret; it serves: proxy, "
                        "access_token, file");
    CHECK_INT(test_release(&c, DELIVER_FILE, 0, &out, &why), ERR_CONFLICT);
    CHECK_INT(test_release(&c, (enum delivery)99, 0, &out, &why), ERR_CONFLICT);
    CHECK_INT(out.len, 0);
    CHECK_OK(test_release(&c, DELIVER_ACCESS_TOKEN, 0, &out, &why), why);
    CHECK(view_is(buf_view(&out), "abc"));
}

TEST(a_minute_must_be_left)
{
    struct cred c = ticket();
    struct why why = {0};
    CHECK_OK(kind_fresh(&provider_test, &c, INT64_MAX, &why), why); /* no end known */
    c.f[CF_EXPIRES_AT] = view_str("100000");
    CHECK_OK(kind_fresh(&provider_test, &c, 40000, &why), why);
    CHECK_OK(kind_fresh(&provider_test, &c, INT64_MIN, &why), why);
    CHECK_INT(kind_fresh(&provider_test, &c, 40001, &why), ERR_NEEDS_LOGIN);
    CHECK(strstr(why.text, "less than 60 s"));
    CHECK_INT(kind_fresh(&provider_test, &c, 100000, &why), ERR_NEEDS_LOGIN);
    CHECK(strstr(why.text, "has expired"));
    c.f[CF_EXPIRES_AT] = view_str("0");
    CHECK_INT(kind_fresh(&provider_test, &c, 0, &why), ERR_NEEDS_LOGIN);
}
