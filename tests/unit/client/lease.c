/* Leases and grants read from replies, and the questions that are sent for them. */
#include "check.h"
#include "unit/client/fake.h"

#include <broker/client.h>

#define ID "0123456789abcdef0123456789abcdef"
#define LEASE                                                                                      \
    "{\"id\":\"" ID                                                                                \
    "\",\"token\":\"tok\",\"credential\":\"claude\",\"provider\":\"claude\",\"kind\":\"login\","   \
    "\"deliver\":\"access_token\",\"secret\":\"sk-ant-oat01-x\\u00e9\",\"file\":null,\"file_"      \
    "name\":null,"                                                                                 \
    "\"env\":\"CLAUDE_CODE_OAUTH_TOKEN\",\"username\":null,\"account\":\"acc\",\"origin\":"        \
    "\"https://a.example\","                                                                       \
    "\"issued_at_ms\":1,\"expires_at_ms\":900001,\"max_expires_at_ms\":990001,"                      \
    "\"secret_expires_at_ms\":800001,\"uses_left\":"                                               \
    "null,\"state\":\"live\"}"

static struct fake fake;
static struct broker_client *client;
static struct why why;

static void begin(int status, const char *json)
{
    char *text = fake_ok(status, json);
    struct fake_reply r[] = {{.bytes = text, .often = true}};
    fake_start(&fake, r, 1);
    CHECK_OK(broker_connect(fake.path, 2000, &client, &why), why);
}

static void end(void)
{
    broker_close(client);
    fake_stop(&fake);
}

TEST(a_lease_is_read_whole)
{
    struct broker_lease l = {0};
    struct broker_lease_ask ask = {.credential = "claude"};
    begin(201, LEASE);
    CHECK_OK(broker_lease(client, &ask, &l, &why), why);
    CHECK_STR(l.id, ID);
    CHECK_STR(l.token, "tok");
    CHECK_STR(l.credential, "claude");
    CHECK_STR(l.provider, "claude");
    CHECK_STR(l.kind, "login");
    CHECK_STR(l.delivery, "access_token");
    CHECK_STR(l.secret, "sk-ant-oat01-x\xc3\xa9");
    CHECK_STR(l.env_name, "CLAUDE_CODE_OAUTH_TOKEN");
    CHECK_STR(l.account, "acc");
    CHECK_STR(l.origin, "https://a.example");
    CHECK(!l.file && !l.file_name && !l.username);
    CHECK_INT(l.expires_at_ms, 900001);
    CHECK_INT(l.max_expires_at_ms, 990001);
    CHECK_INT(l.secret_expires_ms, 800001);
    CHECK(strstr(fake_seen(&fake), "\r\n\r\n{\"credential\":\"claude\"}\n") != NULL);
    broker_lease_free(&l);
    CHECK(!l.secret && l.id[0] == '\0');
    broker_lease_free(&l);
    broker_lease_free(NULL);
    end();
}

TEST(a_lease_of_the_proxy_has_a_socket_and_no_secret)
{
    struct broker_lease l = {0};
    struct broker_lease_ask ask = {.credential = "claude", .delivery = "proxy"};
    begin(201, "{\"id\":\"" ID "\",\"token\":\"tok\",\"credential\":\"claude\",\"deliver\":\"proxy\","
               "\"secret\":null,\"proxy_socket\":\"proxy.sock\",\"expires_at_ms\":1}");
    CHECK_OK(broker_lease(client, &ask, &l, &why), why);
    CHECK_STR(l.proxy_socket, "proxy.sock");
    CHECK_STR(l.token, "tok");
    CHECK(!l.secret);
    broker_lease_free(&l);
    CHECK(!l.proxy_socket);
    end();
}

TEST(every_wish_is_sent)
{
    struct broker_lease l = {0};
    struct broker_lease_ask ask = {.credential = "a\"b",
                                   .delivery = "file",
                                   .ttl_ms = 5000,
                                   .uses = UINT64_MAX,
                                   .owner_process = true};
    begin(201, LEASE);
    CHECK_OK(broker_lease(client, &ask, &l, &why), why);
    CHECK(strstr(fake_seen(&fake),
                 "{\"credential\":\"a\\\"b\",\"deliver\":\"file\",\"ttl_ms\":5000,"
                 "\"uses\":18446744073709551615,\"owner\":\"process\"}") != NULL);
    broker_lease_free(&l);
    end();
}

TEST(a_name_that_cannot_be_one_is_not_sent)
{
    char name[300];
    struct broker_lease l = {0};
    struct broker_lease_ask ask = {.credential = name};
    memset(name, 'a', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    begin(201, LEASE);
    CHECK_INT(broker_lease(client, &ask, &l, &why), ERR_USAGE);
    ask.credential = "\xff";
    CHECK_INT(broker_lease(client, &ask, &l, &why), ERR_USAGE);
    CHECK_STR(fake_seen(&fake), "");
    end();
}

TEST(a_lease_that_makes_no_sense_is_refused)
{
    static const char *const rows[] = {
        "",
        "[]",
        "null",
        "{}",
        LEASE "x",
        "{\"id\":\"0123\",\"credential\":\"a\",\"deliver\":\"file\",\"expires_at_ms\":1}",
        "{\"id\":\"0123456789ABCDEF0123456789abcdef\",\"credential\":\"a\",\"deliver\":\"file\","
        "\"expires_at_ms\":1}",
        "{\"id\":\"" ID "\",\"deliver\":\"file\",\"expires_at_ms\":1}",
        "{\"id\":\"" ID "\",\"credential\":\"a\",\"deliver\":null,\"expires_at_ms\":1}",
        "{\"id\":\"" ID "\",\"credential\":\"a\",\"deliver\":\"file\"}",
        "{\"id\":\"" ID "\",\"credential\":\"a\",\"deliver\":\"file\",\"expires_at_ms\":\"1\"}",
        "{\"id\":\"" ID
        "\",\"credential\":\"a\",\"deliver\":\"file\",\"expires_at_ms\":1,\"secret\":7}",
        "{\"id\":\"" ID
        "\",\"credential\":\"a\",\"deliver\":\"file\",\"expires_at_ms\":1,\"secret\":{\"a\":1}}",
        "{\"id\":\"" ID "\",\"credential\":\"a\",\"deliver\":\"file\",\"expires_at_ms\":1,\"secret_"
        "expires_at_ms\":1.5}",
        "{\"id\":\"" ID "\",\"credential\":\"a\",\"deliver\":\"file\",\"expires_at_ms\":1,"
        "\"max_expires_at_ms\":\"never\"}",
        "{\"id\":\"" ID "\",\"id\":\"" ID
        "\",\"credential\":\"a\",\"deliver\":\"file\",\"expires_at_ms\":1}",
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct broker_lease l = {0};
        struct broker_lease_ask ask = {.credential = "a"};
        begin(201, rows[i]);
        CHECK_INT(broker_lease(client, &ask, &l, &why), ERR_INVALID);
        CHECK(l.id[0] == '\0' && !l.secret);
        end();
    }
}

TEST(renewing_proves_the_lease_and_ending_names_it)
{
    struct broker_lease l = {.id = ID, .token = (char[]){"tok"}};
    begin(200, "{\"ended\":1}");
    CHECK_OK(broker_lease_renew(client, &l, 60000, &why), why);
    CHECK(strstr(fake_seen(&fake), "POST /v1/leases/" ID "/renew HTTP/1.1\r\n") != NULL);
    CHECK(strstr(fake_seen(&fake), "Authorization: Bearer tok\r\n") != NULL);
    CHECK(strstr(fake_seen(&fake), "{\"ttl_ms\":60000}") != NULL);
    CHECK_OK(broker_lease_end(client, ID, &why), why);
    CHECK(strstr(fake_seen(&fake), "DELETE /v1/leases/" ID " HTTP/1.1\r\n") != NULL);
    CHECK_INT(broker_lease_end(client, "../admin", &why), ERR_USAGE);
    l.token = NULL;
    CHECK_INT(broker_lease_renew(client, &l, 0, &why), ERR_USAGE);
    end();
}

TEST(grants_are_counted_beyond_the_room)
{
    struct broker_grant g[2] = {0};
    size_t n = 0;
    begin(200, "{\"grants\":[{\"credential\":\"claude\",\"provider\":\"claude\",\"kind\":\"login\","
               "\"deliver\":[\"access_token\",\"file\"],"
               "\"ttl_ms\":1,\"available\":true,\"reason\":null},"
               "{\"credential\":\"gh\",\"provider\":null,\"kind\":null,\"deliver\":[],"
               "\"available\":false,\"reason\":\"not enrolled\"},"
               "{\"credential\":\"third\",\"deliver\":[\"file\"]}],\"more\":[1]}");
    CHECK_OK(broker_grants(client, g, 2, &n, &why), why);
    CHECK_INT(n, 3);
    CHECK_STR(g[0].credential, "claude");
    CHECK_STR(g[0].kind, "login");
    CHECK_STR(g[0].deliver, "access_token,file");
    CHECK(g[0].available && !g[1].available);
    CHECK_STR(g[1].provider, "");
    CHECK_STR(g[1].deliver, "");
    CHECK_STR(g[1].reason, "not enrolled");
    CHECK(broker_grant_delivers(&g[0], "file") && broker_grant_delivers(&g[0], "access_token"));
    CHECK(!broker_grant_delivers(&g[0], "access") && !broker_grant_delivers(&g[0], "") &&
          !broker_grant_delivers(&g[1], "file"));
    end();
}

TEST(grants_that_make_no_sense_are_refused)
{
    static const char *const rows[] = {
        "{}",
        "{\"grants\":{}}",
        "{\"grants\":null}",
        "{\"grants\":[1]}",
        "{\"grants\":[{}]}",
        "{\"grants\":[{\"credential\":\"a\"}]}",
        "{\"grants\":[{\"credential\":7,\"deliver\":[]}]}",
        "{\"grants\":[{\"credential\":\"a\",\"deliver\":[7]}]}",
        "{\"grants\":[{\"credential\":"
        "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\"deliver\":[]}]}",
        "{\"grants\":[{\"credential\":\"a\",\"deliver\":["
        "\"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff\","
        "\"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff\"]}]}",
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct broker_grant g[2];
        size_t n = 99;
        begin(200, rows[i]);
        CHECK_INT(broker_grants(client, g, 2, &n, &why), ERR_INVALID);
        CHECK_INT(n, 99);
        end();
    }
}
