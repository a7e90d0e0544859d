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
#include "vault/ops.h"
#include "vault/worker.h"

#include <stdlib.h>
#include <string.h>

enum { PACKETS_PER_TURN = 256, RETRY_MS = 1000 };

void pending_free(struct pending *p)
{
    if (!p)
        return;
    secret_free(p->payload);
    buf_free(&p->text);
    free(p);
}

/* In order of tags. */
static void put_proxied(struct buf *out, const struct pending *p, err_t e)
{
    char lease[2 * TOKEN_LEASE_ID + 1];
    hex_encode(p->lease, sizeof(p->lease), lease);
    msg_put_str(out, F_PROVIDER, e == ERR_OK ? NULL : p->provider);
    if (p->allowed && p->serial) {
        msg_put_u64(out, F_TTL_MS, (uint64_t)p->allowed_ms);
        msg_put_u64(out, F_USES, p->allowed);
    }
    msg_put_str(out, F_LEASE, p->serial ? lease : NULL);
    if (p->flags)
        msg_put_u64(out, F_FLAGS, p->flags);
    if (p->serial)
        msg_put_u64(out, F_SERIAL, p->serial);
    if (p->route)
        msg_put_u64(out, F_ROUTE, p->route);
}

static void build_reply(struct buf *out, const struct pending *p, err_t e, struct view text)
{
    msg_begin(out, MSG_REPLY, p->id, p->conn);
    msg_put_u64(out, F_STATUS, (uint64_t)e);
    if (text.n)
        msg_put(out, e == ERR_OK ? F_BODY : F_REASON, text);
    if (e == ERR_LIMIT || e == ERR_AUDIT)
        msg_put_u64(out, F_RETRY_MS, p->retry_ms > 0 ? (uint64_t)p->retry_ms : RETRY_MS);
    if (worker_is_proxy(p->worker))
        put_proxied(out, p, e);
}

static void send_reply(struct vault *v, const struct pending *p, err_t e, const struct buf *body,
                       const struct why *why)
{
    struct buf *out = worker_packet(&v->workers[p->worker]);
    struct view text = body ? buf_view(body) : VIEW(NULL, 0);
    if (e != ERR_OK)
        text = view_str(why && why->text[0] ? why->text : err_text(e));
    build_reply(out, p, e, text);
    if (out->bad) { /* too large, or a sentence that was cut inside a character: some answer must come */
        e = e == ERR_OK ? ERR_TOO_LARGE : e;
        build_reply(out, p, e, view_str(err_text(e)));
    }
    v->count.audit_refusals += e == ERR_AUDIT;
}

void server_answer(struct vault *v, struct pending *p, err_t e, const struct buf *body,
                   const struct why *why)
{
    send_reply(v, p, e, body, why);
    pending_free(p);
}

const struct peer *server_peer(const struct vault *v, const struct pending *p)
{
    const struct vault_conn *c = conn_find(&v->workers[p->worker], p->conn);
    return c ? &c->peer : NULL;
}

bool server_changing(const struct vault *v, const struct pending *p)
{
    for (const struct pending *q = v->queue; q; q = q->next)
        if (q->op->finish == p->op->finish && strcmp(q->name, p->name) == 0)
            return true;
    return false;
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

err_t server_record(struct vault *v, const struct audit_record *r, struct pending *p,
                    struct why *why)
{
    uint64_t pos = 0;
    if (!v->audit)
        return fail(why, ERR_LOCKED, "%s", v->state_why);
    TRY(audit_append(v->audit, r, &pos, why));
    if (p && must_wait(v, r->event))
        p->pos = pos;
    return ERR_OK;
}

void server_note(struct vault *v, const struct audit_record *r)
{
    struct why why = {0};
    if (v->audit && audit_note(v->audit, r, &why) != ERR_OK)
        log_event(LOG_LVL_WARN, "audit.lost", "event", audit_event_name(r->event), "why", why.text,
                  NULL);
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
    struct why why = {0}, own = {0};
    if (p->op->undo)
        p->op->undo(v, p);
    err_t e = sink_health(v->sink, &own);
    if (e == ERR_OK)
        e = fail(&own, ERR_AUDIT, "the audit log was not written within %d ms", SINK_DEADLINE_MS);
    /* what has ended stays ended: the answer says it, whatever became of the record */
    e = p->op->finish == op_ended ? fail(&why, e, "%u leases ended, but %s", p->number, own.text)
                                  : fail(&why, e, "%s", own.text);
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

/* What a turn brought goes on together: one call for all answers to a worker, one wake-up of the audit writer (group commit). What the
 * answers speak of is in the sink's ring before they go out. */
void server_turn_end(void *ctx)
{
    struct vault *v = ctx;
    if (v->leases)
        leases_turn_end(v->leases);
    expired_tell(v);
    if (v->credentials)
        credentials_forget(v->credentials);
    for (unsigned k = 0; k < WORKER__COUNT; k++)
        worker_flush(&v->workers[k]);
    if (v->sink)
        sink_flush(v->sink, v->queue != NULL);
    wipe_stack();
}

/* ---- the first step */

static const struct op *op_of(enum msg_type type)
{
    for (const struct op *op = ops; op->type != MSG_NONE; op++)
        if (op->type == type)
            return op;
    return NULL;
}

/* A refused name is somebody's bytes: it is recorded only if it could be a name. */
static const char *name_in(const struct msg *m, enum msg_field f, char out[65])
{
    struct view name = msg_view(m, f);
    return name_check(name, "name", NULL) == ERR_OK && view_copy(name, out, 65) ? out : NULL;
}

static void record_refusal(struct request *rq, const struct op *op, err_t e)
{
    char credential[65], consumer[65];
    if (op->event == AUDIT__COUNT || rq->recorded)
        return;
    struct audit_record r = {.event = op->event,
                             .outcome = e,
                             .peer = &rq->conn->peer,
                             .credential = name_in(rq->msg, F_CREDENTIAL, credential)};
    r.consumer = rq->worker->kind == WORKER_ADMIN ? name_in(rq->msg, F_CONSUMER, consumer)
                                                  : rq->conn->consumer_name;
    rq->v->count.denied++;
    if (e !=
        ERR_AUDIT) /* nothing happened, and the little room that a sick log has is for what did */
        server_note(rq->v, &r);
}

void server_refuse(struct vault *v, struct pending *p, err_t e, const struct why *why)
{
    struct audit_record r = {.event = p->op->event,
                             .outcome = e,
                             .peer = server_peer(v, p),
                             .source = p->name[0] ? p->name : NULL};
    if (r.event != AUDIT__COUNT) {
        v->count.denied++;
        if (e != ERR_AUDIT)
            server_note(v, &r);
    }
    server_answer(v, p, e, NULL, why);
}

/* Is the store in a state for this? */
static err_t check_state(const struct vault *v, const struct op *op, struct why *why)
{
    static const err_t code[] = {ERR_UNINIT, ERR_LOCKED, ERR_ROLLBACK,
                                 ERR_OK}; /* of each enum vault_state */
    if (!op->needs_ready || v->state == VAULT_READY)
        return ERR_OK;
    return fail(why, code[v->state], "%s", v->state_why);
}

static void run(struct request *rq, const struct op *op)
{
    struct vault *v = rq->v;
    struct pending *p = calloc(1, sizeof(*p));
    if (!p)
        return; /* the worker's own deadline answers */
    *p = (struct pending){
        .op = op, .worker = rq->worker->kind, .conn = rq->msg->conn, .id = rq->msg->id};
    struct jsonw w = jsonw_to(&v->reply);
    err_t e = check_state(v, op, rq->why);
    if (e == ERR_OK)
        e = op->decide(rq, p, &w);
    buf_reset(&v->scratch);
    if (rq->deferred) /* `p` has gone with the call to a key source, and may be answered already */
        return;
    if (e == ERR_OK && v->reply.bad)
        e = fail(rq->why, ERR_TOO_LARGE, "the answer does not fit");
    if (e != ERR_OK)
        record_refusal(rq, op, e);
    if (e != ERR_OK || !op->finish)
        server_answer(v, p, e, &v->reply, rq->why);
    else
        server_wait(v, p);
    buf_reset(&v->reply);
}

static void on_request(struct vault_worker *wk, const struct msg *m, int fd, bool again)
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
    if (e == ERR_OK && fd < 0 && conn_has_ended(wk, c))
        e = fail(&why, ERR_DENIED, "the process that connected has ended: connect anew");
    if (e == ERR_OK)
        e = conn_judge_again(wk, c, &why);
    if (e != ERR_OK) {
        send_reply(v, &p, e, NULL, &why);
        return;
    }
    struct request rq = {.v = v, .worker = wk, .conn = c, .msg = m, .why = &why, .again = again};
    run(&rq, op);
}

void server_again(struct vault_worker *wk, const struct msg *m)
{
    on_request(wk, m, -1, true);
}

/* Each is a packet of its own, and only two kinds may be. */
static MUST err_t on_news(struct vault_worker *wk, struct view body, struct why *why)
{
    struct cursor c = cursor_of(body);
    while (cursor_left(&c) > 0) {
        struct msg m;
        struct view packet = get_str32(&c);
        if (c.bad)
            return fail(why, ERR_INVALID, "PROXY_NEWS is cut short");
        TRY(msg_parse(packet, worker_from(wk->kind), &m, why));
        if (m.type != MSG_PROXY_USAGE && m.type != MSG_PROXY_END)
            return fail(why, ERR_INVALID, "%s in PROXY_NEWS", msg_rule(m.type)->name);
        op_proxy_report(wk, &m);
    }
    return ERR_OK;
}

/* An error: the worker broke the protocol. */
static err_t on_packet(struct vault_worker *wk, struct view packet, int fd, struct why *why)
{
    struct msg m;
    TRY(msg_parse(packet, worker_from(wk->kind), &m, why));
    if (fd >= 0 && !(msg_rule(m.type)->flags & M_FD))
        return fail(why, ERR_INVALID, "%s with a descriptor", msg_rule(m.type)->name);
    if (m.type == MSG_READY && wk->ready)
        return fail(why, ERR_INVALID, "READY came twice");
    if (m.type == MSG_READY)
        worker_on_ready(wk, msg_view(&m, F_REASON));
    else if (m.type == MSG_CLOSED)
        conn_close(wk, m.conn);
    else if (m.type == MSG_PROXY_USAGE || m.type == MSG_PROXY_END)
        op_proxy_report(wk, &m);
    else if (m.type == MSG_PROXY_NEWS)
        return on_news(wk, msg_view(&m, F_BODY), why);
    else
        on_request(wk, &m, fd, false);
    return ERR_OK;
}

static void give_up(struct vault_worker *wk, err_t e, const struct why *why)
{
    if (e != ERR_NO_BROKER) {
        struct audit_record r = {
            .event = AUDIT_PROTOCOL, .outcome = e, .role = worker_role(wk->kind)};
        log_event(LOG_LVL_ERROR, "worker.protocol", "role", worker_role(wk->kind), "why", why->text,
                  NULL);
        server_note(wk->vault, &r);
    }
    worker_lost(wk, why->text);
}

/* Behind a packet that ended the worker the others are dropped. */
static void on_batch(struct vault_worker *wk, int sock, struct ipc_batch *b)
{
    for (unsigned i = 0; i < b->n; i++) {
        struct ipc_arrival *p = &b->packet[i];
        err_t e = p->status;
        if (e == ERR_OK && wk->sock == sock)
            e = on_packet(wk, buf_view(&p->bytes), p->fd, &p->why);
        auto_close(&p->fd);
        buf_reset(&p->bytes);
        if (e != ERR_OK && wk->sock == sock)
            give_up(wk, e, &p->why);
    }
    b->n = 0;
}

void server_on_worker(void *ctx, int fd, uint32_t events)
{
    struct vault_worker *wk = ctx;
    struct vault *v = wk->vault;
    bool more = true;
    (void)events;
    worker_send_queued(wk);
    for (unsigned i = 0; more && i < PACKETS_PER_TURN && wk->sock == fd;) {
        struct why why = {0};
        err_t e = ipc_recv_many(fd, &v->inbox, &why);
        if (e == ERR_UNAVAILABLE)
            return;
        if (e != ERR_OK) {
            give_up(wk, e, &why);
            return;
        }
        v->batch++;
        i += v->inbox.n;
        more = v->inbox.more;
        conn_ask_all(wk, &v->inbox);
        on_batch(wk, fd, &v->inbox);
    }
}
