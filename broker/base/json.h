/*
 * Strict JSON for the roles that read it (api, cli, providers' parse): jansson with duplicate keys refused, a size and a
 * depth cap checked before jansson sees a byte, trailing bytes refused, and allocators that wipe. Never used in the vault.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/buf.h"
#include <jansson.h>

enum { JSON_MAX_DEPTH = 32, JSON_MAX_BYTES = 1 << 20 };

/* Once per process, before any jansson call: malloc/free that wipe (jansson leaves up to 7 copies of a secret). */
void json_wiping_allocators(void);
/* A value of any type; the caller json_decref()s. ERR_INVALID says line, column and what is wrong there, and never quotes
 * the text; ERR_TOO_LARGE over JSON_MAX_BYTES. */
MUST err_t json_parse(struct view text, json_t **out, struct why *why);
/* "an object", "a string", "null" …; "nothing" for NULL: for sentences. */
const char *json_kind(const json_t *v);
/* Strings only; *out views into the tree. `required`: ERR_INVALID when missing; else an empty view. null counts as missing.
 * A string of over `max` bytes or with a NUL is ERR_INVALID. */
MUST err_t json_get_str(const json_t *obj, const char *key, size_t max, bool required,
                        struct view *out, struct why *why);
/* Integers in [min, max] only (1.0 is none); missing or null: ERR_OK and *out untouched. */
MUST err_t json_get_int(const json_t *obj, const char *key, int64_t min, int64_t max, int64_t *out,
                        struct why *why);
/* ERR_INVALID naming the first key of `obj` that is not in `known` (NULL-terminated). */
MUST err_t json_only_keys(const json_t *obj, const char *const known[], struct why *why);

static inline void auto_json(json_t **j)
{
    json_decref(*j);
}

#endif
