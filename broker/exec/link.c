/*
 * Puts a symlink to a projected file where a program expects its login, so that the program's
 * directory stays its own and writable, and only the credential leaves it. A file that is there
 * already is somebody's login: overwriting it would lose it, and starting beside it would use it,
 * so both are refused.
 */
#include "exec/link.h"

#include "base/auto.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The path without its last part; how long. 0: it has none. */
static size_t parent(const char *path, size_t n)
{
    while (n > 0 && path[n - 1] != '/')
        n--;
    return n > 0 ? n - 1 : 0;
}

/* Does it read like a link that we made: …/files/CREDENTIAL/NAME? */
static bool is_ours(const char *to, const char *name)
{
    static const char files[] = "/files";
    size_t credential = parent(to, strlen(to)), folder = parent(to, credential);
    if (credential == 0 || folder < sizeof(files) - 1 || strcmp(to + credential + 1, name) != 0)
        return false;
    return memcmp(to + folder - (sizeof(files) - 1), files, sizeof(files) - 1) == 0;
}

static MUST err_t put(const char *path, const char *target, struct why *why)
{
    char temporary[PATH_MAX];
    int n = snprintf(temporary, sizeof(temporary), "%s.%ld", path, (long)getpid());
    if (n < 0 || (size_t)n >= sizeof(temporary))
        return fail(why, ERR_USAGE, "the path %s is too long", path);
    (void)unlink(temporary);
    if (symlink(target, temporary) < 0)
        return fail_errno(why, errno, "cannot make the link %s", path);
    if (rename(temporary, path) == 0)
        return ERR_OK;
    int no = errno;
    (void)unlink(temporary);
    return fail_errno(why, no, "cannot make the link %s", path);
}

err_t link_place(const char *dir, const char *name, const char *target, struct why *why)
{
    char path[PATH_MAX], to[PATH_MAX];
    struct stat st;
    int len = snprintf(path, sizeof(path), "%s/%s", dir, name);
    if (len < 0 || (size_t)len >= sizeof(path))
        return fail(why, ERR_USAGE, "the path %s is too long", dir);
    if (mkdir(dir, 0700) < 0 && errno != EEXIST)
        return fail_errno(why, errno, "cannot make %s, where the program looks for its login", dir);
    if (lstat(path, &st) < 0)
        return errno == ENOENT ? put(path, target, why)
                               : fail_errno(why, errno, "cannot look at %s", path);
    if (!S_ISLNK(st.st_mode))
        return fail(
            why, ERR_EXISTS,
            "%s is a login of its own, which the program would use: enroll it and move it away",
            path);
    ssize_t n = readlink(path, to, sizeof(to) - 1);
    if (n < 0)
        return fail_errno(why, errno, "cannot read the link %s", path);
    to[n] = '\0';
    if (strcmp(to, target) == 0)
        return ERR_OK;
    if (!is_ours(to, name))
        return fail(why, ERR_EXISTS, "%s is a link that leads elsewhere: remove it", path);
    return put(path, target, why);
}
