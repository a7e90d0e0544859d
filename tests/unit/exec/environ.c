/* The environment that a program will get. */
#include "check.h"

#include "exec/environ.h"

static struct why why;
static char *inherited[] = {(char *)"A=1", (char *)"AB=2", (char *)"A=3", (char *)"EMPTY=",
                            (char *)"odd", (char *)"=x",   NULL};

static size_t entries(struct environment *e)
{
    size_t n = 0;
    for (char **p = environ_list(e); *p; p++)
        n++;
    return n;
}

TEST(what_is_not_touched_is_inherited_as_it_is)
{
    struct environment e = {0};
    CHECK_OK(environ_copy(&e, inherited, &why), why);
    CHECK_INT(entries(&e), 6);
    CHECK_STR(environ_get(&e, "A"), "1");
    CHECK_STR(environ_get(&e, "AB"), "2");
    CHECK_STR(environ_get(&e, "EMPTY"), "");
    CHECK(!environ_get(&e, "B") && !environ_get(&e, "odd"));
    environ_free(&e);
}

TEST(unset_takes_every_entry_and_only_that_name)
{
    struct environment e = {0};
    CHECK_OK(environ_copy(&e, inherited, &why), why);
    environ_unset(&e, "A");
    CHECK_INT(entries(&e), 4);
    CHECK(!environ_get(&e, "A"));
    CHECK_STR(environ_get(&e, "AB"), "2");
    environ_unset(&e, "nothing");
    CHECK_INT(entries(&e), 4);
    environ_free(&e);
    CHECK_STR(inherited[0], "A=1"); /* ours is a copy */
}

TEST(placeholders_are_filled_in)
{
    static const struct {
        const char *form, *name, *value;
    } rows[] = {
        {"T={secret}", "T", "s3"},
        {"F={file}", "F", "/d/f"},
        {"D={dir}", "D", "/d"},
        {"C=a{account}b{token}c", "C", "aacbtokc"},
        {"{env}={secret}", "NAME_1", "s3"},
        {"U={username}", "U", "u"},
        {"P=1", "P", "1"},
        {"B={base}/v1", "B", "http://127.0.0.1:1/v1"},
        {"S={proxy_socket}", "S", "/run/proxy.sock"},
        {"Q={other}{", "Q", "{other}{"},
    };
    const struct environ_values v = {"s3",     "/d/f",   "/d",
                                     "ac",     "tok",    "u",
                                     "NAME_1", "http://127.0.0.1:1", "/run/proxy.sock"};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct environment e = {0};
        CHECK_OK(environ_copy(&e, inherited, &why), why);
        CHECK_OK(environ_set(&e, rows[i].form, &v, &why), why);
        CHECK_STR(environ_get(&e, rows[i].name), rows[i].value);
        CHECK_INT(entries(&e), 7);
        environ_free(&e);
    }
}

TEST(a_value_is_not_filled_in_twice)
{
    struct environment e = {0};
    const struct environ_values v = {.secret = "{token}", .token = "leak"};
    CHECK_OK(environ_copy(&e, inherited, &why), why);
    CHECK_OK(environ_set(&e, "T={secret}", &v, &why), why);
    CHECK_STR(environ_get(&e, "T"), "{token}");
    environ_free(&e);
}

TEST(ours_takes_the_place_of_the_inherited)
{
    struct environment e = {0};
    const struct environ_values v = {.secret = "new"};
    CHECK_OK(environ_copy(&e, inherited, &why), why);
    CHECK_OK(environ_set(&e, "A={secret}", &v, &why), why);
    CHECK_STR(environ_get(&e, "A"), "new");
    CHECK_INT(entries(&e), 5);
    CHECK_INT(environ_set(&e, "A={secret}", &v, &why), ERR_CONFLICT);
    CHECK(strstr(why.text, "A") && !strstr(why.text, "new"));
    CHECK_INT(entries(&e), 5);
    environ_free(&e);
}

TEST(blanks_and_names_that_are_none_are_refused)
{
    static const struct {
        const char *form;
        struct environ_values v;
    } rows[] = {
        {"T={secret}", {0}},
        {"T={secret}", {.secret = ""}},
        {"F={file}", {.secret = "s"}},
        {"T=", {0}},
        {"T", {0}},
        {"=x", {0}},
        {"1A=x", {0}},
        {"A-B=x", {0}},
        {"{env}={secret}", {.secret = "s"}},
        {"{env}={secret}", {.secret = "s", .env = "A=B"}},
        {"{env}={secret}", {.secret = "s", .env = "A B"}},
        {"{env}={secret}", {.secret = "s", .env = ""}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct environment e = {0};
        CHECK_OK(environ_copy(&e, inherited, &why), why);
        CHECK_INT(environ_set(&e, rows[i].form, &rows[i].v, &why), ERR_INVALID);
        CHECK_INT(entries(&e), 6);
        environ_free(&e);
    }
}

TEST(defaults_yield_to_what_is_set)
{
    struct environment e = {0};
    CHECK_OK(environ_copy(&e, inherited, &why), why);
    CHECK_OK(environ_default(&e, "AB=9", &why), why);
    CHECK_STR(environ_get(&e, "AB"), "2");
    CHECK_OK(environ_default(&e, "EMPTY=9", &why), why);
    CHECK_STR(environ_get(&e, "EMPTY"), "");
    CHECK_OK(environ_default(&e, "NEW=9", &why), why);
    CHECK_STR(environ_get(&e, "NEW"), "9");
    environ_free(&e);
}

TEST(the_room_for_ours_has_an_end)
{
    struct environment e = {0};
    const struct environ_values none = {0};
    char form[32];
    CHECK_OK(environ_copy(&e, inherited, &why), why);
    for (int i = 0; i < ENVIRON_OWN; i++) {
        snprintf(form, sizeof(form), "V%d=x", i);
        CHECK_OK(environ_set(&e, form, &none, &why), why);
    }
    CHECK_INT(environ_set(&e, "ONE_MORE=x", &none, &why), ERR_LIMIT);
    CHECK_INT(entries(&e), 6 + ENVIRON_OWN);
    environ_free(&e);
}

TEST(credentials_may_share_an_address_and_no_secret)
{
    struct environment e = {0};
    const struct environ_values a = {.token = "t", .base = "http://127.0.0.1:9", .env = "A_KEY"},
                                b = {.token = "t", .base = "http://127.0.0.1:9", .env = "B_KEY"},
                                c = {.token = "t", .base = "http://127.0.0.1:8", .env = "C_KEY"};
    CHECK_OK(environ_copy(&e, inherited, &why), why);
    CHECK_OK(environ_set(&e, "BASE={base}/v1", &a, &why), why);
    CHECK_OK(environ_set(&e, "BASE={base}/v1", &b, &why), why);
    CHECK_INT(environ_set(&e, "BASE={base}/v1", &c, &why), ERR_CONFLICT);
    CHECK_OK(environ_set(&e, "K={token}", &a, &why), why);
    CHECK_INT(environ_set(&e, "K={token}", &b, &why), ERR_CONFLICT);
    CHECK_STR(environ_get(&e, "BASE"), "http://127.0.0.1:9/v1");
    CHECK_INT(entries(&e), 8);
    environ_free(&e);
}

TEST(braces_that_are_no_placeholder_stay)
{
    const struct environ_values v = {.base = "B", .token = "T"};
    char *text = NULL;
    CHECK_OK(environ_expand("{\"a\":{\"b\":\"{base}/v1\",\"k\":\"{env:T}\"}}{token}", &v, &text, &why),
             why);
    CHECK_STR(text, "{\"a\":{\"b\":\"B/v1\",\"k\":\"{env:T}\"}}T");
    free(text);
    text = NULL;
    CHECK_INT(environ_expand("{proxy_socket}", &v, &text, &why), ERR_INVALID);
    CHECK(!text && strstr(why.text, "proxy"));
}

TEST(the_loopback_goes_through_no_proxy)
{
    static const struct {
        const char *const env[4];
        const char *lower, *upper;
    } rows[] = {
        {{"A=1", NULL}, NULL, NULL},
        {{"http_proxy=", "no_proxy=x", NULL}, "x", NULL},
        {{"HTTP_PROXY=http://p", NULL}, "127.0.0.1,localhost", "127.0.0.1,localhost"},
        {{"all_proxy=p", "no_proxy=a,b", NULL}, "a,b,127.0.0.1,localhost", "a,b,127.0.0.1,localhost"},
        {{"http_proxy=p", "NO_PROXY=a", "no_proxy=b", NULL},
         "b,127.0.0.1,localhost",
         "a,127.0.0.1,localhost"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct environment e = {0};
        CHECK_OK(environ_copy(&e, (char *const *)(uintptr_t)rows[i].env, &why), why);
        CHECK_OK(environ_spare_loopback(&e, &why), why);
        const char *lower = environ_get(&e, "no_proxy"), *upper = environ_get(&e, "NO_PROXY");
        CHECK((!lower && !rows[i].lower) || strcmp(lower, rows[i].lower) == 0);
        CHECK((!upper && !rows[i].upper) || strcmp(upper, rows[i].upper) == 0);
        environ_free(&e);
    }
}
