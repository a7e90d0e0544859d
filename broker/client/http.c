/*
 * One HTTP/1.1 reply, as strict as our own proxy is to others: a length or chunks and never both,
 * CRLF line ends only, no folding, no control characters, everything bounded. Lines are collected
 * byte by byte and handed to the one function of their state; bodies are copied in runs. A secret
 * may be in the body, so growing it wipes what it leaves behind.
 */
#include "client/http.h"

#include "base/auto.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static err_t bad(struct why *why, const char *what)
{
    return fail(why, ERR_INVALID, "what answers on this socket is no broker: %s", what);
}

void http_reader_init(struct http_reader *r, size_t body_max)
{
    *r = (struct http_reader){.state = HTTP_STATUS, .body_max = body_max};
}

void http_reader_free(struct http_reader *r)
{
    if (r->body)
        explicit_bzero(r->body, r->body_cap);
    free(r->body);
    explicit_bzero(r, sizeof(*r));
}

/* Room for `more` bytes of body and the NUL. */
static MUST err_t reserve(struct http_reader *r, size_t more, struct why *why)
{
    if (more > r->body_max - r->body_len)
        return fail(why, ERR_TOO_LARGE, "the broker's reply is over %zu bytes", r->body_max);
    size_t need = r->body_len + more + 1;
    if (need <= r->body_cap)
        return ERR_OK;
    size_t cap = need < 2 * r->body_cap ? 2 * r->body_cap : need;
    char *grown = malloc(cap);
    if (!grown)
        return fail(why, ERR_INTERNAL, "out of memory for the broker's reply");
    if (r->body) {
        memcpy(grown, r->body, r->body_len);
        explicit_bzero(r->body, r->body_cap);
        free(r->body);
    }
    r->body = grown;
    r->body_cap = cap;
    return ERR_OK;
}

static err_t finish(struct http_reader *r)
{
    if (r->body)
        r->body[r->body_len] = '\0';
    r->state = HTTP_DONE;
    return ERR_OK;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_name_char(char c)
{
    return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
}

/* ---- the head */

static MUST err_t on_status(struct http_reader *r, const char *line, struct why *why)
{
    static const char version[] = "HTTP/1.1 ";
    const char *code = line + sizeof(version) - 1;
    if (strncmp(line, version, sizeof(version) - 1) != 0)
        return bad(why, "the answer does not begin with HTTP/1.1");
    if (!is_digit(code[0]) || !is_digit(code[1]) || !is_digit(code[2]) ||
        (code[3] != '\0' && code[3] != ' '))
        return bad(why, "no status in the first line");
    r->status = (code[0] - '0') * 100 + (code[1] - '0') * 10 + (code[2] - '0');
    if (r->status < 100 || r->status == 101 || r->status > 599)
        return bad(why, "a status that was not asked for");
    r->state = HTTP_FIELD;
    return ERR_OK;
}

static MUST err_t on_length(struct http_reader *r, const char *value, struct why *why)
{
    size_t n = 0, digits = strspn(value, "0123456789");
    if (r->has_length || digits == 0 || value[digits] != '\0')
        return bad(why, "Content-Length is not one number");
    for (const char *p = value; *p; p++)
        if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, (size_t)(*p - '0'), &n))
            return bad(why, "Content-Length is not one number");
    r->has_length = true;
    r->left = n;
    return ERR_OK;
}

static MUST err_t on_coding(struct http_reader *r, const char *value, struct why *why)
{
    if (r->chunked || strcasecmp(value, "chunked") != 0)
        return bad(why, "a transfer coding other than chunked");
    r->chunked = true;
    return ERR_OK;
}

static MUST err_t on_connection(struct http_reader *r, const char *value, struct why *why)
{
    (void)why;
    if (strcasestr(value, "close")) /* too careful costs a reconnect, nothing else */
        r->last = true;
    return ERR_OK;
}

static const struct {
    const char *name;
    err_t (*on)(struct http_reader *r, const char *value, struct why *why);
} fields[] = {
    {"content-length", on_length},
    {"transfer-encoding", on_coding},
    {"connection", on_connection},
};

static MUST err_t on_head_end(struct http_reader *r, struct why *why)
{
    bool interim = r->status < 200, empty = r->status == 204 || r->status == 304;
    if (r->chunked && r->has_length)
        return bad(why, "both a length and chunks");
    if (interim && (r->chunked || r->has_length))
        return bad(why, "a body in an interim answer");
    if (interim) { /* more of the same is bounded by HTTP_LINES_MAX */
        r->state = HTTP_STATUS;
        return ERR_OK;
    }
    if (empty)
        return finish(r);
    if (!r->chunked && !r->has_length)
        return bad(why, "neither a length nor chunks");
    if (r->has_length)
        TRY(reserve(r, r->left, why));
    r->state = r->chunked ? HTTP_CHUNK_SIZE : HTTP_BODY;
    return r->state == HTTP_BODY && r->left == 0 ? finish(r) : ERR_OK;
}

static MUST err_t on_field(struct http_reader *r, const char *line, struct why *why)
{
    size_t name = 0, end = strlen(line);
    if (end == 0)
        return on_head_end(r, why);
    while (is_name_char(line[name]))
        name++;
    if (name == 0 || line[name] != ':')
        return bad(why, "a header line that is none");
    const char *value = line + name + 1;
    value += strspn(value, " \t");
    while (end > 0 && (r->line[end - 1] == ' ' || r->line[end - 1] == '\t'))
        r->line[--end] = '\0';
    for (size_t i = 0; i < COUNT(fields); i++)
        if (strlen(fields[i].name) == name && strncasecmp(line, fields[i].name, name) == 0)
            return fields[i].on(r, value, why);
    return ERR_OK;
}

/* ---- chunks */

static MUST err_t on_chunk_size(struct http_reader *r, const char *line, struct why *why)
{
    size_t digits = strspn(line, "0123456789abcdefABCDEF");
    if (digits == 0 || digits > 8 || (line[digits] != '\0' && line[digits] != ';'))
        return bad(why, "a chunk without a size");
    r->left = strtoul(line, NULL, 16);
    TRY(reserve(r, r->left, why));
    r->state = r->left > 0 ? HTTP_CHUNK : HTTP_TRAILER;
    return ERR_OK;
}

static MUST err_t on_chunk_end(struct http_reader *r, const char *line, struct why *why)
{
    if (line[0] != '\0')
        return bad(why, "a chunk longer than its size");
    r->state = HTTP_CHUNK_SIZE;
    r->lines -= 2; /* the number of chunks is bounded by the size of the body */
    return ERR_OK;
}

static MUST err_t on_trailer(struct http_reader *r, const char *line, struct why *why)
{
    (void)why;
    return line[0] == '\0' ? finish(r) : ERR_OK;
}

static err_t (*const on_line[])(struct http_reader *r, const char *line, struct why *why) = {
    [HTTP_STATUS] = on_status,       [HTTP_FIELD] = on_field,     [HTTP_CHUNK_SIZE] = on_chunk_size,
    [HTTP_CHUNK_END] = on_chunk_end, [HTTP_TRAILER] = on_trailer,
};

/* ---- bytes */

static MUST err_t line_byte(struct http_reader *r, char c, struct why *why)
{
    bool after_cr = r->line_len > 0 && r->line[r->line_len - 1] == '\r';
    if (after_cr != (c == '\n'))
        return bad(why, "a line that does not end in CR LF");
    if (((unsigned char)c < 0x20 && c != '\r' && c != '\n' && c != '\t') || c == 0x7f)
        return bad(why, "a control character in a line");
    if (c != '\n') {
        if (r->line_len + 1 >= sizeof(r->line))
            return fail(why, ERR_TOO_LARGE, "a line of the broker's reply is too long");
        r->line[r->line_len++] = c;
        return ERR_OK;
    }
    r->line[r->line_len - 1] = '\0';
    r->line_len = 0;
    if (++r->lines > HTTP_LINES_MAX)
        return fail(why, ERR_TOO_LARGE, "the broker's reply has over %d lines", HTTP_LINES_MAX);
    return on_line[r->state](r, r->line, why);
}

static size_t body_bytes(struct http_reader *r, const char *p, size_t n)
{
    size_t take = n < r->left ? n : r->left;
    memcpy(r->body + r->body_len, p, take);
    r->body_len += take;
    r->left -= take;
    if (r->left == 0 && r->state == HTTP_CHUNK)
        r->state = HTTP_CHUNK_END;
    else if (r->left == 0)
        (void)finish(r);
    return take;
}

err_t http_reader_feed(struct http_reader *r, const char *p, size_t n, size_t *used,
                       struct why *why)
{
    size_t at = 0;
    while (at < n && r->state != HTTP_DONE) {
        if (r->state == HTTP_BODY || r->state == HTTP_CHUNK) {
            at += body_bytes(r, p + at, n - at);
            continue;
        }
        TRY(line_byte(r, p[at], why));
        at++;
    }
    *used = at;
    return ERR_OK;
}

/* ---- the request */

void http_head_wipe(struct http_head *h)
{
    explicit_bzero(h, sizeof(*h));
}

/* Visible ASCII only (and spaces, where allowed): nothing a caller passes can begin another header
 * or request. */
static bool is_visible(const char *s, bool space)
{
    for (; *s; s++)
        if ((unsigned char)*s <= (space ? 0x1f : 0x20) || (unsigned char)*s >= 0x7f)
            return false;
    return true;
}

static void add(struct http_head *h, const char *text)
{
    size_t n = strlen(text);
    if (h->len + n >= sizeof(h->text)) {
        h->len = sizeof(h->text); /* over: stays so, and is seen at the end */
        return;
    }
    memcpy(h->text + h->len, text, n + 1);
    h->len += n;
}

static void add_field(struct http_head *h, const char *name, const char *value)
{
    if (!value)
        return;
    add(h, name);
    add(h, value);
    add(h, "\r\n");
}

err_t http_head_write(const struct broker_request *rq, struct http_head *out, struct why *why)
{
    const char *type = rq->content_type ? rq->content_type : "application/json";
    char length[24];
    if (!rq->method[0] || rq->path[0] != '/' || !is_visible(rq->method, false) ||
        !is_visible(rq->path, false) || !is_visible(type, true))
        return fail(why, ERR_USAGE, "a request's method, path or type has a character it may not");
    if (rq->token && (!rq->token[0] || !is_visible(rq->token, false)))
        return fail(why, ERR_USAGE, "the token is none: it has a space or a control character");
    (void)snprintf(length, sizeof(length), "%zu", rq->body_len);
    out->len = 0;
    add(out, rq->method);
    add(out, " ");
    add(out, rq->path);
    add(out, " HTTP/1.1\r\nHost: broker\r\n");
    if (rq->token)
        add_field(out, "Authorization: Bearer ", rq->token);
    add_field(out, "Content-Type: ", rq->body ? type : NULL);
    add_field(out, "Content-Length: ", rq->body || rq->method[0] == 'P' ? length : NULL);
    add(out, "\r\n");
    if (out->len < sizeof(out->text))
        return ERR_OK;
    http_head_wipe(out);
    return fail(why, ERR_USAGE, "the request's path and token are too long");
}
