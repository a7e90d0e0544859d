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

/* Many packets in one call. */
struct ipc_arrival {
    struct buf bytes; /* wiped by the owner's buf_reset */
    int fd;           /* -1, or a received descriptor that is the owner's */
    err_t status; /* else this packet is refused for `why` and empty; the ones before it are good */
    struct why why;
};
struct ipc_batch {
    struct ipc_arrival packet[IPC_BATCH];
    unsigned n;
    unsigned
        room; /* how many may come at once: doubled each time that all of it was used, so that a quiet process holds little */
    bool more; /* all of it was used: there may be more */
};
/* What is there, as far as there is room; !more: nothing else was there. ERR_UNAVAILABLE: nothing was. ERR_NO_BROKER: end of file, unless
 * good packets came before it: then it is the last one's status. */
MUST err_t ipc_recv_many(int sock, struct ipc_batch *b, struct why *why);
void ipc_batch_free(struct ipc_batch *b); /* wipes and closes what is in it */
/* Waits at most timeout_ms for readability (for the short-lived helpers); ERR_TIMEOUT. */
MUST err_t ipc_wait(int sock, int timeout_ms, struct why *why);

#endif
