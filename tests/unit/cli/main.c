/* Picking the verb. */
#include "unit/cli/call.h"

#define main broker_cli_main
#include "cli/main.c"
#undef main

TEST(without_a_verb_the_list_is_on_standard_error)
{
    CHECK_INT(CALL(broker_cli_main, "", "broker-cli"), 2);
    CHECK_STR(call_out, "");
    CHECK(strstr(call_err, "Usage: broker-cli VERB") && strstr(call_err, "token"));
    CHECK_INT(call_with(broker_cli_main, (const char *const[]){NULL}, "", 0), 2);
}

TEST(help_lists_every_verb)
{
    static const char *const ways[] = {"help", "--help", "-h"};
    for (size_t i = 0; i < 3; i++) {
        CHECK_INT(CALL(broker_cli_main, "", "broker-cli", ways[i]), 0);
        CHECK_STR(call_err, "");
        for (const struct verb *v = verbs; v->name; v++)
            CHECK(strstr(call_out, v->name) && strstr(call_out, v->summary));
    }
}

TEST(help_about_one)
{
    CHECK_INT(CALL(broker_cli_main, "", "broker-cli", "help", "token"), 0);
    CHECK(strncmp(call_out, "Usage: broker-cli token NAME", 28) == 0);
    CHECK_INT(CALL(broker_cli_main, "", "broker-cli", "help", "exit"), 0);
    CHECK(strstr(call_out, "denied") && strstr(call_out, "no_broker"));
    CHECK_INT(CALL(broker_cli_main, "", "broker-cli", "help", "tokn"), 2);
    CHECK(strstr(call_err, "did you mean token?") != NULL);
}

TEST(a_verb_that_is_none)
{
    CHECK_INT(CALL(broker_cli_main, "", "broker-cli", "tokne"), 2);
    CHECK_STR(call_err, "broker-cli: there is no verb tokne: did you mean token?\n");
    CHECK_INT(CALL(broker_cli_main, "", "broker-cli", "--frobnicate"), 2);
    CHECK(strstr(call_err, "broker-cli help lists them") != NULL);
    CHECK_STR(call_out, "");
}

TEST(the_version)
{
    CHECK_INT(CALL(broker_cli_main, "", "broker-cli", "--version"), 0);
    CHECK_STR(call_out, "broker-cli " BROKER_VERSION "\n");
}

TEST(verbs_get_the_rest_of_the_line)
{
    CHECK_INT(CALL(broker_cli_main, "", "/usr/bin/broker-cli", "token", "--deliver", "file", "x"),
              2);
    CHECK(strstr(call_err, "broker-cli token: --deliver is") != NULL);
}

TEST(under_a_helpers_name_it_is_that_helper)
{
    CHECK_INT(CALL(broker_cli_main, "", "/usr/local/bin/docker-credential-broker", "frob"), 2);
    CHECK(strstr(call_err, "docker's operations") != NULL);
    CHECK_INT(CALL(broker_cli_main, "a=b\n\n", "git-credential-broker", "store"), 0);
    CHECK_STR(call_out, "");
}
