#include "proxy/chunk.h"

#include "base/auto.h"
#include "check.h"

enum { MORE = CHUNK_MORE, END = CHUNK_END, BAD = CHUNK_BAD };

/* Feeds it in pieces of `step` bytes; the payload into *out; how much was left behind the end into *rest. */
static enum chunk_result feed(struct view v, bool lenient, size_t step, struct buf *out, size_t *rest)
{
    struct chunk_reader r = {.lenient = lenient};
    enum chunk_result got = CHUNK_MORE;
    for (size_t at = 0; at < v.n && got == CHUNK_MORE; at += step) {
        struct view in = VIEW(v.p + at, step < v.n - at ? step : v.n - at), data;
        while ((got = chunk_next(&r, &in, &data)) == CHUNK_DATA) {
            CHECK(data.n > 0);
            buf_add_view(out, data);
        }
        CHECK(got != CHUNK_MORE || in.n == 0);
        *rest = v.n - at - (step < v.n - at ? step : v.n - at) + in.n;
    }
    return got;
}

static enum chunk_result read_as(const char *text, bool lenient, const char *payload)
{
    enum chunk_result first = CHUNK_MORE;
    struct view v = view_str(text);
    for (size_t step = v.n ? v.n : 1; step > 0; step--) {
        AUTO(buf_free) struct buf out = {0};
        size_t rest = 0;
        enum chunk_result got = feed(v, lenient, step, &out, &rest);
        if (step >= v.n)
            first = got;
        CHECK_INT(got, first);
        if (payload)
            CHECK_STR(buf_text(&out), payload);
        if (got == CHUNK_END)
            CHECK_INT(rest, strlen(strrchr(text, '\n') + 1)); /* what the tests put behind the end has no line end */
    }
    return first;
}
static int request(const char *text)
{
    return (int)read_as(text, false, NULL);
}
static int reply(const char *text)
{
    return (int)read_as(text, true, NULL);
}

TEST(a_body_is_read_however_it_is_cut)
{
    CHECK_INT(read_as("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", false, "hello world"), END);
    CHECK_INT(read_as("0\r\n\r\n", false, ""), END);
    CHECK_INT(read_as("00000000000000A\r\n0123456789\r\n000\r\n\r\nGET", false, "0123456789"), END);
    CHECK_INT(read_as("1a\r\nabcdefghijklmnopqrstuvwxyz\r\n1A\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\n\r\n", false, "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz"), END);
    CHECK_INT(read_as("4\r\n\r\n0\r\r\n0\r\n\r\n", false, "\r\n0\r"), END);
    CHECK_INT(read_as("5\r\n0\r\n\r\n\r\n0\r\n\r\n", false, "0\r\n\r\n"), END);
}

TEST(a_front_part_asks_for_more)
{
    static const char whole[] = "5\r\nhello\r\n0\r\n\r\n";
    char part[sizeof(whole)];
    for (size_t n = 0; n < sizeof(whole) - 1; n++) {
        memcpy(part, whole, n);
        part[n] = '\0';
        CHECK_INT(request(part), MORE);
    }
}

TEST(games_with_sizes_are_refused)
{
    static const char *const bad[] = {"\r\n",  "x\r\n",   " 5\r\n",  "5 \r\n",   "5\t\r\n", "+5\r\n",    "-5\r\n",  "0x5\r\n",  "5\n",      "5\rX",     "5\r\r\n", ";\r\n",
                                      "5h",    "5.0\r\n", "5,5\r\n", "\"5\"\r\n", "5;a\r\n", "5;a=b\r\n", "5 ;a\r\n", "5;\r\n", "g\r\n", "00000000000000005\r\n",
                                      "ffffffffffffffff\r\n", "8000000000000000\r\n", "10000000000000000\r\n", "10000000000000005\r\n", "\n", "0\n", "0\r\n\n", "0;\r\n", "5\x80\r\n"};
    for (size_t i = 0; i < COUNT(bad); i++)
        CHECK_INT(request(bad[i]), BAD);
    CHECK_INT(request("7fffffffffffffff\r\n"), MORE);
}

TEST(what_follows_a_chunk_is_crlf)
{
    static const char *const bad[] = {"5\r\nhelloX", "5\r\nhello\n", "5\r\nhello\rX", "5\r\nhello5\r\n", "5\r\nhello world\r\n", "5\r\nhello\r\n\r\n", "3\r\nhello\r\n"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        CHECK_INT(request(bad[i]), BAD);
        CHECK_INT(reply(bad[i]), BAD);
    }
}

TEST(a_request_has_no_trailers)
{
    static const char *const bad[] = {"0\r\nX: y\r\n\r\n", "0\r\nTransfer-Encoding: chunked\r\n\r\n", "0\r\n\rX", "0\r\n \r\n", "0\r\n\n"};
    for (size_t i = 0; i < COUNT(bad); i++)
        CHECK_INT(request(bad[i]), BAD);
}

TEST(a_reply_may_have_extensions_and_trailers)
{
    CHECK_INT(read_as("5;a=\"b c\"\r\nhello\r\n0;z\r\nX: y\r\nContent-MD5:\xff\t\r\n\r\n", true, "hello"), END);
    static const char *const bad[] = {"5 \r\n", " 5\r\n", "5 ;a\r\n", "5;a\n", "5;a\rb", "5;\x01\r\n", "0\r\nX\r\n", "0\r\n: y\r\n", "0\r\nX y: z\r\n", "0\r\nX: y\r\n z\r\n", "0\r\nX: y\n", "0\r\nX: \x7f\r\n", "0\r\nX: y\rz",
                                      "0\r\nX\x80: y\r\n", "0\r\n\n", "8000000000000000\r\n", "5\n"};
    for (size_t i = 0; i < COUNT(bad); i++)
        CHECK_INT(reply(bad[i]), BAD);
    struct chunk_reader r = {.lenient = true};
    struct view in = VIEW("0\r\nX: \0\r\n\r\n", 11), data;
    CHECK_INT(chunk_next(&r, &in, &data), BAD);
}

static enum chunk_result whole_reply(struct view in)
{
    struct chunk_reader r = {.lenient = true};
    enum chunk_result got;
    struct view data;
    while ((got = chunk_next(&r, &in, &data)) == CHUNK_DATA)
        continue;
    return got;
}

TEST(what_is_skipped_is_bounded)
{
    static const char *const forms[][2] = {{"5;", "\r\nhello\r\n0\r\n\r\n"}, {"0\r\nX: ", "\r\n\r\n"}, {"0\r\nX", ": y\r\n\r\n"}};
    for (size_t i = 0; i < COUNT(forms); i++)
        for (size_t n = 15000; n <= 30000; n += 15000) {
            AUTO(buf_free) struct buf text = {0};
            buf_add_str(&text, forms[i][0]);
            for (size_t k = 0; k < n; k++)
                buf_put_u8(&text, 'a');
            buf_add_str(&text, forms[i][1]);
            CHECK_INT(whole_reply(buf_view(&text)), n < 16000 ? CHUNK_END : CHUNK_BAD);
        }
    AUTO(buf_free) struct buf b = {0};
    for (int i = 0; i < 20000; i++) /* many small ones count together */
        buf_add_str(&b, "1;\r\nx\r\n");
    CHECK_INT(whole_reply(buf_view(&b)), CHUNK_BAD);
}

TEST(the_end_and_a_fault_are_final)
{
    struct chunk_reader r = {0};
    struct view in = view_str("0\r\n\r\nGET /"), data;
    CHECK_INT(chunk_next(&r, &in, &data), END);
    CHECK(view_is(in, "GET /"));
    CHECK_INT(chunk_next(&r, &in, &data), END);
    CHECK(view_is(in, "GET /"));
    r = (struct chunk_reader){0};
    in = view_str("zzz");
    CHECK_INT(chunk_next(&r, &in, &data), BAD);
    in = view_str("0\r\n\r\n");
    CHECK_INT(chunk_next(&r, &in, &data), BAD);
    in = VIEW(NULL, 0);
    CHECK_INT(chunk_next(&r, &in, &data), BAD);
    r = (struct chunk_reader){0};
    CHECK_INT(chunk_next(&r, &in, &data), MORE);
}

TEST(the_line_before_a_chunk)
{
    static const struct {
        uint64_t n;
        const char *line;
    } rows[] = {{1, "1\r\n"}, {15, "f\r\n"}, {16, "10\r\n"}, {500, "1f4\r\n"}, {0xabcdef, "abcdef\r\n"}, {INT64_MAX, "7fffffffffffffff\r\n"}, {UINT64_MAX, "ffffffffffffffff\r\n"}};
    char out[CHUNK_HEAD_ROOM];
    for (size_t i = 0; i < COUNT(rows); i++) {
        size_t n = chunk_head(rows[i].n, out);
        CHECK(n <= sizeof(out) && view_is(VIEW(out, n), rows[i].line));
    }
}
