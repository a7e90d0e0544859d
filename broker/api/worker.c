/*
 * The worker: makes the parts, turns the loop, ends the phases that lasted too long. It decides
 * nothing: who may do what is the vault's business; here only shape, size, number and time are
 * limited.
 */
#include "api/worker.h"
#include "api/answer.h"
#include "api/front.h"
#include "api/link.h"
#include "base/auto.h"
#include "base/listen.h"
#include "base/log.h"
#include <broker/secret.h>

#include <sys/socket.h>

enum { STALL_MS = 250, QUOTA_API = 64, QUOTA_ADMIN = 16 };

/* ---- who comes */

static bool is_full(void *ctx)
{
    return conns_open(((struct worker *)ctx)->conns) >= CONN_MAX;
}

static void turn_away(void *ctx, int fd)
{
    AUTO(buf_free) struct buf out = {0};
    (void)ctx;
    answer_error(ERR_UNAVAILABLE, "too many connections at once; close some or wait",
                 &(struct answer_head){.retry_s = 1, .closes = true}, &out);
    if (!out.bad)
        (void)!send(fd, out.p, out.len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void adopt(void *ctx, int fd, struct listener *from)
{
    struct worker *w = ctx;
    w->front->adopt(w->clients, fd, from);
}

static void drop(void *ctx, const struct listener *from)
{
    struct worker *w = ctx;
    struct conn *c;
    for (uint32_t at = 0; (c = conn_next(w->conns, at)) != NULL;) {
        at = c->slot + 1;
        if (c->from == from)
            w->front->kill(w->clients, c); /* may free c */
    }
}

static const struct listen_ops who_comes = {is_full, turn_away, adopt, drop};

/* ---- turns */

static void expire(void *ctx, struct conn *c)
{
    struct worker *w = ctx;
    if (c->waiting_for)
        w->front->answer_error(
            w->clients, c, ERR_TIMEOUT,
            "the broker did not answer in time; the request may still have its effect");
    else
        w->front->kill(w->clients, c);
}

static void on_timer(void *ctx)
{
    struct worker *w = ctx;
    w->timer_at = INT64_MAX;
    listeners_retry(w->listeners);
    if (conns_next_deadline(w->conns) <= loop_now(w->loop))
        conns_expire(w->conns, loop_now(w->loop), expire, w);
}

static void arm(struct worker *w, int64_t at)
{
    if (at >= w->timer_at)
        return;
    if (loop_timer_set(w->timer, at) == ERR_OK)
        w->timer_at = at;
}

/* The end of a turn. */
static void turn(void *ctx)
{
    struct worker *w = ctx;
    if (w->front->run(w->clients))
        arm(w, loop_now(w->loop)); /* more is ready: come back after the other descriptors */
    link_flush(w->link);
    arm(w, conns_next_deadline(w->conns));
    arm(w, link_due(w->link));
    if (listeners_stalled(w->listeners))
        arm(w, loop_now(w->loop) + STALL_MS);
    wipe_stack();
}

static MUST err_t make_parts(struct worker *w, int vault_fd, const struct conn_limits *limits,
                             struct why *why)
{
    AUTO(auto_close) int owned = vault_fd;
    TRY(loop_new(&w->loop, why));
    TRY(conns_new(CONN_MAX, limits ? limits : &conn_limits_default, &w->conns, why));
    const struct listen_setup setup = {w->loop, &who_comes, w,
                                       w->role == FROM_ADMIN ? QUOTA_ADMIN : QUOTA_API, CONN_MAX};
    TRY(listeners_new(&setup, &w->listeners, why));
    TRY(w->front->open(w, &w->clients, why));
    if (loop_timer_new(w->loop, on_timer, w, &w->timer) != ERR_OK)
        return fail(why, ERR_INTERNAL, "out of memory");
    TRY(link_new(w, TAKE_FD(owned), &w->link, why));
    return ERR_OK;
}

err_t worker_new(uint32_t role, int vault_fd, const struct worker_options *opt, struct worker **out,
                 struct why *why)
{
    static const struct worker_options none;
    struct worker *w = calloc(1, sizeof(*w));
    if (!w) {
        close(vault_fd);
        return fail(why, ERR_INTERNAL, "out of memory");
    }
    w->role = role;
    w->timer_at = INT64_MAX;
    opt = opt ? opt : &none;
    w->front = opt->front ? opt->front : role == FROM_ADMIN ? &front_http : &front_wire;
    err_t e = make_parts(w, vault_fd, opt->limits, why);
    if (e != ERR_OK) {
        worker_free(w);
        return e;
    }
    loop_on_turn_end(w->loop, turn, w);
    *out = w;
    return ERR_OK;
}

int worker_run(struct worker *w, const char *sandbox)
{
    link_ready(w->link, sandbox);
    link_flush(w->link);
    return loop_run(w->loop);
}

/* libmicrohttpd must not be stopped with a suspended connection: all are killed and run out first.
 */
static void drain(struct worker *w)
{
    struct conn *c;
    for (uint32_t at = 0; (c = conn_next(w->conns, at)) != NULL;) {
        at = c->slot + 1;
        w->front->kill(w->clients, c); /* may free c */
    }
    while (w->front->run(w->clients))
        ;
}

void worker_free(struct worker *w)
{
    if (!w)
        return;
    if (w->clients)
        drain(w);
    w->front->free(w->clients);
    listeners_free(w->listeners);
    conns_free(w->conns);
    link_free(w->link);
    loop_timer_free(w->timer);
    loop_free(w->loop);
    free(w);
}
