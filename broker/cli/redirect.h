/*
 * The listener on this host that a login's browser is sent to with its code (RFC 8252, section 7.3): on 127.0.0.1 alone, for the one redirect
 * that has this login's state. Everything else is answered with an error and forgotten; a connection that says nothing holds nobody up.
 */
#ifndef CLI_REDIRECT_H
#define CLI_REDIRECT_H

#include "cli/brought.h"

#include <poll.h>
#include <stdint.h>

enum { REDIRECT_CONNS = 8, REDIRECT_POLL = REDIRECT_CONNS + 1, REDIRECT_HEAD = 16384 };
struct redirect {
    int listener; /* -1: none */
    uint16_t port;
    char path[256];
    const char *state; /* what the redirect must have; NULL: nothing is taken yet */
    struct {
        int fd; /* -1: free */
        struct buf head;
        int64_t until_ms;
        unsigned long place; /* in the order of arrival */
    } conn[REDIRECT_CONNS];
    unsigned long arrived;
};

/* `uri`: "http://localhost:1455/auth/callback", port 0: any. `deaf`: the port is held, so that nobody else has it, and answers nobody.
 * ERR_CONFLICT: the port is taken. */
MUST err_t redirect_open(const char *uri, bool deaf, struct redirect *out, struct why *why);
void redirect_close(struct redirect *r);
/* What to poll for; how many. */
unsigned redirect_poll(const struct redirect *r, struct pollfd out[REDIRECT_POLL]);
/* After poll(): true when the redirect came; it has been answered, and `out` has its code or error. */
bool redirect_step(struct redirect *r, const struct pollfd *polled, struct brought *out);
/* A request's head, whole: is it this redirect? The status to answer with, 200 when it is. Pure. */
unsigned redirect_judge(const struct redirect *r, struct view head, struct brought *out);

#endif
