#include "base/line.h"

#include "base/auto.h"
#include "base/ipc.h"
#include "base/log.h"

#include <string.h>
#include <sys/epoll.h>

enum { PER_TURN = 16 };

struct entry { /* before each packet in the queue */
    uint64_t key;
    uint32_t n;
};
struct line {
    struct loop *loop;
    int fd;
    const struct line_ops *ops;
    void *ctx;
    struct loop_fd *watch;
    struct buf queue;
    size_t sent; /* bytes of the queue that are done */
    bool full;   /* the vault did not take all of it: the loop tells when it does */
    struct ipc_batch in;
};

static void lost(struct line *l, const struct why *why)
{
    log_event(LOG_LVL_INFO, "vault.gone", "reason", why->text, NULL);
    loop_stop(l->loop, 0);
}

/* ---- sending */

bool line_add(struct line *l, uint64_t key, struct view packet)
{
    struct entry e = {.key = key, .n = (uint32_t)packet.n};
    if (!buf_reserve(&l->queue, sizeof(e) + packet.n))
        return false;
    buf_add(&l->queue, &e, sizeof(e));
    buf_add_view(&l->queue, packet);
    return true;
}

size_t line_waiting(const struct line *l)
{
    return l->queue.len;
}

struct batch { /* what goes in one call */
    struct ipc_packet packet[IPC_BATCH];
    uint64_t key[IPC_BATCH];
    size_t end[IPC_BATCH]; /* in the queue */
    unsigned n;
};

/* Gathers packets from *at on, leaving out those that nobody waits for any more. */
static void gather(const struct line *l, size_t *at, struct batch *b)
{
    struct entry e;
    for (b->n = 0; *at < l->queue.len && b->n < IPC_BATCH;) {
        memcpy(&e, l->queue.p + *at, sizeof(e));
        struct ipc_packet *p = &b->packet[b->n];
        *p = (struct ipc_packet){VIEW(l->queue.p + *at + sizeof(e), e.n), -1};
        *at += sizeof(e) + e.n;
        if (e.key && !l->ops->wanted(l->ctx, e.key, &p->fd))
            continue;
        b->key[b->n] = e.key;
        b->end[b->n++] = *at;
    }
}

static MUST err_t send_batch(struct line *l, const struct batch *b, struct why *why)
{
    for (unsigned from = 0, sent = 0; from < b->n; from += sent) {
        TRY(ipc_send_many(l->fd, b->packet + from, b->n - from, &sent, why));
        for (unsigned i = from; i < from + sent; i++)
            if (b->key[i])
                l->ops->went(l->ctx, b->key[i]);
        l->sent = b->end[from + sent - 1];
    }
    return ERR_OK;
}

static void set_full(struct line *l, bool full)
{
    if (l->full == full)
        return;
    l->full = full;
    if (loop_rewatch(l->watch, full ? EPOLLIN | EPOLLOUT : EPOLLIN) != ERR_OK)
        loop_stop(l->loop, 1);
}

bool line_flush(struct line *l)
{
    struct why why = {0};
    struct batch b;
    for (size_t at = l->sent; at < l->queue.len; l->sent = at) {
        gather(l, &at, &b);
        err_t e = send_batch(l, &b, &why);
        if (e == ERR_UNAVAILABLE)
            set_full(l, true);
        else if (e != ERR_OK)
            lost(l, &why);
        if (e != ERR_OK)
            return false;
    }
    if (l->sent > 0)
        buf_reset(&l->queue);
    l->sent = 0;
    set_full(l, false);
    return true;
}

/* ---- receiving */

static MUST err_t dispatch(struct line *l, struct view packet, int *fd, struct why *why)
{
    struct msg m;
    TRY(msg_parse(packet, FROM_VAULT, &m, why));
    for (const struct line_handler *h = l->ops->handlers; h->type != MSG_NONE; h++)
        if (h->type == m.type)
            return h->fn(l->ctx, &m, fd, why);
    return fail(why, ERR_INVALID, "%s is not for this role", msg_rule(m.type)->name);
}

/* False: the vault is gone, or broke the rules. */
static bool take_batch(struct line *l)
{
    for (unsigned i = 0; i < l->in.n; i++) {
        struct ipc_arrival *a = &l->in.packet[i];
        struct why why = {0};
        if (a->status != ERR_OK) {
            lost(l, &a->why);
            return false;
        }
        if (dispatch(l, buf_view(&a->bytes), &a->fd, &why) != ERR_OK)
            log_event(LOG_LVL_ERROR, "vault.message", "reason", why.text, NULL);
        auto_close(&a->fd);
        a->fd = -1;
        buf_reset(&a->bytes);
    }
    return true;
}

static void on_vault(void *ctx, int fd, uint32_t events)
{
    struct line *l = ctx;
    struct why why = {0};
    (void)events; /* that it takes more is seen at the end of the turn, when all is flushed */
    for (int i = 0; i < PER_TURN; i++) {
        err_t e = ipc_recv_many(fd, &l->in, &why);
        if (e == ERR_UNAVAILABLE)
            return;
        if (e != ERR_OK) {
            lost(l, &why);
            return;
        }
        if (!take_batch(l) || !l->in.more)
            return;
    }
}

err_t line_new(struct loop *loop, int fd, const struct line_ops *ops, void *ctx, struct line **out,
               struct why *why)
{
    AUTO(auto_close) int owned = fd;
    struct line *l = calloc(1, sizeof(*l));
    if (!l)
        return fail(why, ERR_INTERNAL, "out of memory");
    *l = (struct line){
        .loop = loop, .fd = fd, .ops = ops, .ctx = ctx, .queue.max = 2 * LINE_QUEUE_MAX};
    err_t e = loop_watch(loop, &(struct loop_source){fd, EPOLLIN, on_vault, l}, &l->watch, why);
    if (e != ERR_OK) {
        free(l);
        return e;
    }
    (void)TAKE_FD(owned);
    *out = l;
    return ERR_OK;
}

void line_free(struct line *l)
{
    if (!l)
        return;
    loop_unwatch(l->watch);
    auto_close(&l->fd);
    buf_free(&l->queue);
    ipc_batch_free(&l->in);
    free(l);
}
