/*
 * The connections of one worker: slots with generations (a connection id names one connection,
 * ever), the phase each is in and the moment that phase ends. Knows neither libmicrohttpd nor the
 * vault.
 */
#ifndef API_CONN_H
#define API_CONN_H

#include "api/exchange.h"

enum { CONN_MAX = 4096, CONN_SLOT_BITS = 16 };

enum conn_phase {
    CONN_IDLE,    /* nothing of a request has come, or not yet its first line */
    CONN_READING, /* after the request line */
    CONN_WAITING, /* for the vault */
    CONN_WRITING, /* the reply */
    CONN__PHASES
};
/* Milliseconds a connection may stay in each phase, however many bytes trickle in. */
struct conn_limits {
    int64_t ms[CONN__PHASES];
};
extern const struct conn_limits conn_limits_default; /* 30 s, 10 s, 15 s, 30 s */

struct request {
    char target[ROUTE_MAX_PATH + 1]; /* raw; the exchange views into it */
    const char *raw;                 /* where it stands in the head, for api/head.h */
    size_t raw_n;
    bool head_done;
    struct exchange x;
    struct buf body;
    err_t refused; /* told when the request has been read to its end */
    struct why why;
};

struct listener;
struct loop_fd;
struct MHD_Connection;
struct conn {
    uint32_t slot, generation;
    int fd; /* the front closes it */
    struct MHD_Connection *http;
    struct listener *from;
    enum conn_phase phase;
    int64_t deadline;
    uint64_t waiting_for; /* request id; 0: none */
    bool shown;           /* the vault has seen its descriptor */
    uint64_t replaces;    /* connection id whose end its showing tells, as yet unconfirmed; 0 */
    struct request rq;    /* api/http.c's */
    /* api/wire.c's */
    void *front;
    struct loop_fd *watch;     /* NULL while nothing is expected of the client */
    const struct route *route; /* of the request that waits for the vault */
    struct buf in, out;        /* what came and is not yet a request; what is still to be sent */
    size_t scanned, sent;      /* of `in` for the end of the head; of `out` */
    bool closes, bodiless, continued; /* of the present request */
    bool heard, left;                 /* the vault has answered once; the client's end was seen */
};
static inline uint64_t conn_id(const struct conn *c)
{
    return c->slot | (uint64_t)c->generation << 32;
}

struct conns; /* the table */
MUST err_t conns_new(uint32_t max, const struct conn_limits *limits, struct conns **out,
                     struct why *why);
void conns_free(struct conns *t); /* takes NULL; frees what is open */
uint32_t conns_open(const struct conns *t);
uint32_t conns_waiting(const struct conns *t);

/* NULL when the table is full or memory is. The connection is IDLE. */
struct conn *conn_new(struct conns *t, int fd, struct listener *from, int64_t now);
void conn_free(struct conns *t, struct conn *c);
struct conn *conn_find(const struct conns *t, uint64_t id); /* by connection id; NULL */
struct conn *conn_find_waiting(const struct conns *t, uint64_t request); /* by request id; NULL */
/* The first open one in slot `from` or later; NULL at the end. For walking all. */
struct conn *conn_next(const struct conns *t, uint32_t from);

void conn_enter(struct conns *t, struct conn *c, enum conn_phase phase, int64_t now);
/* Enters CONN_WAITING under a new request id, which it gives. */
uint64_t conn_wait(struct conns *t, struct conn *c, int64_t now);
void conn_request_clear(struct conn *c); /* wipes */

/* The earliest moment a deadline may pass (it may be early, never late); INT64_MAX: none. */
int64_t conns_next_deadline(const struct conns *t);
/* Calls fn for each connection whose deadline has passed; it is not called for it again before a
 * new phase. */
void conns_expire(struct conns *t, int64_t now, void (*fn)(void *ctx, struct conn *c), void *ctx);

#endif
