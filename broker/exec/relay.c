/*
 * Starts and is the relay. It must be nobody's concern: it keeps no descriptor of the program (a
 * reader of its output waits for the last one to close), has a session of its own (a ^C is the
 * program's), and ends when the program does, whatever signal is sent to it but SIGKILL: systemd
 * ends whole groups of processes, and the program's last request goes through here.
 *
 * It is forked twice, so that it belongs to init and no wait(2) of the program meets a stranger.
 * Where the program itself is who inherits orphans (process 1 of a container, a subreaper), it is a
 * direct child without a signal of ending (clone(2)): wait(2) sees such a child only with __WALL.
 * When process 1 ends, the kernel ends all others of its namespace, and the relay has no time to
 * give leases back: the broker ends those that are owned by the process, others end by their time.
 *
 * It knows the secrets that it needs, the tokens, and wipes what else it has from the fork.
 */
#include "exec/relay.h"

#include "base/auto.h"
#include "exec/fds.h"
#include "exec/keeper.h"
#include "exec/leader.h"
#include "exec/looks.h"
#include "exec/pump.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* What it says when it is ready, or cannot be. One write, under PIPE_BUF. */
struct word {
    err_t e;
    uint16_t port;
    struct why why;
};

struct relay {
    struct loop *loop;
    struct pump *pump;
    struct keeper *keeper;
    struct leader *leader;
};

/* ---- in the relay */

static void close_up(void)
{
    static const int deaf[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM, SIGPIPE,
                               SIGUSR1, SIGUSR2, SIGTSTP, SIGCHLD};
    static const struct rlimit no_core = {0, 0};
    sigset_t none;
    for (size_t i = 0; i < COUNT(deaf); i++)
        (void)signal(deaf[i], SIG_IGN); /* SIGCHLD: errands are not waited for */
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)setsid();
    (void)!chdir("/");
    (void)prctl(PR_SET_DUMPABLE, 0);
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    (void)setrlimit(RLIMIT_CORE, &no_core);
}

static void on_gone(void *ctx)
{
    loop_stop(ctx, 0);
}

static MUST err_t keep_leases(struct relay *r, const struct relay_ask *ask,
                              struct exec_leases *leases, struct why *why)
{
    TRY(keeper_new(r->loop, ask->broker_socket, ask->ttl_ms, &r->keeper, why));
    for (size_t i = 0; i < leases->n; i++)
        if (leases->item[i].proxy_socket)
            TRY(keeper_add(r->keeper, &leases->item[i].lease, why));
    exec_leases_free(leases); /* this process's copy */
    return ERR_OK;
}

static MUST err_t set_up(struct relay *r, const struct relay_ask *ask, const struct leader_id *id,
                         struct exec_leases *leases, struct why *why)
{
    struct pump_options o = {.proxy_socket = ask->proxy_socket};
    TRY(loop_new(&r->loop, why));
    TRY(pump_new(r->loop, &o, &r->pump, why));
    TRY(keep_leases(r, ask, leases, why)); /* the path of the proxy's socket goes with them */
    return leader_watch(r->loop, id, on_gone, r->loop, &r->leader, why);
}

/* The port is closed first: whatever the broker takes for its answer, the end is seen at once. */
static void take_down(struct relay *r, bool ends_leases)
{
    pump_free(r->pump);
    if (ends_leases && r->keeper)
        keeper_end(r->keeper);
    leader_free(r->leader);
    keeper_free(r->keeper);
    loop_free(r->loop);
}

static _Noreturn void be_relay(const struct relay_ask *ask, struct exec_leases *leases,
                               struct leader_id id, int ready)
{
    struct relay r = {0};
    struct word w = {0};
    int kept[] = {ready, id.pidfd};
    looks_change("broker-relay");
    close_up();
    broker_close(TAKE(leases->client)); /* its descriptor is one of those that are closed */
    w.e = fds_keep(kept, COUNT(kept), &w.why);
    id.pidfd = kept[1];
    if (w.e == ERR_OK)
        w.e = set_up(&r, ask, &id, leases, &w.why);
    if (w.e == ERR_OK)
        w.port = pump_port(r.pump);
    bool heard = write(kept[0], &w, sizeof(w)) == (ssize_t)sizeof(w);
    (void)close(kept[0]);
    if (heard && w.e == ERR_OK) {
        (void)loop_run(r.loop);
        take_down(&r, ask->ends_leases);
    }
    _exit(0);
}

/* ---- in the process that becomes the program */

/* Does the kernel give orphans to this process? */
static bool inherits_orphans(void)
{
    int subreaper = 0;
    return getpid() == 1 || (prctl(PR_GET_CHILD_SUBREAPER, &subreaper) == 0 && subreaper);
}

static void wait_for_child(pid_t pid)
{
    while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
        ;
}

/* 0 in the relay, 1 in this process; -1 and errno. *child: the relay, where it is a child; else 0. */
static int fork_away(pid_t *child)
{
    bool direct = inherits_orphans();
    pid_t pid = direct ? (pid_t)syscall(SYS_clone, 0UL, 0UL, 0UL, 0UL, 0UL) : fork();
    if (pid < 0)
        return -1;
    *child = direct ? pid : 0;
    if (pid > 0 && !direct)
        wait_for_child(pid);
    if (pid > 0)
        return 1;
    if (!direct && fork() != 0)
        _exit(0); /* without a relay the pipe ends here, and that is seen */
    return 0;
}

static MUST err_t hear(int ready, struct word *w, struct why *why)
{
    struct pollfd p = {.fd = ready, .events = POLLIN};
    int n;
    while ((n = poll(&p, 1, RELAY_READY_MS)) < 0 && errno == EINTR)
        ;
    if (n == 0)
        return fail(why, ERR_TIMEOUT, "the relay did not get ready");
    if (read(ready, w, sizeof(*w)) != (ssize_t)sizeof(*w))
        return fail(why, ERR_UNAVAILABLE,
                    "the relay could not be started: out of processes or memory?");
    return w->e == ERR_OK ? ERR_OK : fail(why, w->e, "%s", w->why.text);
}

err_t relay_start(const struct relay_ask *ask, struct exec_leases *leases, uint16_t *port,
                  struct why *why)
{
    struct word w = {0};
    struct leader_id id;
    pid_t child = 0;
    int p[2];
    if (pipe2(p, O_CLOEXEC) < 0)
        return fail_errno(why, errno, "cannot start the relay");
    AUTO(auto_close) int ready = p[0];
    leader_here(&id);
    int side = fork_away(&child);
    if (side == 0)
        be_relay(ask, leases, id, p[1]);
    auto_close(&p[1]);
    auto_close(&id.pidfd);
    if (side < 0)
        return fail_errno(why, errno, "cannot start the relay");
    err_t e = hear(ready, &w, why);
    if (e == ERR_OK)
        *port = w.port;
    if (e != ERR_OK && child > 0 && kill(child, SIGKILL) == 0)
        wait_for_child(child); /* an orphan sees by the pipe that nobody listens */
    return e;
}
