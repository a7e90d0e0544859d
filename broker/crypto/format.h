/*
 * The eight bytes that everything sealed begins with: magic (4 bytes), version u8, suite u8, flags
 * u16. What is not known is refused, so that an old program never guesses at a new format.
 * FORMAT.md, "Preamble".
 */
#ifndef CRYPTO_FORMAT_H
#define CRYPTO_FORMAT_H

#include "base/buf.h"

enum { FORMAT_PREAMBLE = 8, FORMAT_VERSION = 1 };
/* Suite 1: XChaCha20-Poly1305, BLAKE2b-256, X25519 sealed boxes, Ed25519. There is no suite 0 and
 * none without encryption. */
enum { FORMAT_SUITE = 1 };

struct format {
    const char *magic, *what; /* 4 characters; "record", for the sentence */
    uint16_t flags;           /* those that are known */
};

void format_put(const struct format *f, uint16_t flags, struct buf *out);
/* ERR_CORRUPT: too short or another magic. ERR_VERSION: an unknown version, suite or flag. */
MUST err_t format_get(const struct format *f, struct cursor *c, uint16_t *flags, struct why *why);

#endif
