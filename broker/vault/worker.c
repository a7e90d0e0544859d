/*
 * The vault's workers. The socketpair is the life line: when it closes, the worker is gone, whoever says what. Restarts of a worker
 * that dies soon after each start back off from 0 to 2 s; everything a worker knew of can be told to the next one.
 */
#include "vault/worker.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/ipc.h"
#include "base/log.h"
#include "vault/conn.h"
#include "vault/ops.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { OUT_MAX = 8 << 20, BACKOFF_MAX_MS = 2000, BACKOFF_STEP_MS = 100, SOON_MS = 10000 };
enum { REPLY_KEEP = 16384 }; /* bytes; a reply's larger buffer is given back */
/* connections at once, of one socket; no consumer gets all that a proxy worker can hold */
enum { ADMIN_CONNS = 32, CONSUMER_CONNS = 256, CONSUMER_PROXY_CONNS = 2048 };

struct out_packet {
    struct out_packet *next;
    size_t n;
    int fd;
    uint8_t bytes[];
};

static const char *const roles[WORKER__COUNT] = {"api",    "admin",  "audit", "proxy",
                                                 "proxy2", "proxy3", "proxy4"};

const char *worker_role(unsigned kind)
{
    return roles[kind];
}

bool worker_is_proxy(unsigned kind)
{
    return kind >= WORKER_PROXY;
}

uint32_t worker_from(unsigned kind)
{
    return worker_is_proxy(kind) ? FROM_PROXY : kind == WORKER_ADMIN ? FROM_ADMIN : FROM_API;
}

bool worker_serves(unsigned kind, const struct vault_listener *l)
{
    bool admin = strcmp(l->consumer, "admin") == 0;
    return admin ? kind == WORKER_ADMIN : l->proxy ? worker_is_proxy(kind) : kind == WORKER_API;
}

struct vault_worker *worker_of_role(struct vault *v, const char *role)
{
    for (unsigned k = 0; k < WORKER__COUNT; k++)
        if (strcmp(roles[k], role) == 0)
            return &v->workers[k];
    return NULL;
}

err_t worker_spawn(struct vault *v, unsigned kind, struct why *why)
{
    AUTO(buf_free) struct buf b = {.max = 512};
    msg_begin(&b, MSG_SPAWN, 0, 0);
    msg_put_str(&b, F_ROLE, roles[kind]);
    TRY(buf_ok(&b, why));
    TRY(ipc_send(v->supervisor, buf_view(&b), -1, why));
    v->workers[kind].asked = true;
    return ERR_OK;
}

static err_t attach(struct vault_worker *wk, int sock, struct why *why)
{
    struct vault *v = wk->vault;
    if (wk->kind != WORKER_AUDIT)
        return loop_watch(v->loop, &(struct loop_source){sock, EPOLLIN, server_on_worker, wk},
                          &wk->watch, why);
    if (v->sink)
        return sink_reattach(v->sink, sock, why);
    return sink_new(v->loop, sock, server_on_progress, v, &v->sink, why);
}

static void note_exit(struct vault_worker *wk)
{
    struct audit_record r = {.event = AUDIT_WORKER_EXIT,
                             .outcome = ERR_OK,
                             .role = roles[wk->kind],
                             .status = wk->exit_status,
                             .has_status = true};
    wk->exit_untold = false;
    server_note(wk->vault, &r);
}

err_t worker_attach(struct vault *v, unsigned kind, int sock, int32_t pid, struct why *why)
{
    struct vault_worker *wk = &v->workers[kind];
    worker_free(wk); /* of the one before, should its end not have been seen yet */
    wk->pid = pid;
    wk->ready = wk->asked = false;
    wk->attached_ms = clock_boot_ms();
    err_t e = attach(wk, sock, why);
    if (e == ERR_OK)
        wk->sock = sock;
    else
        close(sock);
    if (e == ERR_OK && wk->exit_untold)
        note_exit(wk);
    return e;
}

static uint64_t max_conns(const struct vault_worker *wk)
{
    return worker_is_proxy(wk->kind)  ? CONSUMER_PROXY_CONNS
           : wk->kind == WORKER_ADMIN ? ADMIN_CONNS
                                      : CONSUMER_CONNS;
}

err_t worker_listen(struct vault_worker *wk, const struct vault_listener *l, struct why *why)
{
    AUTO(buf_free) struct buf b = {.max = 512};
    msg_begin(&b, MSG_LISTEN, 0, 0);
    msg_put_str(&b, F_CONSUMER, l->consumer);
    msg_put_u64(&b, F_MAX_CONNS, max_conns(wk));
    TRY(buf_ok(&b, why));
    worker_send(wk, &b, l->fd);
    return ERR_OK;
}

void worker_unlisten(struct vault_worker *wk, const struct vault_listener *l)
{
    AUTO(buf_free) struct buf b = {.max = 512};
    msg_begin(&b, MSG_UNLISTEN, 0, 0);
    msg_put_str(&b, F_CONSUMER, l->consumer);
    worker_send(wk, &b, -1);
}

void worker_on_ready(struct vault_worker *wk, struct view sandbox_report)
{
    struct vault *v = wk->vault;
    wk->ready = true;
    (void)view_copy(sandbox_report, wk->sandbox_report, sizeof(wk->sandbox_report));
    for (unsigned i = 0; i < v->n_listeners; i++) {
        struct vault_listener *l = &v->listeners[i];
        struct why why = {0};
        if (worker_serves(wk->kind, l) && worker_listen(wk, l, &why) != ERR_OK)
            log_event(LOG_LVL_ERROR, "listen.failed", "consumer", l->consumer, "why", why.text,
                      NULL);
    }
    vault_on_worker_ready(v);
}

/* ---- sending */

static void free_queue(struct vault_worker *wk)
{
    while (wk->out) {
        struct out_packet *p = wk->out;
        wk->out = p->next;
        if (p->fd >= 0)
            close(p->fd);
        wipe(p->bytes, p->n);
        free(p);
    }
    wk->out_bytes = 0;
}

static bool queue_packet(struct vault_worker *wk, struct view packet, int fd)
{
    size_t n = sizeof(struct out_packet) + packet.n;
    int own = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1;
    bool fits = wk->out_bytes + n <= OUT_MAX && (fd < 0 || own >= 0);
    struct out_packet *p = fits ? malloc(n) : NULL;
    if (!p) {
        auto_close(&own);
        return false;
    }
    *p = (struct out_packet){.n = packet.n, .fd = own};
    memcpy(p->bytes, packet.p, packet.n);
    if (!wk->out)
        wk->out_tail = &wk->out;
    *wk->out_tail = p;
    wk->out_tail = &p->next;
    wk->out_bytes += n;
    return loop_rewatch(wk->watch, EPOLLIN | EPOLLOUT) == ERR_OK;
}

/* One packet that comes behind all others. */
static void send_one(struct vault_worker *wk, const struct buf *packet, int fd)
{
    struct why why = {0};
    if (packet->bad) {
        log_event(LOG_LVL_ERROR, "packet.bad", "role", roles[wk->kind], NULL);
        return;
    }
    err_t e = wk->out ? ERR_UNAVAILABLE : ipc_send(wk->sock, buf_view(packet), fd, &why);
    if (e == ERR_OK || e == ERR_NO_BROKER ||
        (e == ERR_UNAVAILABLE && queue_packet(wk, buf_view(packet), fd)))
        return;
    log_event(LOG_LVL_ERROR, "worker.send", "role", roles[wk->kind], "why",
              e == ERR_UNAVAILABLE ? "it does not read what it is sent" : why.text, NULL);
    (void)shutdown(
        wk->sock,
        SHUT_RDWR); /* an answer is lost: better none of its connections than one that waits for ever */
}

void worker_send(struct vault_worker *wk, struct buf *packet, int fd)
{
    worker_flush(wk);
    if (wk->sock >= 0)
        send_one(wk, packet, fd);
}

struct buf *worker_packet(struct vault_worker *wk)
{
    if (wk->n_replies == IPC_BATCH)
        worker_flush(wk);
    struct buf *b = &wk->reply[wk->n_replies++];
    b->max = MSG_MAX;
    return b;
}

/* How many of them went out in one call: all, but for what the socket does not take, or for something wrong with one of them. */
static unsigned send_together(const struct vault_worker *wk)
{
    struct ipc_packet p[IPC_BATCH];
    struct why why = {0};
    unsigned sent = 0;
    for (unsigned i = 0; i < wk->n_replies; i++) {
        if (wk->reply[i].bad)
            return 0;
        p[i] = (struct ipc_packet){.bytes = buf_view(&wk->reply[i]), .fd = -1};
    }
    bool may = wk->sock >= 0 && !wk->out && wk->n_replies > 0;
    return may && ipc_send_many(wk->sock, p, wk->n_replies, &sent, &why) == ERR_OK ? sent : 0;
}

/* What did not go out together goes the way of single packets. */
void worker_flush(struct vault_worker *wk)
{
    unsigned sent = send_together(wk);
    for (unsigned i = 0; i < wk->n_replies; i++) {
        if (i >= sent && wk->sock >= 0 && (wk->reply[i].bad || wk->reply[i].len > 0))
            send_one(wk, &wk->reply[i], -1);
        if (wk->reply[i].cap > REPLY_KEEP)
            buf_free(&wk->reply[i]);
        else
            buf_reset(&wk->reply[i]);
    }
    wk->n_replies = 0;
}

void worker_send_queued(struct vault_worker *wk)
{
    struct why why = {0};
    bool had = wk->out != NULL;
    while (wk->out && wk->sock >= 0) {
        struct out_packet *p = wk->out;
        if (ipc_send(wk->sock, VIEW(p->bytes, p->n), p->fd, &why) == ERR_UNAVAILABLE)
            return;
        wk->out = p->next;
        wk->out_bytes -= sizeof(*p) + p->n;
        if (p->fd >= 0)
            close(p->fd);
        wipe(p->bytes, p->n);
        free(p);
    }
    if (had && wk->watch && loop_rewatch(wk->watch, EPOLLIN) != ERR_OK)
        log_event(LOG_LVL_ERROR, "loop.failed", NULL);
}

/* ---- ends and beginnings */

void worker_free(struct vault_worker *wk)
{
    worker_flush(wk);
    for (unsigned i = 0; i < IPC_BATCH; i++)
        buf_free(&wk->reply[i]);
    loop_unwatch(wk->watch);
    wk->watch = NULL;
    if (wk->sock >= 0 && wk->kind != WORKER_AUDIT) /* the sink owns the audit writer's */
        close(wk->sock);
    wk->sock = -1;
    wk->ready = false;
    wk->sandbox_report[0] = '\0';
    free_queue(wk);
    conn_close_all(wk);
    if (worker_is_proxy(wk->kind))
        op_proxy_worker_gone(wk);
}

bool worker_wanted(const struct vault *v, unsigned kind)
{
    bool wanted = !worker_is_proxy(kind);
    for (unsigned i = 0; !wanted && i < v->n_listeners; i++)
        wanted = v->listeners[i].proxy && kind < WORKER_PROXY + v->config->proxies;
    return wanted && !v->stopping;
}

void worker_follow(struct vault *v)
{
    for (unsigned k = WORKER_PROXY; k < WORKER__COUNT; k++) {
        struct vault_worker *wk = &v->workers[k];
        struct why why = {0};
        bool wanted = worker_wanted(v, k);
        if (!wanted) {
            worker_free(wk); /* its socket closes, and so it ends */
            wk->restart_at_ms = 0;
        } else if (wk->sock < 0 && !wk->asked && wk->restart_at_ms == 0 &&
                   worker_spawn(v, k, &why) != ERR_OK) {
            log_event(LOG_LVL_ERROR, "worker.spawn", "role", roles[k], "why", why.text, NULL);
        }
    }
}

static void schedule(struct vault_worker *wk)
{
    int64_t now = clock_boot_ms();
    if (!worker_wanted(wk->vault, wk->kind))
        return;
    if (now - wk->attached_ms >= SOON_MS)
        wk->failures = 0;
    int64_t wait = (int64_t)wk->failures * BACKOFF_STEP_MS;
    wk->failures++;
    wk->restarts++;
    wk->restart_at_ms = now + (wait > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : wait);
    worker_tick(wk->vault);
}

void worker_refused(struct vault_worker *wk, const char *why)
{
    wk->asked = false;
    wk->attached_ms = clock_boot_ms(); /* one that never lived has not lived long */
    log_event(LOG_LVL_ERROR, "worker.refused", "role", roles[wk->kind], "why", why, NULL);
    schedule(wk);
}

void worker_lost(struct vault_worker *wk, const char *why)
{
    struct vault *v = wk->vault;
    if (wk->sock < 0 || v->stopping)
        return;
    log_event(LOG_LVL_WARN, "worker.lost", "role", roles[wk->kind], "why", why, NULL);
    worker_free(wk);
    schedule(wk);
}

void worker_on_exit(struct vault *v, const char *role, int32_t pid, int status)
{
    struct vault_worker *wk = worker_of_role(v, role);
    if (!wk)
        return;
    bool last = wk->pid == pid; /* else its successor is there already */
    wk->exit_status = status;
    wk->exit_untold = true;
    if (wk->kind != WORKER_AUDIT || !last)
        note_exit(wk);
    if (last)
        worker_lost(wk, "the process ended");
}

void worker_tick(struct vault *v)
{
    int64_t now = clock_boot_ms();
    for (unsigned k = 0; k < WORKER__COUNT; k++) {
        struct vault_worker *wk = &v->workers[k];
        struct why why = {0};
        if (wk->restart_at_ms == 0 || wk->restart_at_ms > now)
            continue;
        wk->restart_at_ms = 0;
        if (worker_spawn(v, k, &why) == ERR_OK)
            continue;
        wk->restart_at_ms = now + BACKOFF_MAX_MS;
        log_event(LOG_LVL_ERROR, "worker.spawn", "role", roles[k], "why", why.text, NULL);
    }
}
