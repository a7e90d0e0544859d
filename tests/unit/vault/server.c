/* vault/server.c: packets, the two steps, the queue of answers, and what a worker may not do. */
#include "vault_rig.h"

/* The vault has given this worker up and asks for another one. */
static void check_dropped(struct rig *r, unsigned side, bool audited)
{
    unsigned before = audited ? rig_logged(r, EVENT("worker.protocol"), NULL, NULL) : 0;
    CHECK(rig_asked_for(r, worker_role(side), RIG_WAIT_MS));
    CHECK_INT(r->v->workers[side].sock, -1);
    CHECK_INT(r->v->workers[side].restarts, 1);
    CHECK(!r->v->workers[side].watch && !r->v->workers[side].ready);
    if (audited)
        CHECK(rig_logged(r, EVENT("worker.protocol"), worker_role(side), NULL) + before > 0);
}

static void send_raw(struct rig *r, unsigned side, const void *p, size_t n, int fd)
{
    CHECK_OK(ipc_send(r->worker[side], VIEW(p, n), fd, &r->why), r->why);
}

/* ---- breaches */

TEST(a_malformed_packet_ends_its_worker)
{
    static const struct {
        const char *bytes;
        size_t n;
    } bad[] = {
        {"x", 1},
        {"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20},           /* type 0 */
        {"\xff\xff\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20},       /* unknown type */
        {"\0\x07\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20},         /* a field that is not there */
        {"\0\x07\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0z", 21},        /* a byte too many */
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct rig r;
        (void)rig_begin(&r);
        uint64_t gw = rig_conn(&r, "gw");
        send_raw(&r, WORKER_API, bad[i].bytes, bad[i].n, -1);
        check_dropped(&r, WORKER_API, true);
        CHECK(!conn_find(&r.v->workers[WORKER_API], gw)); /* its connections are forgotten */
        CHECK_INT(rig_logged(&r, EVENT("worker.protocol"), "\"role\":\"api\"", NULL), 1);
        rig_end(&r);
    }
}

TEST(a_message_of_another_role_ends_its_worker)
{
    static const struct {
        unsigned side;
        enum msg_type type;
    } bad[] = {
        {WORKER_API, MSG_INIT},   {WORKER_API, MSG_STATUS},   {WORKER_API, MSG_CRED_PUT}, {WORKER_API, MSG_REPLY},
        {WORKER_API, MSG_SPAWNED}, {WORKER_ADMIN, MSG_WHOAMI}, {WORKER_ADMIN, MSG_LEASE_ISSUE}, {WORKER_ADMIN, MSG_STOP},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct rig r;
        (void)rig_begin(&r);
        msg_begin(&r.out, bad[i].type, 1, 1);
        rig_send(&r, bad[i].side, -1);
        check_dropped(&r, bad[i].side, true);
        rig_end(&r);
    }
}

TEST(a_descriptor_where_none_belongs_ends_its_worker)
{
    static const enum msg_type types[] = {MSG_CLOSED, MSG_READY};
    for (size_t i = 0; i < COUNT(types); i++) {
        struct rig r;
        (void)rig_begin(&r);
        unsigned before = scratch_count("/proc/self/fd", "");
        msg_begin(&r.out, types[i], 0, 1);
        rig_send(&r, WORKER_API, r.v->log_fd);
        check_dropped(&r, WORKER_API, true);
        CHECK_INT(scratch_count("/proc/self/fd", ""), before - 1); /* its channel; what it sent is closed too */
        rig_end(&r);
    }
}

TEST(two_descriptors_end_their_worker)
{
    struct rig r;
    (void)rig_begin(&r);
    int fds[2] = {r.v->log_fd, r.v->run_fd};
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(fds))];
    } ctl = {0};
    msg_begin(&r.out, MSG_WHOAMI, 1, 1);
    struct iovec iov = {.iov_base = r.out.p, .iov_len = r.out.len};
    struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &ctl, .msg_controllen = sizeof(ctl)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&mh);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(fds));
    memcpy(CMSG_DATA(c), fds, sizeof(fds));
    CHECK(sendmsg(r.worker[WORKER_API], &mh, 0) > 0);
    check_dropped(&r, WORKER_API, true);
    rig_end(&r);
}

TEST(ready_twice_ends_its_worker)
{
    struct rig r;
    (void)rig_begin(&r);
    CHECK(r.v->workers[WORKER_API].ready);
    rig_ready(&r, WORKER_API);
    check_dropped(&r, WORKER_API, true);
    rig_end(&r);
}

TEST(a_closed_channel_is_no_breach)
{
    struct rig r;
    (void)rig_begin(&r);
    auto_close(&r.worker[WORKER_API]);
    r.worker[WORKER_API] = -1;
    CHECK(rig_asked_for(&r, "api", RIG_WAIT_MS));
    CHECK_INT(rig_logged(&r, EVENT("worker.protocol"), NULL, NULL), 0);
    rig_end(&r);
}

/* ---- answers */

TEST(what_a_body_may_have_is_what_its_field_may_have)
{
    AUTO(buf_free) struct buf b = {.max = MSG_MAX};
    CHECK(buf_reserve(&b, SERVER_BODY_MAX + 1));
    memset(b.p, 'x', SERVER_BODY_MAX + 1);
    CHECK(msg_fits(F_BODY, VIEW(b.p, SERVER_BODY_MAX)) && !msg_fits(F_BODY, VIEW(b.p, SERVER_BODY_MAX + 1)));
}

static const struct op *row_of(enum msg_type type)
{
    const struct op *op = ops;
    while (op->type != type && op->type != MSG_NONE)
        op++;
    return op;
}

static struct pending *pending_of(enum msg_type type, uint64_t id)
{
    struct pending *p = calloc(1, sizeof(*p));
    CHECK(p);
    p->op = row_of(type);
    p->worker = rig_side(type);
    p->id = id;
    return p;
}

TEST(every_answer_arrives_whatever_is_in_it)
{
    struct rig r;
    (void)rig_begin(&r);
    AUTO(buf_free) struct buf body = {.max = MSG_MAX};
    struct why why = {0};
    CHECK(buf_reserve(&body, SERVER_BODY_MAX + 1));
    memset(body.p, 'x', SERVER_BODY_MAX + 1);
    body.len = SERVER_BODY_MAX;
    server_answer(r.v, pending_of(MSG_STATUS, 901), ERR_OK, &body, NULL);
    CHECK_INT(rig_reply(&r, WORKER_ADMIN, 901), ERR_OK);
    CHECK_INT(r.body.len, SERVER_BODY_MAX);
    body.len++;
    server_answer(r.v, pending_of(MSG_STATUS, 902), ERR_OK, &body, NULL);
    CHECK_INT(rig_reply(&r, WORKER_ADMIN, 902), ERR_TOO_LARGE);
    /* a sentence that was cut inside a character, one that is empty, none */
    (void)snprintf(why.text, sizeof(why.text), "cut \xc3");
    server_answer(r.v, pending_of(MSG_STATUS, 903), ERR_DENIED, NULL, &why);
    CHECK_INT(rig_reply(&r, WORKER_ADMIN, 903), ERR_DENIED);
    CHECK_STR(r.why.text, err_text(ERR_DENIED));
    server_answer(r.v, pending_of(MSG_STATUS, 904), ERR_LOCKED, NULL, &(struct why){0});
    CHECK_INT(rig_reply(&r, WORKER_ADMIN, 904), ERR_LOCKED);
    CHECK_STR(r.why.text, err_text(ERR_LOCKED));
    server_answer(r.v, pending_of(MSG_STATUS, 905), ERR_LIMIT, NULL, NULL);
    CHECK_INT(rig_reply(&r, WORKER_ADMIN, 905), ERR_LIMIT);
    CHECK_INT(msg_u64(&r.msg, F_RETRY_MS, 0), 1000);
    rig_end(&r);
}

TEST(an_answer_that_does_not_fit_is_a_refusal)
{
    struct rig r;
    AUTO(buf_free) struct buf yaml = {0};
    buf_add_str(&yaml, "consumers:\n  - name: big\n    grants:\n");
    for (unsigned g = 0; g < 12; g++) {
        buf_add_fmt(&yaml, "      - credential: c%u\n        deliver: [proxy]\n        models:\n", g);
        for (unsigned m = 0; m < 60; m++)
            buf_add_fmt(&yaml, "          - \"%0200u\"\n", m);
    }
    rig_make(&r, NULL, buf_text(&yaml));
    uint64_t admin = rig_init(&r);
    CHECK_INT(ASK(&r, MSG_CONSUMER_SHOW, admin, S(F_CONSUMER, "big")), ERR_TOO_LARGE);
    CHECK_OK(ASK(&r, MSG_STATUS, admin), r.why); /* and the buffer is good again */
    rig_end(&r);
}

TEST(an_unknown_connection_is_refused_for_every_message)
{
    struct rig r;
    (void)rig_begin(&r);
    rig_attach_worker(&r, WORKER_PROXY);
    for (const struct op *op = ops; op->type != MSG_NONE; op++) {
        CHECK_INT(rig_ask(&r, op->type, 4242, -1, FIELDS()), ERR_DENIED);
        CHECK_WHY(&r, "not known");
    }
    rig_end(&r);
}

TEST(the_same_request_id_twice_gives_two_answers)
{
    struct rig r;
    uint64_t admin = rig_begin(&r), gw = rig_conn(&r, "gw");
    rig_enroll(&r, admin);
    for (unsigned i = 0; i < 2; i++) {
        r.next_id = 500;
        CHECK_INT(POST(&r, MSG_LEASE_ISSUE, gw, S(F_CREDENTIAL, "key")), 501);
    }
    for (unsigned i = 0; i < 2; i++)
        CHECK_OK(rig_reply(&r, WORKER_API, 501), r.why);
    CHECK_INT(leases_live(r.v->leases), 2);
    rig_end(&r);
}

TEST(a_flood_in_one_turn_is_answered_in_full)
{
    struct rig r;
    uint64_t admin = rig_begin(&r), gw = rig_conn(&r, "gw"), first = 0;
    rig_enroll(&r, admin);
    for (unsigned i = 0; i < 700; i++) {
        uint64_t id = i % 2 ? POST(&r, MSG_LEASE_ISSUE, gw, S(F_CREDENTIAL, "key")) : POST(&r, MSG_WHOAMI, gw);
        first = first ? first : id;
        if (i % 100 == 99)
            rig_turns(&r, 1); /* the socket holds only so many */
    }
    unsigned got = 0;
    while (got < 700 && rig_recv(&r, WORKER_API, RIG_WAIT_MS)) {
        got += r.msg.type == MSG_REPLY && r.msg.id >= first;
        CHECK_INT(msg_u64(&r.msg, F_STATUS, 99), ERR_OK);
    }
    CHECK_INT(got, 700);
    CHECK_INT(leases_live(r.v->leases), 350);
    rig_end(&r);
}

/* ---- the queue */

TEST(answers_come_in_the_order_of_their_records)
{
    struct rig r;
    uint64_t admin = rig_begin(&r), gw = rig_conn(&r, "gw");
    rig_enroll(&r, admin);
    rig_hang_disk(&r);
    uint64_t first = POST(&r, MSG_LEASE_ISSUE, gw, S(F_CREDENTIAL, "key"));
    for (unsigned i = 1; i < 8; i++)
        (void)POST(&r, MSG_LEASE_ISSUE, gw, S(F_CREDENTIAL, "key"));
    rig_turns(&r, 50);
    uint64_t quick = POST(&r, MSG_GRANTS, gw); /* waits for nobody */
    CHECK_OK(REPLY(&r, MSG_GRANTS, quick), r.why);
    CHECK_INT(r.v->queue->id, first);
    for (const struct pending *p = r.v->queue; p->next; p = p->next)
        CHECK(p->pos < p->next->pos && p->deadline_ms <= p->next->deadline_ms);
    rig_free_disk(&r);
    for (unsigned i = 0; i < 8; i++) {
        CHECK(rig_recv(&r, WORKER_API, RIG_WAIT_MS));
        CHECK_INT(r.msg.id, first + i);
        CHECK_INT(msg_u64(&r.msg, F_STATUS, 99), ERR_OK);
    }
    CHECK(!r.v->queue && r.v->queue_tail == &r.v->queue);
    rig_end(&r);
}

TEST(a_dead_audit_writer_refuses_what_waits_and_all_that_comes)
{
    struct rig r;
    uint64_t admin = rig_begin(&r), gw = rig_conn(&r, "gw");
    rig_enroll(&r, admin);
    rig_hang_disk(&r);
    uint64_t id = POST(&r, MSG_LEASE_ISSUE, gw, S(F_CREDENTIAL, "key"));
    rig_turns(&r, 30);
    CHECK_INT(kill(r.writer, SIGKILL), 0);
    CHECK_INT(waitpid(r.writer, NULL, 0), r.writer);
    CHECK_INT(REPLY(&r, MSG_LEASE_ISSUE, id), ERR_AUDIT);
    CHECK_WHY(&r, "not running");
    CHECK_INT(rig_issue(&r, gw, "key", NULL), ERR_AUDIT);
    CHECK_INT(leases_live(r.v->leases), 0);
    worker_on_exit(r.v, "audit", r.writer, 9); /* the supervisor tells; a new one comes */
    CHECK(rig_asked_for(&r, "audit", RIG_WAIT_MS));
    rig_start_writer(&r);
    CHECK_OK(rig_issue(&r, gw, "key", NULL), r.why);
    CHECK_INT(rig_logged(&r, EVENT("lease.issue"), OUTCOME("ok"), NULL), 2); /* the undone one, too: it was recorded … */
    CHECK_INT(rig_logged(&r, EVENT("lease.undo"), NULL, NULL), 1);                /* … and so is its end */
    rig_end(&r);
}

/* ---- audit.sync */

static void check_sync(const char *mode, bool issue_waits, bool others_wait)
{
    struct rig r;
    char yaml[1024];
    (void)snprintf(yaml, sizeof(yaml), "audit: { sync: %s }\n" RIG_CONFIG, mode);
    rig_make(&r, NULL, yaml);
    uint64_t admin = rig_init(&r), gw = rig_conn(&r, "gw");
    rig_enroll(&r, admin);
    CHECK(rig_until(&r, rig_is_durable, RIG_WAIT_MS));
    rig_hang_disk(&r);
    uint64_t id = POST(&r, MSG_LEASE_ISSUE, gw, S(F_CREDENTIAL, "key"));
    rig_turns(&r, 100);
    CHECK(!rig_api_speaks(&r) == issue_waits);
    rig_free_disk(&r);
    CHECK_OK(REPLY(&r, MSG_LEASE_ISSUE, id), r.why);
    struct pending p = {0};
    struct why why = {0};
    struct audit_record rec = {.event = AUDIT_LEASE_EXPIRED, .outcome = ERR_OK}; /* no release */
    CHECK_OK(server_record(r.v, &rec, &p, &why), why);
    CHECK_INT(p.pos != 0, others_wait);
    rig_end(&r);
}

TEST(sync_release_waits_for_releases)
{
    check_sync("release", true, false);
}
TEST(sync_every_waits_for_all)
{
    check_sync("every", true, true);
}
TEST(sync_100ms_waits_for_none)
{
    check_sync("100ms", false, false);
}

/* ---- records */

TEST(nothing_is_recorded_while_there_is_no_log)
{
    struct rig r;
    rig_make(&r, NULL, RIG_CONFIG);
    struct audit_record rec = {.event = AUDIT_RELOAD, .outcome = ERR_OK};
    struct pending p = {0};
    CHECK_INT(server_record(r.v, &rec, &p, &r.why), ERR_LOCKED);
    CHECK_WHY(&r, "broker-cli init");
    CHECK_INT(p.pos, 0);
    server_note(r.v, &rec);
    CHECK(!strstr(rig_log, "audit.lost"));
    rig_end(&r);
}

TEST(a_record_that_is_lost_is_said)
{
    struct rig r;
    (void)rig_begin(&r);
    CHECK_INT(kill(r.writer, SIGKILL), 0);
    rig_turns(&r, 100);
    struct audit_record rec = {.event = AUDIT_RELOAD, .outcome = ERR_OK};
    CHECK_INT(server_record(r.v, &rec, NULL, &r.why), ERR_AUDIT); /* a sick log takes no promise … */
    for (unsigned i = 0; i < 200000 && !strstr(rig_log, "audit.lost"); i++)
        server_note(r.v, &rec); /* … but what has happened, as long as the ring has room */
    CHECK(strstr(rig_log, "audit.lost event=config.reload"));
    rig_end(&r);
}

TEST(a_later_refusal_is_recorded_with_its_peer)
{
    struct rig r;
    uint64_t admin = rig_begin(&r);
    struct pending *p = pending_of(MSG_KEY_ADD, 77);
    p->conn = admin;
    (void)view_copy(view_str("keyring"), p->name, sizeof(p->name));
    CHECK(server_peer(r.v, p) && server_peer(r.v, p)->uid == getuid());
    server_refuse(r.v, p, ERR_TIMEOUT, NULL);
    CHECK_INT(rig_reply(&r, WORKER_ADMIN, 77), ERR_TIMEOUT);
    CHECK_INT(rig_logged(&r, EVENT("key.add"), "\"source\":\"keyring\"", "\"uid\":"), 1);
    CHECK_INT(r.v->count.denied, 1);
    p = pending_of(MSG_KEY_ADD, 78);
    p->conn = 4711; /* gone meanwhile */
    CHECK(!server_peer(r.v, p));
    server_refuse(r.v, p, ERR_TIMEOUT, NULL);
    CHECK_INT(rig_reply(&r, WORKER_ADMIN, 78), ERR_TIMEOUT);
    rig_end(&r);
}

TEST(changes_on_their_way_are_seen)
{
    struct rig r;
    uint64_t admin = rig_begin(&r);
    rig_hang_disk(&r);
    (void)POST(&r, MSG_CONSUMER_ADD, admin, S(F_CONSUMER, "new"));
    rig_turns(&r, 20);
    struct pending *p = pending_of(MSG_GRANT_ADD, 1);
    (void)view_copy(view_str("new"), p->name, sizeof(p->name));
    CHECK(server_changing(r.v, p));
    p->name[0] = 'N';
    CHECK(!server_changing(r.v, p));
    p->op = row_of(MSG_LOCK);
    p->name[0] = 'n';
    CHECK(!server_changing(r.v, p));
    pending_free(p);
    pending_free(NULL);
    rig_end(&r);
}
