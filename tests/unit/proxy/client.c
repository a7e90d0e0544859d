#include "proxy_rig.h"

static const struct proxy_times quick = {.head = 600, .idle = 1200, .body = 600, .vault = 5000, .first_byte = 600, .silence = 600, .reader = 600};

TEST(a_head_may_come_byte_by_byte)
{
    static const char head[] = RIG_HEAD("GET", "/v1/models") "\r\n";
    struct rig r;
    struct msg m;
    rig_begin(&r, NULL);
    int c = rig_client(&r);
    for (size_t i = 0; i < sizeof(head) - 1; i++) {
        rig_write(c, head + i, 1);
        if (i % 16 == 0)
            (void)poll(NULL, 0, 1);
    }
    rig_expect(&r, MSG_PROXY_BEGIN, &m);
    close(c);
    CHECK_INT(rig_end(&r), 0);
}

TEST(a_slow_head_is_not_waited_for)
{
    struct rig r;
    char got[512];
    rig_begin(&r, &quick);
    int c = rig_client(&r);
    rig_say(c, "GET /v1/mod");
    int64_t from = clock_boot_ms();
    CHECK(rig_read(c, NULL, got, sizeof(got)));
    int64_t took = clock_boot_ms() - from;
    CHECK(took >= 500 && took < 4000);
    close(c);
    CHECK_INT(rig_end(&r), 0);
}

TEST(an_idle_connection_is_closed_in_the_end)
{
    struct rig r;
    char got[512];
    rig_begin(&r, &quick);
    int c = rig_client(&r);
    CHECK(rig_read(c, NULL, got, sizeof(got)) && got[0] == '\0');
    close(c);
    CHECK_INT(rig_end(&r), 0);
}

TEST(what_the_gate_refuses_is_answered_once_and_closed)
{
    static const char *const heads[] = {
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\nGET /second HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "CONNECT evil:443 HTTP/1.1\r\nHost: evil\r\n\r\n",
        "GET http://evil/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        "GET /a/../b HTTP/1.1\r\nHost: localhost\r\n\r\n",
    };
    struct rig r;
    struct msg m;
    char got[4096];
    rig_begin(&r, NULL);
    for (size_t i = 0; i < COUNT(heads); i++) {
        int c = rig_client(&r);
        rig_say(c, heads[i]);
        CHECK(rig_read(c, NULL, got, sizeof(got)));
        CHECK(strncmp(got, "HTTP/1.1 4", 10) == 0 && !strstr(got + 1, "HTTP/1.1"));
        close(c);
    }
    CHECK(!rig_poll(&r, &m, 30) && rig_untouched(&r, 1));
    CHECK_INT(rig_end(&r), 0);
}

TEST(a_head_without_end_is_refused)
{
    struct rig r;
    char got[4096];
    rig_begin(&r, NULL);
    int c = rig_client(&r);
    rig_say(c, "GET / HTTP/1.1\r\nHost: localhost\r\n");
    for (int i = 0; i < 9000; i++) {
        if (send(c, "X-Pad: 12345678\r\n", 17, MSG_NOSIGNAL) <= 0)
            break;
    }
    CHECK(rig_read(c, NULL, got, sizeof(got)) && strncmp(got, "HTTP/1.1 431 ", 13) == 0);
    close(c);
    CHECK_INT(rig_end(&r), 0);
}

/* The kernel tells of an end again with every event: a worker that believes it once more reads nothing for ever. Here the end was read behind
 * the second request, a part of a third is kept, and the client's reading of the first answer is the event. */
TEST(a_half_closed_client_in_the_middle_of_a_third_head_costs_no_turns)
{
    struct rig r;
    struct msg m;
    char got[4096], seen[4096];
    rig_begin(&r, NULL);
    for (int i = 0; i < 20; i++) {
        int c = rig_client(&r);
        rig_say(c, RIG_HEAD("GET", "/v1/models") "\r\n" RIG_HEAD("GET", "/v1/models") "\r\n" RIG_HEAD("GET", "/v1/models"));
        CHECK(shutdown(c, SHUT_WR) == 0);
        rig_expect(&r, MSG_PROXY_BEGIN, &m);
        rig_deny(&r, &m, ERR_LIMIT, 0);
        rig_expect(&r, MSG_PROXY_BEGIN, &m);
        CHECK(rig_read(c, "refused by the test", got, sizeof(got)));
        (void)poll(NULL, 0, 5); /* the event is seen before the answer */
        rig_deny(&r, &m, ERR_LIMIT, 0);
        CHECK(rig_read(c, NULL, got, sizeof(got)) && strstr(got, "refused by the test"));
        close(c);
    }
    int c = rig_client(&r); /* somebody else is served still */
    close(rig_granted(&r, c, RIG_HEAD("GET", "/v1/models") "\r\n", seen, sizeof(seen)));
    close(c);
    CHECK_INT(rig_end(&r), 0);
}

/* Bytes and end in one event: the kernel does not tell of the end a second time. */
TEST(a_client_that_ends_within_its_body_is_answered_at_once)
{
    struct rig r;
    struct msg m;
    char got[4096];
    static const char *const bodies[] = {"Content-Length: 9\r\n\r\nab", "Transfer-Encoding: chunked\r\n\r\n5\r\nhel"};
    rig_begin(&r, NULL);
    for (int i = 0; i < 40; i++) {
        int c = rig_client(&r);
        CHECK(kill(r.pid, SIGSTOP) == 0); /* so that it finds both at once */
        rig_say(c, RIG_HEAD("POST", "/v1/messages"));
        rig_say(c, bodies[i % 2]);
        CHECK(shutdown(c, SHUT_WR) == 0);
        CHECK(kill(r.pid, SIGCONT) == 0);
        do
            CHECK(rig_poll(&r, &m, RIG_WAIT_MS));
        while (m.type == MSG_PROXY_END || m.type == MSG_CLOSED);
        CHECK_INT(m.type, MSG_PROXY_BEGIN);
        if (i & 2) {
            rig_deny(&r, &m, ERR_LIMIT, 0);
        } else {
            if (i == 0)
                rig_route_flags(&r, 1, 0, RIG_SECRET);
            rig_grant(&r, &m, 7, 1);
        }
        int64_t from = clock_boot_ms();
        CHECK(rig_read(c, NULL, got, sizeof(got)) && strstr(got, i & 2 ? " 429 " : " 400 "));
        CHECK(clock_boot_ms() - from < 2000);
        close(c);
    }
    CHECK_INT(rig_end(&r), 0);
}
