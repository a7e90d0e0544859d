/*
 * Strict JSON: what is taken is within the caps, comes back the same from its own printing, and has
 * no key twice.
 */
#include "fuzz/login.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int append(const char *p, size_t n, void *out)
{
    buf_add(out, p, n);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    AUTO(auto_json) json_t *v = NULL, *again = NULL;
    AUTO(buf_free) struct buf text = {.max = 8 * JSON_MAX_BYTES};
    struct why why = {0};
    struct view s;
    int64_t i = 0;
    static const char *const known[] = {"a", NULL};
    if (json_parse(VIEW(data, n), &v, &why) != ERR_OK) {
        MUST_HOLD(!v && why.text[0]);
        return 0;
    }
    MUST_HOLD(json_dump_callback(v, append, &text, JSON_COMPACT | JSON_ENCODE_ANY) == 0);
    MUST_HOLD(json_parse(buf_view(&text), &again, NULL) == ERR_OK && json_equal(v, again));
    if (json_get_str(v, "a", 8, true, &s, NULL) == ERR_OK)
        MUST_HOLD(s.n <= 8 && (s.n == 0 || !memchr(s.p, 0, s.n)));
    if (json_get_int(v, "a", -5, 5, &i, NULL) == ERR_OK)
        MUST_HOLD(i >= -5 && i <= 5);
    if (json_only_keys(v, known, NULL) == ERR_OK)
        MUST_HOLD(json_object_size(v) <= 1);
    return 0;
}
