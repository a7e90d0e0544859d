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

enum { TAG_OWNER = 1, TAG_USER = 2, TAG_GROUP = 4, TAG_MASK = 16, TAG_OTHER = 32, VERSION = 2, NO_ID = -1 };

struct entry {
    uint16_t tag, perm;
    uint32_t id;
};

static struct entry entry(unsigned tag, unsigned perm, uint32_t id)
{
    return (struct entry){htole16((uint16_t)tag), htole16((uint16_t)perm), htole32(id)};
}

err_t acl_allow(const char *path, const struct acl_rule *rule, struct why *why)
{
    struct {
        uint32_t version;
        struct entry e[ACL_UIDS_MAX + 4];
    } acl = {.version = htole32(VERSION)};
    unsigned k = 0;
    if (rule->n > ACL_UIDS_MAX)
        return fail(why, ERR_LIMIT, "over %d uids for one consumer", ACL_UIDS_MAX);
    acl.e[k++] = entry(TAG_OWNER, rule->owner, (uint32_t)NO_ID);
    uint64_t last = 0;
    for (unsigned i = 0; i < rule->n; i++) { /* ascending ids, each once: selection over at most 64 */
        uint64_t best = UINT64_MAX;
        for (unsigned j = 0; j < rule->n; j++)
            if ((uint64_t)rule->uid[j] + 1 > last && rule->uid[j] < best)
                best = rule->uid[j];
        if (best == UINT64_MAX)
            break;
        acl.e[k++] = entry(TAG_USER, rule->user, (uint32_t)best);
        last = best + 1;
    }
    acl.e[k++] = entry(TAG_GROUP, 0, (uint32_t)NO_ID);
    acl.e[k++] = entry(TAG_MASK, rule->user, (uint32_t)NO_ID);
    acl.e[k++] = entry(TAG_OTHER, 0, (uint32_t)NO_ID);
    if (setxattr(path, "system.posix_acl_access", &acl, sizeof(uint32_t) + k * sizeof(struct entry), 0) == 0)
        return ERR_OK;
    if (errno == EOPNOTSUPP)
        return fail(why, ERR_UNAVAILABLE, "the file system of %s has no ACLs", path);
    return fail_errno(why, errno, "ACL of %s", path);
}
