#include "base/start.h"

#include "base/buf.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { FD_MIN = 3, FD_MAX = 1024 };

bool start_fd(const char *text, int *fd)
{
    char *end = NULL;
    long n = strtol(text, &end, 10);
    if (end == text || *end || n < FD_MIN || n > FD_MAX)
        return false;
    *fd = (int)n;
    return true;
}

void start_descriptors(unsigned want)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) < 0 || r.rlim_cur >= want)
        return;
    r.rlim_cur = r.rlim_max < want ? r.rlim_max : want;
    (void)setrlimit(RLIMIT_NOFILE, &r);
}

/* The directory of an absolute path; "/etc", which is allowed anyway, where there is none. */
static const char *directory(const char *path, char room[PATH_MAX])
{
    const char *slash = path && path[0] == '/' ? strrchr(path, '/') : NULL;
    bool has =
        slash && slash > path && view_copy(VIEW(path, (size_t)(slash - path)), room, PATH_MAX);
    return has ? room : "/etc";
}

static const char *from_environment(const char *name)
{
    const char *path = getenv(name);
    return path && path[0] == '/' ? path : "/etc";
}

err_t start_outwards(enum sandbox_role role, const char *config, char report[64], struct why *why)
{
    char room[PATH_MAX];
    const struct sandbox_path paths[] = {{"/etc", false},
                                         {"/usr/lib/ssl", false},
                                         {"/usr/share/ca-certificates", false},
                                         {"/usr/local/share/ca-certificates", false},
                                         {"/run/systemd/resolve", false},
                                         {"/run/resolvconf", false},
                                         {"/run/NetworkManager", false},
                                         {"/dev/urandom", false},
                                         {"/dev/null", false},
                                         {directory(config, room), false},
                                         {from_environment("SSL_CERT_FILE"), false},
                                         {from_environment("SSL_CERT_DIR"), false},
                                         {NULL, false}};
    return sandbox_enter(role, paths, report, why);
}
