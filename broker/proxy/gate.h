/*
 * The strict HTTP/1.1 gate (RFC 9112, RFC 9110): the only parser of foreign HTTP bytes on the data plane. Total, pure, no allocation:
 * bytes in, views into them out. What two programs could read differently is refused, never repaired: bare CR or LF, NUL and other
 * controls, obs-fold, white space before a colon, two lengths, length with chunked, any coding but `chunked`, two or no Host,
 * absolute-form, CONNECT, TRACE, `.` `..` `//` `;` `\` `%2f` games in a path. A refusal closes the connection.
 *
 * Beyond the grammar, and why no client of ours notices:
 *   path, query   one spelling each (gate_path.c): nothing percent-encoded that needs no encoding, no encoded delimiter, no `%25`, no `;`
 *   values        of requests: ASCII only; of replies obs-text too (RFC 9110 section 5.5)
 *   length        one, digits, no zero in front, at most 2^63 - 1 (413 over it)
 *   coding        of requests exactly `chunked` in lower case; in HTTP/1.0 none; of replies without case
 *   body          none with GET, HEAD, OPTIONS (a server that expects none reads it as the next request); Content-Length: 0 is fine
 *   names         that are a field of framing when `_` is read as `-`; X-HTTP-Method-Override and its like, X-Original-URL, X-Rewrite-URL
 *   Connection    that names Host, Content-Length or Transfer-Encoding. Other members are the caller's to strip
 * What the caller still has to look after: credentials in headers and query, repeated fields that are not of framing, its own Host.
 */
#ifndef PROXY_GATE_H
#define PROXY_GATE_H

#include "base/buf.h"

enum { GATE_HEAD_MAX = 64 * 1024, GATE_HEADERS_MAX = 100, GATE_TARGET_MAX = 8192 };

struct gate_header {
    struct view name, value; /* value without white space around it */
};
enum gate_body {
    GATE_BODY_NONE,
    GATE_BODY_LENGTH,     /* `length` bytes */
    GATE_BODY_CHUNKED,    /* proxy/chunk.h */
    GATE_BODY_UNTIL_CLOSE /* of a reply only */
};
struct gate_request {
    struct view method; /* of the table: GET HEAD POST PUT PATCH DELETE OPTIONS */
    struct view path,
        query;        /* path begins with `/`; query without its `?`, empty when there is none */
    struct view host; /* as it was sent, with its port */
    unsigned minor;   /* HTTP/1.minor: 0 or 1 */
    struct gate_header header[GATE_HEADERS_MAX];
    unsigned n_headers;
    enum gate_body body;
    uint64_t length;
    bool expect_continue; /* a body follows once `100 Continue` was sent */
    bool keep_alive;
    bool upgrade; /* asks for another protocol: to be answered 426 */
};
struct gate_response {
    unsigned status; /* 100 to 599; 101 is refused */
    unsigned minor;
    struct gate_header header[GATE_HEADERS_MAX];
    unsigned n_headers;
    enum gate_body body;
    uint64_t length;
    bool keep_alive; /* after its body the connection can carry another request */
};
/* Why a head was refused: the status to answer with and a fixed sentence (never a peer's byte). */
struct gate_refusal {
    unsigned status;
    const char *reason;
};
enum gate_result { GATE_MORE, GATE_OK, GATE_REFUSED };

/* Reads one request head at the beginning of `bytes`. GATE_OK: *used is the head's length (the body begins there) and `out` views into
 * `bytes`; in the other cases what these hold means nothing. GATE_MORE: nothing wrong was seen so far, the head is not whole (and is under
 * GATE_HEAD_MAX); come again with the same bytes and more. The verdict does not depend on how the bytes were cut: it is the first fault
 * in their order (of a long head that is not whole, fields behind the first two kilobytes may not have been looked at yet). One empty line before the request line
 * is NOT skipped. Statuses of refusals: 400, 405 (CONNECT, TRACE, unknown method), 413, 414, 417, 426 is left to the caller
 * (`upgrade`), 431, 501 (a transfer coding), 505. */
enum gate_result gate_request(struct view bytes, struct gate_request *out, size_t *used,
                              struct gate_refusal *no);
/* The same for a reply; `to_head`: it answers a HEAD request. Refused (status 502): whatever could make its end ambiguous. Interim
 * replies (1xx) are GATE_OK with GATE_BODY_NONE. */
enum gate_result gate_response(struct view bytes, bool to_head, struct gate_response *out,
                               size_t *used, struct gate_refusal *no);
/* The value of the only header of this name (lower-case given, compared without case); empty view: none, or several. `n`: how many there
 * are; may be NULL. */
struct view gate_header_of(const struct gate_header *h, unsigned n_headers, const char *name,
                           unsigned *n);
/* Does a list header (RFC 9110 5.6.1) hold this member (lower-case given), without case? */
bool gate_list_has(struct view value, const char *member);
/* Is it an acceptable path? Also asked by the vault's tests. */
bool gate_path_ok(struct view path);

#endif
