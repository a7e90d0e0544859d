/*
 * The rules for a request's head, and what libmicrohttpd lets through of it and we do not: there
 * the head is accounted for byte by byte.
 */
#ifndef API_HEAD_H
#define API_HEAD_H

#include "base/buf.h"
#include <microhttpd.h>

/* The headers that mean something here; the views are into the bytes that were read. */
struct head {
    uint64_t length; /* of the body; 0: none */
    bool has_type;
    struct view type; /* Content-Type */
    struct view authorization;
    bool closes;    /* Connection has the token "close" */
    bool continues; /* Expect: 100-continue */
};

/* Fields that were met so far; begins as zero. */
struct head_fields {
    unsigned lengths, types, authorizations;
    struct head head;
};
/* One field. NULL, or what is refused about it: a name that is no token (RFC 9110 section 5.6.2),
 * control characters in the value, any Transfer-Encoding, a Content-Length that is no number, and
 * repetition of Content-Length, Content-Type or Authorization. */
const char *head_field(struct head_fields *f, struct view name, struct view value);
bool head_is_token(struct view v);

/* The request line as it stands in libmicrohttpd's read buffer; `target` is raw. */
struct head_line {
    const char *method;
    struct view target;
    const char *version;
};
/* ERR_INVALID: the connection must be closed. Refused are: other versions than 1.0 and 1.1, a
 * request line with other than single spaces, bare LF and bare CR, NUL, folded lines, and what
 * head_field() refuses. */
MUST err_t head_read(struct MHD_Connection *http, const struct head_line *line, struct head *out,
                     struct why *why);
/* ERR_INVALID unless it is application/json, with no parameter but charset=utf-8. */
MUST err_t head_check_type(const struct head *h, struct why *why);

#endif
