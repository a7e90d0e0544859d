/*
 * The body of a request from its parameters: JSON, or application/x-www-form-urlencoded (RFC 6749, appendix B).
 */
#ifndef OAUTH_FORM_H
#define OAUTH_FORM_H

#include "base/buf.h"

/* `pairs`: name, value, name, value … as F_PAIRS carries them. ERR_INVALID: a name without a value. */
MUST err_t form_body(struct view pairs, bool form, struct buf *out, struct why *why);

#endif
