/*
 * The reader of request heads. A head is lines that end in CRLF, and nothing else ends a line: a
 * bare LF is refused when it is seen, a bare CR, a NUL and every other control character where the
 * line is read. A field line begins with a token and a colon, so neither folded lines nor a space
 * before the colon pass. Which fields are refused is api/head.c's, as for libmicrohttpd.
 */
#include "api/h1.h"
#include "base/auto.h"

#include <string.h>

enum { CRLF = 2, VERSION = 8 };

enum h1_state h1_find_end(struct view bytes, size_t *at)
{
    static const char ends[] = "\r\n\r\n";
    const size_t n = sizeof(ends) - 1;
    const uint8_t *p = bytes.p, *line = p + *at, *end = p + bytes.n, *lf;
    if (*at >= n && memcmp(line - n, ends, n) == 0)
        return H1_WHOLE; /* found before; the body was awaited */
    while (line < end && (lf = memchr(line, '\n', (size_t)(end - line))) != NULL) {
        if (lf == line || lf[-1] != '\r')
            return H1_BROKEN;
        bool empty = lf - line == CRLF - 1;
        line = lf + 1;
        *at = (size_t)(line - p);
        if (empty)
            return *at > H1_HEAD_MAX ? H1_BROKEN : H1_WHOLE;
    }
    return bytes.n >= H1_HEAD_MAX ? H1_BROKEN : H1_MORE;
}

static err_t malformed(struct why *why)
{
    return fail(why, ERR_INVALID, "the request line is malformed");
}

static MUST err_t read_version(struct view v, bool *old, struct why *why)
{
    bool http = v.n == VERSION && memcmp(v.p, "HTTP/", 5) == 0 && v.p[6] == '.';
    if (http && v.p[5] >= '2' && v.p[5] <= '9' && v.p[7] >= '0' && v.p[7] <= '9')
        return fail(why, ERR_VERSION, "this is HTTP/1.1");
    if (!http || v.p[5] != '1' || (v.p[7] != '1' && v.p[7] != '0'))
        return malformed(why);
    *old = v.p[7] == '0';
    return ERR_OK;
}

static bool has_control(struct view line)
{
    for (size_t i = 0; i < line.n; i++)
        if (line.p[i] < ' ' || line.p[i] == 0x7f)
            return true;
    return false;
}

/* method SP target SP version: the first space and the last are the delimiters. */
static MUST err_t read_line(struct view line, struct h1_request *out, struct why *why)
{
    const uint8_t *first = memchr(line.p, ' ', line.n), *last = memrchr(line.p, ' ', line.n);
    if (!first || last <= first + 1 || first[1] == ' ' || has_control(line))
        return malformed(why);
    struct view method = VIEW(line.p, (size_t)(first - line.p));
    if (!head_is_token(method))
        return malformed(why);
    if (!view_copy(method, out->method, sizeof(out->method)))
        memcpy(out->method, "-", sizeof("-")); /* longer than any: it meets no row */
    out->target = VIEW(first + 1, (size_t)(last - first - 1));
    return read_version(VIEW(last + 1, (size_t)(line.p + line.n - last - 1)), &out->old, why);
}

static const char *read_field(struct view line, struct head_fields *f)
{
    const uint8_t *colon = memchr(line.p, ':', line.n);
    if (!colon)
        return "line structure";
    size_t n = (size_t)(colon - line.p);
    return head_field(f, VIEW(line.p, n), VIEW(colon + 1, line.n - n - 1));
}

err_t h1_read(struct view head, struct h1_request *out, struct why *why)
{
    const uint8_t *line = head.p, *end = head.p + head.n - CRLF, *lf;
    struct h1_request rq = {0};
    struct head_fields fields = {0};
    for (; line < end; line = lf + 1) {
        lf = memchr(line, '\n', (size_t)(end - line));
        struct view text = VIEW(line, (size_t)(lf - line - 1));
        const char *refused = NULL;
        if (line == head.p)
            TRY(read_line(text, &rq, why));
        else if ((refused = read_field(text, &fields)) != NULL)
            return fail(why, ERR_INVALID, "the header is not acceptable: %s", refused);
    }
    if (rq.target.n == 0)
        return malformed(why);
    rq.head = fields.head;
    *out = rq;
    return ERR_OK;
}
