/*
 * What stands between a worker and its clients' sockets. Two there are: api/wire.c, our own strict
 * HTTP/1.1 over our own loop, for the consumers, whose latency counts; and api/http.c,
 * libmicrohttpd, for the operators. Both take the same steps (api/exchange.h).
 */
#ifndef API_FRONT_H
#define API_FRONT_H

#include "api/worker.h"

struct front {
    err_t (*open)(struct worker *w, void **out, struct why *why);
    /* Every connection must have been freed or killed before. Takes NULL. */
    void (*free)(void *front);
    /* Takes an accepted, non-blocking connection over; it is closed in any case. */
    void (*adopt)(void *front, int fd, struct listener *from);
    /* Answers the request a CONN_WAITING connection waits for. */
    void (*answer)(void *front, struct conn *c, const struct msg *reply);
    void (*answer_error)(void *front, struct conn *c, err_t e, const char *sentence);
    /* Closes a connection in any phase. */
    void (*kill)(void *front, struct conn *c);
    /* At the end of a turn; true: it must be run again soon. */
    bool (*run)(void *front);
};
extern const struct front front_http, front_wire;

#endif
