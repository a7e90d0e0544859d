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
    unsigned lengths, types, authorizations;
    struct head head;
};

static bool is_token(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char c = s[i];
        bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!alnum && !(c && strchr("!#$%&'*+-.^_`|~", c)))
            return false;
    }
    return n > 0;
}

static bool is_value(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (((unsigned char)s[i] < ' ' && s[i] != '\t') || s[i] == 0x7f)
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

static bool is(const char *name, size_t n, const char *what)
{
    return n == strlen(what) && strncasecmp(name, what, n) == 0;
}

static bool to_number(const char *s, size_t n, uint64_t *out)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9')
            return false;
        v = v * 10 + (uint64_t)(s[i] - '0');
    }
    *out = v;
    return n > 0 && n < 16;
}

static const char *note(struct walk *w, const char *name, size_t n, const char *value,
                        size_t value_n)
{
    while (value_n && (value[value_n - 1] == ' ' || value[value_n - 1] == '\t'))
        value_n--;
    if (is(name, n, "content-length"))
        return w->lengths++ || !to_number(value, value_n, &w->head.length) ? "Content-Length"
                                                                           : NULL;
    if (is(name, n, "transfer-encoding"))
        return "Transfer-Encoding (send Content-Length)";
    if (is(name, n, "authorization")) {
        w->head.authorization = VIEW(value, value_n);
        return w->authorizations++ ? "Authorization" : NULL;
    }
    if (is(name, n, "content-type")) {
        w->head.has_type = true;
        w->head.type = VIEW(value, value_n);
        return w->types++ ? "Content-Type" : NULL;
    }
    return NULL;
}

static enum MHD_Result on_header(void *ctx, enum MHD_ValueKind kind, const char *name, size_t n,
                                 const char *value, size_t value_n)
{
    struct walk *w = ctx;
    (void)kind;
    if (name != w->at + CRLF || !value || !is_gap(name + n, value))
        w->refused = "line structure";
    else if (!is_token(name, n) || !is_value(value, value_n))
        w->refused = "characters";
    else
        w->refused = note(w, name, n, value, value_n);
    w->at = value ? value + value_n : NULL;
    return w->refused ? MHD_NO : MHD_YES;
}

static bool request_line(const struct head_line *l)
{
    const char *target = (const char *)l->target.p;
    size_t n = strlen(l->method);
    return is_token(l->method, n) && target == l->method + n + 1 &&
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
    *out = w.head;
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
