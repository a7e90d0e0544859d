/* keep --once: the file follows the projected one, and nobody's login is overwritten. The running one: tests/integration/transfer-keeps-the-cli-working.sh */
#include "unit/cli/home_rig.h"

#define OLD "{\"mcpOAuth\":{\"x\":1.50},\"claudeAiOauth\":{\"accessToken\":\"sk-ant-oat01-FAKE-old\",\"expiresAt\":4070908800000}}"
#define NEW "{\"claudeAiOauth\":{\"accessToken\":\"sk-ant-oat01-FAKE-new\",\"expiresAt\":4070908900000,\"scopes\":[\"user:inference\"]}}"
#define ID  "000102030405060708090a0b0c0d0e0f"

/* The broker's directory is that of its socket. */
static void begin(const char *file, const char *provider)
{
    static struct fake_reply r[2];
    static char answer[512];
    char path[300];
    home_begin(file);
    (void)snprintf(answer, sizeof(answer),
                   "{\"id\":\"" ID "\",\"token\":\"t\",\"credential\":\"claude\",\"provider\":\"%s\",\"deliver\":\"file\",\"secret\":null,"
                   "\"file\":\"projected.json\",\"expires_at_ms\":9}", provider);
    r[0] = call_on("POST /v1/leases ", 200, answer);
    r[1] = call_on("DELETE /v1/leases/" ID " ", 200, "{\"ended\":1}");
    fake_start(&fake, r, 2);
    (void)snprintf(path, sizeof(path), "%s/projected.json", fake.dir);
    scratch_write(path, NEW, strlen(NEW), 0600);
}
#define KEEP(...) OP(verb_keep, "keep", "claude", "--home", home.path, "--once", ##__VA_ARGS__)

TEST(the_tokens_are_taken_over_and_the_lease_given_back)
{
    begin(OLD, "claude");
    CHECK_INT(KEEP(), 0);
    CHECK_STR(call_out, "");
    CHECK_STR(call_err, "");
    CHECK_STR(now_holds(), "{\"mcpOAuth\":{\"x\":1.50},\"claudeAiOauth\":{\"refreshToken\":null,\"scopes\":[\"user:inference\"],\"accessToken\":\"sk-ant-oat01-FAKE-new\",\"expiresAt\":4070908900000}}");
    CHECK(strstr(fake_seen(&fake), "\"deliver\":\"file\"") && strstr(fake_seen(&fake), "\"owner\":\"process\""));
    CHECK(strstr(fake_seen(&fake), "DELETE /v1/leases/" ID));
    CHECK_INT(KEEP(), 0); /* as it is */
    home_end();
}

TEST(a_login_of_its_own_is_left_alone)
{
    static const char own[] = "{\"claudeAiOauth\":{\"accessToken\":\"sk-ant-oat01-FAKE-own\",\"refreshToken\":\"sk-ant-ort01-FAKE-own\",\"expiresAt\":1}}";
    begin(own, "claude");
    CHECK_INT(KEEP(), 7);
    WARNS("--from-home claude --replace");
    CHECK_STR(now_holds(), own);
    home_end();
    begin("no JSON", "claude");
    CHECK_INT(KEEP(), 3);
    CHECK_STR(now_holds(), "no JSON");
    home_end();
}

TEST(one_that_is_logged_out_is_logged_in)
{
    begin("{}", "claude");
    CHECK_INT(KEEP(), 0);
    CHECK(strstr(now_holds(), "FAKE-new"));
    home_end();
}

TEST(a_broker_that_has_nothing_of_use_changes_nothing)
{
    char path[300];
    begin(OLD, "claude");
    (void)snprintf(path, sizeof(path), "%s/projected.json", fake.dir);
    scratch_write(path, "{}", 2, 0600);
    CHECK_INT(KEEP(), 0);
    CHECK_STR(now_holds(), OLD);
    home_end();
}

TEST(slips)
{
    static const struct op_slip rows[] = {{verb_keep, {"keep"}, "which login?"}, {verb_keep, {"keep", "a", "b"}, "which login?"}};
    SLIPS(rows);
    begin(OLD, "anthropic");
    CHECK_INT(KEEP(), 2);
    WARNS("no login of claude or codex");
    home_end();
}
