/*
 * A request head: a good one has its parts inside and in order, keeps the promises of gate.h when held against a dumb search through its
 * bytes, says the same when written out again, and every front part of it asks for more; a bad one gets the same verdict however it is cut.
 */
#include "fuzz/hold.h"

#include "proxy/gate.h"

#include <string.h>
#include <strings.h>

enum { CUTS = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static bool inside(struct view v, struct view whole)
{
    return v.p >= whole.p && v.n <= whole.n && v.p + v.n <= whole.p + whole.n;
}

static void holds_no(struct view v, const char *bytes)
{
    for (; *bytes; bytes++)
        HOLD(v.n == 0 || !memchr(v.p, *bytes, v.n));
    HOLD(v.n == 0 || !memchr(v.p, 0, v.n));
}

static unsigned named(const struct gate_request *q, const char *name)
{
    unsigned n;
    (void)gate_header_of(q->header, q->n_headers, name, &n);
    return n;
}

static void check_promises(const struct gate_request *q, struct view head)
{
    HOLD(head.n <= GATE_HEAD_MAX && head.n > 4 && memcmp(head.p + head.n - 4, "\r\n\r\n", 4) == 0);
    for (size_t i = 0; i < head.n; i++) {
        uint8_t c = head.p[i];
        HOLD(c < 0x7f && (c >= ' ' || c == '\t' || c == '\r' || c == '\n'));
        HOLD(c != '\n' || (i && head.p[i - 1] == '\r'));
        HOLD(c != '\r' || head.p[i + 1] == '\n');
        HOLD(c != '\n' || i + 1 == head.n || (head.p[i + 1] != ' ' && head.p[i + 1] != '\t'));
    }
    HOLD(inside(q->method, head) && inside(q->path, head) && inside(q->query, head) && inside(q->host, head));
    HOLD(q->path.n && q->path.p[0] == '/' && gate_path_ok(q->path) && q->path.n + q->query.n < GATE_TARGET_MAX + 1);
    holds_no(q->path, ";\\#? ");
    holds_no(q->query, ";\\# ");
    HOLD(!memmem(q->path.p, q->path.n, "//", 2) && !memmem(q->path.p, q->path.n, "/../", 4) && !memmem(q->path.p, q->path.n, "/./", 3));
    for (size_t i = 0; i + 2 < q->path.n; i++)
        HOLD(strncasecmp((const char *)q->path.p + i, "%2e", 3) != 0 && strncasecmp((const char *)q->path.p + i, "%2f", 3) != 0 &&
             strncasecmp((const char *)q->path.p + i, "%5c", 3) != 0 && strncasecmp((const char *)q->path.p + i, "%00", 3) != 0 &&
             strncasecmp((const char *)q->path.p + i, "%25", 3) != 0);
    HOLD(named(q, "host") == 1 && named(q, "content-length") + named(q, "transfer-encoding") <= 1);
    HOLD((q->body == GATE_BODY_CHUNKED) == (named(q, "transfer-encoding") == 1));
    HOLD((q->body == GATE_BODY_LENGTH) == (named(q, "content-length") == 1));
    HOLD(q->length <= INT64_MAX && (q->length == 0 || q->body == GATE_BODY_LENGTH));
    HOLD(q->upgrade == (named(q, "upgrade") > 0));
    HOLD(!(q->minor == 0 && (q->body == GATE_BODY_CHUNKED || q->expect_continue)));
    for (unsigned i = 0; i < q->n_headers; i++) {
        HOLD(inside(q->header[i].name, head) && inside(q->header[i].value, head) && q->header[i].name.n);
        holds_no(q->header[i].name, " \t\r\n:");
        holds_no(q->header[i].value, "\r\n");
    }
}

static void write_out(const struct gate_request *q, struct buf *b)
{
    buf_add_view(b, q->method);
    buf_add_str(b, " ");
    buf_add_view(b, q->path);
    buf_add_str(b, q->query.n ? "?" : "");
    buf_add_view(b, q->query);
    buf_add_fmt(b, " HTTP/1.%u\r\n", q->minor);
    for (unsigned i = 0; i < q->n_headers; i++) {
        buf_add_view(b, q->header[i].name);
        buf_add_str(b, ": ");
        buf_add_view(b, q->header[i].value);
        buf_add_str(b, "\r\n");
    }
    buf_add_str(b, "\r\n");
}

static void check_again(const struct gate_request *a)
{
    static struct gate_request b;
    struct gate_refusal no;
    static struct buf out; /* kept: an allocation for each input is most of its time */
    out.len = 0;
    size_t used = 0;
    write_out(a, &out);
    if (out.len > GATE_HEAD_MAX) /* a space more after each colon */
        return;
    HOLD(gate_request(buf_view(&out), &b, &used, &no) == GATE_OK && used == out.len);
    HOLD(view_eq(a->method, b.method) && view_eq(a->path, b.path) && view_eq(a->query, b.query) && view_eq(a->host, b.host));
    HOLD(a->minor == b.minor && a->n_headers == b.n_headers && a->body == b.body && a->length == b.length);
    HOLD(a->keep_alive == b.keep_alive && a->expect_continue == b.expect_continue && a->upgrade == b.upgrade);
    for (unsigned i = 0; i < a->n_headers; i++)
        HOLD(view_eq(a->header[i].name, b.header[i].name) && view_eq(a->header[i].value, b.header[i].value));
}

static size_t sum_of(struct view v)
{
    size_t sum = 0;
    for (size_t i = 0; i < v.n; i++)
        sum = sum * 31 + v.p[i];
    return sum >> 3;
}

/* Each front part says MORE, or what the whole says. */
static void check_cuts(struct view v, enum gate_result whole, size_t used, const struct gate_refusal *why)
{
    static struct gate_request q;
    size_t step = v.n / CUTS + 1; /* not all of them each time: the first is moved by a sum of the bytes */
    for (size_t n = sum_of(v) % step; n < v.n; n += step) {
        struct gate_refusal no = {0};
        size_t now = 0;
        enum gate_result r = gate_request(VIEW(v.p, n), &q, &now, &no);
        HOLD(r == GATE_MORE || r == whole);
        HOLD(whole != GATE_OK || (r == GATE_OK ? n >= used && now == used : n < used));
        HOLD(r != GATE_REFUSED || (no.status == why->status && no.reason == why->reason));
    }
}

/* The bytes as a path: what gate_path_ok takes, a request takes. */
static void check_path(struct view v)
{
    static struct gate_request q;
    struct gate_refusal no;
    static struct buf out;
    out.len = 0;
    size_t used = 0;
    if (!gate_path_ok(v))
        return;
    buf_add_str(&out, "GET ");
    buf_add_view(&out, v);
    buf_add_str(&out, " HTTP/1.1\r\nHost: a\r\n\r\n");
    HOLD(gate_request(buf_view(&out), &q, &used, &no) == GATE_OK && view_eq(q.path, v));
}

/* The bytes as a list: a member that is found stands in it, and is found too when the list is in another's. */
static void check_list(struct view v)
{
    static struct buf out;
    out.len = 0;
    bool found = gate_list_has(v, "host");
    buf_add_str(&out, "host,");
    buf_add_view(&out, v);
    HOLD(gate_list_has(buf_view(&out), "host"));
    HOLD(!found || v.n >= 4);
    HOLD(!gate_list_has(VIEW(out.p, 3), "host"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct gate_request q;
    struct gate_refusal no = {0};
    size_t used = 0;
    struct view v = VIEW(data, n);
    enum gate_result r = gate_request(v, &q, &used, &no);
    HOLD(r == GATE_OK || r == GATE_REFUSED || (r == GATE_MORE && n < GATE_HEAD_MAX));
    HOLD(r != GATE_REFUSED || (no.reason && no.status >= 400 && no.status <= 505));
    if (r == GATE_OK) {
        check_promises(&q, VIEW(data, used));
        check_again(&q);
    }
    check_cuts(v, r, used, &no);
    check_path(v);
    check_list(v);
    return 0;
}
