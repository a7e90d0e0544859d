/* Heads of requests: what is one, where it ends, and what is refused. */
#include "api/h1.h"
#include "base/auto.h"
#include "check.h"

static enum h1_state end_of(const char *text, size_t *at)
{
    *at = 0;
    return h1_find_end(view_str(text), at);
}

TEST(the_end_is_the_empty_line)
{
    static const char *const whole[] = {"GET / HTTP/1.1\r\n\r\n", "a\r\nb: c\r\n\r\nGET /",
                                        "\r\n"};
    static const size_t size[] = {18, 11, 2};
    size_t at;
    for (size_t i = 0; i < COUNT(whole); i++) {
        CHECK_INT(end_of(whole[i], &at), H1_WHOLE);
        CHECK_INT(at, size[i]);
        if (at >= 4)
            CHECK_INT(h1_find_end(view_str(whole[i]), &at), H1_WHOLE); /* asked again: the same */
        CHECK_INT(at, size[i]);
    }
    static const char *const more[] = {"", "G", "GET / HTTP/1.1", "GET / HTTP/1.1\r",
                                       "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\n\r"};
    for (size_t i = 0; i < COUNT(more); i++)
        CHECK_INT(end_of(more[i], &at), H1_MORE);
    static const char *const broken[] = {"\n", "a\n", "a\r\nb\n", "a\r\n\n", "a\r\r\n\n"};
    for (size_t i = 0; i < COUNT(broken); i++)
        CHECK_INT(end_of(broken[i], &at), H1_BROKEN);
}

TEST(dripping_gives_the_same_end)
{
    static const char text[] = "POST /v1/leases HTTP/1.1\r\nHost: b\r\nA: b\r\n\r\n{}\r\n\r\n";
    const size_t head = sizeof(text) - 1 - 6;
    size_t at = 0;
    for (size_t n = 0; n < head; n++)
        CHECK_INT(h1_find_end(VIEW(text, n), &at), H1_MORE);
    for (size_t n = head; n < sizeof(text); n++) {
        CHECK_INT(h1_find_end(VIEW(text, n), &at), H1_WHOLE);
        CHECK_INT(at, head);
    }
}

TEST(a_head_over_the_limit_is_broken)
{
    static char big[H1_HEAD_MAX + 64];
    size_t at = 0, n = (size_t)snprintf(big, sizeof(big), "GET / HTTP/1.1\r\nA: ");
    memset(big + n, 'x', sizeof(big) - n);
    CHECK_INT(h1_find_end(VIEW(big, H1_HEAD_MAX - 1), &at), H1_MORE);
    CHECK_INT(h1_find_end(VIEW(big, H1_HEAD_MAX), &at), H1_BROKEN);
    memcpy(big + H1_HEAD_MAX - 4, "\r\n\r\n", 4);
    at = 0;
    CHECK_INT(h1_find_end(VIEW(big, H1_HEAD_MAX), &at), H1_WHOLE);
    memcpy(big + H1_HEAD_MAX - 4, "xxx\r\n\r\n", 7);
    at = 0;
    CHECK_INT(h1_find_end(VIEW(big, H1_HEAD_MAX + 3), &at), H1_BROKEN);
}

static err_t read_head(const char *text, struct h1_request *rq)
{
    struct why why;
    return h1_read(view_str(text), rq, &why);
}

TEST(what_a_head_says)
{
    struct h1_request rq;
    CHECK_INT(read_head("POST /v1/leases?a=b HTTP/1.1\r\nHost: b\r\nCONTENT-LENGTH:  18 \r\n"
                        "Content-type: application/json\r\nauthorization: Bearer x\t\r\n"
                        "Expect: 100-Continue\r\nConnection: a, CLOSE\r\nX:\r\n\r\n",
                        &rq),
              ERR_OK);
    CHECK_STR(rq.method, "POST");
    CHECK(view_is(rq.target, "/v1/leases?a=b") && !rq.old);
    CHECK(rq.head.length == 18 && rq.head.has_type && rq.head.closes && rq.head.continues);
    CHECK(view_is(rq.head.type, "application/json"));
    CHECK(view_is(rq.head.authorization, "Bearer x"));
    CHECK_INT(read_head("GET / HTTP/1.0\r\n\r\n", &rq), ERR_OK);
    CHECK(rq.old && rq.head.length == 0 && !rq.head.has_type && !rq.head.closes);
    CHECK_INT(read_head("GETGETGETGETGETGET / HTTP/1.1\r\n\r\n", &rq), ERR_OK);
    CHECK_STR(rq.method, "-");
}

TEST(malformed_heads_are_refused)
{
    static const char *const bad[] = {
        "\r\n", "GET\r\n\r\n", "GET /\r\n\r\n", "GET / \r\n\r\n", "GET  HTTP/1.1\r\n\r\n",
        " / HTTP/1.1\r\n\r\n", "GET  / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1 \r\n\r\n",
        "GET\t/ HTTP/1.1\r\n\r\n", "GET /\x01 HTTP/1.1\r\n\r\n", "GET /\r HTTP/1.1\r\n\r\n",
        "GET /\x7f HTTP/1.1\r\n\r\n", "G T / HTTP/1.1x\r\n\r\n", "G(T / HTTP/1.1\r\n\r\n",
        "GET / http/1.1\r\n\r\n", "GET / HTTP/1.2\r\n\r\n", "GET / HTTP/0.9\r\n\r\n",
        "GET / HTTP/11\r\n\r\n", "GET / HTTP/1.1\r\nA\r\n\r\n", "GET / HTTP/1.1\r\n: b\r\n\r\n",
        "GET / HTTP/1.1\r\nA : b\r\n\r\n", "GET / HTTP/1.1\r\nA: b\r\n c: d\r\n\r\n",
        "GET / HTTP/1.1\r\n A: b\r\n\r\n", "GET / HTTP/1.1\r\nA: b\rc\r\n\r\n",
        "GET / HTTP/1.1\r\nA: \x1f\r\n\r\n", "GET / HTTP/1.1\r\nContent-Length: \r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 1 2\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 0x1\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 10000000000000000000\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Type: a\r\nContent-Type: a\r\n\r\n",
    };
    struct h1_request rq;
    for (size_t i = 0; i < COUNT(bad); i++) {
        err_t e = read_head(bad[i], &rq);
        if (e != ERR_INVALID)
            printf("    %s gives %d\n", bad[i], (int)e);
        CHECK_INT(e, ERR_INVALID);
    }
    CHECK_INT(read_head("GET / HTTP/2.0\r\n\r\n", &rq), ERR_VERSION);
    static const char nul[] = "GET / HTTP/1.1\r\nA: b\0c\r\n\r\n", in_name[] = "GET / HTTP/1.1\r\nA\0: b\r\n\r\n",
                      in_target[] = "GET /\0 HTTP/1.1\r\n\r\n";
    struct why why;
    CHECK_INT(h1_read(VIEW(nul, sizeof(nul) - 1), &rq, &why), ERR_INVALID);
    CHECK_INT(h1_read(VIEW(in_name, sizeof(in_name) - 1), &rq, &why), ERR_INVALID);
    CHECK_INT(h1_read(VIEW(in_target, sizeof(in_target) - 1), &rq, &why), ERR_INVALID);
}
