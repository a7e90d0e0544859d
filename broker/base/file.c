/*
 * Files, safely. Invariant of the atomic write: at every instant the name holds the whole old or the whole new contents, and once the
 * call returned ERR_OK the new ones survive power loss. A failed fsync abandons the temporary file: after such a failure the page
 * cache may say "clean" of pages that never reached the disk, so it is never asked again.
 */
#include "base/file.h"

#include "base/acl.h"
#include "base/auto.h"
#include <broker/secret.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>

enum { READ_CHUNK = 4096 };

static err_t too_large(const char *name, size_t max, struct why *why)
{
    return fail(why, ERR_TOO_LARGE, "%s is larger than %zu bytes", name, max);
}

static err_t check_regular(int fd, const char *name, size_t max, size_t *size, struct why *why)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return fail_errno(why, errno, "%s", name);
    if (!S_ISREG(st.st_mode))
        return fail(why, ERR_INVALID, "%s is not a regular file", name);
    if (st.st_size < 0 || (uint64_t)st.st_size > max)
        return too_large(name, max, why);
    *size = (size_t)st.st_size;
    return ERR_OK;
}

static ssize_t read_again(int fd, void *p, size_t n)
{
    ssize_t got;
    do
        got = read(fd, p, n);
    while (got < 0 && errno == EINTR);
    return got;
}

/* Until the end of the file; one byte beyond `max` is asked for aside, so that `out` needs no more room than the file. */
static err_t read_rest(int fd, const char *name, size_t max, struct buf *out, struct why *why)
{
    for (size_t left = max;;) {
        uint8_t beyond = 0;
        size_t room = left < READ_CHUNK ? left : READ_CHUNK;
        if (!buf_reserve(out, room))
            return fail(why, ERR_INTERNAL, "out of memory");
        ssize_t n = read_again(fd, room ? out->p + out->len : &beyond, room ? room : 1);
        wipe(&beyond, 1);
        if (n < 0)
            return fail_errno(why, errno, "%s", name);
        if (n == 0)
            return ERR_OK;
        if (room == 0)
            return too_large(name, max, why);
        out->len += (size_t)n;
        left -= (size_t)n;
    }
}

/* What `out` may still take is a limit like any other. */
static size_t lesser(size_t max, const struct buf *out)
{
    size_t limit = out->max ? out->max : BUF_DEFAULT_MAX;
    size_t left = limit > out->len ? limit - out->len : 0;
    return left < max ? left : max;
}

err_t file_read_at(int dirfd, const char *name, size_t max, struct buf *out, struct why *why)
{
    AUTO(auto_close)
    int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return fail_errno(why, errno, "%s", name);
    size_t size = 0, before = out->len;
    max = lesser(max, out);
    TRY(check_regular(fd, name, max, &size, why));
    /* a file in /proc or a growing one says less than it has: the size is a first guess, the end of file decides */
    if (!buf_reserve(out, size))
        return fail(why, ERR_INTERNAL, "out of memory");
    err_t e = read_rest(fd, name, max, out, why);
    if (e != ERR_OK) {
        wipe(out->p + before, out->len - before);
        out->len = before;
        out->bad = false;
    }
    return e;
}

err_t file_write_all(int fd, const void *p, size_t n, struct why *why)
{
    const uint8_t *at = p;
    while (n) {
        ssize_t w = write(fd, at, n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return fail_errno(why, w < 0 ? errno : ENOSPC, "write");
        at += w;
        n -= (size_t)w;
    }
    return ERR_OK;
}

/* The directory that `name` stands in, which need not be dirfd's, and AT_FDCWD cannot be synced. */
static err_t sync_dir(int dirfd, const char *name, struct why *why)
{
    char parent[4096] = ".";
    const char *slash = strrchr(name, '/');
    size_t n = slash == name ? 1 : slash ? (size_t)(slash - name) : 0;
    if (slash && !view_copy(VIEW(name, n), parent, sizeof(parent)))
        return fail(why, ERR_INVALID, "a file name is too long");
    AUTO(auto_close)
    int own =
        slash || dirfd == AT_FDCWD ? openat(dirfd, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fsync(slash || dirfd == AT_FDCWD ? own : dirfd) != 0)
        return fail_errno(why, errno, "fsync of the directory");
    return ERR_OK;
}

/* Who may use the new file: a mode, or the readers of an ACL. */
struct access {
    mode_t mode;
    const struct acl_rule *readers; /* NULL: the mode alone */
};

static err_t set_access(int fd, const char *temp, const struct access *a, struct why *why)
{
    err_t e = a->readers ? acl_allow_fd(fd, a->readers, why) : ERR_UNAVAILABLE;
    if (e != ERR_UNAVAILABLE)
        return e;
    return fchmod(fd, a->mode) == 0
               ? ERR_OK
               : fail_errno(why, errno, "%s", temp); /* the umask does not decide */
}

static err_t write_temp(int dirfd, const char *temp, struct view data, const struct access *a,
                        struct why *why)
{
    AUTO(auto_close)
    int fd = openat(dirfd, temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fail_errno(why, errno, "%s", temp);
    TRY(file_write_all(fd, data.p, data.n, why));
    TRY(set_access(fd, temp, a, why));
    if (fsync(fd) != 0)
        return fail_errno(why, errno, "fsync of %s", temp);
    return ERR_OK;
}

static err_t write_atomic(int dirfd, const char *name, struct view data, const struct access *a,
                          struct why *why)
{
    char temp[320];
    uint64_t r = 0;
    if (getrandom(&r, sizeof(r), 0) != (ssize_t)sizeof(r))
        return fail_errno(why, errno, "getrandom");
    int n = snprintf(temp, sizeof(temp), "%s.tmp-%016llx", name, (unsigned long long)r);
    if (n < 0 || (size_t)n >= sizeof(temp))
        return fail(why, ERR_INVALID, "a file name is too long");
    err_t e = write_temp(dirfd, temp, data, a, why);
    if (e == ERR_OK && renameat(dirfd, temp, dirfd, name) != 0)
        e = fail_errno(why, errno, "rename to %s", name);
    if (e != ERR_OK) {
        (void)unlinkat(dirfd, temp, 0);
        return e;
    }
    return sync_dir(dirfd, name, why);
}

err_t file_write_atomic_at(int dirfd, const char *name, struct view data, mode_t mode,
                           struct why *why)
{
    return write_atomic(dirfd, name, data, &(struct access){.mode = mode}, why);
}

err_t file_write_atomic_for(int dirfd, const char *name, struct view data,
                            const struct acl_rule *readers, struct why *why)
{
    return write_atomic(dirfd, name, data, &(struct access){.mode = 0644, .readers = readers}, why);
}

err_t file_remove_at(int dirfd, const char *name, struct why *why)
{
    if (unlinkat(dirfd, name, 0) != 0) {
        if (errno == ENOENT)
            return ERR_OK;
        return fail_errno(why, errno, "%s", name);
    }
    return sync_dir(dirfd, name, why);
}

static err_t check_dir(int fd, const char *name, mode_t forbidden, struct why *why)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return fail_errno(why, errno, "%s", name);
    if (st.st_uid != geteuid() && st.st_uid != 0)
        return fail(why, ERR_PERMISSION, "%s belongs to uid %u; mend it with: chown %u %s", name,
                    st.st_uid, geteuid(), name);
    if (st.st_mode & forbidden)
        return fail(why, ERR_PERMISSION, "%s has mode %04o; mend it with: chmod %04o %s", name,
                    st.st_mode & 07777, st.st_mode & 07777 & ~forbidden, name);
    return ERR_OK;
}

err_t file_open_dir_at(int dirfd, const char *name, const struct file_dir *how, int *out_fd,
                       struct why *why)
{
    if (how->create && mkdirat(dirfd, name, how->mode) != 0 && errno != EEXIST)
        return fail_errno(why, errno, "mkdir %s", name);
    AUTO(auto_close) int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return fail_errno(why, errno, "%s", name);
    TRY(check_dir(fd, name, how->forbidden, why));
    *out_fd = TAKE_FD(fd);
    return ERR_OK;
}

/* mkdir of every missing parent; parents get 0755 so that a system directory stays passable */
static void make_parents(const char *path)
{
    char part[4096];
    for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/'))
        if (view_copy(VIEW(path, (size_t)(slash - path)), part, sizeof(part)))
            (void)mkdir(part, 0755);
}

err_t file_open_dir(const char *path, const struct file_dir *how, int *out_fd, struct why *why)
{
    if (how->create && *path)
        make_parents(path);
    return file_open_dir_at(AT_FDCWD, path, how, out_fd, why);
}

bool file_is_memory_fs(int fd)
{
    struct statfs fs;
    return fstatfs(fd, &fs) == 0 && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
}
