/*
 * Packets between our own processes. Invariant: whatever arrives, no descriptor leaks and none is
 * inherited by a program started later (MSG_CMSG_CLOEXEC), and a packet is delivered whole or not
 * at all. A packet may carry a secret, so nothing is copied into buffers of our own: the kernel
 * writes straight into the caller's buf, which wipes itself. Room for several descriptors is
 * offered on purpose: with room for one, the kernel would drop the others silently and a sender
 * that breaks the rule would not be noticed.
 */
#include "base/ipc.h"
#include "base/auto.h"
#include "base/msg.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

enum { SNDBUF_BYTES = 4 << 20, MAX_FDS = 4 };

union control {
    struct cmsghdr align;
    char room[CMSG_SPACE(MAX_FDS * sizeof(int))];
};

err_t ipc_pair(int fds[2], struct why *why)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
        return fail_errno(why, errno, "socketpair");
    for (int i = 0; i < 2; i++) {
        const int bytes = SNDBUF_BYTES; /* cut by the kernel to net.core.wmem_max */
        if (setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)) < 0) {
            int no = errno;
            close(pair[0]);
            close(pair[1]);
            return fail_errno(why, no, "SO_SNDBUF");
        }
    }
    fds[0] = pair[0];
    fds[1] = pair[1];
    return ERR_OK;
}

static err_t refuse_send(int no, struct why *why)
{
    if (no == EAGAIN || no == ENOBUFS)
        return fail(why, ERR_UNAVAILABLE, "the peer process does not read");
    if (no == EPIPE || no == ECONNRESET || no == ENOTCONN)
        return fail(why, ERR_NO_BROKER, "the peer process is gone");
    return fail_errno(why, no, "cannot send a message");
}

/* What a header points to while its packet is sent. */
struct parts {
    struct iovec iov;
    union control ctl;
};

static void prepare(struct msghdr *mh, struct parts *at, struct view packet, int fd)
{
    at->iov = (struct iovec){.iov_base = (void *)packet.p, .iov_len = packet.n};
    *mh = (struct msghdr){.msg_iov = &at->iov, .msg_iovlen = 1};
    if (fd < 0)
        return;
    memset(&at->ctl, 0, sizeof(at->ctl));
    mh->msg_control = &at->ctl;
    mh->msg_controllen = CMSG_SPACE(sizeof(int));
    struct cmsghdr *c = CMSG_FIRSTHDR(mh);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &fd, sizeof(fd));
}

err_t ipc_send(int sock, struct view packet, int fd, struct why *why)
{
    struct msghdr mh;
    struct parts parts;
    ssize_t n;
    if (packet.n == 0) /* an empty packet reads like end of file */
        return fail(why, ERR_INVALID, "an empty message");
    prepare(&mh, &parts, packet, fd);
    do
        n = sendmsg(sock, &mh, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? refuse_send(errno, why) : ERR_OK;
}

err_t ipc_send_many(int sock, const struct ipc_packet *p, unsigned n, unsigned *sent,
                    struct why *why)
{
    struct mmsghdr mh[IPC_BATCH];
    struct parts parts[IPC_BATCH];
    int went;
    if (n == 0 || n > IPC_BATCH)
        return fail(why, ERR_INVALID, "a batch of %u messages", n);
    for (unsigned i = 0; i < n; i++) {
        if (p[i].bytes.n == 0)
            return fail(why, ERR_INVALID, "an empty message");
        prepare(&mh[i].msg_hdr, &parts[i], p[i].bytes, p[i].fd);
    }
    do
        went = sendmmsg(sock, mh, n, MSG_NOSIGNAL);
    while (went < 0 && errno == EINTR);
    if (went <= 0)
        return refuse_send(errno, why);
    *sent = (unsigned)went;
    return ERR_OK;
}

/* All descriptors of a packet; the number there were. */
static unsigned collect(struct msghdr *mh, int out[MAX_FDS])
{
    unsigned n = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t here = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < here && n < MAX_FDS; i++)
            memcpy(&out[n++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
    }
    return n;
}

static err_t refuse_recv(ssize_t n, int no, struct why *why)
{
    if (n == 0 || no == ENOTCONN)
        return fail(why, ERR_NO_BROKER, "the peer process is gone");
    if (no == EAGAIN)
        return fail(why, ERR_UNAVAILABLE, "no message is there");
    return fail_errno(why, no, "cannot receive a message");
}

static err_t check_packet(const struct msghdr *mh, unsigned n_fds, struct why *why)
{
    if (mh->msg_flags & MSG_TRUNC)
        return fail(why, ERR_TOO_LARGE, "a message is over %d bytes", MSG_MAX);
    if (mh->msg_flags & MSG_CTRUNC || n_fds > 1)
        return fail(why, ERR_INVALID, "a message carries more than one descriptor");
    return ERR_OK;
}

static err_t offer_room(struct buf *out, struct iovec *iov, struct why *why)
{
    buf_reset(out);
    if (!buf_reserve(out, MSG_MAX))
        return fail(why, ERR_INTERNAL, "out of memory");
    *iov = (struct iovec){.iov_base = out->p, .iov_len = MSG_MAX};
    return ERR_OK;
}

err_t ipc_recv(int sock, struct buf *out, int *fd, struct why *why)
{
    union control ctl;
    struct iovec iov;
    TRY(offer_room(out, &iov, why));
    struct msghdr mh = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &ctl, .msg_controllen = sizeof(ctl)};
    ssize_t n;
    do /* ECONNRESET is told once, ahead of packets the dead peer had sent: ask again for those */
        n = recvmsg(sock, &mh, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    while (n < 0 && (errno == EINTR || errno == ECONNRESET));
    if (n <= 0)
        return refuse_recv(n, errno, why);
    out->len = (size_t)n; /* so that buf_reset() wipes it also when it is refused */

    int fds[MAX_FDS];
    unsigned n_fds = collect(&mh, fds);
    err_t e = check_packet(&mh, n_fds, why);
    if (e != ERR_OK) {
        for (unsigned i = 0; i < n_fds; i++)
            close(fds[i]);
        buf_reset(out);
        return e;
    }
    *fd = n_fds == 1 ? fds[0] : -1;
    return ERR_OK;
}

/* ---- many at once */

static void close_all(const int *fds, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        close(fds[i]);
}

/* What the kernel wrote becomes a packet. */
static void take_packet(struct mmsghdr *m, struct ipc_arrival *p)
{
    int fds[MAX_FDS];
    unsigned n = collect(&m->msg_hdr, fds);
    p->bytes.len = m->msg_len;
    p->fd = n == 1 ? fds[0] : -1;
    p->status =
        m->msg_len == 0 ? refuse_recv(0, 0, &p->why) : check_packet(&m->msg_hdr, n, &p->why);
    if (p->status == ERR_OK)
        return;
    close_all(fds, n);
    p->fd = -1;
    buf_reset(&p->bytes);
}

static err_t offer_all(struct ipc_batch *b, struct iovec iov[IPC_BATCH], struct why *why)
{
    b->n = 0;
    if (b->room == 0)
        b->room = 1;
    else if (b->more && b->room < IPC_BATCH)
        b->room *= 2;
    b->more = false;
    for (unsigned i = 0; i < b->room; i++) {
        b->packet[i].bytes.max = MSG_MAX;
        TRY(offer_room(&b->packet[i].bytes, &iov[i], why));
    }
    return ERR_OK;
}

err_t ipc_recv_many(int sock, struct ipc_batch *b, struct why *why)
{
    union control ctl[IPC_BATCH];
    struct iovec iov[IPC_BATCH];
    struct mmsghdr m[IPC_BATCH] = {0};
    TRY(offer_all(b, iov, why));
    for (unsigned i = 0; i < b->room; i++)
        m[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i],
                                       .msg_iovlen = 1,
                                       .msg_control = &ctl[i],
                                       .msg_controllen = sizeof(ctl[i])};
    int n;
    do /* as in ipc_recv */
        n = recvmmsg(sock, m, b->room, MSG_CMSG_CLOEXEC | MSG_DONTWAIT, NULL);
    while (n < 0 && (errno == EINTR || errno == ECONNRESET));
    if (n <= 0)
        return refuse_recv(n, errno, why);
    if (m[0].msg_len == 0)
        return refuse_recv(0, 0, why);
    b->more = (unsigned)n == b->room;
    for (; b->n < (unsigned)n; b->n++) {
        struct ipc_arrival *p = &b->packet[b->n];
        take_packet(&m[b->n], p);
        if (m[b->n].msg_len == 0) { /* end of file, as often as there was room */
            b->n++;
            break;
        }
    }
    return ERR_OK;
}

void ipc_batch_free(struct ipc_batch *b)
{
    for (unsigned i = 0; i < IPC_BATCH; i++) {
        if (i < b->n)
            auto_close(&b->packet[i].fd);
        buf_free(&b->packet[i].bytes);
    }
    b->n = 0;
}

err_t ipc_wait(int sock, int timeout_ms, struct why *why)
{
    struct pollfd p = {.fd = sock, .events = POLLIN};
    int n = poll(&p, 1, timeout_ms);
    if (n > 0)
        return ERR_OK;
    if (n < 0 && errno != EINTR)
        return fail_errno(why, errno, "poll");
    return fail(why, ERR_TIMEOUT, "no answer within %d ms", timeout_ms);
}
