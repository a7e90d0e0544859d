/*
 * A whole vault in this process: real store, real key file, real leases, real audit log with its writer in a child process, real listening
 * sockets and clients. Only the sandbox, the supervisor and the api workers are the test's own: their ends of the socketpairs are here,
 * and a reply comes by turning the vault's loop. A stopped (SIGSTOP) writer is a disk that hangs.
 */
#ifndef TESTS_VAULT_RIG_H
#define TESTS_VAULT_RIG_H

#include "check.h"
#include "scratch.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/ipc.h"
#include "base/log.h"
#include "vault/conn.h"
#include "vault/deliver.h"
#include "vault/init.h"
#include "vault/keycall.h"
#include "vault/listen.h"
#include "vault/oauthcall.h"
#include "vault/parked.h"
#include "vault/ops.h"
#include "vault/sink.h"
#include "vault/unlock.h"
#include "vault/worker.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

enum { RIG_WAIT_MS = 10000, RIG_CLIENTS = 64 };

/* ---- what the vault says to the operator: kept instead of printed */

static char rig_log[1 << 16];

void log_event(enum log_level level, const char *event, ...)
{
    size_t at = strlen(rig_log), room = sizeof(rig_log) - at;
    va_list ap;
    (void)level;
    if (room < 512)
        return;
    at += (size_t)snprintf(rig_log + at, room, "%s", event);
    va_start(ap, event);
    for (const char *key; (key = va_arg(ap, const char *)) != NULL;) {
        const char *value = va_arg(ap, const char *);
        if (at + 300 < sizeof(rig_log))
            at += (size_t)snprintf(rig_log + at, 300, " %s=%s", key, value ? value : "");
    }
    va_end(ap);
    (void)snprintf(rig_log + at, sizeof(rig_log) - at, "\n");
}

/* ---- the rig */

struct rig {
    char dir[64], state[96], run[96], config[128];
    struct vault_dirs dirs;
    struct store_ops ops; /* the file store's; a test may put others in their place */
    struct vault *v;
    int supervisor;       /* our ends */
    int worker[WORKER__COUNT]; /* but the audit writer's */
    pid_t writer;
    uint64_t next_id, next_slot;
    int client[RIG_CLIENTS];
    unsigned n_clients;
    struct buf out, in, body;
    struct msg msg; /* the last one received; views into `in` */
    int fd;         /* its descriptor, or -1 */
    bool (*until)(struct rig *);
    struct loop_timer *tick;
    int64_t give_up;
    struct why why;
};

static struct {
    unsigned record_reads, header_writes;
    bool no_header, no_append; /* writes of the key header, of the manifest fail */
} rig_store;

static inline err_t rig_record_read(struct store *s, const char *name, struct buf *out, struct why *why)
{
    rig_store.record_reads++;
    return store_by_name(view_str("file"))->record_read(s, name, out, why);
}
static inline err_t rig_header_write(struct store *s, struct view bytes, struct why *why)
{
    rig_store.header_writes++;
    return rig_store.no_header ? fail(why, ERR_NO_SPACE, "injected") : store_by_name(view_str("file"))->header_write(s, bytes, why);
}
static inline err_t rig_append(struct store *s, struct view entry, struct why *why)
{
    return rig_store.no_append ? fail(why, ERR_NO_SPACE, "injected") : store_by_name(view_str("file"))->manifest_append(s, entry, why);
}

/* ---- turning the loop */

static inline void rig_check_until(struct rig *r)
{
    if (r->until && r->until(r))
        loop_stop(r->v->loop, 0);
    else if (clock_boot_ms() > r->give_up)
        loop_stop(r->v->loop, 1);
}

static inline void rig_on_turn_end(void *ctx)
{
    struct rig *r = ctx;
    server_turn_end(r->v);
    rig_check_until(r);
}

static inline void rig_on_tick(void *ctx)
{
    struct rig *r = ctx;
    (void)!loop_timer_set(r->tick, clock_boot_ms() + 2);
}

/* False: not within `ms`. */
static inline bool rig_until(struct rig *r, bool (*until)(struct rig *), int ms)
{
    r->until = until;
    r->give_up = clock_boot_ms() + ms;
    CHECK_INT(loop_timer_set(r->tick, clock_boot_ms() + 1), ERR_OK);
    int code = loop_run(r->v->loop);
    loop_timer_cancel(r->tick);
    r->until = NULL;
    return code == 0;
}

static inline bool rig_never(struct rig *r)
{
    (void)r;
    return false;
}

static inline void rig_turns(struct rig *r, int ms)
{
    (void)rig_until(r, rig_never, ms);
}

/* ---- audit writer */

static inline void rig_start_writer(struct rig *r)
{
    int pair[2];
    CHECK_OK(ipc_pair(pair, &r->why), r->why);
    r->writer = fork();
    CHECK(r->writer >= 0);
    if (r->writer == 0) {
        for (int fd = 3; fd < 1024; fd++)
            if (fd != pair[1] && fd != r->v->log_fd)
                close(fd);
        _exit(sink_writer_main(pair[1], r->v->log_fd));
    }
    close(pair[1]);
    CHECK_OK(worker_attach(r->v, WORKER_AUDIT, pair[0], r->writer, &r->why), r->why);
}

static inline void rig_hang_disk(struct rig *r)
{
    int status;
    CHECK_INT(kill(r->writer, SIGSTOP), 0);
    CHECK_INT(waitpid(r->writer, &status, WUNTRACED), r->writer);
}

static inline void rig_free_disk(struct rig *r)
{
    CHECK_INT(kill(r->writer, SIGCONT), 0);
}

/* ---- workers and supervisor */

static inline unsigned rig_side(enum msg_type type)
{
    uint32_t from = msg_rule(type)->from;
    return from & FROM_ADMIN ? WORKER_ADMIN : from & FROM_API ? WORKER_API : WORKER_PROXY;
}

/* The next packet for a worker, if there is one now. */
static inline bool rig_recv_now(struct rig *r, int sock)
{
    struct why why = {0};
    auto_close(&r->fd);
    r->fd = -1;
    if (ipc_recv(sock, &r->in, &r->fd, &why) != ERR_OK)
        return false;
    CHECK_OK(msg_parse(buf_view(&r->in), FROM_VAULT, &r->msg, &r->why), r->why);
    return true;
}

static inline bool rig_readable(int sock)
{
    struct pollfd p = {.fd = sock, .events = POLLIN};
    return poll(&p, 1, 0) > 0;
}
static inline bool rig_api_speaks(struct rig *r)
{
    return rig_readable(r->worker[WORKER_API]);
}
static inline bool rig_admin_speaks(struct rig *r)
{
    return rig_readable(r->worker[WORKER_ADMIN]);
}
static inline bool rig_proxy_speaks(struct rig *r)
{
    return rig_readable(r->worker[WORKER_PROXY]);
}
static inline bool rig_proxy2_speaks(struct rig *r)
{
    return rig_readable(r->worker[WORKER_PROXY + 1]);
}
static inline bool rig_supervisor_hears(struct rig *r)
{
    return rig_readable(r->supervisor);
}

static inline bool rig_recv(struct rig *r, unsigned side, int ms)
{
    static bool (*const hears[])(struct rig *) = {[WORKER_API] = rig_api_speaks,
                                                  [WORKER_ADMIN] = rig_admin_speaks,
                                                  [WORKER_PROXY] = rig_proxy_speaks,
                                                  [WORKER_PROXY + 1] = rig_proxy2_speaks};
    bool (*speaks)(struct rig *) = hears[side];
    return (speaks(r) || rig_until(r, speaks, ms)) && rig_recv_now(r, r->worker[side]);
}

static inline void rig_send(struct rig *r, unsigned side, int fd)
{
    CHECK(!r->out.bad);
    CHECK_OK(ipc_send(r->worker[side], buf_view(&r->out), fd, &r->why), r->why);
}

static inline void rig_attach_worker(struct rig *r, unsigned side)
{
    int pair[2];
    CHECK_OK(ipc_pair(pair, &r->why), r->why);
    auto_close(&r->worker[side]);
    r->worker[side] = pair[0];
    CHECK_OK(worker_attach(r->v, side, pair[1], 1000 + (int)side, &r->why), r->why);
}

static inline void rig_ready(struct rig *r, unsigned side)
{
    msg_begin(&r->out, MSG_READY, 0, 0);
    msg_put_str(&r->out, F_REASON, "seccomp landlock:9");
    rig_send(r, side, -1);
}

/* The vault asks the supervisor for this role; waits for it. */
static inline bool rig_asked_for(struct rig *r, const char *role, int ms)
{
    while (rig_supervisor_hears(r) || rig_until(r, rig_supervisor_hears, ms)) {
        if (!rig_recv_now(r, r->supervisor))
            return false;
        if (r->msg.type == MSG_SPAWN && view_is(msg_view(&r->msg, F_ROLE), role))
            return true;
    }
    return false;
}

/* ---- clients */

static inline const struct vault_listener *rig_listener(struct rig *r, const char *consumer)
{
    for (unsigned i = 0; i < r->v->n_listeners; i++)
        if (!r->v->listeners[i].proxy && strcmp(r->v->listeners[i].consumer, consumer) == 0)
            return &r->v->listeners[i];
    return NULL;
}

static inline const struct vault_listener *rig_proxy_listener(struct rig *r, const char *consumer)
{
    for (unsigned i = 0; i < r->v->n_listeners; i++)
        if (r->v->listeners[i].proxy && strcmp(r->v->listeners[i].consumer, consumer) == 0)
            return &r->v->listeners[i];
    return NULL;
}

/* Connects to a listening socket; gives the accepted end. The client's stays open until the rig ends. */
static inline int rig_connect_to(struct rig *r, int listen_fd, const char *path)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    CHECK(view_copy(view_str(path), sa.sun_path, sizeof(sa.sun_path)));
    int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(client >= 0 && r->n_clients < RIG_CLIENTS);
    r->client[r->n_clients++] = client;
    CHECK_INT(connect(client, (struct sockaddr *)&sa, sizeof(sa)), 0);
    int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
    CHECK(fd >= 0);
    return fd;
}

static inline int rig_connect(struct rig *r, const char *consumer)
{
    const struct vault_listener *l = rig_listener(r, consumer);
    CHECK(l);
    return rig_connect_to(r, l->fd, l->path);
}

static inline uint64_t rig_new_conn(struct rig *r)
{
    return ++r->next_slot | (uint64_t)1 << 32;
}

/* ---- requests: ASK(&r, MSG_X, conn, S(F_CREDENTIAL, "claude"), N(F_TTL_MS, 1000)) gives the status of the reply */

struct field {
    enum msg_field f;
    char kind;
    const char *s;
    uint64_t u;
    struct view v;
};

static inline uint64_t rig_post(struct rig *r, enum msg_type type, uint64_t conn, int fd, const struct field *f)
{
    uint64_t id = ++r->next_id;
    msg_begin(&r->out, type, id, conn);
    for (; f->f != F__COUNT; f++) {
        if (f->kind == 'S')
            msg_put_str(&r->out, f->f, f->s);
        else if (f->kind == 'V')
            msg_put(&r->out, f->f, f->v);
        else
            msg_put_u64(&r->out, f->f, f->u);
    }
    rig_send(r, rig_side(type), fd);
    return id;
}

/* The reply to `id`; others in between are thrown away. Its outcome; the body is in r->body. */
static inline err_t rig_reply(struct rig *r, unsigned side, uint64_t id)
{
    for (;;) {
        CHECK(rig_recv(r, side, RIG_WAIT_MS));
        if (r->msg.type == MSG_REPLY && r->msg.id == id)
            break;
    }
    struct view reason = msg_view(&r->msg, F_REASON);
    buf_reset(&r->body);
    buf_add_view(&r->body, msg_view(&r->msg, F_BODY));
    (void)view_copy(reason, r->why.text, sizeof(r->why.text));
    CHECK(buf_text(&r->body));
    err_t e = (err_t)msg_u64(&r->msg, F_STATUS, ERR__COUNT);
    CHECK((e == ERR_OK) == (reason.n == 0)); /* a refusal has a sentence, an answer has none */
    return e;
}

static inline err_t rig_ask(struct rig *r, enum msg_type type, uint64_t conn, int fd, const struct field *f)
{
    return rig_reply(r, rig_side(type), rig_post(r, type, conn, fd, f));
}

#define S(tag, text) {.f = (tag), .kind = 'S', .s = (text)} /* NULL: left out */
#define N(tag, number) {.f = (tag), .kind = 'N', .u = (number)}
#define V(tag, view) {.f = (tag), .kind = 'V', .v = (view)}
#define FIELDS(...) ((const struct field[]){__VA_ARGS__ __VA_OPT__(, ) {.f = F__COUNT}})
#define ASK(r, type, conn, ...) rig_ask(r, type, conn, -1, FIELDS(__VA_ARGS__))
#define POST(r, type, conn, ...) rig_post(r, type, conn, -1, FIELDS(__VA_ARGS__))
#define REPLY(r, type, id) rig_reply(r, rig_side(type), id)

static inline const char *rig_body(struct rig *r)
{
    return (const char *)r->body.p;
}
#define CHECK_HAS(r, part)                                                                       \
    do {                                                                                         \
        if (!strstr(rig_body(r), part)) {                                                        \
            printf("    %s:%d: no %s in %.600s\n", __FILE__, __LINE__, part, rig_body(r));       \
            longjmp(check_out, 1);                                                               \
        }                                                                                        \
    } while (0)
#define CHECK_WHY(r, part)                                                                       \
    do {                                                                                         \
        if (!strstr((r)->why.text, part)) {                                                      \
            printf("    %s:%d: no \"%s\" in \"%s\"\n", __FILE__, __LINE__, part, (r)->why.text); \
            longjmp(check_out, 1);                                                               \
        }                                                                                        \
    } while (0)

/* The text of the first member `key` of the last body. */
static inline void rig_text(struct rig *r, const char *key, char *out, size_t cap)
{
    char member[64];
    (void)snprintf(member, sizeof(member), "\"%s\":\"", key);
    const char *at = strstr(rig_body(r), member);
    CHECK(at);
    at += strlen(member);
    CHECK(view_copy(VIEW(at, strcspn(at, "\"")), out, cap));
}

/* A shown connection of the consumer ("admin": the operator's). */
static inline uint64_t rig_conn(struct rig *r, const char *consumer)
{
    AUTO(auto_close) int fd = rig_connect(r, consumer);
    uint64_t id = rig_new_conn(r);
    enum msg_type type = strcmp(consumer, "admin") == 0 ? MSG_STATUS : MSG_WHOAMI;
    CHECK_OK(rig_ask(r, type, id, fd, FIELDS()), r->why);
    return id;
}

/* ---- beginning and end */

static inline void rig_write_config(struct rig *r, const char *yaml)
{
    scratch_write(r->config, yaml, strlen(yaml), 0600);
}

#define RIG_GRANTS                                                                               \
    "    grants:\n"                                                                              \
    "      - credential: key\n        deliver: [helper, secret]\n        ttl: 15m\n"             \
    "      - credential: claude\n        deliver: [access_token, file]\n        ttl: 15m\n"
#define RIG_CONFIG "consumers:\n  - name: gw\n" RIG_GRANTS "  - name: other\n" RIG_GRANTS

static inline void rig_open_vault(struct rig *r)
{
    const struct file_dir own = {.create = true, .mode = 0700, .forbidden = 0077};
    const struct file_dir run = {.create = true, .mode = 0755, .forbidden = 0022};
    struct vault *v = r->v = calloc(1, sizeof(*v));
    char dropins[128];
    CHECK(v);
    *v = (struct vault){.dirs = &r->dirs, .state = VAULT_LOCKED, .started_ms = clock_boot_ms(), .store_ops = &r->ops};
    v->queue_tail = &v->queue;
    v->reply.max = SERVER_BODY_MAX;
    v->scratch.max = 2 * TOKEN_MAX_TEXT;
    for (unsigned k = 0; k < WORKER__COUNT; k++) {
        v->workers[k].vault = v;
        v->workers[k].kind = k;
        v->workers[k].sock = -1;
    }
    CHECK_OK(loop_new(&v->loop, &r->why), r->why);
    CHECK_OK(file_open_dir(r->state, &own, &v->state_fd, &r->why), r->why);
    CHECK_OK(file_open_dir(r->run, &run, &v->run_fd, &r->why), r->why);
    CHECK_OK(file_open_dir_at(v->state_fd, "log", &own, &v->log_fd, &r->why), r->why);
    (void)snprintf(dropins, sizeof(dropins), "%s/consumers", r->state);
    CHECK_OK(config_load(r->config, dropins, &v->config, &r->why), r->why);
    CHECK_OK(v->store_ops->open(&v->store, r->state, true, &r->why), r->why);
    CHECK_INT(loop_timer_new(v->loop, server_on_progress, v, &v->queue_timer), ERR_OK);
    CHECK_INT(loop_timer_new(v->loop, rig_on_tick, r, &r->tick), ERR_OK);
    loop_on_turn_end(v->loop, rig_on_turn_end, r);
}

/* A vault whose store is as it lies in the directories: what vault_main() does, without its sandbox. */
static inline void rig_start(struct rig *r)
{
    rig_log[0] = '\0';
    scratch_pool();
    r->ops = *store_by_name(view_str("file"));
    r->ops.record_read = rig_record_read;
    r->ops.header_write = rig_header_write;
    r->ops.manifest_append = rig_append;
    memset(&rig_store, 0, sizeof(rig_store));
    rig_open_vault(r);
    rig_start_writer(r);
    int pair[2]; /* after the fork: the writer has none of our channels, not even for a moment */
    CHECK_OK(ipc_pair(pair, &r->why), r->why);
    r->v->supervisor = pair[0];
    r->supervisor = pair[1];
    CHECK_OK(listen_sync(r->v, &r->why), r->why);
    for (unsigned side = 0; side < WORKER__COUNT; side++)
        r->worker[side] = -1;
    for (unsigned side = 0; side < 2; side++) {
        rig_attach_worker(r, side);
        rig_ready(r, side);
    }
    unlock_at_start(r->v);
}

/* `root`: where the directories go; NULL: a tmpfs. */
static inline void rig_make(struct rig *r, const char *root, const char *yaml)
{
    *r = (struct rig){.fd = -1};
    (void)snprintf(r->dir, sizeof(r->dir), "%s/vault-test-XXXXXX", root ? root : "/dev/shm");
    CHECK(mkdtemp(r->dir));
    (void)snprintf(r->state, sizeof(r->state), "%s/state", r->dir);
    (void)snprintf(r->run, sizeof(r->run), "%s/run", r->dir);
    (void)snprintf(r->config, sizeof(r->config), "%s/broker.yaml", r->dir);
    r->dirs = (struct vault_dirs){.state = r->state, .run = r->run, .config = r->config};
    r->in.max = r->out.max = MSG_MAX;
    rig_write_config(r, yaml);
    rig_start(r);
}

/* The vault ends as in vault.c; its directories stay. */
static inline void rig_stop(struct rig *r)
{
    struct vault *v = r->v;
    v->stopping = true;
    listen_close(v);
    keycall_cancel_all(v);
    unlock_close(v, "stopping");
    oauthcall_cancel_all(v);
    parked_free(&v->stranded);
    for (unsigned k = 0; k < WORKER__COUNT; k++)
        worker_free(&v->workers[k]);
    while (v->queue) {
        struct pending *p = v->queue;
        v->queue = p->next;
        pending_free(p);
    }
    (void)kill(r->writer, SIGCONT);
    sink_free(v->sink);
    (void)waitpid(r->writer, NULL, 0);
    v->store_ops->close(v->store);
    loop_timer_free(v->queue_timer);
    loop_timer_free(r->tick);
    loop_unwatch(v->supervisor_watch);
    loop_free(v->loop);
    config_free(v->config);
    int fds[] = {v->log_fd, v->run_fd, v->state_fd, v->supervisor, r->supervisor, r->fd};
    for (size_t i = 0; i < COUNT(fds); i++)
        auto_close(&fds[i]);
    for (size_t i = 0; i < WORKER__COUNT; i++)
        auto_close(&r->worker[i]);
    for (unsigned i = 0; i < r->n_clients; i++)
        close(r->client[i]);
    r->n_clients = 0;
    r->fd = -1;
    ipc_batch_free(&v->inbox);
    struct buf *bufs[] = {&v->reply, &v->scratch};
    for (size_t i = 0; i < COUNT(bufs); i++)
        buf_free(bufs[i]);
    free(v);
}

static inline void rig_end(struct rig *r)
{
    rig_stop(r);
    buf_free(&r->in);
    buf_free(&r->out);
    buf_free(&r->body);
    CHECK(strstr(r->dir, "/vault-test-"));
    struct scratch s;
    (void)view_copy(view_str(r->dir), s.path, sizeof(s.path));
    scratch_free(&s);
}

static inline void rig_restart(struct rig *r)
{
    rig_stop(r);
    rig_start(r);
}

/* An open store with the standard configuration; gives an operator's connection. */
static inline uint64_t rig_init(struct rig *r)
{
    uint64_t admin = rig_conn(r, "admin");
    CHECK_OK(ASK(r, MSG_INIT, admin, S(F_SOURCE, "keyfile")), r->why);
    CHECK_HAS(r, "\"state\":\"ready\"");
    return admin;
}

static inline uint64_t rig_begin(struct rig *r)
{
    rig_make(r, NULL, RIG_CONFIG);
    return rig_init(r);
}

/* ---- credentials */

#define KEY_SECRET "sk-ant-api03-SECRETSECRETSECRETSECRET"
#define ACCESS_TOKEN "sk-ant-oat01-ACCESSACCESSACCESSACCESS"
/* A login that nobody can renew. */
#define WITHOUT_REFRESH(login) ((login).f[CF_REFRESH_TOKEN] = (struct view){0})
#define REFRESH_TOKEN "sk-ant-ort01-REFRESHREFRESHREFRESH"

static inline err_t rig_put(struct rig *r, uint64_t admin, const char *name, const struct cred *c, bool replace)
{
    AUTO(buf_free) struct buf b = {0};
    bool login = view_is(c->f[CF_KIND], "login");
    CHECK_OK(cred_encode(c, &b, &r->why), r->why);
    return ASK(r, MSG_CRED_PUT, admin, V(F_BODY, buf_view(&b)), S(F_CREDENTIAL, name),
               S(F_PROVIDER, login ? "claude" : "anthropic"), N(F_FLAGS, replace));
}

static inline struct cred rig_key(const char *secret)
{
    struct cred c = {0};
    c.f[CF_KIND] = view_str("api_key");
    c.f[CF_SECRET] = view_str(secret);
    return c;
}

static inline struct cred rig_login(const char *access, int64_t left_ms)
{
    static char ends[24];
    struct cred c = {0};
    (void)snprintf(ends, sizeof(ends), "%lld", (long long)(clock_wall_ms() + left_ms));
    c.f[CF_KIND] = view_str("login");
    c.f[CF_ACCESS_TOKEN] = view_str(access);
    c.f[CF_REFRESH_TOKEN] = view_str(REFRESH_TOKEN);
    c.f[CF_EXPIRES_AT] = view_str(ends);
    return c;
}

/* "key" (an API key) and "claude" (a login) are enrolled. */
static inline void rig_enroll(struct rig *r, uint64_t admin)
{
    struct cred key = rig_key(KEY_SECRET), login = rig_login(ACCESS_TOKEN, 3600000);
    CHECK_OK(rig_put(r, admin, "key", &key, false), r->why);
    CHECK_OK(rig_put(r, admin, "claude", &login, false), r->why);
}

static inline err_t rig_issue(struct rig *r, uint64_t conn, const char *credential, const char *deliver)
{
    return ASK(r, MSG_LEASE_ISSUE, conn, S(F_CREDENTIAL, credential), S(F_DELIVER, deliver));
}

/* ---- the helper of a key source */

struct rig_helper {
    int sock;
    struct buf in; /* the question, viewed into by `ask` */
    struct msg ask;
};

/* The vault asks for a helper of this role and gets one; its question. */
static inline struct rig_helper rig_helper(struct rig *r, const char *role)
{
    struct rig_helper h = {.in = {.max = MSG_MAX}};
    int pair[2], fd = -1;
    CHECK(rig_asked_for(r, role, RIG_WAIT_MS));
    CHECK_OK(ipc_pair(pair, &r->why), r->why);
    keycall_on_spawned(r->v, role, pair[0]);
    h.sock = pair[1];
    CHECK_OK(ipc_recv(h.sock, &h.in, &fd, &r->why), r->why);
    CHECK_OK(msg_parse(buf_view(&h.in), FROM_VAULT, &h.ask, &r->why), r->why);
    CHECK(h.ask.type == MSG_KEY_ASK && fd == -1);
    return h;
}

static inline void rig_helper_end(struct rig_helper *h)
{
    auto_close(&h->sock);
    h->sock = -1;
    buf_free(&h->in);
}

static inline void rig_answer(struct rig *r, struct rig_helper *h, err_t status, struct view params, struct view key)
{
    AUTO(buf_free) struct buf b = {.max = MSG_MAX};
    msg_begin(&b, MSG_KEY_ANSWER, 0, 0);
    msg_put_u64(&b, F_STATUS, (uint64_t)status);
    if (status != ERR_OK)
        msg_put_str(&b, F_REASON, "the helper says no");
    if (params.p)
        msg_put(&b, F_PARAMS, params);
    if (key.p)
        msg_put(&b, F_KEY, key);
    CHECK_OK(ipc_send(h->sock, buf_view(&b), -1, &r->why), r->why);
    rig_turns(r, 5);
}

/* A helper that makes the key from the passphrase: 32 times its first byte. */
static inline void rig_derive(struct rig *r)
{
    struct rig_helper h = rig_helper(r, "kdf");
    struct view pass = msg_view(&h.ask, F_PASSPHRASE);
    uint8_t key[32];
    CHECK(pass.n > 0);
    memset(key, pass.p[0], sizeof(key));
    bool create = view_is(msg_view(&h.ask, F_OP), "create");
    rig_answer(r, &h, ERR_OK, create ? view_str("salt") : VIEW(NULL, 0), VIEW(key, 32));
    rig_helper_end(&h);
}

/* ---- the audit log */

static inline bool rig_is_durable(struct rig *r)
{
    sink_flush(r->v->sink, true);
    return sink_durable(r->v->sink) == sink_head(r->v->sink);
}

/* How many lines of the log so far have all of the texts (up to three; NULL: none). */
static inline unsigned rig_logged(struct rig *r, const char *a, const char *b, const char *c)
{
    AUTO(buf_free) struct buf log = {.max = 8 << 20};
    unsigned n = 0;
    CHECK(rig_until(r, rig_is_durable, RIG_WAIT_MS));
    CHECK_OK(audit_read(r->v->audit, 0, 1000000, &log, &r->why), r->why);
    CHECK(buf_text(&log));
    for (char *line = (char *)log.p, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = '\0';
        n += strstr(line, a) && (!b || strstr(line, b)) && (!c || strstr(line, c));
    }
    return n;
}
#define EVENT(name) "\"event\":\"" name "\""
#define OUTCOME(name) "\"outcome\":\"" name "\""

static inline bool rig_file(struct rig *r, const char *rel, struct buf *out)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/%s", r->dir, rel);
    return file_read_at(AT_FDCWD, path, 1 << 20, out, &r->why) == ERR_OK;
}

static inline bool rig_exists(struct rig *r, const char *rel)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/%s", r->dir, rel);
    return access(path, F_OK) == 0;
}

#endif
