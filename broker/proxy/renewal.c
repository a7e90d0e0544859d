/*
 * Token endpoints. The order: the head is judged, the body read whole (it is small) and strictly, then the vault alone decides and writes
 * the answer; what a client holds as final is said only when the vault has said that the token proves nothing any more, so that a broker that
 * is locked or busy logs nobody out.
 */
#include "proxy/renewal.h"

#include "base/auto.h"
#include "base/jsonw.h"
#include "proxy/link.h"
#include "proxy/stream.h"
#include "proxy/token_body.h"

#include <broker/secret.h>
#include <inttypes.h>
#include <string.h>

struct renewal {
    const char *path, *client, *grant_type, *member;
    unsigned final_status; /* of a token that proves nothing any more … */
    const char *final_code;
    bool
        nested; /* … and whether its code stands in an object, as OpenAI has it, or as RFC 6749 section 5.2 */
};
static const struct renewal renewals[] = {
    {"/oauth/token", "codex", "refresh_token", "refresh_token", 401, "refresh_token_invalidated",
     true},
    {"/v1/oauth/token", "claude", "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion", 400,
     "invalid_grant", false},
};

struct renewal_error {
    err_t e;
    const char *reason;
    int64_t retry_ms;
};

const struct renewal *renewal_of(struct view path)
{
    for (size_t i = 0; i < COUNT(renewals); i++)
        if (view_is(path, renewals[i].path))
            return &renewals[i];
    return NULL;
}

/* ---- answers */

static void write_head(struct buf *out, unsigned status, size_t length, bool keep)
{
    const char *phrase = status == 200   ? "OK"
                         : status == 400 ? "Bad Request"
                         : status == 401 ? "Unauthorized"
                         : status == 405 ? "Method Not Allowed"
                                         : "Service Unavailable";
    buf_add_fmt(out,
                "HTTP/1.1 %u %s\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n"
                "Content-Length: %zu\r\n%s",
                status, phrase, length, keep ? "" : "Connection: close\r\n");
}

static void answer(struct stream *s, unsigned status, struct view body, err_t e, int64_t retry_ms)
{
    AUTO(buf_free) struct buf out = {0};
    write_head(&out, status, body.n, s->keep_alive);
    if (retry_ms > 0)
        buf_add_fmt(&out, "Retry-After: %" PRId64 "\r\n", (retry_ms + 999) / 1000);
    if (status == 405)
        buf_add_str(&out, "Allow: POST\r\n");
    buf_add_str(&out, "\r\n");
    buf_add_view(&out, body);
    stream_answer(s, &out, status, e);
}

static void write_error(const struct renewal *r, const char *code, const char *reason,
                        struct buf *out)
{
    struct jsonw w = jsonw_to(out);
    jsonw_open(&w, NULL, '{');
    if (r->nested) {
        jsonw_open(&w, "error", '{');
        jsonw_str(&w, "code", code);
        jsonw_str(&w, "message", reason);
        jsonw_close(&w, '}');
    } else {
        jsonw_str(&w, "error", code);
        jsonw_str(&w, "error_description", reason);
    }
    jsonw_close(&w, '}');
}

static void refuse(struct stream *s, unsigned status, const char *code, struct renewal_error no)
{
    AUTO(buf_free) struct buf body = {0};
    write_error(s->renewal, code, no.reason, &body);
    answer(s, status, buf_view(&body), no.e, no.retry_ms);
}

void renewal_fail(struct stream *s, err_t e, const char *reason, int64_t retry_ms)
{
    static const err_t final[] = {ERR_AUTH, ERR_EXPIRED, ERR_DENIED, ERR_NOT_FOUND};
    struct renewal_error no = {e, reason && reason[0] ? reason : err_text(e), retry_ms};
    for (size_t i = 0; i < COUNT(final); i++)
        if (final[i] == e) {
            refuse(s, s->renewal->final_status, s->renewal->final_code, no);
            return;
        }
    if (e == ERR_INVALID || e == ERR_TOO_LARGE)
        refuse(s, 400, "invalid_request", no);
    else
        refuse(s, 503, "temporarily_unavailable", no);
}

/* ---- the head */

void renewal_begin(struct stream *s, const struct renewal *r, const struct gate_request *rq)
{
    s->renewal = r;
    s->state = STREAM_TOKEN;
    struct view coding = gate_header_of(rq->header, rq->n_headers, "content-encoding", NULL);
    s->token_form =
        token_body_type(gate_header_of(rq->header, rq->n_headers, "content-type", NULL));
    if (!view_is(rq->method, "POST"))
        refuse(s, 405, "invalid_request",
               (struct renewal_error){ERR_INVALID, "tokens are renewed by POST", 0});
    else if (coding.n && !view_is(coding, "identity"))
        renewal_fail(s, ERR_INVALID, "a coded body is not read here", 0);
    else if (rq->body == GATE_BODY_LENGTH && rq->length > TOKEN_BODY_MAX)
        renewal_fail(s, ERR_TOO_LARGE, "the body is too large for a token request", 0);
}

/* ---- the body, and the question */

static void ask(struct stream *s, const struct token_body *t)
{
    struct buf *out = &s->proxy->packet;
    struct why why = {0};
    s->asked = ++s->proxy->questions;
    s->state = STREAM_ASKS;
    msg_begin(out, MSG_PROXY_TOKEN, s->asked, s->client->id);
    msg_put(out, F_TOKEN, VIEW(t->token, t->token_len));
    msg_put_str(out, F_OP, s->renewal->client);
    err_t e = out->bad ? fail(&why, ERR_INVALID, "that is no token of the broker")
                       : link_request(s->proxy->link, s->client, buf_view(out), &why);
    buf_reset(out);
    if (e != ERR_OK)
        renewal_fail(s, e, why.text, 1000);
}

void renewal_run(struct stream *s)
{
    struct client *c = s->client;
    struct token_body body;
    struct why why = {0};
    stream_up_collect(s, TOKEN_BODY_MAX);
    if (c->stream != s || s->state != STREAM_TOKEN || !s->up.read_all)
        return;
    err_t e =
        token_body_read(s->token_form, buf_view(&s->up.kept), s->renewal->member, &body, &why);
    buf_free(&s->up.kept);
    if (e != ERR_OK)
        renewal_fail(s, e, why.text, 0);
    else if (strcmp(body.grant_type, s->renewal->grant_type) != 0)
        refuse(s, 400, "unsupported_grant_type",
               (struct renewal_error){ERR_INVALID, "this grant_type is not answered here", 0});
    else
        ask(s, &body);
    wipe(&body, sizeof(body));
}

void renewal_on_reply(struct stream *s, const struct msg *m)
{
    uint64_t status = msg_u64(m, F_STATUS, ERR_INTERNAL);
    char reason[256];
    if (status == ERR_OK && m->has[F_BODY]) {
        answer(s, 200, msg_view(m, F_BODY), ERR_OK, 0);
        return;
    }
    (void)view_copy(msg_view(m, F_REASON), reason, sizeof(reason));
    renewal_fail(s, status > ERR_OK && status < ERR__COUNT ? (err_t)status : ERR_INTERNAL, reason,
                 (int64_t)msg_u64(m, F_RETRY_MS, 0));
}
