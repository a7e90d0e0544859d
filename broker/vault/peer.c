/*
 * Attests a peer from its connected descriptor: five short system calls and one readlink, no allocation. What is read through
 * /proc/<pid> is about a pid, which may have passed to another process meanwhile: so after every such read the pidfd is asked
 * whether the process still lives; then the pid was its own all the time.
 */
#include "vault/peer.h"

#include "base/auto.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5, asm-generic/socket.h */
#endif

enum { PROC_PATH_MAX = 32, PROC_TEXT_MAX = 4096 };

static bool socket_int(int fd, int option, int *out)
{
    socklen_t n = sizeof(*out);
    return getsockopt(fd, SOL_SOCKET, option, out, &n) == 0 && n == sizeof(*out);
}

static bool has_ended(int pidfd)
{
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    return poll(&p, 1, 0) != 0;
}

/* The family and that it is one of ours show in the name. A listening socket has a name too, and our own credentials. */
static err_t check_socket(int fd, struct why *why)
{
    int listens = 1;
    if (!socket_int(fd, SO_ACCEPTCONN, &listens) || listens)
        return fail(why, ERR_DENIED, "not a connected socket");
    return ERR_OK;
}

static err_t read_name(int fd, struct peer *p, struct why *why)
{
    struct sockaddr_un name = {0};
    socklen_t n = sizeof(name);
    if (getsockname(fd, (struct sockaddr *)&name, &n) != 0 || name.sun_family != AF_UNIX ||
        n <= offsetof(struct sockaddr_un, sun_path) || name.sun_path[0] != '/')
        return fail(why, ERR_DENIED, "the connection did not come by a socket with a path");
    size_t room = n - offsetof(struct sockaddr_un, sun_path);
    size_t len =
        strnlen(name.sun_path, room < sizeof(name.sun_path) ? room : sizeof(name.sun_path));
    if (!view_copy(VIEW(name.sun_path, len), p->socket, sizeof(p->socket)))
        return fail(why, ERR_DENIED, "the path of the socket has over %zu bytes",
                    sizeof(p->socket) - 1);
    return ERR_OK;
}

static bool is_no_id(uint32_t id)
{
    return id == UINT32_MAX || id == PEER_OVERFLOW_ID;
}

static err_t read_cred(int fd, struct peer *p, struct why *why)
{
    struct ucred cred = {0};
    socklen_t n = sizeof(cred);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) != 0 || n != sizeof(cred) ||
        cred.pid <= 0)
        return fail(why, ERR_DENIED,
                    "the peer is not connected, or its process is not visible from the broker's "
                    "pid namespace");
    if (is_no_id(cred.uid) || is_no_id(cred.gid))
        return fail(why, ERR_DENIED,
                    "the peer's uid %u, gid %u has no mapping here: run it under a mapped user",
                    cred.uid, cred.gid);
    p->uid = cred.uid;
    p->gid = cred.gid;
    p->pid = cred.pid;
    return ERR_OK;
}

/* No pidfd on kernels before 6.5 (ENOPROTOOPT). ESRCH or EINVAL: the peer is gone, and reaped. */
static err_t read_pidfd(int fd, struct peer *p, struct why *why)
{
    if (socket_int(fd, SO_PEERPIDFD, &p->pidfd))
        return has_ended(p->pidfd) ? fail(why, ERR_DENIED, "the process that connected has ended")
                                   : ERR_OK;
    p->pidfd = -1;
    if (errno == ENOPROTOOPT)
        return ERR_OK;
    if (errno == EMFILE || errno == ENFILE)
        return fail(why, ERR_LIMIT, "too many open descriptors: raise brokerd's RLIMIT_NOFILE");
    return fail(why, ERR_DENIED, "the process that connected has ended");
}

static void read_exe(struct peer *p)
{
    char path[PROC_PATH_MAX];
    if (p->uid != geteuid()) /* the kernel shows it to the same uid only */
        return;
    (void)snprintf(path, sizeof(path), "/proc/%d/exe", p->pid);
    ssize_t n = readlink(path, p->exe, sizeof(p->exe) - 1);
    bool sure = n > 0 && (p->pidfd < 0 ||
                          !has_ended(p->pidfd)); /* without pidfd: it is for the record only */
    p->exe[sure ? n : 0] = '\0';
}

err_t peer_attest(int fd, struct peer *out, struct why *why)
{
    AUTO(peer_clear) struct peer p = {.pidfd = -1};
    TRY(check_socket(fd, why));
    TRY(read_name(fd, &p, why));
    TRY(read_cred(fd, &p, why));
    TRY(read_pidfd(fd, &p, why));
    read_exe(&p);
    *out = p;
    p.pidfd = -1;
    return ERR_OK;
}

void peer_clear(struct peer *p)
{
    if (p->pidfd >= 0)
        close(p->pidfd);
    p->pidfd = -1;
}

bool peer_has_ended(const struct peer *p)
{
    return p->pidfd >= 0 && has_ended(p->pidfd);
}

/* ---- /proc */

/* The text of a small file, NUL-terminated; -1 when unreadable or over PROC_TEXT_MAX - 1 bytes. */
static ssize_t read_text(const char *path, char out[PROC_TEXT_MAX])
{
    AUTO(auto_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    size_t len = 0;
    for (ssize_t n = 1; fd >= 0 && n > 0 && len < PROC_TEXT_MAX; len += (size_t)n) {
        n = read(fd, out + len, PROC_TEXT_MAX - len);
        if (n < 0)
            return -1;
    }
    if (fd < 0 || len == PROC_TEXT_MAX)
        return -1;
    out[len] = '\0';
    return (ssize_t)len;
}

static err_t check_overflow(const char *path, const char *name, struct why *why)
{
    char text[PROC_TEXT_MAX];
    if (read_text(path, text) <= 0)
        return fail(why, ERR_CONFLICT, "%s cannot be read: is /proc mounted?", path);
    if (strtoul(text, NULL, 10) != PEER_OVERFLOW_ID)
        return fail(why, ERR_CONFLICT, "%s is %.10s: set it back with sysctl %s=%d", path, text,
                    name, PEER_OVERFLOW_ID);
    return ERR_OK;
}

err_t peer_check_kernel(struct why *why)
{
    TRY(check_overflow("/proc/sys/kernel/overflowuid", "kernel.overflowuid", why));
    return check_overflow("/proc/sys/kernel/overflowgid", "kernel.overflowgid", why);
}

uint64_t peer_start_ticks(int32_t pid)
{
    char path[PROC_PATH_MAX], text[PROC_TEXT_MAX], *at;
    (void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    if (pid <= 0 || read_text(path, text) <= 0 || !(at = strrchr(text, ')')))
        return 0;
    for (int field = 2; field < 22;
         field++) { /* the command in field 2 may hold blanks, hence from its last ')' */
        at = strchr(at + 1, ' ');
        if (!at)
            return 0;
    }
    return strtoull(at, NULL, 10);
}

/* ---- conditions */

static bool holds(const struct config_ids *ids, uint32_t id)
{
    bool found = ids->n == 0;
    for (unsigned i = 0; i < ids->n && !found; i++)
        found = ids->id[i] == id;
    return found;
}

static bool below(const char *path, size_t n, const char *prefix)
{
    size_t k = strlen(prefix);
    while (k > 1 && prefix[k - 1] == '/')
        k--;
    if (n < k || strncmp(path, prefix, k) != 0)
        return false;
    return n == k || path[k] == '/' || prefix[k - 1] == '/';
}

/* cgroups(7): the line "0::<path>" of version 2; with version 1 the one of systemd's own hierarchy. */
bool peer_cgroup_below(const char *text, const char *prefix)
{
    static const char *const hierarchy[] = {"0::", ":name=systemd:"};
    bool found = false;
    for (const char *line = text; *line && !found;
         line += strcspn(line, "\n"), line += *line == '\n')
        for (size_t h = 0; h < COUNT(hierarchy) && !found; h++) {
            size_t k = strlen(hierarchy[h]), skip = h == 0 ? 0 : strcspn(line, ":\n");
            if (strncmp(line + skip, hierarchy[h], k) == 0)
                found = below(line + skip + k, strcspn(line + skip + k, "\n"), prefix);
        }
    return found;
}

static err_t match_cgroup(const struct peer *p, const char *prefix, struct why *why)
{
    char path[PROC_PATH_MAX], text[PROC_TEXT_MAX];
    (void)snprintf(path, sizeof(path), "/proc/%d/cgroup", p->pid);
    if (p->pidfd < 0)
        return fail(why, ERR_DENIED, "a condition on the cgroup needs SO_PEERPIDFD (Linux 6.5)");
    if (read_text(path, text) <= 0 || has_ended(p->pidfd))
        return fail(why, ERR_DENIED, "the peer's cgroup cannot be read");
    if (!peer_cgroup_below(text, prefix))
        return fail(why, ERR_DENIED, "the peer is not in the cgroup that is asked for here: %.120s",
                    prefix);
    return ERR_OK;
}

err_t peer_matches(const struct peer *p, const struct config_peer *cond, struct why *why)
{
    if (!holds(&cond->uid, p->uid))
        return fail(
            why, ERR_DENIED,
            "uid %u is not among the uids allowed here: add it under peer, or run as one of them",
            p->uid);
    if (!holds(&cond->gid, p->gid))
        return fail(
            why, ERR_DENIED,
            "gid %u is not among the gids allowed here: add it under peer, or run as one of them",
            p->gid);
    return cond->cgroup ? match_cgroup(p, cond->cgroup, why) : ERR_OK;
}
