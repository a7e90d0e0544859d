/*
 * One worker: the parts of an api process and how they meet. Everything is reached through this one
 * struct; there are no globals. A turn of the loop: descriptors are read, then (worker_turn)
 * libmicrohttpd runs until it has nothing ready, then all that the turn asks of the vault is sent
 * in one go.
 */
#ifndef API_WORKER_H
#define API_WORKER_H

#include "api/conn.h"
#include "base/loop.h"

struct front;     /* api/front.h */
struct link;      /* api/link.h */
struct listeners; /* base/listen.h */

struct worker {
    uint32_t role; /* FROM_API or FROM_ADMIN */
    struct loop *loop;
    struct conns *conns;
    const struct front *front;
    void *clients; /* the front's own */
    struct link *link;
    struct listeners *listeners;
    struct loop_timer *timer;
    int64_t timer_at;
};

struct worker_options {
    const struct conn_limits *limits; /* NULL: the defaults */
    const struct front *front;        /* NULL: the role's own */
};
/* Takes over `vault_fd`. `opt` may be NULL. */
MUST err_t worker_new(uint32_t role, int vault_fd, const struct worker_options *opt,
                      struct worker **out, struct why *why);
/* Tells the vault READY (`sandbox`: what is active, may be NULL) and serves until the vault is
 * gone: 0. */
int worker_run(struct worker *w, const char *sandbox);
void worker_free(struct worker *w); /* takes NULL */

#endif
