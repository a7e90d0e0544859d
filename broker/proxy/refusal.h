/*
 * Answers that the proxy gives itself, in the form that the client's SDK reads: Anthropic's, OpenAI's, Gemini's, or the broker's own.
 */
#ifndef PROXY_REFUSAL_H
#define PROXY_REFUSAL_H

#include "base/route.h"

struct refusal {
    enum route_dialect dialect;
    unsigned status;     /* HTTP */
    err_t code;          /* its wire code is the machine-readable reason */
    const char *message; /* one sentence */
    int64_t retry_ms;    /* > 0: Retry-After */
    bool no_retry;       /* x-should-retry: false */
    bool keep_alive;
    bool to_head; /* answers a HEAD request: no body */
};
/* The HTTP status of an outcome of ours on the data plane; *no_retry: trying again cannot help. */
unsigned refusal_status(err_t e, bool *no_retry);
/* Appends head and body. */
void refusal_write(const struct refusal *r, struct buf *out);

#endif
