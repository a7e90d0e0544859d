/*
 * The kernel's ACL attribute is a little-endian table: u32 version 2, then per entry u16 tag, u16 permissions, u32 id, sorted by tag and id.
 * Written by hand, because one fixed shape is all we need and libacl would be mapped beside the keys.
 */
#include "base/acl.h"

#include "base/buf.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/xattr.h>

enum {
    TAG_OWNER = 1,
    TAG_USER = 2,
    TAG_GROUP = 4,
    TAG_MASK = 16,
    TAG_OTHER = 32,
    VERSION = 2,
    NO_ID = -1
};

struct entry {
    uint16_t tag, perm;
    uint32_t id;
};

static struct entry entry(unsigned tag, unsigned perm, uint32_t id)
{
    return (struct entry){htole16((uint16_t)tag), htole16((uint16_t)perm), htole32(id)};
}

struct acl {
    uint32_t version;
    struct entry e[ACL_UIDS_MAX + 4];
};

/* The attribute's bytes; how many, or 0 when there are too many uids. */
static size_t encode(const struct acl_rule *rule, struct acl *acl)
{
    unsigned k = 0;
    uint64_t last = 0;
    if (rule->n > ACL_UIDS_MAX)
        return 0;
    acl->version = htole32(VERSION);
    acl->e[k++] = entry(TAG_OWNER, rule->owner, (uint32_t)NO_ID);
    for (unsigned i = 0; i < rule->n;
         i++) { /* ascending ids, each once: selection over at most 64 */
        uint64_t best = UINT64_MAX;
        for (unsigned j = 0; j < rule->n; j++)
            if ((uint64_t)rule->uid[j] + 1 > last && rule->uid[j] < best)
                best = rule->uid[j];
        if (best == UINT64_MAX)
            break;
        acl->e[k++] = entry(TAG_USER, rule->user, (uint32_t)best);
        last = best + 1;
    }
    acl->e[k++] = entry(TAG_GROUP, 0, (uint32_t)NO_ID);
    acl->e[k++] = entry(TAG_MASK, rule->user, (uint32_t)NO_ID);
    acl->e[k++] = entry(TAG_OTHER, 0, (uint32_t)NO_ID);
    return sizeof(acl->version) + k * sizeof(acl->e[0]);
}

static err_t refused(int no, const char *what, struct why *why)
{
    if (no == EOPNOTSUPP)
        return fail(why, ERR_UNAVAILABLE, "the file system of %s has no ACLs", what);
    return fail_errno(why, no, "ACL of %s", what);
}

static const char attribute[] = "system.posix_acl_access";

err_t acl_allow(const char *path, const struct acl_rule *rule, struct why *why)
{
    struct acl acl;
    size_t n = encode(rule, &acl);
    if (n == 0)
        return fail(why, ERR_LIMIT, "over %d uids for one consumer", ACL_UIDS_MAX);
    return setxattr(path, attribute, &acl, n, 0) == 0 ? ERR_OK : refused(errno, path, why);
}

err_t acl_allow_fd(int fd, const struct acl_rule *rule, struct why *why)
{
    struct acl acl;
    size_t n = encode(rule, &acl);
    if (n == 0)
        return fail(why, ERR_LIMIT, "over %d uids for one consumer", ACL_UIDS_MAX);
    return fsetxattr(fd, attribute, &acl, n, 0) == 0 ? ERR_OK : refused(errno, "a file", why);
}
