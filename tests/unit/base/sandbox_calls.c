/* What each role may and may not call: one table of probes over all roles, each probe in a process of its own. */
#include "base/sandbox_calls.h"
#include "base/auto.h"
#include "check.h"
#include "forked.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#ifdef BROKER_NO_SANDBOX
#define NEEDS_SECCOMP SKIP("built without seccomp")
#else
#define NEEDS_SECCOMP (void)0
#endif

/* Each makes its call with arguments that do nothing or fail harmlessly, and gives 0 or the errno. */
static int done(long r)
{
    return r < 0 ? errno : 0;
}
static int tcp(void) { return done(socket(AF_INET, SOCK_STREAM, 0)); }
static int tcp6(void) { return done(socket(AF_INET6, SOCK_STREAM, 0)); }
static int udp(void) { return done(socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)); }
static int raw(void) { return done(socket(AF_INET, SOCK_RAW, 1)); }
static int netlink(void) { return done(socket(AF_NETLINK, SOCK_RAW, 0)); }
static int vsock(void) { return done(socket(AF_VSOCK, SOCK_STREAM, 0)); }
static int unix_socket(void) { return done(socket(AF_UNIX, SOCK_STREAM, 0)); }
static int unix_pair(void) { int p[2]; return done(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, p)); }
static int do_connect(void) { return done(connect(-1, NULL, 0)); }
static int do_bind(void) { return done(bind(-1, NULL, 0)); }
static int do_listen(void) { return done(listen(-1, 1)); }
static int do_accept(void) { return done(accept4(-1, NULL, NULL, 0)); }
static int do_send(void) { return done(send(-1, "", 1, 0)); }
static int do_recvmsg(void) { return done(syscall(SYS_recvmsg, -1, NULL, 0)); }
static int exec(void) { return done(execve("/nonexistent", (char *[]){NULL}, NULL)); }
static int execat(void) { return done(syscall(SYS_execveat, -1, "nonexistent", NULL, NULL, 0)); }
static int do_fork(void) { pid_t p = fork(); if (p == 0) _exit(0); return done(p); }
static int do_vfork(void) { pid_t p = vfork(); if (p == 0) _exit(0); return done(p); } /* how dash starts programs */
static int do_clone3(void) { return done(syscall(SYS_clone3, NULL, 0)); }
static int clone_userns(void) { long p = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0); if (p == 0) _exit(0); return done(p); }
static int signal_init(void) { return done(kill(1, 0)); }
static int ptrace_me(void) { return done(syscall(SYS_ptrace, -1L, 0, 0, 0)); }
static int read_memory(void) { return done(syscall(SYS_process_vm_readv, getpid(), NULL, 0, NULL, 0, 0)); }
static int open_file(void) { return done(open("/nonexistent", O_RDONLY)); }
static int legacy_open(void) { return done(syscall(SYS_open, "/nonexistent", O_RDONLY)); }
static int by_handle(void) { return done(syscall(SYS_open_by_handle_at, -1, NULL, 0)); }
static int remove_file(void) { return done(unlinkat(-1, "x", 0)); }
static int rename_file(void) { return done(renameat(-1, "x", -1, "y")); }
static int make_link(void) { return done(symlink("x", "")); }
static int hard_link(void) { return done(link("", "")); }
static int sync_file(void) { return done(fdatasync(-1)); }
static int code_page(void) { return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? errno : 0; }
static int code_protect(void) { return done(mprotect(NULL, 0, PROT_EXEC)); }
static int code_pkey(void) { return done(syscall(SYS_pkey_mprotect, NULL, 0, PROT_EXEC, -1)); }
static int data_page(void) { return mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? errno : 0; }
static int set_dumpable(void) { return done(prctl(PR_SET_DUMPABLE, 2, 0, 0, 0)); } /* 2 is always EINVAL */
static int set_name(void) { return done(prctl(PR_SET_NAME, "probe", 0, 0, 0)); }
static int set_limit(void) { const struct rlimit r = {0, 0}; return done(syscall(SYS_prlimit64, 0, RLIMIT_CORE, &r, NULL)); }
static int get_limit(void) { struct rlimit r; return done(getrlimit(RLIMIT_NOFILE, &r)); }
static int type_into_tty(void) { return done(ioctl(-1, TIOCSTI, "x")); }
static int is_tty(void) { char room[64]; return done(ioctl(-1, TCGETS, room)); }
static int become_root(void) { return done(syscall(SYS_setresuid, -1, -1, -1)); }
static int more_seccomp(void) { return done(syscall(SYS_seccomp, 99, 0, NULL)); }
static int do_mount(void) { return done(syscall(SYS_mount, NULL, "", NULL, 0, NULL)); }
static int do_unshare(void) { return done(syscall(SYS_unshare, 0)); }
static int do_setns(void) { return done(syscall(SYS_setns, -1, 0)); }
static int do_bpf(void) { return done(syscall(SYS_bpf, -1, NULL, 0)); }
static int uring(void) { return done(syscall(SYS_io_uring_setup, 0, NULL)); }
static int userfault(void) { return done(syscall(SYS_userfaultfd, -1)); }
static int do_keyctl(void) { return done(syscall(SYS_keyctl, -1)); }
static int perf(void) { return done(syscall(SYS_perf_event_open, NULL, -1, -1, -1, -1)); }
static int module(void) { return done(syscall(SYS_finit_module, -1, "", 0)); }
static int do_chroot(void) { return done(syscall(SYS_chroot, "")); }
static int own_pidfd(void) { return done(syscall(SYS_pidfd_open, getpid(), 0)); }
static int steal_fd(void) { return done(syscall(SYS_pidfd_getfd, -1, 0, 0)); }
static int randomness(void) { char c; return done(getrandom(&c, 1, 0)); }
static int do_poll(void) { return done(poll(NULL, 0, 0)); }
static int new_call(void) { return done(syscall(4000)); }

/* A letter for each role in the order of enum sandbox_role: supervisor vault audit api kdf keyring proxy oauth.
 * y: goes through to the kernel   k: kills   n: ENOSYS   f: EAFNOSUPPORT */
static const struct {
    const char *name;
    int (*call)(void);
    const char *verdict;
} probes[] = {
    {"socket inet", tcp, "ykkkkfyy"},
    {"socket inet6", tcp6, "ykkkkfyy"},
    {"socket udp", udp, "ykkkkfyy"},
    {"socket inet raw", raw, "nkkkkfkk"},
    {"socket netlink", netlink, "nkkkkfkf"},
    {"socket vsock", vsock, "nkkkkfkk"},
    {"socket unix", unix_socket, "yykkkykf"},
    {"socketpair", unix_pair, "ykkkkykf"},
    {"connect", do_connect, "ykkkkyyy"},
    {"bind", do_bind, "yykkknkk"},
    {"listen", do_listen, "yykkknkk"},
    {"accept4", do_accept, "ykkyknyk"},
    {"send", do_send, "yyyyyyyy"},
    {"recvmsg", do_recvmsg, "yyyyyyyy"},
    {"execve", exec, "ykkkknkk"},
    {"execveat", execat, "ykkkknkk"},
    {"fork", do_fork, "ykkkknkk"},
    {"vfork", do_vfork, "ykkkknkk"},
    {"clone3", do_clone3, "nkkkknkk"},
    {"clone new user namespace", clone_userns, "nkkkknkk"},
    {"kill", signal_init, "ykkkknkk"},
    {"ptrace", ptrace_me, "nkkkknkk"},
    {"process_vm_readv", read_memory, "nkkkknkk"},
    {"openat", open_file, "yyykkyyy"},
    {"open", legacy_open, "nkkkknkk"},
    {"open_by_handle_at", by_handle, "nkkkknkk"},
    {"unlinkat", remove_file, "yyykknkk"},
    {"renameat", rename_file, "yyykknkk"},
    {"symlink", make_link, "nkkkknkk"},
    {"link", hard_link, "nkkkknkk"},
    {"fdatasync", sync_file, "yyykknkk"},
    {"mmap code", code_page, "ykkkkykk"},
    {"mprotect code", code_protect, "ykkkkykk"},
    {"pkey_mprotect", code_pkey, "nkkkknkk"},
    {"mmap data", data_page, "yyyyyyyy"},
    {"prctl dumpable", set_dumpable, "ykkkknkk"},
    {"prctl name", set_name, "yyyyyyyy"},
    {"prlimit set", set_limit, "ykkkkykk"},
    {"prlimit get", get_limit, "yyyyyyyy"},
    {"ioctl TIOCSTI", type_into_tty, "nkkkknkk"},
    {"ioctl TCGETS", is_tty, "yyyyyyyy"},
    {"setresuid", become_root, "ykkkknkk"},
    {"seccomp", more_seccomp, "ykkkknkk"},
    {"mount", do_mount, "nkkkknkk"},
    {"unshare", do_unshare, "nkkkknkk"},
    {"setns", do_setns, "nkkkknkk"},
    {"bpf", do_bpf, "nkkkknkk"},
    {"io_uring_setup", uring, "nkkkknkk"},
    {"userfaultfd", userfault, "nkkkknkk"},
    {"keyctl", do_keyctl, "nkkkknkk"},
    {"perf_event_open", perf, "nkkkknkk"},
    {"finit_module", module, "nkkkknkk"},
    {"chroot", do_chroot, "nkkkknkk"},
    {"pidfd_open", own_pidfd, "yykkknkk"},
    {"pidfd_getfd", steal_fd, "nkkkknkk"},
    {"getrandom", randomness, "yyyyyyyy"},
    {"poll", do_poll, "yyyyyyyy"},
    {"a call of the future", new_call, "nkkkknkk"},
};

struct probe {
    enum sandbox_role role;
    int (*call)(void);
};

static int confined(void *ctx)
{
    const struct probe *p = ctx;
    struct why w = {0};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || sandbox_calls_confine(p->role, &w) != ERR_OK)
        return FORKED_BAD;
    return p->call();
}

static char verdict_of(int status)
{
    if (killed_by(status) == SIGSYS)
        return 'k';
    int no = exit_code(status);
    return no < 0 || no == FORKED_BAD ? '?' : no == ENOSYS ? 'n' : no == EAFNOSUPPORT ? 'f' : 'y';
}

TEST(every_probe_has_the_verdict_of_its_role)
{
    int wrong = 0;
    NEEDS_SECCOMP;
    for (size_t i = 0; i < COUNT(probes); i++)
        for (unsigned role = 0; role < SANDBOX__COUNT; role++) {
            struct probe p = {(enum sandbox_role)role, probes[i].call};
            int status = forked(confined, &p);
            if (verdict_of(status) == probes[i].verdict[role])
                continue;
            printf("    %s as role %u: %c, not %c (status %x)\n", probes[i].name, role, verdict_of(status),
                   probes[i].verdict[role], (unsigned)status);
            wrong++;
        }
    CHECK_INT(wrong, 0);
}

/* The control: without a filter the same probes are not refused; else the table above proves nothing. */
static int unconfined(void *ctx)
{
    return ((struct probe *)ctx)->call();
}

TEST(without_the_filter_no_probe_is_killed)
{
    for (size_t i = 0; i < COUNT(probes); i++) {
        struct probe p = {SANDBOX_KDF, probes[i].call};
        CHECK_INT(killed_by(forked(unconfined, &p)), 0);
    }
}

#if defined(__x86_64__)
static int by_i386(void)
{
    long r = 20; /* getpid of i386 */
    __asm__ volatile("int $0x80" : "+a"(r) : : "memory");
    return 0;
}

TEST(calls_by_the_i386_gate_kill)
{
    NEEDS_SECCOMP;
    for (unsigned role = 0; role < SANDBOX__COUNT; role++) {
        struct probe p = {(enum sandbox_role)role, by_i386};
        CHECK_INT(killed_by(forked(confined, &p)), SIGSYS);
    }
}

static int by_x32(void)
{
    return done(syscall(0x40000000L | SYS_getpid));
}

TEST(calls_by_the_x32_gate_kill)
{
    NEEDS_SECCOMP;
    for (unsigned role = 0; role < SANDBOX__COUNT; role++) {
        struct probe p = {(enum sandbox_role)role, by_x32};
        CHECK_INT(killed_by(forked(confined, &p)), SIGSYS);
    }
}
#endif

static int vault_below_supervisor(void *ctx)
{
    struct why w = {0};
    (void)ctx;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || sandbox_calls_confine(SANDBOX_SUPERVISOR, &w) != ERR_OK ||
        sandbox_calls_confine(SANDBOX_VAULT, &w) != ERR_OK)
        return FORKED_BAD;
    if (unix_socket() != 0 || open_file() != ENOENT || data_page() != 0)
        return 1;
    return exec();
}

TEST(role_narrows_what_it_inherited_from_the_supervisor)
{
    NEEDS_SECCOMP;
    CHECK_INT(killed_by(forked(vault_below_supervisor, NULL)), SIGSYS);
}

static int shell_below_supervisor(void *ctx)
{
    struct why w = {0};
    (void)ctx;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || sandbox_calls_confine(SANDBOX_SUPERVISOR, &w) != ERR_OK)
        return FORKED_BAD;
    return done(execl("/bin/sh", "sh", "-c", "exec /bin/cat /proc/self/status >/dev/null", (char *)NULL));
}

static int keyring_below_supervisor(void *ctx)
{
    struct why w = {0};
    (void)ctx;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || sandbox_calls_confine(SANDBOX_SUPERVISOR, &w) != ERR_OK ||
        sandbox_calls_confine(SANDBOX_KEYRING, &w) != ERR_OK)
        return FORKED_BAD;
    return tcp() == EAFNOSUPPORT && netlink() == EAFNOSUPPORT && unix_socket() == 0 ? 0 : 1;
}

static int proxy_below_supervisor(void *ctx)
{
    struct why w = {0};
    (void)ctx;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || sandbox_calls_confine(SANDBOX_SUPERVISOR, &w) != ERR_OK ||
        sandbox_calls_confine(SANDBOX_PROXY, &w) != ERR_OK)
        return FORKED_BAD;
    if (tcp() != 0 || udp() != 0 || do_connect() != EBADF)
        return 1;
    return unix_socket();
}

TEST(internet_of_the_supervisor_reaches_the_proxy_only)
{
    NEEDS_SECCOMP;
    CHECK_INT(exit_code(forked(keyring_below_supervisor, NULL)), 0);
    CHECK_INT(killed_by(forked(proxy_below_supervisor, NULL)), SIGSYS);
}

TEST(supervisors_filter_lets_programs_start)
{
    NEEDS_SECCOMP;
    CHECK_INT(exit_code(forked(shell_below_supervisor, NULL)), 0);
}
