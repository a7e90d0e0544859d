/*
 * How the programs lock, as measured (2.1.330 and 0.169.0): Claude Code makes directories in the manner of npm's proper-lockfile, which count as
 * abandoned when nothing touched them for a while: .oauth_refresh.lock and <directory>.lock around a renewal, .storage-write.lock around a write.
 * Codex holds flock(2) on auth.lock around a renewal, and on auth.json.lock around a write. Both replace the file by a rename, so do we.
 */
#include "cli/home_file.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define OWN_LOCK ".credential-broker.lock"
enum { PAUSE_MS = 50, ABANDONED_REFRESH_S = 60, ABANDONED_WRITE_S = 15 };

/* ---- finding */

/* Root by way of somebody else, whose HOME is root's by now. */
static bool is_sudo(void)
{
    const char *uid = getenv("SUDO_UID");
    return uid && uid[0] && strcmp(uid, "0") != 0;
}

static MUST err_t find_dir(const struct home_form *form, const char *home, struct home_file *h,
                           struct why *why)
{
    const struct provider *p = provider_by_name(view_str(form->name));
    const char *own = home ? NULL : getenv(form->dir_env), *base = home ? home : getenv("HOME");
    const char *slash = strrchr(p->home_file, '/');
    int n = -1;
    h->name = slash + 1;
    if (!home && !own && geteuid() == 0 && is_sudo())
        return fail(why, ERR_USAGE, "as root by sudo, whose login is meant? say --home DIR");
    if (own && own[0])
        n = snprintf(h->dir, sizeof(h->dir), "%s", own);
    else if (base && base[0] == '/')
        n = snprintf(h->dir, sizeof(h->dir), "%s/%.*s", base, (int)(slash - p->home_file),
                     p->home_file);
    else
        return fail(why, ERR_USAGE, "neither %s nor HOME says where the login is", form->dir_env);
    if (n < 0 || (size_t)n >= sizeof(h->dir))
        return fail(why, ERR_USAGE, "the path of the login's directory is too long");
    (void)snprintf(h->path, sizeof(h->path), "%s/%s", h->dir, h->name);
    return ERR_OK;
}

/* Root that looks after somebody's home does it with that somebody's rights: what is made there is theirs, and a name that leads elsewhere leads
 * nowhere that they could not go themselves. The broker's socket is reached as root still. */
static void as_owner(const struct home_file *h)
{
    if (geteuid() != 0 || h->owner == 0)
        return;
    (void)setfsgid(h->group);
    (void)setfsuid(h->owner);
}

static void as_oneself(const struct home_file *h)
{
    if (geteuid() != 0 || h->owner == 0)
        return;
    (void)setfsuid(0);
    (void)setfsgid(getegid());
}

static MUST err_t find_owner(struct home_file *h, struct why *why)
{
    struct stat st;
    bool root = geteuid() == 0;
    if ((root ? lstat(h->dir, &st) : stat(h->dir, &st)) < 0)
        return errno == ENOENT ? fail(why, ERR_NOT_FOUND, "there is no %.180s", h->dir)
                               : fail_errno(why, errno, "%.180s", h->dir);
    if (S_ISLNK(st.st_mode))
        return fail(why, ERR_CONFLICT, "%.180s is a link: as root, name what it leads to", h->dir);
    h->owner = st.st_uid;
    h->group = st.st_gid;
    return ERR_OK;
}

static MUST err_t open_dir(struct home_file *h, struct why *why)
{
    struct stat st;
    h->dirfd = open(h->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (h->dirfd < 0)
        return fail_errno(why, errno, "%.180s", h->dir);
    if (fstatat(h->dirfd, h->name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(st.st_mode)) {
        close(h->dirfd);
        return fail(
            why, ERR_CONFLICT,
            "%.180s is a link or no file, which its program would replace: put a file there",
            h->path);
    }
    return ERR_OK;
}

err_t home_file_open(const struct home_form *form, const char *home, struct home_file *out,
                     struct why *why)
{
    struct home_file h = {.form = form, .dirfd = -1, .flocks = {-1, -1, -1}};
    TRY(find_dir(form, home, &h, why));
    TRY(find_owner(&h, why));
    as_owner(&h);
    err_t e = open_dir(&h, why);
    as_oneself(&h);
    if (e == ERR_OK)
        *out = h;
    return e;
}

const char *home_file_consumer(const struct home_file *h, const char *given,
                               char room[HOME_CONSUMER_ROOM])
{
    (void)snprintf(room, HOME_CONSUMER_ROOM, "home-%u", (unsigned)h->owner);
    return given ? given : room;
}

/* ---- locking */

static void pause_once(void)
{
    struct timespec t = {.tv_nsec = PAUSE_MS * 1000000L};
    (void)nanosleep(&t, NULL);
}

static MUST err_t busy(const struct home_file *h, struct why *why)
{
    return fail(why, ERR_CONFLICT, "%s is renewing or writing its login just now: try again",
                h->form->name);
}

static bool abandoned(const char *path, int after_s)
{
    struct stat st;
    return stat(path, &st) == 0 && clock_wall_ms() / 1000 - st.st_mtim.tv_sec > after_s;
}

static MUST err_t take_flock(struct home_file *h, unsigned slot, const char *name, struct why *why)
{
    int fd = openat(h->dirfd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fail_errno(why, errno, "%.180s/%s", h->dir, name);
    h->flocks[slot] = fd;
    for (int waited = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; waited += PAUSE_MS) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return fail_errno(why, errno, "%.180s/%s", h->dir, name);
        if (waited >= HOME_LOCK_WAIT_MS)
            return busy(h, why);
        pause_once();
    }
    return ERR_OK;
}

/* Inode and birth: an inode alone is soon another directory's. Zero: it is not there. */
static struct home_mark mark_of(const char *path)
{
    struct statx st;
    if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_INO | STATX_BTIME, &st) < 0)
        return (struct home_mark){0};
    uint64_t born = st.stx_mask & STATX_BTIME
                        ? (uint64_t)st.stx_btime.tv_sec * 1000000000 + st.stx_btime.tv_nsec
                        : 0;
    return (struct home_mark){st.stx_ino, born};
}

static MUST err_t write_notes(const struct home_file *h, struct why *why)
{
    if (pwrite(h->flocks[0], h->mark, sizeof(h->mark), 0) != (ssize_t)sizeof(h->mark))
        return fail_errno(why, errno, "%.180s/" OWN_LOCK, h->dir);
    return ERR_OK;
}

static MUST err_t note(struct home_file *h, unsigned slot, const char *path, struct why *why)
{
    h->mark[slot] = mark_of(path);
    err_t e = write_notes(h, why);
    if (e != ERR_OK)
        (void)rmdir(path);
    return e;
}

/* A run of ours that was killed left it. */
static bool is_left(const struct home_file *h, unsigned slot, const char *path)
{
    struct home_mark there = mark_of(path);
    return there.inode && there.inode == h->mark[slot].inode && there.born == h->mark[slot].born;
}

/* Made beside, entered into our own record, and only then put in its place: what a killed run left is known by its inode, and its next run need not
 * wait until it counts as abandoned. */
static MUST err_t make_dir(struct home_file *h, unsigned slot, const char *path, struct why *why)
{
    char beside[PATH_MAX];
    (void)snprintf(beside, sizeof(beside), "%s/.broker-lock-%u", h->dir, slot);
    (void)rmdir(beside);
    if (mkdir(beside, 0700) < 0)
        return fail_errno(why, errno, "%.180s", beside);
    TRY(note(h, slot, beside, why));
    int no = renameat2(AT_FDCWD, beside, AT_FDCWD, path, RENAME_NOREPLACE) < 0 ? errno : 0;
    if (no == 0)
        return ERR_OK;
    (void)rmdir(beside);
    if (no == EXDEV || no == EINVAL || no == ENOSYS)
        no = mkdir(path, 0700) < 0 ? errno : 0;
    if (no == 0)
        return note(h, slot, path, why);
    return no == EEXIST ? ERR_EXISTS : fail_errno(why, no, "%.180s", path);
}

static MUST err_t take_dir(struct home_file *h, unsigned slot, const char *path, int after_s,
                           struct why *why)
{
    if (is_left(h, slot, path))
        (void)rmdir(path);
    for (int waited = 0;; waited += PAUSE_MS) {
        err_t e = make_dir(h, slot, path, why);
        if (e == ERR_OK)
            break;
        if (e != ERR_EXISTS)
            return e;
        if (abandoned(path, after_s) && rmdir(path) == 0)
            continue;
        if (waited >= HOME_LOCK_WAIT_MS)
            return busy(h, why);
        pause_once();
    }
    (void)snprintf(h->made[slot], sizeof(h->made[slot]), "%s", path);
    return ERR_OK;
}

static MUST err_t lock_claude(struct home_file *h, struct why *why)
{
    char path[PATH_MAX], real[PATH_MAX];
    if (!realpath(h->dir, real))
        return fail_errno(why, errno, "%.180s", h->dir);
    (void)snprintf(path, sizeof(path), "%s/.oauth_refresh.lock", h->dir);
    TRY(take_dir(h, 0, path, ABANDONED_REFRESH_S, why));
    (void)snprintf(path, sizeof(path), "%.*s.lock", PATH_MAX - 8, real);
    TRY(take_dir(h, 1, path, ABANDONED_REFRESH_S, why));
    (void)snprintf(path, sizeof(path), "%s/.storage-write.lock", h->dir);
    return take_dir(h, 2, path, ABANDONED_WRITE_S, why);
}

static MUST err_t lock_codex(struct home_file *h, struct why *why)
{
    TRY(take_flock(h, 1, "auth.lock", why));
    return take_flock(h, 2, "auth.json.lock", why);
}

/* Ours are named so by file_write_atomic_at(); under the lock none is being written. */
static void sweep(const struct home_file *h)
{
    char prefix[64];
    int n = snprintf(prefix, sizeof(prefix), "%s.tmp-", h->name);
    int fd = fcntl(h->dirfd, F_DUPFD_CLOEXEC, 3);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        if (fd >= 0)
            close(fd);
        return;
    }
    rewinddir(d);
    for (const struct dirent *e; (e = readdir(d)) != NULL;)
        if (strncmp(e->d_name, prefix, (size_t)n) == 0 && strlen(e->d_name) == (size_t)n + 16)
            (void)unlinkat(h->dirfd, e->d_name, 0);
    (void)closedir(d);
}

static MUST err_t lock(struct home_file *h, struct why *why)
{
    static const struct {
        const char *name;
        err_t (*lock)(struct home_file *h, struct why *why);
    } how[] = {{"claude", lock_claude}, {"codex", lock_codex}};
    TRY(take_flock(h, 0, OWN_LOCK, why));
    if (pread(h->flocks[0], h->mark, sizeof(h->mark), 0) != (ssize_t)sizeof(h->mark))
        memset(h->mark, 0, sizeof(h->mark));
    for (size_t i = 0; i < COUNT(how); i++)
        if (strcmp(how[i].name, h->form->name) == 0)
            TRY(how[i].lock(h, why));
    sweep(h);
    return ERR_OK;
}

err_t home_file_lock(struct home_file *h, struct why *why)
{
    as_owner(h);
    err_t e = lock(h, why);
    as_oneself(h);
    return e;
}

/* One that cannot be taken away, or that a killed run left and this one did not come to, stays in our notes. */
static void unlock_dirs(struct home_file *h)
{
    struct why unheard = {0};
    bool any = false;
    for (unsigned i = HOME_LOCKS; i-- > 0;) {
        if (h->made[i][0] && rmdir(h->made[i]) == 0)
            h->mark[i] = (struct home_mark){0};
        any |= h->mark[i].inode != 0;
    }
    if (h->flocks[0] >= 0 && !any)
        (void)!ftruncate(h->flocks[0], 0);
    else if (h->flocks[0] >= 0)
        (void)!write_notes(h, &unheard);
}

void home_file_close(struct home_file *h)
{
    if (!h->form)
        return;
    as_owner(h);
    unlock_dirs(h);
    for (unsigned i = HOME_LOCKS; i-- > 0;)
        if (h->flocks[i] >= 0)
            close(h->flocks[i]);
    if (h->dirfd >= 0)
        close(h->dirfd);
    as_oneself(h);
    *h = (struct home_file){0};
}

void home_file_tidy(const struct home_form *form, const char *home)
{
    AUTO(home_file_close) struct home_file h = {0};
    struct why unheard = {0};
    struct stat st;
    if (home_file_open(form, home, &h, &unheard) == ERR_OK &&
        fstatat(h.dirfd, OWN_LOCK, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_size > 0)
        (void)!home_file_lock(&h, &unheard);
}

/* ---- bytes */

err_t home_file_read(const struct home_file *h, struct buf *out, struct why *why)
{
    as_owner(h);
    err_t e = file_read_at(h->dirfd, h->name, HOME_FILE_MAX, out, why);
    as_oneself(h);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

err_t home_file_write(const struct home_file *h, struct view text, struct why *why)
{
    as_owner(h);
    err_t e = file_write_atomic_at(h->dirfd, h->name, text, 0600, why);
    as_oneself(h);
    return e;
}
