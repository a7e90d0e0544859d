/* What people see: columns, times, pictures, and that nothing from elsewhere commands the terminal.
 * */
#include "unit/cli/operator.h"

#include "base/auto.h"
#include "base/clock.h"
#include "cli/show.h"

static json_t *tree(const char *text)
{
    json_t *t = json_loads(text, 0, NULL);
    CHECK(t);
    return t;
}

static void cleaned(const char *in, const char *want)
{
    AUTO(buf_free) struct buf b = {0};
    buf_add_str(&b, in);
    show_clean(&b);
    CHECK_STR(buf_text(&b), want);
}

TEST(control_characters_become_question_marks)
{
    cleaned("{\"a\":\"\\u001b[31mred\\u009b\\u007f\\u0000\"}",
            "{\"a\":\"\\u003f[31mred\\u003f\\u003f\\u003f\"}");
    cleaned("{\"a\":\"x\\ny\\tz\\r\\b\\f\"}", "{\"a\":\"x??y??z??????\"}");
    cleaned("{\"a\":\"\xc2\x9b"
            "1m\x7f\"}",
            "{\"a\":\"??1m?\"}");
    cleaned("{\"a\":\"\x1b[1m\"}", "{\"a\":\"?[1m\"}");
}

TEST(what_is_harmless_stays)
{
    static const char *const same[] = {"{\"a\":\"b\"}",
                                       "{\n  \"a\": 1\n}\n",
                                       "{\"a\":\"\\\\n \\\\u001b \\/ \\\"\"}",
                                       "{\"a\":\"\\u00e4\\u20ac\"}",
                                       "{\"\xc3\xa4\":\"\xe2\x80\xa6\xc2\xa0\"}",
                                       "",
                                       "\\"};
    for (size_t i = 0; i < COUNT(same); i++)
        cleaned(same[i], same[i]);
    cleaned("\\u00", "\\u00"); /* cut short: it will not parse */
    cleaned("\"\\u001", "\"\\u001");
}

TEST(no_cleaned_text_holds_a_control_character)
{
    for (unsigned c = 0; c < 0x100; c++) {
        AUTO(buf_free) struct buf b = {0};
        AUTO(auto_json) json_t *t = NULL;
        struct why why = {0};
        buf_add_fmt(&b, "{\"a\":\"\\u%04X\\u%04x\"}", c, c);
        show_clean(&b);
        CHECK_OK(json_parse(buf_view(&b), &t, &why), why);
        const unsigned char *s = (const unsigned char *)text_of(t, "a");
        CHECK(s[0] >= 0x20 && s[0] != 0x7f && !(s[0] == 0xc2 && s[1] < 0xa0));
    }
}

TEST(members_are_read_forgivingly)
{
    AUTO(auto_json)
    json_t *t = tree("{\"s\":\"x\",\"n\":7,\"null\":null,\"list\":[\"a\",2,\"c\"]}");
    char out[32];
    CHECK_STR(text_of(t, "s"), "x");
    CHECK_STR(text_of(t, "n"), "");
    CHECK_STR(text_of(t, "gone"), "");
    CHECK_STR(text_of(NULL, "s"), "");
    CHECK(int_of(t, "n") == 7 && int_of(t, "s") == 0 && int_of(NULL, "n") == 0);
    CHECK(text_is(t, "s", "x") && !text_is(t, "s", "y") && !text_is(NULL, "s", "x"));
    CHECK_STR(list_of(t, "list", out, sizeof(out)), "a,2,c");
    CHECK_STR(list_of(t, "gone", out, sizeof(out)), "");
    CHECK_STR(list_of(t, "list", out, 4), "a,2"); /* whole items only */
    CHECK_STR(list_of(t, "list", out, 1), "");
}

TEST(times_and_spans)
{
    AUTO(auto_json)
    json_t *t = tree("{\"at\":1795304833000,\"none\":0,\"far\":9223372036854775807}");
    char when[32], span[SPAN_ROOM];
    setenv("TZ", "UTC", 1);
    tzset();
    CHECK_STR(when_of(t, "at", when), "2026-11-21 23:47");
    CHECK_STR(when_of(t, "none", when), "-");
    CHECK_STR(when_of(t, "gone", when), "-");
    CHECK(strlen(when_of(t, "far", when)) < 32);
    static const struct {
        int64_t ms;
        const char *want;
    } rows[] = {{-5, "0s"},           {0, "0s"},           {999, "0s"},
                {1000, "1s"},         {59999, "59s"},      {60000, "1m"},
                {61000, "1m 1s"},     {899000, "14m 59s"}, {3600000, "1h"},
                {25920000, "7h 12m"}, {86400000, "1d"},    {183600000, "2d 3h"},
                {86460000, "1d"},     {INT64_MAX, NULL}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        span_of(rows[i].ms, span);
        CHECK(!rows[i].want || strcmp(span, rows[i].want) == 0 || !printf("    %s\n", span));
        CHECK(strlen(span) < SPAN_ROOM - 1);
    }
}

static const char *printed(const struct table *t)
{
    static char text[4000];
    struct why why = {0};
    memset(text, 0, sizeof(text));
    FILE *f = fmemopen(text, sizeof(text), "w");
    CHECK(f);
    CHECK_OK(table_print(t, "  ", f, &why), why);
    fclose(f);
    return text;
}

TEST(columns_are_as_wide_as_their_widest_cell)
{
    AUTO(table_free) struct table t = table_of(3);
    CHECK_STR(printed(&t), "");
    table_row(&t, (const char *const[]){"NAME", "N", "LAST"});
    table_row(&t, (const char *const[]){"a-very-long-name", "1", "x"});
    table_row(&t, (const char *const[]){"\xc3\xa4\xc3\xb6", NULL, ""});
    CHECK_STR(printed(&t), "  NAME              N  LAST\n"
                           "  a-very-long-name  1  x\n"
                           "  \xc3\xa4\xc3\xb6                -  -\n");
}

TEST(a_table_over_its_maximum_is_an_error_not_half_a_table)
{
    AUTO(table_free) struct table t = table_of(1);
    struct why why = {0};
    t.cells.max = 8;
    table_row(&t, (const char *const[]){"far too much for it"});
    CHECK_INT(table_print(&t, "", stdout, &why), ERR_TOO_LARGE);
}

static const char *drawn(const char *picture)
{
    static char text[4000];
    AUTO(auto_json) json_t *t = tree(picture);
    memset(text, 0, sizeof(text));
    FILE *f = fmemopen(text, sizeof(text), "w");
    CHECK(f);
    show_picture(t, f);
    fclose(f);
    return text;
}

TEST(a_picture_in_lines)
{
    char json[200];
    setenv("TZ", "UTC", 1);
    tzset();
    CHECK_STR(drawn("{\"provider\":\"claude\",\"kind\":\"login\",\"scopes\":[\"a\",\"b\"],"
                    "\"secret\":{\"bytes\":105,\"last4\":\"KEAA\"},"
                    "\"refresh_token\":{\"bytes\":9},\"last_refresh\":\"2026\"}"),
              "  kind            login\n"
              "  scopes          a b\n"
              "  secret          105 bytes, ending …KEAA\n"
              "  refresh token   9 bytes\n"
              "  last refresh    2026\n");

    CHECK(strncmp(drawn("{\"expires_at_ms\":4070908800000}"),
                  "  expires         2099-01-01 00:00 (in ", 38) == 0);
    CHECK(strstr(drawn("{\"refresh_expires_at_ms\":1000000000000}"),
                 "refresh expires 2001-09-09 01:46 (") != NULL);
    snprintf(json, sizeof(json), "{\"expires_at_ms\":%lld}", (long long)clock_wall_ms() - 7200500);
    CHECK(strstr(drawn(json), "(2h ago)") != NULL);
    CHECK_STR(drawn("{}"), "");
}

static int colours(int argc, char **argv)
{
    (void)argc, (void)argv;
    printf("[%sred%s]", shade(SHADE_BAD), shade(SHADE_NONE));
    return 0;
}

TEST(colours_only_on_a_terminal_that_wants_them)
{
    static const struct op_step none[] = {{0}};
    const char *const words[] = {"x", NULL};
    unsetenv("NO_COLOR");
    setenv("TERM", "xterm", 1);
    CHECK_INT(op_call(colours, words, ""), 0);
    CHECK_STR(call_out, "[red]");
    CHECK_INT(op_tty(colours, words, none), 0);
    CHECK_STR(call_out, "[\033[31mred\033[0m]");
    setenv("NO_COLOR", "1", 1);
    CHECK_INT(op_tty(colours, words, none), 0);
    CHECK_STR(call_out, "[red]");
    setenv("NO_COLOR", "", 1); /* empty is not set: no-color.org */
    CHECK_INT(op_tty(colours, words, none), 0);
    SAYS("\033[31m");
    unsetenv("NO_COLOR");
    setenv("TERM", "dumb", 1);
    CHECK_INT(op_tty(colours, words, none), 0);
    CHECK_STR(call_out, "[red]");
}
