#include "base/route.h"

#include "base/auto.h"
#include "check.h"

static struct route sample(void)
{
    struct route r = {.flags = ROUTE_TLS, .dialect = ROUTE_ANTHROPIC, .port = 443, .n_headers = 1, .n_secrets = 1};
    r.host = view_str("api.anthropic.com");
    r.provider = view_str("claude");
    r.prefix = view_str("/backend-api/codex");
    r.strip = view_str("/v1");
    r.header[0] = (struct route_header){view_str("Authorization"), view_str("Bearer sk-ant-oat01-planted")};
    r.merge = (struct route_header){view_str("anthropic-beta"), view_str("oauth-2025-04-20")};
    r.secret[0] = view_str("sk-ant-oat01-planted");
    return r;
}

TEST(what_is_encoded_comes_back)
{
    AUTO(buf_free) struct buf b = {0};
    struct route in = sample(), out;
    struct why w = {0};
    CHECK_OK(route_encode(&in, &b, &w), w);
    CHECK_OK(route_decode(buf_view(&b), &out, &w), w);
    CHECK(view_eq(in.host, out.host) && in.port == out.port && in.flags == out.flags);
    CHECK_INT(out.dialect, ROUTE_ANTHROPIC);
    CHECK(view_eq(in.strip, out.strip) && view_eq(in.prefix, out.prefix) && view_eq(in.provider, out.provider));
    CHECK(out.n_headers == 1 && view_eq(in.header[0].value, out.header[0].value));
    CHECK(view_eq(in.merge.name, out.merge.name) && view_eq(in.merge.value, out.merge.value));
    CHECK(out.query.name.n == 0 && out.n_secrets == 1 && view_eq(in.secret[0], out.secret[0]));
}

TEST(every_truncation_and_surplus_is_refused)
{
    AUTO(buf_free) struct buf b = {0};
    struct route in = sample(), out;
    struct why w = {0};
    CHECK_OK(route_encode(&in, &b, &w), w);
    for (size_t n = 0; n < b.len; n++)
        CHECK_INT(route_decode(VIEW(b.p, n), &out, &w), ERR_INVALID);
    buf_put_u8(&b, 0);
    CHECK_INT(route_decode(buf_view(&b), &out, &w), ERR_INVALID);
}

TEST(what_could_break_a_head_is_refused)
{
    static const char *const values[] = {"a\r\nX: y", "a\nb", " a", "a ", "", "a\x7f"};
    static const char *const hosts[] = {"", "a b", "a/b", "A.example", "a\r\n", "user@host"};
    static const char *const paths[] = {"v1", "/v1/", "/a b", "/a?b", "/a#b"};
    AUTO(buf_free) struct buf b = {0};
    struct why w = {0};
    for (size_t i = 0; i < COUNT(values); i++) {
        struct route r = sample();
        r.header[0].value = view_str(values[i]);
        CHECK_INT(route_encode(&r, &b, &w), ERR_INVALID);
    }
    for (size_t i = 0; i < COUNT(hosts); i++) {
        struct route r = sample();
        r.host = view_str(hosts[i]);
        CHECK_INT(route_encode(&r, &b, &w), ERR_INVALID);
    }
    for (size_t i = 0; i < COUNT(paths); i++) {
        struct route r = sample();
        r.prefix = view_str(paths[i]);
        CHECK_INT(route_encode(&r, &b, &w), ERR_INVALID);
    }
    CHECK_INT(b.len, 0);
}

TEST(numbers_out_of_range_are_refused)
{
    AUTO(buf_free) struct buf b = {0};
    struct why w = {0};
    struct route r = sample();
    r.port = 0;
    CHECK_INT(route_encode(&r, &b, &w), ERR_INVALID);
    r = sample();
    r.flags = 1u << 7;
    CHECK_INT(route_encode(&r, &b, &w), ERR_INVALID);
    r = sample();
    r.n_headers = ROUTE_HEADERS + 1;
    CHECK_INT(route_encode(&r, &b, &w), ERR_INVALID);
    r = sample();
    r.dialect = ROUTE_DIALECTS;
    CHECK_INT(route_encode(&r, &b, &w), ERR_INVALID);
}
