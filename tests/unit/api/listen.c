/* Sockets that come and go, quotas, and many clients. */
#include "rig.h"

static struct answer a;

static void ok(struct rig *r, int fd)
{
    struct msg m;
    http_request(fd, "GET", "/v1/whoami", NULL, NULL);
    rig_expect(r, MSG_WHOAMI, &m);
    rig_reply(r, m.id, ERR_OK, "{}");
    http_read(fd, &a);
    CHECK_INT(a.status, 200);
}

TEST(over_its_quota_a_consumer_is_told)
{
    struct rig r;
    struct msg m;
    rig_open(&r, FROM_API, NULL, 3);
    int fd[3];
    for (int i = 0; i < 3; i++)
        ok(&r, fd[i] = http_connect(&r));
    int more = http_connect(&r);
    http_read(more, &a);
    CHECK_INT(a.status, 503);
    CHECK(strstr(a.body, "\"error\":\"unavailable\""));
    CHECK(http_closed(more));
    close(more);
    close(fd[0]);
    rig_expect(&r, MSG_CLOSED, &m);
    ok(&r, fd[0] = http_connect(&r));
    for (int i = 0; i < 3; i++)
        close(fd[i]);
    CHECK_INT(rig_close(&r), 0);
}

TEST(the_defaults_are_64_and_16)
{
    static const struct {
        uint32_t role;
        int quota;
    } row[] = {{FROM_API, 64}, {FROM_ADMIN, 16}};
    for (size_t i = 0; i < COUNT(row); i++) {
        struct rig r;
        int fd[65];
        rig_open(&r, row[i].role, NULL, 0);
        for (int k = 0; k <= row[i].quota; k++)
            fd[k] = http_connect(&r);
        http_read(fd[row[i].quota], &a);
        CHECK_INT(a.status, 503);
        char c;
        CHECK_INT(http_some(fd[row[i].quota - 1], &c, 1, 50), -1);
        for (int k = 0; k <= row[i].quota; k++)
            close(fd[k]);
        CHECK_INT(rig_close(&r), 0);
    }
}

TEST(one_consumers_flood_leaves_the_others_their_places)
{
    struct rig r, second;
    rig_open(&r, FROM_API, NULL, 2);
    second = r;
    second.listen = rig_socket(&second.addr, &second.addr_n);
    rig_listen(&r, "marie", second.listen, 2);
    int flood[20];
    for (int i = 0; i < 20; i++)
        flood[i] = http_connect(&r);
    int fd = http_connect(&second);
    http_request(fd, "GET", "/v1/whoami", NULL, NULL);
    struct msg m;
    rig_expect(&r, MSG_WHOAMI, &m);
    rig_reply(&r, m.id, ERR_OK, "{}");
    http_read(fd, &a);
    CHECK_INT(a.status, 200);
    for (int i = 0; i < 20; i++)
        close(flood[i]);
    close(fd);
    close(second.listen);
    CHECK_INT(rig_close(&r), 0);
}

TEST(unlisten_ends_the_socket_and_its_connections)
{
    struct rig r;
    struct msg m;
    rig_open(&r, FROM_API, NULL, 0);
    int idle = http_connect(&r), busy = http_connect(&r);
    ok(&r, idle);
    http_request(busy, "GET", "/v1/grants", NULL, NULL);
    rig_expect(&r, MSG_GRANTS, &m);
    auto_close(&r.fd);
    r.fd = -1;
    msg_begin(&r.packet, MSG_UNLISTEN, 0, 0);
    msg_put_str(&r.packet, F_CONSUMER, "gateway");
    rig_send(&r, -1);
    CHECK(http_closed(idle) && http_closed(busy));
    rig_expect(&r, MSG_CLOSED, &m);
    rig_expect(&r, MSG_CLOSED, &m);
    close(idle);
    close(busy);
    close(r.listen);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(connect(fd, (struct sockaddr *)&r.addr, r.addr_n) < 0); /* nobody holds it any more */
    close(fd);
    r.listen = rig_socket(&r.addr, &r.addr_n);
    rig_listen(&r, "gateway", r.listen, 0);
    ok(&r, fd = http_connect(&r));
    close(fd);
    CHECK_INT(rig_close(&r), 0);
}

TEST(listen_again_replaces_the_socket)
{
    struct rig r;
    rig_open(&r, FROM_API, NULL, 0);
    int old = http_connect(&r);
    ok(&r, old);
    close(r.listen);
    r.listen = rig_socket(&r.addr, &r.addr_n);
    rig_listen(&r, "gateway", r.listen, 0);
    int fd = http_connect(&r);
    ok(&r, fd);
    ok(&r, old);
    close(fd);
    close(old);
    CHECK_INT(rig_close(&r), 0);
}

TEST(messages_without_their_parts_change_nothing)
{
    struct rig r;
    rig_open(&r, FROM_API, NULL, 0);
    rig_listen(&r, "gateway", -1, 0);
    msg_begin(&r.packet, MSG_LISTEN, 0, 0);
    rig_send(&r, r.listen);
    msg_begin(&r.packet, MSG_UNLISTEN, 0, 0);
    msg_put_str(&r.packet, F_CONSUMER, "nobody");
    rig_send(&r, -1);
    msg_begin(&r.packet, MSG_SPAWN, 0, 0);
    rig_send(&r, r.listen);
    int fd = http_connect(&r);
    ok(&r, fd);
    close(fd);
    CHECK_INT(rig_close(&r), 0);
}
