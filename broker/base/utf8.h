/*
 * UTF-8 (RFC 3629), strictly: no overlong forms, no surrogates, nothing past U+10FFFF.
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/buf.h"

/* Length (1 to 4) of the valid sequence at p[0..n), n > 0, and its code point in *cp; 0 when there
 * is none. */
size_t utf8_next(const uint8_t *p, size_t n, uint32_t *cp);
bool utf8_valid(struct view v);
/* How many bytes at the start of p[0..n) are printable ASCII (0x20 to 0x7e); eight at a time, for the text that nearly all text is. */
size_t utf8_plain(const uint8_t *p, size_t n);

#endif
