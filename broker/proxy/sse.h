/*
 * The data of server-sent events (WHATWG HTML, 9.2), as it streams past: lines end in CR, LF or CRLF, wherever the input is cut. Fields
 * other than `data` are passed over. No allocation, total on any bytes.
 */
#ifndef PROXY_SSE_H
#define PROXY_SSE_H

#include "base/buf.h"

struct sse { /* zero: the beginning of a stream */
    uint8_t state;
    uint8_t matched;
    bool after_cr, data;
};
enum sse_piece {
    SSE_MORE, /* the input is used up */
    SSE_DATA, /* a piece of the present event's data; lines are joined by a LF */
    SSE_EVENT /* the present event, which had data, ends here */
};
/* Takes bytes from the front of *in. */
enum sse_piece sse_next(struct sse *s, struct view *in, struct view *data);

#endif
