/*
 * The first pass over a YAML text, by libyaml's events: a loop with a small fixed stack, so neither depth nor size of the input
 * costs more than its length. libcyaml then meets only text that is flat enough, has one document and no aliases (which
 * multiply), no tags and no NUL (which would cut a C string short: "gateway\0x" must not become "gateway").
 * The same pass finds the line of a value again when it turns out to be wrong later: errors are rare, a map of lines is not kept.
 */
#include "base/config_yaml.h"

#include "base/auto.h"

#include <stdio.h>
#include <string.h>
#include <yaml.h>

enum { DEPTH_MAX = 8, PATH_MAX_LEN = 512, KEY_MAX_LEN = 64 };

struct level {
    bool map, at_value; /* at_value: the key of the next value is in the path */
    unsigned index;
    size_t path_len; /* of the path to this level itself */
};
struct scan {
    yaml_parser_t parser;
    const char *label;
    struct level level[DEPTH_MAX];
    unsigned depth, documents, values;
    char path[PATH_MAX_LEN];
    const char *wanted; /* NULL: only check */
    unsigned line, found;
    bool ended;
};

static void auto_scan(struct scan *s)
{
    yaml_parser_delete(&s->parser);
}

static void auto_event(yaml_event_t *e)
{
    yaml_event_delete(e);
}

/* ---- the path of the value that comes next: "consumers[2].grants[0].ttl" */

static void path_key(struct scan *s, struct level *l, const yaml_event_t *e)
{
    size_t at = l->path_len;
    int n = e->data.scalar.length > KEY_MAX_LEN ? KEY_MAX_LEN : (int)e->data.scalar.length;
    (void)snprintf(s->path + at, sizeof(s->path) - at, "%s%.*s", at ? "." : "", n,
                   (const char *)e->data.scalar.value);
}

static void path_index(struct scan *s, struct level *l)
{
    (void)snprintf(s->path + l->path_len, sizeof(s->path) - l->path_len, "[%u]", l->index++);
}

/* A node begins: a key (true), or a value. Keys and list entries are what has a line. */
static bool begins_key(struct scan *s, const yaml_event_t *e)
{
    struct level *l = s->depth > 0 ? &s->level[s->depth - 1] : NULL;
    bool is_key = l && l->map && !l->at_value;
    if (l && l->map)
        l->at_value = is_key;
    if (is_key && e->type == YAML_SCALAR_EVENT)
        path_key(s, l, e);
    else if (l && !l->map)
        path_index(s, l);
    if (l && (is_key || !l->map) && s->wanted && strcmp(s->path, s->wanted) == 0)
        s->found = s->line; /* of a key that is there twice, the last */
    return is_key;
}

/* ---- events */

static err_t refuse(const struct scan *s, const char *what, struct why *why)
{
    return fail(why, ERR_INVALID, "%s:%u: %s", s->label, s->line, what);
}

static err_t on_scalar(struct scan *s, const yaml_event_t *e, struct why *why)
{
    const uint8_t *p = e->data.scalar.value;
    if (e->data.scalar.anchor || e->data.scalar.tag)
        return refuse(s, "anchors and tags are not allowed", why);
    for (size_t i = 0; i < e->data.scalar.length; i++)
        if (p[i] < 0x20 || p[i] == 0x7f)
            return refuse(s, "a value has a control character or more than one line", why);
    s->values += e->data.scalar.length > 0 || e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    (void)begins_key(s, e);
    return ERR_OK;
}

static err_t on_start(struct scan *s, const yaml_event_t *e, struct why *why)
{
    bool map = e->type == YAML_MAPPING_START_EVENT;
    const void *anchor = map ? e->data.mapping_start.anchor : e->data.sequence_start.anchor;
    const void *tag = map ? e->data.mapping_start.tag : e->data.sequence_start.tag;
    if (anchor || tag)
        return refuse(s, "anchors and tags are not allowed", why);
    if (s->depth == DEPTH_MAX)
        return refuse(s, "nested deeper than anything that is known here", why);
    if (begins_key(s, e))
        return refuse(s, "a list or a mapping cannot be a key", why);
    s->values++;
    s->level[s->depth++] = (struct level){.map = map, .path_len = strlen(s->path)};
    return ERR_OK;
}

static err_t on_end(struct scan *s, const yaml_event_t *e, struct why *why)
{
    (void)e;
    (void)why;
    s->depth--;
    s->path[s->level[s->depth].path_len] = '\0';
    return ERR_OK;
}

static err_t on_document(struct scan *s, const yaml_event_t *e, struct why *why)
{
    (void)e;
    return ++s->documents > 1 ? refuse(s, "a second document (\"---\") is not allowed", why)
                              : ERR_OK;
}

static err_t on_alias(struct scan *s, const yaml_event_t *e, struct why *why)
{
    (void)e;
    return refuse(s, "aliases are not allowed", why);
}

static err_t on_stream_end(struct scan *s, const yaml_event_t *e, struct why *why)
{
    (void)e;
    (void)why;
    s->ended = true;
    return ERR_OK;
}

static err_t step(struct scan *s, struct why *why)
{
    static err_t (*const by_type[])(struct scan *, const yaml_event_t *, struct why *) = {
        [YAML_DOCUMENT_START_EVENT] = on_document, [YAML_ALIAS_EVENT] = on_alias,
        [YAML_SCALAR_EVENT] = on_scalar,           [YAML_SEQUENCE_START_EVENT] = on_start,
        [YAML_SEQUENCE_END_EVENT] = on_end,        [YAML_MAPPING_START_EVENT] = on_start,
        [YAML_MAPPING_END_EVENT] = on_end,         [YAML_STREAM_END_EVENT] = on_stream_end,
    };
    AUTO(auto_event) yaml_event_t e = {0};
    if (!yaml_parser_parse(&s->parser, &e)) {
        s->line = (unsigned)s->parser.problem_mark.line + 1;
        return refuse(s, s->parser.problem ? s->parser.problem : "not YAML", why);
    }
    s->line = (unsigned)e.start_mark.line + 1;
    if ((size_t)e.type >= COUNT(by_type) || !by_type[e.type])
        return ERR_OK;
    return by_type[e.type](s, &e, why);
}

static err_t scan_all(struct scan *s, struct view text, struct why *why)
{
    if (!yaml_parser_initialize(&s->parser))
        return fail(why, ERR_INTERNAL, "out of memory");
    yaml_parser_set_encoding(&s->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&s->parser, text.p ? text.p : (const uint8_t *)"", text.n);
    while (!s->ended)
        TRY(step(s, why));
    return ERR_OK;
}

err_t config_scan(struct view text, const char *label, bool *empty, struct why *why)
{
    AUTO(auto_scan) struct scan s = {.label = label, .line = 1};
    if (text.n > CONFIG_MAX_BYTES)
        return fail(why, ERR_TOO_LARGE, "%s is larger than %d bytes", label, CONFIG_MAX_BYTES);
    TRY(scan_all(&s, text, why));
    *empty = s.values == 0;
    return ERR_OK;
}

unsigned config_scan_line(struct view text, const char *path)
{
    AUTO(auto_scan) struct scan s = {.label = "", .wanted = path};
    struct why why = {0};
    return scan_all(&s, text, &why) == ERR_OK ? s.found : 0;
}
