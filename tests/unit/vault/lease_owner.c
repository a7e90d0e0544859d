/* vault/lease_owner.c: whose process a lease is tied to, and whether it is still that one. */
#include "lease_rig.h"
#include "vault/lease_owner.h"

static pid_t child_that_waits(int *pidfd)
{
    pid_t child = fork();
    if (child == 0)
        for (;;)
            pause();
    *pidfd = (int)syscall(SYS_pidfd_open, child, 0);
    return child;
}

TEST(an_owner_is_held_by_a_descriptor_of_its_own)
{
    int pidfd;
    pid_t child = child_that_waits(&pidfd);
    struct lease_node n = {.pidfd = -1};
    struct peer p = {.pid = child, .pidfd = pidfd};
    CHECK_OK(owner_adopt(&n, &p, &why), why);
    CHECK(n.pidfd >= 0 && n.pidfd != pidfd && n.start_ticks != 0 && n.start_ticks == peer_start_ticks(child));
    CHECK(fcntl(n.pidfd, F_GETFD) & FD_CLOEXEC);
    end_child(child);
    struct lease_node late = {.pidfd = -1};
    CHECK_INT(owner_adopt(&late, &p, &why), ERR_CONFLICT);
    close(late.pidfd);
    close(n.pidfd);
    close(pidfd);
    p.pidfd = -1;
    CHECK_INT(owner_adopt(&n, &p, &why), ERR_CONFLICT);
}

TEST(after_a_restart_boot_pid_and_start_time_must_fit)
{
    int pidfd;
    pid_t child = child_that_waits(&pidfd);
    struct lease_node n = {.pidfd = -1, .same_boot = true, .start_ticks = peer_start_ticks(child), .lease.pid = child};
    CHECK(owner_find(&n) && n.pidfd >= 0);
    close(n.pidfd);
    struct lease_node bad[] = {n, n, n, n};
    bad[0].same_boot = false;
    bad[1].start_ticks = 0;
    bad[2].start_ticks++;
    bad[3].lease.pid = -1;
    for (size_t i = 0; i < COUNT(bad); i++) {
        bad[i].pidfd = -1;
        CHECK(!owner_find(&bad[i]));
        if (bad[i].pidfd >= 0)
            close(bad[i].pidfd);
    }
    end_child(child);
    CHECK(!owner_find(&n));
    close(pidfd);
}
