/*
 * The client's half of HTTP/1.1 (RFC 9112): writes the head of a request, reads one reply as its
 * bytes arrive. No socket here.
 */
#ifndef CLIENT_HTTP_H
#define CLIENT_HTTP_H

#include <broker/client.h>

/* A line of a head, the lines of one reply, and the head of a request. A lease token is at most
 * 2048 characters. */
enum { HTTP_LINE_MAX = 4096, HTTP_LINES_MAX = 100, HTTP_HEAD_MAX = 4096 };

struct http_head {
    size_t len;
    char text[HTTP_HEAD_MAX];
};
void http_head_wipe(struct http_head *h);
/* ERR_USAGE: a part holds a space, a control character or a line end where it may not, or does not
 * fit. Holds the token: wipe it. */
MUST err_t http_head_write(const struct broker_request *rq, struct http_head *out, struct why *why);

enum http_state {
    HTTP_STATUS,
    HTTP_FIELD,
    HTTP_BODY, /* `left` bytes of it to come */
    HTTP_CHUNK_SIZE,
    HTTP_CHUNK, /* `left` bytes of it to come */
    HTTP_CHUNK_END,
    HTTP_TRAILER,
    HTTP_DONE
};
struct http_reader {
    enum http_state state;
    int status;
    bool has_length, chunked;
    bool last; /* the connection ends with this reply */
    unsigned lines;
    size_t left;
    char *body; /* NUL-terminated when HTTP_DONE; NULL: none */
    size_t body_len, body_cap, body_max;
    size_t line_len;
    char line[HTTP_LINE_MAX];
};
void http_reader_init(struct http_reader *r, size_t body_max);
void http_reader_free(struct http_reader *r); /* wipes */
/* Takes bytes until the reply is whole; *used < n only then. ERR_INVALID: not a reply we read (says
 * what), ERR_TOO_LARGE. A reader that has failed is only good for http_reader_free. */
MUST err_t http_reader_feed(struct http_reader *r, const char *p, size_t n, size_t *used,
                            struct why *why);

#endif
