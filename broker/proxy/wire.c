/*
 * Non-blocking bytes with a memory of readiness (epoll(7), "Questions and answers" 9: a read or a
 * write that moved less than was asked for has used up the readiness; the next edge tells more).
 * Invariants: a flag is false only when the kernel owes us an edge; an error is told for good,
 * because the kernel tells a reset once and a clean end from then on.
 */
#include "proxy/wire.h"

#include <errno.h>
#include <sys/socket.h>

void wire_event(struct wire *w, uint32_t epoll_events)
{
    if (epoll_events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
        w->ended = true;
        w->readable = true;
    }
    if (epoll_events & EPOLLIN)
        w->readable = true;
    if (epoll_events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
        w->writable = true;
}

ssize_t wire_recv(struct wire *w, void *p, size_t n)
{
    ssize_t got;
    if (!w->readable || w->broken) {
        errno = w->broken ? w->broken : EAGAIN;
        return -1;
    }
    do
        got = recv(w->fd, p, n, 0);
    while (got < 0 && errno == EINTR);
    if (got < 0 ? errno == EAGAIN : got > 0 && (size_t)got < n && !w->ended)
        w->readable = false;
    if (got < 0 && errno != EAGAIN)
        w->broken = errno;
    return got;
}

static size_t total(const struct iovec *iov, size_t n)
{
    size_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += iov[i].iov_len;
    return sum;
}

ssize_t wire_sendv(struct wire *w, const struct iovec *iov, size_t n)
{
    struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = n};
    ssize_t sent;
    if (!w->writable) {
        errno = EAGAIN;
        return -1;
    }
    do
        sent = n == 1 ? send(w->fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL)
                      : sendmsg(w->fd, &m, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0 ? errno == EAGAIN : (size_t)sent < total(iov, n))
        w->writable = false;
    return sent;
}
