/*
 * Looks a command up as execvp does. Not left to execvp, because the answer is wanted before the
 * lease.
 */
#include "exec/command.h"

#include "base/auto.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* 0, or why it cannot be run */
static int runnable(const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return errno;
    if (!S_ISREG(st.st_mode))
        return S_ISDIR(st.st_mode) ? EISDIR : EACCES;
    return access(path, X_OK) < 0 ? errno : 0;
}

static bool is_missing(int no)
{
    return no == ENOENT || no == ENOTDIR || no == ENAMETOOLONG || no == ELOOP;
}

static MUST err_t refuse(const char *name, int no, struct why *why)
{
    if (is_missing(no))
        return fail(why, ERR_NOT_FOUND, "%.150s: no such command", name);
    return fail(why, ERR_PERMISSION, "%.150s cannot be run: %s", name, strerror(no));
}

err_t command_find(const char *name, const char *search, char *out, struct why *why)
{
    char path[PATH_MAX];
    int found = ENOENT;
    if (strchr(name, '/') || !name[0]) {
        int no = strlen(name) < sizeof(path) ? runnable(name) : ENAMETOOLONG;
        if (no != 0)
            return refuse(name, no, why);
        memcpy(out, name, strlen(name) + 1);
        return ERR_OK;
    }
    for (const char *p = search ? search : "/usr/local/bin:/bin:/usr/bin";;) {
        size_t n = strcspn(p, ":");
        int len =
            snprintf(path, sizeof(path), "%.*s/%s", n > 0 ? (int)n : 1, n > 0 ? p : ".", name);
        int no = len > 0 && (size_t)len < sizeof(path) ? runnable(path) : ENAMETOOLONG;
        if (no == 0) {
            memcpy(out, path, (size_t)len + 1);
            return ERR_OK;
        }
        if (!is_missing(no))
            found = no;
        if (!p[n])
            return refuse(name, found, why);
        p += n + 1;
    }
}
