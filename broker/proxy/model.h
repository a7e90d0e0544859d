/*
 * Finds the top-level "model" of a JSON request body as it streams past, zstd or plain (RFC 8878, RFC 8259), and goes on watching for a
 * second one: a body that could mean two models to two readers is refused. Bounded: the name must come within MODEL_PREFIX_MAX bytes
 * of decoded body.
 */
#ifndef PROXY_MODEL_H
#define PROXY_MODEL_H

#include "base/buf.h"

enum {
    MODEL_PREFIX_MAX = 256 * 1024,
    MODEL_NAME_MAX = 128,
    /* Of zstd only. A window over 8 MiB is what RFC 8878 (3.1.1.1.2) lets a decoder refuse. What decodes to more than 64 MiB is over every
     * provider's own limit; what has, beyond its first MiB, more than 64 bytes for each coded one is a bomb: 6 KB could keep a worker
     * from all its other streams for a third of a second. */
    MODEL_WINDOW_LOG = 23,
    MODEL_DECODED_MAX = 64 << 20,
    MODEL_DECODED_FREE = 1 << 20,
    MODEL_DECODED_RATIO = 64
};
enum model_result {
    MODEL_MORE,  /* not seen yet */
    MODEL_FOUND, /* `model_name()`; goes on being this while nothing is wrong */
    MODEL_BAD /* no JSON object, no model where there must be one, a second one, a name over its room, a broken or unknown coding */
};
struct model_reader;
/* `coding`: value of Content-Encoding; empty or identity: plain; "zstd"; any other is NULL with the reason (ERR_INVALID). */
MUST err_t model_reader_new(struct view coding, struct model_reader **out, struct why *why);
void model_reader_free(struct model_reader *m); /* takes NULL */
enum model_result model_feed(struct model_reader *m, struct view body);
/* The body has ended: FOUND or BAD. */
enum model_result model_end(struct model_reader *m);
/* Printable ASCII; "" until it is found. */
const char *model_name(const struct model_reader *m);
/* Gemini names it in the path: ".../models/NAME:generateContent" → NAME. Empty: none, or it could be read in two ways. */
struct view model_in_path(struct view path);

#endif
