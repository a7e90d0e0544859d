#include "base/acl.h"

#include "check.h"

#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

/* the attribute as the kernel gives it back */
static ssize_t read_acl(const char *path, uint8_t *out, size_t room)
{
    return getxattr(path, "system.posix_acl_access", out, room);
}

TEST(each_uid_gets_an_entry_in_order_once)
{
    char path[] = "/dev/shm/acl-test-XXXXXX";
    int fd = mkstemp(path);
    struct why w = {0};
    uint8_t acl[512];
    if (fd < 0)
        SKIP("no /dev/shm");
    close(fd);
    const uint32_t uid[] = {2000, 5, 2000, 0};
    err_t e = acl_allow(path, &(struct acl_rule){.owner = ACL_R | ACL_W, .user = ACL_R, .uid = uid, .n = 4}, &w);
    if (e == ERR_UNAVAILABLE) {
        unlink(path);
        SKIP("no ACLs on this file system");
    }
    CHECK_OK(e, w);
    ssize_t n = read_acl(path, acl, sizeof(acl));
    struct stat st;
    CHECK_INT(stat(path, &st), 0);
    unlink(path);
    CHECK_INT(n, 4 + 8 * 7); /* owner, uids 0 5 2000, group, mask, other */
    static const uint32_t want[] = {0, 5, 2000};
    for (unsigned i = 0; i < 3; i++) {
        uint32_t id;
        memcpy(&id, acl + 4 + 8 * (i + 1) + 4, 4);
        CHECK_INT(id, want[i]);
        CHECK_INT(acl[4 + 8 * (i + 1) + 2], ACL_R);
    }
    CHECK_INT(st.st_mode & 0007, 0);
}

TEST(too_many_uids_are_refused)
{
    static uint32_t uid[ACL_UIDS_MAX + 1];
    CHECK_INT(acl_allow("/dev/null", &(struct acl_rule){.uid = uid, .n = ACL_UIDS_MAX + 1}, NULL), ERR_LIMIT);
}

TEST(another_uid_gets_in_and_a_third_does_not)
{
    if (geteuid() != 0)
        SKIP("needs root to become somebody else");
    char path[] = "/dev/shm/acl-dir-XXXXXX";
    struct why w = {0};
    const uint32_t uid = 1234;
    CHECK(mkdtemp(path) != NULL);
    err_t e = acl_allow(path, &(struct acl_rule){.owner = 7, .user = ACL_X, .uid = &uid, .n = 1}, &w);
    char probe[160];
    snprintf(probe, sizeof(probe), "setpriv --reuid=1234 --regid=1234 --clear-groups test -x %s", path);
    int in = system(probe);
    snprintf(probe, sizeof(probe), "setpriv --reuid=1235 --regid=1235 --clear-groups test -x %s", path);
    int out = system(probe);
    rmdir(path);
    if (e == ERR_UNAVAILABLE)
        SKIP("no ACLs on this file system");
    CHECK_OK(e, w);
    CHECK_INT(in, 0);
    CHECK(out != 0);
}
