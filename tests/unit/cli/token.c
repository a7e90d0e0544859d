/* broker-cli token: the value, a line end, nothing else. */
#include "unit/cli/call.h"

#define ID "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define LEASE(secret)                                                                              \
    "{\"id\":\"" ID                                                                                \
    "\",\"token\":\"proof\",\"credential\":\"claude\",\"deliver\":\"helper\",\"secret\":" secret   \
    ",\"expires_at_ms\":900}"

static struct fake fake;

static void begin(int status, const char *json)
{
    struct fake_reply r[] = {call_on("POST /v1/leases", status, json)};
    fake_start(&fake, r, 1);
}
#define TOKEN(...) CALL(verb_token, "", "token", "--socket", fake.path, __VA_ARGS__)

TEST(prints_the_value_and_nothing_else)
{
    begin(201, LEASE("\"sk-ant-oat01-x\""));
    CHECK_INT(TOKEN("claude"), 0);
    CHECK_STR(call_out, "sk-ant-oat01-x\n");
    CHECK_STR(call_err, "");
    CHECK(strstr(fake_seen(&fake), "{\"credential\":\"claude\",\"deliver\":\"helper\"}") != NULL);
    CHECK_INT(TOKEN("claude", "--deliver", "access_token", "--ttl", "5m"), 0);
    CHECK(strstr(fake_seen(&fake), "\"deliver\":\"access_token\",\"ttl_ms\":300000}") != NULL);
    fake_stop(&fake);
}

TEST(json_says_until_when)
{
    begin(201, LEASE("\"a\\\"b\""));
    CHECK_INT(TOKEN("claude", "--json"), 0);
    CHECK_STR(
        call_out,
        "{\"value\":\"a\\\"b\",\"credential\":\"claude\",\"deliver\":\"helper\",\"lease\":\"" ID
        "\",\"expires_at_ms\":900}\n");
    CHECK(!strstr(call_out, "proof"));
    fake_stop(&fake);
}

TEST(failures_print_no_value_and_have_their_status)
{
    begin(403, "{\"error\":\"denied\",\"message\":\"no grant for this\"}");
    CHECK_INT(TOKEN("claude"), err_exit(ERR_DENIED));
    CHECK_STR(call_out, "");
    CHECK_STR(call_err, "broker-cli token: no grant for this\n");
    CHECK_INT(TOKEN("claude", "--json"), err_exit(ERR_DENIED));
    CHECK_STR(call_out, "{\"error\":\"denied\",\"message\":\"no grant for this\"}\n");
    fake_stop(&fake);
    static const char *const empty[] = {LEASE("\"\""), LEASE("null")};
    for (size_t i = 0; i < 2; i++) {
        begin(201, empty[i]);
        CHECK_INT(TOKEN("claude"), err_exit(ERR_INVALID));
        CHECK_STR(call_out, "");
        fake_stop(&fake);
    }
    fake_dir(&fake);
    CHECK_INT(TOKEN("claude"), err_exit(ERR_NO_BROKER));
    CHECK_STR(call_out, "");
    fake_stop(&fake);
}

TEST(slips_ask_nothing_of_the_broker)
{
    begin(201, LEASE("\"x\""));
    CHECK_INT(TOKEN("a", "b"), 2);
    CHECK_INT(CALL(verb_token, "", "token", "--socket", fake.path), 2);
    CHECK(strstr(call_err, "which credential") != NULL);
    CHECK_INT(TOKEN("a", "--deliver", "file"), 2);
    CHECK(strstr(call_err, "helper, access_token or secret") != NULL);
    CHECK_INT(TOKEN("a", "--tll", "5m"), 2);
    CHECK(strstr(call_err, "did you mean --ttl?") != NULL);
    CHECK_STR(fake_seen(&fake), "");
    CHECK_STR(call_out, "");
    fake_stop(&fake);
}

TEST(help_is_printed)
{
    CHECK_INT(CALL(verb_token, "", "token", "--help"), 0);
    CHECK(strstr(call_out, "Usage: broker-cli token NAME") &&
          strstr(call_out, "--deliver DELIVERY"));
}

TEST(a_closed_output_is_a_failure)
{
    int status = -1;
    begin(201, LEASE("\"x\""));
    pid_t pid = fork();
    if (pid == 0) {
        char *argv[] = {(char *)"token", (char *)"--socket", fake.path, (char *)"claude", NULL};
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        dup2(null, 2);
        close(1);
        _exit(verb_token(4, argv));
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) != 0);
    fake_stop(&fake);
}
