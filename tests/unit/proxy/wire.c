/* What is remembered of readiness, and that nothing is lost by it: checked against a real edge-triggered epoll. */
#include "proxy/wire.h"
#include "base/auto.h"
#include "check.h"

#include <errno.h>
#include <sys/socket.h>

static int ep, peer;
static struct wire w;

static void set_up(void)
{
    int p[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, p), 0);
    ep = epoll_create1(EPOLL_CLOEXEC);
    w = (struct wire){.fd = p[0]};
    peer = p[1];
    struct epoll_event e = {.events = WIRE_EVENTS};
    CHECK_INT(epoll_ctl(ep, EPOLL_CTL_ADD, w.fd, &e), 0);
}

static void tear_down(void)
{
    close(ep);
    close(w.fd);
    auto_close(&peer);
}

static int poll_once(void)
{
    struct epoll_event e;
    int n = epoll_wait(ep, &e, 1, 0);
    if (n > 0)
        wire_event(&w, e.events);
    return n;
}

static ssize_t take(size_t n)
{
    char room[64];
    errno = 0;
    return wire_recv(&w, room, n);
}

static ssize_t put(const char *a, const char *b)
{
    const struct iovec iov[] = {{(void *)(uintptr_t)a, strlen(a)}, {(void *)(uintptr_t)b, strlen(b)}};
    errno = 0;
    return wire_sendv(&w, iov, 2);
}

TEST(nothing_is_tried_before_the_kernel_says_so)
{
    set_up();
    CHECK_INT(send(peer, "abc", 3, 0), 3);
    CHECK(take(8) == -1 && errno == EAGAIN);
    CHECK(put("x", "") == -1 && errno == EAGAIN);
    CHECK_INT(poll_once(), 1);
    CHECK_INT(take(8), 3);
    CHECK_INT(put("x", "yz"), 3);
    tear_down();
}

TEST(short_read_uses_up_the_readiness_and_an_exact_one_does_not)
{
    set_up();
    CHECK_INT(send(peer, "abcdef", 6, 0), 6);
    CHECK_INT(poll_once(), 1);
    CHECK_INT(take(4), 4);
    CHECK(w.readable);
    CHECK_INT(take(4), 2);
    CHECK(!w.readable);
    CHECK_INT(send(peer, "gh", 2, 0), 2);
    CHECK_INT(poll_once(), 1);
    CHECK_INT(take(2), 2);
    CHECK(w.readable);
    CHECK(take(2) == -1 && errno == EAGAIN && !w.readable);
    tear_down();
}

/* Data and end in one event: the short read must not hide the end, for which no further edge comes. */
TEST(end_behind_data_is_found)
{
    set_up();
    CHECK_INT(send(peer, "abc", 3, 0), 3);
    close(TAKE_FD(peer));
    CHECK_INT(poll_once(), 1);
    CHECK_INT(take(8), 3);
    CHECK_INT(poll_once(), 0);
    CHECK(w.readable);
    CHECK_INT(take(8), 0);
    CHECK_INT(take(8), 0);
    CHECK(put("x", "") == -1 && errno == EPIPE); /* and no SIGPIPE */
    tear_down();
}

TEST(full_socket_is_not_tried_again_before_the_edge)
{
    static char big[1 << 20];
    const struct iovec iov = {big, sizeof(big)};
    set_up();
    CHECK_INT(poll_once(), 1);
    CHECK(w.writable);
    ssize_t n = 0, total = 0;
    while ((n = wire_sendv(&w, &iov, 1)) > 0)
        total += n;
    CHECK(total > 0 && errno == EAGAIN && !w.writable);
    while (recv(peer, big, sizeof(big), 0) > 0)
        ;
    CHECK(wire_sendv(&w, &iov, 1) == -1);
    CHECK_INT(poll_once(), 1);
    CHECK(w.writable);
    CHECK(wire_sendv(&w, &iov, 1) > 0);
    tear_down();
}

TEST(error_is_told_for_good)
{
    set_up();
    CHECK_INT(put("x", "") == -1, 1);
    CHECK_INT(poll_once(), 1);
    CHECK_INT(put("xyz", ""), 3);
    close(TAKE_FD(peer)); /* with unread bytes: a reset */
    CHECK_INT(poll_once(), 1);
    for (int i = 0; i < 3; i++)
        CHECK(take(8) == -1 && errno == ECONNRESET);
    tear_down();
}
