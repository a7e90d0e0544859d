/* Enrolling: the one body that is more than fields. A foreign file becomes a credential in
 * canonical form, so that the vault never parses one (broker/provider.h). */
#ifndef API_ENROLL_H
#define API_ENROLL_H

#include "api/body.h"

/* From the row's `provider`, `data` or `data_base64` and the options to the canonical form,
 * appended to `out` (which is secret from then on). ERR_INVALID: what was expected. */
MUST err_t enroll_canonical(const struct route *r, const struct values *v, struct buf *out,
                            struct why *why);

#endif
