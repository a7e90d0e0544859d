/* An answer as the bytes of an HTTP/1.1 response (RFC 9112 section 4). */
#ifndef API_ANSWER_H
#define API_ANSWER_H

#include "api/routes.h"

struct answer_head {
    unsigned status;   /* 0: that of the outcome */
    const char *allow; /* with ERR_METHOD: the methods there are; NULL: none */
    uint64_t retry_s;  /* Retry-After; 0: none */
    bool closes;       /* nothing follows on this connection */
    bool without_body; /* the request was a HEAD: its length is told, the body is not sent */
};
/* `{"error":…,"message":…}`. `sentence` NULL or empty: the outcome's default. */
void answer_error(err_t e, const char *sentence, const struct answer_head *h, struct buf *out);
/* From a REPLY to a request of row `r`. */
void answer_message(const struct route *r, const struct msg *m, struct answer_head h,
                    struct buf *out);
/* The body of an error, without a head. */
void answer_error_json(err_t e, const char *sentence, struct buf *out);

#endif
