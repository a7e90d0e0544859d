/*
 * The canonical form of a credential, and the names of deliveries. The vault believes nothing a
 * worker parsed: decoding is strict, so each credential has exactly one encoding. Encoding applies
 * the very same checks: what is written can be read. The picture for people is a table of what may
 * be shown of each field; a field without a row is not shown.
 */
#include "base/auto.h"
#include "base/jsonw.h"
#include "provider/text.h"
#include <broker/provider.h>

enum { FORMAT = 1, SHOW_TAIL_FROM = 20 };

/* ---- fields */

static const struct {
    const char *name;
    size_t max;
} fields[CF__COUNT] = {
#define ROW(n, tag, max, doc) [tag] = {#n, max},
    BROKER_CRED_FIELDS(ROW)
#undef ROW
};

static bool is_time(unsigned f)
{
    return f == CF_EXPIRES_AT || f == CF_REFRESH_EXPIRES;
}

static bool is_free_text(unsigned f)
{
    return f == CF_SECRET || f == CF_REST;
}

const char *cred_field_name(enum cred_field f)
{
    const char *name = (unsigned)f < CF__COUNT ? fields[f].name : NULL;
    return name ? name : "?";
}

bool cred_field_is_secret(enum cred_field f)
{
    return f == CF_SECRET || f == CF_ACCESS_TOKEN || f == CF_REFRESH_TOKEN || f == CF_ID_TOKEN ||
           f == CF_REST;
}

static err_t field_check(unsigned f, struct view v, struct why *why)
{
    if (v.n > fields[f].max)
        return fail(why, ERR_INVALID, "%s has %zu bytes, over its limit of %zu", fields[f].name,
                    v.n, fields[f].max);
    if (is_time(f) && !text_millis(v))
        return fail(why, ERR_INVALID, "%s is not a number of milliseconds", fields[f].name);
    if (is_free_text(f) ? !text_no_nul(v) : !text_line(v))
        return fail(why, ERR_INVALID, "%s is not UTF-8 text, or holds control characters",
                    fields[f].name);
    return ERR_OK;
}

static int64_t millis(struct view v)
{
    int64_t ms = 0;
    if (!text_millis(v))
        return 0;
    for (size_t i = 0; i < v.n; i++)
        ms = ms * 10 + (v.p[i] - '0');
    return ms;
}

int64_t cred_ms(const struct cred *c, enum cred_field f)
{
    return millis(c->f[f]);
}

/* ---- encoding */

err_t cred_encode(const struct cred *c, struct buf *out, struct why *why)
{
    size_t total = 1;
    for (unsigned f = 1; f < CF__COUNT; f++) {
        if (!cred_has(c, f))
            continue;
        TRY(field_check(f, c->f[f], why));
        total += 1 + 4 + c->f[f].n;
    }
    if (total > CRED_MAX)
        return fail(why, ERR_TOO_LARGE, "the credential has %zu bytes, over the limit of %d", total,
                    CRED_MAX);
    if (!buf_reserve(out, total))
        return buf_ok(out, why);
    buf_put_u8(out, FORMAT);
    for (unsigned f = 1; f < CF__COUNT; f++) {
        if (!cred_has(c, f))
            continue;
        buf_put_u8(out, (uint8_t)f);
        buf_put_str32(out, c->f[f]);
    }
    return ERR_OK;
}

static err_t decode_field(struct cursor *in, unsigned *last, struct cred *c, struct why *why)
{
    unsigned f = get_u8(in);
    struct view v = get_str32(in);
    if (in->bad)
        return fail(why, ERR_INVALID, "the credential's canonical form is cut short");
    if (f == 0 || f >= CF__COUNT)
        return fail(why, ERR_INVALID, "the credential has an unknown field %u", f);
    if (f <= *last)
        return fail(why, ERR_INVALID, "%s is out of order", fields[f].name);
    if (v.n == 0)
        return fail(why, ERR_INVALID, "%s is empty", fields[f].name);
    TRY(field_check(f, v, why));
    c->f[f] = v;
    *last = f;
    return ERR_OK;
}

err_t cred_decode(struct view bytes, struct cred *out, struct why *why)
{
    struct cred c = {0};
    struct cursor in = cursor_of(bytes);
    unsigned last = 0;
    if (bytes.n > CRED_MAX)
        return fail(why, ERR_TOO_LARGE, "the credential has %zu bytes, over the limit of %d",
                    bytes.n, CRED_MAX);
    if (get_u8(&in) != FORMAT || in.bad)
        return fail(why, ERR_INVALID, "not the canonical form of a credential");
    while (cursor_left(&in) > 0)
        TRY(decode_field(&in, &last, &c, why));
    *out = c;
    return ERR_OK;
}

/* ---- the picture for people */

static void show_time(struct jsonw *w, const char *as, struct view v)
{
    jsonw_int(w, as, millis(v));
}

static void show_words(struct jsonw *w, const char *as, struct view v)
{
    jsonw_open(w, as, '[');
    for (size_t i = 0, from = 0; i <= v.n; i++) {
        if (i < v.n && v.p[i] != ' ')
            continue;
        if (i > from)
            jsonw_view(w, NULL, VIEW(v.p + from, i - from));
        from = i + 1;
    }
    jsonw_close(w, ']');
}

/* "…" and the last two characters, where that leaves most of them hidden */
static void show_tail(struct jsonw *w, const char *as, struct view v)
{
    char text[] = "\xe2\x80\xa6\0\0";
    if (v.n >= 8 && text_visible(VIEW(v.p + v.n - 2, 2))) {
        text[3] = (char)v.p[v.n - 2];
        text[4] = (char)v.p[v.n - 1];
    }
    jsonw_str(w, as, text);
}

static void show_length(struct jsonw *w, const char *as, struct view v)
{
    jsonw_open(w, as, '{');
    jsonw_int(w, "bytes", (int64_t)v.n);
    jsonw_close(w, '}');
}

static void show_key(struct jsonw *w, const char *as, struct view v)
{
    jsonw_open(w, as, '{');
    jsonw_int(w, "bytes", (int64_t)v.n);
    if (v.n >= SHOW_TAIL_FROM && text_visible(v))
        jsonw_view(w, "last4", VIEW(v.p + v.n - 4, 4));
    jsonw_close(w, '}');
}

static const struct {
    enum cred_field field;
    void (*show)(struct jsonw *w, const char *as, struct view v);
    const char *as;
} picture[] = {
    {CF_KIND, jsonw_view, "kind"},
    {CF_PLAN, jsonw_view, "plan"},
    {CF_TIER, jsonw_view, "tier"},
    {CF_SCOPES, show_words, "scopes"},
    {CF_EXPIRES_AT, show_time, "expires_at_ms"},
    {CF_REFRESH_EXPIRES, show_time, "refresh_expires_at_ms"},
    {CF_LAST_REFRESH, jsonw_view, "last_refresh"},
    {CF_AUTH_MODE, jsonw_view, "auth_mode"},
    {CF_ISSUER, jsonw_view, "issuer"},
    {CF_ACCOUNT, show_tail, "account"},
    {CF_ORGANIZATION, show_tail, "organization"},
    {CF_EMAIL, show_tail, "email"},
    {CF_ORIGIN, jsonw_view, "origin"},
    {CF_HEADER, jsonw_view, "header"},
    {CF_ENV, jsonw_view, "env"},
    {CF_USERNAME, show_tail, "username"},
    {CF_SECRET, show_key, "secret"},
    {CF_ACCESS_TOKEN, show_length, "access_token"},
    {CF_REFRESH_TOKEN, show_length, "refresh_token"},
    {CF_ID_TOKEN, show_length, "id_token"},
    {CF_REST, show_length, "rest"},
};

/* Of a password or a database URL not even four characters are shown: they are short, or not
 * random. */
void cred_describe(const struct provider *p, const struct cred *c, struct buf *json)
{
    bool is_key = !view_is(c->f[CF_KIND], "generic");
    struct jsonw w = jsonw_to(json);
    jsonw_open(&w, NULL, '{');
    jsonw_str(&w, "provider", p->name);
    for (size_t i = 0; i < COUNT(picture); i++) {
        struct view v = c->f[picture[i].field];
        if (v.n > 0 && picture[i].field == CF_SECRET && !is_key)
            show_length(&w, picture[i].as, v);
        else if (v.n > 0)
            picture[i].show(&w, picture[i].as, v);
    }
    jsonw_close(&w, '}');
}

/* ---- deliveries */

static const char *const delivery_names[] = {
#define ROW(n, s) [DELIVER_##n] = (s),
    BROKER_DELIVERIES(ROW)
#undef ROW
};

const char *delivery_name(enum delivery d)
{
    return (unsigned)d < DELIVER__COUNT ? delivery_names[d] : "unknown";
}

bool delivery_from_name(struct view name, enum delivery *out)
{
    for (unsigned d = 0; d < DELIVER__COUNT; d++)
        if (view_is(name, delivery_names[d])) {
            *out = (enum delivery)d;
            return true;
        }
    return false;
}
