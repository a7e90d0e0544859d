/*
 * Request bodies: one flat JSON object (RFC 8259) read against a row's fields. Strict and total:
 * unknown or repeated members, values of another type, numbers that are not whole and from 0,
 * nesting, bad UTF-8, \u0000 and trailing bytes are ERR_INVALID.
 */
#ifndef API_BODY_H
#define API_BODY_H

#include "api/routes.h"

/* The values of one request, by the index of their field in the row. */
struct values {
    uint32_t given; /* bit i: field i has a value */
    struct view text[ROUTE_MAX_FIELDS];
    uint64_t number[ROUTE_MAX_FIELDS];
    struct view credential; /* of a row that enrolls: what becomes F_BODY */
};
static inline bool values_has(const struct values *v, size_t i)
{
    return (v->given >> i & 1) != 0;
}
/* The text of the member `name`; empty when it was not given or is no text. */
struct view values_text(const struct route *r, const struct values *v, const char *name);

/* Reads `body`, rewriting it in place: `v` then views into it (strings without their escapes,
 * arrays in the form the message takes). The bytes are the caller's to wipe, also on failure. An
 * empty body is an empty object. */
MUST err_t body_read(const struct route *r, uint8_t *body, size_t n, struct values *v,
                     struct why *why);

#endif
