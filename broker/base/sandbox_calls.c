/*
 * THE table of system calls: groups of calls by purpose, and which groups a role has. Invariant:
 * filters are inherited and the strictest verdict wins, so the supervisor's list holds every group;
 * its children then cut it down. The default is to kill. The supervisor and the keyring helper get
 * ENOSYS instead: the one stands above every program's loader, the other runs glib, and both must
 * live with calls that a newer libc tries first. Only the proxy and the oauth helper have internet sockets, and they
 * have no others. No role has: any further kind of socket, ptrace, process_vm_*, io_uring, bpf,
 * userfaultfd, namespaces, mounts, modules, keyctl.
 */
#include "base/sandbox_calls.h"
#include "base/auto.h"

#include <errno.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

/* the purposes */
enum {
    CORE = 1 << 0,    /* memory without new code, time, randomness, own descriptors */
    PACKETS = 1 << 1, /* waiting for and talking on sockets it already has */
    READ = 1 << 2,    /* files, where Landlock lets it */
    WRITE = 1 << 3,
    SYNC = 1 << 4,   /* moving bytes to the disk */
    LISTEN = 1 << 5, /* makes Unix sockets, never connects one */
    ACCEPT = 1 << 6,
    CONNECT = 1 << 7,
    CODE = 1 << 8, /* maps new code: a loader is still at work */
    THREADS = 1 << 9,
    SPAWN = 1 << 10,   /* starts, signals and awaits programs */
    CONFINE = 1 << 11, /* gives up rights of its own */
    PEERS =
        1
        << 12, /* holds on to a process that it did not start: whether the owner of a lease still lives */
    INTERNET = 1 << 13, /* makes and connects TCP and UDP sockets: upstreams, name servers */
    EVERYTHING = (1 << 14) - 1,
    NO_INTERNET =
        1 << 14, /* is told so instead of being stopped; never for a role above the proxy */
    INTERNET_ONLY =
        1 << 15, /* libc and libcurl try Unix and netlink sockets first: told so, not stopped */
};

static const struct {
    unsigned groups;
    uint32_t otherwise;
} roles[SANDBOX__COUNT] = {
    [SANDBOX_SUPERVISOR] = {EVERYTHING, SCMP_ACT_ERRNO(ENOSYS)},
    [SANDBOX_VAULT] = {CORE | PACKETS | READ | WRITE | SYNC | LISTEN | PEERS,
                       SCMP_ACT_KILL_PROCESS},
    [SANDBOX_AUDIT] = {CORE | PACKETS | READ | WRITE | SYNC, SCMP_ACT_KILL_PROCESS},
    [SANDBOX_API] = {CORE | PACKETS | ACCEPT, SCMP_ACT_KILL_PROCESS},
    [SANDBOX_KDF] = {CORE | PACKETS, SCMP_ACT_KILL_PROCESS},
    [SANDBOX_KEYRING] = {CORE | PACKETS | READ | CODE | THREADS | CONNECT | NO_INTERNET,
                         SCMP_ACT_ERRNO(ENOSYS)},
    [SANDBOX_PROXY] = {CORE | PACKETS | READ | ACCEPT | INTERNET, SCMP_ACT_KILL_PROCESS},
    [SANDBOX_OAUTH] = {CORE | PACKETS | READ | INTERNET | INTERNET_ONLY, SCMP_ACT_KILL_PROCESS},
};

enum { END = INT32_MIN };
/* clang-format off */
#define CALLS(...) (const int[]){__VA_ARGS__, END}
/* clang-format on */
#define NR(name) SCMP_SYS(name)

/* calls that are allowed with any arguments */
static const struct {
    unsigned group;
    const int *calls;
} plain[] = {
    {CORE,
     CALLS(NR(read), NR(readv), NR(write), NR(writev), NR(close), NR(lseek), NR(fstat),
           NR(newfstatat), NR(statx), NR(dup), NR(dup2), NR(dup3), NR(fcntl), NR(close_range))},
    {CORE, CALLS(NR(brk), NR(munmap), NR(mremap), NR(madvise), NR(mlock), NR(mlock2), NR(munlock),
                 NR(memfd_secret), NR(membarrier), NR(futex), NR(rseq), NR(set_robust_list))},
    {CORE, CALLS(NR(clock_gettime), NR(clock_getres), NR(gettimeofday), NR(time), NR(nanosleep),
                 NR(clock_nanosleep), NR(restart_syscall), NR(getrandom), NR(sched_yield),
                 NR(sched_getaffinity), NR(sysinfo), NR(uname), NR(getcpu))},
    {CORE, CALLS(NR(getpid), NR(gettid), NR(getppid), NR(getuid), NR(geteuid), NR(getgid),
                 NR(getegid), NR(rt_sigaction), NR(rt_sigprocmask), NR(rt_sigreturn),
                 NR(sigaltstack), NR(exit), NR(exit_group))},
    {PACKETS, CALLS(NR(epoll_create1), NR(epoll_ctl), NR(epoll_wait), NR(epoll_pwait), NR(poll),
                    NR(ppoll), NR(eventfd2), NR(timerfd_create), NR(timerfd_settime),
                    NR(timerfd_gettime), NR(signalfd4), NR(pipe2))},
    {PACKETS,
     CALLS(NR(sendto), NR(sendmsg), NR(sendmmsg), NR(recvfrom), NR(recvmsg), NR(recvmmsg),
           NR(shutdown), NR(getsockopt), NR(setsockopt), NR(getsockname), NR(getpeername))},
    {READ, CALLS(NR(openat), NR(stat), NR(lstat), NR(access), NR(faccessat), NR(faccessat2),
                 NR(readlink), NR(readlinkat), NR(getdents64), NR(pread64), NR(preadv), NR(statfs),
                 NR(fstatfs), NR(fadvise64), NR(getcwd))},
    {WRITE, CALLS(NR(mkdir), NR(mkdirat), NR(unlink), NR(unlinkat), NR(rmdir), NR(rename),
                  NR(renameat), NR(renameat2), NR(chmod), NR(fchmod), NR(fchmodat), NR(ftruncate),
                  NR(fallocate), NR(pwrite64), NR(pwritev), NR(flock), NR(utimensat), NR(umask),
                  NR(setxattr), NR(fsetxattr), NR(memfd_create))},
    {SYNC,
     CALLS(NR(fsync), NR(fdatasync), NR(sync_file_range), NR(sync_file_range2), NR(pwritev2))},
    {LISTEN, CALLS(NR(bind), NR(listen))},
    {PEERS, CALLS(NR(pidfd_open))},
    {ACCEPT, CALLS(NR(accept4))},
    {CONNECT | INTERNET, CALLS(NR(connect))},
    {CODE, CALLS(NR(mmap), NR(mprotect), NR(arch_prctl), NR(set_tid_address), NR(prlimit64),
                 NR(getrlimit))},
    {THREADS, CALLS(NR(sched_getscheduler), NR(sched_getparam), NR(sched_setattr),
                    NR(sched_getattr), NR(tgkill), NR(getresuid), NR(getresgid), NR(inotify_init1),
                    NR(inotify_add_watch), NR(inotify_rm_watch))},
    {SPAWN, CALLS(NR(vfork), NR(execve), NR(execveat), NR(wait4), NR(waitid), NR(kill),
                  NR(pidfd_send_signal), NR(setsid), NR(setpgid), NR(setrlimit))},
    {CONFINE,
     CALLS(NR(seccomp), NR(capget), NR(capset), NR(landlock_create_ruleset), NR(landlock_add_rule),
           NR(landlock_restrict_self), NR(setgroups), NR(setresuid), NR(setresgid), NR(prctl))},
};

/* clang-format off */
#define IS(n, v) {.arg = (n), .op = SCMP_CMP_EQ, .datum_a = (scmp_datum_t)(v)}
#define IS_NOT(n, v) {.arg = (n), .op = SCMP_CMP_NE, .datum_a = (scmp_datum_t)(v)}
#define WITHOUT(n, bits) {.arg = (n), .op = SCMP_CMP_MASKED_EQ, .datum_a = (bits), .datum_b = 0}
#define KIND(n, v) {.arg = (n), .op = SCMP_CMP_MASKED_EQ, .datum_a = SOCKET_KIND, .datum_b = (scmp_datum_t)(v)}
#define WITH(n, bits) {.arg = (n), .op = SCMP_CMP_MASKED_EQ, .datum_a = (bits), .datum_b = (bits)}
/* clang-format on */

enum {
    NAMESPACES = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
                 CLONE_NEWPID | CLONE_NEWNET,
    ALLOW = 0,         /* else an errno to answer with */
    SOCKET_KIND = 0xf, /* SOCK_TYPE_MASK: without SOCK_CLOEXEC and SOCK_NONBLOCK */
};

/* calls that depend on an argument, or are answered with an errno; one comparison each */
static const struct {
    unsigned group;
    int call, answer;
    struct scmp_arg_cmp arg;
} guarded[] = {
    {CORE, NR(mmap), ALLOW, WITHOUT(2, PROT_EXEC)},
    {CORE, NR(mprotect), ALLOW, WITHOUT(2, PROT_EXEC)},
    {CORE, NR(prlimit64), ALLOW, IS(2, 0)}, /* asks, never sets */
    {CORE, NR(prctl), ALLOW, IS(0, PR_SET_NAME)},
    {CORE, NR(prctl), ALLOW, IS(0, PR_GET_DUMPABLE)},
    {CORE, NR(prctl), EINVAL, IS(0, PR_SET_VMA)}, /* names of mappings: newer glibc tries */
    {CORE, NR(ioctl), ENOTTY, IS(1, TCGETS)},     /* stdio asks whether it is a terminal */
    {CORE, NR(ioctl), ALLOW, IS(1, FIONREAD)},
    {CORE, NR(ioctl), ALLOW, IS(1, FIONBIO)},
    {LISTEN | CONNECT, NR(socket), ALLOW, IS(0, AF_UNIX)},
    {SPAWN | CONNECT, NR(socketpair), ALLOW, IS(0, AF_UNIX)},
    {NO_INTERNET, NR(socket), EAFNOSUPPORT, IS_NOT(0, AF_UNIX)},
    {INTERNET_ONLY, NR(socket), EAFNOSUPPORT, IS(0, AF_UNIX)},
    {INTERNET_ONLY, NR(socket), EAFNOSUPPORT, IS(0, AF_NETLINK)},
    {INTERNET_ONLY, NR(socketpair), EAFNOSUPPORT, IS(0, AF_UNIX)},
    /* clone3 has no row: its flags lie in memory, out of a filter's sight; on ENOSYS libc uses
       clone */
    {SPAWN, NR(clone), ALLOW, WITHOUT(0, NAMESPACES)},
    {THREADS, NR(clone), ALLOW, WITH(0, CLONE_VM | CLONE_THREAD | CLONE_SIGHAND)},
};

static err_t add_internet(scmp_filter_ctx ctx, struct why *why)
{
    static const struct {
        int family, kind;
    } sockets[] = {{AF_INET, SOCK_STREAM},
                   {AF_INET, SOCK_DGRAM},
                   {AF_INET6, SOCK_STREAM},
                   {AF_INET6, SOCK_DGRAM}};
    for (size_t i = 0; i < COUNT(sockets); i++) {
        const struct scmp_arg_cmp args[] = {IS(0, sockets[i].family), KIND(1, sockets[i].kind)};
        int r = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, NR(socket), COUNT(args), args);
        if (r < 0)
            return fail_errno(why, -r, "seccomp rule for internet sockets");
    }
    return ERR_OK;
}

static err_t add(scmp_filter_ctx ctx, unsigned groups, struct why *why)
{
    for (size_t i = 0; i < COUNT(plain); i++)
        for (const int *nr = plain[i].calls; plain[i].group & groups && *nr != END; nr++) {
            int r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, *nr, 0);
            if (r < 0)
                return fail_errno(why, -r, "seccomp rule for call %d", *nr);
        }
    for (size_t i = 0; i < COUNT(guarded); i++) {
        if (!(guarded[i].group & groups))
            continue;
        uint32_t act =
            guarded[i].answer ? SCMP_ACT_ERRNO((uint32_t)guarded[i].answer) : SCMP_ACT_ALLOW;
        int r = seccomp_rule_add_array(ctx, act, guarded[i].call, 1, &guarded[i].arg);
        if (r < 0)
            return fail_errno(why, -r, "seccomp rule for call %d", guarded[i].call);
    }
    return groups & INTERNET ? add_internet(ctx, why) : ERR_OK;
}

static err_t load(scmp_filter_ctx ctx, enum sandbox_role role, struct why *why)
{
    /* a binary tree instead of a list: a call of the proxy's hot path meets 7 comparisons, not 100
     */
    int r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    if (r == 0)
        r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (r < 0)
        return fail_errno(why, -r, "seccomp");
    TRY(add(ctx, roles[role].groups, why));
    r = seccomp_load(ctx);
    return r < 0 ? fail_errno(why, -r, "the kernel does not take the seccomp filter") : ERR_OK;
}

err_t sandbox_calls_confine(enum sandbox_role role, struct why *why)
{
    scmp_filter_ctx ctx = seccomp_init(roles[role].otherwise);
    if (!ctx)
        return fail(why, ERR_INTERNAL, "seccomp_init");
    err_t e = load(ctx, role, why);
    seccomp_release(ctx);
    return e;
}
