/* Exchanges with a broker that answers as it is told: kept connections, idle closes, garbage,
 * deadlines. */
#include "check.h"
#include "unit/client/fake.h"

#include "client/socket.h"

#include <broker/client.h>

#define OK_BODY(body, len) "HTTP/1.1 200 OK\r\nContent-Length: " len "\r\n\r\n" body
static const struct broker_request get = {.method = "GET", .path = "/v1/whoami"};
static const struct broker_request post = {
    .method = "POST", .path = "/v1/leases", .body = "{}", .body_len = 2};

static struct fake fake;
static struct broker_client *client;
static struct why why;
static const char *reply;
static size_t reply_len;
static int status;

static void begin(struct fake_reply *r, size_t n, int timeout_ms)
{
    fake_start(&fake, r, n);
    CHECK_OK(broker_connect(fake.path, timeout_ms, &client, &why), why);
}

static void end(void)
{
    broker_close(client);
    client = NULL;
    fake_stop(&fake);
}

static size_t count(const char *text, const char *what)
{
    size_t n = 0;
    for (const char *p = text; (p = strstr(p, what)); p++)
        n++;
    return n;
}

TEST(several_calls_go_over_one_connection)
{
    struct fake_reply r[] = {
        {.bytes = OK_BODY("first", "5")},
        {.bytes = "HTTP/1.1 403 No\r\nTransfer-Encoding: "
                  "chunked\r\n\r\n3\r\nsec\r\n3\r\nond\r\n0\r\n\r\n"},
        {.bytes = "HTTP/1.1 204 Gone\r\n\r\n"},
    };
    begin(r, 3, 2000);
    CHECK_STR(broker_socket_path(client), fake.path);
    CHECK_OK(broker_call(client, &get, &status, &reply, &reply_len, &why), why);
    CHECK_INT(status, 200);
    CHECK_STR(reply, "first");
    CHECK_OK(broker_call(client, &post, &status, &reply, &reply_len, &why), why);
    CHECK_INT(status, 403);
    CHECK_STR(reply, "second");
    CHECK_INT(reply_len, 6);
    CHECK_OK(broker_call(client, &get, &status, &reply, &reply_len, &why), why);
    CHECK_INT(status, 204);
    CHECK_STR(reply, "");
    CHECK(strstr(fake_seen(&fake), "POST /v1/leases HTTP/1.1\r\n") &&
          strstr(fake_seen(&fake), "\r\n\r\n{}"));
    end();
}

TEST(a_connection_closed_while_idle_is_made_anew)
{
    struct fake_reply r[] = {{.bytes = OK_BODY("a", "1"), .then = FAKE_CLOSE},
                             {.bytes = OK_BODY("b", "1"), .then = FAKE_CLOSE},
                             {.bytes = OK_BODY("c", "1")}};
    begin(r, 3, 2000);
    for (int i = 0; i < 3; i++) {
        CHECK_OK(broker_call(client, &post, &status, &reply, &reply_len, &why), why);
        CHECK_INT(reply[0], 'a' + i);
        usleep(20000);
    }
    CHECK_INT(count(fake_seen(&fake), "POST"), 3);
    end();
}

TEST(connection_close_is_obeyed)
{
    struct fake_reply r[] = {
        {.bytes = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\na",
         .then = FAKE_CLOSE},
        {.bytes = OK_BODY("b", "1")}};
    begin(r, 2, 2000);
    CHECK_OK(broker_call(client, &post, &status, &reply, &reply_len, &why), why);
    CHECK_OK(broker_call(client, &post, &status, &reply, &reply_len, &why), why);
    CHECK_STR(reply, "b");
    end();
}

TEST(a_fresh_connection_that_is_dropped_is_not_tried_again)
{
    struct fake_reply r[] = {{.then = FAKE_DROP}, {.bytes = OK_BODY("a", "1")}};
    begin(r, 2, 2000);
    CHECK_INT(broker_call(client, &post, &status, &reply, &reply_len, &why), ERR_UNAVAILABLE);
    CHECK_OK(broker_call(client, &post, &status, &reply, &reply_len, &why),
             why); /* the caller may */
    CHECK_STR(reply, "a");
    end();
}

TEST(a_request_that_was_dropped_unread_is_sent_again)
{
    struct fake_reply r[] = {{.bytes = OK_BODY("a", "1"), .then = FAKE_DROP_NEXT},
                             {.bytes = OK_BODY("b", "1")}};
    begin(r, 2, 2000);
    CHECK_OK(broker_call(client, &get, &status, &reply, &reply_len, &why), why);
    CHECK_OK(broker_call(client, &post, &status, &reply, &reply_len, &why), why);
    CHECK_STR(reply, "b");
    CHECK_INT(count(fake_seen(&fake), "POST"), 1);
    end();
}

TEST(a_post_that_may_have_been_carried_out_is_not_sent_again)
{
    struct fake_reply r[] = {{.bytes = OK_BODY("a", "1")},
                             {.match = "POST", .then = FAKE_CLOSE},
                             {.bytes = OK_BODY("b", "1")}};
    begin(r, 3, 2000);
    CHECK_OK(broker_call(client, &get, &status, &reply, &reply_len, &why), why);
    CHECK_INT(broker_call(client, &post, &status, &reply, &reply_len, &why), ERR_UNAVAILABLE);
    CHECK(strstr(why.text, "without an answer") != NULL);
    CHECK_INT(count(fake_seen(&fake), "POST"), 1);
    end();
}

TEST(a_get_is_sent_again)
{
    struct fake_reply r[] = {{.bytes = OK_BODY("a", "1")},
                             {.match = "GET", .then = FAKE_CLOSE},
                             {.bytes = OK_BODY("b", "1")}};
    begin(r, 3, 2000);
    CHECK_OK(broker_call(client, &get, &status, &reply, &reply_len, &why), why);
    CHECK_OK(broker_call(client, &get, &status, &reply, &reply_len, &why), why);
    CHECK_STR(reply, "b");
    CHECK_INT(count(fake_seen(&fake), "GET"), 3);
    end();
}

TEST(bytes_that_nobody_asked_for_are_not_the_next_answer)
{
    struct fake_reply r[] = {{.bytes = OK_BODY("a", "1") OK_BODY("evil", "4")},
                             {.bytes = OK_BODY("b", "1")}};
    begin(r, 2, 2000);
    CHECK_OK(broker_call(client, &post, &status, &reply, &reply_len, &why), why);
    CHECK_STR(reply, "a");
    CHECK_OK(broker_call(client, &post, &status, &reply, &reply_len, &why), why);
    CHECK_STR(reply, "b");
    end();
}

TEST(half_an_answer_is_none)
{
    static const struct {
        const char *bytes;
        err_t e;
    } rows[] = {
        {"HTTP/1.1 200 OK\r\nContent-Len", ERR_UNAVAILABLE},
        {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", ERR_UNAVAILABLE},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", ERR_UNAVAILABLE},
        {"SSH-2.0-OpenSSH_9.2\r\n", ERR_INVALID},
        {"\x16\x03\x01", ERR_INVALID},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1048577\r\n\r\n", ERR_TOO_LARGE},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fake_reply r[] = {{.bytes = rows[i].bytes, .then = FAKE_CLOSE}};
        begin(r, 1, 2000);
        CHECK_INT(broker_call(client, &get, &status, &reply, &reply_len, &why), rows[i].e);
        end();
    }
}

TEST(the_largest_reply_fits_and_one_more_byte_does_not)
{
    for (int over = 0; over < 2; over++) {
        size_t body = BROKER_REPLY_MAX + (size_t)over;
        char *text = malloc(body + 100);
        int head = sprintf(text, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", body);
        memset(text + head, 'x', body);
        struct fake_reply r[] = {{.bytes = text, .n = (size_t)head + body, .then = FAKE_CLOSE}};
        begin(r, 1, 5000);
        err_t e = broker_call(client, &get, &status, &reply, &reply_len, &why);
        CHECK_INT(e, over ? ERR_TOO_LARGE : ERR_OK);
        if (!over)
            CHECK_INT(reply_len, BROKER_REPLY_MAX);
        end();
        free(text);
    }
}

TEST(a_large_request_goes_through_a_small_pipe)
{
    static char body[100000];
    memset(body, 'y', sizeof(body));
    struct broker_request large = {
        .method = "POST", .path = "/v1/credentials", .body = body, .body_len = sizeof(body)};
    struct fake_reply r[] = {{.bytes = OK_BODY("a", "1")}};
    begin(r, 1, 5000);
    CHECK_OK(broker_call(client, &large, &status, &reply, &reply_len, &why), why);
    CHECK_INT(count(fake_seen(&fake), "yyyyyyyyyy"), sizeof(body) - 9);
    end();
}

TEST(silence_ends_at_the_deadline)
{
    static const char *const drips[] = {NULL, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhal"};
    for (size_t i = 0; i < 2; i++) {
        struct fake_reply r[] = {{.bytes = drips[i], .then = FAKE_HANG}};
        int64_t before = socket_now_ms();
        begin(r, 1, 150);
        CHECK_INT(broker_call(client, &get, &status, &reply, &reply_len, &why), ERR_TIMEOUT);
        CHECK(socket_now_ms() - before >= 140);
        end();
    }
}

TEST(a_broker_that_is_gone_is_said_to_be)
{
    struct fake_reply r[] = {{.bytes = OK_BODY("a", "1")}};
    begin(r, 1, 2000);
    CHECK_OK(broker_call(client, &get, &status, &reply, &reply_len, &why), why);
    kill(fake.pid, SIGKILL);
    waitpid(fake.pid, NULL, 0);
    fake.pid = 0;
    CHECK_INT(broker_call(client, &post, &status, &reply, &reply_len, &why), ERR_NO_BROKER);
    CHECK(strstr(why.text, fake.path) != NULL);
    end();
}

TEST(no_signal_is_raised_when_the_broker_hangs_up)
{
    static char body[300000];
    struct broker_request large = {
        .method = "POST", .path = "/", .body = body, .body_len = sizeof(body)};
    struct fake_reply r[] = {{.then = FAKE_DROP}};
    memset(body, 'y', sizeof(body));
    CHECK(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    begin(r, 1, 2000);
    CHECK_INT(broker_call(client, &large, &status, &reply, &reply_len, &why), ERR_UNAVAILABLE);
    end();
}

TEST(refusals_become_errors)
{
    static const struct {
        const char *reply;
        err_t e;
        const char *says;
    } rows[] = {
        {"{\"error\":\"denied\",\"message\":\"no grant\\nfor you\"}", ERR_DENIED,
         "no grant?for you"},
        {"{\"error\":\"locked\"}", ERR_LOCKED, "the store is locked"},
        {"{\"error\":\"later_word\",\"message\":\"m\"}", ERR_INTERNAL, "m"},
        {"{\"error\":\"ok\",\"message\":\"m\"}", ERR_INTERNAL, "m"},
        {"{\"error\":7}", ERR_INTERNAL, "the broker answered with status 503 and no reason"},
        {"<html>", ERR_INTERNAL, "the broker answered with status 503 and no reason"},
        {"", ERR_INTERNAL, "the broker answered with status 503 and no reason"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *text = fake_ok(503, rows[i].reply);
        struct fake_reply r[] = {{.bytes = text}};
        reply = NULL;
        begin(r, 1, 2000);
        CHECK_INT(broker_call_ok(client, &get, &reply, &reply_len, &why), rows[i].e);
        CHECK_STR(why.text, rows[i].says);
        CHECK(reply == NULL);
        end();
    }
}

TEST(a_redirect_is_no_answer)
{
    struct fake_reply r[] = {
        {.bytes = "HTTP/1.1 302 Found\r\nLocation: http://x/\r\nContent-Length: 0\r\n\r\n"}};
    begin(r, 1, 2000);
    CHECK_INT(broker_call_ok(client, &get, &reply, &reply_len, &why), ERR_INVALID);
    end();
}

TEST(a_connection_that_was_made_before_is_used_and_no_other)
{
    struct fake_reply r[] = {{.bytes = OK_BODY("mine", "4")}, {.then = FAKE_DROP}};
    int fd = -1;
    fake_start(&fake, r, 1);
    CHECK_OK(socket_connect(fake.path, socket_now_ms() + 2000, &fd, &why), why);
    CHECK_OK(broker_adopt(fd, fake.path, 2000, &client, &why), why);
    CHECK_STR(broker_socket_path(client), fake.path);
    CHECK_OK(broker_call(client, &post, &status, &reply, &reply_len, &why), why);
    CHECK_STR(reply, "mine");
    end();
    fake_start(&fake, r + 1, 1); /* the first request on it is never sent on another: who asks would be another */
    CHECK_OK(socket_connect(fake.path, socket_now_ms() + 2000, &fd, &why), why);
    CHECK_OK(broker_adopt(fd, fake.path, 2000, &client, &why), why);
    CHECK_INT(broker_call(client, &get, &status, &reply, &reply_len, &why), ERR_UNAVAILABLE);
    CHECK_STR(fake_seen(&fake), "");
    end();
    char longer[BROKER_SOCKET_ROOM + 10];
    memset(longer, 'a', sizeof(longer));
    longer[0] = '/';
    longer[sizeof(longer) - 1] = '\0';
    fd = dup(1);
    CHECK_INT(broker_adopt(fd, longer, 0, &client, &why), ERR_USAGE);
    CHECK(fcntl(fd, F_GETFD) < 0); /* taken over all the same */
}

TEST(closing_takes_null)
{
    broker_close(NULL);
    CHECK(client == NULL);
}
