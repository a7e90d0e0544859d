/* The operator's side: where the socket is, answers that are none, lists in pages, verbs of verbs.
 * */
#include "unit/cli/operator.h"

#include "cli/admin.h"

static const struct admin_list things = {"/v1/things?limit=2", "things", "next", "after"};

static int get_list(int argc, char **argv)
{
    AUTO(auto_json) json_t *all = NULL;
    struct verb_common common = {.socket = strcmp(argv[1], "-") ? argv[1] : NULL, .json = argc > 2};
    struct why why = {0};
    err_t e = admin_pages(&common, &things, &all, &why);
    printf("%s %s %zu", err_wire(e), why.text, json_array_size(all));
    for (size_t i = 0; i < json_array_size(all); i++)
        printf(" %s", json_string_value(json_array_get(all, i)));
    return 0;
}
static int ask(int argc, char **argv)
{
    AUTO(auto_json) json_t *reply = NULL;
    struct verb_common common = {.socket = argv[1], .json = argc > 2};
    struct why why = {0};
    err_t e = admin_ask(&common, "POST", "/v1/x", NULL, &reply, &why);
    printf("%s|%s|%s", err_wire(e), why.text, text_of(reply, "a"));
    return 0;
}
#define RUN(fn, ...) op_call(fn, (const char *const[]){"x", ##__VA_ARGS__, NULL}, "")

TEST(all_pages_are_one_list)
{
    BEGIN({.match = "GET /v1/things?limit=2 ",
           .bytes = fake_ok(200, "{\"things\":[\"a\",\"b\"],\"next\":\"b\"}"),
           .often = true},
          {.match = "GET /v1/things?limit=2&after=b ",
           .bytes = fake_ok(200, "{\"things\":[\"c\",\"d\"],\"next\":7}"),
           .often = true},
          {.match = "GET /v1/things?limit=2&after=7 ",
           .bytes = fake_ok(200, "{\"things\":[\"e\"],\"next\":null}"),
           .often = true});
    CHECK_INT(RUN(get_list, fake.path), 0);
    CHECK_STR(call_out, "ok  5 a b c d e");
    CHECK_INT(RUN(get_list, fake.path, "--json"), 0);
    CHECK_STR(call_out, "{\"things\":[\"a\",\"b\",\"c\",\"d\",\"e\"],\"next\":null}\nok  0");
    fake_stop(&fake);
}

TEST(a_list_that_never_ends_is_an_error)
{
    BEGIN(call_on(NULL, 200, "{\"things\":[\"a\"],\"next\":\"a\"}"));
    CHECK_INT(RUN(get_list, fake.path), 0);
    CHECK_STR(call_out, "invalid the broker's list does not end 0");
    fake_stop(&fake);
    BEGIN(call_on(NULL, 200, "{\"things\":[],\"next\":\"a b\"}")); /* no place in a path */
    CHECK_INT(RUN(get_list, fake.path), 0);
    CHECK_STR(call_out, "invalid the broker's list goes on at no name 0");
    fake_stop(&fake);
}

TEST(an_answer_without_the_list_is_an_error)
{
    static const char *const bad[] = {"{}", "{\"things\":{}}", "{\"things\":null}", "[]", "x"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        BEGIN(call_on(NULL, 200, bad[i]));
        CHECK_INT(RUN(get_list, fake.path, "--json"), 0);
        CHECK(strncmp(call_out, "invalid the broker's answer ", 28) == 0);
        fake_stop(&fake);
    }
}

TEST(answers_are_cleaned_for_people_and_untouched_for_scripts)
{
    BEGIN(call_on(NULL, 200, "{\"a\":\"\\u001b[31mx\"}"));
    CHECK_INT(RUN(ask, fake.path), 0);
    CHECK_STR(call_out, "ok||?[31mx");
    CHECK_INT(RUN(ask, fake.path, "--json"), 0);
    CHECK_STR(call_out, "{\"a\":\"\\u001b[31mx\"}\nok||");
    fake_stop(&fake);
}

TEST(refusals_keep_their_code_and_sentence)
{
    BEGIN(
        call_on(NULL, 503, "{\"error\":\"locked\",\"message\":\"locked\\u001b by an operator\"}"));
    CHECK_INT(RUN(ask, fake.path), 0);
    CHECK_STR(call_out, "locked|locked? by an operator|");
    fake_stop(&fake);
}

TEST(the_socket_is_found_by_the_environment)
{
    AUTO(scratch_free) struct scratch s = scratch_new();
    char dir[80];
    fake_dir(&fake);
    snprintf(dir, sizeof(dir), "%s/admin", s.path);
    CHECK(mkdir(dir, 0700) == 0);
    setenv("CREDENTIAL_BROKER_RUN", s.path, 1);
    CHECK_INT(RUN(get_list, "-"), 0);
    CHECK(strncmp(call_out, "no_broker no broker answers at /tmp/", 36) == 0);
    SAYS("/admin/broker.sock: start one with `brokerd &`");
    snprintf(fake.path, sizeof(fake.path), "%s/broker.sock", dir);
    struct fake_reply r[] = {call_on(NULL, 200, "{\"things\":[],\"next\":null}")};
    fake_run(&fake, r, 1, 0);
    CHECK_INT(RUN(get_list, "-"), 0);
    CHECK_STR(call_out, "ok  0");
    unsetenv("CREDENTIAL_BROKER_RUN");
    fake_stop(&fake);
}

TEST(who_is_not_let_in_is_told_how_to_be)
{
    AUTO(scratch_free) struct scratch s = scratch_new();
    if (geteuid() == 0)
        SKIP("root is let in everywhere");
    CHECK(mkdir(scratch_path(&s, "admin"), 0) == 0);
    setenv("CREDENTIAL_BROKER_RUN", s.path, 1);
    CHECK_INT(RUN(get_list, "-"), 0);
    CHECK(strncmp(call_out, "denied ", 7) == 0);
    SAYS("use sudo, or list uid");
    unsetenv("CREDENTIAL_BROKER_RUN");
}

TEST(a_path_has_plain_words_only)
{
    static const char *const bad[] = {"", "a/b", "a b", "..%2f", "a?b", "a\n", "\xc3\xa4"};
    struct why why = {0};
    for (size_t i = 0; i < COUNT(bad); i++) {
        AUTO(buf_free) struct buf b = {0};
        CHECK_INT(path_add(&b, bad[i], "name", &why), ERR_USAGE);
        CHECK_INT(b.len, 0);
    }
    AUTO(buf_free) struct buf b = {0};
    CHECK_OK(path_add(&b, "aZ09._-", "name", &why), why);
    CHECK_STR(buf_text(&b), "aZ09._-");
}

TEST(deliveries_are_checked_before_anything_is_asked)
{
    struct why why = {0};
    CHECK_OK(check_deliveries(
                 &(struct option_list){{"proxy,file", "secret", "helper,access_token"}, 3}, &why),
             why);
    CHECK_INT(check_deliveries(&(struct option_list){{"proxy,files"}, 1}, &why), ERR_USAGE);
    CHECK_STR(why.text, "--deliver is proxy, access_token, file, helper or secret, not \"files\"");
    CHECK_INT(check_deliveries(&(struct option_list){{",file"}, 1}, &why), ERR_USAGE);
}

TEST(verbs_of_verbs_name_their_words)
{
    static const struct {
        int (*verb)(int, char **);
        const char *name;
    } rows[] = {{verb_audit, "audit"},
                {verb_consumer, "consumer"},
                {verb_key, "key"},
                {verb_lease, "lease"}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct verb *v = verb_find(rows[i].name);
        CHECK(v && v->words && v->words[0].name);
        CHECK_INT(op_call(rows[i].verb, (const char *const[]){v->name, "--help", NULL}, ""), 0);
        CHECK_STR(call_err, "");
        for (const struct verb *w = v->words; w->name; w++) {
            SAYS(w->usage);
            CHECK(verb_find(w->name) == w);
        }
        CHECK_INT(op_call(rows[i].verb, (const char *const[]){v->name, NULL}, ""), 2);
        CHECK_STR(call_out, "");
        WARNS("Usage: broker-cli ");
        CHECK_INT(op_call(rows[i].verb, (const char *const[]){v->name, "zzzzzz", NULL}, ""), 2);
        WARNS("Usage: broker-cli ");
    }
    CHECK_INT(op_call(verb_key, (const char *const[]){"key", "lst", NULL}, ""), 2);
    CHECK_STR(call_err, "broker-cli key: there is no \"key lst\": did you mean key list?\n");
    CHECK(!verb_find("key lsit") && !verb_find("token x") && !verb_find("key "));
}

TEST(every_word_explains_itself_with_options_and_an_example)
{
    for (const struct verb *v = verbs; v->name; v++)
        for (const struct verb *w = v->words; w && w->name; w++) {
            const char *word = strchr(w->name, ' ') + 1;
            CHECK_INT(op_call(v->run, (const char *const[]){v->name, word, "--help", NULL}, ""), 0);
            SAYS(w->usage);
            SAYS("\n  --socket PATH");
            SAYS("\nExamples:\n  broker-cli ");
            CHECK_INT(
                op_call(v->run, (const char *const[]){v->name, word, "--no-such-option", NULL}, ""),
                2);
            CHECK(strncmp(call_err, "broker-cli ", 11) == 0 &&
                  strncmp(call_err + 11, w->name, strlen(w->name)) == 0);
            CHECK_STR(call_out, "");
        }
}

TEST(every_verb_has_an_example)
{
    for (const struct verb *v = verbs; v->name; v++) {
        CHECK(v->example && v->example[0] && v->example[strlen(v->example) - 1] != '\n');
        if (strcmp(v->name, "exec") == 0) /* another program */
            continue;
        CHECK_INT(op_call(v->run, (const char *const[]){v->name, "--help", NULL}, ""), 0);
        SAYS("\nExamples:\n  ");
        SAYS(v->example);
    }
}
