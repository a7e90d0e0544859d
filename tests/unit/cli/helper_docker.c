/* docker's protocol: errors too are read from standard output. */
#include "unit/cli/call.h"

#define ID "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
static struct fake fake;

static void begin(const char *username, const char *origin)
{
    char lease[500];
    snprintf(
        lease, sizeof(lease),
        "{\"id\":\"" ID
        "\",\"credential\":\"reg\",\"deliver\":\"helper\",\"secret\":\"a\\\"b\",\"username\":%s,"
        "\"origin\":%s,\"expires_at_ms\":900000}",
        username, origin);
    struct fake_reply r[] = {
        call_on("GET", 200,
                "{\"grants\":[{\"credential\":\"reg\",\"deliver\":[\"helper\"],\"origin\":\"https:/"
                "/ghcr.io\",\"username\":\"me\"},"
                "{\"credential\":\"x\",\"deliver\":[\"secret\"],\"origin\":\"https://x.io\"},"
                "{\"credential\":\"z\",\"deliver\":[\"helper\"],\"origin\":\"https://z/\\\"\"},"
                "{\"credential\":\"y\",\"deliver\":[\"helper\"],\"origin\":null}]}"),
        call_on("POST", 201, lease), call_on("DELETE", 200, "{\"ended\":1}")};
    fake_start(&fake, r, 3);
}
#define DOCKER(input, ...)                                                                         \
    CALL(verb_helper, input, "helper", "docker", "--socket", fake.path, __VA_ARGS__)

TEST(get_answers_for_the_server_as_docker_wrote_it)
{
    static const char *const servers[] = {"https://ghcr.io/v1/", "ghcr.io", "ghcr.io\n",
                                          " GHCR.io:443 \r\n"};
    static const char *const echoed[] = {"https://ghcr.io/v1/", "ghcr.io", "ghcr.io",
                                         "GHCR.io:443"};
    for (size_t i = 0; i < 4; i++) {
        char want[200];
        begin("\"me\"", "\"https://ghcr.io\"");
        CHECK_INT(DOCKER(servers[i], "reg", "get"), 0);
        snprintf(want, sizeof(want),
                 "{\"ServerURL\":\"%s\",\"Username\":\"me\",\"Secret\":\"a\\\"b\"}", echoed[i]);
        CHECK_STR(call_out, want);
        fake_stop(&fake);
    }
}

TEST(without_a_name_the_grants_say)
{
    begin("\"me\"", "\"https://ghcr.io\"");
    CHECK_INT(DOCKER("ghcr.io", "get"), 0);
    CHECK(strstr(call_out, "\"Username\":\"me\"") != NULL);
    fake_stop(&fake);
}

TEST(none_is_said_in_dockers_own_words)
{
    begin("\"me\"", "\"https://ghcr.io\"");
    CHECK(DOCKER("docker.io", "reg", "get") != 0);
    CHECK_STR(call_out, "credentials not found in native keychain\n");
    CHECK(strstr(fake_seen(&fake), "DELETE") != NULL);
    fake_stop(&fake);
}

TEST(a_registry_needs_a_user)
{
    begin("null", "\"https://ghcr.io\"");
    CHECK(DOCKER("ghcr.io", "reg", "get") != 0);
    CHECK(strstr(call_out, "--username") && !strstr(call_out, "Secret") &&
          !strstr(call_out, "a\\\"b"));
    fake_stop(&fake);
}

TEST(list_releases_nothing)
{
    begin("\"me\"", "null");
    CHECK_INT(DOCKER("", "list"), 0);
    CHECK_STR(call_out, "{\"https://ghcr.io\":\"me\"}");
    CHECK_INT(DOCKER("", "other", "list"), 0);
    CHECK_STR(call_out, "{}");
    CHECK(!strstr(fake_seen(&fake), "POST"));
    fake_stop(&fake);
}

TEST(store_and_erase_are_refused_politely)
{
    begin("\"me\"", "null");
    static const char *const ops[] = {"store", "erase"};
    for (size_t i = 0; i < 2; i++) {
        CHECK(DOCKER("{\"ServerURL\":\"ghcr.io\",\"Username\":\"a\",\"Secret\":\"b\"}", ops[i]) !=
              0);
        CHECK(strstr(call_out, "broker-cli") != NULL);
    }
    CHECK_INT(DOCKER("", "frob"), 2);
    CHECK_STR(fake_seen(&fake), "");
    fake_stop(&fake);
}

TEST(bad_questions_ask_nothing_of_the_broker)
{
    static const char *const bad[] = {"",         "\n", "a b", "https://", "https://u:p@ghcr.io",
                                      "ghcr.io:x"};
    begin("\"me\"", "\"https://ghcr.io\"");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK_INT(DOCKER(bad[i], "reg", "get"), err_exit(ERR_INVALID));
        CHECK(!strstr(call_out, "Secret"));
    }
    CHECK_STR(fake_seen(&fake), "");
    fake_stop(&fake);
}
