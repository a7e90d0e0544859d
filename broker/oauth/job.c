/*
 * Takes one job, carries it out, and tells. The vault asks, and yet the question is checked like any other. What comes in and goes out
 * are secrets: every buffer here is wiped by its scope.
 */
#include "oauth/job.h"

#include "base/auto.h"
#include "base/ipc.h"
#include "base/msg.h"
#include "oauth/form.h"
#include "oauth/http.h"
#include "oauth/reply.h"

#include <limits.h>

static err_t receive(int sock, int wait_ms, struct buf *packet, struct msg *m, struct why *why)
{
    int fd = -1;
    TRY(ipc_wait(sock, wait_ms, why));
    err_t e = ipc_recv(sock, packet, &fd, why);
    auto_close(&fd); /* none of ours carries one */
    TRY(e);
    return msg_parse(buf_view(packet), FROM_VAULT, m, why);
}

static err_t send(int sock, const struct buf *b, struct why *why)
{
    TRY(buf_ok(b, why));
    return ipc_send(sock, buf_view(b), -1, why);
}

/* ---- the network's part */

static err_t post(const struct msg *m, struct http_reply *reply, struct why *why)
{
    AUTO(buf_free) struct buf body = {.max = 4 * MSG_MAX};
    char ca[PATH_MAX];
    uint64_t flags = msg_u64(m, F_FLAGS, 0), ttl = msg_u64(m, F_TTL_MS, 0);
    if (ttl == 0 || ttl > JOB_TTL_MAX_MS)
        return fail(why, ERR_INVALID, "a job has a time of 1 to %d ms", JOB_TTL_MAX_MS);
    if (!view_copy(msg_view(m, F_PATH), ca, sizeof(ca)))
        return fail(why, ERR_INVALID, "the path of the CA file is too long");
    TRY(form_body(msg_view(m, F_PAIRS), flags & OAUTH_FORM, &body, why));
    return http_post(&(struct http_ask){.url = msg_view(m, F_URL),
                                        .ca = ca[0] ? ca : NULL,
                                        .body = buf_view(&body),
                                        .form = flags & OAUTH_FORM,
                                        .insecure_loopback = flags & OAUTH_LOOPBACK,
                                        .timeout_ms = (int64_t)ttl},
                     reply, why);
}

static err_t tell_raw(int sock, const struct http_reply *r, err_t e, const struct why *reason,
                      struct why *why)
{
    AUTO(buf_free) struct buf b = {.max = MSG_MAX};
    msg_begin(&b, MSG_OAUTH_RAW, 0, 0);
    msg_put_u64(&b, F_STATUS, (uint64_t)e);
    if (e != ERR_OK)
        msg_put_str(&b, F_REASON, reason->text);
    if (r->retry_ms)
        msg_put_u64(&b, F_RETRY_MS, (uint64_t)r->retry_ms);
    msg_put_u64(&b, F_FLAGS, r->sent ? OAUTH_SENT : 0);
    msg_put_u64(&b, F_HTTP_STATUS, r->status);
    if (e == ERR_OK)
        msg_put(&b, F_RAW, buf_view(&r->body));
    return send(sock, &b, why);
}

/* ---- what it means */

static void put_device(struct buf *b, const struct reply *r)
{
    if (!r->device_code.len)
        return;
    msg_put(b, F_DEVICE_CODE, buf_view(&r->device_code));
    msg_put_str(b, F_USER_CODE, r->user_code);
    msg_put_str(b, F_VERIFY_URI, r->verify_uri);
    msg_put_str(b, F_VERIFY_FULL, r->verify_full[0] ? r->verify_full : NULL);
    msg_put_u64(b, F_INTERVAL_MS, (uint64_t)r->interval_ms);
}

static err_t tell_result(int sock, const struct reply_ask *ask, struct why *why)
{
    AUTO(buf_free) struct buf b = {.max = MSG_MAX};
    AUTO(reply_free) struct reply r;
    reply_parse(ask, &r);
    msg_begin(&b, MSG_OAUTH_RESULT, 0, 0);
    if (r.login.len)
        msg_put(&b, F_BODY, buf_view(&r.login));
    if (r.expires_ms)
        msg_put_u64(&b, F_AT_MS, (uint64_t)r.expires_ms);
    msg_put_u64(&b, F_VERDICT, r.verdict);
    msg_put_str(&b, F_CODE, r.code[0] ? r.code : NULL);
    put_device(&b, &r);
    if (r.verifier.len) {
        msg_put(&b, F_AUTH_CODE, buf_view(&r.code_granted));
        msg_put(&b, F_VERIFIER, buf_view(&r.verifier));
    }
    return send(sock, &b, why);
}

static err_t parse_job(int sock, const struct msg *m, const struct provider *p, struct why *why)
{
    const struct reply_ask ask = {.provider = p,
                                  .status = (unsigned)msg_u64(m, F_HTTP_STATUS, 0),
                                  .body = msg_view(m, F_RAW),
                                  .at_ms = (int64_t)msg_u64(m, F_AT_MS, 0),
                                  .device = msg_u64(m, F_FLAGS, 0) & OAUTH_DEVICE,
                                  .poll = msg_u64(m, F_FLAGS, 0) & OAUTH_POLL};
    return tell_result(sock, &ask, why);
}

static err_t ask_job(int sock, const struct msg *m, const struct provider *p, struct why *why)
{
    AUTO(buf_free) struct buf packet = {.max = MSG_MAX};
    struct http_reply reply = {0};
    struct msg kept = {0};
    struct why reason = {0};
    err_t e = post(m, &reply, &reason);
    err_t told = tell_raw(sock, &reply, e, &reason, why);
    if (told == ERR_OK && e == ERR_OK)
        told = receive(sock, JOB_KEPT_MS, &packet, &kept, why);
    if (told == ERR_OK && e == ERR_OK && kept.type != MSG_OAUTH_KEPT)
        told = fail(why, ERR_INVALID, "the vault says something else than that it was kept");
    if (told == ERR_OK && e == ERR_OK)
        told = tell_result(sock,
                           &(struct reply_ask){.provider = p,
                                               .status = reply.status,
                                               .body = buf_view(&reply.body),
                                               .at_ms = (int64_t)msg_u64(&kept, F_AT_MS, 0),
                                               .device = msg_u64(m, F_FLAGS, 0) & OAUTH_DEVICE,
                                               .poll = msg_u64(m, F_FLAGS, 0) & OAUTH_POLL},
                           why);
    buf_free(&reply.body);
    return told;
}

err_t job_serve(int sock, struct why *why)
{
    AUTO(buf_free) struct buf packet = {.max = MSG_MAX};
    struct msg m;
    TRY(receive(sock, JOB_WAIT_MS, &packet, &m, why));
    const struct provider *p = provider_by_name(msg_view(&m, F_PROVIDER));
    if (m.type != MSG_OAUTH_JOB || !p)
        return fail(why, ERR_INVALID, "not a job for this program");
    if (view_is(msg_view(&m, F_OP), "parse"))
        return parse_job(sock, &m, p, why);
    if (view_is(msg_view(&m, F_OP), "ask"))
        return ask_job(sock, &m, p, why);
    return fail(why, ERR_INVALID, "there are two kinds of jobs: ask and parse");
}
