/* What every role has given up: dumps, tracing by its own uid, privileges, user; and that the whole of it can be entered. */
#include "base/sandbox.h"
#include "base/auto.h"
#include "check.h"
#include "forked.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#ifdef BROKER_NO_SANDBOX
#define NEEDS_SANDBOX SKIP("built without the sandbox")
#else
#define NEEDS_SANDBOX (void)0
#endif

enum { NOBODY = 65534 };
static const struct sandbox_path none[] = {{NULL, false}};

static bool caps_are_empty(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct d[_LINUX_CAPABILITY_U32S_3] = {0};
    return syscall(SYS_capget, &head, d) == 0 && !d[0].effective && !d[0].permitted && !d[0].inheritable &&
           !d[1].effective && !d[1].permitted && !d[1].inheritable;
}

/* each check has a bit, so that a failure says which */
static int process_facts(void *ctx)
{
    struct why w = {0};
    struct rlimit core = {1, 1};
    sigset_t mask;
    (void)ctx;
    (void)signal(SIGTERM, SIG_IGN);
    (void)sigfillset(&mask);
    (void)sigprocmask(SIG_SETMASK, &mask, NULL);
    if (sandbox_process(&w) != ERR_OK)
        return FORKED_BAD;
    struct sigaction term, pipe_action;
    int bad = 0;
    bad |= prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1;
    bad |= (getrlimit(RLIMIT_CORE, &core) < 0 || core.rlim_cur || core.rlim_max) << 1;
    bad |= (umask(0) != 077) << 2;
    bad |= (sigaction(SIGTERM, NULL, &term) < 0 || term.sa_handler != SIG_DFL) << 3;
    bad |= (sigaction(SIGPIPE, NULL, &pipe_action) < 0 || pipe_action.sa_handler != SIG_IGN) << 4;
    bad |= (sigaction(SIGXFSZ, NULL, &pipe_action) < 0 || pipe_action.sa_handler != SIG_IGN) << 4;
    bad |= (sigprocmask(SIG_BLOCK, NULL, &mask) < 0 || sigismember(&mask, SIGUSR1)) << 5;
#ifndef BROKER_NO_SANDBOX
    bad |= (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0) << 6;
#endif
    return bad;
}

TEST(process_has_given_up_dumps_privileges_and_inherited_signals)
{
    CHECK_INT(exit_code(forked(process_facts, NULL)), 0);
}

static int closed_stdio(void *ctx)
{
    struct why w = {0};
    struct stat st;
    (void)ctx;
    close(0);
    close(2);
    if (sandbox_process(&w) != ERR_OK)
        return FORKED_BAD;
    int next = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return fstat(0, &st) == 0 && fstat(2, &st) == 0 && next > 2 ? 0 : 1;
}

TEST(closed_stdio_is_filled_so_that_no_socket_becomes_stderr)
{
    CHECK_INT(exit_code(forked(closed_stdio, NULL)), 0);
}

static int crashes(void *ctx)
{
    struct why w = {0};
    (void)ctx;
    if (sandbox_process(&w) != ERR_OK)
        return FORKED_BAD;
    abort();
}

TEST(crash_leaves_no_core)
{
    int status = forked(crashes, NULL);
    CHECK_INT(killed_by(status), SIGABRT);
    CHECK(!WCOREDUMP(status));
}

static int freed_memory(void *ctx)
{
    struct why w = {0};
    (void)ctx;
    if (sandbox_process(&w) != ERR_OK)
        return FORKED_BAD;
    char *p = malloc(200);
    if (!p)
        return FORKED_BAD;
    memset(p, 'S', 200);
    volatile uintptr_t at = (uintptr_t)p;
    free(p);
    const volatile char *ghost = (const volatile char *)at;
    for (int i = 32; i < 190; i++) /* the allocator's own links come first */
        if (ghost[i] == 'S')
            return 1;
    return 0;
}

TEST(freed_memory_is_overwritten)
{
    NEEDS_SANDBOX; /* sanitizers bring an allocator of their own */
    CHECK_INT(exit_code(forked(freed_memory, NULL)), 0);
}

/* ---- tracing by the same uid */

struct target {
    bool protect;
    pid_t pid;
};

static int tries_to_trace(void *ctx)
{
    const struct target *t = ctx;
    char path[64];
    if (geteuid() == 0 && setresuid(NOBODY, NOBODY, NOBODY) < 0)
        return FORKED_BAD;
    (void)snprintf(path, sizeof(path), "/proc/%d/mem", t->pid);
    bool traced = ptrace(PTRACE_SEIZE, t->pid, 0, 0) == 0;
    bool opened = open(path, O_RDONLY | O_CLOEXEC) >= 0;
    (void)snprintf(path, sizeof(path), "/proc/%d/environ", t->pid);
    bool environment = open(path, O_RDONLY | O_CLOEXEC) >= 0;
    return (traced ? 1 : 0) | (opened ? 2 : 0) | (environment ? 4 : 0);
}

static int victim_and_thief(bool protect)
{
    int p[2];
    char c = 0;
    struct why w = {0};
    CHECK_INT(pipe2(p, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        if (geteuid() == 0 && setresuid(NOBODY, NOBODY, NOBODY) < 0)
            _exit(1);
        (void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* the change of user took it away */
        if (protect && sandbox_process(&w) != ERR_OK)
            _exit(1);
        (void)!write(p[1], "r", 1);
        (void)pause();
        _exit(0);
    }
    CHECK_INT(read(p[0], &c, 1), 1);
    struct target t = {protect, pid};
    int status = forked(tries_to_trace, &t);
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
    close(p[0]);
    close(p[1]);
    return exit_code(status);
}

TEST(same_uid_cannot_trace_or_read_memory_or_environment)
{
    NEEDS_SANDBOX;
    int control = victim_and_thief(false);
    CHECK_INT(victim_and_thief(true), 0);
    if (control != 7)
        SKIP("here an unprotected process cannot be traced either: this proves nothing");
}

/* ---- user */

static int drops(void *ctx)
{
    struct why w = {0};
    err_t e = sandbox_drop_user(ctx, &w);
    if (e != ERR_OK)
        return e == ERR_NOT_FOUND && strstr(w.text, "useradd") ? 50 : FORKED_BAD;
    uid_t r, ef, s;
    gid_t g[8];
    int bad = 0;
    bad |= getresuid(&r, &ef, &s) < 0 || r != NOBODY || ef != NOBODY || s != NOBODY;
    bad |= (getgroups(8, g) != 0) << 1;
    bad |= (!caps_are_empty()) << 2;
    bad |= (setuid(0) == 0 || setgid(0) == 0) << 3;
    bad |= (prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0) != 0) << 4;
    return bad;
}

TEST(root_becomes_the_user_for_good)
{
    const struct passwd *pw = getpwnam("nobody");
    if (geteuid() != 0)
        SKIP("needs root");
    if (!pw || pw->pw_uid != NOBODY)
        SKIP("there is no user nobody with uid 65534");
    CHECK_INT(exit_code(forked(drops, (void *)(uintptr_t)"nobody")), 0);
}

TEST(unknown_user_names_the_remedy)
{
    if (geteuid() != 0)
        SKIP("needs root");
    CHECK_INT(exit_code(forked(drops, (void *)(uintptr_t)"no-such-user-here")), 50);
}

static int drops_nothing(void *ctx)
{
    struct why w = {0};
    (void)ctx;
    if (geteuid() == 0 && setresuid(NOBODY, NOBODY, NOBODY) < 0)
        return FORKED_BAD;
    uid_t before = geteuid();
    return sandbox_drop_user("no-such-user-here", &w) == ERR_OK && geteuid() == before ? 0 : 1;
}

TEST(ordinary_user_has_nothing_to_drop)
{
    CHECK_INT(exit_code(forked(drops_nothing, NULL)), 0);
}

/* ---- the whole */

struct entered {
    enum sandbox_role role;
    int (*then)(const char *report);
};

static int enter(void *ctx)
{
    const struct entered *en = ctx;
    struct why w = {0};
    char report[64] = "";
    if (sandbox_process(&w) != ERR_OK || sandbox_enter(en->role, none, report, &w) != ERR_OK)
        return FORKED_BAD;
    return en->then(report);
}

static int all_is_well(const char *report)
{
    return report[0] && strlen(report) < 64 ? 0 : 1;
}

TEST(every_role_can_be_entered_and_reports_it)
{
    for (unsigned role = 0; role < SANDBOX__COUNT; role++) {
        struct entered en = {(enum sandbox_role)role, all_is_well};
        CHECK_INT(exit_code(forked(enter, &en)), 0);
    }
}

static int supervisor_facts(const char *report)
{
    int bad = strncmp(report, "seccomp", 7) != 0;
    bad |= (!caps_are_empty()) << 1;
    return bad;
}

TEST(entering_drops_every_capability)
{
    NEEDS_SANDBOX;
    struct entered en = {SANDBOX_SUPERVISOR, supervisor_facts}; /* the one role that may still ask (capget) */
    CHECK_INT(exit_code(forked(enter, &en)), 0);
}

static int opens_internet_socket(const char *report)
{
    (void)report;
    return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0;
}

TEST(vault_that_reaches_for_the_network_dies)
{
    NEEDS_SANDBOX;
    struct entered en = {SANDBOX_VAULT, opens_internet_socket};
    int status = forked(enter, &en);
    CHECK_INT(killed_by(status), SIGSYS);
    CHECK(!WCOREDUMP(status));
}

static int opens_passwd(const char *report)
{
    (void)report;
    return open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0 && errno == EACCES ? 0 : 1;
}

TEST(vault_outside_its_paths_is_refused)
{
    NEEDS_SANDBOX;
    struct entered en = {SANDBOX_VAULT, opens_passwd};
    int code = exit_code(forked(enter, &en));
    if (code == 1 && syscall(SYS_landlock_create_ruleset, NULL, 0, 1) < 0)
        SKIP("this kernel has no Landlock");
    CHECK_INT(code, 0);
}
