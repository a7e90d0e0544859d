#include "base/auto.h"
#include "check.h"
#include "proxy/guard.h"
#include "proxy/guard_forms.h"

#include <malloc.h>

static void auto_guard(struct guard **g)
{
    guard_free(*g);
}

static struct guard *make(const struct view *secret, unsigned n)
{
    struct guard *g = NULL;
    struct why why = {0};
    CHECK_OK(guard_new(secret, n, &g, &why), why);
    return g;
}

static struct guard *make_one(const char *secret)
{
    struct view v = view_str(secret);
    return make(&v, 1);
}

static unsigned next(unsigned *x)
{
    *x = *x * 1664525 + 1013904223;
    return *x >> 16;
}

/* Feeds in random pieces of at most `most` bytes; true: all was passed. `out` gets what was passed. */
static bool feed(const struct guard *g, struct view in, size_t most, unsigned *x, struct buf *out)
{
    struct guard_state s = {0};
    struct view held, pass;
    buf_reset(out);
    for (size_t at = 0, n; at < in.n; at += n) {
        n = 1 + next(x) % most;
        n = n < in.n - at ? n : in.n - at;
        bool ok = guard_feed(g, &s, VIEW(in.p + at, n), &held, &pass);
        CHECK(pass.n == 0 || pass.p == in.p + at);
        buf_add_view(out, held);
        buf_add_view(out, pass);
        if (!ok) {
            CHECK(held.n == 0 && pass.n == 0);
            CHECK(!guard_feed(g, &s, view_str("more"), &held, &pass)); /* for good */
            CHECK_INT(guard_end(g, &s).n, 0);
            return false;
        }
    }
    buf_add_view(out, guard_end(g, &s));
    CHECK_INT(s.node, 0);
    return true;
}

/* Nothing of a form: passed whole. One in it: cut at or before its beginning (in[form_at]). */
static void check_identity(const struct guard *g, struct view in, unsigned *x)
{
    AUTO(buf_free) struct buf out = {0};
    static const size_t most[] = {1, 2, 7, 64, 5000};
    for (size_t i = 0; i < COUNT(most); i++) {
        CHECK(feed(g, in, most[i], x, &out));
        CHECK(view_eq(buf_view(&out), in));
    }
    CHECK(!guard_finds(g, in));
}

static const char *const secrets[] = {
    "sk-ant-oat01-AbCdEfGhIjKlMnOp_QrStUv-WxYz0123456789AA",
    "12345678",
    "aaaaaaaaaaaaaaaaaaaaaaaaa",
    "abababababababac",
    "p/ss w\"rd\\+\xc3\xa9<>~",
    "\xff\xfe\x01\x02\x03\x04\x05\x06\x07\x08",
    "%25%25%25%",
    "\\u0041\\u0041\\",
    "deadbeefdeadbeefdeadbeef",
};

TEST(each_form_is_found_at_each_split)
{
    for (size_t k = 0; k < COUNT(secrets); k++) {
        AUTO(auto_guard) struct guard *g = make_one(secrets[k]);
        AUTO(buf_free) struct buf text = {0};
        size_t end[GUARD_FORMS];
        unsigned n = guard_forms(view_str(secrets[k]), &text, end), x = 7;
        for (unsigned i = 0; i < n; i++) {
            struct view form = VIEW(text.p + (i ? end[i - 1] : 0), end[i] - (i ? end[i - 1] : 0));
            CHECK(guard_finds(g, form));
            for (size_t cut = 0; cut <= form.n; cut++) {
                AUTO(buf_free) struct buf in = {0};
                for (unsigned junk = next(&x) % 70; junk; junk--)
                    buf_put_u8(&in, (uint8_t)(0x80 + next(&x) % 0x60)); /* begins no form */
                size_t form_at = in.len;
                buf_add_view(&in, form);
                struct guard_state s = {0};
                struct view held, pass, rest;
                bool first = guard_feed(g, &s, VIEW(in.p, form_at + cut), &held, &pass);
                CHECK(held.n == 0);
                CHECK(pass.n <= form_at); /* nothing of the form */
                rest = VIEW(in.p + form_at + cut, form.n - cut);
                CHECK(!first || !guard_feed(g, &s, rest, &held, &pass));
                CHECK(!first || (held.n == 0 && pass.n == 0));
            }
        }
    }
}

TEST(each_form_is_found_byte_by_byte_between_any_bytes)
{
    AUTO(buf_free) struct buf out = {0};
    unsigned x = 99;
    for (size_t k = 0; k < COUNT(secrets); k++) {
        AUTO(auto_guard) struct guard *g = make_one(secrets[k]);
        AUTO(buf_free) struct buf text = {0};
        size_t end[GUARD_FORMS], len = strlen(secrets[k]);
        unsigned n = guard_forms(view_str(secrets[k]), &text, end);
        for (unsigned round = 0; round < 40 * n; round++) {
            unsigned i = round % n;
            size_t from = i ? end[i - 1] : 0, before = next(&x) % 100;
            AUTO(buf_free) struct buf in = {0};
            for (size_t b = 0; b < before; b++) /* the beginning of the secret, often */
                buf_put_u8(&in, round & 1 ? (uint8_t)secrets[k][next(&x) % len]
                                          : text.p[from + b % (end[i] - from)]);
            buf_add(&in, text.p + from, end[i] - from);
            buf_add_str(&in, "tail");
            CHECK(!feed(g, buf_view(&in), 1 + next(&x) % 9, &x, &out));
            CHECK(guard_finds(g, buf_view(&in)));
            CHECK(out.len <= before && memcmp(out.p ? out.p : in.p, in.p, out.len) == 0);
        }
    }
}

TEST(what_is_not_a_form_passes_as_it_is)
{
    unsigned x = 5;
    for (size_t k = 0; k < COUNT(secrets); k++) {
        AUTO(auto_guard) struct guard *g = make_one(secrets[k]);
        size_t len = strlen(secrets[k]);
        for (unsigned round = 0; round < 300; round++) {
            AUTO(buf_free) struct buf in = {0};
            size_t n = next(&x) % 400;
            while (in.len < n) { /* front parts of the secret, one byte short of it at most */
                size_t part = next(&x) % len;
                buf_add(&in, secrets[k], part);
                buf_put_u8(&in, (uint8_t)(secrets[k][part] ^ 0x41)); /* other than what comes next */
            }
            if (!guard_finds(g, buf_view(&in))) /* "aaa" may still have come together */
                check_identity(g, buf_view(&in), &x);
            else
                CHECK(memmem(in.p, in.len, secrets[k], len));
        }
    }
}

TEST(random_bytes_pass_as_they_are)
{
    AUTO(auto_guard) struct guard *g = make_one(secrets[0]);
    unsigned x = 3;
    for (unsigned round = 0; round < 300; round++) {
        uint8_t in[700];
        for (size_t i = 0; i < sizeof(in); i++)
            in[i] = (uint8_t)next(&x);
        check_identity(g, VIEW(in, next(&x) % sizeof(in)), &x);
    }
}

TEST(a_stream_may_end_within_a_form)
{
    AUTO(auto_guard) struct guard *g = make_one(secrets[0]);
    unsigned x = 11;
    for (size_t n = 0; n < strlen(secrets[0]); n++)
        check_identity(g, VIEW(secrets[0], n), &x);
}

TEST(what_was_held_comes_out_as_soon_as_it_is_harmless)
{
    AUTO(auto_guard) struct guard *g = make_one("abcabcabd-0123");
    struct guard_state s = {0};
    struct view held, pass;
    CHECK(guard_feed(g, &s, view_str("xabcabcab"), &held, &pass));
    CHECK(view_is(held, "") && view_is(pass, "x"));
    CHECK(guard_feed(g, &s, view_str("c"), &held, &pass)); /* abcabcabc: the last six may still be it */
    CHECK(view_is(held, "abc") && view_is(pass, ""));
    CHECK(guard_feed(g, &s, view_str("!y"), &held, &pass));
    CHECK(view_is(held, "abcabc") && view_is(pass, "!y"));
    CHECK_INT(guard_end(g, &s).n, 0);
    CHECK(guard_feed(g, &s, view_str("abca"), &held, &pass));
    CHECK(held.n == 0 && pass.n == 0);
    CHECK(guard_feed(g, &s, VIEW(NULL, 0), &held, &pass));
    CHECK(held.n == 0 && pass.n == 0);
    CHECK(view_is(guard_end(g, &s), "abca"));
}

TEST(several_secrets)
{
    const struct view secret[] = {view_str(secrets[0]), view_str("1234567"), view_str(secrets[1]),
                                  view_str(secrets[4])};
    AUTO(auto_guard) struct guard *g = make(secret, COUNT(secret));
    CHECK(guard_finds(g, secret[0]) && guard_finds(g, secret[2]) && guard_finds(g, secret[3]));
    CHECK(guard_finds(g, view_str("x-api-key: MTIzNDU2Nzg=")));
    CHECK(guard_finds(g, view_str("3132333435363738")));
    CHECK(guard_finds(g, view_str("p%2Fss%20w%22rd%5C%2B%C3%A9%3C%3E~")));
    CHECK(guard_finds(g, view_str("\"p\\/ss w\\\"rd\\\\+\\u00e9<>~\"")));
    CHECK(!guard_finds(g, view_str("1234567")));
    CHECK(!guard_finds(g, view_str("sk-ant-oat01-AbCdEfGhIjKlMnOp_QrStUv-WxYz01234567")));
}

TEST(a_secret_too_short_is_not_guarded)
{
    unsigned x = 1;
    AUTO(auto_guard) struct guard *g = make_one("1234567");
    AUTO(auto_guard) struct guard *none = make(NULL, 0);
    check_identity(g, view_str("12345671234567"), &x);
    check_identity(none, view_str("anything"), &x);
}

TEST(the_filter_misses_no_place)
{
    AUTO(auto_guard) struct guard *g = make_one(secrets[0]);
    size_t n = strlen(secrets[0]);
    uint8_t in[300];
    for (size_t at = 0; at + n <= sizeof(in); at++)
        for (unsigned fill = 0; fill < 256; fill += 5) {
            memset(in, (int)fill, sizeof(in));
            memcpy(in + at, secrets[0], n);
            CHECK(guard_finds(g, VIEW(in, sizeof(in))));
            CHECK(guard_finds(g, VIEW(in, at + n)));
            in[at + n - 1] ^= 1;
            CHECK(!guard_finds(g, VIEW(in, sizeof(in))));
        }
}

TEST(a_jwt_costs_less_than_a_mebibyte)
{
    static uint8_t jwt[2048];
    unsigned x = 1;
    for (size_t i = 0; i < sizeof(jwt); i++)
        jwt[i] = (uint8_t) "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"[next(&x) % 64];
    const struct view secret = VIEW(jwt, sizeof(jwt));
    struct mallinfo2 before = mallinfo2();
    AUTO(auto_guard) struct guard *g = make(&secret, 1);
    struct mallinfo2 after = mallinfo2();
    CHECK(after.uordblks + after.hblkhd - before.uordblks - before.hblkhd < 1 << 20);
    CHECK(guard_finds(g, secret));
}
