/*
 * A connected socket watched edge-triggered: what epoll said and what has not been used up of it. While the flags say "nothing there",
 * no system call is made to find out.
 */
#ifndef PROXY_WIRE_H
#define PROXY_WIRE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/types.h>
#include <sys/uio.h>

#define WIRE_EVENTS (EPOLLET | EPOLLIN | EPOLLOUT | EPOLLRDHUP)
struct wire {
    int fd;
    int broken; /* the errno that reading ended with */
    bool readable, writable;
    bool
        ended; /* the other side has ended or reset: a short read does not mean that all was read */
};
void wire_event(struct wire *w, uint32_t epoll_events);
/* recv(2) and sendmsg(2) without SIGPIPE: bytes, 0 (recv: the end), or -1 with errno. */
ssize_t wire_recv(struct wire *w, void *p, size_t n);
ssize_t wire_sendv(struct wire *w, const struct iovec *iov, size_t n);

#endif
