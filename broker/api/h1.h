/*
 * The head of an HTTP/1.1 request (RFC 9112), strictly: what has two readings has none here. Pure
 * functions over bytes.
 */
#ifndef API_H1_H
#define API_H1_H

#include "api/head.h"

enum { H1_HEAD_MAX = 8192, H1_METHOD_MAX = 15 };

struct h1_request {
    char method[H1_METHOD_MAX + 1]; /* "-" for one that is longer */
    struct view target;             /* raw; spaces inside are request_target()'s to refuse */
    bool old;                       /* HTTP/1.0: the connection ends with the answer */
    struct head head;
};

enum h1_state { H1_MORE, H1_WHOLE, H1_BROKEN };
/* Where the head that begins at p ends. *at is 0 for a new request and then kept by the caller, so
 * that dripping bytes are looked at once. WHOLE: *at is the size of the head with its empty line.
 * BROKEN: a line does not end in CRLF, or there is none in H1_HEAD_MAX bytes. */
enum h1_state h1_find_end(struct view bytes, size_t *at);

/* Reads a whole head. ERR_VERSION: another major version of HTTP. ERR_INVALID: anything else that
 * is not in order. In both cases the connection must be closed. */
MUST err_t h1_read(struct view head, struct h1_request *out, struct why *why);

#endif
