/*
 * Two passes: what is missing is made while we may still be root, and everything is judged as the
 * user we become, because that is who has to live with it. A directory that exists is never
 * changed: its owner and mode are somebody's decision.
 */
#include "supervisor/dirs.h"
#include "base/auto.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>

enum {
    STATE_MODE = 0700,
    CONFIG_MODE = 0755,
    RUN_MODE = 0755,
    PARENT_MODE = 0755,
    GROUP_OR_WORLD = 0077,
    GROUP_OR_WORLD_WRITE = 0022
};

static const struct passwd *owner_of(const struct options *o)
{
    return o->system && geteuid() == 0 ? getpwnam(o->user)
                                       : NULL; /* unknown: sandbox_drop_user() says so */
}

static void make_parents(const char *path)
{
    char part[OPTIONS_PATH];
    for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/'))
        if (view_copy(VIEW(path, (size_t)(slash - path)), part, sizeof(part)))
            (void)mkdir(part, PARENT_MODE); /* what fails here, fails below with its reason */
}

static err_t make(const char *path, mode_t mode, const struct passwd *owner, struct why *why)
{
    make_parents(path);
    if (mkdir(path, mode) < 0)
        return errno == EEXIST ? ERR_OK
                               : fail_errno(why, errno, "cannot make the directory %s", path);
    AUTO(auto_close) int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fchmod(fd, mode) < 0 || (owner && fchown(fd, owner->pw_uid, owner->pw_gid) < 0))
        return fail_errno(why, errno, "cannot set the owner and mode of %s", path);
    return ERR_OK;
}

static void config_dir(const struct options *o, char out[OPTIONS_PATH])
{
    (void)view_copy(VIEW(o->config, (size_t)(strrchr(o->config, '/') - o->config)), out,
                    OPTIONS_PATH);
}

err_t dirs_make(const struct options *o, struct why *why)
{
    const struct passwd *owner = owner_of(o);
    char config[OPTIONS_PATH];
    struct why ignored = {0};
    mode_t before = umask(0);
    err_t e = make(o->state, STATE_MODE, owner, why);
    if (e == ERR_OK)
        e = make(o->run, RUN_MODE, owner, why);
    config_dir(o, config);
    /* the default place of a key file; /etc may be read-only, and no configuration is a
     * configuration */
    if (e == ERR_OK && *config && make(config, CONFIG_MODE, owner, &ignored) != ERR_OK)
        e = ERR_OK;
    (void)umask(before);
    return e;
}

static err_t check(const char *path, mode_t forbidden, struct why *why)
{
    const struct file_dir how = {.forbidden = forbidden};
    AUTO(auto_close) int fd = -1;
    return file_open_dir(path, &how, &fd, why);
}

err_t dirs_check(const struct options *o, struct why *why)
{
    struct stat st;
    char config[OPTIONS_PATH];
    TRY(check(o->state, GROUP_OR_WORLD, why));
    TRY(check(o->run, GROUP_OR_WORLD_WRITE, why));
    config_dir(o, config);
    if (!*config || lstat(config, &st) < 0)
        return ERR_OK;
    return check(config, GROUP_OR_WORLD_WRITE, why);
}
