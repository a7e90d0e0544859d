/*
 * Responses as bytes. They are appended to a buffer that its owner wipes, since a body may be a
 * credential. No Date: there is a clock on both ends, and it is the same one.
 */
#include "api/answer.h"
#include "base/auto.h"
#include "base/jsonw.h"

#include <microhttpd.h>

enum { MS_PER_S = 1000 };
static const char json_type[] = "application/json";

static void put_number(struct buf *out, uint64_t v)
{
    char digits[24];
    size_t at = sizeof(digits);
    do
        digits[--at] = (char)('0' + v % 10);
    while (v /= 10);
    buf_add(out, digits + at, sizeof(digits) - at);
}

static void put_status(struct buf *out, unsigned status)
{
    static const char ok[] = "HTTP/1.1 200 OK\r\n";
    if (status == (unsigned)err_http(ERR_OK)) {
        buf_add(out, ok, sizeof(ok) - 1);
        return;
    }
    buf_add_str(out, "HTTP/1.1 ");
    put_number(out, status);
    buf_add_str(out, " ");
    buf_add_str(out, MHD_get_reason_phrase_for(status));
    buf_add_str(out, "\r\n");
}

static void put(unsigned status, const char *type, const struct answer_head *h, struct view body,
                struct buf *out)
{
    put_status(out, status);
    buf_add_str(out, "Content-Type: ");
    buf_add_str(out, type);
    buf_add_str(out, "\r\nCache-Control: no-store\r\nContent-Length: ");
    put_number(out, body.n);
    if (status == (unsigned)err_http(ERR_METHOD) && h->allow && h->allow[0]) {
        buf_add_str(out, "\r\nAllow: ");
        buf_add_str(out, h->allow);
    }
    if (status == (unsigned)err_http(ERR_AUTH))
        buf_add_str(out, "\r\nWWW-Authenticate: Bearer");
    if (h->retry_s) {
        buf_add_str(out, "\r\nRetry-After: ");
        put_number(out, h->retry_s);
    }
    if (h->closes)
        buf_add_str(out, "\r\nConnection: close");
    buf_add_str(out, "\r\n\r\n");
    if (!h->without_body)
        buf_add_view(out, body);
}

void answer_error_json(err_t e, const char *sentence, struct buf *out)
{
    struct jsonw w = jsonw_to(out);
    jsonw_open(&w, NULL, '{');
    jsonw_str(&w, "error", err_wire(e));
    jsonw_str(&w, "message", sentence && sentence[0] ? sentence : err_text(e));
    jsonw_close(&w, '}');
    buf_add_str(out, "\n");
}

void answer_error(err_t e, const char *sentence, const struct answer_head *h, struct buf *out)
{
    AUTO(buf_free) struct buf body = {0};
    answer_error_json(e, sentence, &body);
    out->bad |= body.bad;
    put(h->status ? h->status : (unsigned)err_http(e), json_type, h, buf_view(&body), out);
}

void answer_message(const struct route *r, const struct msg *m, struct answer_head h,
                    struct buf *out)
{
    static const char *const type[] = {
        [REPLY_JSON] = json_type,
        [REPLY_PROMETHEUS] = "text/plain; version=0.0.4; charset=utf-8",
        [REPLY_JSONL] = "application/jsonl",
    };
    uint64_t status = msg_u64(m, F_STATUS, ERR_INTERNAL);
    struct why why = {0};
    if (status == ERR_OK) {
        put((unsigned)err_http(ERR_OK), type[r->reply], &h, msg_view(m, F_BODY), out);
        return;
    }
    if (m->has[F_RETRY_MS])
        h.retry_s = msg_u64(m, F_RETRY_MS, 0) / MS_PER_S + 1;
    (void)view_copy(msg_view(m, F_REASON), why.text, sizeof(why.text));
    answer_error(status < ERR__COUNT ? (err_t)status : ERR_INTERNAL, why.text, &h, out);
}
