#include "unit/proxy/gate_rig.h"

static const char typical[] = "POST /v1/messages?beta=true HTTP/1.1\r\n"
                              "Host: localhost:8080\r\n"
                              "Authorization:Bearer sk-ant-oat01-planted\r\n"
                              "anthropic-beta: \t a, b \t \r\n"
                              "X-Empty:\r\n"
                              "Connection: keep-alive\r\n"
                              "Content-Length: 5\r\n"
                              "\r\n";

TEST(a_typical_request_is_read)
{
    CHECK_INT(asked(typical), 0);
    CHECK_INT(used, sizeof(typical) - 1);
    CHECK(view_is(req.method, "POST") && view_is(req.path, "/v1/messages"));
    CHECK(view_is(req.query, "beta=true") && view_is(req.host, "localhost:8080"));
    CHECK(req.minor == 1 && req.n_headers == 6 && req.keep_alive);
    CHECK(req.body == GATE_BODY_LENGTH && req.length == 5);
    CHECK(!req.expect_continue && !req.upgrade);
    CHECK(view_is(req.header[1].value, "Bearer sk-ant-oat01-planted"));
    CHECK(view_is(req.header[2].name, "anthropic-beta") && view_is(req.header[2].value, "a, b"));
    CHECK(view_is(req.header[3].name, "X-Empty") && req.header[3].value.n == 0);
}

TEST(every_front_part_of_a_good_head_asks_for_more)
{
    for (size_t n = 0; n < sizeof(typical) - 1; n++)
        CHECK_INT(asked_bytes(VIEW(typical, n)), -1);
    CHECK_INT(asked_bytes(VIEW(NULL, 0)), -1);
}

TEST(what_follows_the_head_is_left_alone)
{
    AUTO(buf_free) struct buf b = {0};
    buf_add_str(&b, typical);
    buf_add(&b, "\0\n\r\nGET", 7);
    CHECK_INT(asked_bytes(buf_view(&b)), 0);
    CHECK_INT(used, sizeof(typical) - 1);
}

TEST(methods_are_those_of_the_table)
{
    static const char *const good[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
    static const char *const unknown[] = {"CONNECT", "TRACE",  "PRI", "get",     "Post", "GETT", "GE",
                                          "M-SEARCH", "TRACK", "G~T", "PROPFIND"};
    char text[128];
    for (size_t i = 0; i < COUNT(good); i++) {
        (void)snprintf(text, sizeof(text), "%s / HTTP/1.1\r\nHost: a\r\n\r\n", good[i]);
        CHECK_INT(asked(text), 0);
        CHECK(view_is(req.method, good[i]));
    }
    for (size_t i = 0; i < COUNT(unknown); i++) {
        (void)snprintf(text, sizeof(text), "%s / HTTP/1.1\r\nHost: a\r\n\r\n", unknown[i]);
        CHECK_INT(asked(text), 405);
    }
    CHECK_INT(asked("AAAAAAAAAAAAAAAA"), -1);
    CHECK_INT(asked("AAAAAAAAAAAAAAAAA"), 405);
}

TEST(a_malformed_request_line_is_refused)
{
    static const char *const bad[] = {
        " GET / HTTP/1.1\r\n",   "\r\nGET / HTTP/1.1\r\n", "\nGET /",          "GET\t/ HTTP/1.1\r\n", "GET  / HTTP/1.1\r\n",
        "GET /  HTTP/1.1\r\n",   "GET /\tHTTP/1.1\r\n",    "GET / HTTP/1.1 \r\n", "GET / HTTP/1.1\n",   "GET / HTTP/1.1\rX",
        "GET / HTTP/1.1\r\r\n",  "GET /\r\n",              "GET /\n",          "GET\r\n",             "GET / \r\n",
        "GET / http/1.1\r\n",    "GET / HTTPS/1.1\r\n",    "GET / HTP/1.1\r\n", "GET / HTTP/1.11\r\n", "G\x01T / HTTP/1.1\r\n",
        "\x16\x03\x01",          "GET / XHTTP/1.1\r\n",    "GET / HTTP/1.1,\r\n", "GET: / HTTP/1.1\r\n"};
    static const char *const version[] = {"GET / HTTP/1.2\r\n", "GET / HTTP/2.0\r\n", "GET / HTTP/0.9\r\n", "GET / HTTP/3\r\n",
                                          "GET / HTTP/01.1\r\n", "GET / HTTP/1,1\r\n", "GET / HTTP/11\r\n", "GET / HTTP/1.\r\n",
                                          "GET / HTTP/ 1.1\r\n", "GET / HTTP/-1.1\r\n"};
    ALL(bad, asked, 400);
    ALL(version, asked, 505);
}

TEST(only_origin_form_is_a_target)
{
    static const char *const bad[] = {"*", "http://a/", "https://a/", "//a/", "a:443", "a", "?x", "http:/a", "\\", "%2f", "."};
    ALL(bad, target, 400);
    CHECK_INT(asked("GET h"), 400); /* at once */
    CHECK_INT(target("/?"), 0);
    CHECK(view_is(req.path, "/") && req.query.n == 0);
    CHECK_INT(target("/a?b?c/d"), 0);
    CHECK(view_is(req.query, "b?c/d"));
    CHECK_INT(target("/a?x=http://b/../c"), 0);
}

TEST(a_target_holds_no_foreign_byte)
{
    char text[64];
    for (int c = 1; c < 256; c++)
        for (int in_query = 0; in_query < 2; in_query++) {
            (void)snprintf(text, sizeof(text), "GET /a%sx%cy HTTP/1.1\r\nHost: a\r\n\r\n", in_query ? "?" : "", c);
            bool alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
            bool good = alnum || strchr("-._~!$&'()*+,=:@/?", c) || (in_query && strchr("[]{}|^`", c));
            int got = asked(text);
            if (c == ' ')
                CHECK_INT(got, 400); /* "y" is no version */
            else
                CHECK_INT(got, good ? 0 : 400);
        }
    CHECK_INT(asked_bytes(VIEW("GET /a\0 HTTP/1.1\r\nHost: a\r\n\r\n", 30)), 400);
}

TEST(a_target_is_bounded)
{
    AUTO(buf_free) struct buf b = {0};
    buf_add_str(&b, "GET /");
    while (b.len < 4 + GATE_TARGET_MAX)
        buf_add_str(&b, b.len == 100 ? "?" : "a");
    CHECK_INT(asked_bytes(buf_view(&b)), -1);
    size_t at = b.len;
    buf_add_str(&b, " HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK_INT(asked_bytes(buf_view(&b)), 0);
    CHECK_INT(req.path.n + 1 + req.query.n, GATE_TARGET_MAX);
    b.len = at;
    buf_add_str(&b, "a");
    CHECK_INT(asked_bytes(buf_view(&b)), 414);
    buf_add_str(&b, "aaaa HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK_INT(asked_bytes(buf_view(&b)), 414);
    b.p[at] = ' ';
    b.p[50] = 0x01; /* what is wrong first counts */
    CHECK_INT(asked_bytes(buf_view(&b)), 400);
}

static size_t head_of(struct buf *b, size_t size)
{
    buf_reset(b);
    buf_add_str(b, "GET / HTTP/1.1\r\nHost: a\r\n");
    while (b->len + 4 < size) {
        size_t n = size - 4 - b->len;
        n = n > 2000 ? 1000 : n;
        buf_add_str(b, "X:");
        while (n-- > 4)
            buf_add_str(b, "v");
        buf_add_str(b, "\r\n");
    }
    while (b->len + 4 < size)
        buf_add_str(b, "v");
    buf_add_str(b, "\r\n");
    return b->len;
}

TEST(a_head_is_bounded)
{
    AUTO(buf_free) struct buf b = {0};
    size_t n = head_of(&b, GATE_HEAD_MAX + 2);
    CHECK_INT(n, GATE_HEAD_MAX);
    CHECK_INT(asked_bytes(buf_view(&b)), 0);
    CHECK_INT(asked_bytes(VIEW(b.p, n - 1)), -1);
    n = head_of(&b, GATE_HEAD_MAX + 3);
    CHECK_INT(n, GATE_HEAD_MAX + 1);
    CHECK_INT(asked_bytes(buf_view(&b)), 431);
    CHECK_INT(asked_bytes(VIEW(b.p, GATE_HEAD_MAX)), 431);
    CHECK_INT(asked_bytes(VIEW(b.p, GATE_HEAD_MAX - 1)), -1);
    b.p[3000] = '\n'; /* what was wrong before counts, even if it was not looked at until now */
    CHECK_INT(asked_bytes(buf_view(&b)), 400);
}

TEST(headers_are_counted)
{
    AUTO(buf_free) struct buf b = {0};
    buf_add_str(&b, "GET / HTTP/1.1\r\nHost: a\r\n");
    for (int i = 1; i < GATE_HEADERS_MAX; i++)
        buf_add_fmt(&b, "X-%d: y\r\n", i);
    size_t n = b.len;
    buf_add_str(&b, "\r\n");
    CHECK_INT(asked_bytes(buf_view(&b)), 0);
    CHECK_INT(req.n_headers, GATE_HEADERS_MAX);
    b.len = n;
    buf_add_str(&b, "X");
    CHECK_INT(asked_bytes(buf_view(&b)), 431);
    b.len = 0;
    for (int i = 0; i < 3000; i++)
        buf_add_str(&b, i ? "X:\r\n" : "GET / HTTP/1.1\r\nHost: a\r\n");
    CHECK_INT(asked_bytes(buf_view(&b)), 431); /* seen although it is no whole head */
}

TEST(a_fault_in_a_long_head_is_found_at_the_latest_when_it_ends)
{
    AUTO(buf_free) struct buf b = {0};
    head_of(&b, 6000);
    b.p[4000] = 0x01;
    CHECK_INT(asked_bytes(buf_view(&b)), 400);
    for (size_t n = 0; n < b.len; n++) {
        int got = asked_bytes(VIEW(b.p, n));
        CHECK(got == -1 || (got == 400 && n > 4000));
    }
    b.p[4000] = 'v';
    b.p[4001] = '\n'; /* a bare LF is seen at once */
    CHECK_INT(asked_bytes(VIEW(b.p, 5500)), 400);
}

TEST(exactly_one_host)
{
    CHECK_INT(asked("GET / HTTP/1.1\r\n\r\n"), 400);
    CHECK_INT(asked("GET / HTTP/1.0\r\n\r\n"), 400);
    CHECK_INT(asked("GET / HTTP/1.0\r\nhOST: a\r\n\r\n"), 0);
    CHECK_INT(asked("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"), 400);
}

TEST(a_length_and_a_coding_exclude_each_other)
{
    CHECK_INT(with("Transfer-Encoding: chunked\r\nContent-Length: 0"), 400);
    CHECK_INT(with("Content-Length: 5\r\nTransfer-Encoding: chunked"), 400);
    CHECK_INT(with("Transfer-Encoding: chunked"), 0);
    CHECK(req.body == GATE_BODY_CHUNKED && req.length == 0);
    CHECK_INT(asked("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
    CHECK_INT(with("X: y"), 0);
    CHECK_INT(req.body, GATE_BODY_NONE);
    CHECK_INT(with("Content-Length: 0"), 0);
    CHECK(req.body == GATE_BODY_LENGTH && req.length == 0);
}

TEST(a_body_comes_only_with_methods_that_have_one)
{
    static const char *const method[] = {"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"};
    char text[128];
    for (size_t i = 0; i < COUNT(method); i++) {
        (void)snprintf(text, sizeof(text), "%s / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n", method[i]);
        CHECK_INT(asked(text), i < 3 ? 400 : 0);
        (void)snprintf(text, sizeof(text), "%s / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", method[i]);
        CHECK_INT(asked(text), i < 3 ? 400 : 0);
        (void)snprintf(text, sizeof(text), "%s / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", method[i]);
        CHECK_INT(asked(text), 0);
    }
}

TEST(keep_alive_follows_version_and_connection)
{
    CHECK(asked("GET / HTTP/1.0\r\nHost: a\r\n\r\n") == 0 && !req.keep_alive && req.minor == 0);
    CHECK(asked("GET / HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n") == 0 && req.keep_alive);
    CHECK(asked("GET / HTTP/1.1\r\nHost: a\r\n\r\n") == 0 && req.keep_alive);
    CHECK(with("Connection: x, CLOSE ,y") == 0 && !req.keep_alive);
    CHECK(with("Connection: close, keep-alive") == 0 && !req.keep_alive);
    CHECK(with("Connection: keep-alive\r\nConnection: close") == 0 && !req.keep_alive);
    CHECK(with("Connection: closed") == 0 && req.keep_alive);
}

TEST(an_expectation_counts_where_a_body_follows)
{
    CHECK(with("Expect: 100-Continue\r\nContent-Length: 1") == 0 && req.expect_continue);
    CHECK(with("Expect: 100-continue\r\nTransfer-Encoding: chunked") == 0 && req.expect_continue);
    CHECK(with("Expect: 100-continue") == 0 && !req.expect_continue);
    CHECK(with("Expect: 100-continue\r\nContent-Length: 0") == 0 && !req.expect_continue);
    CHECK_INT(asked("POST / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"), 0);
    CHECK(!req.expect_continue);
}

TEST(the_first_fault_is_the_verdict_however_the_bytes_are_cut)
{
    static const char *const bad[] = {
        "POST / HTTP/1.1\r\nHost: a\r\nExpect: x\r\nTransfer-Encoding: gzip\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\nExpect: x\r\n\r\n",
        "POST / HTTP/2.0\r\nTransfer-Encoding: gzip\r\n\r\n",
        "POST /.. HTTP/2.0\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\nX:\n",
        "FOO /.. HTTP/9.9\n"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct view whole = view_str(bad[i]);
        int want = asked_bytes(whole), got = -1;
        CHECK(want > 0);
        for (size_t n = 0; n <= whole.n && got == -1; n++)
            got = asked_bytes(VIEW(whole.p, n));
        CHECK_INT(got, want);
    }
    CHECK(asked(bad[0]) == 417 && asked(bad[1]) == 501 && asked(bad[2]) == 505 && asked(bad[3]) == 400 && asked(bad[4]) == 413 && asked(bad[5]) == 405);
}
