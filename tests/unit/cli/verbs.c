/* The table of verbs: what holds for every row, and what the verbs share. */
#include "unit/cli/call.h"

TEST(rows_are_sorted_and_whole)
{
    for (const struct verb *v = verbs; v->name; v++) {
        size_t n = strlen(v->name);
        CHECK(!v[1].name || strcmp(v->name, v[1].name) < 0);
        CHECK(v->run && v->summary && v->summary[0] && v->summary[strlen(v->summary) - 1] != '.');
        CHECK(strncmp(v->usage, v->name, n) == 0 && (v->usage[n] == ' ' || v->usage[n] == '\0'));
        CHECK(verb_find(v->name) == v);
    }
    CHECK(!verb_find("nothing") && !verb_find(""));
}

TEST(every_verb_explains_itself)
{
    for (const struct verb *v = verbs; v->name; v++) {
        char want[200];
        if (strcmp(v->name, "exec") == 0) /* another program */
            continue;
        snprintf(want, sizeof(want), "Usage: broker-cli %s", v->name);
        CHECK_INT(CALL(v->run, "", v->name, "--help"), 0);
        CHECK(strncmp(call_out, want, strlen(want)) == 0 ||
              !printf("    %s: %s\n", v->name, call_out));
        CHECK_STR(call_err, "");
    }
}

TEST(every_verb_refuses_an_option_it_does_not_have)
{
    for (const struct verb *v = verbs; v->name; v++) {
        if (strcmp(v->name, "exec") == 0)
            continue;
        CHECK_INT(CALL(v->run, "", v->name, "--no-such-option"), 2);
        CHECK(strlen(call_err) > 10 && call_err[strlen(call_err) - 1] == '\n');
        CHECK_STR(call_out, "");
    }
}

TEST(slips_find_their_verb)
{
    CHECK_STR(verb_meant("tokn")->name, "token");
    CHECK_STR(verb_meant("hel")->name, "helper"); /* a beginning */
    CHECK(!verb_meant("zzzzzz") && !verb_meant("") && !verb_meant("t"));
}

static int end_of(err_t e, bool json, const char *text)
{
    static struct verb_common common;
    struct why why = {0};
    common.json = json;
    snprintf(why.text, sizeof(why.text), "%s", text);
    return verb_end("x", &common, e, &why);
}
static int end_well(int argc, char **argv)
{
    (void)argc, (void)argv;
    return end_of(ERR_OK, true, "unused");
}
static int end_badly(int argc, char **argv)
{
    (void)argc, (void)argv;
    return end_of(ERR_LOCKED, false, "");
}
static int end_badly_in_json(int argc, char **argv)
{
    (void)argc, (void)argv;
    return end_of(ERR_DENIED, true, "not \"you\"");
}

TEST(failures_are_told_to_people_and_to_scripts)
{
    CHECK_INT(CALL(end_well, "", "x"), 0);
    CHECK_STR(call_out, "");
    CHECK_STR(call_err, "");
    CHECK_INT(CALL(end_badly, "", "x"), err_exit(ERR_LOCKED));
    CHECK_STR(call_out, "");
    CHECK_STR(call_err, "broker-cli x: the store is locked\n");
    CHECK_INT(CALL(end_badly_in_json, "", "x"), err_exit(ERR_DENIED));
    CHECK_STR(call_out, "{\"error\":\"denied\",\"message\":\"not \\\"you\\\"\"}\n");
}

static int write_large(int argc, char **argv)
{
    struct buf b = {0};
    struct why why = {0};
    (void)argc, (void)argv;
    for (int i = 0; i < 10000; i++)
        buf_add_str(&b, "0123456789");
    err_t e = verb_write(&b, &why);
    buf_free(&b);
    return (int)e;
}
static int write_bad(int argc, char **argv)
{
    struct buf b = {.max = 4};
    struct why why = {0};
    (void)argc, (void)argv;
    buf_add_str(&b, "too much");
    err_t e = verb_write(&b, &why);
    buf_free(&b);
    return (int)e;
}

TEST(an_answer_is_written_whole_or_not_at_all)
{
    CHECK_INT(CALL(write_large, "", "x"), ERR_OK);
    CHECK_INT(strlen(call_out), 100000);
    CHECK_INT(CALL(write_bad, "", "x"), ERR_TOO_LARGE);
    CHECK_STR(call_out, "");
}
