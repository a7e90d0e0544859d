/*
 * The datagram protocol of sd_notify(3): newline-separated assignments to the Unix socket in
 * NOTIFY_SOCKET, where a leading '@' stands for the abstract namespace. The lines come from the
 * vault, so only the ones we know are passed on: a line of its own making (MAINPID=, FDSTORE=…)
 * could make the manager follow another process.
 */
#include "supervisor/notify.h"
#include "base/auto.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

static const struct {
    const char *text;
    bool prefix; /* anything may follow */
    bool stamp;  /* Type=notify-reload wants to know when */
} lines[] = {
    {"READY=1", false, false},
    {"RELOADING=1", false, true},
    {"STOPPING=1", false, false},
    {"STATUS=", true, false},
};

static err_t compose(struct view line, struct buf *out, struct why *why)
{
    for (size_t i = 0; i < COUNT(lines); i++) {
        size_t n = strlen(lines[i].text);
        if (line.n < n || memcmp(line.p, lines[i].text, n) != 0 || (line.n > n && !lines[i].prefix))
            continue;
        struct timespec now = {0};
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        buf_add_view(out, line);
        if (lines[i].stamp)
            buf_add_fmt(out, "\nMONOTONIC_USEC=%lld",
                        (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
        return buf_ok(out, why);
    }
    return fail(why, ERR_INVALID, "not a line for the service manager");
}

static err_t address(const char *name, struct sockaddr_un *sa, socklen_t *len, struct why *why)
{
    size_t n = strlen(name);
    if ((*name != '/' && *name != '@') || n < 2 || n >= sizeof(sa->sun_path))
        return fail(why, ERR_INVALID, "NOTIFY_SOCKET is neither a path nor an abstract name");
    *sa = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(sa->sun_path, name, n);
    if (*name == '@')
        sa->sun_path[0] = '\0';
    *len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    return ERR_OK;
}

err_t notify_send(const char *socket_name, struct view line, struct why *why)
{
    AUTO(buf_free) struct buf text = {.max = 1024};
    struct sockaddr_un sa;
    socklen_t len = 0;
    TRY(compose(line, &text, why));
    if (!socket_name)
        return ERR_OK;
    TRY(address(socket_name, &sa, &len, why));
    AUTO(auto_close) int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fail_errno(why, errno, "socket");
    /* never waits: a manager that does not read must not stop the supervisor */
    if (sendto(fd, text.p, text.len, MSG_NOSIGNAL | MSG_DONTWAIT, (const struct sockaddr *)&sa,
               len) < 0)
        return fail_errno(why, errno, "cannot tell the service manager");
    return ERR_OK;
}
