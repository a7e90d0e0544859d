/* list, show, remove. */
#include "unit/cli/operator.h"

#define LONG "a-very-long-name-of-a-credential-that-goes-on-and-on-and-on-and-on"
#define ONE                                                                                        \
    "{\"name\":\"claude\",\"provider\":\"claude\",\"kind\":\"login\",\"version\":2,\"created_at_"  \
    "ms\":1795304833000,"                                                                          \
    "\"replaced_at_ms\":0,\"expires_at_ms\":4070908800000,\"account\":null,\"state\":\"ok\""
#define TWO                                                                                        \
    "{\"name\":\"" LONG "\",\"provider\":\"generic\",\"kind\":\"generic\",\"version\":1,"          \
    "\"expires_at_ms\":null,\"account\":\"r:12\",\"state\":\"needs_login\"}"

static void pages(void)
{
    setenv("TZ", "UTC", 1);
    BEGIN(call_on("GET /v1/credentials?limit=200 ", 200,
                  "{\"credentials\":[" ONE "}],\"next\":\"claude\"}"),
          call_on("GET /v1/credentials?limit=200&after=claude ", 200,
                  "{\"credentials\":[" TWO "],\"next\":null}"));
}

TEST(a_list_is_aligned_over_all_its_pages)
{
    pages();
    CHECK_INT(OP(verb_list, "list"), 0);
    CHECK_STR(call_err, "");
    const char *at = strstr(call_out, "PROVIDER");
    size_t column = (size_t)(at - call_out);
    CHECK(at && column == strlen(LONG) + 2);
    unsigned lines = 0;
    for (const char *line = call_out; *line; line = strchr(line, '\n') + 1, lines++)
        CHECK(strlen(line) > column && line[column - 1] == ' ' && line[column] != ' ');
    CHECK_INT(lines, 3);
    SAYS("login    2        2099-01-01 00:00  ok           -\n");
    SAYS("generic  1        -                 needs_login  r:12\n");
    fake_stop(&fake);
}

TEST(a_list_in_json_is_one_object)
{
    pages();
    CHECK_INT(OP(verb_list, "list", "--json"), 0);
    CHECK_STR(call_out, "{\"credentials\":[" ONE "}," TWO "],\"next\":null}\n");
    fake_stop(&fake);
}

TEST(an_empty_list_says_what_to_do)
{
    BEGIN(call_on("GET", 200, "{\"credentials\":[],\"next\":null}"));
    CHECK_INT(OP(verb_list, "list"), 0);
    CHECK_STR(call_out, "NAME  PROVIDER  KIND  VERSION  EXPIRES  STATE  ACCOUNT\n");
    CHECK_STR(call_err, "Nothing is enrolled yet: broker-cli enroll NAME --provider PROVIDER\n");
    CHECK_INT(OP(verb_list, "list", "--json"), 0);
    CHECK_STR(call_out, "{\"credentials\":[],\"next\":null}\n");
    CHECK_STR(call_err, "");
    fake_stop(&fake);
}

TEST(one_credential)
{
#define DETAIL                                                                                     \
    ",\"deliver\":[\"access_token\",\"file\"],\"hash\":\"00aabb\",\"detail\":{\"provider\":"       \
    "\"claude\",\"kind\":\"login\",\"access_token\":{\"bytes\":9}}}"
    setenv("TZ", "UTC", 1);
    BEGIN(call_on("GET /v1/credentials/claude ", 200, ONE DETAIL));
    CHECK_INT(OP(verb_show, "show", "claude"), 0);
    CHECK_STR(call_out, "claude: Claude Code login\n"
                        "  version         2\n"
                        "  state           ok\n"
                        "  enrolled        2026-11-21 23:47\n"
                        "  replaced        -\n"
                        "  deliveries      access_token,file\n"
                        "  account id      -\n"
                        "  record          00aabb\n"
                        "  kind            login\n"
                        "  access token    9 bytes\n");
    CHECK_INT(OP(verb_show, "show", "claude", "--json"), 0);
    CHECK_STR(call_out, ONE DETAIL "\n");
    fake_stop(&fake);
    BEGIN(call_on("GET /v1/credentials/new ", 200,
                  "{\"name\":\"new\",\"provider\":\"from\\nthe\\u001bfuture\"}"));
    CHECK_INT(OP(verb_show, "show", "new"), 0);
    CHECK(strncmp(call_out, "new: from??the?future\n  version         0\n  state           -\n",
                  60) == 0);
    fake_stop(&fake);
}

TEST(removing_asks_first)
{
    const struct op_step no[] = {{"Its leases end at once. [y/N] ", "\n"}, {0}};
    BEGIN(call_on("DELETE /v1/credentials/claude ", 200, "{\"removed\":\"claude\",\"ended\":3}"));
    CHECK_INT(OP(verb_remove, "remove", "claude"), 2);
    CHECK_STR(call_err, "broker-cli remove: Remove \"claude\" for good? Its leases end at once. "
                        "There is no terminal to ask on: say --yes\n");
    int status = TTY(verb_remove, no, "remove", "claude");
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == err_exit(ERR_DENIED));
    CHECK_STR(fake_seen(&fake), "");
    CHECK_INT(OP(verb_remove, "remove", "claude", "--yes"), 0);
    CHECK_STR(call_out, "claude: removed; 3 leases ended.\n");
    CHECK_INT(OP(verb_remove, "remove", "--yes", "claude", "--json"), 0);
    CHECK_STR(call_out, "{\"removed\":\"claude\",\"ended\":3}\n");
    fake_stop(&fake);
}

TEST(refusals_and_slips)
{
    static const struct op_slip rows[] = {
        {verb_list, {"list", "x"}, "broker-cli show NAME"},
        {verb_show, {"show"}, "which credential? broker-cli show NAME"},
        {verb_show, {"show", "a", "b"}, "which credential?"},
        {verb_show, {"show", "a/../b"}, "is no credential name"},
        {verb_remove, {"remove", "--yes"}, "which credential? broker-cli remove NAME"},
        {verb_remove, {"remove", "a", "--force"}, "no option --force"},
    };
    SLIPS(rows);
    BEGIN(call_on(NULL, 404, "{\"error\":\"not_found\",\"message\":\"see: broker-cli list\"}"));
    CHECK_INT(OP(verb_show, "show", "x"), err_exit(ERR_NOT_FOUND));
    CHECK_STR(call_err, "broker-cli show: see: broker-cli list\n");
    CHECK_INT(OP(verb_list, "list"), err_exit(ERR_NOT_FOUND));
    CHECK_STR(call_out, ""); /* no head above nothing */
    fake_stop(&fake);
}

TEST(broken_answers)
{
    BROKEN(verb_list, "list");
    BROKEN(verb_list, "list", "--json");
    BROKEN(verb_show, "show", "x");
    BROKEN(verb_remove, "remove", "x", "--yes");
}
