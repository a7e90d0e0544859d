/*
 * The client's JSON reader against jansson: both take the same texts and read the same strings and
 * integers out of them. Ours is stricter in nesting only, jansson's in the range of numbers. What
 * is quoted reads back.
 */
#include "fuzz/hold.h"

#include "client/json.h"

#include <broker/client.h>
#include <jansson.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void same_members(const json_t *tree, const char *text, size_t n)
{
    char out[256];
    int64_t i = 0;
    const json_t *a = json_object_get(tree, "a");
    const char *s = json_string_value(a);
    bool got = broker_json_str(text, n, "a", out, sizeof(out));
    HOLD(got == (s && strlen(s) < sizeof(out)));
    HOLD(!got || strcmp(out, s) == 0);
    got = broker_json_int(text, n, "a", &i);
    HOLD(got == json_is_integer(a));
    HOLD(!got || i == json_integer_value(a));
}

static void same_items(const json_t *tree, struct json_slice list)
{
    struct json_slice item;
    size_t at = 0, count = 0;
    while (json_item(list, &at, &item)) {
        struct json_slice again;
        HOLD(json_value(item.p, item.n, &again) && again.n == item.n);
        count++;
    }
    HOLD(count == json_array_size(tree));
}

static void quote_reads_back(const char *text)
{
    char json[1100] = "{\"k\":", out[200];
    if (strlen(text) >= sizeof(out) || !broker_json_quote(text, json + 5, sizeof(json) - 6))
        return;
    strcat(json, "}");
    HOLD(broker_json_str(json, strlen(json), "k", out, sizeof(out)) && strcmp(out, text) == 0);
}

static size_t brackets(const char *text, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += text[i] == '[' || text[i] == '{';
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct json_slice v;
    json_error_t error;
    const char *text = (const char *)data;
    char *copy = strndup(text, n);
    bool ours = json_value(text, n, &v);
    json_t *tree = json_loadb(text, n, JSON_DECODE_ANY, &error);
    if (ours)
        HOLD(tree || json_error_code(&error) == json_error_numeric_overflow);
    else /* jansson 2.14 takes a NUL behind the value for the end of the text */
        HOLD(!tree || brackets(text, n) > JSON_DEPTH || memchr(text, '\0', n));
    json_decref(tree);
    tree = json_loadb(text, n, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
    if (ours && json_is_object(tree))
        same_members(tree, text, n);
    if (ours && json_is_array(tree))
        same_items(tree, v);
    json_decref(tree);
    if (copy)
        quote_reads_back(copy);
    free(copy);
    return 0;
}
