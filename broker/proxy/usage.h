/*
 * Reads what a reply says about its own use, while it streams past: `usage` of Anthropic (JSON and SSE: message_start, message_delta),
 * OpenAI (chat completions, responses; SSE response.completed, the last chunk with usage) and Gemini (usageMetadata). Bounded state, no
 * allocation, total on any bytes: what it cannot read counts as nothing.
 */
#ifndef PROXY_USAGE_H
#define PROXY_USAGE_H

#include "base/route.h"

enum { USAGE_MODEL = 64 };
struct usage {
    bool seen;
    uint64_t input, output;           /* tokens; input without what came from a cache */
    uint64_t cache_read, cache_write; /* tokens */
    char model[USAGE_MODEL + 1]; /* as the reply names it; "" when not seen or not plain text */
};
/* SEE usage.c for the private members; at most 512 bytes, one per running stream. */
struct usage_reader {
    enum route_dialect dialect;
    struct usage total;
    uint8_t priv[384] __attribute__((aligned(8)));
};
void usage_begin(struct usage_reader *r, enum route_dialect dialect, bool event_stream);
/* True: `total` changed. */
bool usage_feed(struct usage_reader *r, struct view body);

#endif
