/* The message table's properties: everything the builder makes is parsed back unchanged; every violation is refused. */
#include "base/msg.h"
#include "base/auto.h"
#include "check.h"

#include <stdlib.h>

static struct why w;
static struct msg m;
static uint32_t seed = 1;

static uint32_t rnd(uint32_t below)
{
    seed = seed * 1664525u + 1013904223u;
    return (uint32_t)(((uint64_t)seed * below) >> 32);
}

enum kind { S, B, U, L };
static const struct {
    enum kind kind;
    size_t max;
} fields[F__COUNT] = {
#define ROW(n, k, size) [F_##n] = {k, size},
    BROKER_FIELDS(ROW)
#undef ROW
};

/* A random value of the field's kind of at most `room` bytes. */
static void random_value(enum msg_field f, size_t room, struct buf *out)
{
    static const char *const pieces[] = {"a", " ", "~", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x94\x91"};
    size_t want = rnd((uint32_t)(fields[f].max < room ? fields[f].max : room) + 1);
    buf_reset(out);
    if (fields[f].kind == U) {
        buf_put_u64(out, (uint64_t)rnd(UINT32_MAX) << 32 | rnd(UINT32_MAX));
        return;
    }
    while (out->len + 6 <= want) {
        struct view piece = view_str(pieces[rnd(COUNT(pieces))]);
        if (fields[f].kind == L)
            list_put(out, piece);
        else if (fields[f].kind == B)
            buf_put_u8(out, (uint8_t)rnd(256));
        else
            buf_add_view(out, piece);
    }
}

static uint32_t a_sender(const struct msg_rule *r)
{
    return r->from & (~r->from + 1); /* its lowest bit */
}

TEST(every_row_and_field_has_a_name_and_sane_limits)
{
    CHECK(!msg_rule(MSG_NONE));
    CHECK(!msg_rule(MSG__COUNT));
    CHECK(!msg_rule(UINT32_MAX));
    for (unsigned t = 1; t < MSG__COUNT; t++) {
        const struct msg_rule *r = msg_rule(t);
        CHECK(r && r->name[0] && r->from != 0);
        CHECK(r->max >= MSG_HEADER && r->max <= MSG_MAX);
    }
    for (unsigned f = 0; f < F__COUNT; f++) {
        CHECK(msg_field_name(f)[0]);
        CHECK(fields[f].kind != U || fields[f].max == 8);
        CHECK(MSG_HEADER + 6 + fields[f].max <= MSG_MAX);
    }
    CHECK_STR(msg_field_name(F__COUNT), "?");
    CHECK_STR(msg_rule(MSG_LEASE_ISSUE)->name, "LEASE_ISSUE");
}

static void round_trip(unsigned type)
{
    static struct buf packet, values[F__COUNT];
    const struct msg_rule *r = msg_rule(type);
    uint64_t id = (uint64_t)rnd(UINT32_MAX) << 31, conn = rnd(UINT32_MAX);
    bool put[F__COUNT] = {false};
    msg_begin(&packet, (enum msg_type)type, id, conn);
    for (unsigned f = 0; f < F__COUNT; f++) {
        size_t left = r->max - packet.len;
        if (rnd(4) != 0 || left < 6 + 8)
            continue;
        random_value((enum msg_field)f, left - 6, &values[f]);
        msg_put(&packet, (enum msg_field)f, buf_view(&values[f]));
        put[f] = true;
    }
    CHECK_OK(buf_ok(&packet, &w), w);
    CHECK_OK(msg_parse(buf_view(&packet), a_sender(r), &m, &w), w);
    CHECK(m.type == (enum msg_type)type && m.id == id && m.conn == conn);
    for (unsigned f = 0; f < F__COUNT; f++) {
        CHECK(m.has[f] == put[f]);
        CHECK(!put[f] || view_eq(m.field[f], buf_view(&values[f])));
    }
}

TEST(every_message_round_trips)
{
    for (int rounds = 0; rounds < 50; rounds++)
        for (unsigned t = 1; t < MSG__COUNT; t++)
            round_trip(t);
}

TEST(senders_the_row_does_not_list_are_refused)
{
    AUTO(buf_free) struct buf b = {0};
    for (unsigned t = 1; t < MSG__COUNT; t++) {
        msg_begin(&b, (enum msg_type)t, 1, 2);
        for (uint32_t from = 1; from <= FROM_PROXY; from <<= 1) {
            err_t e = msg_parse(buf_view(&b), from, &m, &w);
            CHECK_INT(e, msg_rule(t)->from & from ? ERR_OK : ERR_INVALID);
        }
        CHECK_INT(msg_parse(buf_view(&b), 0, &m, &w), ERR_INVALID);
    }
}

/* A consumer's worker can never send an operator's message, nor either of them the vault's or the supervisor's. */
TEST(rights_of_the_roles_do_not_overlap_but_for_life_of_a_worker)
{
    for (unsigned t = 1; t < MSG__COUNT; t++) {
        uint32_t from = msg_rule(t)->from;
        bool life = t == MSG_READY || t == MSG_CLOSED;
        CHECK(life ? from == (FROM_API | FROM_ADMIN | FROM_PROXY) : (from & (from - 1)) == 0);
    }
}

TEST(unknown_types_are_refused)
{
    static const uint16_t types[] = {0, MSG__COUNT, MSG__COUNT + 1, 0x7fff, 0xffff};
    AUTO(buf_free) struct buf b = {0};
    for (size_t i = 0; i < COUNT(types); i++) {
        buf_reset(&b);
        buf_put_u16(&b, types[i]);
        buf_put_u16(&b, 0);
        buf_put_u64(&b, 0);
        buf_put_u64(&b, 0);
        CHECK_INT(msg_parse(buf_view(&b), UINT32_MAX, &m, &w), ERR_INVALID);
        msg_begin(&b, (enum msg_type)types[i], 0, 0);
        CHECK(b.bad);
    }
}

TEST(every_truncation_and_every_trailing_byte_is_refused)
{
    AUTO(buf_free) struct buf b = {0};
    msg_begin(&b, MSG_LEASE_ISSUE, 7, 9);
    msg_put_str(&b, F_CREDENTIAL, "claude");
    msg_put_u64(&b, F_TTL_MS, 900000);
    msg_put_str(&b, F_OWNER, "none");
    CHECK_OK(msg_parse(buf_view(&b), FROM_API, &m, &w), w);
    struct msg before = m;
    for (size_t n = 0; n < b.len; n++) {
        CHECK_INT(msg_parse(VIEW(b.p, n), FROM_API, &m, &w), ERR_INVALID);
        CHECK(memcmp(&before, &m, sizeof(m)) == 0); /* outputs untouched */
    }
    buf_put_u8(&b, 0);
    CHECK_INT(msg_parse(buf_view(&b), FROM_API, &m, &w), ERR_INVALID);
    CHECK_INT(msg_parse(VIEW(NULL, 0), FROM_API, &m, &w), ERR_INVALID);
}

/* A raw packet: `count` in the header, then fields as given. */
static void raw(struct buf *b, uint16_t count)
{
    buf_reset(b);
    buf_put_u16(b, MSG_LEASE_ISSUE);
    buf_put_u16(b, count);
    buf_put_u64(b, 1);
    buf_put_u64(b, 1);
}

static void raw_field(struct buf *b, uint16_t tag, const void *p, uint32_t n)
{
    buf_put_u16(b, tag);
    buf_put_str32(b, VIEW(p, n));
}

TEST(repeated_unordered_unknown_tags_and_false_counts_are_refused)
{
    static const struct {
        uint16_t count, n, tag[3];
        const char *says;
    } cases[] = {
        {2, 2, {F_CREDENTIAL, F_CREDENTIAL}, "repeated or out of order"},
        {2, 2, {F_OWNER, F_CREDENTIAL}, "repeated or out of order"},
        {3, 3, {F_CREDENTIAL, F_OWNER, F_CREDENTIAL}, "repeated or out of order"},
        {1, 1, {F__COUNT}, "unknown field"},
        {1, 1, {0xffff}, "unknown field"},
        {2, 1, {F_CREDENTIAL}, "ends inside"},
        {0, 1, {F_CREDENTIAL}, "after its last field"},
        {1, 2, {F_CREDENTIAL, F_OWNER}, "after its last field"},
        {F__COUNT + 1, 0, {0}, "says it has"},
        {0xffff, 1, {F_CREDENTIAL}, "says it has"},
    };
    AUTO(buf_free) struct buf b = {0};
    for (size_t i = 0; i < COUNT(cases); i++) {
        raw(&b, cases[i].count);
        for (unsigned k = 0; k < cases[i].n; k++)
            raw_field(&b, cases[i].tag[k], "none", 4);
        CHECK_INT(msg_parse(buf_view(&b), FROM_API, &m, &w), ERR_INVALID);
        CHECK(strstr(w.text, cases[i].says));
    }
}

TEST(length_that_wraps_is_refused)
{
    AUTO(buf_free) struct buf b = {0};
    static const uint32_t lengths[] = {5, 0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff};
    for (size_t i = 0; i < COUNT(lengths); i++) {
        raw(&b, 1);
        buf_put_u16(&b, F_TOKEN);
        buf_put_u32(&b, lengths[i]);
        buf_add(&b, "abcd", 4);
        CHECK_INT(msg_parse(buf_view(&b), FROM_API, &m, &w), ERR_INVALID);
    }
}

TEST(packet_over_its_rows_size_is_refused_by_both_sides)
{
    AUTO(buf_free) struct buf b = {0};
    static const char filler[2048];
    uint32_t max = msg_rule(MSG_LEASE_ISSUE)->max;
    uint32_t fits = max - MSG_HEADER - 6;
    raw(&b, 1);
    raw_field(&b, F_TOKEN, filler, fits);
    CHECK_INT(b.len, max);
    CHECK_OK(msg_parse(buf_view(&b), FROM_API, &m, &w), w);
    raw(&b, 1);
    raw_field(&b, F_TOKEN, filler, fits + 1);
    CHECK_INT(msg_parse(buf_view(&b), FROM_API, &m, &w), ERR_INVALID);
    CHECK(strstr(w.text, "over its"));
    msg_begin(&b, MSG_LEASE_ISSUE, 1, 1);
    msg_put(&b, F_TOKEN, VIEW(filler, fits));
    CHECK(!b.bad);
    msg_begin(&b, MSG_LEASE_ISSUE, 1, 1);
    msg_put(&b, F_TOKEN, VIEW(filler, fits + 1));
    CHECK(b.bad);
}

TEST(every_field_refuses_one_byte_over_its_maximum)
{
    AUTO(buf_free) struct buf v = {0};
    for (unsigned f = 0; f < F__COUNT; f++) {
        buf_reset(&v);
        CHECK(buf_reserve(&v, fields[f].max + 3));
        memset(v.p, fields[f].kind == L ? 0 : 'a', fields[f].max + 3);
        CHECK(fields[f].kind == L || msg_fits((enum msg_field)f, VIEW(v.p, fields[f].max)));
        CHECK(!msg_fits((enum msg_field)f, VIEW(v.p, fields[f].max + 1)));
        CHECK(!msg_fits((enum msg_field)f, VIEW(v.p, fields[f].max + 2)));
    }
    CHECK(!msg_fits(F__COUNT, VIEW("", 0)));
}

TEST(text_is_utf8_without_controls)
{
    static const char *const good[] = {"", " ", "~", "abc", "\xc2\xa0", "\xdf\xbf", "\xe0\xa0\x80",
                                       "\xed\x9f\xbf", "\xee\x80\x80", "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {
        "\n", "\t", "a\x01", "\x1f", "\x7f", "\xc2\x80", "\xc2\x9f", "\x80", "\xbf", "\xc0\xaf",
        "\xc1\xbf", "\xc2", "\xc3(", "\xe0\x9f\xbf", "\xe2\x82", "\xed\xa0\x80", "\xed\xbf\xbf",
        "\xf0\x8f\xbf\xbf", "\xf0\x9f\x94", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xfe"};
    for (size_t i = 0; i < COUNT(good); i++)
        CHECK(msg_fits(F_REASON, view_str(good[i])));
    for (size_t i = 0; i < COUNT(bad); i++)
        CHECK(!msg_fits(F_REASON, view_str(bad[i])));
    CHECK(!msg_fits(F_REASON, VIEW("a\0b", 3)));
    CHECK(!msg_fits(F_REASON, VIEW("", 1))); /* a NUL */
    CHECK(msg_fits(F_TOKEN, VIEW("\0\xff\n", 3))); /* bytes may be anything */
}

TEST(numbers_are_eight_bytes)
{
    for (size_t n = 0; n < 8; n++)
        CHECK(!msg_fits(F_TTL_MS, VIEW("\0\0\0\0\0\0\0\0", n)));
    CHECK(msg_fits(F_TTL_MS, VIEW("\0\0\0\0\0\0\0\0", 8)));
}

TEST(lists_are_whole_and_their_items_text)
{
    static const struct {
        const char *p;
        size_t n;
        bool good;
    } cases[] = {
        {"", 0, true},          {"\0\1a", 3, true},      {"\0\0", 2, true},
        {"\0\1a\0\1b", 6, true}, {"\0", 1, false},        {"\0\1", 2, false},
        {"\0\2a", 3, false},     {"\xff\xff" "a", 3, false}, {"\0\1\n", 3, false},
        {"\0\1a\0", 4, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        CHECK(msg_fits(F_ALLOW, VIEW(cases[i].p, cases[i].n)) == cases[i].good);
}

TEST(list_items_come_back_in_order)
{
    AUTO(buf_free) struct buf list = {0}, b = {0};
    static const char *const items[] = {"POST /v1/messages", "", "GET /v1/models"};
    struct view item = {0};
    for (size_t i = 0; i < COUNT(items); i++)
        list_put(&list, view_str(items[i]));
    msg_begin(&b, MSG_GRANT_ADD, 1, 1);
    msg_put(&b, F_ALLOW, buf_view(&list));
    CHECK_OK(msg_parse(buf_view(&b), FROM_ADMIN, &m, &w), w);
    struct cursor c = cursor_of(msg_view(&m, F_ALLOW));
    for (size_t i = 0; i < COUNT(items); i++) {
        CHECK(msg_list_next(&c, &item));
        CHECK(view_is(item, items[i]));
    }
    CHECK(!msg_list_next(&c, &item));
    struct cursor broken = cursor_of(VIEW("\0\5a", 3));
    CHECK(!msg_list_next(&broken, &item));
    CHECK(view_is(item, "GET /v1/models")); /* untouched */
}

TEST(builder_refuses_wrong_order_repeats_and_wrong_kinds)
{
    AUTO(buf_free) struct buf b = {0};
    msg_begin(&b, MSG_LEASE_ISSUE, 1, 1);
    msg_put_str(&b, F_OWNER, "none");
    msg_put_str(&b, F_CREDENTIAL, "claude");
    CHECK(b.bad);
    msg_put_str(&b, F_NOTE, "later"); /* stays bad */
    CHECK(b.bad);
    msg_begin(&b, MSG_LEASE_ISSUE, 1, 1); /* and begins anew */
    CHECK(!b.bad);
    msg_put_str(&b, F_OWNER, "none");
    msg_put_str(&b, F_OWNER, "none");
    CHECK(b.bad);
    msg_begin(&b, MSG_LEASE_ISSUE, 1, 1);
    msg_put_str(&b, F_CREDENTIAL, "two\nlines");
    CHECK(b.bad);
    msg_begin(&b, MSG_LEASE_ISSUE, 1, 1);
    msg_put_str(&b, F_TTL_MS, "soon");
    CHECK(b.bad);
    AUTO(buf_free) struct buf never_begun = {0};
    msg_put_str(&never_begun, F_OWNER, "none");
    CHECK(never_begun.bad);
}

TEST(absent_fields_have_defaults)
{
    AUTO(buf_free) struct buf b = {0};
    msg_begin(&b, MSG_LEASE_ISSUE, 1, 1);
    msg_put_str(&b, F_CREDENTIAL, NULL); /* nothing is put */
    msg_put_u64(&b, F_USES, UINT64_MAX);
    CHECK_OK(msg_parse(buf_view(&b), FROM_API, &m, &w), w);
    CHECK(!m.has[F_CREDENTIAL]);
    CHECK_INT(msg_view(&m, F_CREDENTIAL).n, 0);
    CHECK(msg_u64(&m, F_USES, 3) == UINT64_MAX);
    CHECK(msg_u64(&m, F_TTL_MS, 42) == 42);
}

/* No single changed byte makes a packet mean something else for another role. */
TEST(flipped_bits_never_cross_into_another_role)
{
    AUTO(buf_free) struct buf b = {0};
    msg_begin(&b, MSG_LEASE_ISSUE, 7, 9);
    msg_put_str(&b, F_CREDENTIAL, "claude");
    msg_put_u64(&b, F_TTL_MS, 900000);
    for (size_t bit = 0; bit < b.len * 8; bit++) {
        b.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (msg_parse(buf_view(&b), FROM_API, &m, &w) == ERR_OK)
            CHECK(msg_rule(m.type)->from & FROM_API);
        b.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

TEST(reasons_never_show_a_value)
{
    AUTO(buf_free) struct buf b = {0};
    raw(&b, 1);
    raw_field(&b, F_CREDENTIAL, "sk-ant-CANARY\n", 14);
    CHECK_INT(msg_parse(buf_view(&b), FROM_API, &m, &w), ERR_INVALID);
    CHECK(!strstr(w.text, "CANARY"));
    CHECK(strstr(w.text, "CREDENTIAL"));
}
