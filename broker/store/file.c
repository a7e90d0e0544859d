/*
 * The file store: $STATE/{lock, keys, manifest-<generation>, records/<shard>/<name>}; directories
 * 0700, files 0600. Invariant: what was acknowledged is on the disk, and the newest generation of
 * the manifest in the directory is the one appended to. A write that leaves this in doubt (a failed
 * append, sync or rename) makes the manifest count as damaged: it takes nothing more until
 * manifest_replace has put a newer generation in its place.
 * Opening costs one small directory and one header, however many records there are: these lie in
 * 256 shards by a hash of their names, and are opened by name only.
 */
#include "store/stores.h"

#include "base/auto.h"
#include "base/file.h"
#include "store/generation.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

enum { DIR_MODE = 0700, FILE_MODE = 0600, FORBIDDEN = 0077, SHARDS = 256 };
static const size_t manifest_max = (size_t)1 << 30;
static const char keys_name[] = "keys", records_name[] = "records", temp_mark[] = ".tmp-";

struct store {
    int dir, records, lock, manifest; /* manifest -1: there is none yet */
    uint64_t generation;              /* of it */
    bool damaged;
    char where[PATH_MAX];
};

static void auto_closedir(DIR **d)
{
    if (*d)
        (void)closedir(*d);
}

/* A stream of its own: the position of dirfd is not shared. */
static err_t list_dir(int dirfd, const char *name, DIR **out, struct why *why)
{
    AUTO(auto_close) int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d)
        return fail_errno(why, errno, "listing the store");
    (void)TAKE_FD(fd); /* the stream's now */
    *out = d;
    return ERR_OK;
}

static bool is_temp(const char *name)
{
    return strstr(name, temp_mark) != NULL;
}

/* ---- opening and closing */

static void file_close(struct store *s)
{
    if (!s)
        return;
    auto_close(&s->manifest);
    auto_close(&s->records);
    auto_close(&s->dir);
    auto_close(&s->lock); /* last: the next opener finds everything closed */
    free(s);
}

static void auto_store(struct store **s)
{
    file_close(*s);
}

static err_t lock_busy(int fd, const char *where, struct why *why)
{
    char pid[16] = "?";
    ssize_t n = pread(fd, pid, sizeof(pid) - 1, 0);
    pid[n > 0 ? n : 1] = '\0';
    pid[strcspn(pid, "\n")] = '\0';
    return fail(why, ERR_CONFLICT,
                "another brokerd (pid %s) uses %s: stop it, or choose another state directory", pid,
                where);
}

static err_t lock_take(struct store *s, struct why *why)
{
    s->lock = openat(s->dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
    if (s->lock < 0)
        return fail_errno(why, errno, "%s/lock", s->where);
    if (flock(s->lock, LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? lock_busy(s->lock, s->where, why)
                                    : fail_errno(why, errno, "locking %s/lock", s->where);
    /* the pid is for people only: a failure to write it is none of the lock */
    if (ftruncate(s->lock, 0) == 0)
        (void)dprintf(s->lock, "%ld\n", (long)getpid());
    return ERR_OK;
}

/* A file of ours: regular, our own, closed to others. Missing is fine. */
static err_t check_file(const struct store *s, const char *name, struct why *why)
{
    struct stat st;
    if (fstatat(s->dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? ERR_OK : fail_errno(why, errno, "%s/%s", s->where, name);
    if (!S_ISREG(st.st_mode))
        return fail(why, ERR_PERMISSION, "%s/%s is not a regular file", s->where, name);
    if (st.st_uid != geteuid() && st.st_uid != 0)
        return fail(why, ERR_PERMISSION, "%s/%s belongs to uid %u; mend it with: chown %u %s/%s",
                    s->where, name, st.st_uid, geteuid(), s->where, name);
    if (st.st_mode & FORBIDDEN)
        return fail(why, ERR_PERMISSION, "%s/%s has mode %04o; mend it with: chmod 0600 %s/%s",
                    s->where, name, st.st_mode & 07777, s->where, name);
    return ERR_OK;
}

static err_t open_records(struct store *s, struct why *why)
{
    const struct file_dir how = {.create = true, .mode = DIR_MODE, .forbidden = FORBIDDEN};
    return file_open_dir_at(s->dir, records_name, &how, &s->records, why);
}

static err_t open_manifest(struct store *s, uint64_t generation, bool *whole, struct why *why)
{
    char name[GENERATION_NAME + 1];
    generation_name(generation, name);
    TRY(check_file(s, name, why));
    AUTO(auto_close) int fd = openat(s->dir, name, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return fail_errno(why, errno, "%s/%s", s->where, name);
    TRY(generation_check(fd, generation, whole, why));
    if (!*whole)
        return ERR_OK;
    auto_close(&s->manifest);
    s->manifest = TAKE_FD(fd);
    return ERR_OK;
}

static void remove_manifest(struct store *s, uint64_t generation)
{
    char name[GENERATION_NAME + 1];
    generation_name(generation, name);
    (void)unlinkat(s->dir, name, 0);
}

/* The newest generation below `limit` (0: none), on the way removing what interrupted writes left
 * behind. */
static err_t newest_below(struct store *s, uint64_t limit, uint64_t *newest, struct why *why)
{
    AUTO(auto_closedir) DIR *d = NULL;
    TRY(list_dir(s->dir, ".", &d, why));
    *newest = 0;
    for (struct dirent *e = NULL; (e = readdir(d));) {
        uint64_t g = 0;
        if (is_temp(e->d_name) &&
            (strncmp(e->d_name, "manifest-", 9) == 0 || strncmp(e->d_name, "keys.", 5) == 0))
            (void)unlinkat(s->dir, e->d_name, 0);
        else if (generation_parse(e->d_name, &g) && g < limit && g > *newest)
            *newest = g;
    }
    return ERR_OK;
}

/* The newest complete generation wins. One shorter than its header was never committed and goes;
 * but where no other is there, something was lost, and an empty store would hide that. */
static err_t find_manifest(struct store *s, struct why *why)
{
    uint64_t newest = 0, g = 0;
    TRY(newest_below(s, UINT64_MAX, &newest, why));
    bool whole = newest == 0;
    for (g = newest; !whole && g;) {
        TRY(open_manifest(s, g, &whole, why));
        if (!whole)
            TRY(newest_below(s, g, &g, why));
    }
    if (!whole)
        return fail(why, ERR_CORRUPT,
                    "manifest %" PRIu64 " in %s is cut short and there is no older one", newest,
                    s->where);
    s->generation = g;
    while (newest > g) {
        remove_manifest(s, newest);
        TRY(newest_below(s, newest, &newest, why));
    }
    return ERR_OK;
}

/* A killed run may have left a rename or an append that is seen but not yet durable. What is read
 * from here on is acted upon (old records are removed on the strength of it), so it is made durable
 * first. */
static err_t settle(const struct store *s, struct why *why)
{
    if (fsync(s->records) != 0 || fsync(s->dir) != 0)
        return fail_errno(why, errno, "fsync of %s", s->where);
    if (s->manifest >= 0 && fdatasync(s->manifest) != 0)
        return fail_errno(why, errno, "fdatasync of the manifest in %s", s->where);
    return ERR_OK;
}

static err_t file_open(struct store **out, const char *where, bool create, struct why *why)
{
    const struct file_dir how = {.create = create, .mode = DIR_MODE, .forbidden = FORBIDDEN};
    AUTO(auto_store) struct store *s = calloc(1, sizeof(*s));
    if (!s)
        return fail(why, ERR_INTERNAL, "out of memory");
    s->dir = s->records = s->lock = s->manifest = -1;
    if (!view_copy(view_str(where), s->where, sizeof(s->where)))
        return fail(why, ERR_INVALID, "the path of the state directory is too long");
    TRY(file_open_dir(where, &how, &s->dir, why));
    TRY(lock_take(s, why));
    TRY(check_file(s, keys_name, why));
    TRY(open_records(s, why));
    TRY(find_manifest(s, why));
    TRY(settle(s, why));
    *out = TAKE(s);
    return ERR_OK;
}

/* ---- the key header */

static err_t file_header_read(struct store *s, struct buf *out, struct why *why)
{
    TRY(check_file(s, keys_name, why));
    struct why inner = {0};
    err_t e = file_read_at(s->dir, keys_name, STORE_HEADER_MAX, out, &inner);
    if (e == ERR_NOT_FOUND)
        return fail(why, ERR_NOT_FOUND, "%s holds no keys yet: run broker-cli init", s->where);
    return e == ERR_OK ? ERR_OK : fail(why, e, "%s/%s", s->where, inner.text);
}

static err_t file_header_write(struct store *s, struct view bytes, struct why *why)
{
    if (bytes.n == 0 || bytes.n > STORE_HEADER_MAX)
        return fail(why, ERR_TOO_LARGE, "a key header of %zu bytes", bytes.n);
    return file_write_atomic_at(s->dir, keys_name, bytes, FILE_MODE, why);
}

/* ---- records */

struct record_path {
    char shard[3];
    char full[3 + STORE_NAME_MAX + 1]; /* below records/ */
};

static err_t record_path(const char *name, struct record_path *out, struct why *why)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
    size_t n = strlen(name);
    if (n == 0 || n > STORE_NAME_MAX || strspn(name, allowed) != n)
        return fail(why, ERR_INVALID, "a record name is 1 to %d of [a-z0-9-]", STORE_NAME_MAX);
    uint32_t h = 2166136261U; /* FNV-1a: spreads names over the shards, nothing more */
    for (size_t i = 0; i < n; i++)
        h = (h ^ (uint8_t)name[i]) * 16777619U;
    uint8_t shard = (uint8_t)((h ^ h >> 16) % SHARDS);
    hex_encode(&shard, 1, out->shard);
    (void)snprintf(out->full, sizeof(out->full), "%s/%s", out->shard, name);
    return ERR_OK;
}

static err_t open_shard(struct store *s, const struct record_path *at, int *fd, struct why *why)
{
    const struct file_dir how = {.mode = DIR_MODE, .forbidden = FORBIDDEN};
    err_t e = file_open_dir_at(s->records, at->shard, &how, fd, why);
    if (e != ERR_NOT_FOUND)
        return e;
    if (mkdirat(s->records, at->shard, DIR_MODE) != 0 && errno != EEXIST)
        return fail_errno(why, errno, "mkdir %s/%s/%s", s->where, records_name, at->shard);
    if (fsync(s->records) != 0) {
        int no = errno;
        (void)unlinkat(s->records, at->shard,
                       AT_REMOVEDIR); /* the next write must not find it and trust it */
        return fail_errno(why, no, "fsync of %s/%s", s->where, records_name);
    }
    return file_open_dir_at(s->records, at->shard, &how, fd, why);
}

static err_t file_record_write(struct store *s, const char *name, struct view bytes,
                               struct why *why)
{
    struct record_path at;
    TRY(record_path(name, &at, why));
    if (bytes.n == 0 || bytes.n > STORE_RECORD_MAX)
        return fail(why, ERR_TOO_LARGE, "a record of %zu bytes (1 to %d are possible)", bytes.n,
                    STORE_RECORD_MAX);
    AUTO(auto_close) int shard = -1;
    TRY(open_shard(s, &at, &shard, why));
    if (faccessat(shard, name, F_OK, AT_SYMLINK_NOFOLLOW) ==
        0) /* the lock makes test and write one */
        return fail(why, ERR_EXISTS, "record %s exists already", name);
    return file_write_atomic_at(shard, name, bytes, FILE_MODE, why);
}

static err_t file_record_read(struct store *s, const char *name, struct buf *out, struct why *why)
{
    struct record_path at;
    TRY(record_path(name, &at, why));
    return file_read_at(s->records, at.full, STORE_RECORD_MAX, out, why);
}

/* Not synced: a record that comes back after power loss is an orphan, and removed again. */
static err_t file_record_remove(struct store *s, const char *name, struct why *why)
{
    struct record_path at;
    TRY(record_path(name, &at, why));
    if (unlinkat(s->records, at.full, 0) != 0 && errno != ENOENT)
        return fail_errno(why, errno, "%s/%s/%s", s->where, records_name, at.full);
    return ERR_OK;
}

struct each {
    store_name_fn *fn;
    void *ctx;
};

static err_t shard_each(struct store *s, const char *shard, const struct each *each,
                        struct why *why)
{
    AUTO(auto_closedir) DIR *d = NULL;
    err_t e = list_dir(s->records, shard, &d, why);
    if (e != ERR_OK)
        return e == ERR_NOT_FOUND ? ERR_OK : e;
    for (struct dirent *at = NULL; (at = readdir(d));) {
        if (is_temp(at->d_name))
            (void)unlinkat(dirfd(d), at->d_name, 0);
        else if (at->d_name[0] != '.')
            each->fn(each->ctx, at->d_name);
    }
    return ERR_OK;
}

static err_t file_record_each(struct store *s, store_name_fn *fn, void *ctx, struct why *why)
{
    const struct each each = {fn, ctx};
    for (unsigned i = 0; i < SHARDS; i++) {
        const uint8_t byte = (uint8_t)i;
        char shard[3];
        hex_encode(&byte, 1, shard);
        TRY(shard_each(s, shard, &each, why));
    }
    return ERR_OK;
}

/* ---- the manifest */

static err_t file_manifest_read(struct store *s, store_entry_fn *fn, void *ctx,
                                uint64_t *generation, bool *torn, struct why *why)
{
    bool cut = false;
    *generation = s->generation;
    if (s->manifest >= 0)
        TRY(generation_walk(s->manifest, fn, ctx, &cut, why));
    s->damaged = s->damaged || cut;
    *torn = s->damaged;
    return ERR_OK;
}

static err_t file_manifest_append(struct store *s, struct view entry, struct why *why)
{
    if (s->manifest < 0)
        return fail(why, ERR_CONFLICT, "%s has no manifest yet", s->where);
    if (s->damaged)
        return fail(why, ERR_IO, "the manifest in %s is damaged by a failed write", s->where);
    AUTO(buf_free) struct buf line = {0};
    TRY(generation_put(&line, entry, why));
    /* from here on the file may hold part of the entry, or pages the kernel gave up on */
    s->damaged = true;
    TRY(file_write_all(s->manifest, line.p, line.len, why));
    if (fdatasync(s->manifest) != 0)
        return fail_errno(why, errno, "fdatasync of the manifest");
    s->damaged = false;
    return ERR_OK;
}

/* One that stays, or comes back after power loss, loses against the newer one. */
static void remove_older(struct store *s)
{
    uint64_t g = s->generation;
    struct why why = {0};
    while (newest_below(s, g, &g, &why) == ERR_OK && g)
        remove_manifest(s, g);
}

static err_t file_manifest_replace(struct store *s, uint64_t generation, store_next_fn *next,
                                   void *ctx, struct why *why)
{
    if (generation <= s->generation)
        return fail(why, ERR_INVALID, "generation %" PRIu64 " is not newer than %" PRIu64,
                    generation, s->generation);
    AUTO(buf_free) struct buf all = {.max = manifest_max};
    char name[GENERATION_NAME + 1];
    generation_name(generation, name);
    generation_header(&all, generation);
    for (struct view entry = {0}; next(ctx, &entry);)
        TRY(generation_put(&all, entry, why));
    TRY(buf_ok(&all, why));
    /* a failed rename or directory sync leaves open which generation a restart finds: neither may
     * be appended to */
    s->damaged = true;
    TRY(file_write_atomic_at(s->dir, name, buf_view(&all), FILE_MODE, why));
    bool whole = false;
    TRY(open_manifest(s, generation, &whole, why));
    if (!whole)
        return fail(why, ERR_IO, "manifest %" PRIu64 " did not stay whole", generation);
    s->generation = generation;
    s->damaged = false;
    remove_older(s);
    return ERR_OK;
}

const struct store_ops store_file = {
    .name = "file",
    .open = file_open,
    .close = file_close,
    .header_read = file_header_read,
    .header_write = file_header_write,
    .record_write = file_record_write,
    .record_read = file_record_read,
    .record_remove = file_record_remove,
    .record_each = file_record_each,
    .manifest_read = file_manifest_read,
    .manifest_append = file_manifest_append,
    .manifest_replace = file_manifest_replace,
};
