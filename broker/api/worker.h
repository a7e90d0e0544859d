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

struct http;      /* api/http.h */
struct link;      /* api/link.h */
struct listeners; /* api/listen.h */

struct worker {
    uint32_t role; /* FROM_API or FROM_ADMIN */
    struct loop *loop;
    struct conns *conns;
    struct http *http;
    struct link *link;
    struct listeners *listeners;
    struct loop_timer *timer;
    int64_t timer_at;
};

/* Takes over `vault_fd`. `limits` NULL: the defaults. */
MUST err_t worker_new(uint32_t role, int vault_fd, const struct conn_limits *limits,
                      struct worker **out, struct why *why);
/* Tells the vault READY (`sandbox`: what is active, may be NULL) and serves until the vault is
 * gone: 0. */
int worker_run(struct worker *w, const char *sandbox);
void worker_free(struct worker *w); /* takes NULL */

#endif
