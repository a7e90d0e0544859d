/*
 * Leaves a forked process with the descriptors it needs and no other: a reader of the program's
 * output waits for the end of the last one that is open, and a connection that was closed here must
 * not live on in a copy.
 */
#include "exec/fds.h"

#include "base/auto.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

enum { FIRST = 3, ASIDE = 64 };

static void close_from(int first)
{
    struct rlimit most = {.rlim_cur = 1024};
    if (syscall(SYS_close_range, (unsigned)first, ~0u, 0u) == 0)
        return;
    (void)getrlimit(RLIMIT_NOFILE, &most); /* before Linux 5.9, or behind an old filter */
    for (int fd = first; (rlim_t)fd < most.rlim_cur && fd < 1 << 20; fd++)
        (void)close(fd);
}

static MUST err_t null_stdio(struct why *why)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return fail_errno(why, errno, "cannot open /dev/null");
    for (int i = 0; i < FIRST; i++)
        if (i != fd && dup2(fd, i) < 0)
            return fail_errno(why, errno, "cannot let go of the program's descriptor %d", i);
    if (fd >= FIRST)
        (void)close(fd);
    return ERR_OK;
}

err_t fds_keep(int *keep, int n, struct why *why)
{
    int aside[FDS_KEPT], next = FIRST;
    if (n > FDS_KEPT)
        return fail(why, ERR_INTERNAL, "too many descriptors to keep");
    for (int i = 0; i < n; i++) { /* first out of the way of their places */
        aside[i] = keep[i] < 0 ? -1 : fcntl(keep[i], F_DUPFD_CLOEXEC, ASIDE);
        if (keep[i] >= 0 && aside[i] < 0)
            return fail_errno(why, errno, "cannot keep a descriptor");
    }
    for (int i = 0; i < n; i++)
        if (aside[i] >= 0 && dup3(aside[i], next++, O_CLOEXEC) < 0)
            return fail_errno(why, errno, "cannot keep a descriptor");
    close_from(next);
    next = FIRST;
    for (int i = 0; i < n; i++)
        keep[i] = aside[i] < 0 ? -1 : next++;
    return null_stdio(why);
}
