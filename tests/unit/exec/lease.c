/* The leases of a start: all or none, with patience where it helps. */
#include "check.h"
#include "unit/client/fake.h"

#include "client/socket.h"
#include "exec/lease.h"

#define ID_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ID_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define GRANT_OF(name, deliver)                                                                    \
    "{\"credential\":\"" name                                                                      \
    "\",\"provider\":\"generic\",\"kind\":\"generic\",\"deliver\":[\"" deliver                     \
    "\"],\"available\":true}"
#define LEASE_OF(id, name, rest)                                                                   \
    "{\"id\":\"" id "\",\"token\":\"t\",\"credential\":\"" name "\"," rest ",\"expires_at_ms\":9}"

static struct fake fake;
static struct exec_options options;
static struct exec_leases leases;
static struct why why;

static struct fake_reply on(const char *match, int status, const char *json)
{
    return (struct fake_reply){.match = match, .bytes = fake_ok(status, json)};
}

static err_t take(const char *profile)
{
    const struct profile *p = NULL;
    CHECK_OK(profile_find(profile, &p, &why), why);
    options.socket = fake.path;
    options.owner_process = true;
    return exec_leases_take(&options, p, &leases, &why);
}

static void done(void)
{
    exec_leases_free(&leases);
    fake_stop(&fake);
    options = (struct exec_options){0};
}

TEST(takes_what_the_profile_wants)
{
    struct fake_reply r[] = {
        on("GET /v1/grants", 200,
           "{\"grants\":[" GRANT_OF("a", "secret") "," GRANT_OF("b", "secret") "]}"),
        on("POST", 201,
           LEASE_OF(ID_A, "a", "\"deliver\":\"secret\",\"secret\":\"sa\",\"env\":\"A\"")),
        on("POST", 201,
           LEASE_OF(ID_B, "b", "\"deliver\":\"secret\",\"secret\":\"sb\",\"env\":\"B\"")),
    };
    fake_start(&fake, r, 3);
    options.ttl_ms = 60000;
    CHECK_OK(take("env"), why);
    CHECK_INT(leases.n, 2);
    CHECK_STR(leases.item[0].lease.secret, "sa");
    CHECK_STR(leases.item[1].lease.secret, "sb");
    CHECK(strstr(fake_seen(&fake),
                 "\"deliver\":\"secret\",\"ttl_ms\":60000,\"owner\":\"process\"}") != NULL);
    exec_leases_end(&leases);
    CHECK(strstr(fake_seen(&fake), "DELETE /v1/leases/" ID_A) != NULL);
    done();
}

TEST(a_half_is_given_back)
{
    struct fake_reply r[] = {
        on("GET", 200, "{\"grants\":[" GRANT_OF("a", "secret") "," GRANT_OF("b", "secret") "]}"),
        on("POST", 201, LEASE_OF(ID_A, "a", "\"deliver\":\"secret\",\"secret\":\"sa\"")),
        on("POST", 403, "{\"error\":\"denied\",\"message\":\"not you\"}"),
        on("DELETE", 200, "{\"ended\":1}"),
    };
    fake_start(&fake, r, 4);
    CHECK_INT(take("env"), ERR_DENIED);
    CHECK_STR(why.text, "not you");
    CHECK(strstr(fake_seen(&fake), "DELETE /v1/leases/" ID_A) &&
          !strstr(fake_seen(&fake), "DELETE /v1/leases/" ID_B));
    CHECK(leases.n == 0 && !leases.client);
    done();
}

TEST(a_lease_without_its_value_is_given_back)
{
    static const char *const rows[] = {
        "\"deliver\":\"secret\",\"secret\":\"\"", "\"deliver\":\"secret\",\"secret\":null",
        "\"deliver\":\"helper\",\"secret\":\"x\"", /* not the delivery that was asked for */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char json[300];
        snprintf(json, sizeof(json), LEASE_OF(ID_A, "a", "%s"), rows[i]);
        struct fake_reply r[] = {on("GET", 200, "{\"grants\":[" GRANT_OF("a", "secret") "]}"),
                                 on("POST", 201, json), on("DELETE", 200, "{\"ended\":1}")};
        fake_start(&fake, r, 3);
        CHECK_INT(take("env"), ERR_INVALID);
        CHECK(strstr(fake_seen(&fake), "DELETE /v1/leases/" ID_A) != NULL);
        done();
    }
}

static err_t take_file(const char *rel)
{
    char json[400];
    snprintf(json, sizeof(json),
             LEASE_OF(ID_A, "claude", "\"deliver\":\"file\",\"secret\":null,\"file\":%s"), rel);
    struct fake_reply r[] = {
        on("GET", 200,
           "{\"grants\":[{\"credential\":\"claude\",\"provider\":\"claude\",\"kind\":\"login\","
           "\"deliver\":[\"file\"],"
           "\"available\":true}]}"),
        on("POST", 201, json),
        on("DELETE", 200, "{\"ended\":1}"),
    };
    fake_run(&fake, r, 3, 0);
    return take("claude-code");
}

TEST(a_file_is_found_beside_the_socket)
{
    char path[200], dir[200];
    fake_dir(&fake);
    snprintf(dir, sizeof(dir), "%s/files", fake.dir);
    CHECK(mkdir(dir, 0755) == 0);
    snprintf(path, sizeof(path), "%s/files/x.json", fake.dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    close(fd);
    CHECK_OK(take_file("\"files/x.json\""), why);
    CHECK_STR(leases.item[0].file, path);
    CHECK_STR(leases.item[0].dir, dir);
    done();
}

TEST(a_file_that_is_not_there_or_leads_out_is_refused)
{
    static const struct {
        const char *rel;
        err_t e;
    } rows[] = {
        {"\"files/none.json\"", ERR_NOT_FOUND},
        {"null", ERR_INVALID},
        {"\"\"", ERR_INVALID},
        {"\"/etc/passwd\"", ERR_INVALID},
        {"\"../x\"", ERR_INVALID},
        {"\"a/../../x\"", ERR_INVALID},
        {"\"a/..\"", ERR_INVALID},
        {"\"..\"", ERR_INVALID},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        fake_dir(&fake);
        CHECK_INT(take_file(rows[i].rel), rows[i].e);
        CHECK(strstr(fake_seen(&fake), "DELETE /v1/leases/" ID_A) != NULL);
        done();
    }
}

TEST(waits_for_a_broker_that_is_not_there_yet)
{
    struct fake_reply r[] = {
        on("GET", 503, "{\"error\":\"locked\",\"message\":\"the store is locked\"}"),
        on("GET", 200, "{\"grants\":[" GRANT_OF("a", "secret") "]}"),
        on("POST", 201, LEASE_OF(ID_A, "a", "\"deliver\":\"secret\",\"secret\":\"sa\"")),
    };
    int64_t before = socket_now_ms();
    fake_dir(&fake);
    fake_run(&fake, r, 3, 200);
    options.wait_ms = 20000;
    CHECK_OK(take("env"), why);
    CHECK(socket_now_ms() - before >= 190);
    done();
}

TEST(does_not_wait_without_being_told)
{
    int64_t before = socket_now_ms();
    fake_dir(&fake);
    CHECK_INT(take("env"), ERR_NO_BROKER);
    CHECK(socket_now_ms() - before < 1000);
    done();
}

TEST(patience_has_an_end)
{
    struct fake_reply r[] = {
        {.match = "GET",
         .bytes = fake_ok(503, "{\"error\":\"locked\",\"message\":\"locked\"}"),
         .often = true}};
    int64_t before = socket_now_ms();
    fake_start(&fake, r, 1);
    options.wait_ms = 300;
    CHECK_INT(take("env"), ERR_LOCKED);
    CHECK(socket_now_ms() - before >= 290 && socket_now_ms() - before < 3000);
    done();
}

TEST(a_refusal_is_not_waited_out)
{
    struct fake_reply r[] = {{.match = "GET",
                              .bytes = fake_ok(403, "{\"error\":\"denied\",\"message\":\"no\"}"),
                              .often = true}};
    int64_t before = socket_now_ms();
    fake_start(&fake, r, 1);
    options.wait_ms = 20000;
    CHECK_INT(take("env"), ERR_DENIED);
    CHECK(socket_now_ms() - before < 2000);
    done();
}

TEST(a_silent_broker_costs_the_wait_and_no_more)
{
    struct fake_reply r[] = {{.match = "GET", .then = FAKE_HANG}};
    int64_t before = socket_now_ms();
    fake_start(&fake, r, 1);
    options.wait_ms = 300;
    CHECK_INT(take("env"), ERR_TIMEOUT);
    CHECK(socket_now_ms() - before < 3000);
    done();
}

/* ---- the data plane */

static err_t take_proxied(const char *rest)
{
    char json[500];
    snprintf(json, sizeof(json), "{\"id\":\"" ID_A "\",\"credential\":\"k\",\"deliver\":\"proxy\",\"secret\":null,%s,"
                                 "\"expires_at_ms\":9}", rest);
    struct fake_reply r[] = {
        on("GET", 200,
           "{\"grants\":[{\"credential\":\"k\",\"provider\":\"anthropic\",\"kind\":\"api_key\","
           "\"deliver\":[\"proxy\"],\"available\":true}]}"),
        on("POST", 201, json),
        on("DELETE", 200, "{\"ended\":1}"),
    };
    fake_run(&fake, r, 3, 0);
    return take("anthropic-sdk");
}

TEST(the_proxys_socket_is_found_beside_the_brokers)
{
    char path[108], socket[4096];
    fake_dir(&fake);
    snprintf(path, sizeof(path), "%s/proxy.sock", fake.dir);
    int fd = fake_listen(path);
    CHECK_OK(take_proxied("\"token\":\"t\",\"proxy_socket\":\"proxy.sock\""), why);
    CHECK_STR(leases.item[0].proxy_socket, path);
    CHECK_OK(exec_leases_socket(&leases, socket, &why), why);
    CHECK_STR(socket, fake.path);
    close(fd);
    done();
}

TEST(a_proxy_that_cannot_be_is_refused_and_given_back)
{
    static const struct {
        const char *rest;
        err_t e;
    } rows[] = {
        {"\"token\":\"t\",\"proxy_socket\":\"proxy.sock\"", ERR_NOT_FOUND}, /* not there */
        {"\"token\":\"t\",\"proxy_socket\":null", ERR_INVALID},
        {"\"token\":\"t\",\"proxy_socket\":\"/tmp/x\"", ERR_INVALID},
        {"\"token\":\"t\",\"proxy_socket\":\"../x\"", ERR_INVALID},
        {"\"token\":\"\",\"proxy_socket\":\"proxy.sock\"", ERR_INVALID},
        {"\"proxy_socket\":\"proxy.sock\"", ERR_INVALID},
        {"\"token\":\"t\",\"proxy_socket\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
         "aaaaaaaaaaaaaaaaaaaaaaaa\"", ERR_USAGE},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        fake_dir(&fake);
        CHECK_INT(take_proxied(rows[i].rest), rows[i].e);
        CHECK(strstr(fake_seen(&fake), "DELETE /v1/leases/" ID_A) != NULL);
        done();
    }
}
