/* The line to the vault: order, a vault that does not read, one that dies, and messages that come
 * too late. */
#include "rig.h"

static struct answer a;

TEST(requests_of_many_connections_all_arrive_and_each_gets_its_own_answer)
{
    enum { N = 60 };
    struct rig r;
    struct msg m;
    int fd[N];
    uint64_t id[N];
    rig_open(&r, FROM_API, NULL, 0);
    for (int i = 0; i < N; i++) {
        char target[64];
        snprintf(target, sizeof(target), "/v1/leases/%d", i);
        http_request(fd[i] = http_connect(&r), "GET", target, NULL, NULL);
    }
    for (int i = 0; i < N; i++) {
        char name[16];
        rig_expect(&r, MSG_LEASE_SHOW, &m);
        CHECK(view_copy(m.field[F_LEASE], name, sizeof(name)));
        id[atoi(name)] = m.id;
    }
    for (int i = N - 1; i >= 0; i--) {
        char text[16];
        snprintf(text, sizeof(text), "%d", i);
        rig_reply(&r, id[i], ERR_OK, text);
    }
    for (int i = 0; i < N; i++) {
        http_read(fd[i], &a);
        CHECK_INT(a.status, 200);
        CHECK_INT(atoi(a.body), i);
        close(fd[i]);
    }
    CHECK_INT(rig_close(&r), 0);
}

/* The vault reads nothing: its socket fills up, the worker queues, and all is delivered when it
 * reads again. */
TEST(a_vault_that_does_not_read_loses_nothing)
{
    enum { N = 64, BODY = 120 * 1024 };
    static char body[BODY + 128];
    struct rig r;
    struct msg m;
    int fd[N];
    rig_open(&r, FROM_ADMIN, NULL, N);
    int n = snprintf(body, sizeof(body), "{\"name\":\"a\",\"provider\":\"generic\",\"data\":\"");
    memset(body + n, 's', 50000);
    snprintf(body + n + 50000, 16, "\"}");
    for (int i = 0; i < N; i++)
        http_request(fd[i] = http_connect(&r), "POST", "/v1/credentials", NULL, body);
    usleep(200000);
    for (int i = 0; i < N; i++) {
        rig_expect(&r, MSG_CRED_PUT, &m);
        CHECK(r.fd >= 0);
        CHECK(m.field[F_BODY].n > 50000);
        uint64_t id = m.id;
        rig_reply(&r, id, ERR_OK, "{}");
    }
    for (int i = 0; i < N; i++) {
        http_read(fd[i], &a);
        CHECK_INT(a.status, 200);
        close(fd[i]);
    }
    CHECK_INT(rig_close(&r), 0);
}

TEST(close_from_the_vault_ends_a_connection)
{
    struct rig r;
    struct msg m;
    rig_open(&r, FROM_API, NULL, 0);
    int fd = http_connect(&r);
    http_request(fd, "GET", "/v1/whoami", NULL, NULL);
    rig_expect(&r, MSG_WHOAMI, &m);
    uint64_t conn = m.conn;
    rig_reply(&r, m.id, ERR_OK, "{}");
    http_read(fd, &a);
    msg_begin(&r.packet, MSG_CLOSE, 0, conn + (1ull << 32)); /* a generation that never was */
    rig_send(&r, -1);
    http_request(fd, "GET", "/v1/whoami", NULL, NULL);
    rig_expect(&r, MSG_WHOAMI, &m);
    msg_begin(&r.packet, MSG_CLOSE, 0, conn); /* while it waits */
    rig_send(&r, -1);
    CHECK(http_closed(fd));
    close(fd);
    rig_expect(&r, MSG_CLOSED, &m);
    CHECK(m.conn == conn);
    fd = http_connect(&r);
    http_request(fd, "GET", "/v1/whoami", NULL, NULL);
    rig_expect(&r, MSG_WHOAMI, &m);
    conn = m.conn;
    rig_reply(&r, m.id, ERR_OK, "{}");
    http_read(fd, &a);
    msg_begin(&r.packet, MSG_CLOSE, 0, conn); /* while it idles */
    rig_send(&r, -1);
    CHECK(http_closed(fd));
    close(fd);
    CHECK_INT(rig_close(&r), 0);
}

TEST(the_vaults_death_ends_the_worker)
{
    struct rig r;
    struct msg m;
    rig_open(&r, FROM_API, NULL, 0);
    int waiting = http_connect(&r), idle = http_connect(&r);
    http_request(waiting, "GET", "/v1/whoami", NULL, NULL);
    rig_expect(&r, MSG_WHOAMI, &m);
    CHECK_INT(rig_close(&r), 0);
    CHECK(http_closed(waiting) && http_closed(idle));
    close(waiting);
    close(idle);
}

TEST(garbage_from_the_vault_is_logged_and_harms_nothing)
{
    struct rig r;
    struct msg m;
    struct why why;
    rig_open(&r, FROM_API, NULL, 0);
    CHECK_OK(ipc_send(r.vault, view_str("what?"), r.listen, &why), why);
    msg_begin(&r.packet, MSG_REPLY, 0xffffffffffffull, 0);
    rig_send(&r, r.listen); /* with a descriptor that nobody takes */
    int fd = http_connect(&r);
    http_request(fd, "GET", "/v1/whoami", NULL, NULL);
    rig_expect(&r, MSG_WHOAMI, &m);
    rig_reply(&r, m.id, ERR_OK, "{}");
    http_read(fd, &a);
    CHECK_INT(a.status, 200);
    close(fd);
    CHECK_INT(rig_close(&r), 0);
}

/* ---- the end of connections */

/* A connection that was answered and closed: its id. */
static uint64_t one_that_ended(struct rig *r)
{
    struct msg m;
    int fd = http_connect(r);
    http_request(fd, "GET", "/v1/whoami", NULL, NULL);
    rig_expect(r, MSG_WHOAMI, &m);
    CHECK(r->fd >= 0);
    uint64_t conn = m.conn;
    rig_reply(r, m.id, ERR_OK, "{}");
    http_read(fd, &a);
    close(fd);
    return conn;
}

/* Shows the next connection in the same slot before the end of the one before is told in words (a
 * moment: tried again when the machine was slower than that). Its descriptor; *m its message. */
static int shown_in_its_place(struct rig *r, uint64_t *before, struct msg *m)
{
    for (int i = 0; i < 100; i++) {
        *before = one_that_ended(r);
        usleep(5000); /* it has seen the end: the slot is free */
        int fd = http_connect(r);
        http_request(fd, "GET", "/v1/whoami", NULL, NULL);
        CHECK(rig_poll(r, m, RIG_WAIT_MS));
        if (m->type == MSG_WHOAMI && (uint32_t)m->conn == (uint32_t)*before)
            return fd;
        while (m->type != MSG_WHOAMI)
            CHECK(rig_poll(r, m, RIG_WAIT_MS));
        rig_reply(r, m->id, ERR_OK, "{}");
        http_read(fd, &a);
        close(fd);
        while (rig_poll(r, m, 200))
            CHECK_INT(m->type, MSG_CLOSED);
    }
    CHECK(!"a slot taken again within a moment");
    return -1;
}

TEST(the_next_in_a_slot_tells_the_end_of_the_one_before)
{
    struct rig r;
    struct msg m;
    uint64_t before;
    rig_open(&r, FROM_API, NULL, 0);
    int fd = shown_in_its_place(&r, &before, &m);
    CHECK(r.fd >= 0 && m.conn != before);
    uint64_t conn = m.conn;
    rig_reply(&r, m.id, ERR_OK, "{}");
    http_read(fd, &a);
    CHECK(!rig_poll(&r, &m, 200)); /* nothing is told twice */
    close(fd);
    rig_expect(&r, MSG_CLOSED, &m);
    CHECK(m.conn == conn);
    CHECK_INT(rig_close(&r), 0);
}

TEST(when_the_next_is_refused_the_end_is_told_in_words)
{
    struct rig r;
    struct msg m;
    uint64_t before;
    rig_open(&r, FROM_API, NULL, 0);
    int fd = shown_in_its_place(&r, &before, &m);
    rig_reply(&r, m.id, ERR_DENIED, "not you");
    http_read(fd, &a);
    CHECK_INT(a.status, 403);
    rig_expect(&r, MSG_CLOSED, &m);
    CHECK(m.conn == before);
    close(fd);
    CHECK_INT(rig_close(&r), 0);
}

TEST(when_the_next_is_never_answered_both_ends_are_told)
{
    static const struct conn_limits quick = {.ms = {30000, 30000, 300, 300}};
    struct rig r;
    struct msg m;
    uint64_t before;
    rig_open(&r, FROM_API, &quick, 0);
    int fd = shown_in_its_place(&r, &before, &m);
    uint64_t conn = m.conn, told[2];
    http_read(fd, &a);
    CHECK_INT(a.status, 504);
    close(fd);
    for (int i = 0; i < 2; i++) {
        rig_expect(&r, MSG_CLOSED, &m);
        told[i] = m.conn;
    }
    CHECK(told[0] == before && told[1] == conn);
    CHECK_INT(rig_close(&r), 0);
}
