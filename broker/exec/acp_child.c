/*
 * Starts the program and stands for it. The child gets the signal mask and the dispositions that we
 * were started with, and dies with us whatever kills us (PR_SET_PDEATHSIG), as it would if it were us.
 * Signals come through a signalfd, which tells who sent them: what the kernel sends to the whole
 * foreground group of a terminal has reached the child already.
 *
 * Death by a signal is mirrored by dying of it, without a core of our own beside the program's. Process
 * 1 of a namespace cannot die of its own signal: there the shell's 128 + N is the best there is.
 */
#include "exec/acp_child.h"

#include "base/auto.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

static const int passed[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT};

err_t acp_child_prepare(struct why *why)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd < 0)
        return fail_errno(why, errno, "cannot open /dev/null");
    close(fd);
    return ERR_OK;
}

/* ---- starting */

struct pipes {
    int in[2], out[2], err[2], failed[2]; /* failed: what execve said; closed by it */
};

static void auto_pipes(struct pipes *p)
{
    int *fd = p->in;
    for (size_t i = 0; i < sizeof(*p) / sizeof(*fd); i++)
        if (fd[i] >= 0)
            close(fd[i]);
}

static MUST err_t open_pipes(struct pipes *p, struct why *why)
{
    memset(p, 0xff, sizeof(*p));
    if (pipe2(p->in, O_CLOEXEC) < 0 || pipe2(p->out, O_CLOEXEC) < 0 ||
        pipe2(p->err, O_CLOEXEC) < 0 || pipe2(p->failed, O_CLOEXEC) < 0 ||
        fcntl(p->in[1], F_SETFL, O_NONBLOCK) < 0 || fcntl(p->out[0], F_SETFL, O_NONBLOCK) < 0 ||
        fcntl(p->err[0], F_SETFL, O_NONBLOCK) < 0)
        return fail_errno(why, errno, "cannot make the adapter's pipes");
    return ERR_OK;
}

static _Noreturn void be_program(const struct acp_program *program, const struct pipes *p,
                                 pid_t parent, const struct sigaction *chld)
{
    int no = 0;
    (void)sigaction(SIGCHLD, chld, NULL);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() != parent)
        _exit(1); /* it is gone already */
    if (dup2(p->in[0], STDIN_FILENO) < 0 || dup2(p->out[1], STDOUT_FILENO) < 0 ||
        dup2(p->err[1], STDERR_FILENO) < 0)
        no = errno;
    if (no == 0) {
        (void)execve(program->path, program->argv, program->environ);
        no = errno;
    }
    (void)!write(p->failed[1], &no, sizeof(no));
    _exit(1);
}

static MUST err_t refused(const char *path, int no, struct why *why)
{
    if (no == ENOEXEC)
        return fail(why, ERR_PERMISSION, "%.150s is no program: does the script lack its #! line?",
                    path);
    if (no == E2BIG)
        return fail(why, ERR_PERMISSION, "%.150s: the arguments and the environment are too large",
                    path);
    return fail_errno(why, no, "%.150s cannot be run", path);
}

err_t acp_child_start(const struct acp_program *program, struct acp_child *out, struct why *why)
{
    AUTO(auto_pipes) struct pipes p;
    struct sigaction plain = {.sa_handler = SIG_DFL}, chld;
    pid_t parent = getpid();
    int no = 0;
    TRY(open_pipes(&p, why));
    (void)sigaction(SIGCHLD, &plain, &chld); /* where it is ignored there is nothing to wait for */
    pid_t pid = fork();
    if (pid < 0)
        return fail_errno(why, errno, "cannot start the adapter");
    if (pid == 0)
        be_program(program, &p, parent, &chld);
    close(p.failed[1]);
    p.failed[1] = -1;
    ssize_t n = read(p.failed[0], &no, sizeof(no)); /* until it has become the program */
    if (n != 0) {
        (void)waitpid(pid, NULL, 0);
        return refused(program->path, n == (ssize_t)sizeof(no) ? no : EIO, why);
    }
    out->pid = pid;
    out->in = TAKE_FD(p.in[1]);
    out->out = TAKE_FD(p.out[0]);
    out->err = TAKE_FD(p.err[0]);
    return ERR_OK;
}

/* ---- signals */

struct acp_signals {
    pid_t pid;
    int fd;
    struct loop_fd *watch;
    acp_ended_fn *ended;
    void *ctx;
};

static void reap(struct acp_signals *s)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        if (pid != s->pid)
            continue;
        s->pid = -1;
        s->ended(s->ctx, status);
    }
}

static void on_signal(void *ctx, int fd, uint32_t events)
{
    struct acp_signals *s = ctx;
    struct signalfd_siginfo si;
    (void)events;
    while (read(fd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
        if (si.ssi_signo == SIGCHLD)
            reap(s);
        else if (s->pid > 0 && si.ssi_code != SI_KERNEL)
            (void)kill(s->pid, (int)si.ssi_signo);
    }
}

static void auto_signals(struct acp_signals **s)
{
    acp_signals_free(*s);
}

err_t acp_signals_new(struct loop *l, pid_t pid, acp_ended_fn *ended, void *ctx,
                      struct acp_signals **out, struct why *why)
{
    AUTO(auto_signals) struct acp_signals *s = calloc(1, sizeof(*s));
    sigset_t set;
    if (!s)
        return fail(why, ERR_INTERNAL, "out of memory");
    *s = (struct acp_signals){.pid = pid, .fd = -1, .ended = ended, .ctx = ctx};
    (void)sigemptyset(&set);
    for (size_t i = 0; i < COUNT(passed); i++)
        (void)sigaddset(&set, passed[i]);
    (void)sigaddset(&set, SIGCHLD);
    (void)signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return fail_errno(why, errno, "cannot block signals");
    s->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (s->fd < 0)
        return fail_errno(why, errno, "signalfd");
    TRY(loop_watch(l, &(struct loop_source){s->fd, EPOLLIN, on_signal, s}, &s->watch, why));
    reap(s); /* it may have ended before we looked */
    *out = TAKE(s);
    return ERR_OK;
}

void acp_signals_free(struct acp_signals *s)
{
    if (!s)
        return;
    loop_unwatch(s->watch);
    auto_close(&s->fd);
    free(s);
}

void acp_child_mirror(int status)
{
    static const struct rlimit no_core = {0, 0};
    sigset_t set;
    if (!WIFSIGNALED(status))
        _exit(WEXITSTATUS(status));
    (void)setrlimit(RLIMIT_CORE, &no_core);
    (void)signal(WTERMSIG(status), SIG_DFL);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, WTERMSIG(status));
    (void)raise(WTERMSIG(status));
    (void)sigprocmask(SIG_UNBLOCK, &set, NULL);
    _exit(128 + WTERMSIG(status));
}
