/*
 * Who is at the other end of a connection: the kernel's facts, read by the vault itself from the connected descriptor that a worker
 * showed with its first request. No worker can lie about them. The path of the executable is recorded, never trusted.
 */
#ifndef VAULT_PEER_H
#define VAULT_PEER_H

#include "base/config.h"
#include "base/buf.h"

enum { PEER_EXE_MAX = 128, PEER_OVERFLOW_ID = 65534 };
struct peer {
    uint32_t uid, gid;
    int32_t pid;
    int pidfd; /* SO_PEERPIDFD; -1 where the kernel has none (then owner: process is refused) */
    char exe[PEER_EXE_MAX]; /* for the record only; "" when unreadable */
    char socket[108];       /* getsockname: the listening path it came by */
};
/* ERR_DENIED for: not a connected AF_UNIX stream socket, no name (socketpair), pid 0, uid or gid -1 or PEER_OVERFLOW_ID, a peer
 * that is gone. On success peer->pidfd is the caller's. */
MUST err_t peer_attest(int fd, struct peer *out, struct why *why);
void peer_clear(struct peer *p); /* closes the pidfd */
/* Has the process that connected ended? Its descriptor may live on in another. False where there is no pidfd to tell. */
bool peer_has_ended(const struct peer *p);
/* At start: are the kernel's overflow ids (what it reports for ids that do not exist in our user namespace) PEER_OVERFLOW_ID?
 * ERR_CONFLICT otherwise, with the sysctl that mends it. So that peer_attest need not read two files per connection. */
MUST err_t peer_check_kernel(struct why *why);
/* Do the peer's facts fulfil the conditions? cgroup is read from /proc/<pid>/cgroup and checked again by pidfd afterwards. The
 * prefix ends at a segment: "/a/b" holds for "/a/b" and "/a/b/c", not for "/a/bc". */
MUST err_t peer_matches(const struct peer *p, const struct config_peer *cond, struct why *why);
/* Of a text as /proc/<pid>/cgroup has it (cgroups(7)): is the group of version 2, or systemd's own of version 1, that one or below it? */
bool peer_cgroup_below(const char *text, const char *prefix);
/* When the process began, in clock ticks since boot (field 22 of /proc/<pid>/stat, proc(5)); 0 when unreadable. With the pid it
 * names one process of this boot, provided the caller checks a pidfd afterwards. */
uint64_t peer_start_ticks(int32_t pid);

#endif
