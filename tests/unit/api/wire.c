/* The consumers' front: our own HTTP/1.1. */
#define RIG_FRONT &front_wire
#define OURS true
#include "front.h"

#include <time.h>

static const char whoami[] = "GET /v1/whoami HTTP/1.1\r\n\r\n";

static void answered(struct rig *r, int fd, const char *text)
{
    struct msg m;
    rig_expect(r, MSG_WHOAMI, &m);
    rig_reply(r, m.id, ERR_OK, text);
    http_read(fd, &a);
    CHECK_INT(a.status, 200);
    CHECK_STR(a.body, text);
}

TEST(an_answer_to_head_has_no_body)
{
    struct rig r;
    rig_open(&r, FROM_API, NULL, 0);
    int fd = http_connect(&r);
    http_send(fd, "HEAD /v1/whoami HTTP/1.1\r\n\r\n");
    char head[1024] = "";
    for (size_t n = 0; n + 1 < sizeof(head) && !strstr(head, "\r\n\r\n"); n++)
        CHECK_INT(http_some(fd, head + n, 1, RIG_WAIT_MS), 1);
    CHECK(strncmp(head, "HTTP/1.1 405 ", 13) == 0 && http_length(head) > 0);
    CHECK_INT(http_some(fd, head, 1, 50), -1);
    http_send(fd, whoami);
    answered(&r, fd, "{}");
    close(fd);
    CHECK_INT(rig_close(&r), 0);
}

TEST(close_is_found_in_a_list_and_is_told)
{
    static const struct {
        const char *value;
        bool closes;
    } row[] = {{"close", true},           {"Close", true},          {"keep-alive, close", true},
               {"close ,x", true},        {"x,\tclose\t", true},    {"keep-alive", false},
               {"closed, not-close", false}, {",,", false}};
    struct rig r;
    rig_open(&r, FROM_API, NULL, 0);
    for (size_t i = 0; i < COUNT(row); i++) {
        char header[128];
        int fd = http_connect(&r);
        snprintf(header, sizeof(header), "Connection: %s\r\n", row[i].value);
        http_request(fd, "GET", "/v1/whoami", header, NULL);
        struct msg m = {0};
        for (; m.type != MSG_WHOAMI;) /* ends of earlier ones may be told in between */
            CHECK(rig_poll(&r, &m, RIG_WAIT_MS));
        rig_reply(&r, m.id, ERR_OK, "{}");
        http_read(fd, &a);
        CHECK_INT(strcasestr(a.head, "\r\nConnection: close\r\n") != NULL, row[i].closes);
        char c;
        CHECK_INT(http_some(fd, &c, 1, row[i].closes ? RIG_WAIT_MS : 20), row[i].closes ? 0 : -1);
        close(fd);
    }
    CHECK_INT(rig_close(&r), 0);
}

TEST(half_closed_after_its_request_a_client_is_answered)
{
    struct rig r;
    rig_open(&r, FROM_API, NULL, 0);
    int fd = http_connect(&r);
    http_send(fd, whoami);
    CHECK(shutdown(fd, SHUT_WR) == 0);
    answered(&r, fd, "{\"a\":1}");
    auto_close(&r.fd); /* as the vault does when it has looked */
    r.fd = -1;
    CHECK(http_closed(fd));
    close(fd);
    fd = http_connect(&r); /* and so is one that was watched already */
    http_send(fd, "GET /v1/nothing HTTP/1.1\r\n\r\n");
    http_read(fd, &a);
    CHECK_INT(a.status, 404);
    http_send(fd, whoami);
    CHECK(shutdown(fd, SHUT_WR) == 0);
    struct msg m = {0};
    for (; m.type != MSG_WHOAMI;)
        CHECK(rig_poll(&r, &m, RIG_WAIT_MS));
    usleep(20000); /* its half end is seen before the answer */
    rig_reply(&r, m.id, ERR_OK, "{\"a\":2}");
    http_read(fd, &a);
    CHECK_STR(a.body, "{\"a\":2}");
    auto_close(&r.fd);
    r.fd = -1;
    CHECK(http_closed(fd));
    close(fd);
    CHECK_INT(rig_close(&r), 0);
}

static double cpu_seconds(pid_t pid)
{
    clockid_t clock;
    struct timespec t;
    CHECK(clock_getcpuclockid(pid, &clock) == 0 && clock_gettime(clock, &t) == 0);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Neither the next request nor an end that comes early makes the worker turn without rest. */
TEST(what_comes_before_the_answer_waits_and_costs_nothing)
{
    struct rig r;
    struct msg m[2];
    rig_open(&r, FROM_API, NULL, 0);
    int fd[2];
    for (int i = 0; i < 2; i++) {
        fd[i] = http_connect(&r);
        http_send(fd[i], "GET /v1/nothing HTTP/1.1\r\n\r\n"); /* watched from here on */
        http_read(fd[i], &a);
        http_send(fd[i], whoami);
        rig_expect(&r, MSG_WHOAMI, &m[i]);
    }
    http_send(fd[0], whoami);
    close(fd[1]);
    double before = cpu_seconds(r.pid);
    usleep(200000);
    CHECK(cpu_seconds(r.pid) - before < 0.05);
    rig_reply(&r, m[1].id, ERR_OK, "{}");
    rig_reply(&r, m[0].id, ERR_OK, "{\"n\":1}");
    http_read(fd[0], &a);
    CHECK_STR(a.body, "{\"n\":1}");
    answered(&r, fd[0], "{\"n\":2}");
    close(fd[0]);
    CHECK_INT(rig_close(&r), 0);
}

/* Hundreds of refusals to a client that does not read them: the worker keeps one answer, then waits. */
TEST(who_does_not_read_his_answers_is_not_read_either)
{
    enum { MANY = 20000 };
    static const char bad[] = "GET /v1/nothing HTTP/1.1\r\n\r\n";
    struct rig r;
    rig_open(&r, FROM_API, NULL, 0);
    int fd = http_connect(&r), sent = 0, got = 0;
    while (sent < MANY && send(fd, bad, sizeof(bad) - 1, MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
        sent++;
    usleep(50000);
    while (sent < MANY && send(fd, bad, sizeof(bad) - 1, MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
        sent++;
    CHECK(sent > 100 && sent < MANY);
    for (; got < sent; got++) {
        http_read(fd, &a);
        CHECK_INT(a.status, 404);
    }
    http_send(fd, whoami);
    answered(&r, fd, "{}");
    close(fd);
    CHECK_INT(rig_close(&r), 0);
}

TEST(a_request_in_two_halves_and_the_next_in_one)
{
    static const char post[] = "POST /v1/leases HTTP/1.1\r\nContent-Type: application/json\r\n"
                               "Content-Length: 18\r\n\r\n{\"credential\":\"a\"}";
    struct rig r;
    struct msg m;
    rig_open(&r, FROM_API, NULL, 0);
    int fd = http_connect(&r);
    for (size_t at = 1; at < sizeof(post) - 1; at += 7) {
        http_send_n(fd, post, at);
        usleep(1000);
        http_send_n(fd, post + at, sizeof(post) - 1 - at);
        rig_expect(&r, MSG_LEASE_ISSUE, &m);
        CHECK(view_is(m.field[F_CREDENTIAL], "a"));
        rig_reply(&r, m.id, ERR_OK, "{}");
        http_read(fd, &a);
        CHECK_INT(a.status, 200);
    }
    close(fd);
    CHECK_INT(rig_close(&r), 0);
}
