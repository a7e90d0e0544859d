/*
 * Calls to key sources. A helper's life: asked of the supervisor, one packet in, one packet out, gone. A call has a deadline of 15 s, so
 * a hung keyring never holds an unlock for ever; its socket is closed then and the helper ends by itself.
 */
#include "vault/keycall.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/ipc.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

enum { DEADLINE_MS = 15000 };

struct helper_call {
    struct vault *v;
    struct helper_call *next;
    const char *role;
    enum keycall_op op;
    struct buf ask; /* the packet; holds the passphrase */
    int sock;       /* -1 until spawned */
    struct loop_fd *watch;
    struct loop_timer *timer;
    keycall_done_fn *done;
    void *ctx;
};

static const char *const op_name[] = {"create", "open", "remove"};

static void unlink_call(struct helper_call *h)
{
    struct helper_call **at = &h->v->helpers;
    while (*at != h)
        at = &(*at)->next;
    *at = h->next;
}

static void finish(struct helper_call *h, err_t e, struct view params, struct secret *key,
                   const struct why *why)
{
    unlink_call(h);
    loop_unwatch(h->watch);
    loop_timer_free(h->timer);
    auto_close(&h->sock);
    buf_free(&h->ask);
    keycall_done_fn *done = h->done;
    void *ctx = h->ctx;
    free(h);
    done(ctx, e, params, key, why);
}

static void finish_failed(struct helper_call *h, err_t e, const struct why *why)
{
    finish(h, e, VIEW(NULL, 0), NULL, why);
}

static void on_deadline(void *ctx)
{
    struct why why = {0};
    err_t e =
        fail(&why, ERR_TIMEOUT, "the key source did not answer within %d s", DEADLINE_MS / 1000);
    finish_failed(ctx, e, &why);
}

static err_t read_answer(const struct helper_call *h, struct view packet, struct msg *m,
                         struct secret **key, struct why *why)
{
    TRY(msg_parse(packet, FROM_HELPER, m, why));
    uint64_t status = msg_u64(m, F_STATUS, ERR_INTERNAL);
    struct view reason = msg_view(m, F_REASON), bytes = msg_view(m, F_KEY);
    if (status != ERR_OK)
        return fail(why, status < ERR__COUNT ? (err_t)status : ERR_INTERNAL, "%.*s", (int)reason.n,
                    (const char *)reason.p);
    if (h->op == KEYCALL_REMOVE)
        return ERR_OK;
    if (bytes.n != KEYSOURCE_KEY_BYTES)
        return fail(why, ERR_INTERNAL, "the key source gave a key of %zu bytes", bytes.n);
    *key = secret_from(bytes.p, bytes.n);
    return *key ? ERR_OK : fail(why, ERR_UNAVAILABLE, "no secret memory left");
}

static void on_answer(void *ctx, int fd, uint32_t events)
{
    struct helper_call *h = ctx;
    AUTO(buf_free) struct buf packet = {.max = MSG_MAX};
    AUTO(auto_close) int surplus = -1;
    struct why why = {0};
    struct msg m = {0};
    struct secret *key = NULL;
    (void)events;
    err_t e = ipc_recv(fd, &packet, &surplus, &why);
    if (e == ERR_UNAVAILABLE)
        return;
    if (e == ERR_OK)
        e = read_answer(h, buf_view(&packet), &m, &key, &why);
    else
        e = fail(&why, ERR_UNAVAILABLE, "the key source's helper ended without an answer");
    if (e == ERR_OK)
        finish(h, ERR_OK, msg_view(&m, F_PARAMS), key, &why);
    else
        finish_failed(h, e, &why);
}

static struct helper_call *waiting_for(const struct vault *v, const char *role)
{
    struct helper_call *h = v->helpers;
    while (h && (h->sock >= 0 || strcmp(h->role, role) != 0))
        h = h->next;
    return h;
}

void keycall_on_refused(struct vault *v, const char *role, const char *why_text)
{
    struct helper_call *h = waiting_for(v, role);
    struct why why = {0};
    err_t e =
        fail(&why, ERR_UNAVAILABLE, "the key source's helper could not be started: %s", why_text);
    if (h)
        finish_failed(h, e, &why);
}

void keycall_on_spawned(struct vault *v, const char *role, int sock)
{
    struct helper_call *h = waiting_for(v, role);
    struct why why = {0};
    if (!h) { /* its call is over already */
        close(sock);
        return;
    }
    h->sock = sock;
    err_t e = ipc_send(sock, buf_view(&h->ask), -1, &why);
    buf_free(&h->ask);
    if (e == ERR_OK)
        e = loop_watch(v->loop, &(struct loop_source){sock, EPOLLIN, on_answer, h}, &h->watch,
                       &why);
    if (e != ERR_OK)
        finish_failed(h, e, &why);
}

static err_t ask_supervisor(struct helper_call *h, const struct keycall *call, struct why *why)
{
    struct vault *v = h->v;
    char id[33];
    hex_encode(call->store_id ? call->store_id : v->keys.header.store_id, 16, id);
    h->ask.max = MSG_MAX;
    msg_begin(&h->ask, MSG_KEY_ASK, 0, 0);
    if (call->passphrase.n)
        msg_put(&h->ask, F_PASSPHRASE, call->passphrase);
    msg_put_str(&h->ask, F_SOURCE, call->source->name);
    if (call->path.n)
        msg_put(&h->ask, F_PATH, call->path);
    if (call->params.n)
        msg_put(&h->ask, F_PARAMS, call->params);
    msg_put_str(&h->ask, F_OP, op_name[call->op]);
    msg_put_str(&h->ask, F_NOTE, id);
    TRY(buf_ok(&h->ask, why));
    TRY(loop_timer_new(v->loop, on_deadline, h, &h->timer));
    TRY(loop_timer_set(h->timer, clock_boot_ms() + DEADLINE_MS));
    AUTO(buf_free) struct buf spawn = {.max = 512};
    msg_begin(&spawn, MSG_SPAWN, 0, 0);
    msg_put_str(&spawn, F_ROLE, h->role);
    return ipc_send(v->supervisor, buf_view(&spawn), -1, why);
}

/* the directory of broker.yaml: where a key file goes when nobody says otherwise */
static void config_dir(const struct vault *v, char out[4096])
{
    const char *slash = strrchr(v->dirs->config, '/');
    size_t n = slash ? (size_t)(slash - v->dirs->config) : 0;
    if (!view_copy(VIEW(v->dirs->config, n), out, 4096) || n == 0)
        (void)view_copy(view_str("."), out, 4096);
}

static void call_here(struct vault *v, const struct keycall *call)
{
    AUTO(buf_free) struct buf params = {.max = KEYSOURCE_PARAMS_MAX};
    char dir[4096];
    struct why why = {0};
    struct secret *key = NULL;
    const struct keysource *s = call->source;
    config_dir(v, dir);
    struct keysource_ask ask = {.params = call->params,
                                .passphrase = call->passphrase,
                                .path = call->path,
                                .config_dir = dir};
    memcpy(ask.store_id, call->store_id ? call->store_id : v->keys.header.store_id, 16);
    err_t e = ERR_OK;
    if (call->op == KEYCALL_CREATE)
        e = s->create(&ask, &params, &key, &why);
    else if (call->op == KEYCALL_OPEN)
        e = s->open(&ask, &key, &why);
    else if (s->remove)
        e = s->remove(&ask, &why);
    call->done(call->ctx, e, buf_view(&params), key, &why);
}

/* A helper may take 256 MiB, and the supervisor ends a vault that asks for too many. */
static bool busy(const struct vault *v)
{
    unsigned n = 0;
    for (const struct helper_call *h = v->helpers; h; h = h->next)
        n++;
    return n >= KEYCALL_MAX;
}

void keycall_start(struct vault *v, const struct keycall *call)
{
    struct why why = {0};
    if (!call->source->helper) {
        call_here(v, call);
        return;
    }
    struct helper_call *h = busy(v) ? NULL : calloc(1, sizeof(*h));
    if (!h) {
        err_t e =
            fail(&why, ERR_LIMIT, "key sources are being asked already; try again in a moment");
        call->done(call->ctx, e, VIEW(NULL, 0), NULL, &why);
        return;
    }
    *h = (struct helper_call){.v = v,
                              .role = call->source->helper,
                              .op = call->op,
                              .sock = -1,
                              .done = call->done,
                              .ctx = call->ctx,
                              .next = v->helpers};
    v->helpers = h;
    err_t e = ask_supervisor(h, call, &why);
    if (e != ERR_OK)
        finish_failed(h, e, &why);
}

static void log_outcome(void *ctx, err_t e, struct view params, struct secret *key,
                        const struct why *why)
{
    (void)ctx;
    (void)params;
    secret_free(key);
    if (e != ERR_OK)
        log_event(LOG_LVL_WARN, "key.leftover", "why", why->text, NULL);
}

void keycall_forget(struct vault *v, const char *source, struct view params)
{
    struct keycall call = {.source = keysource_by_name(view_str(source)),
                           .op = KEYCALL_REMOVE,
                           .params = params,
                           .done = log_outcome};
    if (call.source)
        keycall_start(v, &call);
}

void keycall_cancel_all(struct vault *v)
{
    struct why why = {0};
    err_t e = fail(&why, ERR_UNAVAILABLE, "the broker is stopping");
    while (v->helpers)
        finish_failed(v->helpers, e, &why);
}
