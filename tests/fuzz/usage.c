/*
 * The use of a reply: the same however its bytes are cut, never over its bound, and, of one JSON text, what jansson says.
 * First byte: dialect and whether it is an event stream; second: how the second reading is cut.
 */
#include "fuzz/hold.h"

#include "base/auto.h"
#include "proxy/usage.h"

#include <jansson.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static bool same(const struct usage *a, const struct usage *b)
{
    return a->seen == b->seen && a->input == b->input && a->output == b->output &&
           a->cache_read == b->cache_read && a->cache_write == b->cache_write &&
           strcmp(a->model, b->model) == 0;
}

static struct usage read_in(uint8_t kind, struct view in, unsigned seed, size_t most)
{
    struct usage_reader r;
    usage_begin(&r, kind % ROUTE_DIALECTS, kind & 0x80);
    for (size_t at = 0, step; at < in.n; at += step) {
        seed = seed * 1664525 + 1013904223;
        step = most == SIZE_MAX ? in.n : 1 + (seed >> 16) % most;
        step = step < in.n - at ? step : in.n - at;
        struct usage before = r.total;
        bool changed = usage_feed(&r, VIEW(in.p + at, step));
        HOLD(changed || same(&before, &r.total)); /* there and back in one call is a change too */
    }
    return r.total;
}

static uint64_t figure(const json_t *usage, const char *key)
{
    const json_t *v = json_object_get(usage, key);
    int64_t i = json_is_integer(v) ? json_integer_value(v) : 0;
    i = i > 0 ? i : 0;
    return (uint64_t)i < USAGE_MAX ? (uint64_t)i : USAGE_MAX;
}

/* Not deeper than we go; and without NUL, which jansson 2.14 passes over behind a number. */
static bool comparable(struct view in)
{
    size_t open = 0;
    if (in.n && memchr(in.p, 0, in.n))
        return false;
    for (size_t i = 0; i < in.n; i++)
        open += in.p[i] == '[' || in.p[i] == '{';
    return open <= JSON_SCAN_DEPTH;
}

/* Of Anthropic's form, where no two keys mean the same. */
static void agree(struct view in, const struct usage *u)
{
    json_t *v = json_loadb((const char *)in.p, in.n, JSON_REJECT_DUPLICATES, NULL);
    const json_t *usage = json_object_get(v, "usage");
    if (v && comparable(in)) {
        HOLD(u->input == figure(usage, "input_tokens"));
        HOLD(u->output == figure(usage, "output_tokens"));
        HOLD(u->cache_read == figure(usage, "cache_read_input_tokens"));
        HOLD(u->cache_write == figure(usage, "cache_creation_input_tokens"));
        const char *model = json_string_value(json_object_get(v, "model"));
        HOLD(!u->model[0] || (model && strcmp(model, u->model) == 0));
    }
    json_decref(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 2)
        return 0;
    struct view in = VIEW(data + 2, n - 2);
    struct usage whole = read_in(data[0], in, 0, SIZE_MAX);
    struct usage pieces = read_in(data[0], in, data[1], 1 + data[1] % 64);
    HOLD(same(&whole, &pieces));
    HOLD(whole.input <= USAGE_MAX && whole.output <= USAGE_MAX && whole.cache_read <= USAGE_MAX &&
         whole.cache_write <= USAGE_MAX);
    for (const char *c = whole.model; *c; c++)
        HOLD(*c >= 0x20 && *c < 0x7f);
    HOLD(whole.seen || (whole.input | whole.output | whole.cache_read | whole.cache_write) == 0);
    if (data[0] % ROUTE_DIALECTS == ROUTE_ANTHROPIC && !(data[0] & 0x80))
        agree(in, &whole);
    return 0;
}
