#include "unit/proxy/gate_rig.h"

#include "proxy/gate_fields.h"

TEST(lines_end_with_crlf_and_nothing_else)
{
    static const char *const bad[] = {"X: y\nZ: w", "X: y\rZ: w", "X: y\r\r\nZ: w", "X\r\n: y", "X: y\n\r", "\nX: y", "X: y\r\n\n", "X: y\r\n\rX"};
    ALL(bad, with, 400);
}

TEST(no_line_is_folded)
{
    static const char *const bad[] = {"X: y\r\n z", "X: y\r\n\tz", " X: y", "\tX: y", "X:\r\n y", "X: y\r\n ", "X: y\r\n \r\nZ: w"};
    ALL(bad, with, 400);
}

TEST(names_are_tokens)
{
    char line[16];
    for (int c = 1; c < 256; c++) {
        bool token = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || strchr("!#$%&'*+-.^_`|~", c);
        (void)snprintf(line, sizeof(line), "X%cy: z", c);
        /* "X:y: z" is a name too, "X" */
        CHECK_INT(with(line), token || c == ':' ? 0 : 400);
        (void)snprintf(line, sizeof(line), "%c: z", c);
        CHECK_INT(with(line), token ? 0 : 400);
    }
    static const char *const bad[] = {"X : y", "X\t: y", ": y", ":", "X", "X y", "X y: z", "Content-Length : 5", "Host : b"};
    ALL(bad, with, 400);
    CHECK_INT(asked_bytes(VIEW("GET / HTTP/1.1\r\nHost: a\r\nX\0: y\r\n\r\n", 34)), 400);
}

TEST(values_of_requests_are_ascii_without_controls)
{
    char line[16];
    for (int c = 1; c < 256; c++) {
        (void)snprintf(line, sizeof(line), "X: y%cz", c);
        CHECK_INT(with(line), (c >= ' ' && c < 0x7f) || c == '\t' ? 0 : 400);
        (void)snprintf(line, sizeof(line), "X: 12345678y%cz", c);
    }
    for (unsigned at = 0; at < 40; at++) { /* wherever it stands among the eights */
        char text[] = "GET / HTTP/1.1\r\nHost: a\r\nX: 0123456789012345678901234567890123456789\r\n\r\n";
        text[28 + at] = '\0';
        CHECK_INT(asked_bytes(VIEW(text, sizeof(text) - 1)), 400);
        text[28 + at] = '\x80';
        CHECK_INT(asked_bytes(VIEW(text, sizeof(text) - 1)), 400);
        text[28 + at] = '\t';
        CHECK_INT(asked_bytes(VIEW(text, sizeof(text) - 1)), 0);
    }
}

TEST(white_space_around_a_value_is_no_part_of_it)
{
    CHECK_INT(with("X:y"), 0);
    CHECK(view_is(req.header[1].value, "y"));
    CHECK_INT(with("X: \t  y\t z \t"), 0);
    CHECK(view_is(req.header[1].value, "y\t z"));
    CHECK_INT(with("X: \t "), 0);
    CHECK_INT(req.header[1].value.n, 0);
}

static int host(const char *value)
{
    char text[512];
    (void)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", value);
    return asked(text);
}

TEST(a_host_is_a_name_or_an_address_with_or_without_a_port)
{
    static const char *const good[] = {"localhost", "a.example:1", "127.0.0.1:65535", "[::1]", "[2001:db8::1]:8080", "my_service:80", "a.", "API.Anthropic.Com", "xn--a"};
    static const char *const bad[] = {"",          ":80",      "a:",      "a:0",     "a:65536",  "a:-1",     "a:08",   "a:80:80", "a b",       "a,b",  "a/b",
                                      "u@a",       "http://a", "[::1",    "::1",     "[]",       "[::1]x",   "[::1]:", "[g::]",   "[::1%25lo]", ".a",   "a..b",
                                      "a?b",       "a#b",      "a%2eb",   "a\\b",    "[a]",      "[1.2.3.4]", "a:80x", "a;b",     "..",        "a'b",  "[::1]:80:80",
                                      "a:99999999999999999999", "[1:2:3:4:5:6:7:8:9]", "[0000:0000:0000:0000:0000:0000:255.255.255.2555]"};
    ALL(good, host, 0);
    ALL(bad, host, 400);
    char name[300];
    memset(name, 'a', sizeof(name));
    name[256] = '\0';
    CHECK_INT(host(name), 400);
    name[255] = '\0';
    CHECK_INT(host(name), 0);
}

static int length_of(const char *value)
{
    char line[128];
    (void)snprintf(line, sizeof(line), "Content-Length: %s", value);
    return with(line);
}

TEST(a_length_is_one_plain_number)
{
    static const char *const bad[] = {"", "+5", "-5", "-0", "5,5", "5, 5", "5 5", "0x5", "5.0", "5e1", "05", "00", "five", "5;", "\"5\"", "5\t5", "5,", ",5", "5_0", "0b1", "0o7", "'5'"};
    static const char *const large[] = {"9223372036854775808", "18446744073709551615", "18446744073709551616", "18446744073709551621", "99999999999999999999999999999999999999999999"};
    ALL(bad, length_of, 400);
    ALL(large, length_of, 413);
    CHECK_INT(length_of("9223372036854775807"), 0);
    CHECK(req.length == INT64_MAX);
    CHECK_INT(length_of(" \t12345 \t"), 0);
    CHECK_INT(req.length, 12345);
    CHECK_INT(length_of("5\r\nContent-Length: 5"), 400);
    CHECK_INT(length_of("5\r\nCONTENT-LENGTH: 6"), 400);
    CHECK_INT(length_of("0\r\ncontent-length: 0"), 400);
}

static int coding(const char *value)
{
    char line[128];
    (void)snprintf(line, sizeof(line), "Transfer-Encoding: %s", value);
    return with(line);
}

TEST(the_only_coding_is_chunked)
{
    static const char *const bad[] = {"",         "gzip",      "identity",  "Chunked",  "CHUNKED", "xchunked", "chunkedx", "chunked, identity", "gzip, chunked", "chunked,chunked",
                                      "chunked;", "chunked;q=1", "\"chunked\"", "chunked ,", ",chunked", "chunked\tx", "chunk", "'chunked'", "chunke\x64\x5c", "x y"};
    ALL(bad, coding, 501);
    CHECK_INT(coding(" \tchunked\t "), 0);
    CHECK_INT(coding("chunked\r\nTransfer-Encoding: chunked"), 400);
    CHECK_INT(coding("chunked\r\ntransfer-encoding: identity"), 400);
    CHECK_INT(coding("chunked\vx"), 400);
    CHECK_INT(coding("\x80" "chunked"), 400);
}

TEST(connection_is_a_list_of_tokens_that_leaves_framing_alone)
{
    static const char *const good[] = {"Connection: close", "Connection: , ,close,", "Connection:", "Connection: te, x-foo", "Connection: keep-alive"};
    static const char *const bad[] = {"Connection: a b", "Connection: \"close\"", "Connection: close;x", "Connection: content-length", "Connection: close, Host", "Connection: x,TRANSFER-encoding",
                                      "Connection: a=b", "Connection: close\r\nConnection: Content-Length"};
    ALL(good, with, 0);
    ALL(bad, with, 400);
}

TEST(expectations_other_than_continue_fail)
{
    static const char *const bad[] = {"Expect: ", "Expect: 200-ok", "Expect: 100-continue, x", "Expect: 100-continu", "Expect: 100-continue\r\nExpect: 100-continue", "EXPECT: 100-continue;q=1"};
    ALL(bad, with, 417);
}

TEST(an_upgrade_is_told)
{
    static const char *const up[] = {"Upgrade: websocket", "upgrade: h2c", "UPGRADE:", "Connection: upgrade\r\nUpgrade: TLS/1.0"};
    for (size_t i = 0; i < COUNT(up); i++)
        CHECK(with(up[i]) == 0 && req.upgrade);
    CHECK(with("Connection: upgrade") == 0 && !req.upgrade);
    CHECK(with("X-Upgrade: a\r\nUpgrade-Insecure-Requests: 1") == 0 && !req.upgrade);
}

TEST(look_alikes_and_overrides_are_refused)
{
    static const char *const bad[] = {"Content_Length: 5", "content-length_: 5\r\nCONTENT_LENGTH: 5", "Transfer_Encoding: chunked", "transfer_Encoding: x", "X-HTTP-Method-Override: DELETE",
                                      "x_http_method_override: PUT", "X-HTTP-Method: PUT", "X-Method-Override: PUT", "X-Original-URL: /admin", "X-Rewrite-Url: /admin", "x-original_url: /"};
    static const char *const good[] = {"session_id: a", "conversation_id: b", "Content-Lengt: 5", "Content-Lengthx: 6", "XContent-Length: 5", "Transfer-Encodin: x", "Transfer~Encoding: x", "X-Original-URI: /",
                                       "Content.Length: 5", "Hosts: a", "X-A-Header-With-A-Name-Of-More-Than-Thirty-Two-Bytes: z", "x-stainless-os: Linux"};
    ALL(bad, with, 400);
    ALL(good, with, 0);
}

/* Every row of the table is reachable: the mask of lengths misses none. */
TEST(each_field_of_the_table_is_looked_at)
{
    static const char *const rows[] = {"Host: b", "Expect: x", "Connection: host", "Content-Length: x", "Transfer-Encoding: x", "X-HTTP-Method: A", "X-Method-Override: A", "X-HTTP-Method-Override: A", "X-Original-URL: A", "X-Rewrite-URL: A"};
    for (size_t i = 0; i < COUNT(rows); i++)
        CHECK(with(rows[i]) > 0);
}
