/*
 * The scanner of ACP messages against jansson: in any pieces it tells the same; of what is JSON it tells what a reader of the whole
 * would find.
 */
#include "fuzz/hold.h"

#include "exec/acp_scan.h"

#include <jansson.h>
#include <stdbool.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static bool same(const struct acp_scan *a, const struct acp_scan *b)
{
    return a->kind == b->kind && strcmp(a->method, b->method) == 0 && strcmp(a->id, b->id) == 0;
}

static void same_in_pieces(const char *text, size_t n, const struct acp_scan *whole)
{
    struct acp_scan bytes = {0}, halves = {0};
    for (size_t i = 0; i < n; i++)
        acp_scan_feed(&bytes, text + i, 1);
    acp_scan_feed(&halves, text, n / 2);
    acp_scan_feed(&halves, text + n / 2, n - n / 2);
    HOLD(same(&bytes, whole) && same(&halves, whole));
}

/* The value whose text the scanner kept. */
static void is_the_id(const json_t *id, const char *kept)
{
    json_error_t error;
    json_t *read = json_loads(kept, JSON_DECODE_ANY, &error);
    HOLD(!read || json_equal(read, id));
    json_decref(read);
}

static void tells_the_truth(const json_t *object, const struct acp_scan *s)
{
    const json_t *method = json_object_get(object, "method"), *id = json_object_get(object, "id");
    if (s->kind == ACP_CALL && s->method[0])
        HOLD(json_is_string(method) && strcmp(json_string_value(method), s->method) == 0);
    if (s->kind == ACP_RESULT)
        HOLD(json_object_get(object, "result") && id);
    if (s->kind == ACP_ERROR)
        HOLD(json_object_get(object, "error") && id);
    if ((s->kind == ACP_RESULT || s->kind == ACP_ERROR) && s->id[0])
        is_the_id(id, s->id);
}

static void misses_nothing(const json_t *object, const struct acp_scan *s)
{
    bool call = json_is_string(json_object_get(object, "method")), id = json_object_get(object, "id"),
         result = json_object_get(object, "result"), error = json_object_get(object, "error");
    if (call && !result && !error)
        HOLD(s->kind == ACP_CALL);
    if (!json_object_get(object, "method") && id && (result || error))
        HOLD(s->kind == ACP_RESULT || s->kind == ACP_ERROR);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const char *text = (const char *)data;
    struct acp_scan s = {0};
    json_error_t error;
    if (memchr(text, '\n', n) || memchr(text, '\0', n)) /* the end of a line; jansson takes a NUL for an end */
        return 0;
    acp_scan_feed(&s, text, n);
    HOLD(strlen(s.method) < ACP_METHOD_ROOM && strlen(s.id) < ACP_ID_ROOM);
    same_in_pieces(text, n, &s);
    json_t *tree = json_loadb(text, n, JSON_REJECT_DUPLICATES, &error);
    if (json_is_object(tree)) {
        tells_the_truth(tree, &s);
        if (!memchr(text, '\\', n)) /* names that are written with escapes are no names here */
            misses_nothing(tree, &s);
    }
    json_decref(tree);
    return 0;
}
