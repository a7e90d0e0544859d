/* vault/vault.c: the real vault_main() in a child process, sandbox and all; the test is its supervisor and its workers. */
#include "vault_rig.h"

struct life {
    struct rig r; /* directories, buffers and clients; its `v` is not used: the vault is another process */
    pid_t vault, audit;
    int listen[2]; /* of the consumer "gw", of the administrators */
};

static void prepare(struct life *l, const char *yaml)
{
    *l = (struct life){.r = {.fd = -1, .worker = {-1, -1}, .supervisor = -1}, .listen = {-1, -1}};
    struct rig *r = &l->r;
    (void)snprintf(r->dir, sizeof(r->dir), "/dev/shm/vault-test-XXXXXX");
    CHECK(mkdtemp(r->dir));
    (void)snprintf(r->state, sizeof(r->state), "%s/state", r->dir);
    (void)snprintf(r->run, sizeof(r->run), "%s/run", r->dir);
    (void)snprintf(r->config, sizeof(r->config), "%s/broker.yaml", r->dir);
    r->dirs = (struct vault_dirs){.state = r->state, .run = r->run, .config = r->config};
    r->in.max = r->out.max = MSG_MAX;
    rig_write_config(r, yaml);
}

static void launch(struct life *l)
{
    struct rig *r = &l->r;
    int pair[2];
    CHECK_OK(ipc_pair(pair, &r->why), r->why);
    l->vault = fork();
    CHECK(l->vault >= 0);
    if (l->vault == 0) {
        for (int fd = 3; fd < 1024; fd++)
            if (fd != pair[1])
                close(fd);
        _exit(vault_main(pair[1], &r->dirs));
    }
    close(pair[1]);
    r->supervisor = pair[0];
}

static bool hear(struct rig *r, int sock, int ms)
{
    struct pollfd p = {.fd = sock, .events = POLLIN};
    return poll(&p, 1, ms) > 0 && rig_recv_now(r, sock);
}

/* The next packet to the supervisor: this type, and this text in it. */
static void expect(struct life *l, enum msg_type type, enum msg_field f, const char *text)
{
    CHECK(hear(&l->r, l->r.supervisor, RIG_WAIT_MS));
    CHECK_INT(l->r.msg.type, type);
    CHECK(view_is(msg_view(&l->r.msg, f), text));
}

static void to_vault(struct life *l, int fd)
{
    CHECK(!l->r.out.bad);
    CHECK_OK(ipc_send(l->r.supervisor, buf_view(&l->r.out), fd, &l->r.why), l->r.why);
}

static void spawned(struct life *l, const char *role, pid_t pid, int sock)
{
    msg_begin(&l->r.out, MSG_SPAWNED, 0, 0);
    msg_put_str(&l->r.out, F_ROLE, role);
    msg_put_u64(&l->r.out, F_PID, (uint64_t)pid);
    to_vault(l, sock);
}

static void refused(struct life *l, const char *role)
{
    msg_begin(&l->r.out, MSG_SPAWNED, 0, 0);
    msg_put_u64(&l->r.out, F_STATUS, ERR_LIMIT);
    msg_put_str(&l->r.out, F_REASON, "not today");
    msg_put_str(&l->r.out, F_ROLE, role);
    to_vault(l, -1);
}

static void plain(struct life *l, enum msg_type type)
{
    msg_begin(&l->r.out, type, 0, 0);
    to_vault(l, -1);
}

static void give_audit(struct life *l)
{
    char log[128];
    int pair[2];
    expect(l, MSG_SPAWN, F_ROLE, "audit");
    (void)snprintf(log, sizeof(log), "%s/log", l->r.state);
    int dirfd = open(log, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(dirfd >= 0);
    CHECK_OK(ipc_pair(pair, &l->r.why), l->r.why);
    l->audit = fork();
    if (l->audit == 0) {
        for (int fd = 3; fd < 1024; fd++)
            if (fd != pair[1] && fd != dirfd)
                close(fd);
        _exit(sink_writer_main(pair[1], dirfd));
    }
    spawned(l, "audit", l->audit, pair[0]);
    close(dirfd);
    close(pair[0]);
    close(pair[1]);
}

static void give_worker(struct life *l, unsigned side)
{
    int pair[2];
    expect(l, MSG_SPAWN, F_ROLE, worker_role(side));
    CHECK_OK(ipc_pair(pair, &l->r.why), l->r.why);
    spawned(l, worker_role(side), 4000 + (int)side, pair[0]);
    close(pair[0]);
    auto_close(&l->r.worker[side]);
    l->r.worker[side] = pair[1];
    rig_ready(&l->r, side);
}

static void take_listener(struct life *l, unsigned side, const char *consumer)
{
    CHECK(hear(&l->r, l->r.worker[side], RIG_WAIT_MS));
    CHECK(l->r.msg.type == MSG_LISTEN && view_is(msg_view(&l->r.msg, F_CONSUMER), consumer) && l->r.fd >= 0);
    auto_close(&l->listen[side]);
    l->listen[side] = TAKE_FD(l->r.fd);
}

static void start(struct life *l, const char *yaml)
{
    prepare(l, yaml);
    launch(l);
    give_audit(l);
    give_worker(l, WORKER_API);
    give_worker(l, WORKER_ADMIN);
    take_listener(l, WORKER_API, "gw");
    take_listener(l, WORKER_ADMIN, "admin");
    expect(l, MSG_NOTIFY, F_NOTE, "READY=1");
}

static err_t ask(struct life *l, enum msg_type type, uint64_t conn, int fd, const struct field *f)
{
    struct rig *r = &l->r;
    uint64_t id = rig_post(r, type, conn, fd, f);
    CHECK(hear(r, r->worker[rig_side(type)], RIG_WAIT_MS));
    CHECK(r->msg.type == MSG_REPLY && r->msg.id == id);
    buf_reset(&r->body);
    buf_add_view(&r->body, msg_view(&r->msg, F_BODY));
    CHECK(buf_text(&r->body));
    (void)view_copy(msg_view(&r->msg, F_REASON), r->why.text, sizeof(r->why.text));
    return (err_t)msg_u64(&r->msg, F_STATUS, ERR__COUNT);
}

static uint64_t connect_as(struct life *l, const char *consumer)
{
    unsigned side = strcmp(consumer, "admin") == 0 ? WORKER_ADMIN : WORKER_API;
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/%s/broker.sock", l->r.run, consumer);
    AUTO(auto_close) int fd = rig_connect_to(&l->r, l->listen[side], path);
    uint64_t id = rig_new_conn(&l->r);
    CHECK_OK(ask(l, side == WORKER_ADMIN ? MSG_STATUS : MSG_WHOAMI, id, fd, FIELDS()), l->r.why);
    return id;
}

/* The exit code; every wait status that is none is a failure. */
static int end_code(struct life *l)
{
    int status = -1, writer = -1;
    CHECK_INT(waitpid(l->vault, &status, 0), l->vault);
    if (l->audit > 0)
        CHECK(waitpid(l->audit, &writer, 0) == l->audit && WIFEXITED(writer) && WEXITSTATUS(writer) == 0); /* drained */
    l->audit = 0;
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void finish(struct life *l)
{
    int *fds[] = {&l->r.supervisor, &l->r.worker[0], &l->r.worker[1], &l->listen[0], &l->listen[1], &l->r.fd};
    struct scratch s;
    for (size_t i = 0; i < COUNT(fds); i++)
        auto_close(fds[i]);
    for (unsigned i = 0; i < l->r.n_clients; i++)
        close(l->r.client[i]);
    buf_free(&l->r.in);
    buf_free(&l->r.out);
    buf_free(&l->r.body);
    (void)view_copy(view_str(l->r.dir), s.path, sizeof(s.path));
    scratch_free(&s);
}

TEST(states_have_names)
{
    CHECK_STR(vault_state_name(VAULT_UNINITIALISED), "uninitialised");
    CHECK_STR(vault_state_name(VAULT_LOCKED), "locked");
    CHECK_STR(vault_state_name(VAULT_ROLLBACK), "rollback");
    CHECK_STR(vault_state_name(VAULT_READY), "ready");
}

TEST(a_life_from_empty_store_to_stop_and_again)
{
    struct life l;
    start(&l, "consumers:\n  - name: gw\n" RIG_GRANTS);
    uint64_t admin = connect_as(&l, "admin"), gw = connect_as(&l, "gw");
    CHECK_OK(ask(&l, MSG_INIT, admin, -1, FIELDS(S(F_SOURCE, "keyfile"))), l.r.why);
    AUTO(buf_free) struct buf b = {0};
    struct cred key = rig_key(KEY_SECRET);
    CHECK_OK(cred_encode(&key, &b, &l.r.why), l.r.why);
    CHECK_OK(ask(&l, MSG_CRED_PUT, admin, -1, FIELDS(V(F_BODY, buf_view(&b)), S(F_CREDENTIAL, "key"), S(F_PROVIDER, "anthropic"))), l.r.why);
    CHECK_OK(ask(&l, MSG_LEASE_ISSUE, gw, -1, FIELDS(S(F_CREDENTIAL, "key"), S(F_DELIVER, "secret"))), l.r.why);
    CHECK_HAS(&l.r, KEY_SECRET);
    CHECK_OK(ask(&l, MSG_CONSUMER_ADD, admin, -1, FIELDS(S(F_CONSUMER, "new"))), l.r.why); /* writes under its sandbox */
    take_listener(&l, WORKER_API, "new");
    plain(&l, MSG_STOP);
    CHECK_INT(end_code(&l), 0);
    CHECK(!rig_exists(&l.r, "run/gw/broker.sock") && !rig_exists(&l.r, "run/admin/broker.sock"));
    AUTO(buf_free) struct buf log = {.max = 1 << 20};
    CHECK(rig_file(&l.r, "state/log/audit-000001.jsonl", &log) && buf_text(&log));
    CHECK(strstr((char *)log.p, EVENT("broker.start")) && strstr((char *)log.p, EVENT("broker.stop")));
    /* and again: opened by its key file, with what was there */
    launch(&l);
    give_audit(&l);
    give_worker(&l, WORKER_API);
    give_worker(&l, WORKER_ADMIN);
    take_listener(&l, WORKER_API, "gw");
    take_listener(&l, WORKER_API, "new");
    take_listener(&l, WORKER_ADMIN, "admin");
    expect(&l, MSG_NOTIFY, F_NOTE, "READY=1");
    admin = connect_as(&l, "admin");
    CHECK_HAS(&l.r, "\"state\":\"ready\"");
    CHECK_HAS(&l.r, "\"credentials\":1");
    CHECK_HAS(&l.r, "\"leases\":1");
    plain(&l, MSG_STOP);
    CHECK_INT(end_code(&l), 0);
    finish(&l);
}

/* What the system calls of each operation need, its sandbox must allow: one call too many kills the process. */
TEST(every_operation_works_in_the_sandbox)
{
    struct life l;
    struct rig *r = &l.r;
    char yaml[600], path[160];
    (void)snprintf(yaml, sizeof(yaml), "admin: { uid: [4000001] }\nconsumers:\n  - name: gw\n    peer: { uid: [%u, 4000000] }\n" RIG_GRANTS, getuid());
    start(&l, yaml);
    (void)snprintf(path, sizeof(path), "%s/second.key", r->dir);
    uint64_t admin = connect_as(&l, "admin"), gw = connect_as(&l, "gw");
    CHECK_OK(ask(&l, MSG_INIT, admin, -1, FIELDS(S(F_SOURCE, "keyfile"))), r->why);
    AUTO(buf_free) struct buf b = {0};
    struct cred login = rig_login(ACCESS_TOKEN, 3600000);
    CHECK_OK(cred_encode(&login, &b, &r->why), r->why);
    CHECK_OK(ask(&l, MSG_CRED_PUT, admin, -1, FIELDS(V(F_BODY, buf_view(&b)), S(F_CREDENTIAL, "claude"), S(F_PROVIDER, "claude"))), r->why);
    CHECK_OK(ask(&l, MSG_LEASE_ISSUE, gw, -1, FIELDS(S(F_CREDENTIAL, "claude"), S(F_DELIVER, "file"))), r->why);
    CHECK(rig_exists(r, "run/gw/files/claude/.credentials.json"));
    err_t owned = ask(&l, MSG_LEASE_ISSUE, gw, -1, FIELDS(S(F_CREDENTIAL, "claude"), S(F_DELIVER, "access_token"), S(F_OWNER, "process")));
    CHECK(owned == ERR_OK || owned == ERR_DENIED || owned == ERR_CONFLICT);
    const struct {
        enum msg_type type;
        const struct field *f;
    } row[] = {
        {MSG_CRED_PUT, FIELDS(V(F_BODY, buf_view(&b)), S(F_CREDENTIAL, "claude"), N(F_FLAGS, 1))},
        {MSG_CRED_SHOW, FIELDS(S(F_CREDENTIAL, "claude"))},
        {MSG_CRED_LIST, FIELDS()},
        {MSG_KEY_ADD, FIELDS(S(F_SOURCE, "keyfile"), S(F_PATH, path))},
        {MSG_KEY_LIST, FIELDS()},
        {MSG_KEY_REMOVE, FIELDS(N(F_SLOT, 1))},
        {MSG_REKEY, FIELDS()},
        {MSG_LOCK, FIELDS()},
        {MSG_UNLOCK, FIELDS()}, /* the projected file comes back */
        {MSG_CONSUMER_ADD, FIELDS(S(F_CONSUMER, "new"), S(F_UIDS, "4000003"))},
        {MSG_GRANT_ADD, FIELDS(S(F_CONSUMER, "new"), S(F_CREDENTIAL, "claude"), S(F_DELIVER, "file"))},
        {MSG_GRANT_REMOVE, FIELDS(S(F_CONSUMER, "new"), S(F_CREDENTIAL, "claude"))},
        {MSG_CONSUMER_REMOVE, FIELDS(S(F_CONSUMER, "new"))},
        {MSG_CONSUMER_LIST, FIELDS()},
        {MSG_RELOAD, FIELDS()},
        {MSG_STATUS, FIELDS()},
        {MSG_METRICS, FIELDS()},
        {MSG_AUDIT_READ, FIELDS()},
        {MSG_ADMIN_LEASES, FIELDS()},
        {MSG_ADMIN_REVOKE, FIELDS(N(F_FLAGS, 1))},
        {MSG_CRED_REMOVE, FIELDS(S(F_CREDENTIAL, "claude"))},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        CHECK_OK(ask(&l, row[i].type, admin, -1, row[i].f), r->why);
        if (row[i].type == MSG_UNLOCK)
            CHECK(rig_exists(r, "run/gw/files/claude/.credentials.json"));
    }
    CHECK(!rig_exists(r, "run/gw/files"));
    plain(&l, MSG_STOP);
    CHECK_INT(end_code(&l), 0);
    finish(&l);
}

TEST(a_reload_signal_is_told_to_the_service_manager)
{
    struct life l;
    start(&l, "consumers:\n  - name: gw\n");
    rig_write_config(&l.r, "consumers:\n  - name: gw\n  - name: more\n");
    plain(&l, MSG_RELOAD_SIGNAL);
    expect(&l, MSG_NOTIFY, F_NOTE, "RELOADING=1");
    expect(&l, MSG_NOTIFY, F_NOTE, "READY=1");
    take_listener(&l, WORKER_API, "more");
    rig_write_config(&l.r, "nonsense");
    plain(&l, MSG_RELOAD_SIGNAL); /* refused: the old one stays */
    expect(&l, MSG_NOTIFY, F_NOTE, "RELOADING=1");
    expect(&l, MSG_NOTIFY, F_NOTE, "READY=1");
    CHECK(rig_exists(&l.r, "run/more/broker.sock"));
    plain(&l, MSG_STOP);
    CHECK_INT(end_code(&l), 0);
    finish(&l);
}

TEST(workers_that_cannot_be_started_or_die_are_asked_for_again)
{
    struct life l;
    prepare(&l, "consumers:\n  - name: gw\n");
    launch(&l);
    plain(&l, MSG_RELOAD_SIGNAL); /* before anything is up */
    expect(&l, MSG_SPAWN, F_ROLE, "audit");
    refused(&l, "audit");
    give_audit(&l);
    expect(&l, MSG_SPAWN, F_ROLE, "api");
    expect(&l, MSG_SPAWN, F_ROLE, "admin");
    refused(&l, "api");
    refused(&l, "admin");
    give_worker(&l, WORKER_API);
    give_worker(&l, WORKER_ADMIN);
    take_listener(&l, WORKER_API, "gw");
    take_listener(&l, WORKER_ADMIN, "admin");
    expect(&l, MSG_NOTIFY, F_NOTE, "READY=1");
    uint64_t admin = connect_as(&l, "admin");
    /* the api worker dies, told by the supervisor; a key source's helper cannot be had */
    msg_begin(&l.r.out, MSG_CHILD_EXIT, 0, 0);
    msg_put_str(&l.r.out, F_ROLE, "api");
    msg_put_u64(&l.r.out, F_PID, 4000);
    msg_put_u64(&l.r.out, F_EXIT, 9);
    to_vault(&l, -1);
    give_worker(&l, WORKER_API);
    take_listener(&l, WORKER_API, "gw");
    uint64_t id = rig_post(&l.r, MSG_INIT, admin, -1, FIELDS(S(F_PASSPHRASE, "horse"), S(F_SOURCE, "passphrase")));
    expect(&l, MSG_SPAWN, F_ROLE, "kdf");
    refused(&l, "kdf");
    CHECK(hear(&l.r, l.r.worker[WORKER_ADMIN], RIG_WAIT_MS) && l.r.msg.id == id);
    CHECK_INT(msg_u64(&l.r.msg, F_STATUS, 0), ERR_UNAVAILABLE);
    plain(&l, MSG_STOP);
    CHECK_INT(end_code(&l), 0);
    finish(&l);
}

TEST(without_a_supervisor_it_ends)
{
    struct life l;
    start(&l, "consumers:\n  - name: gw\n");
    auto_close(&l.r.supervisor);
    l.r.supervisor = -1;
    CHECK_INT(end_code(&l), 1);
    finish(&l);
    /* also while it starts */
    prepare(&l, "consumers:\n  - name: gw\n");
    launch(&l);
    expect(&l, MSG_SPAWN, F_ROLE, "audit");
    auto_close(&l.r.supervisor);
    l.r.supervisor = -1;
    CHECK_INT(end_code(&l), err_exit(ERR_UNAVAILABLE));
    finish(&l);
}

TEST(nonsense_from_the_supervisor_changes_nothing)
{
    struct life l;
    start(&l, "consumers:\n  - name: gw\n");
    CHECK_OK(ipc_send(l.r.supervisor, view_str("rubbish"), -1, &l.r.why), l.r.why);
    CHECK_OK(ipc_send(l.r.supervisor, view_str("with a descriptor"), l.listen[0], &l.r.why), l.r.why);
    spawned(&l, "nobody", 1, l.listen[0]);
    (void)connect_as(&l, "admin");
    plain(&l, MSG_STOP);
    CHECK_INT(end_code(&l), 0);
    finish(&l);
}

TEST(what_keeps_it_from_starting_is_its_exit_code)
{
    struct life l;
    prepare(&l, "consumers: nonsense\n");
    launch(&l);
    CHECK_INT(end_code(&l), err_exit(ERR_INVALID));
    finish(&l);

    prepare(&l, "consumers:\n  - name: gw\n");
    CHECK_INT(mkdir(l.r.state, 0700) | chmod(l.r.state, 0755), 0);
    launch(&l);
    CHECK_INT(end_code(&l), err_exit(ERR_PERMISSION));
    finish(&l);

    start(&l, "consumers:\n  - name: gw\n");
    struct life second = {.r = l.r, .listen = {-1, -1}}; /* over the same directories */
    second.r.in = second.r.out = second.r.body = (struct buf){.max = MSG_MAX};
    launch(&second);
    CHECK_INT(end_code(&second), err_exit(ERR_CONFLICT));
    auto_close(&second.r.supervisor);
    (void)connect_as(&l, "gw"); /* the first one is not disturbed */
    plain(&l, MSG_STOP);
    CHECK_INT(end_code(&l), 0);
    finish(&l);
}
