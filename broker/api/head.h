/*
 * What libmicrohttpd lets through and we do not: the head of a request is accounted for byte by
 * byte.
 */
#ifndef API_HEAD_H
#define API_HEAD_H

#include "base/buf.h"
#include <microhttpd.h>

/* The headers that mean something here. */
struct head {
    uint64_t length; /* of the body; 0: none */
    bool has_type;
    struct view type;          /* Content-Type */
    struct view authorization; /* into libmicrohttpd's read buffer */
};

/* The request line as it stands in libmicrohttpd's read buffer; `target` is raw. */
struct head_line {
    const char *method;
    struct view target;
    const char *version;
};
/* ERR_INVALID: the connection must be closed. Refused are: other versions than 1.0 and 1.1, a
 * request line with other than single spaces, bare LF and bare CR, NUL, folded lines, names that
 * are no token (RFC 9110 section 5.6.2), control characters in values, any Transfer-Encoding, and
 * repetition of Content-Length, Content-Type or Authorization. */
MUST err_t head_read(struct MHD_Connection *http, const struct head_line *line, struct head *out,
                     struct why *why);
/* ERR_INVALID unless it is application/json, with no parameter but charset=utf-8. */
MUST err_t head_check_type(const struct head *h, struct why *why);

#endif
