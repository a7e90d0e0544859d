/*
 * One table per dialect says which key in which place means what; everything else is passed over by the tokenizer without being looked at.
 * Figures wait in `pending` until the JSON text they stand in is whole: a text that turns out broken, or of another type, or cut short,
 * changes nothing. That also makes the outcome independent of how the bytes were cut.
 */
#include "proxy/usage.h"

#include "base/auto.h"

#include <string.h>

_Static_assert(sizeof(struct usage_reader) <= 512, "one per running stream");

/* Where a key stands. An event of a stream begins in EVENT, any other text in REPLY. */
enum { EVENT = 1, REPLY = 2, USAGE = 4, DETAILS = 8, LIST = 16 };
enum meaning { TYPE, MODEL, OPEN, FIGURE };
enum figure { INPUT, OUTPUT, THOUGHTS, TOOL_INPUT, CACHE_READ, CACHE_WRITE };
_Static_assert(CACHE_WRITE + 1 == USAGE_FIGURES, "room in the reader");

struct usage_rule {
    uint8_t in; /* places */
    uint8_t meaning;
    uint8_t arg; /* OPEN: the place it is; FIGURE: which */
    const char *key;
};

/* https://docs.anthropic.com/en/api/messages-streaming */
static const struct usage_rule anthropic[] = {
    {EVENT, TYPE, 0, "type"},
    {EVENT, OPEN, REPLY, "message"},
    {EVENT | REPLY, OPEN, USAGE, "usage"},
    {REPLY, MODEL, 0, "model"},
    {USAGE, FIGURE, INPUT, "input_tokens"},
    {USAGE, FIGURE, OUTPUT, "output_tokens"},
    {USAGE, FIGURE, CACHE_READ, "cache_read_input_tokens"},
    {USAGE, FIGURE, CACHE_WRITE, "cache_creation_input_tokens"},
    {0, 0, 0, NULL},
};
/* https://platform.openai.com/docs/api-reference: chat/streaming, responses-streaming. A chunk of a chat has no type. */
static const struct usage_rule openai[] = {
    {EVENT, TYPE, 0, "type"},
    {EVENT, OPEN, REPLY, "response"},
    {EVENT | REPLY, OPEN, USAGE, "usage"},
    {EVENT | REPLY, MODEL, 0, "model"},
    {USAGE, FIGURE, INPUT, "input_tokens"},
    {USAGE, FIGURE, OUTPUT, "output_tokens"},
    {USAGE, FIGURE, INPUT, "prompt_tokens"},
    {USAGE, FIGURE, OUTPUT, "completion_tokens"},
    {USAGE, OPEN, DETAILS, "input_tokens_details"},
    {USAGE, OPEN, DETAILS, "prompt_tokens_details"},
    {DETAILS, FIGURE, CACHE_READ, "cached_tokens"},
    {0, 0, 0, NULL},
};
/* https://ai.google.dev/api/generate-content#UsageMetadata */
static const struct usage_rule gemini[] = {
    {EVENT | REPLY, OPEN, USAGE, "usageMetadata"},
    {EVENT | REPLY, MODEL, 0, "modelVersion"},
    {USAGE, FIGURE, INPUT, "promptTokenCount"},
    {USAGE, FIGURE, OUTPUT, "candidatesTokenCount"},
    {USAGE, FIGURE, THOUGHTS, "thoughtsTokenCount"},
    {USAGE, FIGURE, TOOL_INPUT, "toolUsePromptTokenCount"},
    {USAGE, FIGURE, CACHE_READ, "cachedContentTokenCount"},
    {0, 0, 0, NULL},
};

static const struct dialect {
    const struct usage_rule *rules; /* NULL: it has no usage */
    const char *type[4];            /* of events that may hold usage or a model */
    bool type_needed;
    bool list; /* a reply may be a list of texts */
    bool input_holds_cached;
} dialects[ROUTE_DIALECTS] = {
    [ROUTE_ANTHROPIC] = {anthropic, {"message_start", "message_delta"}, .type_needed = true},
    [ROUTE_OPENAI] = {openai,
                      {"response.created", "response.completed", "response.incomplete",
                       "response.failed"},
                      .input_holds_cached = true},
    [ROUTE_GEMINI] = {gemini, {NULL}, .list = true, .input_holds_cached = true},
};

static const struct dialect *dialect_of(const struct usage_reader *r)
{
    return &dialects[r->dialect];
}

/* A new text: what the last one left open is dropped with it. */
static void begin_text(struct usage_reader *r)
{
    r->json = (struct json_scan){0};
    r->dead = !dialect_of(r)->rules;
    r->typed = false;
    r->found = 0;
    r->model[0] = '\0';
    r->rule = NULL;
}

void usage_begin(struct usage_reader *r, enum route_dialect dialect, bool event_stream)
{
    *r = (struct usage_reader){.dialect = dialect < ROUTE_DIALECTS ? dialect : ROUTE_PLAIN,
                               .stream = event_stream};
    begin_text(r);
}

static uint64_t set(uint64_t *to, uint64_t value)
{
    uint64_t changed = *to ^ value;
    *to = value;
    return changed;
}

static bool commit_figures(struct usage_reader *r)
{
    struct usage *t = &r->total;
    const uint64_t *f = r->figure;
    for (unsigned i = 0; i < USAGE_FIGURES; i++)
        if (r->found >> i & 1)
            r->figure[i] = r->pending[i];
    uint64_t cached = dialect_of(r)->input_holds_cached ? f[CACHE_READ] : 0;
    uint64_t input = f[INPUT] - (cached < f[INPUT] ? cached : f[INPUT]) + f[TOOL_INPUT];
    uint64_t output = f[OUTPUT] + f[THOUGHTS];
    uint64_t changed = set(&t->input, input < USAGE_MAX ? input : USAGE_MAX) |
                       set(&t->output, output < USAGE_MAX ? output : USAGE_MAX) |
                       set(&t->cache_read, f[CACHE_READ]) | set(&t->cache_write, f[CACHE_WRITE]);
    bool first = !t->seen;
    t->seen = true;
    return first || changed != 0;
}

/* The present text is whole: what it said is so. */
static bool commit(struct usage_reader *r)
{
    bool changed = false;
    bool counts = !r->stream || r->typed || !dialect_of(r)->type_needed;
    if (counts && r->found)
        changed = commit_figures(r);
    if (counts && r->model[0] && strcmp(r->model, r->total.model) != 0) {
        memcpy(r->total.model, r->model, sizeof(r->model));
        changed = true;
    }
    r->found = 0;
    r->model[0] = '\0';
    return changed;
}

static const struct usage_rule *rule_of(const struct usage_reader *r)
{
    struct view key = json_scan_text(&r->json);
    for (const struct usage_rule *u = dialect_of(r)->rules; u->key; u++)
        if ((u->in & r->place[r->json.depth]) && view_is(key, u->key))
            return u; /* whole: a key that was cut is longer than any of these */
    return NULL;
}

static void on_key(struct usage_reader *r)
{
    r->rule = rule_of(r);
    r->json.keep = r->rule && (r->rule->meaning == TYPE || r->rule->meaning == MODEL);
}

/* What opens at the outermost level, or in a list there; 0: nothing that is known. */
static uint8_t outer_place(const struct usage_reader *r, bool object)
{
    bool first = r->json.depth == 1, in_list = !first && r->place[r->json.depth - 1] == LIST;
    if (object)
        return first || in_list ? (r->stream ? EVENT : REPLY) : 0;
    return first && !r->stream && dialect_of(r)->list ? LIST : 0;
}

static void on_open(struct usage_reader *r, bool object)
{
    uint8_t place = outer_place(r, object);
    if (!place && object && r->rule && r->rule->meaning == OPEN)
        place = r->rule->arg;
    r->rule = NULL;
    if (place && r->json.depth < COUNT(r->place))
        r->place[r->json.depth] = place;
    else if (r->json.depth == 1)
        r->dead = true;
    else
        json_scan_skip(&r->json);
    if (place == USAGE)
        r->found = 0; /* a second one replaces the first */
}

static bool on_close(struct usage_reader *r)
{
    unsigned d = r->json.depth;
    bool whole = d == 0 || (d == 1 && r->place[1] == LIST);
    r->rule = NULL;
    return whole && commit(r);
}

static void on_type(struct usage_reader *r)
{
    struct view type = json_scan_text(&r->json);
    const char *const *known = dialect_of(r)->type;
    bool good = false;
    for (unsigned i = 0; i < COUNT(dialects[0].type) && known[i]; i++)
        good = good || view_is(type, known[i]);
    r->typed = true;
    r->dead = !good; /* for the rest of the event: it has no usage */
}

static void on_string(struct usage_reader *r)
{
    struct view text = json_scan_text(&r->json);
    if (r->rule && r->rule->meaning == TYPE)
        on_type(r);
    if (r->rule && r->rule->meaning == MODEL && json_scan_plain(&r->json) && text.n <= USAGE_MODEL)
        (void)view_copy(text, r->model, sizeof(r->model));
    r->rule = NULL;
}

/* A JSON integer that is not negative; larger than USAGE_MAX is USAGE_MAX. */
static bool whole_number(struct view text, uint64_t *out)
{
    uint64_t v = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        v = v * 10 + (uint64_t)(text.p[i] - '0');
        v = v < USAGE_MAX ? v : USAGE_MAX;
    }
    *out = v;
    return true;
}

static void on_number(struct usage_reader *r)
{
    uint64_t v = 0;
    const struct usage_rule *u = r->rule;
    if (u && u->meaning == FIGURE && json_scan_whole(&r->json) &&
        whole_number(json_scan_text(&r->json), &v)) {
        r->pending[u->arg] = v;
        r->found = (uint8_t)(r->found | 1U << u->arg);
    }
    r->rule = NULL;
}

static bool on_token(struct usage_reader *r, enum json_scan_token t)
{
    switch (t) {
    case JSON_SCAN_KEY:
        on_key(r);
        return false;
    case JSON_SCAN_OBJECT:
    case JSON_SCAN_ARRAY:
        on_open(r, t == JSON_SCAN_OBJECT);
        return false;
    case JSON_SCAN_CLOSE:
        return on_close(r);
    case JSON_SCAN_STRING:
        on_string(r);
        return false;
    case JSON_SCAN_NUMBER:
        on_number(r);
        return false;
    case JSON_SCAN_WORD:
        r->rule = NULL;
        return false;
    default:
        r->dead = r->dead || t == JSON_SCAN_BAD;
        return false;
    }
}

static bool feed_text(struct usage_reader *r, struct view in)
{
    bool changed = false;
    while (in.n && !r->dead)
        changed = on_token(r, json_scan_next(&r->json, &in)) || changed;
    return changed;
}

bool usage_feed(struct usage_reader *r, struct view body)
{
    struct view piece;
    bool changed = false;
    if (!dialect_of(r)->rules)
        return false;
    if (!r->stream)
        return feed_text(r, body);
    for (enum sse_piece p; (p = sse_next(&r->sse, &body, &piece)) != SSE_MORE;) {
        if (p == SSE_DATA)
            changed = feed_text(r, piece) || changed;
        else
            begin_text(r);
    }
    return changed;
}
