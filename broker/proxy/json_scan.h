/*
 * A tokenizer of JSON (RFC 8259) for bytes that stream past: fed in any pieces, no allocation, a fixed depth, total on any bytes. It checks
 * the grammar of everything but the inside of numbers, so whatever it takes has one structure to every reader; it keeps the text of
 * keys, numbers and asked-for strings, bounded, with escapes decoded, and passes quickly over what its caller does not care for.
 */
#ifndef PROXY_JSON_SCAN_H
#define PROXY_JSON_SCAN_H

#include "base/buf.h"

enum { JSON_SCAN_DEPTH = 256, JSON_SCAN_TEXT = 128 };
enum json_scan_token {
    JSON_SCAN_MORE, /* the input is used up */
    JSON_SCAN_OBJECT,
    JSON_SCAN_ARRAY,
    JSON_SCAN_CLOSE, /* `depth` is already that of what it stood in */
    JSON_SCAN_KEY,
    JSON_SCAN_STRING,
    JSON_SCAN_NUMBER,
    JSON_SCAN_WORD, /* true, false, null */
    JSON_SCAN_BAD   /* no JSON, or too deep; for good */
};
struct json_scan {                         /* zero: the beginning of a text */
    uint64_t object[JSON_SCAN_DEPTH / 64]; /* bit d: what is open at depth d is an object */
    uint16_t depth;                        /* how many objects and arrays are open */
    uint16_t quiet; /* nothing of this depth or deeper is reported; 0: all is */
    uint8_t expect, inside, escape, unit; /* where in the grammar it stands: json_scan.c */
    uint8_t len;
    bool keep; /* set by the caller at a key: the text of the string that follows is wanted */
    bool key, store, cut, odd;
    char text[JSON_SCAN_TEXT];
};
/* Takes bytes from the front of *in up to the end of one token. */
enum json_scan_token json_scan_next(struct json_scan *j, struct view *in);
/* After OBJECT or ARRAY: report nothing of its inside; the next token is its CLOSE. */
void json_scan_skip(struct json_scan *j);
/* The text of the KEY, kept STRING, NUMBER or WORD just reported; cut at JSON_SCAN_TEXT. */
struct view json_scan_text(const struct json_scan *j);
/* That text is whole. */
bool json_scan_whole(const struct json_scan *j);
/* Nothing but printable ASCII was in it, the part that was cut off included. */
bool json_scan_plain(const struct json_scan *j);
/* One value, whole, was read. */
bool json_scan_done(const struct json_scan *j);

#endif
