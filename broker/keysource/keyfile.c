/*
 * Key source `keyfile`: 32 random bytes in a file of mode 0600. Params: the file's absolute path.
 * It is as safe as the disk it lies on: keep it on another one than the store, or use a systemd
 * credential. A file that exists is never overwritten. One that a killed run left half written
 * opens nothing (too short) and is named by the error of the next attempt.
 */
#include "keysource/keysources.h"

#include "base/auto.h"
#include "base/file.h"
#include "crypto/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum { MODE = 0600 };
static const char default_name[] = "master.key";

static err_t path_of(struct view params, char path[KEYSOURCE_PARAMS_MAX + 1], struct why *why)
{
    TRY(params_text(params, "the path of the key file", path, why));
    if (path[0] != '/')
        return fail(why, ERR_INVALID, "the path of the key file must be absolute, not %s", path);
    return ERR_OK;
}

static err_t choose_path(const struct keysource_ask *ask, char path[KEYSOURCE_PARAMS_MAX + 1],
                         struct why *why)
{
    if (ask->path.n)
        return path_of(ask->path, path, why);
    if (!ask->config_dir)
        return fail(why, ERR_INVALID, "give the path for the key file");
    char full[KEYSOURCE_PARAMS_MAX + 1];
    int n = snprintf(full, sizeof(full), "%s/%s", ask->config_dir, default_name);
    if (n < 0 || n > KEYSOURCE_PARAMS_MAX)
        return fail(why, ERR_INVALID, "the path of the key file is too long");
    return path_of(view_str(full), path, why);
}

/* The directory that holds `path`, open; made when it is the configuration's own. */
static err_t open_parent(const char *path, int *dir, struct why *why)
{
    char parent[KEYSOURCE_PARAMS_MAX + 1];
    (void)view_copy(view_str(path), parent, sizeof(parent));
    char *slash = strrchr(parent, '/');
    slash[slash == parent ? 1 : 0] = '\0';
    const struct file_dir how = {.create = true, .mode = 0700, .forbidden = 0022};
    return file_open_dir(parent, &how, dir, why);
}

static err_t write_new(int dir, const char *path, struct view bytes, struct why *why)
{
    const char *name = strrchr(path, '/') + 1;
    AUTO(auto_close)
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, MODE);
    if (fd < 0 && errno == EEXIST)
        return fail(why, ERR_EXISTS,
                    "%s exists already: choose another path, or move it away if no store needs it",
                    path);
    if (fd < 0)
        return fail_errno(why, errno, "%s", path);
    err_t e = file_write_all(fd, bytes.p, bytes.n, why);
    if (e == ERR_OK && (fsync(fd) != 0 || fsync(dir) != 0))
        e = fail_errno(why, errno, "fsync of %s", path);
    if (e != ERR_OK)
        (void)unlinkat(dir, name, 0);
    return e;
}

static err_t keyfile_create(const struct keysource_ask *ask, struct buf *params,
                            struct secret **key, struct why *why)
{
    char path[KEYSOURCE_PARAMS_MAX + 1];
    TRY(choose_path(ask, path, why));
    AUTO(auto_secret) struct secret *bytes = secret_new(KEYSOURCE_KEY_BYTES), *made = NULL;
    if (!bytes)
        return fail(why, ERR_INTERNAL, "no secret memory left");
    random_bytes(secret_edit(bytes), KEYSOURCE_KEY_BYTES);
    const struct view all = VIEW(secret_bytes(bytes), KEYSOURCE_KEY_BYTES);
    TRY(material_key(all, &made, why));
    if (!buf_reserve(params, strlen(path)))
        return fail(why, ERR_TOO_LARGE, "no room for the params");
    AUTO(auto_close) int dir = -1;
    TRY(open_parent(path, &dir, why));
    TRY(write_new(dir, path, all, why));
    buf_add_str(params, path);
    *key = TAKE(made);
    return ERR_OK;
}

static err_t keyfile_open(const struct keysource_ask *ask, struct secret **key, struct why *why)
{
    char path[KEYSOURCE_PARAMS_MAX + 1];
    TRY(path_of(ask->params, path, why));
    const struct material m = {.path = path, .flags = O_NOFOLLOW, .forbidden = 0077};
    return material_open(&m, key, why);
}

static err_t keyfile_remove(const struct keysource_ask *ask, struct why *why)
{
    char path[KEYSOURCE_PARAMS_MAX + 1];
    TRY(path_of(ask->params, path, why));
    return file_remove_at(AT_FDCWD, path, why);
}

const struct keysource keysource_keyfile = {
    .name = "keyfile",
    .title = "a key file",
    .create = keyfile_create,
    .open = keyfile_open,
    .remove = keyfile_remove,
    .describe = params_describe,
};
