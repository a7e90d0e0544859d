/*
 * One connection of a client: its descriptor, what was read and not used yet, what could not be written yet. Edge-triggered: the
 * kernel tells each change once, so no call is spent on changing what is watched.
 */
#ifndef PROXY_CLIENT_H
#define PROXY_CLIENT_H

#include "proxy/gate.h"
#include "proxy/proxy.h"
#include <sys/uio.h>

struct allowance;
struct listener;
struct client {
    struct proxy *proxy;
    uint64_t id; /* slot | generation << 32 */
    int fd;
    struct loop_fd *watch;
    struct listener *from;
    struct stream *stream;       /* the request that runs; NULL between two */
    struct allowance *allowance; /* NULL: none (allowance.h) */
    struct buf in;   /* read, not used yet: the beginning of a head, or of a body that must wait */
    struct buf out;  /* not written yet */
    size_t out_done; /* bytes of it that are */
    int64_t deadline_ms;
    bool readable, writable; /* as far as is known */
    bool ended;              /* the kernel has told of its end, which may stand behind bytes */
    bool eof;                /* that end was read: it will send no more */
    bool shown;              /* the vault has seen its descriptor */
    bool closing;            /* close when `out` is written */
};

MUST err_t clients_new(struct proxy *p, struct clients **out, struct why *why);
void clients_free(struct clients *cs);       /* takes NULL; closes all */
bool clients_full(const struct clients *cs); /* no room for another one */
/* Takes `fd`. False: no room (the descriptor is closed). */
bool client_adopt(struct clients *cs, int fd, struct listener *from);
struct client *client_find(struct clients *cs, uint64_t id);
struct client *client_of_slot(struct clients *cs, uint32_t slot); /* NULL: free */
/* Ends those whose time is over. */
void clients_expire(struct clients *cs, int64_t now_ms);

/* Reads up to PROXY_READ bytes into the worker's scratch memory: > 0; 0: none now, or the end (c->eof). */
size_t client_read(struct client *c);
/* Writes, and keeps what the socket does not take. False: the connection is broken; close it. */
bool client_write(struct client *c, const struct iovec *iov, int n);
/* Everything that was given is with the kernel. */
bool client_flushed(const struct client *c);
/* The request is over. `keep`: the connection takes another one; else it is closed when everything is written. */
void client_done(struct client *c, bool keep);
/* Answers by itself, and then as client_done. */
struct refusal;
void client_refuse(struct client *c, const struct refusal *r);
/* Closes now; its stream is aborted. */
void client_close(struct client *c);
/* Goes on with what is readable: called when a stream ended, or back-pressure did. */
void client_run(struct client *c);

#endif
