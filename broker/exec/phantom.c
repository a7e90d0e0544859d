/*
 * The file has a token of ours where the program expects its refresh token, so the program renews at the broker and writes what it is given
 * back into the file. The invariant is that nobody's login is overwritten: only a file that has our marker in it is ours.
 */
#include "exec/phantom.h"

#include "base/auto.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MARKER "cbrk1_" /* crypto/token.h */
enum { LOGIN_MAX = 65536 };

static ssize_t read_all(int fd, char *out, size_t room)
{
    size_t n = 0;
    for (ssize_t got; n < room; n += (size_t)got) {
        got = read(fd, out + n, room - n);
        if (got < 0 && errno == EINTR)
            got = 0;
        else if (got <= 0)
            return got < 0 ? -1 : (ssize_t)n;
    }
    return (ssize_t)n;
}

static bool has_marker(int fd)
{
    char *text = malloc(LOGIN_MAX);
    if (!text)
        return false;
    ssize_t n = read_all(fd, text, LOGIN_MAX);
    bool found = n > 0 && memmem(text, (size_t)n, MARKER, sizeof(MARKER) - 1) != NULL;
    explicit_bzero(text, LOGIN_MAX);
    free(text);
    return found;
}

/* Nothing is there, or a file of ours. */
static MUST err_t check_free(const char *path, struct why *why)
{
    struct stat st;
    AUTO(auto_close) int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT)
        return ERR_OK;
    if (fd < 0 && errno == ELOOP)
        return fail(why, ERR_EXISTS, "%s is a link, and the program writes there: remove it", path);
    if (fd < 0)
        return fail_errno(why, errno, "cannot look at %s", path);
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || !has_marker(fd))
        return fail(
            why, ERR_EXISTS,
            "%s is a login of its own, which the program would use: enroll it and move it away",
            path);
    return ERR_OK;
}

static MUST err_t write_all(int fd, const char *text, struct why *why)
{
    for (size_t n = strlen(text); n > 0;) {
        ssize_t done = write(fd, text, n);
        if (done < 0 && errno != EINTR)
            return fail_errno(why, errno, "cannot write the program's login file");
        text += done > 0 ? done : 0;
        n -= done > 0 ? (size_t)done : 0;
    }
    return ERR_OK;
}

err_t phantom_place(const char *dir, const char *name, const char *text, struct why *why)
{
    char path[PATH_MAX], temporary[PATH_MAX + 32];
    int n = snprintf(path, sizeof(path), "%s/%s", dir, name);
    if (n < 0 || (size_t)n >= sizeof(path))
        return fail(why, ERR_USAGE, "the path %.200s is too long", dir);
    if (mkdir(dir, 0700) < 0 && errno != EEXIST)
        return fail_errno(why, errno, "cannot make %s, where the program looks for its login", dir);
    TRY(check_free(path, why));
    (void)snprintf(temporary, sizeof(temporary), "%s.%ld", path, (long)getpid());
    (void)unlink(temporary);
    AUTO(auto_close) int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail_errno(why, errno, "cannot write %s", path);
    err_t e = write_all(fd, text, why);
    if (e == ERR_OK && rename(temporary, path) < 0)
        e = fail_errno(why, errno, "cannot write %s", path);
    if (e != ERR_OK)
        (void)unlink(temporary);
    return e;
}
