/*
 * Requests: the request line, then the fields, then what they say together. Bytes are read once, left to right, and the first fault in
 * that order is the verdict however the bytes were cut; a front part of a good head is never refused. What a client could mean in two
 * ways is refused here, so that nothing behind the gate has to think of it.
 */
#include "proxy/gate.h"

#include "base/auto.h"
#include "proxy/gate_fields.h"
#include "proxy/gate_path.h"

#include <string.h>

enum { METHOD_MAX = 16 };

static const struct method {
    const char *name;
    bool body; /* may have one: a server that expects none would take it for the next request */
} methods[] = {
    {"POST", true},  {"GET", false},   {"HEAD", false},    {"PUT", true},
    {"PATCH", true}, {"DELETE", true}, {"OPTIONS", false},
};

static const struct method *method_of(struct view name)
{
    for (size_t i = 0; i < COUNT(methods); i++)
        if (view_is(name, methods[i].name))
            return &methods[i];
    return NULL;
}

static bool has_body(struct view method)
{
    const struct method *m = method_of(method);
    return m && m->body;
}

static enum gate_result request_method(struct scan *s, struct gate_request *out)
{
    const uint8_t *begin = s->p;
    scan_skip(s, GATE_TOKEN);
    size_t n = (size_t)(s->p - begin);
    if (n > METHOD_MAX)
        return scan_refuse(s, 405, "an unknown method");
    if (s->p == s->end)
        return GATE_MORE;
    if (n == 0 || *s->p != ' ')
        return scan_refuse(s, 400, "the request line is malformed");
    out->method = VIEW(begin, n);
    s->p++;
    return method_of(out->method) ? GATE_OK : scan_refuse(s, 405, "an unknown method");
}

static enum gate_result bad_target(const struct scan *s)
{
    if (*s->p == '\r' || *s->p == '\n')
        return scan_refuse(s, 400, "a request line without a version");
    return scan_refuse(s, 400, "the target holds a byte that has no place there");
}

/* origin-form alone (RFC 9112 section 3.2.1) */
static enum gate_result request_target(struct scan *s, struct gate_request *out)
{
    const uint8_t *begin = s->p, *end = s->end;
    if (begin == end)
        return GATE_MORE;
    if (*begin != '/')
        return scan_refuse(s, 400, "the target does not begin with /");
    /* one byte more than may be there: it tells that there are too many */
    if (end - begin > GATE_TARGET_MAX + 1)
        s->end = begin + GATE_TARGET_MAX + 1;
    scan_skip(s, GATE_PATH);
    out->path = VIEW(begin, (size_t)(s->p - begin));
    out->query = VIEW(s->p, 0);
    if (s->p < s->end && *s->p == '?') {
        const uint8_t *query = ++s->p;
        scan_skip(s, GATE_QUERY);
        out->query = VIEW(query, (size_t)(s->p - query));
    }
    s->end = end;
    if (s->p - begin > GATE_TARGET_MAX)
        return scan_refuse(s, 414, "the target is too long");
    if (s->p == end)
        return GATE_MORE;
    if (*s->p != ' ')
        return bad_target(s);
    s->p++;
    const char *fault = gate_path_fault(out->path);
    fault = fault ? fault : gate_query_fault(out->query);
    return fault ? scan_refuse(s, 400, fault) : GATE_OK;
}

static enum gate_result request_version(struct scan *s, struct gate_request *out)
{
    static const uint8_t version[] = "HTTP/1.";
    enum { NAME = 5 };
    for (size_t i = 0; i < sizeof(version) - 1; i++, s->p++) {
        if (s->p == s->end)
            return GATE_MORE;
        if (*s->p != version[i])
            return i < NAME ? scan_refuse(s, 400, "the request line is malformed")
                            : scan_refuse(s, 505, "a version of HTTP other than 1.0 and 1.1");
    }
    if (s->p == s->end)
        return GATE_MORE;
    if (*s->p != '0' && *s->p != '1')
        return scan_refuse(s, 505, "a version of HTTP other than 1.0 and 1.1");
    out->minor = *s->p++ - (unsigned)'0';
    return scan_newline(s);
}

static enum gate_result request_framing(const struct scan *s, const struct fields *f,
                                        struct gate_request *out)
{
    if (!f->has_host)
        return scan_refuse(s, 400, "no Host header");
    if (f->chunked && f->has_length)
        return scan_refuse(s, 400, "both Content-Length and Transfer-Encoding");
    if (f->chunked && out->minor == 0)
        return scan_refuse(s, 400, "Transfer-Encoding in HTTP/1.0");
    if ((f->chunked || f->length) && !has_body(out->method))
        return scan_refuse(s, 400, "a body with a method that has none");
    out->host = f->host;
    out->n_headers = f->n;
    out->length = f->length;
    out->body = f->chunked ? GATE_BODY_CHUNKED : f->has_length ? GATE_BODY_LENGTH : GATE_BODY_NONE;
    /* RFC 9110 section 10.1.1: void in HTTP/1.0, and where no body follows */
    out->expect_continue = f->expect_continue && out->minor && (f->chunked || f->length);
    out->keep_alive = !f->close && (out->minor || f->keep_alive);
    out->upgrade = f->upgrade;
    return GATE_OK;
}

static enum gate_result request_head(struct scan *s, struct gate_request *out)
{
    typedef enum gate_result step_fn(struct scan *, struct gate_request *);
    static step_fn *const line[] = {request_method, request_target, request_version};
    // cppcheck-suppress ctuuninitvar ; the address of an array
    struct fields f = {.header = out->header};
    enum gate_result r = GATE_OK;
    for (size_t i = 0; i < COUNT(line) && r == GATE_OK; i++)
        r = line[i](s, out);
    if (r == GATE_OK)
        r = gate_fields(s, &f);
    return r == GATE_OK ? request_framing(s, &f, out) : r;
}

enum gate_result gate_request(struct view bytes, struct gate_request *out, size_t *used,
                              struct gate_refusal *no)
{
    struct scan s = scan_of(bytes, false, no);
    enum gate_result r = scan_end(&s, request_head(&s, out));
    if (r == GATE_OK)
        *used = (size_t)(s.p - bytes.p);
    return r;
}
