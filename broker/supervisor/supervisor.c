/*
 * The supervisor. It exists because seccomp filters are inherited: a vault that started its own
 * helpers would have to keep execve, clone and connect for their sake. Here is nothing to steal: no
 * key, no file open, and its only input are the vault's few messages. Invariant: while the vault
 * runs, every process of brokerd is a child of ours; when the vault ends, whatever the reason, all
 * end. The end is a table of stages: ask, wait, insist. The audit writer is given time to drain its
 * ring before it is told twice.
 */
#include "supervisor/supervisor.h"
#include "base/auto.h"
#include "base/clock.h"
#include "base/ipc.h"
#include "base/loop.h"
#include "base/msg.h"
#include "base/sandbox.h"
#include "supervisor/alert.h"
#include "supervisor/dirs.h"
#include "supervisor/notify.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { VAULT = 0, CHILDREN = 96, WISHES = 64, TEXT = 24, FILES = 65536 };

enum stage { RUNNING, ASKED, TERM_VAULT, KILL_VAULT, DRAIN, TERM_ALL, KILL_ALL, OVER };
static const struct {
    int signo; /* sent at its beginning; 0: none */
    bool vault_only;
    int wait_ms; /* then the next */
} stages[] = {
    [ASKED] = {0, true, 5000},
    [TERM_VAULT] = {SIGTERM, true, 1000},
    [KILL_VAULT] = {SIGKILL, true, 1000},
    [DRAIN] = {0, false, 11000}, /* the audit writer itself gives up on a sick disk after 10 s */
    [TERM_ALL] = {SIGTERM, false, 1000},
    [KILL_ALL] = {SIGKILL, false, 1000},
};

struct child {
    pid_t pid; /* 0: free */
    int role;
};

struct supervisor {
    const struct options *o;
    const struct spawn_role *roles;
    struct spawner *spawner;
    struct loop *loop;
    struct loop_fd *watch;
    struct loop_timer *stage_timer, *wish_timer;
    struct alerts alerts;
    int vault; /* socket; -1: gone */
    struct child children[CHILDREN];
    int64_t starts[SPAWN_ROLES][SUPERVISOR_STARTS_OFTEN]; /* a ring per role; 0: never */
    unsigned next_start[SPAWN_ROLES];
    int wishes[WISHES]; /* roles that wait for their turn, oldest first */
    unsigned n_wishes;
    const char *notify_socket;
    enum stage stage;
    int code;
    struct buf packet;
};

static void supervisor_free(struct supervisor *s)
{
    loop_unwatch(s->watch);
    loop_timer_free(s->stage_timer);
    loop_timer_free(s->wish_timer);
    alerts_close(&s->alerts);
    loop_free(s->loop);
    spawner_free(s->spawner);
    auto_close(&s->vault);
    buf_free(&s->packet);
}

static void log_pid(enum log_level level, const char *event, const char *role, pid_t pid)
{
    char text[TEXT];
    (void)snprintf(text, sizeof(text), "%d", pid);
    log_event(level, event, "child", role, "pid", text, NULL);
}

/* ---- the end, by stages */

static void set_timer(struct loop_timer *t, int64_t at_ms)
{
    if (loop_timer_set(t, at_ms) != ERR_OK)
        log_event(LOG_LVL_ERROR, "timer.failed", NULL);
}

static void signal_children(struct supervisor *s, int signo, bool vault_only)
{
    for (unsigned i = 0; i < CHILDREN; i++)
        if (s->children[i].pid && (!vault_only || s->children[i].role == VAULT))
            (void)kill(s->children[i].pid, signo);
}

static bool any_child(const struct supervisor *s, bool vault_only)
{
    for (unsigned i = 0; i < CHILDREN; i++)
        if (s->children[i].pid && (!vault_only || s->children[i].role == VAULT))
            return true;
    return false;
}

/* Goes to `stage`, or past it when nobody it is for is left. */
static void enter_stage(struct supervisor *s, enum stage stage)
{
    while (stage < OVER && !any_child(s, stages[stage].vault_only))
        stage++;
    s->stage = stage;
    if (stage == OVER) {
        loop_stop(s->loop, s->code);
        return;
    }
    if (stages[stage].signo) {
        log_event(LOG_LVL_WARN, "stop.insist", "with",
                  stages[stage].signo == SIGTERM ? "SIGTERM" : "SIGKILL", NULL);
        signal_children(s, stages[stage].signo, stages[stage].vault_only);
    }
    set_timer(s->stage_timer, clock_boot_ms() + stages[stage].wait_ms);
}

static void on_stage_over(void *ctx)
{
    struct supervisor *s = ctx;
    enter_stage(s, s->stage + 1);
}

/* ---- talking to the vault */

static void send_vault(struct supervisor *s, int fd)
{
    struct why why = {0};
    err_t e = buf_ok(&s->packet, &why);
    if (s->vault < 0)
        return;
    if (e == ERR_OK)
        e = ipc_send(s->vault, buf_view(&s->packet), fd, &why);
    if (e != ERR_OK && e != ERR_NO_BROKER) /* that it is gone will be told by its exit */
        log_event(LOG_LVL_ERROR, "vault.send", "why", why.text, NULL);
}

static void tell_vault(struct supervisor *s, enum msg_type type)
{
    msg_begin(&s->packet, type, 0, 0);
    send_vault(s, -1);
}

static void tell_manager(struct supervisor *s, struct view line)
{
    struct why why = {0};
    if (notify_send(s->notify_socket, line, &why) != ERR_OK)
        log_event(LOG_LVL_WARN, "notify.failed", "why", why.text, NULL);
}

/* From here on there is only one way. code: 0 when asked to, else 1. */
static void begin_end(struct supervisor *s, enum stage stage, int code)
{
    if (s->stage != RUNNING)
        return;
    if (code)
        log_event(LOG_LVL_ERROR, "vault.lost", "effect", "everything ends", NULL);
    s->code = code;
    s->n_wishes = 0;
    tell_manager(s, view_str("STOPPING=1"));
    if (stage == ASKED)
        tell_vault(s, MSG_STOP);
    enter_stage(s, stage);
}

/* ---- starting roles */

static struct child *free_slot(struct supervisor *s)
{
    for (unsigned i = 0; i < CHILDREN; i++)
        if (!s->children[i].pid)
            return &s->children[i];
    return NULL;
}

static unsigned starts_of(const struct supervisor *s, int role)
{
    return s->roles[role].told & SPAWN_OFTEN ? SUPERVISOR_STARTS_OFTEN : SUPERVISOR_STARTS;
}

static err_t start_role(struct supervisor *s, int role, struct spawned *out, struct why *why)
{
    struct child *slot = free_slot(s);
    if (!slot)
        return fail(why, ERR_LIMIT, "%d processes run already", CHILDREN);
    TRY(spawn_role(s->spawner, role, out, why));
    *slot = (struct child){.pid = out->pid, .role = role};
    s->starts[role][s->next_start[role]++ % starts_of(s, role)] = clock_boot_ms();
    log_pid(LOG_LVL_DEBUG, "child.started", s->roles[role].name, out->pid);
    return ERR_OK;
}

/* When the role may be started: now or earlier, unless it was started too often lately. */
static int64_t turn_of(const struct supervisor *s, int role)
{
    int64_t oldest = s->starts[role][s->next_start[role] % starts_of(s, role)];
    return oldest ? oldest + SUPERVISOR_WINDOW_MS : 0;
}

static void answer_spawn(struct supervisor *s, int role)
{
    struct spawned child = {.sock = -1};
    struct why why = {0};
    err_t e = start_role(s, role, &child, &why);
    msg_begin(&s->packet, MSG_SPAWNED, 0, 0);
    if (e != ERR_OK) {
        log_event(LOG_LVL_ERROR, "child.refused", "child", s->roles[role].name, "why", why.text,
                  NULL);
        msg_put_u64(&s->packet, F_STATUS, e);
        msg_put_str(&s->packet, F_REASON, why.text);
    }
    msg_put_str(&s->packet, F_ROLE, s->roles[role].name);
    if (e == ERR_OK)
        msg_put_u64(&s->packet, F_PID, (uint64_t)child.pid);
    send_vault(s, child.sock);
    auto_close(&child.sock);
}

/* Starts what may be started and sets the timer for the rest. */
static void grant_wishes(void *ctx)
{
    struct supervisor *s = ctx;
    unsigned left = 0;
    int64_t next = INT64_MAX, now = clock_boot_ms();
    for (unsigned i = 0; i < s->n_wishes; i++) {
        int role = s->wishes[i];
        int64_t turn = turn_of(s, role);
        if (turn <= now) {
            answer_spawn(s, role);
            continue;
        }
        s->wishes[left++] = role;
        next = turn < next ? turn : next;
    }
    s->n_wishes = left;
    if (left)
        set_timer(s->wish_timer, next);
}

static void on_spawn(struct supervisor *s, const struct msg *m)
{
    char name[TEXT];
    int role = view_copy(msg_view(m, F_ROLE), name, sizeof(name)) ? spawn_find(s->roles, name) : -1;
    if (role <= VAULT || s->n_wishes == WISHES) {
        log_event(LOG_LVL_ERROR, "vault.protocol", "why",
                  role <= VAULT ? "asks for no such role" : "asks too often", NULL);
        begin_end(s, TERM_VAULT, 1);
        return;
    }
    if (turn_of(s, role) > clock_boot_ms())
        log_event(LOG_LVL_WARN, "child.delayed", "child", name, "why", "started too often", NULL);
    s->wishes[s->n_wishes++] = role;
    grant_wishes(s);
}

static void on_packet(struct supervisor *s, struct view packet)
{
    struct msg m;
    struct why why = {0};
    if (msg_parse(packet, FROM_VAULT, &m, &why) != ERR_OK ||
        (m.type != MSG_SPAWN && m.type != MSG_NOTIFY && m.type != MSG_ALERT)) {
        log_event(LOG_LVL_ERROR, "vault.protocol", "why",
                  why.text[0] ? why.text : "not for the supervisor", NULL);
        begin_end(s, TERM_VAULT, 1);
    } else if (m.type == MSG_NOTIFY) {
        tell_manager(s, msg_view(&m, F_NOTE));
    } else if (m.type == MSG_ALERT) {
        alert_take(&s->alerts, &m);
    } else if (s->stage == RUNNING) {
        on_spawn(s, &m);
    }
}

static void vault_is_gone(struct supervisor *s)
{
    loop_unwatch(TAKE(s->watch));
    auto_close(&s->vault);
    s->vault = -1;
    begin_end(s, ASKED,
              1); /* mostly its exit is about to be told; if it still runs, it is of no use */
}

static void on_vault(void *ctx, int sock, uint32_t events)
{
    struct supervisor *s = ctx;
    (void)events;
    while (s->vault >= 0) {
        AUTO(buf_free) struct buf in = {.max = MSG_MAX};
        struct why why = {0};
        int fd = -1;
        err_t e = ipc_recv(sock, &in, &fd, &why);
        auto_close(&fd); /* what it may say to us comes without */
        if (e == ERR_UNAVAILABLE)
            return;
        if (e == ERR_OK)
            on_packet(s, buf_view(&in));
        else
            vault_is_gone(s);
    }
}

/* ---- signals */

static void log_exit(const char *role, pid_t pid, int status)
{
    char id[TEXT], how[TEXT];
    bool clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    (void)snprintf(id, sizeof(id), "%d", pid);
    (void)snprintf(how, sizeof(how), "%d",
                   WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    log_event(clean ? LOG_LVL_DEBUG : LOG_LVL_WARN, "child.ended", "child", role, "pid", id,
              WIFEXITED(status) ? "code" : "signal", how, NULL);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
        log_event(LOG_LVL_ERROR, "sandbox.violation", "child", role, "pid", id, NULL);
}

static void on_exit_of(struct supervisor *s, struct child *c, int status)
{
    struct child was = *c;
    c->pid = 0;
    log_exit(s->roles[was.role].name, was.pid, status);
    if (was.role == VAULT) {
        begin_end(s, DRAIN, 1);
        return;
    }
    msg_begin(&s->packet, MSG_CHILD_EXIT, 0, 0);
    msg_put_str(&s->packet, F_ROLE, s->roles[was.role].name);
    msg_put_u64(&s->packet, F_PID, (uint64_t)was.pid);
    msg_put_u64(&s->packet, F_EXIT, (uint64_t)(unsigned)status);
    send_vault(s, -1);
}

static void reap(struct supervisor *s)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        alert_reaped(&s->alerts, pid, status);
        for (unsigned i = 0; i < CHILDREN; i++)
            if (s->children[i].pid == pid)
                on_exit_of(s, &s->children[i], status);
    }
    if (s->stage != RUNNING && s->stage != OVER && !any_child(s, stages[s->stage].vault_only))
        enter_stage(s, s->stage);
}

static void on_signal(void *ctx, int signo)
{
    struct supervisor *s = ctx;
    if (signo == SIGCHLD)
        reap(s);
    else if (signo == SIGHUP)
        tell_vault(s, MSG_RELOAD_SIGNAL);
    else if (s->stage == RUNNING)
        begin_end(s, ASKED, 0);
    else if (s->stage != OVER)
        enter_stage(s, s->stage + 1); /* asked twice: somebody is in a hurry */
}

/* ---- the beginning */

/* Every role inherits it: the vault has a pidfd for each connection. */
static void raise_descriptors(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) < 0 || r.rlim_cur >= FILES)
        return;
    r.rlim_cur = r.rlim_max < FILES ? r.rlim_max : FILES;
    (void)setrlimit(RLIMIT_NOFILE, &r);
}

static MUST err_t watch_signals(struct supervisor *s, struct why *why)
{
    static const int signals[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP};
    sigset_t set;
    (void)sigemptyset(&set);
    for (size_t i = 0; i < COUNT(signals); i++)
        (void)sigaddset(&set, signals[i]);
    return loop_signals(s->loop, &set, on_signal, s, why);
}

/* Programs are opened before the user is dropped: brokerd may live where only root may look. */
static MUST err_t give_up_rights(struct supervisor *s, struct why *why)
{
    char report[64] = "";
    TRY(sandbox_process(why));
    raise_descriptors();
    TRY(spawner_new(s->roles, s->o, &s->spawner, why));
    TRY(dirs_make(s->o, why));
    TRY(sandbox_drop_user(s->o->user, why));
    TRY(dirs_check(s->o, why));
    if (chdir("/") < 0)
        return fail(why, ERR_IO, "cannot change to /");
    TRY(sandbox_enter(SANDBOX_SUPERVISOR, NULL, report, why));
    log_event(LOG_LVL_INFO, "supervisor.start", "version", BROKER_VERSION, "state", s->o->state,
              "run", s->o->run, "sandbox", report, NULL);
    return ERR_OK;
}

static MUST err_t start(struct supervisor *s, struct why *why)
{
    struct spawned vault = {.sock = -1};
    TRY(give_up_rights(s, why));
    TRY(loop_new(&s->loop, why));
    TRY(watch_signals(s, why));
    TRY(loop_timer_new(s->loop, on_stage_over, s, &s->stage_timer));
    TRY(loop_timer_new(s->loop, grant_wishes, s, &s->wish_timer));
    TRY(alerts_open(&s->alerts, s->loop));
    TRY(start_role(s, VAULT, &vault, why));
    s->vault = vault.sock;
    return loop_watch(s->loop, &(struct loop_source){s->vault, EPOLLIN, on_vault, s}, &s->watch,
                      why);
}

int supervisor_main(const struct options *o, const struct spawn_role *roles)
{
    AUTO(supervisor_free)
    struct supervisor s = {
        .o = o, .roles = roles, .vault = -1, .notify_socket = getenv("NOTIFY_SOCKET")};
    struct why why = {0};
    err_t e = start(&s, &why);
    if (e == ERR_OK)
        return loop_run(s.loop);
    log_event(LOG_LVL_ERROR, "start.failed", "why", why.text[0] ? why.text : err_text(e), NULL);
    signal_children(&s, SIGKILL, false);
    return err_exit(e);
}
