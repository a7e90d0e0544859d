#include "proxy_rig.h"

TEST(a_consumer_over_its_quota_is_told_so)
{
    struct rig r;
    char got[1024];
    rig_begin(&r, NULL);
    rig_listen(&r, "gateway", 2);
    int a = rig_client(&r), b = rig_client(&r);
    (void)poll(NULL, 0, 30);
    int c = rig_client(&r);
    CHECK(rig_read(c, NULL, got, sizeof(got)) && strstr(got, "HTTP/1.1 503 ") && strstr(got, "too many connections"));
    close(c);
    close(a);
    (void)poll(NULL, 0, 30);
    c = rig_client(&r); /* there is room again */
    struct pollfd p = {.fd = c, .events = POLLIN};
    CHECK(poll(&p, 1, 50) == 0);
    close(b);
    close(c);
    CHECK_INT(rig_end(&r), 0);
}

TEST(a_removed_consumers_connections_end)
{
    struct rig r;
    char got[1024];
    rig_begin(&r, NULL);
    int a = rig_client(&r), b = rig_client(&r);
    (void)poll(NULL, 0, 30);
    msg_begin(&r.packet, MSG_UNLISTEN, 0, 0);
    msg_put_str(&r.packet, F_CONSUMER, "gateway");
    rig_send(&r, -1);
    CHECK(rig_read(a, NULL, got, sizeof(got)) && rig_read(b, NULL, got, sizeof(got)));
    close(a);
    close(b);
    rig_listen(&r, "gateway", 0); /* it comes back */
    struct msg m;
    a = rig_client(&r);
    rig_say(a, RIG_HEAD("GET", "/v1/models") "\r\n");
    rig_expect(&r, MSG_PROXY_BEGIN, &m);
    close(a);
    CHECK_INT(rig_end(&r), 0);
}
