/*
 * The steps by which a process gives up rights, in the order that makes each still possible: user
 * and capabilities first, Landlock while paths can still be opened, seccomp last because it forbids
 * all of the former. Invariant: after sandbox_enter() returned ERR_OK nothing given up can come
 * back, in this process or what it executes; a step that fails ends the role.
 */
#include "base/sandbox.h"
#include "base/auto.h"
#include "base/landlock.h"
#include "base/sandbox_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <malloc.h>
#include <pwd.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { PERTURB = 0xa5, UMASK = 077, PASSWD_BYTES = 16384, REPORT_BYTES = 64 };

#ifdef BROKER_NO_SANDBOX
static const bool bare = true; /* LeakSanitizer and valgrind trace the process and read /proc */
#else
static const bool bare = false;
#endif

static const char *const names[SANDBOX__COUNT] = {
    [SANDBOX_SUPERVISOR] = "brokerd",  [SANDBOX_VAULT] = "brokerd-vault",
    [SANDBOX_AUDIT] = "brokerd-audit", [SANDBOX_API] = "brokerd-api",
    [SANDBOX_KDF] = "brokerd-kdf",     [SANDBOX_KEYRING] = "brokerd-keyring",
    [SANDBOX_PROXY] = "brokerd-proxy", [SANDBOX_OAUTH] = "brokerd-oauth",
};

/* 0, 1 and 2 must be open: else the first socket becomes "stderr" and gets the log. */
static err_t fill_stdio(struct why *why)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR); /* kept without close-on-exec, as stdio is */
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd < 0)
        return fail_errno(why, errno, "/dev/null");
    close(fd);
    return ERR_OK;
}

static err_t reset_signals(struct why *why)
{
    sigset_t none;
    for (int signo = 1; signo < NSIG; signo++)
        (void)signal(signo, SIG_DFL); /* EINVAL for KILL, STOP and libc's own */
    /* a reader that is gone, a file that must not grow: errors like any other */
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR || signal(SIGXFSZ, SIG_IGN) == SIG_ERR ||
        sigemptyset(&none) < 0 || sigprocmask(SIG_SETMASK, &none, NULL) < 0)
        return fail_errno(why, errno, "cannot reset signals");
    return ERR_OK;
}

err_t sandbox_process(struct why *why)
{
    const struct rlimit no_core = {0, 0};
    TRY(fill_stdio(why));
    TRY(reset_signals(why));
    (void)umask(UMASK);
    (void)mallopt(M_PERTURB, PERTURB); /* free() then overwrites: no secret waits on the heap */
    if (setrlimit(RLIMIT_CORE, &no_core) < 0)
        return fail_errno(why, errno, "RLIMIT_CORE");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return fail_errno(why, errno, "PR_SET_NO_NEW_PRIVS");
    if (!bare && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return fail_errno(why, errno, "PR_SET_DUMPABLE");
    return ERR_OK;
}

/* ---- user and capabilities */

/* What an exec could give back; needs CAP_SETPCAP, and who lacks it gains nothing by an exec under
 * no_new_privs. */
static void drop_bounding_set(void)
{
    for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
        (void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
}

static err_t drop_capabilities(struct why *why)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};
    drop_bounding_set();
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (syscall(SYS_capset, &head, none) < 0)
        return fail_errno(why, errno, "capset");
    return ERR_OK;
}

static err_t find_user(const char *user, struct passwd *pw, char room[PASSWD_BYTES],
                       struct why *why)
{
    struct passwd *found = NULL;
    int no = getpwnam_r(user, pw, room, PASSWD_BYTES, &found);
    if (no)
        return fail_errno(why, no, "cannot look up the user %s", user);
    if (!found)
        return fail(
            why, ERR_NOT_FOUND,
            "there is no user %s; make it with: useradd --system --shell /usr/sbin/nologin %s, "
            "or name another with --user",
            user, user);
    return ERR_OK;
}

err_t sandbox_drop_user(const char *user, struct why *why)
{
    struct passwd pw;
    char room[PASSWD_BYTES];
    uid_t r, e, s;
    if (geteuid() != 0)
        return ERR_OK;
    TRY(find_user(user, &pw, room, why));
    drop_bounding_set(); /* the change of user takes CAP_SETPCAP away */
    if (setgroups(0, NULL) < 0 || setresgid(pw.pw_gid, pw.pw_gid, pw.pw_gid) < 0)
        return fail_errno(why, errno, "cannot take the groups of %s", user);
    if (setresuid(pw.pw_uid, pw.pw_uid, pw.pw_uid) < 0)
        return fail_errno(why, errno, "cannot become %s", user);
    TRY(drop_capabilities(why));
    if (getresuid(&r, &e, &s) < 0 || r != pw.pw_uid || e != pw.pw_uid || s != pw.pw_uid)
        return fail(why, ERR_INTERNAL, "still not %s after setresuid", user);
    /* a change of user makes a process dumpable again where fs.suid_dumpable says so */
    if (!bare && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return fail_errno(why, errno, "PR_SET_DUMPABLE");
    return ERR_OK;
}

/* ---- entering */

static void say(char report[REPORT_BYTES], int abi)
{
    if (bare)
        (void)snprintf(report, REPORT_BYTES, "none");
    else if (abi == 0)
        (void)snprintf(report, REPORT_BYTES, "seccomp, no landlock in this kernel");
    else
        (void)snprintf(report, REPORT_BYTES, "seccomp landlock:%d", abi);
}

err_t sandbox_enter(enum sandbox_role role, const struct sandbox_path *paths, char report[64],
                    struct why *why)
{
    int abi = 0;
    if (prctl(PR_SET_NAME, names[role], 0, 0, 0) < 0)
        return fail_errno(why, errno, "PR_SET_NAME");
    TRY(drop_capabilities(why));
    if (!bare) {
        TRY(landlock_confine(role, paths, &abi, why));
        TRY(sandbox_calls_confine(role, why));
    }
    if (report)
        say(report, abi);
    return ERR_OK;
}
