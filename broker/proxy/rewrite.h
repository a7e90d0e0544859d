/*
 * Heads on their way: the client's request for the upstream, the upstream's reply for the client. Written anew from what the gate read,
 * line by line, never copied: what has no row here, or is nominated by Connection, or holds a token of ours, stays behind.
 */
#ifndef PROXY_REWRITE_H
#define PROXY_REWRITE_H

#include "proxy/gate.h"
#include "base/route.h"

/* Appends the request head. Host, credential, framing and accept-encoding are ours; exactly one credential header is in it.
 * ERR_TOO_LARGE. */
MUST err_t rewrite_request(const struct gate_request *rq, const struct route *r, struct buf *out,
                           struct why *why);
struct rewrite_reply {
    const struct gate_response *reply;
    bool chunked; /* the body is sent chunked (else as reply->body says) */
    bool close;   /* the connection ends with it */
    bool http10;  /* the client speaks HTTP/1.0 */
};
MUST err_t rewrite_response(const struct rewrite_reply *how, struct buf *out, struct why *why);

#endif
