/*
 * Reads what a reply says about its own use, while it streams past: `usage` of Anthropic (JSON and SSE: message_start, message_delta),
 * OpenAI (chat completions, responses; SSE response.completed, the last chunk with usage) and Gemini (usageMetadata). Bounded state, no
 * allocation, total on any bytes: what it cannot read counts as nothing.
 *
 * Only the documented places count (a "usage" in a text or a tool's arguments does not), and only of a JSON text, or event, that is whole.
 * Later figures replace earlier ones: providers send totals so far.
 */
#ifndef PROXY_USAGE_H
#define PROXY_USAGE_H

#include "base/route.h"
#include "proxy/json_scan.h"
#include "proxy/sse.h"

enum { USAGE_MODEL = 64, USAGE_FIGURES = 6 };
/* No figure is larger (2^53 - 1, what JSON carries exactly), so sums of a few of them cannot wrap. */
#define USAGE_MAX ((UINT64_C(1) << 53) - 1)

struct usage {
    bool seen;
    uint64_t input, output;           /* tokens; input without what came from a cache */
    uint64_t cache_read, cache_write; /* tokens */
    char model[USAGE_MODEL + 1]; /* as the reply names it; "" when not seen or not plain text */
};
struct usage_rule;
/* At most 512 bytes, one per running stream; all but `total` is private. */
struct usage_reader {
    enum route_dialect dialect;
    struct usage total;
    bool stream;
    bool dead;        /* the rest of the present text is passed over */
    bool typed;       /* the present event has a type */
    uint8_t place[5]; /* by depth: what is open there */
    uint8_t found;    /* bit f: pending[f] */
    struct sse sse;
    const struct usage_rule *rule;                          /* of the present key */
    uint64_t figure[USAGE_FIGURES], pending[USAGE_FIGURES]; /* so far; of the present text */
    char model[USAGE_MODEL + 1];
    struct json_scan json;
};
void usage_begin(struct usage_reader *r, enum route_dialect dialect, bool event_stream);
/* True: `total` changed (maybe to and fro, when one call holds several events). */
bool usage_feed(struct usage_reader *r, struct view body);

#endif
