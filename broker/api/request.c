/*
 * From the parts of a request to its message. Nothing here knows an endpoint: the row says what is
 * taken from where. Nothing is decoded: a target with "%" is refused, because no name of ours needs
 * one and a second spelling of a path is how checks are passed by. request_check() holds names
 * against the one rule for names before the vault does it again.
 */
#include "api/request.h"
#include "base/auto.h"
#include "base/name.h"

#include <string.h>
#include <strings.h>

static bool target_char(uint8_t c, bool query)
{
    bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    return alnum || memchr("/._-~", c, 5) || (query && (c == '=' || c == '&'));
}

err_t request_target(struct view raw, struct view *path, struct view *query, struct why *why)
{
    const uint8_t *mark = raw.n ? memchr(raw.p, '?', raw.n) : NULL;
    size_t n = mark ? (size_t)(mark - raw.p) : raw.n;
    if (raw.n == 0 || raw.p[0] != '/')
        return fail(why, ERR_INVALID, "the request target does not begin with a slash");
    if (raw.n > ROUTE_MAX_PATH)
        return fail(why, ERR_INVALID, "the request target has over %d bytes", ROUTE_MAX_PATH);
    for (size_t i = 0; i < raw.n; i++)
        if (i != n && !target_char(raw.p[i], i > n))
            return fail(why, ERR_INVALID,
                        "the request target has a byte that no path here has, at %zu", i);
    *path = VIEW(raw.p, n);
    *query = mark ? VIEW(mark + 1, raw.n - n - 1) : VIEW(NULL, 0);
    return ERR_OK;
}

/* ---- values that come as text: path and query */

static MUST err_t decimal(struct view v, const char *name, uint64_t *out, struct why *why)
{
    uint64_t sum = 0;
    bool good = v.n > 0 && v.n <= 18 && (v.p[0] != '0' || v.n == 1);
    for (size_t i = 0; good && i < v.n; i++) {
        good = v.p[i] >= '0' && v.p[i] <= '9';
        sum = sum * 10 + (uint64_t)(v.p[i] - '0');
    }
    if (!good)
        return fail(why, ERR_INVALID, "\"%s\" is a whole number from 0", name);
    *out = sum;
    return ERR_OK;
}

static MUST err_t set_text(const struct route *r, size_t i, struct view text, struct values *v,
                           struct why *why)
{
    const struct route_field *f = &r->fields[i];
    if (values_has(v, i))
        return fail(why, ERR_INVALID, "\"%s\" is given twice", f->name);
    if (text.n > route_field_max(f) && f->kind == K_TEXT)
        return fail(why, ERR_INVALID, "\"%s\" has more than %u bytes", f->name, route_field_max(f));
    if (f->kind == K_NUMBER)
        TRY(decimal(text, f->name, &v->number[i], why));
    else
        v->text[i] = text;
    v->given |= 1u << i;
    return ERR_OK;
}

static MUST err_t query_pair(const struct route *r, struct view pair, struct values *v,
                             struct why *why)
{
    const uint8_t *eq = pair.n ? memchr(pair.p, '=', pair.n) : NULL;
    struct view key = VIEW(pair.p, eq ? (size_t)(eq - pair.p) : pair.n);
    for (size_t i = 0; eq && i < r->n_fields; i++)
        if (r->fields[i].from == IN_QUERY && view_is(key, r->fields[i].name))
            return set_text(r, i, VIEW(eq + 1, pair.n - key.n - 1), v, why);
    return fail(why, ERR_INVALID, "there is no query parameter \"%.*s\" here",
                (int)(key.n < 64 ? key.n : 64), key.n ? (const char *)key.p : "");
}

static MUST err_t read_query(const struct route *r, struct view query, struct values *v,
                             struct why *why)
{
    const uint8_t *p = query.p, *end = query.n ? query.p + query.n : query.p;
    while (p < end) {
        const uint8_t *amp = memchr(p, '&', (size_t)(end - p));
        const uint8_t *stop = amp ? amp : end;
        TRY(query_pair(r, VIEW(p, (size_t)(stop - p)), v, why));
        p = amp ? amp + 1 : end;
    }
    return ERR_OK;
}

/* The place among the path's parameters of the one called `name`. */
static size_t param_place(const char *path, const char *name)
{
    size_t n = strlen(name), place = 0;
    for (const char *p = path; (p = strchr(p, '{')) != NULL; p++, place++)
        if (strncmp(p + 1, name, n) == 0 && p[1 + n] == '}')
            return place;
    return ROUTE_MAX_PARAMS;
}

err_t request_params(const struct route_match *m, struct view query, struct values *v,
                     struct why *why)
{
    const struct route *r = m->route;
    for (size_t i = 0; i < r->n_fields; i++) {
        const struct route_field *f = &r->fields[i];
        if (f->from == IN_ROW) {
            v->number[i] = f->value;
            v->given |= 1u << i;
        }
        size_t place = f->from == IN_PATH ? param_place(r->path, f->name) : ROUTE_MAX_PARAMS;
        if (place < ROUTE_MAX_PARAMS)
            TRY(set_text(r, i, m->param[place], v, why));
    }
    return read_query(r, query, v, why);
}

err_t request_bearer(const struct route *r, struct view authorization, struct values *v,
                     struct why *why)
{
    static const char scheme[] = "Bearer ";
    const size_t n = sizeof(scheme) - 1;
    for (size_t i = 0; i < r->n_fields; i++) {
        if (r->fields[i].from != IN_BEARER)
            continue;
        if (authorization.n <= n || strncasecmp((const char *)authorization.p, scheme, n) != 0)
            return fail(why, ERR_AUTH, "send the lease's token as `Authorization: Bearer <token>`");
        struct view t = VIEW(authorization.p + n, authorization.n - n);
        for (size_t k = 0; k < t.n; k++)
            if (t.p[k] <= ' ' || t.p[k] > '~')
                return fail(why, ERR_AUTH, "the bearer token has a character that no token has");
        return set_text(r, i, t, v, why);
    }
    return ERR_OK;
}

/* ---- checks, and the packet */

static bool is_text(const struct route_field *f)
{
    return f->kind != K_NUMBER && f->kind != K_BOOL;
}

static bool is_there(const struct route *r, const struct values *v, size_t i)
{
    return values_has(v, i) && (!is_text(&r->fields[i]) || v->text[i].n > 0);
}

static MUST err_t check_name(const struct route_field *f, struct view text, struct why *why)
{
    if (f->field == F_CONSUMER)
        return name_check(text, "consumer", why);
    return f->field == F_CREDENTIAL ? name_check(text, "credential", why) : ERR_OK;
}

err_t request_check(const struct route *r, const struct values *v, struct why *why)
{
    bool any = false;
    for (size_t i = 0; i < r->n_fields; i++) {
        const struct route_field *f = &r->fields[i];
        bool there = is_there(r, v, i);
        if (f->required && !there)
            return fail(why, ERR_INVALID, "\"%s\" is missing", f->name);
        if (there)
            TRY(check_name(f, v->text[i], why));
        any |= there && (f->kind != K_BOOL || v->number[i]);
    }
    if ((r->flags & ROUTE_NEEDS_ANY) && !any)
        return fail(why, ERR_INVALID,
                    "at least one member must say what is meant; see contrib/openapi.yaml");
    return ERR_OK;
}

static MUST err_t put_field(const struct route_field *f, struct view text, uint64_t number,
                            struct buf *out, struct why *why)
{
    const enum msg_field tag = (enum msg_field)f->field;
    if (!is_text(f) && (number || f->kind != K_BOOL))
        msg_put_u64(out, tag, number);
    if (!is_text(f))
        return ERR_OK;
    if (!msg_fits(tag, text))
        return fail(why, ERR_INVALID, "\"%s\" has control characters or is too long", f->name);
    msg_put(out, tag, text);
    return ERR_OK;
}

err_t request_message(const struct route *r, const struct values *v, struct request_ids ids,
                      struct buf *out, struct why *why)
{
    msg_begin(out, r->type, ids.request, ids.conn);
    if (v->credential.n)
        msg_put(out, F_BODY, v->credential);
    for (size_t i = 0; i < r->n_fields; i++)
        if (r->fields[i].field != NOT_SENT && is_there(r, v, i))
            TRY(put_field(&r->fields[i], v->text[i], v->number[i], out, why));
    if (out->bad)
        return fail(why, ERR_TOO_LARGE, "the request has more in it than one message may carry");
    return ERR_OK;
}
