/*
 * Encodes parameters. A name is one of our own words; a value may be anything that is text.
 */
#include "oauth/form.h"

#include "base/auto.h"
#include "base/jsonw.h"
#include "base/msg.h"

static bool unreserved(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

static void put_escaped(struct buf *out, struct view v)
{
    for (size_t i = 0; i < v.n; i++) {
        if (unreserved(v.p[i]))
            buf_put_u8(out, v.p[i]);
        else
            buf_add_fmt(out, "%%%02X", v.p[i]);
    }
}

static err_t put_form(struct cursor *pairs, struct buf *out, struct why *why)
{
    struct view name, value;
    for (bool first = true; msg_list_next(pairs, &name); first = false) {
        if (!msg_list_next(pairs, &value))
            return fail(why, ERR_INVALID, "a parameter without a value");
        if (!first)
            buf_put_u8(out, '&');
        put_escaped(out, name);
        buf_put_u8(out, '=');
        put_escaped(out, value);
    }
    return ERR_OK;
}

static err_t put_json(struct cursor *pairs, struct buf *out, struct why *why)
{
    struct view name, value;
    char key[65];
    struct jsonw w = jsonw_to(out);
    jsonw_open(&w, NULL, '{');
    while (msg_list_next(pairs, &name)) {
        if (!msg_list_next(pairs, &value))
            return fail(why, ERR_INVALID, "a parameter without a value");
        if (!view_copy(name, key, sizeof(key)) || jsonw_plain(name) != name.n)
            return fail(why, ERR_INVALID, "a parameter's name is no word");
        jsonw_view(&w, key, value);
    }
    jsonw_close(&w, '}');
    return ERR_OK;
}

err_t form_body(struct view pairs, bool form, struct buf *out, struct why *why)
{
    struct cursor c = cursor_of(pairs);
    TRY(form ? put_form(&c, out, why) : put_json(&c, out, why));
    return buf_ok(out, why);
}
