/*
 * A worker's line to the vault: whole packets in a queue, sent in order as many at a time as go; and what arrives, handed out by message type. A
 * packet is held against its owner at the moment it is sent: whoever it was for may be gone by then, so a descriptor number that was
 * reused can never be shown in another's name. The vault's end is the worker's end: without it nothing may be served.
 */
#ifndef BASE_LINE_H
#define BASE_LINE_H

#include "base/loop.h"
#include "base/msg.h"

enum { LINE_QUEUE_MAX = 8 << 20 };

struct line;
/* `fd`: a descriptor that came along; TAKE_FD() it, else it is closed. */
typedef err_t line_message_fn(void *ctx, const struct msg *m, int *fd, struct why *why);
struct line_handler {
    enum msg_type type;
    line_message_fn *fn;
};
struct line_ops {
    const struct line_handler *handlers; /* what may arrive; ends with MSG_NONE */
    /* Does anybody wait for the packet of this key (never 0) still? *fd, -1 before: a descriptor that goes along. */
    bool (*wanted)(void *ctx, uint64_t key, int *fd);
    void (*went)(void *ctx, uint64_t key); /* it is with the vault, and so is the descriptor */
};
/* Takes over `fd`. */
MUST err_t line_new(struct loop *loop, int fd, const struct line_ops *ops, void *ctx,
                    struct line **out, struct why *why);
void line_free(struct line *l); /* takes NULL; closes the socket */

/* Queues a packet; `key` 0: it goes in any case. False: no memory for it. A bound is for the caller: line_waiting() against LINE_QUEUE_MAX. */
MUST bool line_add(struct line *l, uint64_t key, struct view packet);
size_t line_waiting(const struct line *l); /* bytes in the queue */
/* Sends what is queued. False: the vault does not take more now (it is tried again when it does), or is gone (the loop is being stopped). */
bool line_flush(struct line *l);

#endif
