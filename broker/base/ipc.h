/*
 * Packets with descriptors over a SOCK_SEQPACKET socketpair (unix(7)). Close-on-exec always;
 * truncated packets or surplus descriptors are an error and the descriptors are closed.
 */
#ifndef BASE_IPC_H
#define BASE_IPC_H

#include "base/buf.h"

/* Both ends non-blocking, close-on-exec, send buffer as large as the kernel allows. */
MUST err_t ipc_pair(int fds[2], struct why *why);
/* ERR_UNAVAILABLE: would block; ERR_NO_BROKER: the peer is gone. fd -1: none; it stays the
 * caller's. */
MUST err_t ipc_send(int sock, struct view packet, int fd, struct why *why);
struct ipc_packet {
    struct view bytes;
    int fd; /* -1: none; stays the caller's */
};
enum { IPC_BATCH = 16 };
/* Sends the packets in order, IPC_BATCH at most, in one call; *sent: how many went, at least one
 * with ERR_OK. Errors as of ipc_send(), and then none went. */
MUST err_t ipc_send_many(int sock, const struct ipc_packet *p, unsigned n, unsigned *sent,
                         struct why *why);
/* One packet into `out` (reset first, then holds the bytes; wiped by the caller's
 * buf_reset/buf_free). *fd is -1 or a received descriptor that is the caller's. ERR_UNAVAILABLE:
 * nothing there; ERR_NO_BROKER: end of file. */
MUST err_t ipc_recv(int sock, struct buf *out, int *fd, struct why *why);
/* Waits at most timeout_ms for readability (for the short-lived helpers); ERR_TIMEOUT. */
MUST err_t ipc_wait(int sock, int timeout_ms, struct why *why);

#endif
