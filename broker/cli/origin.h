/*
 * Origins (RFC 6454): which server a secret is for. A helper hands one out only where both are the
 * same.
 */
#ifndef CLI_ORIGIN_H
#define CLI_ORIGIN_H

#include <stdbool.h>
#include <stddef.h>

struct origin {
    char scheme[16], host[256]; /* lower case */
    unsigned port;              /* 0: the scheme has no usual one and none was given */
};
/* Reads "https://host[:port][/…]"; `scheme` not NULL: `text` is "host[:port][/…]" without one.
 * False, and out untouched: it is none, or it has a user in it. */
bool origin_read(const char *scheme, const char *text, struct origin *out);
bool origin_equal(const struct origin *a, const struct origin *b);

#endif
