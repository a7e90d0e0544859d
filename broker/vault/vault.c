/*
 * The vault's life: open what it needs, give up the rest, run, close. Nothing foreign is read before the sandbox is on, and the
 * store is opened only after that.
 */
#include "vault/vault.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/ipc.h"
#include "base/log.h"
#include "base/sandbox.h"
#include "provider/oauth.h"
#include "vault/deliver.h"
#include "vault/keycall.h"
#include "vault/listen.h"
#include "vault/oauthcall.h"
#include "vault/login.h"
#include "vault/parked.h"
#include "vault/refresh.h"
#include "vault/ops.h"
#include "vault/unlock.h"
#include "vault/worker.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>

enum {
    SECRET_POOL = 1 << 20,
    TICK_MS = 500,
    SPAWN_WAIT_MS = 5000,
    STOP_WAIT_MS = 4000, /* the supervisor insists after 5 s */
    SPAWN_PACKETS = 8,
    SWEEP_RECORDS = 64
};

const char *vault_state_name(enum vault_state s)
{
    static const char *const name[] = {"uninitialised", "locked", "rollback", "ready"};
    return name[s];
}

/* ---- the supervisor */

static void notify(struct vault *v, const char *note)
{
    AUTO(buf_free) struct buf b = {.max = 512};
    struct why why = {0};
    msg_begin(&b, MSG_NOTIFY, 0, 0);
    msg_put_str(&b, F_NOTE, note);
    if (ipc_send(v->supervisor, buf_view(&b), -1, &why) != ERR_OK)
        log_event(LOG_LVL_WARN, "notify.failed", "why", why.text, NULL);
}

void vault_on_worker_ready(struct vault *v)
{
    if (v->announced || !v->workers[WORKER_API].ready || !v->workers[WORKER_ADMIN].ready)
        return;
    v->announced = true;
    notify(v, "READY=1");
    log_event(LOG_LVL_INFO, "broker.ready", "state", vault_state_name(v->state), "run",
              v->dirs->run, NULL);
}

static void on_spawned(struct vault *v, const struct msg *m, int fd)
{
    char role[17];
    struct why why = {0};
    (void)view_copy(msg_view(m, F_ROLE), role, sizeof(role));
    (void)view_copy(msg_view(m, F_REASON), why.text, sizeof(why.text));
    struct vault_worker *wk = worker_of_role(v, role);
    if (wk && fd >= 0 &&
        worker_attach(v, wk->kind, fd, (int32_t)msg_u64(m, F_PID, 0), &why) == ERR_OK)
        return;
    if (wk)
        worker_refused(wk, why.text);
    else if (strcmp(role, "oauth") == 0 && fd >= 0)
        oauthcall_on_spawned(v, fd);
    else if (strcmp(role, "oauth") == 0)
        oauthcall_on_refused(v, why.text);
    else if (fd >= 0)
        keycall_on_spawned(v, role, fd);
    else
        keycall_on_refused(v, role, why.text);
}

static void on_child_exit(struct vault *v, const struct msg *m)
{
    char role[17];
    if (view_copy(msg_view(m, F_ROLE), role, sizeof(role)))
        worker_on_exit(v, role, (int32_t)msg_u64(m, F_PID, 0), (int)msg_u64(m, F_EXIT, 0));
}

static void on_reload(struct vault *v)
{
    struct why why = {0};
    if (v->announced)
        notify(v, "RELOADING=1");
    err_t e = policy_reload(v, &why);
    struct audit_record r = {.event = AUDIT_RELOAD, .outcome = e};
    server_note(v, &r);
    if (e != ERR_OK)
        log_event(LOG_LVL_ERROR, "config.refused", "why", why.text, "effect",
                  "the old configuration stays", NULL);
    else
        log_event(LOG_LVL_INFO, "config.reloaded", NULL);
    if (v->announced)
        notify(v, "READY=1");
}

/* A refresh whose request is out is let come to its end: its answer may hold the only good refresh token. */
static void on_stop(struct vault *v)
{
    v->stop_at_ms = clock_boot_ms() + STOP_WAIT_MS;
    if (refresh_counts(v).running == 0)
        loop_stop(v->loop, 0);
}

static void stop_when_quiet(struct vault *v)
{
    if (v->stop_at_ms && (refresh_counts(v).running == 0 || clock_boot_ms() >= v->stop_at_ms))
        loop_stop(v->loop, 0);
}

static void on_supervisor_packet(struct vault *v, struct view packet, int fd)
{
    struct msg m;
    struct why why = {0};
    if (msg_parse(packet, FROM_SUPERVISOR, &m, &why) != ERR_OK) {
        log_event(LOG_LVL_ERROR, "supervisor.protocol", "why", why.text, NULL);
        auto_close(&fd);
        return;
    }
    if (m.type == MSG_SPAWNED) {
        on_spawned(v, &m, fd);
        return;
    }
    auto_close(&fd);
    if (m.type == MSG_CHILD_EXIT)
        on_child_exit(v, &m);
    else if (m.type == MSG_RELOAD_SIGNAL)
        on_reload(v);
    else if (m.type == MSG_STOP)
        on_stop(v);
}

static void on_supervisor(void *ctx, int sock, uint32_t events)
{
    struct vault *v = ctx;
    (void)events;
    for (;;) {
        AUTO(buf_free) struct buf b = {.max = MSG_MAX};
        struct why why = {0};
        int fd = -1;
        err_t e = ipc_recv(sock, &b, &fd, &why);
        if (e == ERR_UNAVAILABLE)
            return;
        if (e !=
            ERR_OK) { /* without a supervisor there is no way to restart anything: end, and let systemd start us anew */
            loop_stop(v->loop, e == ERR_NO_BROKER ? 1 : 2);
            return;
        }
        on_supervisor_packet(v, buf_view(&b), fd);
    }
}

/* The audit writer is needed before anything can be opened: asked for and awaited. */
static err_t start_audit_writer(struct vault *v, struct why *why)
{
    TRY(worker_spawn(v, WORKER_AUDIT, why));
    for (unsigned i = 0; i < SPAWN_PACKETS && !v->sink;
         i++) { /* a signal's packet may come before */
        TRY(ipc_wait(v->supervisor, SPAWN_WAIT_MS, why));
        on_supervisor(v, v->supervisor, EPOLLIN);
    }
    return v->sink ? ERR_OK : fail(why, ERR_UNAVAILABLE, "the audit writer could not be started");
}

/* ---- beginning and end */

/* What a failed change left open; and records that a crash left without an entry, a few at a time. Never under suspicion: an older manifest put back names fewer of them. */
static void sweep_step(struct vault *v)
{
    struct why why = {0};
    unsigned removed = 0;
    if (v->state != VAULT_READY || credentials_settle(v->credentials, &why) != ERR_OK || v->swept)
        return;
    err_t e = credentials_sweep(v->credentials, SWEEP_RECORDS, &removed, &why);
    if (e != ERR_OK)
        log_event(LOG_LVL_WARN, "store.sweep", "why", why.text, "effect",
                  "orphaned records stay until the next start", NULL);
    v->swept = e != ERR_OK || removed == 0;
}

static void on_tick(void *ctx)
{
    struct vault *v = ctx;
    struct why why = {0};
    worker_tick(v);
    op_rekey_step(v);
    sweep_step(v);
    if (v->audit && audit_checkpoint(v->audit, false, &why) != ERR_OK)
        log_event(LOG_LVL_WARN, "audit.checkpoint", "why", why.text, NULL);
    op_proxy_tick(v);
    if (!v->stop_at_ms)
        refreshes_tick(v);
    logins_tick(v);
    stop_when_quiet(v);
    server_on_progress(v);
    if (loop_timer_set(v->tick, clock_boot_ms() + TICK_MS) != ERR_OK)
        log_event(LOG_LVL_ERROR, "timer.failed", NULL);
}

static err_t open_dirs(struct vault *v, struct why *why)
{
    const struct file_dir own = {.create = true, .mode = 0700, .forbidden = 0077};
    const struct file_dir run = {.create = true, .mode = 0755, .forbidden = 0022};
    TRY(file_open_dir(v->dirs->state, &own, &v->state_fd, why));
    TRY(file_open_dir(v->dirs->run, &run, &v->run_fd, why));
    /* the sockets of a broker that runs are never taken from it; its state has a lock of its own (store/) */
    if (flock(v->run_fd, LOCK_EX | LOCK_NB) != 0)
        return fail(why, ERR_CONFLICT,
                    "another broker has its sockets in %s: give this one another --run",
                    v->dirs->run);
    return file_open_dir_at(v->state_fd, "log", &own, &v->log_fd, why);
}

static err_t read_config(struct vault *v, struct why *why)
{
    char dir[4096];
    (void)snprintf(dir, sizeof(dir), "%s/consumers", v->dirs->state);
    TRY(config_load(v->dirs->config, dir, &v->config, why));
    v->store_ops = store_by_name(view_str(v->config->store));
    if (!v->store_ops)
        return fail(why, ERR_INVALID, "%s: store: no such store; there is: file", v->dirs->config);
    TRY(oauth_check_config(v->config, v->dirs->config, why));
    return route_check_config(v->config, v->dirs->config, why);
}

static err_t enter_sandbox(struct vault *v, struct why *why)
{
    char config[4096];
    const char *slash = strrchr(v->dirs->config, '/');
    (void)view_copy(VIEW(v->dirs->config, slash ? (size_t)(slash - v->dirs->config) : 0), config,
                    sizeof(config));
    const struct sandbox_path paths[] = {{v->dirs->state, true},
                                         {v->dirs->run, true},
                                         {config[0] ? config : ".", true},
                                         {"/proc", false},
                                         {getenv("CREDENTIALS_DIRECTORY")
                                              ? getenv("CREDENTIALS_DIRECTORY")
                                              : "/etc/credential-broker",
                                          false},
                                         {"/etc/credential-broker", false},
                                         {NULL, false}};
    return sandbox_enter(SANDBOX_VAULT, paths, v->sandbox_report, why);
}

static err_t start(struct vault *v, struct why *why)
{
    TRY(sandbox_process(why));
    TRY(peer_check_kernel(why));
    TRY(secret_pool_open(SECRET_POOL, why));
    TRY(loop_new(&v->loop, why));
    TRY(open_dirs(v, why));
    TRY(enter_sandbox(v, why));
    TRY(read_config(v, why));
    TRY(v->store_ops->open(&v->store, v->dirs->state, true, why));
    TRY(loop_timer_new(v->loop, server_on_progress, v, &v->queue_timer));
    TRY(loop_timer_new(v->loop, on_tick, v, &v->tick));
    TRY(loop_timer_set(v->tick, clock_boot_ms() + TICK_MS));
    TRY(start_audit_writer(v, why));
    TRY(loop_watch(v->loop, &(struct loop_source){v->supervisor, EPOLLIN, on_supervisor, v},
                   &v->supervisor_watch, why));
    loop_on_turn_end(v->loop, server_turn_end, v);
    TRY(worker_spawn(v, WORKER_API, why));
    TRY(worker_spawn(v, WORKER_ADMIN, why));
    struct why listen_why = {0};
    if (listen_sync(v, &listen_why) != ERR_OK && v->n_listeners == 0)
        return fail(why, ERR_UNAVAILABLE, "%s", listen_why.text);
    worker_follow(v);
    unlock_at_start(v);
    return ERR_OK;
}

static void stop(struct vault *v)
{
    v->stopping = true;
    if (v->audit) {
        struct audit_record r = {.event = AUDIT_STOP, .outcome = ERR_OK};
        server_note(v, &r);
    }
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
    sink_free(v->sink);
    if (v->store)
        v->store_ops->close(v->store);
    loop_timer_free(v->queue_timer);
    loop_timer_free(v->tick);
    loop_unwatch(v->supervisor_watch);
    loop_free(v->loop);
    config_free(v->config);
    auto_close(&v->log_fd);
    auto_close(&v->run_fd);
    auto_close(&v->state_fd);
    ipc_batch_free(&v->inbox);
    buf_free(&v->reply);
    buf_free(&v->scratch);
    secret_pool_close();
}

static void init(struct vault *v, int supervisor_sock, const struct vault_dirs *dirs)
{
    v->dirs = dirs;
    v->supervisor = supervisor_sock;
    v->state_fd = v->run_fd = v->log_fd = -1;
    v->started_ms = clock_boot_ms();
    v->state = VAULT_LOCKED;
    v->queue_tail = &v->queue;
    v->reply.max = SERVER_BODY_MAX;
    v->scratch.max = 2 * TOKEN_MAX_TEXT;
    for (unsigned k = 0; k < WORKER__COUNT; k++) {
        v->workers[k].vault = v;
        v->workers[k].kind = k;
        v->workers[k].sock = -1;
    }
}

int vault_main(int supervisor_sock, const struct vault_dirs *dirs)
{
    AUTO(auto_free) struct vault *v = calloc(1, sizeof(*v));
    struct why why = {0};
    if (!v)
        return err_exit(ERR_INTERNAL);
    init(v, supervisor_sock, dirs);
    err_t e = start(v, &why);
    int code = err_exit(e);
    if (e != ERR_OK)
        log_event(LOG_LVL_ERROR, "start.failed", "why", why.text, NULL);
    else
        code = loop_run(v->loop);
    stop(v);
    return code;
}
