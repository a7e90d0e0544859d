/* proxy/stream_ask.c: what the vault is asked and told about a request. */
#include "proxy_rig.h"

TEST(the_vault_is_asked_with_token_method_and_path_and_shown_the_connection_once)
{
    struct rig r;
    struct msg m;
    char got[4096];
    rig_begin(&r, NULL);
    int c = rig_client(&r);
    for (int i = 0; i < 2; i++) {
        rig_say(c, RIG_HEAD("GET", "/v1/models?key=x") "\r\n");
        rig_expect(&r, MSG_PROXY_BEGIN, &m);
        CHECK(view_is(msg_view(&m, F_TOKEN), RIG_TOKEN) && view_is(msg_view(&m, F_OP), "GET"));
        CHECK(view_is(msg_view(&m, F_URI_PATH), "/v1/models"));
        CHECK(r.showed == (i == 0));
        rig_deny(&r, &m, ERR_DENIED, 0);
        CHECK(rig_read(c, "permission_error", got, sizeof(got)) && strstr(got, "HTTP/1.1 403 "));
    }
    CHECK(rig_untouched(&r, 50));
    close(c);
    CHECK_INT(rig_end(&r), 0);
}

TEST(without_a_token_nobody_is_asked)
{
    struct rig r;
    struct msg m;
    char got[2048];
    rig_begin(&r, NULL);
    int c = rig_client(&r);
    rig_say(c, "POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nx-api-key: sk-own\r\nContent-Length: 0\r\n\r\n");
    CHECK(rig_read(c, "bad_token", got, sizeof(got)));
    CHECK(strstr(got, "HTTP/1.1 401 ") && strstr(got, "X-Should-Retry: false"));
    CHECK(!rig_poll(&r, &m, 50) && rig_untouched(&r, 1));
    close(c);
    CHECK_INT(rig_end(&r), 0);
}

TEST(a_401_is_handed_to_the_vault_once_and_the_request_sent_again)
{
    struct rig r;
    struct msg m;
    char seen[4096], got[4096];
    rig_begin(&r, NULL);
    int c = rig_client(&r);
    rig_say(c, RIG_HEAD("POST", "/v1/messages") "Content-Length: 5\r\n\r\nhello");
    rig_expect(&r, MSG_PROXY_BEGIN, &m);
    rig_route_flags(&r, 1, ROUTE_RENEWS, RIG_SECRET);
    rig_grant(&r, &m, 7, 1);
    int up = rig_accept(&r);
    CHECK(rig_read(up, "hello", seen, sizeof(seen)));
    rig_say(up, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno");
    rig_expect(&r, MSG_PROXY_AGAIN, &m);
    CHECK(msg_u64(&m, F_SERIAL, 0) == 7 && msg_u64(&m, F_ROUTE, 0) == 1);
    uint64_t conn = m.conn;
    rig_route_flags(&r, 2, ROUTE_RENEWS, "sk-ant-oat01-renewed-00000000000000000000");
    msg_begin(&r.packet, MSG_REPLY, m.id, conn);
    msg_put_u64(&r.packet, F_STATUS, ERR_OK);
    msg_put_u64(&r.packet, F_ROUTE, 2);
    rig_send(&r, -1);
    int up2 = rig_accept(&r);
    CHECK(rig_read(up2, "hello", seen, sizeof(seen)) && strstr(seen, "renewed") && !strstr(seen, "planted"));
    rig_say(up2, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno"); /* once: the second one is the client's */
    CHECK(rig_read(c, "\r\n\r\nno", got, sizeof(got)) && strstr(got, "HTTP/1.1 401 "));
    rig_expect(&r, MSG_PROXY_END, &m);
    CHECK_INT(msg_u64(&m, F_HTTP_STATUS, 0), 401);
    close(c);
    close(up);
    close(up2);
    CHECK_INT(rig_end(&r), 0);
}

TEST(a_401_that_nobody_can_mend_is_final)
{
    struct rig r;
    struct msg m;
    char seen[4096], got[4096];
    rig_begin(&r, NULL);
    int c = rig_client(&r);
    rig_say(c, RIG_HEAD("POST", "/v1/messages") "Content-Length: 0\r\n\r\n");
    rig_expect(&r, MSG_PROXY_BEGIN, &m);
    rig_route_flags(&r, 1, ROUTE_RENEWS, RIG_SECRET);
    rig_grant(&r, &m, 7, 1);
    int up = rig_accept(&r);
    CHECK(rig_read(up, "\r\n\r\n", seen, sizeof(seen)));
    rig_say(up, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno");
    rig_expect(&r, MSG_PROXY_AGAIN, &m);
    rig_deny(&r, &m, ERR_NEEDS_LOGIN, 0);
    CHECK(rig_read(c, "needs_login", got, sizeof(got)) && strstr(got, "X-Should-Retry: false"));
    close(c);
    close(up);
    CHECK_INT(rig_end(&r), 0);
}

TEST(an_answer_of_the_vault_that_never_comes_is_a_504)
{
    const struct proxy_times quick = {.head = 600, .idle = 60000, .body = 600, .vault = 600, .first_byte = 600, .silence = 600, .reader = 600};
    struct rig r;
    struct msg m;
    char got[4096];
    rig_begin(&r, &quick);
    int c = rig_client(&r);
    rig_say(c, RIG_HEAD("GET", "/v1/models") "\r\n");
    rig_expect(&r, MSG_PROXY_BEGIN, &m);
    CHECK(rig_read(c, "\r\n\r\n", got, sizeof(got)) && strstr(got, "HTTP/1.1 504 "));
    close(c);
    CHECK_INT(rig_end(&r), 0);
}
