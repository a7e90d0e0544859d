/*
 * The text is cut at the value's borders and put together again: nothing is printed anew, so what a program wrote beside its login survives byte
 * by byte, and in its order.
 */
#include "cli/json_edit.h"

#include "base/auto.h"
#include "client/json.h"

static struct view as_view(struct json_slice s)
{
    return VIEW(s.p, s.n);
}

static bool is_object(struct json_slice s)
{
    return s.p && s.n > 1 && s.p[0] == '{';
}

/* The object that a member stands in. */
static bool find_object(struct view text, const char *object, struct json_slice *out)
{
    struct json_slice whole;
    if (!json_value((const char *)text.p, text.n, &whole) || !is_object(whole))
        return false;
    *out = whole;
    return !object || (json_member(whole, object, out) && is_object(*out));
}

bool json_edit_find(struct view text, const char *object, const char *key, struct view *out)
{
    struct json_slice in, value;
    if (!find_object(text, object, &in) || !json_member(in, key, &value))
        return false;
    *out = as_view(value);
    return true;
}

/* Puts `middle` in the place of the n bytes at `at`. */
static MUST err_t splice(struct buf *text, size_t at, size_t n, const struct buf *middle,
                         struct why *why)
{
    AUTO(buf_free) struct buf out = {.max = text->max};
    buf_add(&out, text->p, at);
    buf_add_view(&out, buf_view(middle));
    buf_add(&out, text->p + at + n, text->len - at - n);
    TRY(buf_ok(middle, why));
    TRY(buf_ok(&out, why));
    buf_free(text);
    *text = out;
    out = (struct buf){0};
    return ERR_OK;
}

/* As the first member of the object. */
static MUST err_t insert(struct buf *text, struct json_slice in, const char *key, struct view raw,
                         struct why *why)
{
    AUTO(buf_free) struct buf member = {.max = text->max};
    size_t at = (size_t)((const uint8_t *)in.p - text->p) + 1;
    size_t next = at;
    while (next < text->len && (text->p[next] == ' ' || text->p[next] == '\n' ||
                                text->p[next] == '\r' || text->p[next] == '\t'))
        next++;
    bool empty = next < text->len && text->p[next] == '}';
    buf_add_fmt(&member, "\"%s\":", key);
    buf_add_view(&member, raw);
    buf_add_str(&member, empty ? "" : ",");
    return splice(text, at, 0, &member, why);
}

err_t json_edit_set(struct buf *text, const char *object, const char *key, struct view raw,
                    struct why *why)
{
    AUTO(buf_free) struct buf value = {.max = text->max};
    struct json_slice in, found;
    struct view there;
    if (text->len == 0)
        buf_add_str(text, "{}");
    if (object && !find_object(buf_view(text), object, &in)) {
        if (json_edit_find(buf_view(text), NULL, object, &there) && !view_is(there, "null"))
            return fail(why, ERR_INVALID, "\"%s\" is no object", object);
        TRY(json_edit_set(text, NULL, object, view_str("{}"), why));
    }
    if (!find_object(buf_view(text), object, &in))
        return fail(why, ERR_INVALID, "the file is not a JSON object");
    if (!json_member(in, key, &found)) {
        TRY(insert(text, in, key, raw, why));
        return json_edit_find(buf_view(text), object, key, &there) /* else it was there twice */
                   ? ERR_OK
                   : fail(why, ERR_INVALID, "\"%s\" stands in the file twice", key);
    }
    buf_add_view(&value, raw);
    return splice(text, (size_t)((const uint8_t *)found.p - text->p), found.n, &value, why);
}
