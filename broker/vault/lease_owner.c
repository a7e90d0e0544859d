/*
 * The process that a lease lives and dies with. Invariant: the pidfd is asked after the start time was read through the pid, so that the
 * time is that of the very process behind the pidfd.
 */
#include "vault/lease_owner.h"

#include "base/auto.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>

static bool process_lives(int pidfd)
{
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    return poll(&p, 1, 0) == 0;
}

err_t owner_adopt(struct lease_node *n, const struct peer *peer, struct why *why)
{
    if (peer->pidfd < 0)
        return fail(why, ERR_CONFLICT,
                    "this kernel cannot tell when a process ends (SO_PEERPIDFD, Linux 6.5): ask "
                    "with owner: none");
    n->pidfd = fcntl(peer->pidfd, F_DUPFD_CLOEXEC, 3);
    if (n->pidfd < 0)
        return fail(
            why, ERR_LIMIT,
            "too many open descriptors: raise brokerd's RLIMIT_NOFILE, or ask with owner: none");
    n->start_ticks = peer_start_ticks(peer->pid);
    if (!process_lives(n->pidfd))
        return fail(why, ERR_CONFLICT, "the process that asked has ended");
    return ERR_OK;
}

bool owner_find(struct lease_node *n)
{
    if (!n->same_boot || n->start_ticks == 0 || n->lease.pid <= 0)
        return false;
    n->pidfd = (int)syscall(SYS_pidfd_open, n->lease.pid, 0);
    return n->pidfd >= 0 && peer_start_ticks(n->lease.pid) == n->start_ticks &&
           process_lives(n->pidfd);
}
