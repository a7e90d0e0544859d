/*
 * Where the broker's socket is, and how to get through to it. A connect to a Unix socket blocks
 * while the listener's queue is full, so the deadline is set as the socket's send timeout, which
 * the kernel applies to connect too; from then on every wait is a poll.
 */
#include "client/socket.h"

#include "base/auto.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>

_Static_assert(sizeof(((struct sockaddr_un *)0)->sun_path) == BROKER_SOCKET_ROOM,
               "client.h says 108");

int64_t socket_now_ms(void)
{
    struct timespec t = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static const char *env_text(const char *name)
{
    const char *v = getenv(name);
    return v && v[0] ? v : NULL;
}

/* DIR[/SUB][/NAME] */
static MUST err_t join(const char *dir, const char *sub, const char *name, char *out,
                       struct why *why)
{
    char path[BROKER_SOCKET_ROOM];
    size_t n = strlen(dir);
    while (n > 1 && dir[n - 1] == '/')
        n--;
    int len = snprintf(path, sizeof(path), "%.*s%s%s%s%s", (int)(n < 4096 ? n : 4096), dir,
                       sub ? "/" : "", sub ? sub : "", name ? "/" : "", name ? name : "");
    if (len < 0 || (size_t)len >= sizeof(path))
        return fail(why, ERR_USAGE,
                    "a socket's path has room for %d bytes, and this one is longer: %s",
                    BROKER_SOCKET_ROOM - 1, dir);
    memcpy(out, path, (size_t)len + 1);
    return ERR_OK;
}

static bool is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

static MUST err_t find_default(const char *consumer, char *out, struct why *why)
{
    const char *run = env_text("CREDENTIAL_BROKER_RUN"), *xdg = env_text("XDG_RUNTIME_DIR");
    char system_wide[BROKER_SOCKET_ROOM];
    if (run)
        return join(run, consumer, "broker.sock", out, why);
    TRY(join("/run/credential-broker", consumer, "broker.sock", system_wide, why));
    if (xdg && !exists(system_wide)) {
        char own[BROKER_SOCKET_ROOM], dir[BROKER_SOCKET_ROOM];
        TRY(join(xdg, "credential-broker", NULL, dir, why));
        TRY(join(dir, consumer, "broker.sock", own, why));
        if (exists(own) || is_dir(dir))
            return join(own, NULL, NULL, out, why);
    }
    return join(system_wide, NULL, NULL, out, why);
}

err_t broker_socket_find(const char *given, const char *consumer, char *out, struct why *why)
{
    const char *path = given && given[0] ? given : NULL;
    if (!path && !consumer)
        path = env_text("CREDENTIAL_BROKER_SOCKET");
    if (!path)
        return find_default(consumer ? consumer : env_text("CREDENTIAL_BROKER_CONSUMER"), out, why);
    return join(path, NULL, is_dir(path) ? "broker.sock" : NULL, out, why);
}

/* ---- connecting */

static MUST err_t no_broker(int no, const char *path, struct why *why)
{
    switch (no) {
    case ENOENT:
    case ENOTDIR:
        return fail(why, ERR_NO_BROKER,
                    "no broker at %s: start brokerd, or name this consumer's socket "
                    "(--socket or CREDENTIAL_BROKER_SOCKET)",
                    path);
    case ECONNREFUSED:
        return fail(why, ERR_NO_BROKER, "nobody listens on %s: start brokerd", path);
    case EACCES:
    case EPERM:
        return fail(why, ERR_NO_BROKER,
                    "uid %u may not use %s: mount this consumer's directory, or let its "
                    "peer.uid hold this uid",
                    (unsigned)geteuid(), path);
    case EAGAIN:
        return fail(why, ERR_NO_BROKER, "the broker on %s takes no more connections now", path);
    default:
        return fail(why, ERR_NO_BROKER, "cannot connect to %s: %s", path, strerror(no));
    }
}

/* Descriptors 0 to 2 may have been closed for us: our socket must not become somebody's standard
 * error. */
static MUST err_t open_socket(int *out, struct why *why)
{
    AUTO(auto_close) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fail_errno(why, errno, "cannot make a socket");
    int high = fd > 2 ? TAKE_FD(fd) : fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (high < 0)
        return fail_errno(why, errno, "cannot make a socket");
    *out = high;
    return ERR_OK;
}

static MUST err_t set_timeout(int fd, int64_t deadline_ms, struct why *why)
{
    int64_t left = deadline_ms - socket_now_ms();
    if (left <= 0)
        left = 1;
    struct timeval t = {.tv_sec = left / 1000, .tv_usec = left % 1000 * 1000};
    if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t)) < 0)
        return fail_errno(why, errno, "cannot set the socket's deadline");
    return ERR_OK;
}

err_t socket_connect(const char *path, int64_t deadline_ms, int *out, struct why *why)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    AUTO(auto_close) int fd = -1;
    int r;
    TRY(join(path, NULL, NULL, at.sun_path, why));
    TRY(open_socket(&fd, why));
    do {
        TRY(set_timeout(fd, deadline_ms, why));
        r = connect(fd, (const struct sockaddr *)&at, sizeof(at));
    } while (r < 0 && errno == EINTR);
    if (r < 0)
        return no_broker(errno, path, why);
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return fail_errno(why, errno, "cannot set up the socket");
    *out = TAKE_FD(fd);
    return ERR_OK;
}

err_t socket_wait(int fd, short events, int64_t deadline_ms, struct why *why)
{
    for (;;) {
        struct pollfd p = {.fd = fd, .events = events};
        int64_t left = deadline_ms - socket_now_ms();
        if (left <= 0)
            return fail(why, ERR_TIMEOUT, "the broker did not answer in time");
        int r = poll(&p, 1, left > 60000 ? 60000 : (int)left);
        if (r > 0)
            return ERR_OK;
        if (r < 0 && errno != EINTR)
            return fail_errno(why, errno, "cannot wait for the broker");
    }
}
