/* The service manager hears what it should, and nothing the vault could make up. */
#include "supervisor/notify.h"
#include "base/auto.h"
#include "check.h"

#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static int manager = -1;
static char name[108], heard[256];
static struct why w;

static void listen_on(const char *where)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    (void)snprintf(name, sizeof(name), "%s", where);
    memcpy(sa.sun_path, name, strlen(name));
    if (*name == '@')
        sa.sun_path[0] = '\0';
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CHECK_INT(bind(manager, (struct sockaddr *)&sa, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))), 0);
}

static const char *hear(void)
{
    ssize_t n = recv(manager, heard, sizeof(heard) - 1, 0);
    heard[n > 0 ? n : 0] = '\0';
    return heard;
}

static void close_manager(void)
{
    close(manager);
    if (*name == '/')
        (void)unlink(name);
}

static void listen_somewhere(bool abstract)
{
    char where[64];
    (void)snprintf(where, sizeof(where), abstract ? "@notify-test-%d" : "/tmp/notify-test-%d", getpid());
    listen_on(where);
}

TEST(ready_reaches_a_socket_with_a_path_and_an_abstract_one)
{
    for (int abstract = 0; abstract < 2; abstract++) {
        listen_somewhere(abstract);
        CHECK_OK(notify_send(name, view_str("READY=1"), &w), w);
        CHECK_STR(hear(), "READY=1");
        CHECK_OK(notify_send(name, view_str("STATUS=3 leases"), &w), w);
        CHECK_STR(hear(), "STATUS=3 leases");
        close_manager();
    }
}

TEST(reloading_brings_the_monotonic_time)
{
    struct timespec before, after;
    long long us = 0;
    listen_somewhere(true);
    clock_gettime(CLOCK_MONOTONIC, &before);
    CHECK_OK(notify_send(name, view_str("RELOADING=1"), &w), w);
    clock_gettime(CLOCK_MONOTONIC, &after);
    CHECK_INT(sscanf(hear(), "RELOADING=1\nMONOTONIC_USEC=%lld", &us), 1);
    CHECK(us >= before.tv_sec * 1000000LL + before.tv_nsec / 1000);
    CHECK(us <= after.tv_sec * 1000000LL + after.tv_nsec / 1000);
    close_manager();
}

TEST(other_lines_are_not_passed_on)
{
    static const char *const lines[] = {"", "MAINPID=1", "READY=1x", "READY=", "READY=0", "FDSTORE=1", " READY=1",
                                        "STATUS", "WATCHDOG=trigger", "RELOADING=11"};
    listen_somewhere(true);
    for (size_t i = 0; i < COUNT(lines); i++)
        CHECK_INT(notify_send(name, view_str(lines[i]), &w), ERR_INVALID);
    CHECK_STR(hear(), "");
    close_manager();
}

TEST(without_a_manager_nothing_is_wrong)
{
    CHECK_OK(notify_send(NULL, view_str("READY=1"), &w), w);
    CHECK_INT(notify_send(NULL, view_str("MAINPID=1"), &w), ERR_INVALID);
}

TEST(unusable_addresses_are_refused)
{
    char long_name[200];
    memset(long_name, 'x', sizeof(long_name) - 1);
    long_name[0] = '/';
    long_name[sizeof(long_name) - 1] = '\0';
    CHECK_INT(notify_send("", view_str("READY=1"), &w), ERR_INVALID);
    CHECK_INT(notify_send("/", view_str("READY=1"), &w), ERR_INVALID);
    CHECK_INT(notify_send("@", view_str("READY=1"), &w), ERR_INVALID);
    CHECK_INT(notify_send("vsock:2:1", view_str("READY=1"), &w), ERR_INVALID);
    CHECK_INT(notify_send(long_name, view_str("READY=1"), &w), ERR_INVALID);
    CHECK_INT(notify_send("/nonexistent/notify", view_str("READY=1"), &w), ERR_NOT_FOUND);
}

TEST(manager_that_does_not_read_does_not_stop_us)
{
    err_t e = ERR_OK;
    int sent = 0;
    listen_somewhere(true);
    while (e == ERR_OK && sent < 100000) {
        e = notify_send(name, view_str("STATUS=x"), &w);
        sent++;
    }
    CHECK(e != ERR_OK);
    close_manager();
}
