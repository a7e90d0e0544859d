/*
 * A reply's head; the first byte says whether it answers HEAD. A good one ends in exactly one place, says the same when written out again,
 * and every front part of it asks for more; a bad one gets the same verdict however it is cut.
 */
#include "fuzz/hold.h"

#include "proxy/gate.h"

#include <string.h>

enum { CUTS = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static unsigned named(const struct gate_response *q, const char *name)
{
    unsigned n;
    (void)gate_header_of(q->header, q->n_headers, name, &n);
    return n;
}

static void check_promises(const struct gate_response *q, struct view head, bool to_head)
{
    unsigned lengths = named(q, "content-length"), codings = named(q, "transfer-encoding");
    HOLD(head.n > 4 && head.n <= GATE_HEAD_MAX && memcmp(head.p + head.n - 4, "\r\n\r\n", 4) == 0);
    for (size_t i = 0; i < head.n; i++) {
        uint8_t c = head.p[i];
        HOLD(c != 0x7f && (c >= ' ' || c == '\t' || c == '\r' || c == '\n'));
        HOLD(c != '\n' || (i && head.p[i - 1] == '\r'));
        HOLD(c != '\r' || head.p[i + 1] == '\n');
        HOLD(c != '\n' || i + 1 == head.n || (head.p[i + 1] != ' ' && head.p[i + 1] != '\t'));
    }
    HOLD(q->status >= 100 && q->status <= 599 && q->status != 101 && q->minor <= 1);
    HOLD(lengths + codings <= 1 && q->length <= INT64_MAX);
    bool none = to_head || q->status < 200 || q->status == 204 || q->status == 304;
    HOLD((q->body == GATE_BODY_NONE) == none);
    HOLD(q->body != GATE_BODY_CHUNKED || (codings == 1 && q->minor == 1));
    HOLD(q->body != GATE_BODY_LENGTH || lengths == 1);
    HOLD(q->body != GATE_BODY_UNTIL_CLOSE || (lengths + codings == 0 && !q->keep_alive));
    for (unsigned i = 0; i < q->n_headers; i++) {
        struct gate_header h = q->header[i];
        HOLD(h.name.n && h.name.p >= head.p && h.value.p + h.value.n <= head.p + head.n);
        HOLD(!memchr(h.name.p, ':', h.name.n) && (!h.value.n || !memchr(h.value.p, '\n', h.value.n)));
    }
}

static void check_again(const struct gate_response *a, bool to_head)
{
    static struct gate_response b;
    struct gate_refusal no;
    static struct buf out; /* kept: an allocation for each input is most of its time */
    out.len = 0;
    size_t used = 0;
    buf_add_fmt(&out, "HTTP/1.%u %u \r\n", a->minor, a->status);
    for (unsigned i = 0; i < a->n_headers; i++) {
        buf_add_view(&out, a->header[i].name);
        buf_add_str(&out, ": ");
        buf_add_view(&out, a->header[i].value);
        buf_add_str(&out, "\r\n");
    }
    buf_add_str(&out, "\r\n");
    if (out.len <= GATE_HEAD_MAX) {
        HOLD(gate_response(buf_view(&out), to_head, &b, &used, &no) == GATE_OK && used == out.len);
        HOLD(a->status == b.status && a->minor == b.minor && a->n_headers == b.n_headers && a->body == b.body);
        HOLD(a->length == b.length && a->keep_alive == b.keep_alive);
        for (unsigned i = 0; i < a->n_headers; i++)
            HOLD(view_eq(a->header[i].name, b.header[i].name) && view_eq(a->header[i].value, b.header[i].value));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct gate_response whole, part;
    if (n == 0)
        return 0;
    bool to_head = data[0] & 1;
    struct view v = VIEW(data + 1, n - 1);
    struct gate_refusal why = {0};
    size_t used = 0, step = v.n / CUTS + 1, first = 0;
    for (size_t i = 0; i < v.n; i++)
        first = first * 31 + v.p[i];
    enum gate_result r = gate_response(v, to_head, &whole, &used, &why);
    HOLD(r != GATE_REFUSED || (why.status == 502 && why.reason));
    HOLD(r != GATE_MORE || v.n < GATE_HEAD_MAX);
    if (r == GATE_OK) {
        check_promises(&whole, VIEW(v.p, used), to_head);
        check_again(&whole, to_head);
    }
    for (size_t i = (first >> 3) % step; i < v.n; i += step) {
        struct gate_refusal no = {0};
        size_t now = 0;
        enum gate_result p = gate_response(VIEW(v.p, i), to_head, &part, &now, &no);
        HOLD(p == GATE_MORE || p == r);
        HOLD(r != GATE_OK || (p == GATE_OK ? i >= used && now == used : i < used));
        HOLD(p != GATE_REFUSED || no.reason == why.reason);
    }
    return 0;
}
