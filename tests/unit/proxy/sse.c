#include "base/auto.h"
#include "check.h"
#include "proxy/sse.h"

/* The data of all events, each ended by '|'; a last one that has not ended by '~'. Fed in pieces of `step` bytes. */
static const char *events(struct view in, size_t step, struct buf *out)
{
    struct sse s = {0};
    struct view data;
    buf_reset(out);
    for (size_t at = 0; at < in.n; at += step) {
        struct view piece = VIEW(in.p + at, in.n - at < step ? in.n - at : step);
        for (enum sse_piece p; (p = sse_next(&s, &piece, &data)) != SSE_MORE;)
            if (p == SSE_DATA)
                buf_add_view(out, data);
            else
                buf_put_u8(out, '|');
        CHECK_INT(piece.n, 0);
    }
    if (s.data)
        buf_put_u8(out, '~');
    return buf_text(out);
}

static void check(const char *in, const char *expected)
{
    AUTO(buf_free) struct buf out = {0};
    for (size_t step = 1; step <= strlen(in) + 1; step++)
        CHECK_STR(events(view_str(in), step, &out), expected);
}

TEST(data_of_events)
{
    check("", "");
    check("data: a\n\n", "a|");
    check("data:a\n\n", "a|");
    check("data:  a \n\n", " a |");
    check("event: x\ndata: {\"a\": 1}\nid: 7\n\ndata: b\n\n", "{\"a\": 1}|b|");
    check("data: a\n", "a~");
    check("data: a", "a~");
    check("data: this line is longer than sixteen bytes\n\ndata: and so is this one\n\n",
          "this line is longer than sixteen bytes|and so is this one|");
}

TEST(line_ends_of_all_kinds)
{
    check("data: a\r\rdata: b\r\r", "a|b|");
    check("data: a\r\n\r\ndata: b\r\n\r\n", "a|b|");
    check("data: a\n\r\ndata: b\r\n\n", "a|b|");
    check("data: a\r\n\rdata: b\r\n\r", "a|b|");
    check("data: a\r\ndata: b\r\n\r\n", "a\nb|"); /* one end of line, not two */
    check("\n\n\r\r\ndata: a\n\n\n\n", "a|");
}

TEST(lines_of_one_event_are_joined)
{
    check("data: a\ndata: b\n\n", "a\nb|");
    check("data:\ndata:\n\n", "\n|");
    check("data: a\n: comment\ndata: b\n\n", "a\nb|");
}

TEST(what_is_no_data_is_passed_over)
{
    check("event: x\n\n", "");
    check(": data: a\n\n", "");
    check(" data: a\n\n", "");
    check("Data: a\n\n", "");
    check("datas: a\n\n", "");
    check("data\n\ndat\n\n", "");
    check("data: a\ndat\ndata: b\n\n", "a\nb|");
    check("xdata: a\ndata: b\n\n", "b|");
}

TEST(a_byte_order_mark_may_stand_in_front)
{
    check("\xef\xbb\xbf" "data: a\n\n", "a|");
    check("\xef\xbb" "data: a\ndata: b\n\n", "b|");
    check("\xef\xbb" "ta: a\ndata: b\n\n", "b|");
    check("\xef\n" "data: b\n\n", "b|");
    check("\n\xef\xbb\xbf" "data: a\ndata: b\n\n", "b|"); /* not later */
    check("\xef\xbb\xbf\xef\xbb\xbf" "data: a\ndata: b\n\n", "b|");
}

TEST(many_line_ends_cost_no_more_than_they_are)
{
    static uint8_t in[4 << 20]; /* if each looked for the other kind to the end, this would take minutes */
    AUTO(buf_free) struct buf out = {0};
    memset(in, '\r', sizeof(in));
    CHECK_STR(events(VIEW(in, sizeof(in)), sizeof(in), &out), "");
    for (size_t i = 0; i < sizeof(in); i++)
        in[i] = (uint8_t)"x\r"[i % 2];
    CHECK_STR(events(VIEW(in, sizeof(in)), sizeof(in), &out), "");
}
