/* vault/conn.c: which connections become known, and which never do. */
#include "vault_rig.h"
#include <sys/syscall.h>

static unsigned open_fds(void)
{
    return scratch_count("/proc/self/fd", "");
}

/* Shows `fd` with a first request of the consumer's worker (or the operator's). */
static err_t show(struct rig *r, unsigned side, uint64_t id, int fd)
{
    return rig_ask(r, side == WORKER_ADMIN ? MSG_STATUS : MSG_WHOAMI, id, fd, FIELDS());
}

TEST(a_shown_connection_is_known_until_it_is_closed)
{
    struct rig r;
    (void)rig_begin(&r);
    AUTO(auto_close) int fd = rig_connect(&r, "gw");
    uint64_t id = rig_new_conn(&r);
    CHECK_INT(ASK(&r, MSG_WHOAMI, id), ERR_DENIED); /* never shown */
    CHECK_WHY(&r, "not known");
    CHECK_OK(show(&r, WORKER_API, id, fd), r.why);
    const struct vault_conn *c = conn_find(&r.v->workers[WORKER_API], id);
    CHECK(c && c->id == id && c->peer.uid == getuid() && c->consumer);
    CHECK_STR(c->consumer_name, "gw");
    CHECK_STR(c->peer.socket, rig_listener(&r, "gw")->path);
    CHECK(!conn_find(&r.v->workers[WORKER_ADMIN], id));
    CHECK_OK(ASK(&r, MSG_WHOAMI, id), r.why);
    msg_begin(&r.out, MSG_CLOSED, 0, id);
    rig_send(&r, WORKER_API, -1);
    CHECK_INT(ASK(&r, MSG_WHOAMI, id), ERR_DENIED);
    CHECK(!conn_find(&r.v->workers[WORKER_API], id));
    rig_end(&r);
}

TEST(the_generation_keeps_slots_apart)
{
    struct rig r;
    (void)rig_begin(&r);
    uint64_t old = rig_conn(&r, "gw"), fresh = (old & UINT32_MAX) | (uint64_t)2 << 32;
    AUTO(auto_close) int fd = rig_connect(&r, "other");
    CHECK_OK(show(&r, WORKER_API, fresh, fd), r.why);
    CHECK_HAS(&r, "\"consumer\":\"other\"");
    CHECK_INT(ASK(&r, MSG_WHOAMI, old), ERR_DENIED);
    msg_begin(&r.out, MSG_CLOSED, 0, old); /* late news of the old one do not touch the new one */
    rig_send(&r, WORKER_API, -1);
    CHECK_OK(ASK(&r, MSG_WHOAMI, fresh), r.why);
    /* the same id shown again is attested again */
    AUTO(auto_close) int again = rig_connect(&r, "gw");
    CHECK_OK(show(&r, WORKER_API, fresh, again), r.why);
    CHECK_HAS(&r, "\"consumer\":\"gw\"");
    /* ids of the same slot beyond the table's size */
    uint64_t wrapped = fresh + CONN_MAX;
    CHECK_INT(ASK(&r, MSG_WHOAMI, wrapped), ERR_DENIED);
    rig_end(&r);
}

TEST(id_0_names_no_connection)
{
    struct rig r;
    (void)rig_begin(&r);
    AUTO(auto_close) int fd = rig_connect(&r, "gw");
    CHECK_INT(show(&r, WORKER_API, 0, fd), ERR_UNAVAILABLE);
    CHECK_INT(ASK(&r, MSG_WHOAMI, 0), ERR_DENIED);
    CHECK(!conn_find(&r.v->workers[WORKER_API], 0));
    conn_close(&r.v->workers[WORKER_API], 0);
    rig_end(&r);
}

TEST(what_is_no_connection_to_our_socket_is_refused_and_recorded)
{
    struct rig r;
    (void)rig_begin(&r);
    int pair[2], stream[2], pipes[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stream) == 0);
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
    CHECK(pipe(pipes) == 0);
    const int bad[] = {stream[0], pair[0], pipes[0], rig_listener(&r, "gw")->fd, r.v->state_fd};
    for (size_t i = 0; i < COUNT(bad); i++) {
        uint64_t id = rig_new_conn(&r);
        CHECK_INT(show(&r, WORKER_API, id, bad[i]), ERR_DENIED);
        CHECK_INT(ASK(&r, MSG_WHOAMI, id), ERR_DENIED);
    }
    CHECK_INT(rig_logged(&r, EVENT("peer.refused"), NULL, NULL), COUNT(bad));
    /* another program's socket */
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/foreign.sock", r.dir);
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    CHECK(view_copy(view_str(path), sa.sun_path, sizeof(sa.sun_path)));
    AUTO(auto_close) int foreign = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(bind(foreign, (struct sockaddr *)&sa, sizeof(sa)) == 0 && listen(foreign, 4) == 0);
    AUTO(auto_close) int fd = rig_connect_to(&r, foreign, path);
    CHECK_INT(show(&r, WORKER_API, rig_new_conn(&r), fd), ERR_DENIED);
    CHECK_WHY(&r, "this role's socket");
    char uid[32];
    (void)snprintf(uid, sizeof(uid), "\"uid\":%u", getuid());
    CHECK_INT(rig_logged(&r, EVENT("peer.refused"), OUTCOME("denied"), uid), 1);
    CHECK_INT(r.v->count.refused_peers, COUNT(bad) + 1);
    for (unsigned i = 0; i < 2; i++) {
        close(stream[i]);
        close(pair[i]);
        close(pipes[i]);
    }
    rig_end(&r);
}

TEST(a_connection_counts_only_for_the_role_of_its_socket)
{
    struct rig r;
    (void)rig_begin(&r);
    AUTO(auto_close) int admin = rig_connect(&r, "admin");
    AUTO(auto_close) int gw = rig_connect(&r, "gw");
    CHECK_INT(show(&r, WORKER_API, rig_new_conn(&r), admin), ERR_DENIED);
    CHECK_INT(show(&r, WORKER_ADMIN, rig_new_conn(&r), gw), ERR_DENIED);
    CHECK_INT(rig_logged(&r, EVENT("peer.refused"), NULL, NULL), 1);
    CHECK_INT(rig_logged(&r, EVENT("admin.denied"), NULL, NULL), 1);
    rig_end(&r);
}

TEST(a_peer_that_does_not_fulfil_the_conditions_is_refused)
{
    struct rig r;
    rig_make(&r, NULL, "consumers:\n  - name: gw\n    peer: { uid: [4000000] }\n" RIG_GRANTS);
    (void)rig_init(&r);
    AUTO(auto_close) int fd = rig_connect(&r, "gw");
    uint64_t id = rig_new_conn(&r);
    CHECK_INT(show(&r, WORKER_API, id, fd), ERR_DENIED);
    CHECK_WHY(&r, "not among the uids");
    CHECK_INT(ASK(&r, MSG_WHOAMI, id), ERR_DENIED);
    CHECK_INT(rig_logged(&r, EVENT("peer.refused"), "\"consumer\":\"gw\"", NULL), 1);
    rig_end(&r);
}

TEST(after_a_reload_connections_are_judged_again)
{
    struct rig r;
    uint64_t admin = rig_begin(&r), gw = rig_conn(&r, "gw"), other = rig_conn(&r, "other");
    rig_write_config(&r, "consumers:\n  - name: gw\n    peer: { uid: [4000000] }\n" RIG_GRANTS "  - name: other\n" RIG_GRANTS);
    CHECK_OK(ASK(&r, MSG_RELOAD, admin), r.why);
    CHECK_INT(ASK(&r, MSG_GRANTS, gw), ERR_DENIED);
    CHECK_WHY(&r, "not among the uids");
    CHECK_INT(ASK(&r, MSG_GRANTS, gw), ERR_DENIED); /* and it is forgotten */
    CHECK_WHY(&r, "not known");
    CHECK_OK(ASK(&r, MSG_GRANTS, other), r.why);
    CHECK_INT(rig_logged(&r, EVENT("peer.refused"), NULL, NULL), 1);
    rig_end(&r);
}

TEST(a_connection_ends_with_the_process_it_was_attested_for)
{
    struct rig r;
    (void)rig_begin(&r);
    const struct vault_listener *l = rig_listener(&r, "gw");
    pid_t child = fork();
    if (child == 0) {
        struct sockaddr_un sa = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        memcpy(sa.sun_path, l->path, sizeof(sa.sun_path));
        if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0)
            _exit(1);
        for (;;)
            pause();
    }
    struct pollfd p = {.fd = l->fd, .events = POLLIN};
    CHECK_INT(poll(&p, 1, RIG_WAIT_MS), 1);
    AUTO(auto_close) int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);
    uint64_t id = rig_new_conn(&r);
    CHECK_OK(show(&r, WORKER_API, id, fd), r.why);
    bool pidfd = conn_find(&r.v->workers[WORKER_API], id)->peer.pidfd >= 0;
    CHECK_INT(kill(child, SIGKILL), 0);
    CHECK_INT(waitpid(child, NULL, 0), child);
    if (pidfd) {
        CHECK_INT(ASK(&r, MSG_WHOAMI, id), ERR_DENIED);
        CHECK_WHY(&r, "has ended");
    }
    CHECK_INT(show(&r, WORKER_API, rig_new_conn(&r), fd), pidfd ? ERR_DENIED : ERR_OK);
    rig_end(&r);
}

/* In one batch: requests of a process that has ended beside those of one that lives. */
TEST(a_batch_tells_the_dead_from_the_living)
{
    struct rig r;
    (void)rig_begin(&r);
    uint64_t gw = rig_conn(&r, "gw"), other = rig_conn(&r, "other"), id[6];
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    int gone = (int)syscall(SYS_pidfd_open, child, 0);
    CHECK(gone >= 0 && waitpid(child, NULL, 0) == child);
    struct vault_conn *c = conn_find(&r.v->workers[WORKER_API], gw);
    CHECK_INT(dup2(gone, c->peer.pidfd), c->peer.pidfd);
    for (int i = 0; i < 6; i++)
        id[i] = POST(&r, MSG_WHOAMI, i % 2 ? other : gw);
    for (int i = 0; i < 6; i++)
        CHECK_INT(REPLY(&r, MSG_WHOAMI, id[i]), i % 2 ? ERR_OK : ERR_DENIED);
    CHECK_INT(ASK(&r, MSG_WHOAMI, other), ERR_OK);
    c = conn_find(&r.v->workers[WORKER_API], other); /* what was seen of it then says nothing of later */
    CHECK_INT(dup2(gone, c->peer.pidfd), c->peer.pidfd);
    CHECK_INT(ASK(&r, MSG_WHOAMI, other), ERR_DENIED);
    close(gone);
    rig_end(&r);
}

TEST(no_descriptor_is_left_behind)
{
    struct rig r;
    (void)rig_begin(&r);
    struct vault_worker *wk = &r.v->workers[WORKER_API];
    int stream[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stream) == 0);
    uint64_t first = rig_conn(&r, "gw"), later = (first & UINT32_MAX) | (uint64_t)7 << 32;
    AUTO(auto_close) int fd = rig_connect(&r, "gw");
    conn_close_all(wk);
    unsigned before = open_fds();
    for (unsigned i = 0; i < 20; i++) {
        CHECK_INT(conn_show(wk, first, stream[0], &r.why), ERR_DENIED);
        CHECK_OK(conn_show(wk, first, fd, &r.why), r.why);
        CHECK_OK(conn_show(wk, later, fd, &r.why), r.why); /* in its place */
        CHECK(!conn_find(wk, first));
    }
    conn_close(wk, later);
    conn_close(wk, later);
    CHECK_INT(open_fds(), before);
    close(stream[0]);
    close(stream[1]);
    rig_end(&r);
}
