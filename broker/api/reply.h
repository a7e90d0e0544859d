/* Answers: an outcome or the vault's REPLY → an HTTP response whose body is wiped when it has been
 * sent. */
#ifndef API_REPLY_H
#define API_REPLY_H

#include "api/routes.h"

struct MHD_Response;
struct reply {
    unsigned status;           /* HTTP */
    struct MHD_Response *http; /* the caller MHD_destroy_response()s it after queueing */
};

/* `{"error":…,"message":…}`. `allow`: methods, for ERR_METHOD, or NULL. False when out of memory.
 */
bool reply_error(err_t e, const struct why *why, const char *allow, struct reply *out);
/* From a REPLY to a request of row `r`. */
bool reply_from_message(const struct route *r, const struct msg *m, struct reply *out);

#endif
