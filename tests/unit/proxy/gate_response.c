#include "unit/proxy/gate_rig.h"

static int line(const char *l)
{
    char text[256];
    (void)snprintf(text, sizeof(text), "%s\r\nContent-Length: 0\r\n\r\n", l);
    return answered(text);
}
static int with_field(const char *l)
{
    char text[1024];
    (void)snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\n%s\r\n\r\n", l);
    return answered(text);
}

static const char typical[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: Chunked\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n"
                              "X-Name: M\xc3\xbcller\r\n\r\n";

TEST(a_typical_reply_is_read)
{
    CHECK_INT(answered(typical), 0);
    CHECK(rep.status == 200 && rep.minor == 1 && rep.n_headers == 5 && rep.keep_alive);
    CHECK(rep.body == GATE_BODY_CHUNKED && rep.length == 0 && used == sizeof(typical) - 1);
    CHECK(view_is(rep.header[4].value, "M\xc3\xbcller"));
    for (size_t n = 0; n < sizeof(typical) - 1; n++)
        CHECK_INT(gate_response(VIEW(typical, n), false, &rep, &used, &no), GATE_MORE);
}

TEST(status_lines_are_strict)
{
    static const char *const good[] = {"HTTP/1.1 200 OK", "HTTP/1.0 404 Not Found", "HTTP/1.1 200 ", "HTTP/1.1 599 \xe4\t!", "HTTP/1.1 200  two spaces"};
    static const char *const bad[] = {"HTTP/1.1 200",     "HTTP/1.1  200 OK", "HTTP/1.1 20 OK", "HTTP/1.1 2000 OK", "HTTP/1.1 099 X", "HTTP/1.1 600 X",  "HTTP/1.1 000 X",
                                      "HTTP/1.2 200 OK",  "HTTP/2.0 200 OK",  "HTTP/2 200 OK",  "HTTP/0.9 200 OK",  "http/1.1 200 OK", "HTTP/1.1\t200 OK", "HTTP/1.1 200\tOK",
                                      "HTTP/1.1 2x0 OK",  " HTTP/1.1 200 OK", "HTTP/1.1 200 O\x01K", "HTTP/1.1 200 O\x7fK", "HTTP/1.1 101 Switching Protocols", "ICY 200 OK",
                                      "HTTP/1.1 +20 OK",  "HTTP/1.1 200 OK\rX", "\r\nHTTP/1.1 200 OK", "HTTP/1.9 200 OK", "HTTP/1.1 -00 OK", "HTTP/1.1 999 X"};
    ALL(good, line, 0);
    ALL(bad, line, 502);
    CHECK_INT(answered("HTTP/1.1 200 OK\n\n"), 502);
    CHECK_INT(answered("<html>"), 502);
    CHECK_INT(answered("HTTP/1.1 599 X\r\nContent-Length: 1\r\n\r\n"), 0);
    CHECK_INT(rep.status, 599);
    CHECK_INT(answered("HTTP/1.1 100 Continue\r\n\r\n"), 0);
    CHECK_INT(rep.status, 100);
}

TEST(fields_are_as_strict_as_a_requests)
{
    static const char *const bad[] = {"X: y\n",     "X: y\r\n z", "X : y",       "X: \x01",           "X: y\rz", "X\x80: y", ": y", " X: y", "Content-Length: 5\r\nContent-Length: 5",
                                      "Content-Length: 5, 5", "Content-Length: +5", "Content-Length: 05", "Content-Length: ", "Content-Length: 9223372036854775808",
                                      "Transfer-Encoding: gzip", "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
                                      "Transfer-Encoding: chunked\r\nContent-Length: 5", "Content-Length: 5\r\nTransfer-Encoding: chunked", "Content_Length: 5", "Connection: a b",
                                      "Transfer-Encoding: "};
    static const char *const good[] = {"Host: x\r\nHost: y", "Upgrade: h2c", "Expect: x", "X-Original-URL: /", "Connection: content-length", "X: \xff\xfe", "Transfer-Encoding: CHUNKED"};
    ALL(bad, with_field, 502);
    ALL(good, with_field, 0);
    char text[] = "HTTP/1.1 200 OK\r\nX: 0123456789\r\n\r\n";
    text[25] = '\0';
    CHECK_INT(gate_response(VIEW(text, sizeof(text) - 1), false, &rep, &used, &no), GATE_REFUSED);
}

TEST(where_a_reply_ends)
{
    CHECK(with_field("Content-Length: 7") == 0 && rep.body == GATE_BODY_LENGTH && rep.length == 7 && rep.keep_alive);
    CHECK(with_field("Content-Length: 0") == 0 && rep.body == GATE_BODY_LENGTH && rep.length == 0);
    CHECK(with_field("X: y") == 0 && rep.body == GATE_BODY_UNTIL_CLOSE && !rep.keep_alive);
    CHECK(with_field("Connection: keep-alive") == 0 && rep.body == GATE_BODY_UNTIL_CLOSE && !rep.keep_alive);
    CHECK(answered("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n") == 502);
    CHECK(answered("HTTP/1.1 205 Reset\r\n\r\n") == 0 && rep.body == GATE_BODY_UNTIL_CLOSE);
}

TEST(replies_without_a_body)
{
    static const char *const none[] = {"HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
                                       "HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n", "HTTP/1.1 304 Not Modified\r\n\r\n"};
    static const char *const bad[] = {"HTTP/1.1 204 No Content\r\nContent-Length: 1\r\n\r\n", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 100 Continue\r\nContent-Length: 1\r\n\r\n",
                                      "HTTP/1.1 103 X\r\nTransfer-Encoding: chunked\r\n\r\n"};
    for (size_t i = 0; i < COUNT(none); i++)
        CHECK(answered(none[i]) == 0 && rep.body == GATE_BODY_NONE && rep.length == 0 && rep.keep_alive);
    ALL(bad, answered, 502);
    CHECK(answered_to("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", true) == 0 && rep.body == GATE_BODY_NONE && rep.length == 0 && rep.keep_alive);
    CHECK(answered_to("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", true) == 0 && rep.body == GATE_BODY_NONE);
    CHECK(answered_to("HTTP/1.1 200 OK\r\n\r\n", true) == 0 && rep.body == GATE_BODY_NONE && rep.keep_alive);
    CHECK(answered_to("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", true) == 502);
}

TEST(keep_alive_of_replies)
{
    CHECK(answered("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n") == 0 && !rep.keep_alive && rep.minor == 0);
    CHECK(answered("HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\n") == 0 && rep.keep_alive);
    CHECK(with_field("Content-Length: 1\r\nConnection: Close") == 0 && !rep.keep_alive);
    CHECK(with_field("Content-Length: 1\r\nConnection: keep-alive, close") == 0 && !rep.keep_alive);
}

TEST(heads_of_replies_are_bounded)
{
    AUTO(buf_free) struct buf b = {0};
    buf_add_str(&b, "HTTP/1.1 200 ");
    while (b.len < GATE_HEAD_MAX - 1)
        buf_add_str(&b, "a");
    CHECK_INT(gate_response(buf_view(&b), false, &rep, &used, &no), GATE_MORE);
    buf_add_str(&b, "a");
    CHECK_INT(gate_response(buf_view(&b), false, &rep, &used, &no), GATE_REFUSED);
    CHECK_INT(no.status, 502);
    b.len = 0;
    buf_add_str(&b, "HTTP/1.1 200 \r\n");
    for (int i = 0; i <= GATE_HEADERS_MAX; i++)
        buf_add_str(&b, "X: y\r\n");
    CHECK_INT(gate_response(buf_view(&b), false, &rep, &used, &no), GATE_REFUSED);
}
