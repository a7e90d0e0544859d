/*
 * One table of outcomes, one form per dialect. The message is ours (a sentence of `why`), never a peer's bytes; it is escaped all the same.
 */
#include "proxy/refusal.h"

#include "base/auto.h"
#include "base/jsonw.h"

#include <inttypes.h>

static const struct row {
    unsigned status;
    const char *reason;    /* phrase of the status line */
    const char *anthropic; /* error.type */
    const char *openai;    /* error.type */
    const char *gemini;    /* error.status */
} rows[] = {
    {400, "Bad Request", "invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT"},
    {401, "Unauthorized", "authentication_error", "invalid_request_error", "UNAUTHENTICATED"},
    {403, "Forbidden", "permission_error", "invalid_request_error", "PERMISSION_DENIED"},
    {404, "Not Found", "not_found_error", "invalid_request_error", "NOT_FOUND"},
    {405, "Method Not Allowed", "invalid_request_error", "invalid_request_error",
     "INVALID_ARGUMENT"},
    {408, "Request Timeout", "invalid_request_error", "invalid_request_error", "DEADLINE_EXCEEDED"},
    {413, "Content Too Large", "request_too_large", "invalid_request_error", "INVALID_ARGUMENT"},
    {414, "URI Too Long", "invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT"},
    {417, "Expectation Failed", "invalid_request_error", "invalid_request_error",
     "INVALID_ARGUMENT"},
    {421, "Misdirected Request", "invalid_request_error", "invalid_request_error",
     "INVALID_ARGUMENT"},
    {426, "Upgrade Required", "invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT"},
    {429, "Too Many Requests", "rate_limit_error", "rate_limit_error", "RESOURCE_EXHAUSTED"},
    {431, "Request Header Fields Too Large", "invalid_request_error", "invalid_request_error",
     "INVALID_ARGUMENT"},
    {500, "Internal Server Error", "api_error", "server_error", "INTERNAL"},
    {501, "Not Implemented", "invalid_request_error", "invalid_request_error", "UNIMPLEMENTED"},
    {502, "Bad Gateway", "api_error", "server_error", "UNAVAILABLE"},
    {503, "Service Unavailable", "overloaded_error", "server_error", "UNAVAILABLE"},
    {504, "Gateway Timeout", "api_error", "server_error", "DEADLINE_EXCEEDED"},
    {505, "HTTP Version Not Supported", "invalid_request_error", "invalid_request_error",
     "INVALID_ARGUMENT"},
};

static const struct row *row_of(unsigned status)
{
    for (size_t i = 0; i < COUNT(rows); i++)
        if (rows[i].status == status)
            return &rows[i];
    return row_of(500);
}

unsigned refusal_status(err_t e, bool *no_retry)
{
    static const struct {
        err_t e;
        unsigned status;
        bool final; /* the same request will be refused again */
    } map[] = {
        {ERR_AUTH, 401, true},     {ERR_EXPIRED, 403, true},     {ERR_DENIED, 403, true},
        {ERR_LIMIT, 429, false},   {ERR_NEEDS_LOGIN, 503, true}, {ERR_INVALID, 400, true},
        {ERR_AUDIT, 503, false},   {ERR_LOCKED, 503, false},     {ERR_UNINIT, 503, true},
        {ERR_ROLLBACK, 503, true}, {ERR_TIMEOUT, 504, false},    {ERR_UNAVAILABLE, 502, false},
        {ERR_CORRUPT, 502, true},  {ERR_TOO_LARGE, 413, true},   {ERR_NO_BROKER, 503, false},
    };
    for (size_t i = 0; i < COUNT(map); i++)
        if (map[i].e == e) {
            *no_retry = map[i].final;
            return map[i].status;
        }
    *no_retry = false;
    return 500;
}

/* ---- bodies */

static void write_anthropic(const struct refusal *r, const struct row *row, struct jsonw *w)
{
    jsonw_open(w, NULL, '{');
    jsonw_str(w, "type", "error");
    jsonw_open(w, "error", '{');
    jsonw_str(w, "type", row->anthropic);
    jsonw_str(w, "message", r->message);
    jsonw_str(w, "code", err_wire(r->code));
    jsonw_close(w, '}');
    jsonw_close(w, '}');
}

static void write_openai(const struct refusal *r, const struct row *row, struct jsonw *w)
{
    jsonw_open(w, NULL, '{');
    jsonw_open(w, "error", '{');
    jsonw_str(w, "message", r->message);
    jsonw_str(w, "type", row->openai);
    jsonw_null(w, "param");
    jsonw_str(w, "code", err_wire(r->code));
    jsonw_close(w, '}');
    jsonw_close(w, '}');
}

static void write_gemini(const struct refusal *r, const struct row *row, struct jsonw *w)
{
    jsonw_open(w, NULL, '{');
    jsonw_open(w, "error", '{');
    jsonw_int(w, "code", row->status);
    jsonw_str(w, "message", r->message);
    jsonw_str(w, "status", row->gemini);
    jsonw_close(w, '}');
    jsonw_close(w, '}');
}

static void write_plain(const struct refusal *r, const struct row *row, struct jsonw *w)
{
    (void)row;
    jsonw_open(w, NULL, '{');
    jsonw_str(w, "error", err_wire(r->code));
    jsonw_str(w, "message", r->message);
    jsonw_close(w, '}');
}

static void (*const writers[ROUTE_DIALECTS])(const struct refusal *, const struct row *,
                                             struct jsonw *) = {
    [ROUTE_PLAIN] = write_plain,
    [ROUTE_ANTHROPIC] = write_anthropic,
    [ROUTE_OPENAI] = write_openai,
    [ROUTE_GEMINI] = write_gemini,
};

void refusal_write(const struct refusal *r, struct buf *out)
{
    AUTO(buf_free) struct buf body = {0};
    const struct row *row = row_of(r->status);
    struct jsonw w = jsonw_to(&body);
    writers[r->dialect](r, row, &w);
    buf_add_fmt(out, "HTTP/1.1 %u %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n",
                row->status, row->reason, body.len);
    if (r->retry_ms > 0)
        buf_add_fmt(out, "Retry-After: %" PRId64 "\r\n", (r->retry_ms + 999) / 1000);
    if (r->no_retry)
        buf_add_str(out, "X-Should-Retry: false\r\n");
    if (row->status == 426)
        buf_add_str(out, "Upgrade: HTTP/1.1\r\n");
    buf_add_str(out, r->keep_alive && row->status != 426 ? "\r\n" : "Connection: close\r\n\r\n");
    if (!r->to_head)
        buf_add_view(out, buf_view(&body));
}
