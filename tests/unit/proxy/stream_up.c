#include "proxy_rig.h"

TEST(a_chunked_body_goes_up_chunked_and_whole)
{
    struct rig r;
    char seen[4096];
    rig_begin(&r, NULL);
    int c = rig_client(&r);
    int up = rig_granted(&r, c, RIG_HEAD("POST", "/v1/messages") "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", seen, sizeof(seen));
    CHECK(strstr(seen, "Transfer-Encoding: chunked\r\n") && !strstr(seen, "Content-Length"));
    rig_say(c, "4\r\ndefg\r\n0\r\n\r\n");
    if (!strstr(seen, "0\r\n\r\n"))
        CHECK(rig_read(up, "0\r\n\r\n", seen + strlen(seen), sizeof(seen) - strlen(seen)));
    CHECK(strstr(seen, "3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"));
    close(c);
    close(up);
    CHECK_INT(rig_end(&r), 0);
}

TEST(a_malformed_chunk_ends_the_request_and_the_upstream_sees_no_end)
{
    struct rig r;
    char seen[4096], got[4096];
    rig_begin(&r, NULL);
    int c = rig_client(&r);
    int up = rig_granted(&r, c, RIG_HEAD("POST", "/v1/messages") "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", seen, sizeof(seen));
    rig_say(c, "0x4\r\ndefg\r\n0\r\n\r\n");
    CHECK(rig_read(c, "\r\n\r\n", got, sizeof(got)) && strstr(got, "HTTP/1.1 400 "));
    CHECK(rig_read(up, NULL, seen, sizeof(seen)) && !strstr(seen, "0\r\n\r\n"));
    close(c);
    close(up);
    CHECK_INT(rig_end(&r), 0);
}

TEST(a_client_that_waits_for_100_gets_it_when_it_is_granted)
{
    struct rig r;
    struct msg m;
    char seen[4096], got[4096];
    rig_begin(&r, NULL);
    int c = rig_client(&r);
    rig_say(c, RIG_HEAD("POST", "/v1/messages") "Expect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    rig_expect(&r, MSG_PROXY_BEGIN, &m);
    struct pollfd p = {.fd = c, .events = POLLIN};
    CHECK(poll(&p, 1, 30) == 0); /* not before the vault has spoken */
    rig_route_flags(&r, 1, 0, RIG_SECRET);
    rig_grant(&r, &m, 7, 1);
    CHECK(rig_read(c, "HTTP/1.1 100 Continue\r\n\r\n", got, sizeof(got)));
    rig_say(c, "body");
    int up = rig_accept(&r);
    CHECK(rig_read(up, "body", seen, sizeof(seen)) && !strstr(seen, "100-continue"));
    close(c);
    close(up);
    CHECK_INT(rig_end(&r), 0);
}

TEST(a_refused_client_that_waits_for_100_is_not_asked_for_its_body)
{
    struct rig r;
    struct msg m;
    char got[4096];
    rig_begin(&r, NULL);
    int c = rig_client(&r);
    rig_say(c, RIG_HEAD("POST", "/v1/messages") "Expect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    rig_expect(&r, MSG_PROXY_BEGIN, &m);
    rig_deny(&r, &m, ERR_DENIED, 0);
    CHECK(rig_read(c, NULL, got, sizeof(got)) && strstr(got, "HTTP/1.1 403 ") && !strstr(got, "100 Continue"));
    close(c);
    CHECK_INT(rig_end(&r), 0);
}

/* A body far larger than all buffers, to an upstream that reads late: it comes whole, and the client was made to wait. */
TEST(a_large_body_waits_for_a_slow_upstream)
{
    enum { SIZE = 16 << 20 };
    struct rig r;
    char seen[4096], head[512];
    rig_begin(&r, NULL);
    int c = rig_client(&r), small = 64 * 1024;
    CHECK(setsockopt(c, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)) == 0);
    (void)snprintf(head, sizeof(head), RIG_HEAD("POST", "/v1/messages") "Content-Length: %d\r\n\r\n", SIZE);
    int up = rig_granted(&r, c, head, seen, sizeof(seen));
    pid_t writer = fork();
    if (writer == 0) {
        static char block[65536];
        memset(block, 'q', sizeof(block));
        for (int i = 0; i < SIZE / (int)sizeof(block); i++)
            rig_write(c, block, sizeof(block));
        _exit(0);
    }
    (void)poll(NULL, 0, 300);
    int status;
    CHECK(waitpid(writer, &status, WNOHANG) == 0); /* it waits */
    size_t total = strlen(strstr(seen, "\r\n\r\n") + 4);
    while (total < SIZE) {
        static char block[1 << 16];
        struct pollfd p = {.fd = up, .events = POLLIN};
        CHECK(poll(&p, 1, RIG_WAIT_MS) == 1);
        ssize_t n = recv(up, block, sizeof(block), 0);
        CHECK(n > 0);
        for (ssize_t i = 0; i < n; i++)
            CHECK(block[i] == 'q');
        total += (size_t)n;
    }
    CHECK_INT(total, SIZE);
    CHECK(waitpid(writer, &status, 0) == writer && status == 0);
    close(c);
    close(up);
    CHECK_INT(rig_end(&r), 0);
}

TEST(an_idle_connection_that_died_is_replaced_when_nothing_was_sent_on_it)
{
    struct rig r;
    struct msg m;
    char seen[4096], got[4096];
    rig_begin(&r, NULL);
    int c = rig_client(&r);
    int up = rig_granted(&r, c, RIG_HEAD("GET", "/v1/models") "\r\n", seen, sizeof(seen));
    rig_say(up, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    CHECK(rig_read(c, "\r\n\r\nok", got, sizeof(got)));
    close(up);
    (void)poll(NULL, 0, 20);
    rig_say(c, RIG_HEAD("GET", "/v1/models") "\r\n");
    rig_expect(&r, MSG_PROXY_END, &m);
    rig_expect(&r, MSG_PROXY_BEGIN, &m);
    rig_grant(&r, &m, 8, 1);
    up = rig_accept(&r);
    CHECK(rig_read(up, "\r\n\r\n", seen, sizeof(seen)));
    close(c);
    close(up);
    CHECK_INT(rig_end(&r), 0);
}

/* ---- models */

static uint64_t needs_model(struct rig *r, const struct msg *m)
{
    uint64_t conn = m->conn;
    msg_begin(&r->packet, MSG_REPLY, m->id, conn);
    msg_put_u64(&r->packet, F_STATUS, ERR_OK);
    msg_put_u64(&r->packet, F_FLAGS, PROXY_NEEDS_MODEL);
    rig_send(r, -1);
    return conn;
}

TEST(the_model_is_read_from_the_body_before_anything_goes_up)
{
    struct rig r;
    struct msg m;
    char seen[4096];
    rig_begin(&r, NULL);
    int c = rig_client(&r);
    rig_say(c, RIG_HEAD("POST", "/v1/messages") "Content-Length: 44\r\n\r\n{\"max_tokens\":5,");
    rig_expect(&r, MSG_PROXY_BEGIN, &m);
    CHECK(!m.has[F_MODEL]);
    needs_model(&r, &m);
    CHECK(!rig_poll(&r, &m, 30));
    rig_say(c, "\"model\":\"claude-x\",\"a\":[]}  ");
    rig_expect(&r, MSG_PROXY_BEGIN, &m);
    CHECK(view_is(msg_view(&m, F_MODEL), "claude-x") && rig_untouched(&r, 1));
    rig_route_flags(&r, 1, 0, RIG_SECRET);
    rig_grant(&r, &m, 7, 1);
    int up = rig_accept(&r);
    CHECK(rig_read(up, "\"a\":[]}  ", seen, sizeof(seen)));
    CHECK(strstr(seen, "\r\n\r\n{\"max_tokens\":5,\"model\":\"claude-x\",\"a\":[]}  "));
    close(c);
    close(up);
    CHECK_INT(rig_end(&r), 0);
}

TEST(a_second_model_behind_the_first_never_reaches_the_upstream_whole)
{
    struct rig r;
    struct msg m;
    char seen[4096], got[4096];
    rig_begin(&r, NULL);
    int c = rig_client(&r);
    rig_say(c, RIG_HEAD("POST", "/v1/messages") "Content-Length: 42\r\n\r\n{\"model\":\"cheap\",");
    rig_expect(&r, MSG_PROXY_BEGIN, &m);
    needs_model(&r, &m);
    rig_expect(&r, MSG_PROXY_BEGIN, &m);
    rig_route_flags(&r, 1, 0, RIG_SECRET);
    rig_grant(&r, &m, 7, 1);
    int up = rig_accept(&r);
    CHECK(rig_read(up, "\"cheap\",", seen, sizeof(seen)));
    rig_say(c, "\"mod\\u0065l\":\"dear\" }    ");
    CHECK(rig_read(c, "\r\n\r\n", got, sizeof(got)) && strstr(got, "HTTP/1.1 403 "));
    CHECK(rig_read(up, NULL, seen, sizeof(seen)) && !strstr(seen, "dear"));
    close(c);
    close(up);
    CHECK_INT(rig_end(&r), 0);
}

TEST(a_body_without_a_model_is_refused_where_models_are_limited)
{
    struct rig r;
    struct msg m;
    char got[4096];
    rig_begin(&r, NULL);
    int c = rig_client(&r);
    rig_say(c, RIG_HEAD("POST", "/v1/messages") "Content-Length: 9\r\n\r\n{\"a\":\"b\"}");
    rig_expect(&r, MSG_PROXY_BEGIN, &m);
    needs_model(&r, &m);
    CHECK(rig_read(c, "\r\n\r\n", got, sizeof(got)) && strstr(got, "HTTP/1.1 403 "));
    CHECK(rig_untouched(&r, 30));
    close(c);
    CHECK_INT(rig_end(&r), 0);
}

TEST(a_gemini_model_is_read_from_the_path)
{
    struct rig r;
    struct msg m;
    rig_begin(&r, NULL);
    int c = rig_client(&r);
    rig_say(c, RIG_HEAD("POST", "/v1beta/models/gemini-pro:generateContent") "Content-Length: 2\r\n\r\n{}");
    rig_expect(&r, MSG_PROXY_BEGIN, &m);
    needs_model(&r, &m);
    rig_expect(&r, MSG_PROXY_BEGIN, &m);
    CHECK(view_is(msg_view(&m, F_MODEL), "gemini-pro"));
    close(c);
    CHECK_INT(rig_end(&r), 0);
}

TEST(malformed_chunks_of_a_refused_request_end_its_connection_alone)
{
    struct rig r;
    struct msg m;
    char got[4096];
    rig_begin(&r, NULL);
    for (int i = 0; i < 20; i++) { /* in one piece, and behind the refusal */
        int c = rig_client(&r);
        rig_say(c, RIG_HEAD("POST", "/v1/messages") "Transfer-Encoding: chunked\r\n\r\n");
        if (i % 2)
            rig_say(c, "0x4\r\ndefg\r\n0\r\n\r\n");
        rig_expect(&r, MSG_PROXY_BEGIN, &m);
        rig_deny(&r, &m, ERR_LIMIT, 0);
        if (i % 2 == 0) {
            CHECK(rig_read(c, "refused by the test", got, sizeof(got)));
            rig_say(c, "0x4\r\ndefg\r\n0\r\n\r\n");
        }
        CHECK(rig_read(c, NULL, got, sizeof(got)));
        close(c);
    }
    int c = rig_client(&r);
    rig_say(c, RIG_HEAD("GET", "/v1/models") "\r\n");
    rig_expect(&r, MSG_PROXY_BEGIN, &m);
    close(c);
    CHECK_INT(rig_end(&r), 0);
}
