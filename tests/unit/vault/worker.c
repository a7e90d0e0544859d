/* vault/worker.c: workers that come, go, do not read, and are asked for again. */
#include "vault_rig.h"

static struct vault_worker *api(struct rig *r)
{
    return &r->v->workers[WORKER_API];
}

static void lose(struct rig *r)
{
    worker_lost(api(r), "for the test");
}

TEST(roles_have_names)
{
    struct rig r;
    rig_make(&r, NULL, RIG_CONFIG);
    CHECK_STR(worker_role(WORKER_API), "api");
    CHECK_STR(worker_role(WORKER_ADMIN), "admin");
    CHECK_STR(worker_role(WORKER_AUDIT), "audit");
    for (unsigned k = 0; k < WORKER__COUNT; k++)
        CHECK(worker_of_role(r.v, worker_role(k)) == &r.v->workers[k]);
    CHECK(!worker_of_role(r.v, "kdf") && !worker_of_role(r.v, ""));
    rig_end(&r);
}

TEST(a_lost_worker_is_asked_for_at_once_and_told_everything_again)
{
    struct rig r;
    uint64_t admin = rig_begin(&r);
    rig_enroll(&r, admin);
    uint64_t gw = rig_conn(&r, "gw");
    CHECK_OK(rig_issue(&r, gw, "key", "secret"), r.why);
    lose(&r);
    CHECK(api(&r)->sock == -1 && !api(&r)->watch && !api(&r)->ready && !conn_find(api(&r), gw));
    CHECK_INT(leases_live(r.v->leases), 1); /* its death costs connections, nothing else */
    CHECK(rig_asked_for(&r, "api", 100));
    lose(&r); /* twice is once */
    CHECK_INT(api(&r)->restarts, 1);
    rig_attach_worker(&r, WORKER_API);
    CHECK(!rig_recv(&r, WORKER_API, 20)); /* nothing before it is set up */
    rig_ready(&r, WORKER_API);
    unsigned listens = 0;
    while (rig_recv(&r, WORKER_API, 50))
        listens += r.msg.type == MSG_LISTEN && r.fd >= 0;
    CHECK_INT(listens, 2);
    CHECK_STR(api(&r)->sandbox_report, "seccomp landlock:9");
    gw = rig_conn(&r, "gw");
    CHECK_OK(rig_issue(&r, gw, "key", "secret"), r.why);
    rig_end(&r);
}

TEST(restarts_back_off_while_it_keeps_dying)
{
    struct rig r;
    (void)rig_begin(&r);
    static const int wait[] = {0, 100, 200, 300};
    for (size_t i = 0; i < COUNT(wait); i++) {
        int64_t now = clock_boot_ms();
        lose(&r);
        if (wait[i] == 0) {
            CHECK_INT(api(&r)->restart_at_ms, 0); /* asked for already */
        } else {
            CHECK(api(&r)->restart_at_ms >= now + wait[i] && api(&r)->restart_at_ms <= now + wait[i] + 50);
            worker_tick(r.v); /* not due */
            CHECK(api(&r)->restart_at_ms != 0 && !rig_asked_for(&r, "api", 10));
            api(&r)->restart_at_ms = now;
            worker_tick(r.v);
        }
        CHECK(rig_asked_for(&r, "api", 100));
        rig_attach_worker(&r, WORKER_API);
    }
    api(&r)->failures = 1000; /* never over 2 s */
    int64_t now = clock_boot_ms();
    lose(&r);
    CHECK(api(&r)->restart_at_ms <= now + 2050);
    CHECK_INT(api(&r)->restarts, 5);
    api(&r)->restart_at_ms = 0;
    rig_attach_worker(&r, WORKER_API);
    api(&r)->attached_ms -= 60000; /* one that lived for a while begins anew */
    lose(&r);
    CHECK(rig_asked_for(&r, "api", 100));
    CHECK_INT(api(&r)->failures, 1);
    rig_end(&r);
}

TEST(what_the_supervisor_cannot_start_is_asked_for_again)
{
    struct rig r;
    (void)rig_begin(&r);
    lose(&r);
    CHECK(rig_asked_for(&r, "api", 100));
    worker_refused(api(&r), "no process left");
    CHECK(strstr(rig_log, "worker.refused role=api why=no process left"));
    CHECK(api(&r)->restart_at_ms > 0);
    api(&r)->restart_at_ms = 1;
    worker_tick(r.v);
    CHECK(rig_asked_for(&r, "api", 100));
    /* a supervisor that is gone: tried again later, not for ever in a circle */
    auto_close(&r.supervisor);
    r.supervisor = -1;
    api(&r)->restart_at_ms = 1;
    worker_tick(r.v);
    CHECK(api(&r)->restart_at_ms > clock_boot_ms());
    CHECK(strstr(rig_log, "worker.spawn"));
    rig_end(&r);
}

TEST(an_exit_is_recorded_and_only_the_present_process_counts)
{
    struct rig r;
    (void)rig_begin(&r);
    worker_on_exit(r.v, "api", 999, 9); /* its predecessor's, told late */
    CHECK(api(&r)->sock >= 0);
    CHECK_INT(rig_logged(&r, EVENT("worker.exit"), "\"role\":\"api\"", "\"status\":9"), 1);
    worker_on_exit(r.v, "kdf", 1000, 0); /* a helper's is nothing to record */
    CHECK_INT(rig_logged(&r, EVENT("worker.exit"), NULL, NULL), 1);
    worker_on_exit(r.v, "api", 1000, 256);
    CHECK_INT(api(&r)->sock, -1);
    CHECK_INT(rig_logged(&r, EVENT("worker.exit"), "\"status\":256", NULL), 1);
    CHECK(rig_asked_for(&r, "api", 100));
    rig_end(&r);
}

TEST(a_worker_that_is_attached_anew_replaces_the_one_before)
{
    struct rig r;
    (void)rig_begin(&r);
    uint64_t gw = rig_conn(&r, "gw");
    int pair[2], old = r.worker[WORKER_API];
    CHECK_OK(ipc_pair(pair, &r.why), r.why);
    CHECK_OK(worker_attach(r.v, WORKER_API, pair[0], 7, &r.why), r.why);
    CHECK(!conn_find(api(&r), gw) && api(&r)->pid == 7);
    struct buf b = {.max = MSG_MAX};
    int fd = -1;
    err_t e = ERR_OK;
    while ((e = ipc_recv(old, &b, &fd, &r.why)) == ERR_OK)
        auto_close(&fd);
    CHECK_INT(e, ERR_NO_BROKER);
    buf_free(&b);
    auto_close(&old);
    r.worker[WORKER_API] = pair[1];
    /* a descriptor that cannot be watched is closed, and the worker is not there */
    int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int regular = open(r.config, O_RDONLY | O_CLOEXEC);
    close(file);
    CHECK(worker_attach(r.v, WORKER_API, regular, 8, &r.why) != ERR_OK);
    CHECK(api(&r)->sock == -1 && fcntl(regular, F_GETFD) < 0);
    rig_end(&r);
}

/* ---- sending */

static void send_filler(struct rig *r, size_t n, uint64_t id)
{
    static uint8_t filler[100000];
    AUTO(buf_free) struct buf b = {.max = MSG_MAX};
    msg_begin(&b, MSG_REPLY, id, 0);
    msg_put_u64(&b, F_STATUS, 0);
    msg_put(&b, F_BODY, VIEW(filler, n));
    worker_send(api(r), &b, -1);
}

TEST(packets_that_do_not_fit_wait_in_order)
{
    struct rig r;
    (void)rig_begin(&r);
    while (rig_recv(&r, WORKER_API, 20))
        ;
    enum { ALL = 40 };
    const int room = 200000;
    CHECK_INT(setsockopt(api(&r)->sock, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)), 0);
    for (uint64_t i = 1; i <= ALL; i++)
        send_filler(&r, 100000, i);
    CHECK(api(&r)->out && api(&r)->out_bytes > 100000);
    worker_unlisten(api(&r), rig_listener(&r, "gw")); /* behind them */
    CHECK_OK(worker_listen(api(&r), rig_listener(&r, "other"), &r.why), r.why);
    for (uint64_t i = 1; i <= ALL; i++) {
        CHECK(rig_recv(&r, WORKER_API, RIG_WAIT_MS));
        CHECK_INT(r.msg.id, i);
    }
    CHECK(rig_recv(&r, WORKER_API, RIG_WAIT_MS) && r.msg.type == MSG_UNLISTEN && r.fd < 0);
    CHECK(rig_recv(&r, WORKER_API, RIG_WAIT_MS) && r.msg.type == MSG_LISTEN && r.fd >= 0); /* with its descriptor */
    rig_turns(&r, 10);
    CHECK(!api(&r)->out && api(&r)->out_bytes == 0);
    CHECK_OK(rig_ask(&r, MSG_WHOAMI, rig_conn(&r, "gw"), -1, FIELDS()), r.why);
    rig_end(&r);
}

TEST(a_worker_that_never_reads_is_given_up)
{
    struct rig r;
    (void)rig_begin(&r);
    uint64_t gw = rig_conn(&r, "gw");
    for (uint64_t i = 0; i < 200 && !strstr(rig_log, "worker.send"); i++) {
        send_filler(&r, 100000, i);
        CHECK(api(&r)->sock >= 0);               /* nothing is freed below its callers */
        CHECK(api(&r)->out_bytes <= 8 << 20);
    }
    CHECK(strstr(rig_log, "does not read"));
    CHECK(conn_find(api(&r), gw));
    CHECK(rig_asked_for(&r, "api", RIG_WAIT_MS)); /* the loop saw the end of the channel */
    CHECK(!api(&r)->out && api(&r)->out_bytes == 0 && !conn_find(api(&r), gw));
    send_filler(&r, 10, 1); /* to a dead one: dropped */
    rig_end(&r);
}

TEST(small_packets_to_a_worker_that_does_not_read_cost_linear_time)
{
    struct rig r;
    (void)rig_begin(&r);
    int64_t began = clock_boot_ms();
    for (uint64_t i = 0; i < 60000 && !strstr(rig_log, "worker.send"); i++)
        send_filler(&r, 20, i);
    CHECK(clock_boot_ms() - began < 5000);
    rig_end(&r);
}

TEST(answers_of_a_turn_go_out_together_and_in_their_order)
{
    struct rig r;
    (void)rig_begin(&r);
    while (rig_recv(&r, WORKER_API, 20))
        ;
    enum { ALL = 2 * IPC_BATCH + 5 };
    for (uint64_t i = 1; i <= ALL; i++) {
        struct buf *b = worker_packet(api(&r));
        msg_begin(b, MSG_REPLY, i, 0);
        msg_put_u64(b, F_STATUS, 0);
        b->bad = i == 3;
    }
    send_filler(&r, 10, ALL + 1); /* what is sent by itself comes behind them */
    CHECK_INT(api(&r)->n_replies, 0);
    for (uint64_t i = 1; i <= ALL + 1; i++)
        if (i != 3)
            CHECK(rig_recv_now(&r, r.worker[WORKER_API]) && r.msg.id == i);
    CHECK(strstr(rig_log, "packet.bad"));
    msg_begin(worker_packet(api(&r)), MSG_REPLY, 1, 0);
    CHECK(!rig_readable(r.worker[WORKER_API])); /* not before the turn's end */
    rig_turns(&r, 5);
    CHECK(rig_recv_now(&r, r.worker[WORKER_API]));
    rig_end(&r);
}

TEST(a_bad_packet_is_not_sent)
{
    struct rig r;
    (void)rig_begin(&r);
    struct buf b = {.bad = true};
    worker_send(api(&r), &b, -1);
    CHECK(strstr(rig_log, "packet.bad"));
    CHECK(api(&r)->sock >= 0);
    rig_end(&r);
}

TEST(the_supervisor_hears_once_that_both_are_ready)
{
    struct rig r;
    unsigned ready = 0;
    rig_make(&r, NULL, RIG_CONFIG);
    rig_turns(&r, 20);
    lose(&r);
    CHECK(rig_until(&r, rig_supervisor_hears, 100));
    rig_attach_worker(&r, WORKER_API);
    rig_ready(&r, WORKER_API);
    rig_turns(&r, 20);
    while (rig_recv_now(&r, r.supervisor))
        ready += r.msg.type == MSG_NOTIFY && view_is(msg_view(&r.msg, F_NOTE), "READY=1");
    CHECK_INT(ready, 1);
    rig_end(&r);
}

/* ---- the proxy's */

#define PROXY(n, d) "proxy: { workers: " n " }\nconsumers:\n  - name: gw\n    grants:\n      - { credential: key, deliver: [" d "] }\n"

static void reload(struct rig *r, const char *yaml)
{
    rig_write_config(r, yaml);
    CHECK_OK(policy_reload(r->v, &r->why), r->why);
}

TEST(proxy_workers_run_while_they_are_wanted)
{
    struct rig r;
    rig_make(&r, NULL, PROXY("1", "secret"));
    struct vault_worker *first = &r.v->workers[WORKER_PROXY];
    worker_follow(r.v);
    CHECK(!worker_wanted(r.v, WORKER_PROXY) && !first->asked && worker_wanted(r.v, WORKER_API));
    reload(&r, PROXY("2", "proxy"));
    CHECK(worker_wanted(r.v, WORKER_PROXY + 1) && !worker_wanted(r.v, WORKER_PROXY + 2));
    CHECK(rig_asked_for(&r, "proxy", 100) && rig_asked_for(&r, "proxy2", 100));
    worker_follow(r.v); /* asked for already */
    CHECK(!rig_supervisor_hears(&r));
    rig_attach_worker(&r, WORKER_PROXY);
    rig_attach_worker(&r, WORKER_PROXY + 1);
    CHECK(first->sock >= 0 && !first->asked);
    reload(&r, PROXY("1", "proxy"));
    CHECK(first->sock >= 0 && first[1].sock < 0);
    worker_on_exit(r.v, "proxy2", first[1].pid, 0); /* its end is not mourned */
    CHECK(!rig_supervisor_hears(&r) && first[1].restart_at_ms == 0);
    worker_lost(first, "for the test");
    CHECK(rig_asked_for(&r, "proxy", 100));
    rig_attach_worker(&r, WORKER_PROXY);
    reload(&r, PROXY("1", "secret"));
    CHECK(first->sock < 0 && !rig_supervisor_hears(&r));
    rig_end(&r);
}

TEST(one_that_cannot_be_started_is_not_asked_for_in_a_circle)
{
    struct rig r;
    rig_make(&r, NULL, PROXY("1", "proxy"));
    struct vault_worker *wk = &r.v->workers[WORKER_PROXY];
    worker_follow(r.v);
    for (unsigned i = 0; i < 5; i++) {
        CHECK(rig_asked_for(&r, "proxy", 100));
        int64_t now = clock_boot_ms();
        worker_refused(wk, "not installed");
        if (i == 0)
            continue;
        CHECK(wk->restart_at_ms > now + 50 && !rig_supervisor_hears(&r));
        wk->restart_at_ms = 1;
        worker_tick(r.v);
    }
    rig_end(&r);
}

TEST(what_each_kind_serves_and_may_say)
{
    const struct vault_listener admin = {.consumer = "admin"}, api = {.consumer = "gw"}, proxy = {.consumer = "gw", .proxy = true};
    for (unsigned k = 0; k < WORKER__COUNT; k++) {
        CHECK_INT(worker_serves(k, &admin), k == WORKER_ADMIN);
        CHECK_INT(worker_serves(k, &api), k == WORKER_API);
        CHECK_INT(worker_serves(k, &proxy), k >= WORKER_PROXY);
        CHECK_INT(worker_is_proxy(k), k >= WORKER_PROXY);
    }
    CHECK(worker_from(WORKER_API) == FROM_API && worker_from(WORKER_ADMIN) == FROM_ADMIN && worker_from(WORKER_PROXY + 3) == FROM_PROXY);
    CHECK_STR(worker_role(WORKER_PROXY), "proxy");
    CHECK_STR(worker_role(WORKER_PROXY + 3), "proxy4");
}
