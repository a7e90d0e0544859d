#include "base/buf.h"

#include "check.h"

TEST(a_buffer_grows_to_its_maximum_and_not_beyond)
{
    struct buf b = {.max = 10};
    struct why w = {0};
    buf_add(&b, "12345678", 8);
    CHECK(!b.bad);
    buf_add(&b, "9a", 2);
    CHECK_INT(b.len, 10);
    CHECK_OK(buf_ok(&b, &w), w);
    buf_put_u8(&b, 'x');
    CHECK(b.bad);
    CHECK_INT(b.len, 10);
    CHECK_INT(buf_ok(&b, &w), ERR_TOO_LARGE);
    buf_reset(&b);
    CHECK(!b.bad && b.len == 0);
    buf_free(&b);
    CHECK_INT(b.max, 10);
}

TEST(text_needs_no_room_of_its_own)
{
    struct buf b = {.max = 3};
    buf_add_str(&b, "abc");
    CHECK_STR(buf_text(&b), "abc");
    CHECK_INT(b.len, 3);
    buf_free(&b);
}

TEST(reset_wipes_what_was_there)
{
    struct buf b = {0};
    buf_add_str(&b, "very secret");
    uint8_t *p = b.p;
    buf_reset(&b);
    for (int i = 0; i < 11; i++)
        CHECK_INT(p[i], 0);
    buf_free(&b);
}

TEST(format_takes_any_length)
{
    struct buf b = {0};
    buf_add_fmt(&b, "%0500d|", 7);
    CHECK_INT(b.len, 501);
    CHECK(b.p[500] == '|');
    buf_free(&b);
}

TEST(numbers_are_big_endian_and_round_trip)
{
    struct buf b = {0};
    buf_put_u8(&b, 1);
    buf_put_u16(&b, 0x0203);
    buf_put_u32(&b, 0x04050607);
    buf_put_u64(&b, 0x08090a0b0c0d0e0full);
    for (unsigned i = 0; i < 15; i++)
        CHECK_INT(b.p[i], i + 1);
    struct cursor c = cursor_of(buf_view(&b));
    CHECK_INT(get_u8(&c), 1);
    CHECK_INT(get_u16(&c), 0x0203);
    CHECK_INT(get_u32(&c), 0x04050607);
    CHECK(get_u64(&c) == 0x08090a0b0c0d0e0full);
    CHECK(cursor_done(&c));
    buf_free(&b);
}

TEST(a_cursor_never_passes_its_end)
{
    struct cursor c = cursor_of(VIEW("\x00\x05" "abc", 5));
    struct view v = get_str16(&c);
    CHECK_INT(v.n, 0);
    CHECK(c.bad && !cursor_done(&c) && cursor_left(&c) == 0);
    CHECK_INT(get_u64(&c), 0);
    c = cursor_of(VIEW(NULL, 0));
    CHECK(cursor_done(&c));
    CHECK_INT(get_u8(&c), 0);
    CHECK(c.bad);
    c = cursor_of(VIEW("\xff\xff\xff\xff", 4));
    v = get_str32(&c);
    CHECK(c.bad && v.n == 0);
}

TEST(every_truncation_of_a_string_is_bad)
{
    struct buf b = {0};
    buf_put_str16(&b, view_str("hello"));
    buf_put_str32(&b, view_str("world"));
    for (size_t n = 0; n < b.len; n++) {
        struct cursor c = cursor_of(VIEW(b.p, n));
        (void)get_str16(&c);
        (void)get_str32(&c);
        CHECK(!cursor_done(&c));
    }
    buf_free(&b);
}

TEST(a_string_over_its_length_field_is_bad)
{
    static uint8_t big[70000];
    struct buf b = {0};
    buf_put_str16(&b, VIEW(big, sizeof(big)));
    CHECK(b.bad);
    buf_free(&b);
}

TEST(views_compare_and_copy)
{
    char out[4];
    CHECK(view_is(view_str("abc"), "abc") && !view_is(view_str("abc"), "ab"));
    CHECK(view_eq(VIEW(NULL, 0), view_str("")));
    CHECK(view_copy(view_str("abc"), out, sizeof(out)));
    CHECK_STR(out, "abc");
    CHECK(!view_copy(view_str("abcd"), out, sizeof(out)));
    CHECK_STR(out, "");
    CHECK(!view_copy(VIEW("a\0b", 3), out, sizeof(out)));
}

TEST(hex_is_strict)
{
    char text[9];
    uint8_t bytes[4];
    hex_encode("\x00\xab\x7f\xff", 4, text);
    CHECK_STR(text, "00ab7fff");
    CHECK(hex_decode(view_str("00ab7fff"), bytes, 4) && bytes[1] == 0xab);
    static const char *const bad[] = {"00ab7ff", "00ab7fff0", "00AB7fff", "00ab7ffg", "00ab 7ff", ""};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        CHECK(!hex_decode(view_str(bad[i]), bytes, 4));
}

/* RFC 4648 section 10, in the URL-safe alphabet and without padding */
TEST(base64url_follows_the_rfc)
{
    static const char *const row[][2] = {{"", ""}, {"f", "Zg"}, {"fo", "Zm8"}, {"foo", "Zm9v"}, {"foob", "Zm9vYg"},
                                         {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}, {"\xfb\xff", "-_8"}};
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct buf b = {0}, d = {0};
        struct why w = {0};
        base64url_encode(view_str(row[i][0]), &b);
        CHECK(view_is(buf_view(&b), row[i][1]));
        CHECK_OK(base64url_decode(buf_view(&b), &d, &w), w);
        CHECK(view_is(buf_view(&d), row[i][0]));
        buf_free(&b);
        buf_free(&d);
    }
}

TEST(base64url_refuses_what_is_not_canonical)
{
    static const char *const bad[] = {"Z", "Zg==", "Zh", "Zm9", "Zm+v", "Zm/v", "Zm 9v", "Zm9v\n", "Zm9vY"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct buf d = {0};
        buf_add_str(&d, "kept");
        CHECK_INT(base64url_decode(view_str(bad[i]), &d, NULL), ERR_INVALID);
        CHECK(view_is(buf_view(&d), "kept"));
        buf_free(&d);
    }
}

TEST(base64url_of_every_length_and_every_six_bits)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint8_t in[24];
    struct buf b = {0};
    for (size_t n = 0; n <= sizeof(in); n++)
        for (unsigned seed = 0; seed < 256; seed++) {
            for (size_t i = 0; i < sizeof(in); i++)
                in[i] = (uint8_t)(seed * 31 + i * (seed | 1));
            buf_reset(&b);
            buf_put_u8(&b, '!');
            base64url_encode(VIEW(in, n), &b);
            CHECK_INT(b.len, 1 + (n * 4 + 2) / 3);
            for (size_t k = 0; k + 1 < b.len; k++) {
                unsigned bits = 0;
                for (unsigned i = 0; i < 6; i++) /* bit by bit; zeros behind the end */
                    bits = bits << 1 | ((6 * k + i) / 8 < n ? (unsigned)in[(6 * k + i) / 8] >> (7 - (6 * k + i) % 8) & 1u : 0);
                CHECK_INT(b.p[k + 1], (uint8_t)alphabet[bits]);
            }
        }
    buf_free(&b);
}
