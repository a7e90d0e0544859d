/*
 * One proxy worker: the parts and how they meet. Everything is reached through this one struct; there are no globals.
 *
 *     accept ─▶ client.c   bytes of one connection; one request at a time
 *                ─▶ gate.c      is this head HTTP that everybody reads alike?
 *                ─▶ admit.c     what is refused before the vault is asked: origin, upgrade, no token
 *                ─▶ stream.c    asks the vault (link.c), takes an upstream (upstream.c), and then
 *                     stream_up.c    client → upstream: head rewritten (rewrite.c), body streamed
 *                     stream_down.c  upstream → client: head filtered, body past the guard and the usage reader
 *                ─▶ the vault is told how it ended
 */
#ifndef PROXY_PROXY_H
#define PROXY_PROXY_H

#include "base/loop.h"
#include "base/msg.h"

enum {
    PROXY_READ = 64 * 1024, /* bytes moved by one read */
    PROXY_SWEEP_MS = 500,   /* how often deadlines are looked at */
    PROXY_SECRETS = 4 << 20 /* room for routes */
};

struct clients;
struct link;
struct listeners;
struct routes;
struct upstreams;
struct stream;

struct proxy_times { /* ms */
    int head;        /* a request head, from its first byte */
    int idle;        /* a kept-alive connection without a request */
    int body;        /* the client's body, without progress */
    int vault;       /* an answer of the vault */
    int first_byte;  /* of the reply's head, after the request was sent */
    int silence;     /* between two pieces of a reply */
    int reader;      /* a client that does not read */
};
extern const struct proxy_times proxy_times_default;

struct proxy {
    struct loop *loop;
    struct link *link;
    struct listeners *listeners;
    struct clients *clients;
    struct routes *routes;
    struct upstreams *upstreams;
    struct loop_timer *sweep;
    struct proxy_times times;
    uint64_t questions; /* asked of the vault so far: the number of the last one */
    struct buf packet;  /* a message to the vault that is being written; wiped after */
    struct buf head;  /* the head that is being written: holds a credential, wiped after each use */
    struct why why;   /* of what failed inside a call that is still running */
    uint8_t *scratch; /* PROXY_READ bytes: what was read and not yet passed on */
};

/* Takes over `vault_fd`. `times` NULL: the defaults. */
MUST err_t proxy_new(int vault_fd, const struct proxy_times *times, struct proxy **out,
                     struct why *why);
/* Tells the vault READY (`sandbox`: what is active, may be NULL) and serves until the vault is gone: 0. */
int proxy_run(struct proxy *p, const char *sandbox);
void proxy_free(struct proxy *p); /* takes NULL */

#endif
