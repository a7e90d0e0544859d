/*
 * POSIX access control lists (acl(5), the kernel's extended attribute "system.posix_acl_access"): lets the broker's own user open a
 * directory, a socket or a file to exactly the uids of one consumer, without being root and without a group for each.
 */
#ifndef BASE_ACL_H
#define BASE_ACL_H

#include <broker/err.h>
#include <stdint.h>

enum { ACL_UIDS_MAX = 64, ACL_X = 1, ACL_W = 2, ACL_R = 4 };
/* Owner keeps `owner`; each of the n uids gets `user`; group and others get nothing. `path` may be /proc/self/fd/N.
 * ERR_UNAVAILABLE: the file system has no ACLs (the caller then relies on SO_PEERCRED alone, and says so). */
struct acl_rule {
    unsigned owner, user; /* ACL_R | ACL_W | ACL_X */
    const uint32_t *uid;
    unsigned n;
};
/* The same for an open file. */
MUST err_t acl_allow_fd(int fd, const struct acl_rule *rule, struct why *why);
MUST err_t acl_allow(const char *path, const struct acl_rule *rule, struct why *why);

#endif
