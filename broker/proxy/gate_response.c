/*
 * Replies: as strict as requests about where they end, since a reply whose end two programs see in two places gives its tail to somebody
 * else's request; as patient as RFC 9110 asks about text (obs-text in values and reasons). Any refusal is the status 502.
 */
#include "proxy/gate_fields.h"

enum { BAD_GATEWAY = 502, SWITCHING = 101, NO_CONTENT = 204, NOT_MODIFIED = 304 };

/* "HTTP/1.1 SP 3DIGIT SP reason CRLF"; `9` stands for a digit */
static enum gate_result status_line(struct scan *s, struct gate_response *out)
{
    static const uint8_t form[] = "HTTP/1.9 999 ";
    enum { MINOR = 7, STATUS = 9 };
    const uint8_t *begin = s->p;
    for (size_t i = 0; i < sizeof(form) - 1; i++, s->p++) {
        if (s->p == s->end)
            return GATE_MORE;
        if (form[i] == '9' ? !gate_is(*s->p, GATE_DIGIT) : *s->p != form[i])
            return scan_refuse(s, BAD_GATEWAY, "the status line is malformed");
    }
    out->minor = begin[MINOR] - (unsigned)'0';
    out->status = 0;
    for (unsigned i = 0; i < 3; i++)
        out->status = out->status * 10 + begin[STATUS + i] - (unsigned)'0';
    if (out->minor > 1)
        return scan_refuse(s, BAD_GATEWAY, "a version of HTTP other than 1.0 and 1.1");
    if (out->status < 100 || out->status > 599)
        return scan_refuse(s, BAD_GATEWAY, "the status is out of range");
    if (out->status == SWITCHING)
        return scan_refuse(s, BAD_GATEWAY, "a change of protocol nobody asked for");
    scan_text(s);
    return scan_newline(s);
}

static enum gate_result reply_framing(const struct scan *s, const struct fields *f, bool to_head,
                                      struct gate_response *out)
{
    bool never = out->status < 200 || out->status == NO_CONTENT; /* RFC 9112 section 6.3, rule 1 */
    bool none = never || to_head || out->status == NOT_MODIFIED;
    if (f->chunked && f->has_length)
        return scan_refuse(s, BAD_GATEWAY, "both Content-Length and Transfer-Encoding");
    if (f->chunked && out->minor == 0)
        return scan_refuse(s, BAD_GATEWAY, "Transfer-Encoding in HTTP/1.0");
    if (never && (f->chunked || f->length))
        return scan_refuse(s, BAD_GATEWAY, "a body where there can be none");
    out->n_headers = f->n;
    out->keep_alive = !f->close && (out->minor || f->keep_alive);
    out->length = none ? 0 : f->length;
    out->body = GATE_BODY_NONE;
    if (!none && f->chunked)
        out->body = GATE_BODY_CHUNKED;
    else if (!none && f->has_length)
        out->body = GATE_BODY_LENGTH;
    else if (!none)
        out->body = GATE_BODY_UNTIL_CLOSE;
    out->keep_alive = out->keep_alive && out->body != GATE_BODY_UNTIL_CLOSE;
    return GATE_OK;
}

enum gate_result gate_response(struct view bytes, bool to_head, struct gate_response *out,
                               size_t *used, struct gate_refusal *no)
{
    struct scan s = scan_of(bytes, true, no);
    // cppcheck-suppress ctuuninitvar ; the address of an array
    struct fields f = {.header = out->header};
    enum gate_result r = status_line(&s, out);
    if (r == GATE_OK)
        r = gate_fields(&s, &f);
    if (r == GATE_OK)
        r = reply_framing(&s, &f, to_head, out);
    r = scan_end(&s, r);
    if (r == GATE_OK)
        *used = (size_t)(s.p - bytes.p);
    return r;
}
