/*
 * One POST to an identity provider with libcurl, which is told to do nothing but that: TLS always (a loopback address by name alone may do
 * without), no redirect, no proxy, no netrc, no cookie, no connection kept, no compression; bounded in bytes and in time.
 */
#ifndef OAUTH_HTTP_H
#define OAUTH_HTTP_H

#include "base/buf.h"

enum { HTTP_REPLY_MAX = 61440, HTTP_HEAD_MAX = 32768, HTTP_RETRY_MAX_MS = 3600 * 1000 };

struct http_ask {
    struct view url; /* https://…; with `insecure_loopback` also http:// to this host */
    const char *ca;  /* PEM file to trust instead of the system's; NULL */
    struct view body;
    bool form; /* how the body is encoded */
    bool insecure_loopback;
    int64_t timeout_ms; /* for all of it */
};
struct http_reply {
    unsigned status;  /* 0: none came */
    int64_t retry_ms; /* Retry-After; 0: none */
    bool sent;        /* the request was on its way, so it may have been carried out */
    struct buf body;
};
/* ERR_OK: an answer came whole. ERR_TIMEOUT, ERR_UNAVAILABLE (no name, no connection, no TLS, cut short), ERR_TOO_LARGE, ERR_INVALID
 * (URL): none did; `sent` says whether the request went out all the same. */
MUST err_t http_post(const struct http_ask *ask, struct http_reply *out, struct why *why);

#endif
