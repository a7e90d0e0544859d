/*
 * The way of a request: packet → parse → connection (attested from its descriptor when first shown) → operation → record → answer.
 * Order is the security argument: nothing is decided before the kernel's facts are known, no secret is opened before the record
 * of its release is as durable as configured, and an answer whose record did not land within the deadline is a refusal.
 * The queue is in order of sink positions, so "what is durable" is a prefix of it.
 */
#include "vault/server.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/ipc.h"
#include "base/log.h"
#include "base/name.h"
#include "vault/conn.h"
#include "vault/worker.h"

#include <stdlib.h>
#include <string.h>

enum { PACKETS_PER_TURN = 256 };

void pending_free(struct pending *p)
{
    if (!p)
        return;
    secret_free(p->payload);
    buf_free(&p->text);
    free(p);
}

static void send_reply(struct vault *v, const struct pending *p, err_t e, const struct buf *body,
                       const struct why *why)
{
    struct buf *out = &v->packet;
    out->max = MSG_MAX;
    msg_begin(out, MSG_REPLY, p->id, p->conn);
    msg_put_u64(out, F_STATUS, (uint64_t)e);
    if (e != ERR_OK)
        msg_put_str(out, F_REASON, why && why->text[0] ? why->text : err_text(e));
    else if (body && body->len)
        msg_put(out, F_BODY, buf_view(body));
    if (e == ERR_LIMIT || e == ERR_AUDIT)
        msg_put_u64(out, F_RETRY_MS, 1000);
    worker_send(&v->workers[p->worker], out, -1);
    buf_reset(out);
}

void server_answer(struct vault *v, struct pending *p, err_t e, const struct buf *body, const struct why *why)
{
    send_reply(v, p, e, body, why);
    pending_free(p);
}

/* ---- records */

static bool must_wait(const struct vault *v, enum audit_event event)
{
    switch (v->config->sync) {
    case AUDIT_SYNC_EVERY:
        return true;
    case AUDIT_SYNC_RELEASE:
        return audit_event_is_release(event);
    default:
        return false;
    }
}

err_t server_record(struct vault *v, const struct audit_record *r, struct pending *p, struct why *why)
{
    uint64_t pos = 0;
    if (!v->audit)
        return fail(why, ERR_LOCKED, "%s", v->state_why);
    err_t e = audit_append(v->audit, r, &pos, why);
    if (e != ERR_OK) {
        v->count.audit_refusals++;
        return e;
    }
    if (p && must_wait(v, r->event))
        p->pos = pos;
    return ERR_OK;
}

void server_note(struct vault *v, const struct audit_record *r)
{
    struct why why = {0};
    if (v->audit && server_record(v, r, NULL, &why) != ERR_OK)
        log_event(LOG_LVL_WARN, "audit.lost", "event", audit_event_name(r->event), "why", why.text, NULL);
}

/* ---- the second step */

static void finish(struct vault *v, struct pending *p)
{
    struct why why = {0};
    struct buf *body = &v->reply;
    struct jsonw w = jsonw_to(body);
    err_t e = p->op->finish ? p->op->finish(v, p, &w, &why) : ERR_OK;
    if (e == ERR_OK && body->bad)
        e = fail(&why, ERR_TOO_LARGE, "the answer does not fit");
    send_reply(v, p, e, body, &why);
    buf_reset(body);
}

static void refuse_late(struct vault *v, struct pending *p)
{
    struct why why = {0};
    if (p->op->undo)
        p->op->undo(v, p);
    v->count.audit_refusals++;
    err_t e = sink_health(v->sink, &why);
    if (e == ERR_OK)
        e = fail(&why, ERR_AUDIT, "the audit log was not written within %d ms", SINK_DEADLINE_MS);
    send_reply(v, p, e, NULL, &why);
}

static struct pending *unqueue(struct vault *v)
{
    struct pending *p = v->queue;
    v->queue = p->next;
    if (!v->queue)
        v->queue_tail = &v->queue;
    return p;
}

void server_on_progress(void *ctx)
{
    struct vault *v = ctx;
    uint64_t durable = sink_durable(v->sink);
    int64_t now = clock_boot_ms();
    struct why why = {0};
    bool sick = sink_health(v->sink, &why) != ERR_OK;
    while (v->queue) {
        bool done = v->queue->pos <= durable;
        if (!done && !sick && v->queue->deadline_ms > now)
            break;
        struct pending *p = unqueue(v);
        if (done)
            finish(v, p);
        else
            refuse_late(v, p);
        pending_free(p);
    }
    if (v->queue && loop_timer_set(v->queue_timer, v->queue->deadline_ms) != ERR_OK)
        log_event(LOG_LVL_ERROR, "timer.failed", NULL);
}

static void enqueue(struct vault *v, struct pending *p)
{
    p->deadline_ms = loop_now(v->loop) + SINK_DEADLINE_MS;
    if (!v->queue && loop_timer_set(v->queue_timer, p->deadline_ms) != ERR_OK)
        log_event(LOG_LVL_ERROR, "timer.failed", NULL);
    *v->queue_tail = p;
    v->queue_tail = &p->next;
}

void server_wait(struct vault *v, struct pending *p)
{
    if (p->pos > sink_durable(v->sink)) {
        enqueue(v, p);
        return;
    }
    finish(v, p);
    pending_free(p);
}

/* One wake-up of the audit writer for all that a turn brought: group commit. */
void server_turn_end(void *ctx)
{
    struct vault *v = ctx;
    if (v->sink)
        sink_flush(v->sink, v->queue != NULL);
}

/* ---- the first step */

static const struct op *op_of(enum msg_type type)
{
    for (const struct op *op = ops; op->type != MSG_NONE; op++)
        if (op->type == type)
            return op;
    return NULL;
}

static void record_refusal(struct request *rq, const struct op *op, err_t e, const struct pending *p)
{
    struct vault *v = rq->v;
    char credential[65];
    if (op->event == AUDIT__COUNT || !v->audit)
        return;
    struct audit_record r = {.event = op->event, .outcome = e, .peer = &rq->conn->peer};
    r.consumer = rq->conn->consumer_name;
    /* a refused name is somebody's bytes: it is recorded only if it could be a name */
    struct view name = msg_view(rq->msg, F_CREDENTIAL);
    if (name_check(name, "credential", NULL) == ERR_OK && view_copy(name, credential, sizeof(credential)))
        r.credential = credential;
    (void)p;
    v->count.denied++;
    server_note(v, &r);
}

static void run(struct request *rq, const struct op *op)
{
    struct vault *v = rq->v;
    struct pending *p = calloc(1, sizeof(*p));
    if (!p)
        return; /* the worker's own deadline answers */
    *p = (struct pending){.op = op, .worker = rq->worker->kind, .conn = rq->msg->conn, .id = rq->msg->id};
    struct jsonw w = jsonw_to(&v->reply);
    err_t e = ERR_OK;
    if (op->needs_ready && v->state != VAULT_READY)
        e = fail(rq->why, v->state == VAULT_UNINITIALISED ? ERR_UNINIT
                          : v->state == VAULT_ROLLBACK    ? ERR_ROLLBACK
                                                          : ERR_LOCKED,
                 "%s", v->state_why);
    if (e == ERR_OK)
        e = op->decide(rq, p, &w);
    if (e == ERR_OK && v->reply.bad)
        e = fail(rq->why, ERR_TOO_LARGE, "the answer does not fit");
    if (e != ERR_OK)
        record_refusal(rq, op, e, p);
    if (rq->deferred) /* `p` has gone with the call to a key source, and may be answered already */
        return;
    if (e != ERR_OK || !op->finish)
        server_answer(v, p, e, &v->reply, rq->why);
    else
        server_wait(v, p);
    buf_reset(&v->reply);
}

static void on_request(struct vault_worker *wk, const struct msg *m, int fd)
{
    struct vault *v = wk->vault;
    struct why why = {0};
    struct pending p = {.worker = wk->kind, .conn = m->conn, .id = m->id};
    const struct op *op = op_of(m->type);
    err_t e = ERR_OK;
    v->count.messages++;
    if (!op)
        e = fail(&why, ERR_DENIED, "no such operation");
    else if (fd >= 0)
        e = conn_show(wk, m->conn, fd, &why);
    struct vault_conn *c = e == ERR_OK ? conn_find(wk, m->conn) : NULL;
    if (e == ERR_OK && !c)
        e = fail(&why, ERR_DENIED, "this connection is not known");
    if (e != ERR_OK) {
        send_reply(v, &p, e, NULL, &why);
        return;
    }
    if (wk->kind == WORKER_API)
        c->consumer = config_consumer(v->config, view_str(c->consumer_name));
    struct request rq = {.v = v, .worker = wk, .conn = c, .msg = m, .why = &why};
    run(&rq, op);
}

/* False: the worker broke the protocol or is gone. */
static bool on_packet(struct vault_worker *wk, struct view packet, int fd)
{
    struct why why = {0};
    struct msg m;
    uint32_t from = wk->kind == WORKER_ADMIN ? FROM_ADMIN : FROM_API;
    err_t e = msg_parse(packet, from, &m, &why);
    if (e == ERR_OK && fd >= 0 && !(msg_rule(m.type)->flags & M_FD))
        e = fail(&why, ERR_INVALID, "an unexpected descriptor");
    if (e != ERR_OK) {
        log_event(LOG_LVL_ERROR, "worker.protocol", "role", worker_role(wk->kind), "why", why.text, NULL);
        struct audit_record r = {.event = AUDIT_PROTOCOL, .outcome = e, .role = worker_role(wk->kind)};
        server_note(wk->vault, &r);
        return false;
    }
    if (m.type == MSG_READY)
        worker_on_ready(wk);
    else if (m.type == MSG_CLOSED)
        conn_close(wk, m.conn);
    else
        on_request(wk, &m, fd);
    return true;
}

void server_on_worker(void *ctx, int fd, uint32_t events)
{
    struct vault_worker *wk = ctx;
    struct vault *v = wk->vault;
    (void)events;
    worker_send_queued(wk);
    for (unsigned i = 0; i < PACKETS_PER_TURN && wk->sock == fd; i++) {
        struct why why = {0};
        AUTO(auto_close) int got = -1;
        err_t e = ipc_recv(fd, &v->inbox, &got, &why);
        if (e == ERR_UNAVAILABLE)
            return;
        bool good = e == ERR_OK && on_packet(wk, buf_view(&v->inbox), got);
        buf_reset(&v->inbox);
        if (!good) {
            worker_lost(wk, e == ERR_NO_BROKER ? "the worker closed its channel" : why.text);
            return;
        }
    }
}
