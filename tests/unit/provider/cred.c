#include "fake/logins.h"
#include "base/json.h"

static struct cred full(void)
{
    struct cred c = {0};
    for (unsigned f = 1; f < CF__COUNT; f++)
        c.f[f] = view_str("some value of this field");
    c.f[CF_EXPIRES_AT] = view_str("1795298400000");
    c.f[CF_REFRESH_EXPIRES] = view_str("0");
    return c;
}

static err_t decode(const void *p, size_t n, struct why *why)
{
    struct cred c = {0};
    return cred_decode(VIEW(p, n), &c, why);
}
#define DECODE(text, why) decode(text, sizeof(text) - 1, why)

TEST(every_field_comes_back)
{
    AUTO(buf_free) struct buf b = {0};
    struct why why = {0};
    struct cred in = full(), out = {0};
    CHECK_OK(cred_encode(&in, &b, &why), why);
    CHECK_OK(cred_decode(buf_view(&b), &out, &why), why);
    for (unsigned f = 1; f < CF__COUNT; f++)
        CHECK(view_eq(in.f[f], out.f[f]));
}

TEST(the_bytes_are_as_documented)
{
    AUTO(buf_free) struct buf b = {0};
    struct why why = {0};
    struct cred c = {.f = {[CF_KIND] = view_str("api_key"), [CF_SECRET] = view_str("k\n")}};
    CHECK_OK(cred_encode(&c, &b, &why), why);
    CHECK(view_eq(buf_view(&b), VIEW("\1\1\0\0\0\7api_key\2\0\0\0\2k\n", 20)));
}

TEST(there_is_one_encoding)
{
    struct why why = {0};
    CHECK_OK(DECODE("\1", &why), why);
    CHECK_OK(DECODE("\1\1\0\0\0\1a", &why), why);
    CHECK_INT(DECODE("", &why), ERR_INVALID);
    CHECK_INT(DECODE("\0", &why), ERR_INVALID);
    CHECK_INT(DECODE("\2\1\0\0\0\1a", &why), ERR_INVALID);
    CHECK_INT(DECODE("\1\0\0\0\0\1a", &why), ERR_INVALID);  /* tag 0 */
    CHECK_INT(DECODE("\1\26\0\0\0\1a", &why), ERR_INVALID); /* tag 21 */
    CHECK_INT(DECODE("\1\377\0\0\0\1a", &why), ERR_INVALID);
    CHECK_INT(DECODE("\1\1\0\0\0\0", &why), ERR_INVALID);  /* empty */
    CHECK_INT(DECODE("\1\1\0\0\0\2a", &why), ERR_INVALID); /* cut */
    CHECK_INT(DECODE("\1\1\377\377\377\377a", &why), ERR_INVALID);
    CHECK_INT(DECODE("\1\1\0\0\0\1a\1", &why), ERR_INVALID);          /* trailing */
    CHECK_INT(DECODE("\1\2\0\0\0\1a\1\0\0\0\1a", &why), ERR_INVALID); /* order */
    CHECK(strstr(why.text, "KIND"));
    CHECK_INT(DECODE("\1\1\0\0\0\1a\1\0\0\0\1a", &why), ERR_INVALID); /* twice */
}

TEST(control_characters_are_refused_but_in_free_text)
{
    struct why why = {0};
    for (unsigned f = 1; f < CF__COUNT; f++) {
        bool is_free = f == CF_SECRET || f == CF_REST;
        bool time = f == CF_EXPIRES_AT || f == CF_REFRESH_EXPIRES;
        uint8_t bytes[] = {1, (uint8_t)f, 0, 0, 0, 2, '1', '\n'};
        CHECK_INT(decode(bytes, sizeof bytes, &why), is_free ? ERR_OK : ERR_INVALID);
        bytes[7] = 0;
        CHECK_INT(decode(bytes, sizeof bytes, &why), ERR_INVALID);
        bytes[7] = 0xff;
        CHECK_INT(decode(bytes, sizeof bytes, &why), ERR_INVALID);
        CHECK(strstr(why.text, cred_field_name(f)));
        bytes[7] = 'a';
        CHECK_INT(decode(bytes, sizeof bytes, &why), time ? ERR_INVALID : ERR_OK);
    }
}

TEST(each_field_has_its_limit)
{
    static const size_t max[CF__COUNT] = {
#define ROW(n, tag, max, doc) [tag] = max,
        BROKER_CRED_FIELDS(ROW)
#undef ROW
    };
    static char many[65002];
    struct why why = {0};
    memset(many, '1', sizeof many);
    for (unsigned f = 1; f < CF__COUNT; f++) {
        AUTO(buf_free) struct buf b = {0};
        struct cred c = {0};
        c.f[f] = VIEW(many, max[f] + 1);
        CHECK_INT(cred_encode(&c, &b, &why), ERR_INVALID);
        CHECK_INT(b.len, 0);
        if (f == CF_EXPIRES_AT || f == CF_REFRESH_EXPIRES)
            continue;
        c.f[f].n = max[f];
        CHECK_OK(cred_encode(&c, &b, &why), why);
        CHECK_OK(cred_decode(buf_view(&b), &c, &why), why);
    }
}

TEST(all_fields_together_have_a_limit)
{
    static char many[65000];
    AUTO(buf_free) struct buf b = {0};
    struct why why = {0};
    memset(many, 'x', sizeof many);
    struct cred c = {.f = {[CF_SECRET] = VIEW(many, 65000), [CF_ACCESS_TOKEN] = VIEW(many, 525)}};
    CHECK_OK(cred_encode(&c, &b, &why), why);
    CHECK_INT(b.len, CRED_MAX);
    CHECK_OK(cred_decode(buf_view(&b), &c, &why), why);
    c.f[CF_ACCESS_TOKEN] = VIEW(many, 526);
    CHECK_INT(cred_encode(&c, &b, &why), ERR_TOO_LARGE);
    CHECK_INT(b.len, CRED_MAX);
    buf_put_u8(&b, 0);
    CHECK_INT(cred_decode(buf_view(&b), &c, &why), ERR_TOO_LARGE);
}

TEST(a_full_buffer_is_an_error)
{
    struct buf b = {.max = 4};
    struct cred c = full();
    CHECK_INT(cred_encode(&c, &b, NULL), ERR_TOO_LARGE);
    CHECK_INT(b.len, 0);
    buf_free(&b);
}

TEST(a_failed_decode_leaves_the_output)
{
    struct cred c = {.f = {[CF_KIND] = view_str("before")}};
    CHECK_INT(cred_decode(view_str("\1\1"), &c, NULL), ERR_INVALID);
    CHECK(view_is(c.f[CF_KIND], "before"));
}

TEST(times_are_total)
{
    struct cred c = {0};
    CHECK_INT(cred_ms(&c, CF_EXPIRES_AT), 0);
    c.f[CF_EXPIRES_AT] = view_str("1795298400000");
    CHECK_INT(cred_ms(&c, CF_EXPIRES_AT), 1795298400000);
    c.f[CF_EXPIRES_AT] = view_str("99999999999999999999999999");
    CHECK_INT(cred_ms(&c, CF_EXPIRES_AT), 0);
    c.f[CF_EXPIRES_AT] = view_str("12x");
    CHECK_INT(cred_ms(&c, CF_EXPIRES_AT), 0);
}

TEST(names_of_deliveries_go_both_ways)
{
    enum delivery d = DELIVER_PROXY;
    for (unsigned i = 0; i < DELIVER__COUNT; i++) {
        CHECK(delivery_from_name(view_str(delivery_name(i)), &d));
        CHECK_INT(d, i);
    }
    d = DELIVER_FILE;
    CHECK(!delivery_from_name(view_str("Secret"), &d));
    CHECK(!delivery_from_name((struct view){0}, &d));
    CHECK_INT(d, DELIVER_FILE);
    CHECK_STR(delivery_name(DELIVER__COUNT), "unknown");
    CHECK_STR(cred_field_name(CF_ACCESS_TOKEN), "ACCESS_TOKEN");
    CHECK_STR(cred_field_name(CF__COUNT), "?");
}

/* the described member as text; "" when there is none */
static struct view described(const json_t *o, const char *key)
{
    struct view v = {0};
    CHECK(json_get_str(o, key, 512, false, &v, NULL) == ERR_OK);
    return v;
}

static json_t *describe(const struct cred *c)
{
    AUTO(buf_free) struct buf b = {0};
    json_t *o = NULL;
    struct why why = {0};
    cred_describe(provider_by_name(view_str("claude")), c, &b);
    CHECK_OK(json_parse(buf_view(&b), &o, &why), why);
    return o;
}

TEST(the_picture_shows_what_it_may)
{
    struct cred c = {.f = {[CF_KIND] = view_str("login"),
                           [CF_PLAN] = view_str("max \"5x\""),
                           [CF_SCOPES] = view_str("a:b  c:d "),
                           [CF_EXPIRES_AT] = view_str("123"),
                           [CF_ACCOUNT] = view_str("00000000-fa4e-c0de"),
                           [CF_EMAIL] = view_str("a@b.cc"),
                           [CF_ACCESS_TOKEN] = view_str("0123456789abcdefghijklmnop")}};
    AUTO(auto_json) json_t *o = describe(&c);
    CHECK(view_is(described(o, "provider"), "claude"));
    CHECK(view_is(described(o, "plan"), "max \"5x\""));
    CHECK(view_is(described(o, "account"), "\xe2\x80\xa6"
                                           "de"));
    CHECK(view_is(described(o, "email"), "\xe2\x80\xa6"));
    CHECK_INT(json_integer_value(json_object_get(o, "expires_at_ms")), 123);
    const json_t *scopes = json_object_get(o, "scopes");
    CHECK_INT(json_array_size(scopes), 2);
    CHECK_STR(json_string_value(json_array_get(scopes, 1)), "c:d");
    const json_t *token = json_object_get(o, "access_token");
    CHECK_INT(json_integer_value(json_object_get(token, "bytes")), 26);
    CHECK(!json_object_get(token, "last4"));
    CHECK(!json_object_get(o, "secret"));
}

TEST(the_end_of_a_key_is_shown_only_of_long_keys)
{
    struct cred c = {
        .f = {[CF_KIND] = view_str("api_key"), [CF_SECRET] = view_str("sk-FAKE-0123456-wxyz")}};
    AUTO(auto_json) json_t *of_20 = describe(&c);
    CHECK(view_is(described(json_object_get(of_20, "secret"), "last4"), "wxyz"));
    c.f[CF_SECRET].n--;
    AUTO(auto_json) json_t *of_19 = describe(&c);
    CHECK_INT(described(json_object_get(of_19, "secret"), "last4").n, 0);
    c.f[CF_SECRET].n++;
    c.f[CF_KIND] = view_str("generic");
    AUTO(auto_json) json_t *generic = describe(&c);
    CHECK_INT(described(json_object_get(generic, "secret"), "last4").n, 0);
}
