/* Packets between processes: whole or not at all, no descriptor leaks, the peer's end is noticed. */
#include "base/ipc.h"
#include "base/auto.h"
#include "base/msg.h"
#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

static int s[2];
static struct why w;

static void set_up(void)
{
    memset(&w, 0, sizeof(w));
    CHECK_OK(ipc_pair(s, &w), w);
}

static void tear_down(void)
{
    close(s[0]);
    close(s[1]);
}

static int open_fds(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    CHECK(d != NULL);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/* Sends one packet with `n` copies of `fd`, as a broken peer might. */
static void send_fds(int fd, int n)
{
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(16 * sizeof(int))];
    } ctl = {0};
    struct iovec iov = {.iov_base = (char[]){"x"}, .iov_len = 1};
    struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &ctl,
                        .msg_controllen = CMSG_SPACE((size_t)n * sizeof(int))};
    struct cmsghdr *c = CMSG_FIRSTHDR(&mh);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN((size_t)n * sizeof(int));
    for (int i = 0; i < n; i++)
        memcpy(CMSG_DATA(c) + (size_t)i * sizeof(int), &fd, sizeof(fd));
    CHECK_INT(sendmsg(s[0], &mh, 0), 1);
}

TEST(both_ends_are_nonblocking_and_close_on_exec)
{
    set_up();
    for (int i = 0; i < 2; i++) {
        CHECK(fcntl(s[i], F_GETFL) & O_NONBLOCK);
        CHECK(fcntl(s[i], F_GETFD) & FD_CLOEXEC);
    }
    tear_down();
}

TEST(packets_keep_their_borders)
{
    AUTO(buf_free) struct buf b = {0};
    int fd = -2;
    set_up();
    CHECK_OK(ipc_send(s[0], VIEW("one", 3), -1, &w), w);
    CHECK_OK(ipc_send(s[0], VIEW("second", 6), -1, &w), w);
    CHECK_OK(ipc_recv(s[1], &b, &fd, &w), w);
    CHECK(view_is(buf_view(&b), "one"));
    CHECK_INT(fd, -1);
    CHECK_OK(ipc_recv(s[1], &b, &fd, &w), w); /* the buffer is reset first */
    CHECK(view_is(buf_view(&b), "second"));
    fd = -2;
    CHECK_INT(ipc_recv(s[1], &b, &fd, &w), ERR_UNAVAILABLE);
    CHECK_INT(fd, -2);
    CHECK_INT(b.len, 0);
    tear_down();
}

TEST(largest_message_passes_and_a_larger_one_is_refused)
{
    AUTO(buf_free) struct buf big = {0}, in = {0};
    int fd = -1;
    set_up();
    CHECK(buf_reserve(&big, MSG_MAX + 1));
    memset(big.p, 'm', MSG_MAX + 1);
    CHECK_OK(ipc_send(s[0], VIEW(big.p, MSG_MAX), -1, &w), w);
    CHECK_OK(ipc_recv(s[1], &in, &fd, &w), w);
    CHECK_INT(in.len, MSG_MAX);
    CHECK_OK(ipc_send(s[0], VIEW(big.p, MSG_MAX + 1), -1, &w), w);
    CHECK_INT(ipc_recv(s[1], &in, &fd, &w), ERR_TOO_LARGE);
    CHECK_INT(in.len, 0);
    CHECK_INT(ipc_recv(s[1], &in, &fd, &w), ERR_UNAVAILABLE); /* nothing of it is left */
    tear_down();
}

TEST(empty_packet_is_not_sent)
{
    set_up();
    CHECK_INT(ipc_send(s[0], VIEW("", 0), -1, &w), ERR_INVALID);
    tear_down();
}

TEST(descriptor_arrives_close_on_exec_and_the_sender_keeps_its_own)
{
    AUTO(buf_free) struct buf b = {0};
    int p[2], fd = -1;
    char c = 0;
    set_up();
    CHECK_INT(pipe2(p, O_CLOEXEC), 0);
    CHECK_OK(ipc_send(s[0], VIEW("f", 1), p[1], &w), w);
    CHECK_OK(ipc_recv(s[1], &b, &fd, &w), w);
    CHECK(fd >= 0 && fd != p[1]);
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    CHECK_INT(write(fd, "z", 1), 1);
    CHECK_INT(read(p[0], &c, 1), 1);
    CHECK(c == 'z');
    CHECK(fcntl(p[1], F_GETFD) >= 0);
    close(fd);
    close(p[0]);
    close(p[1]);
    tear_down();
}

TEST(surplus_descriptors_are_refused_and_closed)
{
    static const int counts[] = {2, 3, 4, 5, 9};
    AUTO(buf_free) struct buf b = {0};
    set_up();
    int before = open_fds();
    for (size_t i = 0; i < COUNT(counts); i++) {
        int fd = -2;
        send_fds(STDIN_FILENO, counts[i]);
        CHECK_INT(ipc_recv(s[1], &b, &fd, &w), ERR_INVALID);
        CHECK_INT(fd, -2);
        CHECK_INT(open_fds(), before);
    }
    CHECK_OK(ipc_send(s[0], VIEW("ok", 2), -1, &w), w); /* and the socket still works */
    int fd = -2;
    CHECK_OK(ipc_recv(s[1], &b, &fd, &w), w);
    tear_down();
}

TEST(descriptor_of_an_oversized_packet_is_closed)
{
    AUTO(buf_free) struct buf big = {0}, b = {0};
    int fd = -2;
    set_up();
    CHECK(buf_reserve(&big, MSG_MAX + 1));
    memset(big.p, 'm', MSG_MAX + 1);
    int before = open_fds();
    CHECK_OK(ipc_send(s[0], VIEW(big.p, MSG_MAX + 1), STDIN_FILENO, &w), w);
    CHECK_INT(ipc_recv(s[1], &b, &fd, &w), ERR_TOO_LARGE);
    CHECK_INT(fd, -2);
    CHECK_INT(open_fds(), before);
    tear_down();
}

TEST(dead_peer_is_told_on_both_ways)
{
    AUTO(buf_free) struct buf b = {0};
    int fd = -1;
    set_up();
    CHECK_OK(ipc_send(s[0], VIEW("last", 4), -1, &w), w);
    close(s[0]);
    CHECK_OK(ipc_recv(s[1], &b, &fd, &w), w); /* what was sent before is still read */
    CHECK_INT(ipc_recv(s[1], &b, &fd, &w), ERR_NO_BROKER);
    CHECK_INT(ipc_send(s[1], VIEW("x", 1), -1, &w), ERR_NO_BROKER); /* and no SIGPIPE */
    close(s[1]);
}

/* The kernel says ECONNRESET when the peer ends with unread packets; its last words must come first all the same. */
TEST(last_words_of_a_peer_that_left_packets_unread_are_delivered)
{
    AUTO(buf_free) struct buf b = {0};
    int fd = -1;
    set_up();
    CHECK_OK(ipc_send(s[1], VIEW("unread", 6), -1, &w), w);
    CHECK_OK(ipc_send(s[0], VIEW("last", 4), -1, &w), w);
    close(s[0]);
    CHECK_OK(ipc_recv(s[1], &b, &fd, &w), w);
    CHECK(view_is(buf_view(&b), "last"));
    CHECK_INT(ipc_recv(s[1], &b, &fd, &w), ERR_NO_BROKER);
    close(s[1]);
}

TEST(full_queue_would_block)
{
    err_t e = ERR_OK;
    int sent = 0;
    set_up();
    while (e == ERR_OK && sent < 100000) {
        e = ipc_send(s[0], VIEW("0123456789", 10), -1, &w);
        sent++;
    }
    CHECK_INT(e, ERR_UNAVAILABLE);
    CHECK(sent > 1);
    tear_down();
}

TEST(wait_times_out_and_sees_data_and_end)
{
    set_up();
    CHECK_INT(ipc_wait(s[1], 10, &w), ERR_TIMEOUT);
    CHECK(strstr(w.text, "10 ms"));
    CHECK_OK(ipc_send(s[0], VIEW("x", 1), -1, &w), w);
    CHECK_OK(ipc_wait(s[1], 1000, &w), w);
    close(s[0]);
    CHECK_OK(ipc_wait(s[1], 1000, &w), w);
    close(s[1]);
}

TEST(not_a_socket_is_an_io_error)
{
    AUTO(buf_free) struct buf b = {0};
    int p[2], fd = -1;
    CHECK_INT(pipe2(p, O_CLOEXEC), 0);
    CHECK_INT(ipc_recv(p[0], &b, &fd, &w), ERR_IO);
    CHECK_INT(ipc_send(p[1], VIEW("x", 1), -1, &w), ERR_IO);
    close(p[0]);
    close(p[1]);
}

/* ---- many at once */

TEST(many_packets_come_in_one_batch_in_order)
{
    struct ipc_batch b = {0};
    set_up();
    CHECK_INT(ipc_recv_many(s[1], &b, &w), ERR_UNAVAILABLE);
    int before = open_fds();
    for (int i = 0; i < IPC_BATCH + 3; i++)
        CHECK_OK(ipc_send(s[0], VIEW(&(char){(char)('a' + i)}, 1), i == 1 ? STDIN_FILENO : -1, &w), w);
    int at = 0;
    for (unsigned room = 1; at < IPC_BATCH - 1; room *= 2) { /* 1, 2, 4, 8: it learns how many come */
        CHECK_OK(ipc_recv_many(s[1], &b, &w), w);
        CHECK(b.n == room && b.more);
        for (unsigned i = 0; i < room; i++, at++) {
            CHECK(b.packet[i].status == ERR_OK && b.packet[i].bytes.len == 1 && b.packet[i].bytes.p[0] == 'a' + at);
            CHECK((b.packet[i].fd >= 0) == (at == 1));
            if (at == 1) {
                CHECK(fcntl(b.packet[i].fd, F_GETFD) & FD_CLOEXEC);
                close(b.packet[i].fd);
            }
        }
    }
    CHECK_OK(ipc_recv_many(s[1], &b, &w), w);
    CHECK(b.n == 4 && !b.more && b.packet[3].bytes.p[0] == 'a' + IPC_BATCH + 2 && b.packet[1].fd == -1);
    for (int i = 0; i < IPC_BATCH; i++)
        CHECK_OK(ipc_send(s[0], VIEW("z", 1), -1, &w), w);
    CHECK_OK(ipc_recv_many(s[1], &b, &w), w);
    CHECK(b.n == IPC_BATCH && b.more);
    ipc_batch_free(&b);
    CHECK_INT(open_fds(), before);
    tear_down();
}

TEST(a_refused_packet_of_a_batch_leaves_the_others_good)
{
    AUTO(buf_free) struct buf big = {0};
    AUTO(ipc_batch_free) struct ipc_batch b = {.room = IPC_BATCH};
    set_up();
    CHECK(buf_reserve(&big, MSG_MAX + 1));
    memset(big.p, 'm', MSG_MAX + 1);
    int before = open_fds();
    CHECK_OK(ipc_send(s[0], VIEW("1", 1), -1, &w), w);
    send_fds(STDIN_FILENO, 2);
    CHECK_OK(ipc_send(s[0], VIEW(big.p, MSG_MAX + 1), STDIN_FILENO, &w), w);
    send_fds(STDIN_FILENO, 9);
    CHECK_OK(ipc_send(s[0], VIEW("2", 1), -1, &w), w);
    CHECK_OK(ipc_recv_many(s[1], &b, &w), w);
    CHECK_INT(b.n, 5);
    static const err_t want[] = {ERR_OK, ERR_INVALID, ERR_TOO_LARGE, ERR_INVALID, ERR_OK};
    for (unsigned i = 0; i < b.n; i++) {
        CHECK_INT(b.packet[i].status, want[i]);
        CHECK(b.packet[i].fd == -1 && b.packet[i].bytes.len == (want[i] == ERR_OK));
    }
    CHECK_INT(open_fds(), before);
    tear_down();
}

TEST(end_of_file_comes_behind_the_last_packet)
{
    AUTO(ipc_batch_free) struct ipc_batch b = {0};
    set_up();
    CHECK_OK(ipc_send(s[0], VIEW("1", 1), -1, &w), w);
    CHECK_INT(shutdown(s[0], SHUT_WR), 0);
    CHECK_OK(ipc_recv_many(s[1], &b, &w), w);
    CHECK(b.n >= 1 && b.n <= 2 && b.packet[0].status == ERR_OK);
    CHECK(b.n == 1 || b.packet[1].status == ERR_NO_BROKER);
    CHECK_INT(ipc_recv_many(s[1], &b, &w), ERR_NO_BROKER);
    tear_down();
}

TEST(many_packets_go_in_one_call_until_the_queue_is_full)
{
    AUTO(buf_free) struct buf in = {0}, big = {0};
    struct ipc_packet out[IPC_BATCH + 1];
    unsigned sent = 99, got = 0;
    int fd = -1;
    set_up();
    CHECK(buf_reserve(&big, 60000));
    memset(big.p, 'a', big.len = 60000);
    for (unsigned i = 0; i <= IPC_BATCH; i++)
        out[i] = (struct ipc_packet){VIEW(big.p, 60000 - i), i == 1 ? STDIN_FILENO : -1};
    CHECK_INT(ipc_send_many(s[0], out, IPC_BATCH + 1, &sent, &w), ERR_INVALID);
    CHECK_INT(ipc_send_many(s[0], &(struct ipc_packet){.fd = -1}, 1, &sent, &w), ERR_INVALID);
    CHECK_INT(sent, 99);
    const int room = 300000;
    CHECK_INT(setsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)), 0);
    CHECK_OK(ipc_send_many(s[0], out, IPC_BATCH, &sent, &w), w);
    CHECK(sent > 1 && sent < IPC_BATCH);
    CHECK_INT(ipc_send_many(s[0], out, 1, &got, &w), ERR_UNAVAILABLE);
    for (got = 0; ipc_recv(s[1], &in, &fd, &w) == ERR_OK; got++) {
        CHECK(in.len == 60000 - got && (fd >= 0) == (got == 1));
        auto_close(&fd);
    }
    CHECK_INT(got, sent);
    close(s[1]);
    CHECK_INT(ipc_send_many(s[0], out, 2, &sent, &w), ERR_NO_BROKER);
    close(s[0]);
}

TEST(a_batch_arrives_in_order_with_its_descriptors)
{
    set_up();
    AUTO(buf_free) struct buf got = {.max = MSG_MAX};
    static const char text[] = "0123456789abcdefg";
    struct ipc_packet p[IPC_BATCH + 1];
    unsigned sent = 0;
    int fd = -1;
    for (unsigned i = 0; i < COUNT(p); i++)
        p[i] = (struct ipc_packet){.bytes = VIEW(text, i + 1), .fd = i % 3 == 1 ? s[0] : -1};
    CHECK_OK(ipc_send_many(s[0], p, IPC_BATCH, &sent, &w), w);
    CHECK_INT(sent, IPC_BATCH);
    for (unsigned i = 0; i < sent; i++) {
        CHECK_OK(ipc_recv(s[1], &got, &fd, &w), w);
        CHECK_INT(got.len, i + 1);
        CHECK_INT(fd >= 0, p[i].fd >= 0);
        auto_close(&fd);
    }
    CHECK_INT(ipc_send_many(s[0], p, IPC_BATCH + 1, &sent, &w), ERR_INVALID);
    CHECK_INT(ipc_send_many(s[0], p, 0, &sent, &w), ERR_INVALID);
    p[1].bytes.n = 0;
    CHECK_INT(ipc_send_many(s[0], p, 2, &sent, &w), ERR_INVALID);
    CHECK_INT(ipc_recv(s[1], &got, &fd, &w), ERR_UNAVAILABLE); /* and none went */
    tear_down();
}
