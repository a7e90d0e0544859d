/* One HTTP/1.1 reply: split anywhere it reads the same, and whatever is not one is refused. */
#include "check.h"

#include "client/http.h"

static struct why why;

/* Feeds `text` in pieces of `step`; the reader is the caller's to free. */
static err_t feed(struct http_reader *r, const char *text, size_t n, size_t step)
{
    http_reader_init(r, 64);
    for (size_t at = 0, used; at < n && r->state != HTTP_DONE; at += used) {
        size_t piece = n - at < step ? n - at : step;
        err_t e = http_reader_feed(r, text + at, piece, &used, &why);
        if (e != ERR_OK)
            return e;
        if (used == 0)
            return ERR_INTERNAL;
    }
    return ERR_OK;
}

TEST(reads_a_length_and_chunks_in_pieces_of_any_size)
{
    static const char *const text[] = {
        "HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 201\r\ncontent-length:5 \t\r\nX: \t y\r\n\r\nhello",
        "HTTP/1.1 201 \r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 x\r\nTRANSFER-ENCODING: "
        "Chunked\r\n\r\n005\r\nhello\r\n0\r\nA: b\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof(text) / sizeof(text[0]); i++)
        for (size_t step = 1; step <= strlen(text[i]); step++) {
            struct http_reader r;
            CHECK_OK(feed(&r, text[i], strlen(text[i]), step), why);
            CHECK_INT(r.state, HTTP_DONE);
            CHECK_INT(r.status, 201);
            CHECK_STR(r.body, "hello");
            CHECK_INT(r.body_len, 5);
            CHECK(!r.last);
            http_reader_free(&r);
        }
}

TEST(an_empty_body_is_a_whole_reply)
{
    static const char *const text[] = {
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof(text) / sizeof(text[0]); i++) {
        struct http_reader r;
        CHECK_OK(feed(&r, text[i], strlen(text[i]), 1), why);
        CHECK_INT(r.state, HTTP_DONE);
        CHECK_INT(r.body_len, 0);
        http_reader_free(&r);
    }
}

TEST(stops_where_the_reply_ends)
{
    const char *text =
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nxHTTP/1.1 200";
    struct http_reader r;
    size_t used;
    http_reader_init(&r, 64);
    CHECK_OK(http_reader_feed(&r, text, strlen(text), &used, &why), why);
    CHECK_INT(r.state, HTTP_DONE);
    CHECK_INT(used, strlen(text) - strlen("HTTP/1.1 200"));
    CHECK(r.last);
    http_reader_free(&r);
}

TEST(refuses_what_is_no_reply)
{
#define HEAD "HTTP/1.1 200 OK\r\n"
    static const struct {
        const char *text;
        err_t e;
    } rows[] = {
        {"hello\r\n", ERR_INVALID},
        {"HTTP/1.0 200 OK\r\n", ERR_INVALID},
        {"HTTP/2 200\r\n", ERR_INVALID},
        {"HTTP/1.1 20\r\n", ERR_INVALID},
        {"HTTP/1.1 2000\r\n", ERR_INVALID},
        {"HTTP/1.1 099 x\r\n", ERR_INVALID},
        {"HTTP/1.1 600 x\r\n", ERR_INVALID},
        {"HTTP/1.1 101 x\r\n", ERR_INVALID},
        {"HTTP/1.1 200 OK\n", ERR_INVALID},
        {"HTTP/1.1 200 O\rK\r\n", ERR_INVALID},
        {HEAD "\r\n", ERR_INVALID}, /* no length */
        {HEAD "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", ERR_INVALID},
        {HEAD "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", ERR_INVALID},
        {HEAD "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", ERR_INVALID},
        {HEAD "Transfer-Encoding: gzip, chunked\r\n", ERR_INVALID},
        {HEAD "Transfer-Encoding: identity\r\n", ERR_INVALID},
        {HEAD "Content-Length: -1\r\n", ERR_INVALID},
        {HEAD "Content-Length: +1\r\n", ERR_INVALID},
        {HEAD "Content-Length: 1,1\r\n", ERR_INVALID},
        {HEAD "Content-Length: 0x1\r\n", ERR_INVALID},
        {HEAD "Content-Length:\r\n", ERR_INVALID},
        {HEAD "Content-Length: 99999999999999999999999\r\n", ERR_INVALID},
        {HEAD "Content-Length: 65\r\n\r\n", ERR_TOO_LARGE},
        {HEAD " folded: x\r\n", ERR_INVALID},
        {HEAD "A: b\r\n c\r\n", ERR_INVALID},
        {HEAD "no colon\r\n", ERR_INVALID},
        {HEAD ": x\r\n", ERR_INVALID},
        {HEAD "A : x\r\n", ERR_INVALID},
        {HEAD "A: \x01\r\n", ERR_INVALID},
        {HEAD "A: \x7f\r\n", ERR_INVALID},
        {HEAD "A: x\r\r\n", ERR_INVALID},
        {"HTTP/1.1 100 x\r\nContent-Length: 0\r\n\r\n", ERR_INVALID},
        {HEAD "Transfer-Encoding: chunked\r\n\r\n\r\n", ERR_INVALID},
        {HEAD "Transfer-Encoding: chunked\r\n\r\n0x1\r\n", ERR_INVALID},
        {HEAD "Transfer-Encoding: chunked\r\n\r\n 1\r\n", ERR_INVALID},
        {HEAD "Transfer-Encoding: chunked\r\n\r\n1 \r\n", ERR_INVALID},
        {HEAD "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", ERR_INVALID},
        {HEAD "Transfer-Encoding: chunked\r\n\r\n1\r\na0\r\n", ERR_INVALID},
        {HEAD "Transfer-Encoding: chunked\r\n\r\n000000001\r\na\r\n", ERR_INVALID},
        {HEAD "Transfer-Encoding: chunked\r\n\r\n41\r\n", ERR_TOO_LARGE},
        {HEAD "Transfer-Encoding: chunked\r\n\r\nffffffff\r\n", ERR_TOO_LARGE},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (size_t step = 1; step <= 4096; step += 4095) {
            struct http_reader r;
            err_t e = feed(&r, rows[i].text, strlen(rows[i].text), step);
            http_reader_free(&r);
            if (e != rows[i].e)
                printf("    row %zu\n", i);
            CHECK_INT(e, rows[i].e);
        }
}

TEST(a_nul_in_the_head_is_refused)
{
    struct http_reader r;
    CHECK_INT(feed(&r, "HTTP/1.1 200 \0\r\n", 16, 16), ERR_INVALID);
    http_reader_free(&r);
}

TEST(chunks_of_one_byte_fill_the_body_and_no_more)
{
    char text[64 * 6 + 200];
    size_t n = (size_t)sprintf(text, HEAD "Transfer-Encoding: chunked\r\n\r\n");
    struct http_reader r;
    for (int i = 0; i < 64; i++)
        n += (size_t)sprintf(text + n, "1\r\nx\r\n");
    CHECK_OK(feed(&r, text, n, 7), why);
    CHECK_INT(r.body_len, 64);
    http_reader_free(&r);
    n += (size_t)sprintf(text + n, "1\r\nx\r\n");
    CHECK_INT(feed(&r, text, n, 7), ERR_TOO_LARGE);
    http_reader_free(&r);
}

TEST(lines_have_a_length_and_a_number)
{
    struct http_reader r;
    size_t used = 0;
    static char long_line[HTTP_LINE_MAX + 10];
    memset(long_line, 'a', sizeof(long_line));
    http_reader_init(&r, 64);
    CHECK_OK(http_reader_feed(&r, HEAD, strlen(HEAD), &used, &why), why);
    CHECK_INT(http_reader_feed(&r, long_line, sizeof(long_line), &used, &why), ERR_TOO_LARGE);
    http_reader_free(&r);
    http_reader_init(&r, 64);
    err_t e = http_reader_feed(&r, HEAD, strlen(HEAD), &used, &why);
    for (int i = 0; e == ERR_OK && i < HTTP_LINES_MAX; i++)
        e = http_reader_feed(&r, "A: b\r\n", 6, &used, &why);
    CHECK_INT(e, ERR_TOO_LARGE);
    http_reader_free(&r);
    http_reader_init(&r, 64); /* interim answers for ever */
    for (e = ERR_OK; e == ERR_OK;)
        e = http_reader_feed(&r, "HTTP/1.1 100 x\r\n\r\n", 18, &used, &why);
    CHECK_INT(e, ERR_TOO_LARGE);
    http_reader_free(&r);
}

TEST(writes_a_request)
{
    struct http_head h;
    struct broker_request rq = {
        .method = "POST", .path = "/v1/leases", .token = "tok", .body = "{}", .body_len = 2};
    CHECK_OK(http_head_write(&rq, &h, &why), why);
    CHECK_STR(h.text, "POST /v1/leases HTTP/1.1\r\nHost: broker\r\nAuthorization: Bearer tok\r\n"
                      "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n");
    CHECK_INT(h.len, strlen(h.text));
    rq = (struct broker_request){.method = "GET", .path = "/v1/grants"};
    CHECK_OK(http_head_write(&rq, &h, &why), why);
    CHECK_STR(h.text, "GET /v1/grants HTTP/1.1\r\nHost: broker\r\n\r\n");
    rq = (struct broker_request){.method = "POST", .path = "/v1/lock"};
    CHECK_OK(http_head_write(&rq, &h, &why), why);
    CHECK_STR(h.text, "POST /v1/lock HTTP/1.1\r\nHost: broker\r\nContent-Length: 0\r\n\r\n");
}

TEST(nothing_in_a_request_can_begin_another)
{
    static char large[HTTP_HEAD_MAX + 1];
    memset(large, 'x', sizeof(large) - 1);
    const struct broker_request rows[] = {
        {.method = "GET\r\n", .path = "/"},
        {.method = "GET x", .path = "/"},
        {.method = "", .path = "/"},
        {.method = "GET", .path = ""},
        {.method = "GET", .path = "v1"},
        {.method = "GET", .path = "/v1 HTTP/1.1"},
        {.method = "GET", .path = "/v1\nX: y"},
        {.method = "GET", .path = "/\x7f"},
        {.method = "GET", .path = "/\xc3\xa9"},
        {.method = "GET", .path = "/", .token = ""},
        {.method = "GET", .path = "/", .token = "a b"},
        {.method = "GET", .path = "/", .token = "a\r\nX: y"},
        {.method = "GET", .path = "/", .token = large},
        {.method = "POST", .path = "/", .content_type = "a\r\nb", .body = "", .body_len = 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct http_head h = {.len = 0};
        CHECK_INT(http_head_write(&rows[i], &h, &why), ERR_USAGE);
    }
}
