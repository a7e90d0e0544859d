#include "fake/logins.h"

static const struct provider *generic(void)
{
    return provider_by_name(view_str("generic"));
}

static err_t parse(struct view secret, const struct provider_options *o, struct buf *out,
                   struct why *why)
{
    return generic()->parse(secret, o, out, why);
}

static bool becomes(const char *input, const char *secret)
{
    AUTO(login_free) struct login l = {0};
    login_parse(&l, "generic", view_str(input));
    return view_is(l.cred.f[CF_SECRET], secret);
}

TEST(a_secret_is_taken_as_it_is_but_for_one_last_line_break)
{
    CHECK(becomes("hunter2", "hunter2"));
    CHECK(becomes("hunter2\n", "hunter2"));
    CHECK(becomes("hunter2\r\n", "hunter2"));
    CHECK(becomes(" two words \n", " two words "));
    CHECK(becomes("a\nb\n", "a\nb\n")); /* more than one line: a file, kept whole */
    CHECK(becomes("hunter2\n\n", "hunter2\n\n"));
    CHECK(becomes("{\"any\":\"json\"}", "{\"any\":\"json\"}"));
    CHECK(becomes("Grüße", "Grüße"));
}

TEST(what_is_no_secret_is_refused)
{
    AUTO(buf_free) struct buf out = {0};
    struct why why = {0};
    CHECK_INT(parse((struct view){0}, NULL, &out, &why), ERR_INVALID);
    CHECK_INT(parse(view_str(" \n\t\n"), NULL, &out, &why), ERR_INVALID);
    CHECK(strstr(why.text, "this is empty; expected up to 60 KiB"));
    CHECK_INT(parse(VIEW("a\0b", 3), NULL, &out, &why), ERR_INVALID);
    CHECK(strstr(why.text, "binary"));
    CHECK_INT(parse(view_str("\xff\xfe"), NULL, &out, &why), ERR_INVALID);
    CHECK_INT(out.len, 0);
}

TEST(a_secret_has_at_most_60_kib)
{
    AUTO(auto_free) char *big = malloc(61441);
    AUTO(buf_free) struct buf out = {0};
    struct why why = {0};
    memset(big, 'x', 61441);
    CHECK_OK(parse(VIEW(big, 61440), NULL, &out, &why), why);
    buf_reset(&out);
    CHECK_INT(parse(VIEW(big, 61441), NULL, &out, &why), ERR_INVALID);
    CHECK_INT(out.len, 0);
}

static bool origin_taken(const char *origin)
{
    AUTO(buf_free) struct buf out = {0};
    struct provider_options o = {.origin = view_str(origin)};
    return parse(view_str("s"), &o, &out, NULL) == ERR_OK;
}

TEST(origins)
{
    static const char *const good[] = {"https://a",
                                       "https://api.example.com",
                                       "https://a-b.c:8443",
                                       "https://127.0.0.1:1",
                                       "https://x:65535",
                                       "http://localhost",
                                       "http://127.0.0.1:8080",
                                       "http://localhost:1"};
    static const char *const bad[] = {"https://",
                                      "http://example.com",
                                      "http://127.0.0.2",
                                      "http://localhost.evil.com",
                                      "http://127.0.0.1.evil.com",
                                      "https://a/",
                                      "https://a/b",
                                      "https://u@a",
                                      "https://u:p@a",
                                      "https://a:",
                                      "https://a:0",
                                      "https://a:01",
                                      "https://a:65536",
                                      "https://a:999999",
                                      "https://a:1:2",
                                      "https://A",
                                      "https://.a",
                                      "https://a.",
                                      "https://a..b",
                                      "https://-a",
                                      "https://a-",
                                      "https://a b",
                                      "https://a?x",
                                      "https://a#x",
                                      "https://a\\b",
                                      "https://a%2f",
                                      "https://[::1]",
                                      "HTTPS://a",
                                      "ftp://a",
                                      "a",
                                      "://a",
                                      "https:/a",
                                      "http://localhost:",
                                      "http://"};
    for (size_t i = 0; i < COUNT(good); i++)
        CHECK(origin_taken(good[i]));
    for (size_t i = 0; i < COUNT(bad); i++) {
        if (origin_taken(bad[i]))
            printf("    taken: %s\n", bad[i]);
        CHECK(!origin_taken(bad[i]));
    }
}

TEST(a_host_has_at_most_253_bytes)
{
    char origin[8 + 254 + 1] = "https://";
    memset(origin + 8, 'a', 254);
    CHECK(!origin_taken(origin));
    origin[8 + 253] = 0;
    CHECK(origin_taken(origin));
}

static bool header_taken(const char *header, const char *secret)
{
    AUTO(buf_free) struct buf out = {0};
    struct provider_options o = {.header = view_str(header)};
    return parse(view_str(secret), &o, &out, NULL) == ERR_OK;
}

TEST(header_templates)
{
    static const char *const good[] = {"Authorization: Bearer {}", "X-Api-Key: {}", "x:{}",
                                       "A!#$%&'*+-.^_`|~9: pre {} post", "A: {{}"};
    static const char *const bad[] = {"Authorization: Bearer",
                                      "{}",
                                      ": {}",
                                      "A {}",
                                      "A: {} {}",
                                      "A: {}{}",
                                      "A B: {}",
                                      "A: {}\r\nX: y",
                                      "A: {}\n",
                                      "A: \x7f{}",
                                      "{}: x",
                                      "A(: {}",
                                      "Host: {}",
                                      "content-length: {}",
                                      "TRANSFER-ENCODING: {}",
                                      "Connection: {}",
                                      "A: { }",
                                      "A: \xc3\xa4{}"};
    for (size_t i = 0; i < COUNT(good); i++)
        CHECK(header_taken(good[i], "s"));
    for (size_t i = 0; i < COUNT(bad); i++) {
        if (header_taken(bad[i], "s"))
            printf("    taken: %s\n", bad[i]);
        CHECK(!header_taken(bad[i], "s"));
    }
}

TEST(basic_and_query_templates)
{
    static const char *const good[] = {"Authorization: Basic {basic}", "X: {basic}", "query:key={}", "query:api-key={}"};
    static const char *const bad[] = {"Host: {basic}", "content-length: {basic}", "Authorization: {basic}{}", "query:key={basic}", "query:={}",
                                      "query:a&b={}", "query:k={}x"};
    for (size_t i = 0; i < COUNT(good); i++)
        CHECK(header_taken(good[i], "s"));
    for (size_t i = 0; i < COUNT(bad); i++)
        CHECK(!header_taken(bad[i], "s"));
    CHECK(!header_taken("query:k={}", "x\r\ny"));
}

TEST(a_secret_for_a_header_is_one_line)
{
    CHECK(header_taken("A: {}", "one line"));
    CHECK(header_taken("A: {}", "one line\n")); /* the last line break is not part of it */
    CHECK(!header_taken("A: {}", "x\r\nInjected: y"));
    CHECK(!header_taken("A: {}", "x\ny\n"));
    CHECK(!header_taken("A: {}", "x\x1b"));
}

TEST(all_options_are_kept)
{
    AUTO(login_free) struct login l = {0};
    struct why why = {0};
    struct provider_options o = {.origin = view_str("https://db.example"),
                                 .header = view_str("A: {}"),
                                 .env = view_str("DB_PASSWORD"),
                                 .username = view_str("me")};
    CHECK_OK(parse(view_str("s"), &o, &l.bytes, &why), why);
    CHECK_OK(cred_decode(buf_view(&l.bytes), &l.cred, &why), why);
    CHECK_OK(generic()->validate(&l.cred, &why), why);
    CHECK(view_is(l.cred.f[CF_ORIGIN], "https://db.example"));
    CHECK(view_is(l.cred.f[CF_HEADER], "A: {}"));
    CHECK(view_is(l.cred.f[CF_ENV], "DB_PASSWORD"));
    CHECK(view_is(l.cred.f[CF_USERNAME], "me"));
    CHECK_STR(generic()->token_prefix(&l.cred), "");
}

TEST(validation_does_not_trust_the_parser)
{
    struct cred c = {.f = {[CF_KIND] = view_str("generic"), [CF_SECRET] = view_str("a\nb")}};
    struct why why = {0};
    CHECK_OK(generic()->validate(&c, &why), why);
    c.f[CF_HEADER] = view_str("A: {}");
    CHECK_INT(generic()->validate(&c, &why), ERR_INVALID);
    c.f[CF_HEADER] = (struct view){0};
    c.f[CF_ORIGIN] = view_str("http://evil");
    CHECK_INT(generic()->validate(&c, &why), ERR_INVALID);
    CHECK(strstr(why.text, "https://host[:port]"));
}
