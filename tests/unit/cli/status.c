/* status and metrics. */
#include "unit/cli/operator.h"

#define STATUS(state, reason)                                                                      \
    "{\"state\":\"" state "\",\"reason\":" reason                                                  \
    ",\"version\":\"0.1.0\",\"mode\":\"system\",\"pid\":7,\"uptime_ms\":7384000,"                  \
    "\"state_dir\":\"/s\",\"run_dir\":\"/r\",\"config\":\"/c\",\"store\":\"file\",\"epoch\":2,"    \
    "\"keys\":[{\"slot\":0,\"source\":\"passphrase\",\"detail\":\"Argon2id\"},{\"slot\":3,"        \
    "\"source\":\"keyfile\",\"detail\":\"/k\"}],"                                                  \
    "\"credentials\":4,\"consumers\":[{\"name\":\"gateway\",\"socket\":\"/r/gateway/"              \
    "broker.sock\",\"grants\":3,\"leases\":1},"                                                    \
    "{\"name\":\"a-rather-long-name\",\"socket\":\"/r/"                                            \
    "x\",\"grants\":0,\"leases\":0}],\"leases\":1,"                                                \
    "\"audit\":{\"seq\":32,\"health\":\"ok\",\"sync\":\"release\"},\"memory_lock\":\"mlock\","     \
    "\"sandbox\":\"seccomp\","                                                                     \
    "\"workers\":[{\"role\":\"api\",\"pid\":8,\"restarts\":0},{\"role\":\"admin\",\"pid\":9,"      \
    "\"restarts\":2}]}"
#define REST                                                                                       \
    "  broker      0.1.0, system mode, pid 7, up 2h 3m\n"                                          \
    "  state       /s (file, epoch 2)\n"                                                           \
    "  sockets     /r\n"                                                                           \
    "  config      /c\n"                                                                           \
    "  holds       4 credentials, 1 live leases\n"                                                 \
    "  audit       ok, 32 lines, sync release\n"                                                   \
    "  protection  secrets in mlock; seccomp\n"                                                    \
    "  key slots   0 passphrase Argon2id\n"                                                        \
    "              3 keyfile /k\n"                                                                 \
    "  workers     api, pid 8\n"                                                                   \
    "              admin, pid 9, restarted 2 times\n"                                              \
    "  CONSUMER            GRANTS  LEASES  SOCKET\n"                                               \
    "  gateway             3       1       /r/gateway/broker.sock\n"                               \
    "  a-rather-long-name  0       0       /r/x\n"

TEST(everything_at_one_look)
{
    BEGIN(call_on("GET /v1/status ", 200, STATUS("ready", "null")));
    CHECK_INT(OP(verb_status, "status"), 0);
    CHECK_STR(call_out, "ready\n" REST);
    CHECK_STR(call_err, "");
    CHECK_INT(OP(verb_status, "status", "--json"), 0);
    CHECK_STR(call_out, STATUS("ready", "null") "\n");
    fake_stop(&fake);
}

TEST(the_proxy_is_told_of_where_it_runs)
{
    BEGIN(call_on("GET /v1/status ", 200,
                  "{\"state\":\"ready\",\"proxy\":{\"workers\":2,\"ready\":1,\"running\":3,"
                  "\"begun\":40,\"denied\":5}}"));
    CHECK_INT(OP(verb_status, "status"), 0);
    SAYS("  proxy       1 of 2 workers, 3 requests running, 40 begun, 5 refused\n");
    fake_stop(&fake);
}

TEST(a_closed_store_says_why)
{
    BEGIN(call_on("GET /v1/status ", 200, STATUS("locked", "\"open it with: broker-cli unlock\"")));
    CHECK_INT(OP(verb_status, "status"), 0);
    CHECK_STR(call_out, "locked: open it with: broker-cli unlock\n" REST);
    fake_stop(&fake);
}

TEST(the_state_has_a_colour_on_a_terminal)
{
    static const struct op_step none[] = {{0}};
    unsetenv("NO_COLOR");
    setenv("TERM", "xterm", 1);
    BEGIN({.match = "GET", .bytes = fake_ok(200, STATUS("ready", "null"))},
          call_on("GET", 200, STATUS("locked", "null")));
    CHECK_INT(TTY(verb_status, none, "status"), 0);
    CHECK(strncmp(call_out, "\033[32mready\033[0m\r\n", 16) == 0);
    CHECK_INT(TTY(verb_status, none, "status"), 0);
    CHECK(strncmp(call_out, "\033[31mlocked\033[0m\r\n", 17) == 0);
    fake_stop(&fake);
}

TEST(an_older_or_newer_broker_is_shown_as_far_as_it_goes)
{
    BEGIN(call_on("GET /v1/status ", 200,
                  "{\"state\":\"ready\",\"keys\":7,\"consumers\":null,\"workers\":[1,\"x\"]}"));
    CHECK_INT(OP(verb_status, "status"), 0);
    CHECK(strncmp(call_out, "ready\n  broker ", 15) == 0);
    SAYS("  workers     , pid 0\n");
    fake_stop(&fake);
}

TEST(metrics_are_passed_on_as_they_are)
{
    static const char text[] =
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: 23\r\n\r\n"
        "# HELP a b\na 1\nb{} 2e9\n";
    BEGIN({.match = "GET /metrics ", .bytes = text, .often = true});
    CHECK_INT(OP(verb_metrics, "metrics"), 0);
    CHECK_STR(call_out, "# HELP a b\na 1\nb{} 2e9\n");
    CHECK_STR(call_err, "");
    fake_stop(&fake);
}

TEST(slips_and_broken_answers)
{
    static const struct op_slip rows[] = {
        {verb_status, {"status", "x"}, "not expected"},
        {verb_metrics, {"metrics", "x"}, "not expected"},
        {verb_status, {"status", "--jsn"}, "did you mean --json?"},
    };
    SLIPS(rows);
    BROKEN(verb_status, "status");
    BROKEN(verb_status, "status", "--json");
    fake_dir(&fake);
    CHECK_INT(OP(verb_status, "status"), err_exit(ERR_NO_BROKER));
    CHECK_INT(OP(verb_metrics, "metrics", "--json"), err_exit(ERR_NO_BROKER));
    SAYS("{\"error\":\"no_broker\",");
    fake_stop(&fake);
}

#define LOGIN(name, state, error, remedy, version)                                                 \
    "{\"name\":\"" name "\",\"provider\":\"claude\",\"version\":" version ",\"state\":\"" state    \
    "\",\"expires_at_ms\":4070908800000,\"refresh\":{\"renewable\":true,\"running\":false,"          \
    "\"last_at_ms\":null,\"next_at_ms\":null,\"failures\":0,\"error\":" error                       \
    "},\"consumers\":[\"gw\",\"marie\"],\"remedy\":" remedy "}"

TEST(logins_are_shown_with_what_fails_and_what_to_do)
{
    BEGIN(call_on("GET /v1/status ", 200,
                  "{\"state\":\"ready\",\"logins\":[" LOGIN("claude", "ok", "null", "null", "3") ","
                  LOGIN("old", "needs_login", "\"its provider has ended it\"", "\"log in again\"", "1") "]}"));
    CHECK_INT(OP(verb_status, "status"), 0);
    SAYS("  LOGIN   PROVIDER  STATE        ENDS");
    SAYS("  claude  claude    ok           in ");
    SAYS("gw,marie\n");
    SAYS("  old: its provider has ended it; log in again\n");
    CHECK(!strstr(call_out, "  claude: "));
    fake_stop(&fake);
}

/* The broker ends behind the third answer: so does following. */
TEST(following_shows_what_changes_and_only_that)
{
    BEGIN({.match = "GET /v1/status ", .bytes = fake_ok(200, "{\"logins\":[" LOGIN("claude", "ok", "null", "null", "3") "]}")},
          {.match = "GET /v1/status ", .bytes = fake_ok(200, "{\"logins\":[" LOGIN("claude", "ok", "null", "null", "3") "]}")},
          {.match = "GET /v1/status ",
           .bytes = fake_ok(200, "{\"logins\":[" LOGIN("claude", "needs_login", "\"ended\"", "\"log in again\"", "3") "]}")},
          call_on("GET /v1/status ", 503, "{\"error\":\"unavailable\",\"message\":\"over\"}"));
    CHECK_INT(OP(verb_status, "status", "--follow"), err_exit(ERR_UNAVAILABLE));
    const char *first = strstr(call_out, "claude"), *second = first ? strstr(first + 1, "claude") : NULL;
    CHECK(first && second && !strstr(second + 1, "claude"));
    CHECK(strstr(first, "ok, version 3, ends in ") && strstr(second, "needs_login, version 3"));
    CHECK(strstr(second, ": ended; log in again\n"));
    fake_stop(&fake);
}
