#include "proxy/gate_scan.h"

#include "unit/proxy/gate_rig.h"

/* the lists as the RFCs print them */
#define ALNUM "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
TEST(classes_are_the_lists_of_the_rfcs)
{
    for (int c = 0; c < 256; c++) {
#define IN(list) (c != 0 && strchr(list, c) != NULL)
        CHECK_INT(gate_is((uint8_t)c, GATE_TOKEN), IN(ALNUM "!#$%&'*+-.^_`|~"));
        CHECK_INT(gate_is((uint8_t)c, GATE_TEXT), c == '\t' || (c >= 0x20 && c <= 0x7e));
        CHECK_INT(gate_is((uint8_t)c, GATE_OBS), c == '\t' || (c >= 0x20 && c != 0x7f));
        CHECK_INT(gate_is((uint8_t)c, GATE_PATH), IN(ALNUM "-._~!$&'()*+,=:@%/"));
        CHECK_INT(gate_is((uint8_t)c, GATE_QUERY), IN(ALNUM "-._~!$&'()*+,=:@%/?[]{}|^`"));
        CHECK_INT(gate_is((uint8_t)c, GATE_HOST), IN(ALNUM "-._"));
        CHECK_INT(gate_is((uint8_t)c, GATE_DIGIT), IN("0123456789"));
        CHECK_INT(gate_is((uint8_t)c, GATE_HEX), IN("0123456789abcdefABCDEF"));
#undef IN
    }
}

TEST(hex_digits_have_their_values)
{
    const char *digits = "0123456789abcdef", *upper = "0123456789ABCDEF";
    for (unsigned i = 0; i < 16; i++)
        CHECK(gate_hex((uint8_t)digits[i]) == i && gate_hex((uint8_t)upper[i]) == i);
}

TEST(numbers)
{
    uint64_t n = 7;
    bool over = true;
    CHECK(gate_number(view_str("0"), &n, &over) && n == 0 && !over);
    CHECK(gate_number(view_str("9223372036854775807"), &n, &over) && n == INT64_MAX);
    CHECK(!gate_number(view_str("9223372036854775808"), &n, &over) && over);
    CHECK(!gate_number(view_str("92233720368547758070"), &n, &over) && over);
    CHECK(!gate_number(view_str("99999999999999999999x"), &n, &over));
    CHECK(!gate_number(view_str("01"), &n, &over) && !over);
    CHECK(!gate_number(view_str(""), &n, &over) && !over);
    CHECK(!gate_number(view_str("1a"), &n, &over) && !over);
}

TEST(names_are_compared_without_case)
{
    CHECK(gate_same(view_str("HoSt-9_"), view_str("host-9_")));
    CHECK(!gate_same(view_str("host"), view_str("hos")));
    CHECK(!gate_same(view_str("h@st"), view_str("h`st"))); /* these two differ in that bit alone */
    CHECK(!gate_same(view_str("["), view_str("{")));
    CHECK(gate_same(VIEW(NULL, 0), VIEW(NULL, 0)));
}

static bool may_end(const char *text)
{
    struct scan s = scan_of(view_str(text), false, &no);
    return scan_may_end(&s);
}

TEST(a_look_at_the_line_ends_tells_whether_a_head_may_end)
{
    CHECK(!may_end(""));
    CHECK(!may_end("a"));
    CHECK(!may_end("a\r\nb\r\nc\r"));
    CHECK(!may_end("a\r\n\r"));
    CHECK(may_end("\r\n"));
    CHECK(may_end("a\r\n\r\n"));
    CHECK(may_end("a\r\nb\r\n\r\nbody"));
    CHECK(may_end("\n"));
    CHECK(may_end("a\n")); /* to be refused */
    CHECK(may_end("a\r\n\n"));
}

TEST(a_line_end_is_crlf)
{
    static const struct {
        const char *text;
        enum gate_result r;
    } rows[] = {{"", GATE_MORE}, {"\r", GATE_MORE}, {"\r\nx", GATE_OK}, {"\n", GATE_REFUSED}, {"\r\r\n", GATE_REFUSED}, {"x", GATE_REFUSED}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct scan s = scan_of(view_str(rows[i].text), false, &no);
        const uint8_t *at = s.p;
        CHECK_INT(scan_newline(&s), rows[i].r);
        CHECK_INT(s.p - at, rows[i].r == GATE_OK ? 2 : 0);
    }
}

TEST(a_scan_reaches_no_further_than_a_head_may)
{
    static uint8_t big[GATE_HEAD_MAX + 1];
    struct scan s = scan_of(VIEW(big, GATE_HEAD_MAX - 1), false, &no);
    CHECK(!s.full && s.end - s.p == GATE_HEAD_MAX - 1 && scan_end(&s, GATE_MORE) == GATE_MORE);
    s = scan_of(VIEW(big, sizeof(big)), true, &no);
    CHECK(s.full && s.end - s.p == GATE_HEAD_MAX && scan_end(&s, GATE_OK) == GATE_OK);
    CHECK(scan_end(&s, GATE_MORE) == GATE_REFUSED && no.status == 502);
}
