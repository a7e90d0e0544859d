/* consumer add|list|show|remove, grant, revoke-grant. */
#include "unit/cli/operator.h"

#define NAME(name, grants)                                                                         \
    "{\"name\":\"" name "\",\"socket\":\"/run/cb/" name                                            \
    "/broker.sock\",\"managed\":true,\"uids\":[0,1000],\"gids\":[],"                               \
    "\"cgroup\":null,\"grants\":[" grants "],\"leases\":2,\"note\":\"the \\u001b[1m one\"}"
#define GRANT                                                                                      \
    "{\"credential\":\"claude\",\"deliver\":[\"access_token\",\"file\"],\"ttl_ms\":900000,\"max_"  \
    "ttl_ms\":86400000,\"uses\":3,"                                                                \
    "\"owner\":\"process\",\"allow\":[\"POST /v1/messages\"],\"models\":[],\"budget\":null}"

TEST(adding_says_which_directory_to_mount)
{
    BEGIN(call_on("POST /v1/consumers ", 200, NAME("gateway", "")));
    CHECK_INT(OP2(verb_consumer, "consumer", "add", "gateway", "--uid", "0,1000", "--uid", "7",
                  "--gid", "5", "--cgroup", "/a b", "--note", "x, \"y\""),
              0);
    ASKED("POST /v1/consumers", "{\"name\":\"gateway\",\"uids\":[0,1000,7],\"gids\":[5],\"cgroup\":"
                                "\"/a b\",\"note\":\"x, \\\"y\\\"\"}");
    CHECK_STR(call_out,
              "gateway: added. Mount this directory into its container, and nothing else of the "
              "broker's:\n"
              "  /run/cb/gateway\n"
              "Then grant it something: broker-cli grant gateway CREDENTIAL --deliver DELIVERY\n");
    CHECK_INT(OP2(verb_consumer, "consumer", "add", "gateway", "--json"), 0);
    ASKED("POST /v1/consumers", "{\"name\":\"gateway\"}");
    CHECK_STR(call_out, NAME("gateway", "") "\n");
    fake_stop(&fake);
}

TEST(one_consumer)
{
    BEGIN(call_on("GET /v1/consumers/gateway ", 200, NAME("gateway", GRANT)),
          call_on("GET /v1/consumers/new ", 200, NAME("new", "")),
          call_on("GET /v1/consumers/fixed ", 200,
                  "{\"name\":\"fixed\",\"managed\":false,\"socket\":\"x\"}"));
    CHECK_INT(OP2(verb_consumer, "consumer", "show", "gateway"), 0);
    CHECK_STR(
        call_out,
        "gateway\n"
        "  directory   /run/cb/gateway\n"
        "  uids        0,1000\n"
        "  note        the ?[1m one\n"
        "  leases      2\n"
        "  CREDENTIAL  DELIVERIES         TTL  AT MOST  USES  OWNER    REQUESTS           MODELS\n"
        "  claude      access_token,file  15m  1d       3     process  POST /v1/messages  -\n");
    CHECK_INT(OP2(verb_consumer, "consumer", "show", "new"), 0);
    SAYS("  no grants yet: broker-cli grant new CREDENTIAL --deliver DELIVERY\n");
    CHECK_INT(OP2(verb_consumer, "consumer", "show", "fixed"), 0);
    CHECK(strncmp(call_out, "fixed (in broker.yaml)\n", 23) == 0);
    CHECK_INT(OP2(verb_consumer, "consumer", "show", "gateway", "--json"), 0);
    CHECK_STR(call_out, NAME("gateway", GRANT) "\n");
    fake_stop(&fake);
}

TEST(all_consumers_over_all_pages)
{
    BEGIN(call_on("GET /v1/consumers ", 200,
                  "{\"consumers\":[" NAME("gateway", GRANT "," GRANT) "],\"next\":\"gateway\"}"),
          call_on("GET /v1/consumers?after=gateway ", 200,
                  "{\"consumers\":[" NAME("a-rather-long-name", "") "],\"next\":null}"));
    CHECK_INT(OP2(verb_consumer, "consumer", "list"), 0);
    CHECK_STR(
        call_out,
        "NAME                GRANTS         LEASES  DIRECTORY                   NOTE\n"
        "gateway             claude,claude  2       /run/cb/gateway             the ?[1m one\n"
        "a-rather-long-name  -              2       /run/cb/a-rather-long-name  the ?[1m one\n");
    CHECK_INT(OP2(verb_consumer, "consumer", "list", "--json"), 0);
    CHECK(strncmp(call_out, "{\"consumers\":[{\"name\":\"gateway\"", 30) == 0);
    SAYS("{\"name\":\"a-rather-long-name\"");
    SAYS("],\"next\":null}\n");
    fake_stop(&fake);
    BEGIN(call_on("GET", 200, "{\"consumers\":[],\"next\":null}"));
    CHECK_INT(OP2(verb_consumer, "consumer", "list"), 0);
    CHECK_STR(call_err, "There is no consumer yet: broker-cli consumer add NAME\n");
    fake_stop(&fake);
}

TEST(removing_asks_first)
{
    BEGIN(call_on("DELETE /v1/consumers/gateway ", 200, "{\"consumers\":0}"));
    CHECK_INT(OP2(verb_consumer, "consumer", "remove", "gateway"), 2);
    WARNS("Remove consumer \"gateway\", its socket and its leases?");
    WARNS("say --yes");
    CHECK_STR(fake_seen(&fake), "");
    CHECK_INT(OP2(verb_consumer, "consumer", "remove", "gateway", "--yes"), 0);
    CHECK_STR(call_out, "gateway: removed.\n");
    fake_stop(&fake);
}

TEST(a_grant_with_everything)
{
    BEGIN(call_on("POST /v1/consumers/gateway/grants ", 200, NAME("gateway", GRANT)),
          call_on("GET /v1/credentials/claude ", 200, "{}"));
    CHECK_INT(OP(verb_grant, "grant", "gateway", "claude", "--deliver", "access_token,file",
                 "--deliver", "proxy", "--ttl", "15m", "--max-ttl", "8h", "--uses", "3", "--owner",
                 "process", "--allow", "POST /a,b", "--allow", "GET /c", "--model", "claude-*",
                 "--budget", "requests: 600/h"),
              0);
    ASKED("POST /v1/consumers/gateway/grants",
          "{\"credential\":\"claude\",\"deliver\":[\"access_token\",\"file\",\"proxy\"],\"ttl_ms\":"
          "900000,\"max_ttl_ms\":28800000,\"uses\":3,"
          "\"owner\":\"process\",\"allow\":[\"POST /a,b\",\"GET "
          "/c\"],\"models\":[\"claude-*\"],\"budget\":\"requests: 600/h\"}");
    SAYS("  claude      access_token,file  15m  1d       3     process  POST /v1/messages  -\n");
    CHECK_STR(call_err, "");
    CHECK_INT(OP(verb_grant, "grant", "gateway", "claude", "--deliver", "file", "--json"), 0);
    ASKED("POST /v1/consumers/gateway/grants",
          "{\"credential\":\"claude\",\"deliver\":[\"file\"]}");
    CHECK_STR(call_out, NAME("gateway", GRANT) "\n");
    fake_stop(&fake);
}

TEST(a_grant_for_what_is_not_there_is_told)
{
    BEGIN(call_on("POST", 200, NAME("gateway", GRANT)),
          call_on("GET", 404, "{\"error\":\"not_found\",\"message\":\"\"}"));
    CHECK_INT(OP(verb_grant, "grant", "gateway", "clade", "--deliver", "file"), 0);
    CHECK_STR(call_err,
              "Nothing named clade is enrolled yet: broker-cli enroll clade --provider PROVIDER\n");
    fake_stop(&fake);
}

TEST(taking_a_grant_back)
{
    BEGIN(call_on("DELETE /v1/consumers/gateway/grants/claude ", 200, NAME("gateway", "")),
          call_on("DELETE", 404, "{\"error\":\"not_found\",\"message\":\"no such grant\"}"));
    CHECK_INT(OP(verb_revoke_grant, "revoke-grant", "gateway", "claude"), 0);
    SAYS("no grants yet");
    CHECK_INT(OP(verb_revoke_grant, "revoke-grant", "gateway", "other"), err_exit(ERR_NOT_FOUND));
    CHECK_STR(call_err, "broker-cli revoke-grant: no such grant\n");
    fake_stop(&fake);
}

TEST(slips)
{
    static const struct op_slip rows[] = {
        {verb_consumer, {"consumer", "add"}, "which name? broker-cli consumer add NAME"},
        {verb_consumer, {"consumer", "add", "a", "--uid", "root"}, "wants numbers, not \"root\""},
        {verb_consumer, {"consumer", "add", "a", "--uid", "1,,2"}, "wants numbers"},
        {verb_consumer, {"consumer", "list", "a"}, "takes no name"},
        {verb_consumer, {"consumer", "show"}, "which one?"},
        {verb_consumer, {"consumer", "show", "a/b"}, "is no consumer name"},
        {verb_consumer, {"consumer", "remove"}, "which one?"},
        {verb_grant, {"grant", "a"}, "who may use what?"},
        {verb_grant, {"grant", "a", "b"}, "--deliver is needed"},
        {verb_grant, {"grant", "a", "b", "--deliver", "files"}, "not \"files\""},
        {verb_grant,
         {"grant", "a", "b", "--deliver=file", "--owner=me"},
         "--owner is process or none, not \"me\""},
        {verb_grant, {"grant", "a", "b", "--deliver=file", "--ttl=soon"}, "a time like"},
        {verb_grant, {"grant", "a/b", "c", "--deliver=file"}, "is no consumer name"},
        {verb_grant, {"grant", "a", "b/c", "--deliver=file"}, "is no credential name"},
        {verb_revoke_grant, {"revoke-grant", "a"}, "which one?"},
        {verb_revoke_grant, {"revoke-grant", "a", "b?c"}, "is no credential name"},
    };
    SLIPS(rows);
}

TEST(broken_answers)
{
    BROKEN(verb_consumer, "consumer", "list");
    BROKEN(verb_consumer, "consumer", "show", "x");
    BROKEN(verb_consumer, "consumer", "add", "x");
    BROKEN(verb_grant, "grant", "x", "y", "--deliver", "file");
    BROKEN(verb_revoke_grant, "revoke-grant", "x", "y", "--json");
}
