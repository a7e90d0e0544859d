/*
 * A JSON reader without a tree (RFC 8259): values are slices of the text. Total on any bytes,
 * iterative, no allocation. Stricter than the RFC asks: a duplicate of the key that is looked for,
 * an unpaired surrogate, malformed UTF-8, "\u0000" and nesting over JSON_DEPTH are not read.
 */
#ifndef CLIENT_JSON_H
#define CLIENT_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { JSON_DEPTH = 32, JSON_KEY_MAX = 64 };

struct json_slice { /* text of one value, without white space around it */
    const char *p;
    size_t n;
};

/* The whole text as one value; false unless it is exactly one valid value. */
bool json_value(const char *text, size_t n, struct json_slice *out);
/* The member `key` of a valid object. False: no object, no such key, or the key twice. */
bool json_member(struct json_slice object, const char *key, struct json_slice *out);
/* The next item of a valid array; *at begins at 0. False at the end, and for no array. */
bool json_item(struct json_slice array, size_t *at, struct json_slice *out);
/* A string unescaped into `out` (NUL-terminated; *len, which may be NULL, without it). n bytes of
 * room are always enough for a slice of n. False: no string, or over the room; `out` is then "". */
bool json_text(struct json_slice value, char *out, size_t room, size_t *len);
/* An integer without fraction or exponent that fits. */
bool json_int(struct json_slice value, int64_t *out);
bool json_is(struct json_slice value, const char *literal); /* "null" "true" "false" */

#endif
