#include "base/auto.h"
#include "check.h"
#include "proxy/json_scan.h"

/* Tokens as text: { [ are OBJECT and ARRAY, ) is CLOSE, k:… s:… n:… w:… with their text, ! is BAD and the end. Fed in pieces of `step`. */
static const char *tokens(struct view in, size_t step, const char *skip, bool *done, struct buf *out)
{
    static const char letter[] = " {[)ksnw!";
    struct json_scan j = {0};
    buf_reset(out);
    for (size_t at = 0; at < in.n; at += step) {
        struct view piece = VIEW(in.p + at, in.n - at < step ? in.n - at : step);
        for (enum json_scan_token t; (t = json_scan_next(&j, &piece)) != JSON_SCAN_MORE;) {
            buf_put_u8(out, (uint8_t)letter[t]);
            if (t == JSON_SCAN_BAD) {
                CHECK(json_scan_next(&j, &piece) == (piece.n ? JSON_SCAN_BAD : JSON_SCAN_MORE));
                *done = false;
                return buf_text(out);
            }
            if (t >= JSON_SCAN_KEY) {
                buf_add_view(out, json_scan_text(&j));
                buf_add_str(out, json_scan_whole(&j) ? "" : "...");
                buf_add_str(out, json_scan_plain(&j) ? " " : "? ");
            }
            if (t == JSON_SCAN_KEY)
                j.keep = true;
            if ((t == JSON_SCAN_OBJECT || t == JSON_SCAN_ARRAY) && skip && out->len > 1)
                json_scan_skip(&j);
        }
        CHECK_INT(piece.n, 0);
    }
    *done = json_scan_done(&j);
    return buf_text(out);
}

static void check_skip(const char *in, const char *skip, const char *expected, bool whole)
{
    AUTO(buf_free) struct buf out = {0};
    bool done = false;
    for (size_t step = 1; step <= strlen(in) + 1; step++) {
        CHECK_STR(tokens(view_str(in), step, skip, &done, &out), expected);
        CHECK_INT(done, whole);
    }
}

static void check(const char *in, const char *expected)
{
    check_skip(in, NULL, expected, true);
}

static void refused(const char *in)
{
    AUTO(buf_free) struct buf out = {0};
    bool done = false;
    for (size_t step = 1; step <= strlen(in); step++) {
        const char *t = tokens(view_str(in), step, NULL, &done, &out);
        if (!strchr(t, '!'))
            printf("    taken: %s\n", in);
        CHECK(strchr(t, '!'));
    }
}

TEST(values)
{
    check("{}", "{)");
    check("[]", "[)");
    check(" { \"a\" : [ 1 , -2.5e+3 , true,false , null, {} ] }\r\n\t",
          "{ka [n1 n-2.5e+3 wtrue wfalse wnull {)))");
    check("\"x\" ", "s ");
    check("{\"a\":\"b\",\"c\":\"d\"}", "{ka sb kc sd )");
    check("[[[]],[],{\"a\":{}}]", "[[[))[){ka {)))");
    check("{\"\":0}", "{k n0 )");
}

TEST(a_number_at_the_end_needs_what_follows)
{
    check_skip("12", NULL, "", false);
    check("12 ", "n12 ");
}

TEST(escapes)
{
    check("{\"mod\\u0065l\":0}", "{kmodel n0 )");
    check("{\"\\u006D\\u006f\\u0064el\":0}", "{kmodel n0 )");
    check("{\"a\\\"b\\\\c\\/d\":0}", "{ka\"b\\c/d n0 )");
    check("{\"a\\n\":0}", "{ka\n? n0 )");
    check("{\"a\\u00e9b\":0}", "{ka\xe9" "b? n0 )");
    check("{\"a\\u2041b\":0}", "{ka\x80" "b? n0 )");
    check("{\"a\xc3\xa9\":0}", "{ka\xc3\xa9? n0 )");
    check("{\"\\u0174ype\":0}", "{k\x80ype? n0 )"); /* its low byte is a t */
    check("{\"\\u2074ype\":0}", "{k\x80ype? n0 )");
    check("{\"a\\\\\":\"\\\\\\\"}\"}", "{ka\\ s\\\"} )");
    check("{\"a\\\\u0041\":0}", "{ka\\u0041 n0 )");
}

TEST(only_the_strings_that_are_asked_for_are_kept)
{
    struct json_scan j = {0};
    struct view in = view_str("{\"a\":\"b\",\"c\":\"d\"}");
    CHECK_INT(json_scan_next(&j, &in), JSON_SCAN_OBJECT);
    CHECK_INT(json_scan_next(&j, &in), JSON_SCAN_KEY);
    j.keep = true;
    CHECK_INT(json_scan_next(&j, &in), JSON_SCAN_STRING);
    CHECK(view_is(json_scan_text(&j), "b"));
    CHECK_INT(json_scan_next(&j, &in), JSON_SCAN_KEY);
    CHECK_INT(json_scan_next(&j, &in), JSON_SCAN_STRING);
    CHECK(view_is(json_scan_text(&j), ""));
    CHECK_INT(json_scan_next(&j, &in), JSON_SCAN_CLOSE);
}

TEST(nul_is_kept_and_marked)
{
    AUTO(buf_free) struct buf out = {0};
    bool done = false;
    (void)tokens(view_str("{\"model\\u0000x\":0}"), 3, NULL, &done, &out);
    CHECK(done && out.len == 15 && memcmp(out.p, "{kmodel\0x? n0 )", 15) == 0);
}

TEST(long_text_is_cut)
{
    AUTO(buf_free) struct buf in = {0}, out = {0}, expected = {0};
    bool done = false;
    for (size_t n = JSON_SCAN_TEXT - 1; n <= JSON_SCAN_TEXT + 2; n++) {
        buf_reset(&in);
        buf_reset(&expected);
        buf_add_str(&in, "{\"");
        buf_add_str(&expected, "{k");
        for (size_t i = 0; i < n; i++) {
            buf_put_u8(&in, 'x');
            if (i < JSON_SCAN_TEXT)
                buf_put_u8(&expected, 'x');
        }
        buf_add_str(&in, n % 2 ? "\":0}" : "\xff\":0}");
        if (n % 2 == 0 && n < JSON_SCAN_TEXT)
            buf_put_u8(&expected, 0xff);
        buf_add_str(&expected, n + (n % 2 == 0) > JSON_SCAN_TEXT ? "..." : "");
        buf_add_str(&expected, n % 2 ? " n0 )" : "? n0 )");
        for (size_t step = 1; step < in.len; step += 7)
            CHECK_STR(tokens(buf_view(&in), step, NULL, &done, &out), buf_text(&expected));
    }
}

TEST(what_is_skipped_is_not_reported_but_checked)
{
    check_skip("[{\"a\":[1,\"]}\",{\"b\":2}]},3]", "all", "[{)n3 )", true);
    check_skip("[[],[[]],{},0]", "all", "[[)[){)n0 )", true);
    check_skip("[{\"a\":[1,}]},3]", "all", "[{!", false);
    check_skip("[{\"a\":tru},3]", "all", "[{!", false);
    check_skip("[{\"a\":true,\"b\":[1.5,2]},3]", "all", "[{)n3 )", true);
    check_skip("[{\"a\"", "all", "[{", false);
}

TEST(what_is_no_json_is_refused)
{
    static const char *const bad[] = {
        "{]", "[}", "}", "]", ",", ":", "{,}", "[,]", "[1,]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}",
        "{\"a\" 1}", "{\"a\":1 \"b\":2}", "[1 2]", "{a:1}", "{'a':1}", "{1:1}", "{\"a\"::1}",
        "{}{}", "{} x", "[] 1", "\"a\" \"b\"", "1 2", "tru ", "True ", "nul,", "nulll ", "NaN",
        "[Infinity]", "[+1]", "[.5]", "// x\n{}", "/* */{}", "{}//", "\xef\xbb\xbf{}", "\"a\nb\"",
        "\"a\tb\"", "\"a\\x41\"", "\"a\\u12G4\"", "\"\\u\"", "\"a\\\n\"", "[\"a\":1]", "{[]:1}",
        "{{}:1}", "[1}", "\v{}", "{\"a\":undefined}", "\x01", "[\x7f]", "{\"a\":1;\"b\":2}",
    };
    for (size_t i = 0; i < COUNT(bad); i++)
        refused(bad[i]);
}

TEST(utf_16_is_refused)
{
    AUTO(buf_free) struct buf out = {0};
    bool done = true;
    CHECK_STR(tokens(VIEW("{\0\"\0a\0\"\0", 8), 8, NULL, &done, &out), "{!");
    CHECK_STR(tokens(VIEW("\0{\0\"\0a\0\"", 8), 8, NULL, &done, &out), "!");
}

TEST(depth_is_bounded)
{
    for (unsigned depth = JSON_SCAN_DEPTH - 1; depth <= JSON_SCAN_DEPTH + 1; depth++)
        for (unsigned kind = 0; kind < 2; kind++) {
            AUTO(buf_free) struct buf in = {0}, out = {0};
            bool done = false;
            for (unsigned i = 0; i < depth; i++)
                buf_add_str(&in, (i + kind) % 3 == 0 ? "{\"a\":" : "[");
            buf_add_str(&in, "1");
            for (unsigned i = depth; i-- > 0;)
                buf_add_str(&in, (i + kind) % 3 == 0 ? "}" : "]");
            const char *t = tokens(buf_view(&in), 9, NULL, &done, &out);
            CHECK_INT(done, depth <= JSON_SCAN_DEPTH);
            CHECK_INT(strchr(t, '!') != NULL, depth > JSON_SCAN_DEPTH);
        }
}

TEST(any_two_bytes_are_read_the_same_in_one_piece_or_two)
{
    AUTO(buf_free) struct buf out = {0}, again = {0};
    for (unsigned i = 0; i < 65536; i++) {
        bool a = false, b = false;
        char in[] = {'[', '"', 'a', '"', ',', (char)(i >> 8), (char)i, ']'};
        const char *one = tokens(VIEW(in, sizeof(in)), sizeof(in), NULL, &a, &out);
        CHECK_STR(tokens(VIEW(in, sizeof(in)), 1, NULL, &b, &again), one);
        CHECK(a == b);
    }
}
