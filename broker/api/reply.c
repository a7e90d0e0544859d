/*
 * Answers. The body is copied once, from the vault's packet into a block of its own that is wiped
 * when libmicrohttpd lets go of it (after sending, or when the client went away); libmicrohttpd
 * writes from that block and keeps no copy.
 */
#include "api/reply.h"
#include "api/answer.h"
#include "base/auto.h"

#include <broker/secret.h>
#include <inttypes.h>
#include <microhttpd.h>

#include <string.h>

struct block {
    size_t n;
    uint8_t bytes[];
};

static void block_free(void *p)
{
    struct block *b = p;
    wipe(b->bytes, b->n);
    free(b);
}

static struct MHD_Response *response_of(struct view body)
{
    struct block *b = malloc(sizeof(*b) + body.n);
    if (!b)
        return NULL;
    b->n = body.n;
    if (body.n)
        memcpy(b->bytes, body.p, body.n);
    struct MHD_Response *r =
        MHD_create_response_from_buffer_with_free_callback_cls(body.n, b->bytes, block_free, b);
    if (!r)
        block_free(b);
    return r;
}

static bool add(struct MHD_Response *r, const char *name, const char *value)
{
    return MHD_add_response_header(r, name, value) == MHD_YES;
}

static bool finish(struct view body, const char *type, struct reply *out)
{
    struct MHD_Response *r = response_of(body);
    if (!r)
        return false;
    if (!add(r, MHD_HTTP_HEADER_CONTENT_TYPE, type) ||
        !add(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store")) {
        MHD_destroy_response(r);
        return false;
    }
    out->http = r;
    return true;
}

bool reply_error(err_t e, const struct why *why, const char *allow, struct reply *out)
{
    AUTO(buf_free) struct buf body = {0};
    answer_error_json(e, why ? why->text : NULL, &body);
    out->status = (unsigned)err_http(e);
    if (body.bad || !finish(buf_view(&body), "application/json", out))
        return false;
    if (e == ERR_METHOD && allow && allow[0])
        (void)add(out->http, MHD_HTTP_HEADER_ALLOW, allow);
    if (e == ERR_AUTH)
        (void)add(out->http, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
    return true;
}

static void add_retry(struct reply *out, const struct msg *m)
{
    char seconds[24];
    if (!m->has[F_RETRY_MS])
        return;
    snprintf(seconds, sizeof(seconds), "%" PRIu64, msg_u64(m, F_RETRY_MS, 0) / 1000 + 1);
    (void)add(out->http, MHD_HTTP_HEADER_RETRY_AFTER, seconds);
}

bool reply_from_message(const struct route *r, const struct msg *m, struct reply *out)
{
    static const char *const type[] = {
        [REPLY_JSON] = "application/json",
        [REPLY_PROMETHEUS] = "text/plain; version=0.0.4; charset=utf-8",
        [REPLY_JSONL] = "application/jsonl",
    };
    uint64_t status = msg_u64(m, F_STATUS, ERR_INTERNAL);
    if (status == ERR_OK) {
        out->status = (unsigned)err_http(ERR_OK);
        return finish(msg_view(m, F_BODY), type[r->reply], out);
    }
    struct why why = {0};
    (void)view_copy(msg_view(m, F_REASON), why.text, sizeof(why.text));
    if (!reply_error(status < ERR__COUNT ? (err_t)status : ERR_INTERNAL, &why, NULL, out))
        return false;
    add_retry(out, m);
    return true;
}
