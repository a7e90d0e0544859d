/*
 * The two spellings of a token request. Both readers find name and value and hand them to take(), the one place that decides what is kept;
 * whatever is not asked for is checked and passed over. The grammar of JSON is json_scan.c's: here only values are cut out, and one with a
 * backslash is refused, because no token and no grant type has one.
 */
#include "proxy/token_body.h"

#include "base/auto.h"
#include "proxy/json_scan.h"

#include <broker/secret.h>
#include <string.h>
#include <strings.h>

struct reading {
    struct token_body *out;
    const char *member;
    unsigned members;
};

static bool visible(struct view v)
{
    for (size_t i = 0; i < v.n; i++)
        if (v.p[i] <= ' ' || v.p[i] > '~')
            return false;
    return v.n > 0;
}

static MUST err_t take_grant(struct reading *r, struct view value, struct why *why)
{
    if (r->out->grant_type[0])
        return fail(why, ERR_INVALID, "grant_type comes twice");
    if (!visible(value) || !view_copy(value, r->out->grant_type, sizeof(r->out->grant_type)))
        return fail(why, ERR_INVALID, "grant_type is none that is known here");
    return ERR_OK;
}

static MUST err_t take_token(struct reading *r, struct view value, struct why *why)
{
    if (r->out->token_len)
        return fail(why, ERR_INVALID, "%s comes twice", r->member);
    if (!value.p || !visible(value) || value.n > sizeof(r->out->token))
        return fail(why, ERR_INVALID, "%s is no token of the broker", r->member);
    memcpy(r->out->token, value.p, value.n);
    r->out->token_len = value.n;
    return ERR_OK;
}

static bool is_wanted(const struct reading *r, struct view name)
{
    return view_is(name, "grant_type") || view_is(name, r->member);
}

static MUST err_t take(struct reading *r, struct view name, struct view value, struct why *why)
{
    if (++r->members > TOKEN_BODY_MEMBERS)
        return fail(why, ERR_INVALID, "the body has over %d members", TOKEN_BODY_MEMBERS);
    if (view_is(name, "grant_type"))
        return take_grant(r, value, why);
    return view_is(name, r->member) ? take_token(r, value, why) : ERR_OK;
}

/* ---- JSON (RFC 8259) */

static MUST err_t no_object(struct why *why)
{
    return fail(why, ERR_INVALID, "the body is not one flat JSON object");
}

/* What stands between the quotes of a string that was just passed; `span` begins behind what came before it. */
static struct view inside_quotes(struct view span)
{
    const uint8_t *quote = span.n ? memchr(span.p, '"', span.n) : NULL;
    size_t before = quote ? (size_t)(quote - span.p) + 1 : 0;
    return quote && span.n > before ? VIEW(quote + 1, span.n - before - 1) : VIEW(NULL, 0);
}

static MUST err_t take_string(struct reading *r, struct view name, struct view span,
                              struct why *why)
{
    struct view value = inside_quotes(span);
    if (is_wanted(r, name) && value.n && memchr(value.p, '\\', value.n))
        return fail(why, ERR_INVALID, "a token or grant type has an escape");
    return take(r, name, value, why);
}

/* One member's value, whose name is read. */
static MUST err_t json_value(struct reading *r, struct json_scan *j, struct view *in,
                             struct why *why)
{
    char name[JSON_SCAN_TEXT + 1];
    if (!json_scan_whole(j) || !view_copy(json_scan_text(j), name, sizeof(name)))
        name[0] = '\0'; /* too long for one of ours */
    const uint8_t *from = in->p;
    enum json_scan_token t = json_scan_next(j, in);
    if (t == JSON_SCAN_STRING)
        return take_string(r, view_str(name), VIEW(from, (size_t)(in->p - from)), why);
    if (t == JSON_SCAN_NUMBER || t == JSON_SCAN_WORD)
        return take(r, view_str(name), VIEW(NULL, 0), why);
    return no_object(why);
}

static MUST err_t read_json(struct reading *r, struct view in, struct why *why)
{
    struct json_scan j = {0};
    enum json_scan_token t = json_scan_next(&j, &in);
    if (t != JSON_SCAN_OBJECT)
        return no_object(why);
    while ((t = json_scan_next(&j, &in)) == JSON_SCAN_KEY)
        TRY(json_value(r, &j, &in, why));
    if (t != JSON_SCAN_CLOSE || json_scan_next(&j, &in) != JSON_SCAN_MORE || !json_scan_done(&j))
        return no_object(why);
    return ERR_OK;
}

/* ---- application/x-www-form-urlencoded (WHATWG URL, section 5.1) */

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes into `room`, which has space for all of it. False: malformed. */
static bool decode(struct view text, uint8_t *room, struct view *out)
{
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = text.p[i];
        if (c == '%') {
            int high = i + 2 < text.n ? hex_value(text.p[i + 1]) : -1;
            int low = i + 2 < text.n ? hex_value(text.p[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            c = (uint8_t)(high << 4 | low);
            i += 2;
        } else if (c == '+') {
            c = ' ';
        } else if (c <= ' ' || c > '~') {
            return false;
        }
        room[n++] = c;
    }
    *out = VIEW(room, n);
    return true;
}

static MUST err_t form_pair(struct reading *r, struct view pair, uint8_t *room, struct why *why)
{
    const uint8_t *eq = pair.n ? memchr(pair.p, '=', pair.n) : NULL;
    struct view name, value;
    if (!eq)
        return fail(why, ERR_INVALID, "the form has a pair without a value");
    size_t n = (size_t)(eq - pair.p);
    if (!decode(VIEW(pair.p, n), room, &name) ||
        !decode(VIEW(eq + 1, pair.n - n - 1), room + n, &value))
        return fail(why, ERR_INVALID, "the form is malformed");
    return take(r, name, value, why);
}

static MUST err_t read_form(struct reading *r, struct view in, struct why *why)
{
    uint8_t room[TOKEN_BODY_MAX];
    err_t e = ERR_OK;
    for (bool more = true; more && e == ERR_OK;) {
        const uint8_t *amp = in.n ? memchr(in.p, '&', in.n) : NULL;
        struct view pair = VIEW(in.p, amp ? (size_t)(amp - in.p) : in.n);
        e = form_pair(r, pair, room, why);
        more = amp != NULL;
        in = more ? VIEW(amp + 1, in.n - pair.n - 1) : in;
    }
    wipe(room, sizeof(room));
    return e;
}

/* ---- both */

enum token_body_type token_body_type(struct view content_type)
{
    static const struct {
        const char *name;
        enum token_body_type type;
    } types[] = {{"application/json", TOKEN_BODY_JSON},
                 {"application/x-www-form-urlencoded", TOKEN_BODY_FORM}};
    const uint8_t *semicolon = content_type.n ? memchr(content_type.p, ';', content_type.n) : NULL;
    size_t n = semicolon ? (size_t)(semicolon - content_type.p) : content_type.n;
    while (n > 0 && (content_type.p[n - 1] == ' ' || content_type.p[n - 1] == '\t'))
        n--;
    for (size_t i = 0; i < COUNT(types); i++)
        if (strlen(types[i].name) == n &&
            strncasecmp((const char *)content_type.p, types[i].name, n) == 0)
            return types[i].type;
    return TOKEN_BODY_OTHER;
}

err_t token_body_read(enum token_body_type type, struct view body, const char *member,
                      struct token_body *out, struct why *why)
{
    struct reading r = {.out = out, .member = member};
    *out = (struct token_body){0};
    if (body.n > TOKEN_BODY_MAX)
        return fail(why, ERR_TOO_LARGE, "the body has over %d bytes", TOKEN_BODY_MAX);
    if (type == TOKEN_BODY_OTHER)
        return fail(why, ERR_INVALID, "the body is neither JSON nor a form");
    TRY(type == TOKEN_BODY_JSON ? read_json(&r, body, why) : read_form(&r, body, why));
    if (!out->grant_type[0] || !out->token_len)
        return fail(why, ERR_INVALID, "the body lacks grant_type or %s", member);
    return ERR_OK;
}
