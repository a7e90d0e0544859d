#include "proxy_rig.h"

TEST(it_says_ready_serves_and_ends_with_the_vault)
{
    struct rig r;
    rig_begin(&r, NULL);
    CHECK_INT(rig_end(&r), 0);
}

TEST(many_clients_at_once_are_each_answered_with_their_own)
{
    enum { N = 60 };
    struct rig r;
    struct msg m;
    int c[N];
    rig_begin(&r, NULL);
    for (int i = 0; i < N; i++) {
        char head[512];
        c[i] = rig_client(&r);
        (void)snprintf(head, sizeof(head), "GET /v1/models/%d HTTP/1.1\r\nHost: localhost\r\nx-api-key: " RIG_TOKEN "\r\n\r\n", i);
        rig_say(c[i], head);
    }
    rig_route_flags(&r, 1, 0, RIG_SECRET);
    for (int i = 0; i < N; i++) {
        rig_expect(&r, MSG_PROXY_BEGIN, &m);
        rig_grant(&r, &m, 100 + (uint64_t)i, 1);
    }
    for (int i = 0; i < N; i++) {
        char seen[4096], reply[256], body[64];
        int up = rig_accept(&r);
        CHECK(rig_read(up, "\r\n\r\n", seen, sizeof(seen)));
        (void)snprintf(body, sizeof(body), "for %d.", atoi(seen + strlen("GET /v1/models/")));
        (void)snprintf(reply, sizeof(reply), "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
        rig_say(up, reply);
        close(up);
    }
    for (int i = 0; i < N; i++) {
        char got[1024], want[64];
        (void)snprintf(want, sizeof(want), "\r\n\r\nfor %d.", i);
        CHECK(rig_read(c[i], want, got, sizeof(got)));
        close(c[i]);
    }
    CHECK_INT(rig_end(&r), 0);
}
