/*
 * The life of a call: waits for its turn, is asked for of the supervisor, gets its job; RAW comes and is kept; RESULT comes and is the
 * outcome. Each state has a deadline, so a helper that hangs, or a provider that does, is its own call's problem. The helper's answers
 * are a foreign process's: what does not fit is the end of that call and of nothing else.
 */
#include "vault/oauthcall.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/ipc.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

enum { QUEUE_MS = 60000, BESIDES_MS = 10000, JOB_MAX = MSG_MAX };

enum state { WAITING, ASKED, SENT, KEPT };

struct oauth_call {
    struct vault *v;
    struct oauth_call *next;
    enum state state;
    struct buf job; /* the packet; holds secrets */
    int sock;
    int64_t ttl_ms;
    struct loop_fd *watch;
    struct loop_timer *timer;
    struct oauth_raw raw; /* without its body */
    err_t (*keep)(void *ctx, const struct oauth_raw *raw, struct why *why);
    void (*done)(void *ctx, const struct oauth_outcome *o, const struct why *why);
    void *ctx;
};

static void start_waiting(struct vault *v);

static void unlink_call(struct oauth_call *c)
{
    struct oauth_call **at = &c->v->oauth_calls;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
}

static void free_call(struct oauth_call *c)
{
    unlink_call(c);
    loop_unwatch(c->watch);
    loop_timer_free(c->timer);
    auto_close(&c->sock);
    buf_free(&c->job);
    free(c);
}

static void finish(struct oauth_call *c, struct oauth_outcome *o, const struct why *why)
{
    void (*done)(void *ctx, const struct oauth_outcome *o, const struct why *why) = c->done;
    struct vault *v = c->v;
    void *ctx = c->ctx;
    o->at_ms = c->raw.at_ms;
    o->status = c->raw.status;
    o->retry_ms = c->raw.retry_ms;
    free_call(c);
    done(ctx, o, why);
    start_waiting(v);
}

/* Whether the request may have gone out: the job did, so nobody knows better. */
static void finish_failed(struct oauth_call *c, err_t e, const struct why *why)
{
    struct oauth_outcome o = {.e = e, .sent = c->state >= SENT, .code = ""};
    finish(c, &o, why);
}

static void on_deadline(void *ctx)
{
    struct oauth_call *c = ctx;
    struct why why = {0};
    err_t e = fail(&why, ERR_TIMEOUT, "the identity provider did not answer in time");
    finish_failed(c, e, &why);
}

/* ---- its answers */

static err_t on_raw(struct oauth_call *c, const struct msg *m, struct oauth_outcome *o,
                    struct why *why)
{
    AUTO(buf_free) struct buf b = {.max = 512};
    struct view reason = msg_view(m, F_REASON);
    uint64_t status = msg_u64(m, F_STATUS, ERR_INTERNAL);
    o->sent = msg_u64(m, F_FLAGS, OAUTH_SENT) & OAUTH_SENT;
    c->raw = (struct oauth_raw){.status = (unsigned)msg_u64(m, F_HTTP_STATUS, 0),
                                .body = msg_view(m, F_RAW),
                                .retry_ms = (int64_t)msg_u64(m, F_RETRY_MS, 0),
                                .at_ms = clock_wall_ms()};
    if (status != ERR_OK)
        return fail(why, status < ERR__COUNT ? (err_t)status : ERR_INTERNAL, "%.*s", (int)reason.n,
                    (const char *)reason.p);
    if (c->keep)
        TRY(c->keep(c->ctx, &c->raw, why));
    c->raw.body = VIEW(NULL, 0);
    c->state = KEPT;
    msg_begin(&b, MSG_OAUTH_KEPT, 0, 0);
    msg_put_u64(&b, F_AT_MS, (uint64_t)c->raw.at_ms);
    return ipc_send(c->sock, buf_view(&b), -1, why);
}

static err_t on_result(const struct msg *m, struct oauth_outcome *o, char code[65], struct why *why)
{
    uint64_t verdict = msg_u64(m, F_VERDICT, OAUTH__COUNT);
    if (verdict >= OAUTH__COUNT)
        return fail(why, ERR_INTERNAL, "the oauth helper gave no verdict");
    if (m->has[F_BODY])
        TRY(cred_decode(msg_view(m, F_BODY), &o->login, why));
    (void)view_copy(msg_view(m, F_CODE), code, 65);
    o->code = code;
    o->verdict = (enum oauth_verdict)verdict;
    o->device_code = msg_view(m, F_DEVICE_CODE);
    o->user_code = msg_view(m, F_USER_CODE);
    o->verify_uri = msg_view(m, F_VERIFY_URI);
    o->verify_full = msg_view(m, F_VERIFY_FULL);
    o->auth_code = msg_view(m, F_AUTH_CODE);
    o->verifier = msg_view(m, F_VERIFIER);
    o->interval_ms = (int64_t)msg_u64(m, F_INTERVAL_MS, 0);
    o->expires_ms = (int64_t)msg_u64(m, F_AT_MS, 0);
    return ERR_OK;
}

/* false: the call goes on */
static bool on_packet(struct oauth_call *c, struct view packet, struct why *why)
{
    struct msg m = {0};
    char code[65] = "";
    struct oauth_outcome o = {.sent = true, .code = code};
    o.e = msg_parse(packet, FROM_HELPER, &m, why);
    if (o.e == ERR_OK && m.type == MSG_OAUTH_RAW && c->state == SENT) {
        o.e = on_raw(c, &m, &o, why);
        if (o.e == ERR_OK)
            return false;
    } else if (o.e == ERR_OK && m.type == MSG_OAUTH_RESULT && c->state == KEPT) {
        o.e = on_result(&m, &o, code, why);
    } else if (o.e == ERR_OK) {
        o.e = fail(why, ERR_INTERNAL, "the oauth helper answers out of turn");
    }
    finish(c, &o, why);
    return true;
}

static void on_answer(void *ctx, int fd, uint32_t events)
{
    struct oauth_call *c = ctx;
    AUTO(buf_free) struct buf packet = {.max = MSG_MAX};
    AUTO(auto_close) int surplus = -1;
    struct why why = {0};
    (void)events;
    err_t e = ipc_recv(fd, &packet, &surplus, &why);
    if (e == ERR_UNAVAILABLE)
        return;
    if (e == ERR_OK) {
        (void)on_packet(c, buf_view(&packet), &why);
        return;
    }
    e = fail(&why, ERR_UNAVAILABLE, "the oauth helper ended without an answer");
    finish_failed(c, e, &why);
}

/* ---- helpers */

static struct oauth_call *first_in(const struct vault *v, enum state state)
{
    struct oauth_call *c = v->oauth_calls;
    while (c && c->state != state)
        c = c->next;
    return c;
}

void oauthcall_on_refused(struct vault *v, const char *why_text)
{
    struct oauth_call *c = first_in(v, ASKED);
    struct why why = {0};
    err_t e = fail(&why, ERR_UNAVAILABLE, "the oauth helper could not be started: %s", why_text);
    if (c)
        finish_failed(c, e, &why);
}

void oauthcall_on_spawned(struct vault *v, int sock)
{
    struct oauth_call *c = first_in(v, ASKED);
    struct why why = {0};
    if (!c) { /* its call is over already */
        close(sock);
        return;
    }
    bool parse = c->raw.at_ms != 0;
    c->sock = sock;
    err_t e = ipc_send(sock, buf_view(&c->job), -1, &why);
    buf_free(&c->job);
    if (e == ERR_OK)
        e = loop_watch(v->loop, &(struct loop_source){sock, EPOLLIN, on_answer, c}, &c->watch,
                       &why);
    if (e == ERR_OK)
        e = loop_timer_set(c->timer, clock_boot_ms() + c->ttl_ms + BESIDES_MS);
    c->state = parse ? KEPT : SENT;
    if (e != ERR_OK)
        finish_failed(c, e, &why);
}

static unsigned count(const struct vault *v, bool waiting)
{
    unsigned n = 0;
    for (const struct oauth_call *c = v->oauth_calls; c; c = c->next)
        n += (c->state == WAITING) == waiting;
    return n;
}

static void start_waiting(struct vault *v)
{
    struct oauth_call *c = v->stopping ? NULL : first_in(v, WAITING);
    if (!c || count(v, false) >= OAUTHCALL_RUNNING)
        return;
    AUTO(buf_free) struct buf spawn = {.max = 512};
    struct why why = {0};
    msg_begin(&spawn, MSG_SPAWN, 0, 0);
    msg_put_str(&spawn, F_ROLE, "oauth");
    c->state = ASKED;
    err_t e = ipc_send(v->supervisor, buf_view(&spawn), -1, &why);
    if (e != ERR_OK)
        finish_failed(c, e, &why);
}

/* ---- the job */

static void put_job(struct buf *b, const struct oauthcall *call, int64_t ttl_ms)
{
    const struct oauth_client *o = call->client;
    const struct oauth_raw *raw = call->parse;
    unsigned flags = (o->form ? OAUTH_FORM : 0u) | (o->insecure_loopback ? OAUTH_LOOPBACK : 0u) |
                     (call->device ? OAUTH_DEVICE : 0u) | (call->poll ? OAUTH_POLL : 0u);
    msg_begin(b, MSG_OAUTH_JOB, 0, 0);
    msg_put_str(b, F_PROVIDER, o->provider->name);
    msg_put_u64(b, F_TTL_MS, (uint64_t)ttl_ms);
    msg_put_str(b, F_PATH, o->ca);
    msg_put_str(b, F_OP, raw ? "parse" : "ask");
    msg_put_u64(b, F_FLAGS, flags);
    if (raw)
        msg_put_u64(b, F_HTTP_STATUS, raw->status);
    msg_put_str(b, F_URL, raw ? NULL : call->url ? call->url : o->token_url);
    if (!raw)
        msg_put(b, F_PAIRS, call->pairs);
    if (raw) {
        msg_put(b, F_RAW, raw->body);
        msg_put_u64(b, F_AT_MS, (uint64_t)raw->at_ms);
    }
}

static err_t new_call(struct vault *v, const struct oauthcall *call, struct oauth_call **out,
                      struct why *why)
{
    if (count(v, true) >= OAUTHCALL_WAITING)
        return fail(why, ERR_LIMIT, "too many requests to identity providers wait already");
    AUTO(auto_free) struct oauth_call *c = calloc(1, sizeof(*c));
    if (!c)
        return fail(why, ERR_INTERNAL, "out of memory");
    *c = (struct oauth_call){.v = v,
                             .sock = -1,
                             .job = {.max = JOB_MAX},
                             .ttl_ms = call->ttl_ms ? call->ttl_ms : OAUTHCALL_TTL_MS,
                             .keep = call->keep,
                             .done = call->done,
                             .ctx = call->ctx};
    if (call->parse)
        c->raw = (struct oauth_raw){.status = call->parse->status, .at_ms = call->parse->at_ms};
    put_job(&c->job, call, c->ttl_ms);
    err_t e = buf_ok(&c->job, why);
    if (e == ERR_OK)
        e = loop_timer_new(v->loop, on_deadline, c, &c->timer);
    if (e == ERR_OK)
        e = loop_timer_set(c->timer, clock_boot_ms() + QUEUE_MS);
    if (e != ERR_OK) {
        loop_timer_free(c->timer);
        buf_free(&c->job);
        return e;
    }
    *out = TAKE(c);
    return ERR_OK;
}

void oauthcall_start(struct vault *v, const struct oauthcall *call)
{
    struct oauth_call *c = NULL;
    struct why why = {0};
    struct oauth_outcome o = {.code = ""};
    o.e = new_call(v, call, &c, &why);
    if (!c) {
        call->done(call->ctx, &o, &why);
        return;
    }
    struct oauth_call **at = &v->oauth_calls;
    while (*at)
        at = &(*at)->next;
    *at = c;
    start_waiting(v);
}

void oauthcall_drop(struct vault *v, const void *ctx)
{
    for (struct oauth_call *c = v->oauth_calls, *next; c; c = next) {
        next = c->next;
        if (c->ctx == ctx)
            free_call(c);
    }
}

void oauthcall_cancel_all(struct vault *v)
{
    struct why why = {0};
    err_t e = fail(&why, ERR_UNAVAILABLE, "the broker is stopping");
    while (v->oauth_calls)
        finish_failed(v->oauth_calls, e, &why);
}
