/*
 * The forms in which an upstream could echo a secret: raw, base64 and base64url at the three offsets, hex, percent-encoded, JSON-escaped.
 */
#ifndef PROXY_GUARD_FORMS_H
#define PROXY_GUARD_FORMS_H

#include "base/buf.h"

enum { GUARD_FORMS = 23 }; /* of one secret, at most */
/* Appends the forms of `secret` to `out`, one behind the other, none twice; `end`: where each ends in `out`. Returns how many. A full
 * `out` is `bad`. */
unsigned guard_forms(struct view secret, struct buf *out, size_t end[GUARD_FORMS]);

#endif
