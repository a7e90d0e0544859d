/*
 * The listening sockets that a worker was handed, one per consumer, and how many connections each may have. Who serves the connections says
 * how in `struct listen_ops`.
 */
#ifndef BASE_LISTEN_H
#define BASE_LISTEN_H

#include "base/buf.h"
#include "base/loop.h"

struct listener; /* one consumer's socket */
struct listeners;
struct listen_ops {
    bool (*full)(void *ctx); /* there is no room for any other connection */
    /* Answers that there are too many; must not block. `fd` is closed after. */
    void (*refuse)(void *ctx, int fd);
    /* Takes a non-blocking connection over; listener_release(from) when it ends, also when that is at once. */
    void (*adopt)(void *ctx, int fd, struct listener *from);
    /* Ends all connections that came from it. */
    void (*drop)(void *ctx, const struct listener *from);
};
struct listen_setup {
    struct loop *loop;
    const struct listen_ops *ops;
    void *ctx;
    uint32_t quota, quota_max; /* connections of one consumer: where none is given; at most */
};
MUST err_t listeners_new(const struct listen_setup *s, struct listeners **out, struct why *why);
void listeners_free(struct listeners *all); /* takes NULL; every connection must be gone */

/* Takes `fd` over, also on failure. `quota` 0: the standard one. A socket already there for the consumer is replaced; its connections stay. */
MUST err_t listen_add(struct listeners *all, struct view consumer, int fd, uint64_t quota,
                      struct why *why);
/* Closes the socket and every connection that came by it. */
void listen_remove(struct listeners *all, struct view consumer);
/* After a while in which accept() was out of descriptors: goes on. */
bool listeners_stalled(const struct listeners *all);
void listeners_retry(struct listeners *all);
/* A connection that came by it is gone. */
void listener_release(struct listener *from);

#endif
