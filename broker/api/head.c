/*
 * The head of a request. libmicrohttpd 0.9.75 parses leniently: it folds lines, ends them at a bare
 * LF, cuts values at a NUL and skips surplus spaces, and shows only the result. But it parses in
 * place: method, target, version, names and values still lie in the read buffer in the order they
 * came, each delimiter overwritten by NULs. So the head is walked once more by position: every
 * piece must begin exactly where the one before it ends, and the last must end where the head does.
 * Whatever was swallowed leaves a gap and is refused. Should another version lay its buffer out
 * differently, nothing is accepted.
 */
#include "api/head.h"
#include "base/auto.h"

#include <string.h>
#include <strings.h>

enum { CRLF = 2 };

struct walk {
    const char *at; /* where the piece before ended */
    const char *refused;
    struct head_fields fields;
};

/* ---- fields */

bool head_is_token(struct view v)
{
    for (size_t i = 0; i < v.n; i++) {
        uint8_t c = v.p[i];
        bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!alnum && c != '-' && !memchr("!#$%&'*+.^_`|~", c, 14))
            return false;
    }
    return v.n > 0;
}

static bool is_value(struct view v)
{
    for (size_t i = 0; i < v.n; i++)
        if ((v.p[i] < ' ' && v.p[i] != '\t') || v.p[i] == 0x7f)
            return false;
    return true;
}

/* Between a name and its value: the colon's NUL, then spaces and tabs. */
static bool is_gap(const char *from, const char *to)
{
    if (from >= to)
        return false;
    for (from++; from < to; from++)
        if (*from != ' ' && *from != '\t')
            return false;
    return true;
}

static bool is(struct view name, const char *what)
{
    return name.n == strlen(what) && strncasecmp((const char *)name.p, what, name.n) == 0;
}

static bool to_number(struct view v, uint64_t *out)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < v.n; i++) {
        if (v.p[i] < '0' || v.p[i] > '9')
            return false;
        sum = sum * 10 + (uint64_t)(v.p[i] - '0');
    }
    *out = sum;
    return v.n > 0 && v.n < 16;
}

static struct view trimmed(struct view v)
{
    for (; v.n && (v.p[0] == ' ' || v.p[0] == '\t'); v.p++)
        v.n--;
    while (v.n && (v.p[v.n - 1] == ' ' || v.p[v.n - 1] == '\t'))
        v.n--;
    return v;
}

/* Is `token` in the comma-separated list? */
static bool has_token(struct view list, const char *token)
{
    while (list.n) {
        const uint8_t *comma = memchr(list.p, ',', list.n);
        size_t n = comma ? (size_t)(comma - list.p) : list.n;
        if (is(trimmed(VIEW(list.p, n)), token))
            return true;
        n += comma != NULL;
        list = VIEW(list.p + n, list.n - n);
    }
    return false;
}

static const char *note(struct head_fields *f, struct view name, struct view value)
{
    struct head *h = &f->head;
    if (is(name, "content-length"))
        return f->lengths++ || !to_number(value, &h->length) ? "Content-Length" : NULL;
    if (is(name, "transfer-encoding"))
        return "Transfer-Encoding (send Content-Length)";
    if (is(name, "authorization")) {
        h->authorization = value;
        return f->authorizations++ ? "Authorization" : NULL;
    }
    if (is(name, "content-type")) {
        h->has_type = true;
        h->type = value;
        return f->types++ ? "Content-Type" : NULL;
    }
    if (is(name, "connection"))
        h->closes |= has_token(value, "close");
    if (is(name, "expect"))
        h->continues |= is(value, "100-continue");
    return NULL;
}

const char *head_field(struct head_fields *f, struct view name, struct view value)
{
    if (!head_is_token(name) || !is_value(value))
        return "characters";
    return note(f, name, trimmed(value));
}

/* ---- libmicrohttpd's head */

static enum MHD_Result on_header(void *ctx, enum MHD_ValueKind kind, const char *name, size_t n,
                                 const char *value, size_t value_n)
{
    struct walk *w = ctx;
    (void)kind;
    if (name != w->at + CRLF || !value || !is_gap(name + n, value))
        w->refused = "line structure";
    else
        w->refused = head_field(&w->fields, VIEW(name, n), VIEW(value, value_n));
    w->at = value ? value + value_n : NULL;
    return w->refused ? MHD_NO : MHD_YES;
}

static bool request_line(const struct head_line *l)
{
    const char *target = (const char *)l->target.p;
    size_t n = strlen(l->method);
    return head_is_token(VIEW(l->method, n)) && target == l->method + n + 1 &&
           l->version == target + l->target.n + 1 &&
           (strcmp(l->version, "HTTP/1.1") == 0 || strcmp(l->version, "HTTP/1.0") == 0);
}

err_t head_read(struct MHD_Connection *http, const struct head_line *line, struct head *out,
                struct why *why)
{
    if (!request_line(line))
        return fail(why, ERR_INVALID, "the request line is malformed");
    struct walk w = {.at = line->version + strlen(line->version)};
    (void)MHD_get_connection_values_n(http, MHD_HEADER_KIND, on_header, &w);
    if (w.refused)
        return fail(why, ERR_INVALID, "the header is not acceptable: %s", w.refused);
    const union MHD_ConnectionInfo *size =
        MHD_get_connection_info(http, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    if (!size || w.at + 2 * CRLF != line->method + size->header_size)
        return fail(why, ERR_INVALID, "the header is not acceptable: line structure");
    *out = w.fields.head;
    return ERR_OK;
}

err_t head_check_type(const struct head *h, struct why *why)
{
    static const char json[] = "application/json", utf8[] = "charset=utf-8";
    const char *p = (const char *)h->type.p;
    size_t n = h->type.n, at = sizeof(json) - 1;
    bool good = h->has_type && n >= at && strncasecmp(p, json, at) == 0;
    if (good && n > at) {
        good = p[at++] == ';';
        while (at < n && p[at] == ' ')
            at++;
        good = good && n - at == sizeof(utf8) - 1 && strncasecmp(p + at, utf8, n - at) == 0;
    }
    return good ? ERR_OK
                : fail(why, ERR_INVALID, "a body must come as Content-Type: application/json");
}
