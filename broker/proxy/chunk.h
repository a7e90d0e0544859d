/*
 * Chunked transfer coding (RFC 9112 section 7.1), strict: CRLF only, hex sizes of at most 16 digits without white space, extensions
 * refused in requests and skipped (bounded) in replies, trailers refused in requests and dropped (bounded) in replies.
 */
#ifndef PROXY_CHUNK_H
#define PROXY_CHUNK_H

#include "base/buf.h"

struct chunk_reader { /* zero is a reader of a request's body */
    uint8_t state;
    bool lenient;     /* of a reply: extensions and trailers are skipped */
    uint16_t line;    /* bytes of the present line that were skipped or read */
    uint32_t skipped; /* bytes of extensions and trailers so far */
    uint64_t left;    /* of the present chunk */
};
enum chunk_result { CHUNK_MORE, CHUNK_DATA, CHUNK_END, CHUNK_BAD };

/* Takes bytes from the front of *in. CHUNK_DATA: *data is the next piece of payload (a view into *in's bytes, not empty). CHUNK_MORE: *in
 * is used up. CHUNK_END: the body has ended; *in begins behind it. CHUNK_BAD: the coding is broken. */
enum chunk_result chunk_next(struct chunk_reader *r, struct view *in, struct view *data);
enum { CHUNK_HEAD_ROOM = 20 };
/* Writes the line before a chunk of n > 0 bytes ("1f4\r\n"), returns its length. "\r\n" follows the chunk, "0\r\n\r\n" ends the body. */
size_t chunk_head(uint64_t n, char out[CHUNK_HEAD_ROOM]);

#endif
