#include "base/auto.h"
#include "check.h"
#include "proxy/model.h"

#include <malloc.h>
#include <zstd.h>

static void auto_reader(struct model_reader **m)
{
    model_reader_free(*m);
}

static struct model_reader *make(const char *coding)
{
    struct model_reader *m = NULL;
    struct why why = {0};
    CHECK_OK(model_reader_new(view_str(coding), &m, &why), why);
    return m;
}

/* The name, or "!" when it is refused. Once refused it stays so; once found it stays found or is refused. */
static const char *read_in(const char *coding, struct view in, size_t step, char name[MODEL_NAME_MAX + 1])
{
    AUTO(auto_reader) struct model_reader *m = make(coding);
    enum model_result was = MODEL_MORE, now;
    for (size_t at = 0; at < in.n; at += step, was = now) {
        now = model_feed(m, VIEW(in.p + at, in.n - at < step ? in.n - at : step));
        CHECK(was != MODEL_BAD || now == MODEL_BAD);
        CHECK(was != MODEL_FOUND || now != MODEL_MORE);
    }
    now = model_end(m);
    CHECK(now != MODEL_MORE && (was != MODEL_BAD || now == MODEL_BAD));
    (void)snprintf(name, MODEL_NAME_MAX + 1, "%s", now == MODEL_FOUND ? model_name(m) : "!");
    return name;
}

static void compress(struct view in, int level, struct buf *out)
{
    uint8_t *p = malloc(ZSTD_compressBound(in.n));
    size_t n = ZSTD_compress(p, ZSTD_compressBound(in.n), in.p, in.n, level);
    CHECK(!ZSTD_isError(n));
    buf_add(out, p, n);
    free(p);
}

static void check_bytes(struct view in, const char *expected)
{
    char name[MODEL_NAME_MAX + 1];
    AUTO(buf_free) struct buf coded = {0};
    for (size_t step = 1; step <= in.n + 1; step += step < 20 ? 1 : step / 4)
        CHECK_STR(read_in("", in, step, name), expected);
    compress(in, 3, &coded);
    for (size_t step = 1; step <= coded.len + 1; step += step < 20 ? 1 : step / 4)
        CHECK_STR(read_in("zstd", buf_view(&coded), step, name), expected);
}

static void check(const char *in, const char *expected)
{
    check_bytes(view_str(in), expected);
}

TEST(the_model_is_found)
{
    check("{\"model\":\"claude-sonnet-4\"}", "claude-sonnet-4");
    check(" \r\n{ \"messages\" : [ { \"role\" : \"user\" } ] ,\t\"model\" : \"gpt-5\" , \"x\" : 1 } \n", "gpt-5");
    check("{\"mod\\u0065l\":\"a\"}", "a");
    check("{\"\\u006d\\u006F\\u0064\\u0065\\u006C\":\"\\u0061\\/b\"}", "a/b");
    check("{\"models\":\"b\",\"mode\":\"c\",\"model_\":\"d\",\"\":\"e\",\"model\":\"a\"}", "a");
}

TEST(a_model_elsewhere_is_none)
{
    check("{\"a\":{\"model\":\"b\"},\"b\":[{\"model\":\"c\"}],\"model\":\"a\",\"c\":{\"model\":\"d\",\"model\":\"e\"}}", "a");
    check("{\"text\":\"\\\"model\\\":\\\"b\\\"\",\"model\":\"a\"}", "a");
    check("{\"a\":{\"model\":\"b\"}}", "!");
    check("{\"a\":\"model\",\"b\":\"c\"}", "!");
    check("{}", "!");
    check("", "!");
}

TEST(a_second_one_is_refused)
{
    check("{\"model\":\"a\",\"model\":\"a\"}", "!");
    check("{\"model\":\"a\",\"x\":{\"y\":[]},\"mod\\u0065l\":\"b\"}", "!");
    check("{\"model\":\"a\",\"Model\":\"b\"}", "!"); /* Go takes the last, whatever its case */
    check("{\"MODEL\":\"b\",\"model\":\"a\"}", "!");
    check("{\"mOdEl\":\"b\"}", "!");
    check("{\"model\":\"a\",\"model\":1}", "!");
    check("{\"model\":\"a\"}{\"model\":\"b\"}", "!");
}

TEST(keys_that_some_reader_might_take_for_it_are_refused)
{
    check("{\"model\":\"a\",\"model\\u0000\":\"b\"}", "!"); /* C */
    check("{\"model\":\"a\",\"model\\u0000xxxxxxxxxxxxxxx\":\"b\"}", "!");
    check("{\"model\":\"a\",\"mod\\ud800el\":\"b\"}", "!"); /* dropped by some */
    check_bytes(VIEW("{\"model\":\"a\",\"mod\xff" "el\":\"b\"}", 25), "!");
    check("{\"model\":\"a\",\"x\":{\"\\u0000\xc3\xa9\":1}}", "a"); /* deeper they mean nothing */
}

TEST(the_name_is_a_plain_string)
{
    static const char *const bad[] = {"1",  "null",    "true",       "[\"a\"]",    "{\"a\":\"b\"}", "\"\"",
                                      "{}", "\"a\\n\"", "\"a\\u0000\"", "\"caf\xc3\xa9\"", "\"\\u00e9\"", "\"\x7f\""};
    for (size_t i = 0; i < COUNT(bad); i++) {
        char in[100];
        (void)snprintf(in, sizeof(in), "{\"model\":%s,\"b\":\"c\"}", bad[i]);
        check(in, "!");
    }
}

TEST(a_name_has_its_room)
{
    for (size_t n = MODEL_NAME_MAX - 1; n <= MODEL_NAME_MAX + 1; n++) {
        char in[300], name[200];
        memset(name, 'm', n);
        name[n] = '\0';
        (void)snprintf(in, sizeof(in), "{\"model\":\"%s\"}", name);
        check(in, n <= MODEL_NAME_MAX ? name : "!");
    }
}

TEST(what_is_no_object_is_refused)
{
    static const char *const bad[] = {
        "[{\"model\":\"a\"}]", "\"model\"", "1", "null", "x", "{\"model\":\"a\"", "{\"model\":\"a", "{\"model\":\"a\"}x",
        "{\"model\":\"a\"},", "{\"model\":\"a\"}]", "{\"model\":\"a\",}", "{\"model\" \"a\"}", "{model:\"a\"}",
        "{'model':'a'}", "{\"model\":\"a\" /**/}", "//\n{\"model\":\"a\"}", "\xef\xbb\xbf{\"model\":\"a\"}",
        "{\"model\":\"a\",\"b\":[}", "{\"model\":\"a\",\"b\":tru}", "{\"model\":\"a\"}}", "{\"model\":\"a\",\"b\":\"\n\"}",
        "model=a", "[]", "[1,{\"model\":\"a\"}]", "1 {\"model\":\"a\"}", "\"a\" {\"model\":\"a\"}",
    };
    for (size_t i = 0; i < COUNT(bad); i++)
        check(bad[i], "!");
    static const char *const at_once[] = {"[", "\"a\"", "1 ", "null,", "x ", "X", "\xef"};
    for (size_t i = 0; i < COUNT(at_once); i++) {
        AUTO(auto_reader) struct model_reader *m = make("");
        CHECK_INT(model_feed(m, view_str(at_once[i])), MODEL_BAD);
    }
    check_bytes(VIEW("{\"model\":\"a\"}\0", 14), "!");
    check_bytes(VIEW("{\"model\":\"a\",\"b\":1\0}", 20), "!"); /* jansson 2.14 takes it */
    check_bytes(VIEW("{\0\"\0m\0o\0d\0e\0l\0\"\0:\0\"\0a\0\"\0}\0", 26), "!");
}

TEST(the_name_comes_early_or_not_at_all)
{
    AUTO(buf_free) struct buf in = {.max = 4 << 20};
    char name[MODEL_NAME_MAX + 1];
    for (size_t over = 0; over <= 1; over++) {
        AUTO(buf_free) struct buf coded = {.max = 4 << 20};
        buf_reset(&in);
        buf_add_str(&in, "{\"a\":\"");
        while (in.len < MODEL_PREFIX_MAX + over - 13)
            buf_put_u8(&in, 'x');
        buf_add_str(&in, "\",\"model\":\"b\"");
        CHECK_INT(in.len, MODEL_PREFIX_MAX + over);
        buf_add_str(&in, ",\"c\":[]}");
        compress(buf_view(&in), 3, &coded);
        static const size_t step[] = {1, 13, 4096, 4097, MODEL_PREFIX_MAX, 1 << 20};
        for (size_t i = 0; i < COUNT(step); i++)
            CHECK_STR(read_in("", buf_view(&in), step[i], name), over ? "!" : "b");
        for (size_t i = 0; i < COUNT(step); i++)
            CHECK_STR(read_in("zstd", buf_view(&coded), step[i], name), over ? "!" : "b");
    }
}

TEST(no_more_than_the_prefix_is_waited_for)
{
    AUTO(auto_reader) struct model_reader *m = make("");
    CHECK_INT(model_feed(m, view_str("{\"a\":\"")), MODEL_MORE);
    for (size_t n = 6; n < MODEL_PREFIX_MAX; n++)
        CHECK_INT(model_feed(m, view_str("x")), MODEL_MORE);
    CHECK_INT(model_feed(m, view_str("x")), MODEL_BAD);
}

TEST(what_comes_behind_the_name_may_be_long)
{
    AUTO(buf_free) struct buf in = {.max = 32 << 20}, coded = {.max = 32 << 20};
    char name[MODEL_NAME_MAX + 1];
    unsigned x = 1;
    buf_add_str(&in, "{\"model\":\"a\",\"b\":\"");
    while (in.len < 10 << 20)
        buf_add_fmt(&in, "the quick brown fox \\\"model\\\" %x ", x = x * 1664525 + 1013904223);
    buf_add_str(&in, "\"}");
    compress(buf_view(&in), 3, &coded);
    CHECK_STR(read_in("", buf_view(&in), 9000, name), "a");
    CHECK_STR(read_in("zstd", buf_view(&coded), 100, name), "a");
    in.len--;
    buf_add_str(&in, ",\"model\":\"b\"}");
    CHECK_STR(read_in("", buf_view(&in), 9000, name), "!");
}

/* ---- codings */

TEST(codings)
{
    static const char *const good[] = {"", "identity", "zstd", "ZSTD", "Identity"};
    static const char *const bad[] = {"gzip", "zstd, zstd", "br", "zst", "zstd ", "identity,zstd", "x"};
    for (size_t i = 0; i < COUNT(good); i++) {
        AUTO(auto_reader) struct model_reader *m = make(good[i]);
        CHECK_STR(model_name(m), "");
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct model_reader *m = NULL;
        struct why why = {0};
        CHECK_INT(model_reader_new(view_str(bad[i]), &m, &why), ERR_INVALID);
        CHECK(!m && why.text[0]);
    }
    model_reader_free(NULL);
}

static void check_coded(const struct buf *coded, const char *expected)
{
    char name[MODEL_NAME_MAX + 1];
    for (size_t step = 1; step <= coded->len + 1; step += step < 20 ? 1 : step / 4)
        CHECK_STR(read_in("zstd", buf_view(coded), step, name), expected);
}

static void add_skippable(struct buf *out, unsigned kind, uint32_t n)
{
    buf_put_u8(out, (uint8_t)(0x50 | kind));
    buf_add(out, "\x2a\x4d\x18", 3);
    buf_add(out, &n, 4);
    for (uint32_t i = 0; i < n; i++)
        buf_put_u8(out, '{');
}

TEST(several_frames_are_one_body)
{
    AUTO(buf_free) struct buf in = {0};
    add_skippable(&in, 0, 5);
    compress(view_str("{\"mod"), 1, &in);
    add_skippable(&in, 15, 0);
    compress(view_str(""), 1, &in);
    compress(view_str("el\":\"a\""), 19, &in);
    compress(view_str("}"), 1, &in);
    add_skippable(&in, 7, 40);
    check_coded(&in, "a");
    compress(view_str("}"), 1, &in);
    check_coded(&in, "!");
}

TEST(broken_zstd_is_refused)
{
    AUTO(buf_free) struct buf good = {0};
    char name[MODEL_NAME_MAX + 1];
    compress(view_str("{\"model\":\"a\",\"text\":\"the quick brown fox the quick brown fox the quick\"}"), 3, &good);
    CHECK_STR(read_in("zstd", buf_view(&good), 1000, name), "a");
    for (size_t n = 0; n < good.len; n++)
        for (size_t step = 1; step < 40; step += 6)
            CHECK_STR(read_in("zstd", VIEW(good.p, n), step, name), "!"); /* cut short */
    for (unsigned i = 0; i < 4; i++) {
        good.p[i] ^= 1;
        check_coded(&good, "!"); /* no frame */
        good.p[i] ^= 1;
    }
    buf_put_u8(&good, 0x28);
    check_coded(&good, "!"); /* the beginning of another frame */
    CHECK_STR(read_in("zstd", view_str("{\"model\":\"a\"}"), 3, name), "!");
}

TEST(frames_of_old_formats_are_refused)
{
    for (unsigned v = 0x22; v <= 0x27; v++) {
        AUTO(buf_free) struct buf in = {0};
        buf_put_u8(&in, (uint8_t)v);
        buf_add(&in, "\xb5\x2f\xfd\x00\x00\x00\x00\x00\x00\x00\x00", 11);
        AUTO(auto_reader) struct model_reader *m = make("zstd");
        CHECK_INT(model_feed(m, VIEW(in.p, 3)), MODEL_MORE);
        CHECK_INT(model_feed(m, VIEW(in.p + 3, 1)), MODEL_BAD); /* by its number, not by what follows */
    }
}

TEST(a_damaged_checksum_is_refused)
{
    AUTO(buf_free) struct buf in = {0};
    uint8_t room[200];
    char name[MODEL_NAME_MAX + 1];
    ZSTD_CCtx *c = ZSTD_createCCtx();
    CHECK(!ZSTD_isError(ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1)));
    size_t n = ZSTD_compress2(c, room, sizeof(room), "{\"model\":\"a\"}", 13);
    (void)ZSTD_freeCCtx(c);
    CHECK(!ZSTD_isError(n));
    CHECK_STR(read_in("zstd", VIEW(room, n), 5, name), "a");
    room[n - 1] ^= 1;
    CHECK_STR(read_in("zstd", VIEW(room, n), 5, name), "!");
}

TEST(all_that_a_piece_decodes_to_is_read_at_once)
{
    AUTO(buf_free) struct buf in = {.max = 4 << 20};
    AUTO(auto_reader) struct model_reader *m = make("zstd");
    static uint8_t room[200000];
    buf_add_str(&in, "{\"a\":\"");
    while (in.len < 100000)
        buf_put_u8(&in, 'x');
    buf_add_str(&in, "\",\"model\":\"b\"");
    ZSTD_CCtx *c = ZSTD_createCCtx();
    ZSTD_inBuffer src = {in.p, in.len, 0};
    ZSTD_outBuffer dst = {room, sizeof(room), 0};
    CHECK_INT(ZSTD_compressStream2(c, &dst, &src, ZSTD_e_flush), 0);
    (void)ZSTD_freeCCtx(c);
    CHECK_INT(model_feed(m, VIEW(room, dst.pos)), MODEL_FOUND);
}

/* One frame with `window_log`, holding `text` and then blocks of 128 KiB of blanks, `blocks` of them, four bytes each. */
static void add_bomb(struct buf *out, unsigned window_log, const char *text, unsigned blocks)
{
    size_t n = strlen(text);
    buf_add(out, "\x28\xb5\x2f\xfd\x00", 5);
    buf_put_u8(out, (uint8_t)((window_log - 10) << 3));
    uint32_t head = (uint32_t)n << 3;
    buf_add(out, &head, 3);
    buf_add(out, text, n);
    for (unsigned i = 0; i < blocks; i++) {
        head = (128U << 10) << 3 | 1U << 1 | (i + 1 == blocks);
        buf_add(out, &head, 3);
        buf_put_u8(out, ' ');
    }
}

TEST(a_bomb_is_cut_off)
{
    char name[MODEL_NAME_MAX + 1];
    for (unsigned over = 0; over < 2; over++) {
        AUTO(buf_free) struct buf in = {0};
        static char block[(1 << 17) + 1];
        memset(block, ' ', 1 << 17);
        memcpy(block, "{\"model\":\"a\"}", 13);
        /* each block of blanks is 128 KiB and 4 bytes; the one in front pays for 64 others, and 8 are free */
        add_bomb(&in, 17, block, over ? 74 : 71);
        CHECK_STR(read_in("zstd", buf_view(&in), 1000, name), over ? "!" : "a");
    }
    AUTO(buf_free) struct buf in = {0};
    add_bomb(&in, MODEL_WINDOW_LOG, "{\"model\":\"a\"}", 9);
    CHECK_STR(read_in("zstd", buf_view(&in), 1000, name), "!");
}

TEST(much_is_decoded_in_little_memory_up_to_a_limit)
{
    static uint8_t block[1 << 17];
    AUTO(auto_reader) struct model_reader *m = make("zstd");
    uint32_t head = (1U << 17) << 3; /* a block as it is, and not the last */
    struct mallinfo2 before = mallinfo2();
    CHECK_INT(model_feed(m, VIEW("\x28\xb5\x2f\xfd\x00\x68", 6)), MODEL_MORE); /* window 8 MiB */
    memset(block, ' ', sizeof(block));
    memcpy(block, "{\"model\":\"a\"}", 13);
    for (unsigned i = 0; i < MODEL_DECODED_MAX >> 17; i++) {
        CHECK(model_feed(m, VIEW(&head, 3)) != MODEL_BAD);
        CHECK_INT(model_feed(m, VIEW(block, sizeof(block))), MODEL_FOUND);
        memset(block, ' ', 13);
    }
    struct mallinfo2 after = mallinfo2();
    CHECK(after.uordblks + after.hblkhd - before.uordblks - before.hblkhd < 9 << 20);
    head = 1 << 3;
    CHECK_INT(model_feed(m, VIEW(&head, 3)), MODEL_FOUND);
    CHECK_INT(model_feed(m, VIEW(block, 1)), MODEL_BAD);
}

TEST(a_window_too_large_is_refused)
{
    char name[MODEL_NAME_MAX + 1];
    for (unsigned log = MODEL_WINDOW_LOG; log <= 31; log++) {
        AUTO(buf_free) struct buf in = {0};
        add_bomb(&in, log, "{\"model\":\"a\"}", 1);
        CHECK_STR(read_in("zstd", buf_view(&in), 1000, name), log > MODEL_WINDOW_LOG ? "!" : "a");
    }
}

/* ---- in a path */

static void path(const char *in, const char *expected)
{
    struct view v = model_in_path(view_str(in));
    if (!view_is(v, expected))
        printf("    %s: \"%.*s\"\n", in, (int)v.n, (const char *)v.p);
    CHECK(view_is(v, expected));
}

TEST(gemini_names_it_in_the_path)
{
    path("/v1beta/models/gemini-2.5-pro:generateContent", "gemini-2.5-pro");
    path("/v1/models/gemini-2.5-flash:streamGenerateContent", "gemini-2.5-flash");
    path("/v1/models/gemini-2.5-flash", "gemini-2.5-flash");
    path("/v1/projects/p-1/locations/us-central1/publishers/google/models/gemini-2.0-flash@001:predict",
         "gemini-2.0-flash@001");
}

TEST(a_path_that_could_be_read_in_two_ways_names_none)
{
    static const char *const none[] = {
        "", "/", "/v1beta/models", "/v1beta/models/", "/v1beta/models/:x", "/v1/messages", "/v1beta/tunedModels/a:x",
        "/v1/models/a/models/b:x", "/v1/models/a/b", "/v1/models/a%3Ax", "/v1/models/%67emini:x", "/v1/models/a:b/c",
        "/v1/models/a:b:c", "/v1/models/a:models/b", "/v1/mod%65ls/a:x", "/v1/models/a;b:x", "/v1/models/a?b",
        "models/a:x", "/v1/models//a:x", "/v1/models/a b", "/v1/models/a:%20", "/v1/models/..%2fb", "/v1/models/a:x/",
        "/v1/models/caf\xc3\xa9:x",
    };
    for (size_t i = 0; i < COUNT(none); i++)
        path(none[i], "");
    char longest[200] = "/v1/models/";
    memset(longest + 11, 'a', MODEL_NAME_MAX);
    path(longest, longest + 11);
    longest[11 + MODEL_NAME_MAX] = 'a';
    path(longest, "");
}
