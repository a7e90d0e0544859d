/*
 * How requests of one credential go upstream: what the vault hands to a proxy worker with the first request that may use it. Built in
 * provider/inject.c, encoded here, kept by the worker in secret memory until the vault takes it back.
 *
 * Encoding (big-endian): u8 format (1), u8 flags, u8 dialect, str16 host, u16 port, str16 CA file, str16 strip, str16 prefix, str16
 * provider, u8 n + n x (str16 name, str16 value) headers to set, str16 query name, str16 query value, str16 merge name, str16 merge value,
 * u8 n + n x str16 secrets.
 */
#ifndef BASE_ROUTE_H
#define BASE_ROUTE_H

#include "base/buf.h"

enum {
    ROUTE_TLS = 1,     /* else plain HTTP: only where the configuration says so */
    ROUTE_PRIVATE = 2, /* its address may be loopback, private or link-local */
    ROUTE_RENEWS = 4,  /* a login: on a 401 the vault is asked for a newer credential */
    ROUTE_FLAGS = 7
};
/* Which forms of errors and of `usage` it speaks. Append only. */
enum route_dialect {
    ROUTE_PLAIN,     /* errors in the broker's own form; no usage */
    ROUTE_ANTHROPIC, /* /v1/messages */
    ROUTE_OPENAI,    /* /responses, /chat/completions */
    ROUTE_GEMINI,    /* :generateContent */
    ROUTE_DIALECTS
};
enum { ROUTE_HEADERS = 4, ROUTE_SECRETS = 4, ROUTE_MAX = 96 * 1024 };
struct route_header {
    struct view name, value;
};
/* Views into bytes that somebody else owns. */
struct route {
    unsigned flags;
    enum route_dialect dialect;
    struct view host; /* a name, or a literal address (IPv6 in brackets) */
    uint16_t port;
    struct view ca; /* PEM file to trust instead of the system's; empty: the system's */
    /* the client's path loses `strip` from its front where it begins with it (at a segment border), then gets `prefix` in front */
    struct view strip, prefix;
    struct view provider; /* for errors and logs */
    struct route_header header
        [ROUTE_HEADERS]; /* set upstream, whatever the client sent under these names; the credential is among them */
    unsigned n_headers;
    struct route_header
        query; /* a parameter to set in the query; name empty: none. Value percent-encoded already */
    struct route_header
        merge; /* a list header that must hold this member, added when missing ("anthropic-beta", "oauth-2025-04-20") */
    struct view secret[ROUTE_SECRETS]; /* raw secrets that must never come back in a reply */
    unsigned n_secrets;
};
/* Appends; ERR_TOO_LARGE over ROUTE_MAX. */
MUST err_t route_encode(const struct route *r, struct buf *out, struct why *why);
/* Strict: everything that could not stand in a request head, an unknown flag or dialect, an empty host, port 0 is ERR_INVALID. */
MUST err_t route_decode(struct view bytes, struct route *out, struct why *why);

#endif
