/* Targets, queries, bearer tokens, checks and the packet. */
#include "api/request.h"
#include "base/auto.h"
#include "check.h"

static struct why why;
static struct view path, query;
static struct values v;
static struct route_match m;

static err_t target(const char *raw)
{
    return request_target(view_str(raw), &path, &query, &why);
}

static void row(uint32_t role, const char *method, const char *p)
{
    v = (struct values){0};
    CHECK_OK(route_find(role, method, view_str(p), &m, &why), why);
}

static err_t params(const char *q)
{
    v = (struct values){0};
    return request_params(&m, view_str(q), &v, &why);
}

TEST(targets_are_split_raw)
{
    CHECK_OK(target("/v1/leases?cursor=7&x=y"), why);
    CHECK(view_is(path, "/v1/leases") && view_is(query, "cursor=7&x=y"));
    CHECK_OK(target("/a-b_c.d~e"), why);
    CHECK(view_is(path, "/a-b_c.d~e") && query.n == 0);
    CHECK_OK(target("/a?"), why);
    CHECK_INT(query.n, 0);
}

TEST(targets_with_anything_odd_are_refused)
{
    static const char *const odd[] = {
        "",      "*",     "v1",   "http://h/v1", "//h",    "/%61",   "/a%2fb", "/a?b=%20", "/a b",
        "/a\tb", "/a\\b", "/a;b", "/a#b",        "/a?b#c", "/a?b?c", "/a+b",   "/a?b=c+d", "/a:b",
        "/a@b",  "/\x80", "/a=b", "/a&b",        "/\x01",  "/a\"",   "/a<",    "/a,b"};
    for (size_t i = 0; i < COUNT(odd); i++)
        if (i != 4) /* "//h" is a path that no row has */
            CHECK_INT(target(odd[i]), ERR_INVALID);
    char big[ROUTE_MAX_PATH + 2];
    memset(big, 'a', sizeof(big));
    big[0] = '/';
    CHECK_INT(request_target(VIEW(big, ROUTE_MAX_PATH), &path, &query, &why), ERR_OK);
    CHECK_INT(request_target(VIEW(big, ROUTE_MAX_PATH + 1), &path, &query, &why), ERR_INVALID);
}

TEST(query_parameters_are_strict)
{
    row(FROM_ADMIN, "GET", "/v1/leases");
    CHECK_OK(params(""), why);
    CHECK_INT(v.given, 0);
    CHECK_OK(params("consumer=a&cursor=12&credential=b"), why);
    CHECK_INT(v.given, 7);
    CHECK_INT(v.number[2], 12);
    CHECK_OK(params("cursor=0&"), why);
    static const char *const bad[] = {"x=1",       "cursor",     "cursor=",
                                      "cursor=a",  "cursor=01",  "cursor=1&cursor=1",
                                      "=1",        "&cursor=1",  "cursor=1&&",
                                      "cursor=-1", "cursor=1=2", "cursor=9999999999999999999",
                                      "cursor==1", "Cursor=1"};
    for (size_t i = 0; i < COUNT(bad); i++)
        CHECK_INT(params(bad[i]), ERR_INVALID);
    char big[128] = "consumer=";
    memset(big + 9, 'a', 65);
    CHECK_INT(params(big), ERR_INVALID);
}

TEST(path_parameters_have_kinds)
{
    row(FROM_ADMIN, "DELETE", "/v1/keys/3");
    CHECK_OK(params(""), why);
    CHECK_INT(v.number[0], 3);
    row(FROM_ADMIN, "DELETE", "/v1/keys/x");
    CHECK_INT(params(""), ERR_INVALID);
    row(FROM_ADMIN, "DELETE", "/v1/consumers/g/grants/c");
    CHECK_OK(params(""), why);
    CHECK(view_is(v.text[0], "g") && view_is(v.text[1], "c"));
    CHECK_INT(params("x=1"), ERR_INVALID);
}

TEST(bearer_tokens)
{
    row(FROM_API, "POST", "/v1/leases/a/renew");
    CHECK_OK(request_bearer(m.route, view_str("Bearer abc"), &v, &why), why);
    CHECK(view_is(values_text(m.route, &v, "token"), "abc"));
    static const char *const bad[] = {"",         "Bearer",     "Bearer ",      "Basic abc",
                                      "abc",      "Bearer a b", "Bearer a\x01", "Bearer \xc3\xa9",
                                      "Bearer  a"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        v = (struct values){0};
        CHECK_INT(request_bearer(m.route, view_str(bad[i]), &v, &why), ERR_AUTH);
    }
    row(FROM_API, "GET", "/v1/whoami");
    CHECK_OK(request_bearer(m.route, view_str("Basic anything"), &v, &why), why);
    CHECK_INT(v.given, 0);
}

static void set(const char *name, const char *text)
{
    for (size_t i = 0; i < m.route->n_fields; i++)
        if (strcmp(m.route->fields[i].name, name) == 0) {
            v.text[i] = view_str(text);
            v.given |= 1u << i;
        }
}

TEST(required_values_and_names_are_checked)
{
    row(FROM_API, "POST", "/v1/leases");
    CHECK_INT(request_check(m.route, &v, &why), ERR_INVALID);
    CHECK_STR(why.text, "\"credential\" is missing");
    set("credential", "");
    CHECK_INT(request_check(m.route, &v, &why), ERR_INVALID);
    set("credential", "Claude");
    CHECK_INT(request_check(m.route, &v, &why), ERR_INVALID);
    set("credential", "a..b");
    CHECK_INT(request_check(m.route, &v, &why), ERR_INVALID);
    set("credential", "claude");
    CHECK_OK(request_check(m.route, &v, &why), why);
}

TEST(revoke_must_say_what)
{
    row(FROM_ADMIN, "POST", "/v1/revoke");
    CHECK_INT(request_check(m.route, &v, &why), ERR_INVALID);
    v.given = 1u << 3; /* all: false */
    CHECK_INT(request_check(m.route, &v, &why), ERR_INVALID);
    v.number[3] = 1;
    CHECK_OK(request_check(m.route, &v, &why), why);
    v = (struct values){0};
    set("lease", "");
    CHECK_INT(request_check(m.route, &v, &why), ERR_INVALID);
    set("lease", "00");
    CHECK_OK(request_check(m.route, &v, &why), why);
}

TEST(packets_carry_what_was_given)
{
    AUTO(buf_free) struct buf out = {.max = MSG_MAX};
    struct msg got;
    row(FROM_ADMIN, "POST", "/v1/revoke");
    set("consumer", "gateway");
    set("lease", "");
    v.given |= 1u << 3; /* all: false is not sent */
    CHECK_OK(request_message(m.route, &v, (struct request_ids){5, 6}, &out, &why), why);
    CHECK_OK(msg_parse(buf_view(&out), FROM_ADMIN, &got, &why), why);
    CHECK(got.id == 5 && got.conn == 6 && got.has[F_CONSUMER] && !got.has[F_LEASE] &&
          !got.has[F_FLAGS]);
    v.number[3] = 1;
    CHECK_OK(request_message(m.route, &v, (struct request_ids){5, 6}, &out, &why), why);
    CHECK_OK(msg_parse(buf_view(&out), FROM_ADMIN, &got, &why), why);
    CHECK_INT(msg_u64(&got, F_FLAGS, 0), 1);
}

TEST(what_the_vault_would_end_us_for_is_refused_here)
{
    AUTO(buf_free) struct buf out = {.max = MSG_MAX};
    row(FROM_ADMIN, "POST", "/v1/consumers");
    set("name", "a");
    set("note", "line\nbreak");
    CHECK_INT(request_message(m.route, &v, (struct request_ids){1, 1}, &out, &why), ERR_INVALID);
    set("note", "\xc2\x85");
    CHECK_INT(request_message(m.route, &v, (struct request_ids){1, 1}, &out, &why), ERR_INVALID);
    set("note", "fine");
    CHECK_OK(request_message(m.route, &v, (struct request_ids){1, 1}, &out, &why), why);
    row(FROM_ADMIN, "POST", "/v1/credentials");
    static char big[MSG_MAX];
    v.credential = VIEW(big, sizeof(big));
    CHECK_INT(request_message(m.route, &v, (struct request_ids){1, 1}, &out, &why), ERR_TOO_LARGE);
}
