/*
 * A credential that is one API key, as its providers read it.
 */
#ifndef PROVIDER_KEY_H
#define PROVIDER_KEY_H

#include "provider/intake.h"

/* Of in->provider; ERR_INVALID: another's, a file, or more than one word. */
MUST err_t key_read(struct intake *in, struct why *why);

#endif
