#include "proxy_rig.h"

TEST(messages_that_make_no_sense_change_nothing)
{
    struct rig r;
    struct msg m;
    rig_begin(&r, NULL);
    msg_begin(&r.packet, MSG_ROUTE, 0, 0);
    msg_put(&r.packet, F_BODY, view_str("junk"));
    msg_put_u64(&r.packet, F_ROUTE, 3);
    rig_send(&r, -1);
    msg_begin(&r.packet, MSG_CUT, 0, 0);
    rig_send(&r, -1);
    msg_begin(&r.packet, MSG_ROUTE_END, 0, 0);
    msg_put_u64(&r.packet, F_ROUTE, 77);
    rig_send(&r, -1);
    msg_begin(&r.packet, MSG_REPLY, 0, 5);
    msg_put_u64(&r.packet, F_STATUS, ERR_OK);
    rig_send(&r, -1);
    int c = rig_client(&r);
    rig_say(c, RIG_HEAD("GET", "/v1/models") "\r\n");
    rig_expect(&r, MSG_PROXY_BEGIN, &m);
    close(c);
    CHECK_INT(rig_end(&r), 0);
}

TEST(a_grant_of_an_unknown_route_serves_nobody)
{
    struct rig r;
    struct msg m;
    char got[2048];
    rig_begin(&r, NULL);
    int c = rig_client(&r);
    rig_say(c, RIG_HEAD("GET", "/v1/models") "\r\n");
    rig_expect(&r, MSG_PROXY_BEGIN, &m);
    rig_grant(&r, &m, 7, 99);
    CHECK(rig_read(c, "\r\n\r\n", got, sizeof(got)) && strstr(got, "HTTP/1.1 500 "));
    rig_expect(&r, MSG_PROXY_END, &m); /* the vault's books are closed all the same */
    CHECK_INT(msg_u64(&m, F_SERIAL, 0), 7);
    CHECK(rig_untouched(&r, 1));
    close(c);
    CHECK_INT(rig_end(&r), 0);
}

TEST(an_answer_for_a_client_that_is_gone_reaches_nobody)
{
    struct rig r;
    struct msg m;
    rig_begin(&r, NULL);
    int c = rig_client(&r);
    rig_say(c, RIG_HEAD("GET", "/v1/models") "\r\n");
    rig_expect(&r, MSG_PROXY_BEGIN, &m);
    struct msg asked = m;
    close(c);
    rig_expect(&r, MSG_CLOSED, &m);
    c = rig_client(&r); /* takes the same slot */
    rig_say(c, RIG_HEAD("GET", "/v1/other") "\r\n");
    rig_expect(&r, MSG_PROXY_BEGIN, &m);
    CHECK(m.conn != asked.conn);
    rig_route_flags(&r, 1, 0, RIG_SECRET);
    rig_grant(&r, &asked, 7, 1);
    CHECK(rig_untouched(&r, 50));
    close(c);
    CHECK_INT(rig_end(&r), 0);
}

TEST(a_grant_that_nobody_waits_for_is_ended)
{
    struct rig r;
    struct msg m;
    rig_begin(&r, NULL);
    int c = rig_client(&r);
    rig_say(c, RIG_HEAD("GET", "/v1/models") "\r\n");
    rig_expect(&r, MSG_PROXY_BEGIN, &m);
    struct msg asked = m;
    close(c); /* the client is gone when the answer comes */
    (void)poll(NULL, 0, 50);
    rig_route_flags(&r, 1, 0, RIG_SECRET);
    rig_grant(&r, &asked, 99, 1);
    rig_expect(&r, MSG_PROXY_END, &m);
    CHECK_INT(msg_u64(&m, F_SERIAL, 0), 99);
    CHECK_INT(msg_u64(&m, F_STATUS, 0), ERR_UNAVAILABLE);
    CHECK(rig_untouched(&r, 20));
    CHECK_INT(rig_end(&r), 0);
}

TEST(a_late_answer_is_not_taken_for_the_next_questions)
{
    static const struct proxy_times hasty = {.head = 5000, .idle = 5000, .body = 5000, .vault = 300, .first_byte = 5000, .silence = 5000, .reader = 5000};
    struct rig r;
    struct msg m;
    char got[4096];
    rig_begin(&r, &hasty);
    int c = rig_client(&r);
    rig_say(c, RIG_HEAD("GET", "/v1/models") "\r\n");
    rig_expect(&r, MSG_PROXY_BEGIN, &m);
    struct msg first = m;
    CHECK(rig_read(c, "HTTP/1.1 504 ", got, sizeof(got)));
    rig_say(c, RIG_HEAD("GET", "/v1/models/other") "\r\n");
    rig_expect(&r, MSG_PROXY_BEGIN, &m);
    CHECK(m.conn == first.conn && m.id != first.id);
    rig_route_flags(&r, 1, 0, RIG_SECRET);
    rig_grant(&r, &first, 98, 1);
    rig_expect(&r, MSG_PROXY_END, &m);
    CHECK_INT(msg_u64(&m, F_SERIAL, 0), 98);
    CHECK(rig_untouched(&r, 20)); /* the second one is not granted by it */
    close(c);
    CHECK_INT(rig_end(&r), 0);
}
