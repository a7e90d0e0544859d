/* Which server a secret is for. */
#include "check.h"

#include "cli/origin.h"

TEST(reads_scheme_host_and_port)
{
    static const struct {
        const char *scheme, *text, *want_scheme, *want_host;
        unsigned port;
    } rows[] = {
        {NULL, "https://github.com", "https", "github.com", 443},
        {NULL, "HTTPS://GitHub.com/", "https", "github.com", 443},
        {NULL, "https://index.docker.io/v1/", "https", "index.docker.io", 443},
        {NULL, "http://localhost:8080/x", "http", "localhost", 8080},
        {"https", "github.com:443", "https", "github.com", 443},
        {"https", "registry.example:5000/a/b", "https", "registry.example", 5000},
        {"smtp", "mail.example", "smtp", "mail.example", 25},
        {"unheard", "x", "unheard", "x", 0},
        {NULL, "https://[::1]:9/", "https", "::1", 9},
        {"https", "[2001:DB8::1]", "https", "2001:db8::1", 443},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct origin o = {0};
        CHECK(origin_read(rows[i].scheme, rows[i].text, &o) ||
              !printf("    refused: %s\n", rows[i].text));
        CHECK_STR(o.scheme, rows[i].want_scheme);
        CHECK_STR(o.host, rows[i].want_host);
        CHECK_INT(o.port, rows[i].port);
    }
}

TEST(refuses_what_is_not_plainly_one)
{
    static const char *const bad[] = {
        "",
        "github.com",
        "://x",
        "https://",
        "https:///x",
        "https://u@github.com",
        "https://u:p@github.com",
        "https://a b",
        "https://a\nb",
        "https://a:",
        "https://a:0",
        "https://a:65536",
        "https://a:080x",
        "https://a:123456",
        "https://a:1:2",
        "https://.a",
        "https://a\\b",
        "https://a?x",
        "https://a#x",
        "https://[::1",
        "https://::1]",
        "https://[]",
        "https://[::1]x",
        "https://[g::1]",
        "https://[a.example]",
        "https://[.]",
        "https://\xc3\xa9",
        "ht tp://a",
        "a-scheme-that-is-too-long://a",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct origin o = {.port = 77};
        CHECK(!origin_read(NULL, bad[i], &o) || !printf("    taken: %s\n", bad[i]));
        CHECK_INT(o.port, 77);
    }
    struct origin o = {0};
    CHECK(!origin_read("", "github.com", &o) && !origin_read("https", "", &o) &&
          !origin_read("https", "https://a", &o));
}

TEST(two_are_equal_in_all_parts_or_not)
{
    static const struct {
        const char *a, *b;
        bool equal;
    } rows[] = {
        {"https://github.com", "https://GITHUB.com:443/x", true},
        {"https://github.com", "http://github.com", false},
        {"https://github.com", "https://github.com:8443", false},
        {"https://github.com", "https://github.com.evil.example", false},
        {"https://github.com", "https://evilgithub.com", false},
        {"https://a.github.com", "https://github.com", false},
        {"http://a:443", "https://a", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct origin a, b;
        CHECK(origin_read(NULL, rows[i].a, &a) && origin_read(NULL, rows[i].b, &b));
        CHECK_INT(origin_equal(&a, &b), rows[i].equal);
    }
}
