/*
 * Builds one Landlock ruleset for a role. Everything the running kernel can restrict is restricted
 * (`since` says from which ABI it can), then the role's paths are given back: reading, or reading
 * and writing. Nothing gives back execution, devices, fifos or symlinks. The supervisor keeps its
 * files and the way out to TCP: its children inherit what it gives up, and each has a narrower
 * ruleset of its own. The keyring helper may reach abstract sockets, because D-Bus may live on one;
 * a proxy worker connects to upstreams.
 */
#include "base/landlock.h"
#include "base/auto.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* linux/landlock.h of Linux 6.12 */
enum {
    FS_EXECUTE = 1 << 0,
    FS_WRITE_FILE = 1 << 1,
    FS_READ_FILE = 1 << 2,
    FS_READ_DIR = 1 << 3,
    FS_REMOVE_DIR = 1 << 4,
    FS_REMOVE_FILE = 1 << 5,
    FS_MAKE_DIR = 1 << 7,
    FS_MAKE_REG = 1 << 8,
    FS_MAKE_SOCK = 1 << 9,
    FS_REFER = 1 << 13,
    FS_TRUNCATE = 1 << 14,
    FS_IOCTL_DEV = 1 << 15,
    FS_ALL_OF_ABI_1 = (1 << 13) - 1,
    NET_BIND_TCP = 1 << 0,
    NET_CONNECT_TCP = 1 << 1,
    SCOPE_ABSTRACT_SOCKET = 1 << 0,
    SCOPE_SIGNAL = 1 << 1,
    CREATE_RULESET_VERSION = 1,
    RULE_PATH_BENEATH = 1,

    FS_READ = FS_READ_FILE | FS_READ_DIR,
    FS_WRITE = FS_READ | FS_WRITE_FILE | FS_REMOVE_DIR | FS_REMOVE_FILE | FS_MAKE_DIR |
               FS_MAKE_REG | FS_MAKE_SOCK | FS_REFER | FS_TRUNCATE,
    FS_OF_A_FILE = FS_READ_FILE | FS_WRITE_FILE | FS_TRUNCATE,
};

struct attr { /* landlock_ruleset_attr; older kernels take a shorter one */
    uint64_t fs, net, scoped;
};
struct beneath { /* landlock_path_beneath_attr */
    uint64_t allowed;
    int32_t fd;
} __attribute__((packed));

static const struct {
    int since;
    struct attr add;
    size_t size; /* of struct attr from this ABI on */
} abis[] = {
    {1, {.fs = FS_ALL_OF_ABI_1}, sizeof(uint64_t)},
    {2, {.fs = FS_REFER}, sizeof(uint64_t)},
    {3, {.fs = FS_TRUNCATE}, sizeof(uint64_t)},
    {4, {.net = NET_BIND_TCP | NET_CONNECT_TCP}, 2 * sizeof(uint64_t)},
    {5, {.fs = FS_IOCTL_DEV}, 2 * sizeof(uint64_t)},
    {6, {.scoped = SCOPE_ABSTRACT_SOCKET | SCOPE_SIGNAL}, 3 * sizeof(uint64_t)},
};

/* What a role keeps. */
static const struct attr keeps[SANDBOX__COUNT] = {
    [SANDBOX_SUPERVISOR] = {.fs = UINT64_MAX,
                            .net = NET_CONNECT_TCP,
                            .scoped = SCOPE_ABSTRACT_SOCKET}, /* NOTIFY_SOCKET=@… */
    [SANDBOX_KEYRING] = {.scoped = SCOPE_ABSTRACT_SOCKET},    /* D-Bus */
    [SANDBOX_PROXY] = {.net = NET_CONNECT_TCP},
    [SANDBOX_OAUTH] = {.net = NET_CONNECT_TCP},
};

static struct attr handled(enum sandbox_role role, int abi, size_t *size)
{
    struct attr a = {0};
    *size = 0;
    for (size_t i = 0; i < COUNT(abis) && abis[i].since <= abi; i++) {
        a.fs |= abis[i].add.fs;
        a.net |= abis[i].add.net;
        a.scoped |= abis[i].add.scoped;
        *size = abis[i].size;
    }
    a.fs &= ~keeps[role].fs;
    a.net &= ~keeps[role].net;
    a.scoped &= ~keeps[role].scoped;
    return a;
}

static err_t allow(int ruleset, const struct sandbox_path *p, uint64_t fs, struct why *why)
{
    struct stat st;
    AUTO(auto_close) int fd = open(p->path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? ERR_OK : fail_errno(why, errno, "%s", p->path);
    if (fstat(fd, &st) < 0)
        return fail_errno(why, errno, "%s", p->path);
    struct beneath rule = {.allowed = fs & (p->write ? FS_WRITE : FS_READ), .fd = fd};
    if (!S_ISDIR(st.st_mode))
        rule.allowed &= FS_OF_A_FILE;
    if (syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0) < 0)
        return fail_errno(why, errno, "landlock rule for %s", p->path);
    return ERR_OK;
}

err_t landlock_confine(enum sandbox_role role, const struct sandbox_path *paths, int *abi,
                       struct why *why)
{
    static const struct sandbox_path read_all[] = {{"/", false}, {NULL, false}};
    size_t size;
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);
    struct attr a = handled(role, version > 0 ? (int)version : 0, &size);
    if (!a.fs && !a.net && !a.scoped) {
        *abi = version > 0 ? (int)version : 0;
        return ERR_OK;
    }
    AUTO(auto_close) int ruleset = (int)syscall(SYS_landlock_create_ruleset, &a, size, 0);
    if (ruleset < 0)
        return fail_errno(why, errno, "landlock_create_ruleset");
    for (const struct sandbox_path *p = paths ? paths : read_all; a.fs && p->path; p++)
        TRY(allow(ruleset, p, a.fs, why));
    if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
        return fail_errno(why, errno, "landlock_restrict_self");
    *abi = (int)version;
    return ERR_OK;
}
