/*
 * Changing one member of a JSON text: what was JSON is JSON, with that member as it was set and everything else as jansson reads it before.
 * First byte: at the top, or in an object.
 */
#include "fuzz/hold.h"

#include "base/auto.h"
#include "cli/json_edit.h"

#include <jansson.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static json_t *read_text(struct view v)
{
    return json_loadb((const char *)v.p, v.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
}

/* The same change to the tree. NULL: it is not to be made. */
static json_t *changed(json_t *v, const char *object)
{
    json_t *in = object ? json_object_get(v, object) : v;
    if (object && (!in || json_is_null(in))) {
        (void)json_object_set_new(v, object, json_object());
        in = json_object_get(v, object);
    }
    if (!json_is_object(in) || json_object_set_new(in, "k", json_string("new")) != 0)
        return NULL;
    return v;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    AUTO(buf_free) struct buf text = {.max = 1 << 16};
    struct why why = {0};
    struct view found;
    if (n == 0)
        return 0;
    const char *object = data[0] & 1 ? "o" : NULL;
    struct view in = VIEW(data + 1, n - 1);
    buf_add_view(&text, in);
    err_t e = json_edit_set(&text, object, "k", view_str("\"new\""), &why);
    if (e != ERR_OK) {
        HOLD(why.text[0]);
        return 0;
    }
    HOLD(json_edit_find(buf_view(&text), object, "k", &found) && view_is(found, "\"new\""));
    json_t *before = in.n ? read_text(in) : json_object();
    json_t *after = read_text(buf_view(&text));
    if (before && after && changed(before, object))
        HOLD(json_equal(before, after));
    HOLD(!before || after); /* what was JSON is JSON */
    json_decref(before);
    json_decref(after);
    return 0;
}
