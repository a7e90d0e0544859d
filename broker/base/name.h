/*
 * Names of consumers and credentials: 1 to 64 bytes of [a-z0-9] first, then [a-z0-9._-]. No slashes, no "..",
 * no control characters, and not the reserved "admin". Checked at every door they come in by.
 */
#ifndef BASE_NAME_H
#define BASE_NAME_H

#include "base/buf.h"

enum { NAME_MAX_LEN = 64 };
/* `what` is "consumer" or "credential" for the sentence. ERR_INVALID. */
MUST err_t name_check(struct view name, const char *what, struct why *why);

#endif
