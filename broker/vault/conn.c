/*
 * Attestation of connections, and the table of those that passed. A slot is allocated when it is used: most of the table never is, and
 * idle memory counts. The slot number comes from the worker, bounded here; the generation in the id keeps an old connection's
 * requests from being taken for its successor's.
 */
#include "vault/conn.h"

#include "base/auto.h"
#include "vault/policy.h"
#include "vault/server.h"
#include "vault/worker.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

static struct vault_conn **slot_of(const struct vault_worker *wk, uint64_t id)
{
    return (struct vault_conn **)(uintptr_t)&wk->conns[(uint32_t)id % CONN_MAX];
}

struct vault_conn *conn_find(const struct vault_worker *wk, uint64_t id)
{
    struct vault_conn *c = *slot_of(wk, id);
    return c && c->id == id && id != 0 ? c : NULL;
}

static void drop(struct vault_conn **slot)
{
    if (!*slot)
        return;
    peer_clear(&(*slot)->peer);
    free(*slot);
    *slot = NULL;
}

void conn_close(struct vault_worker *wk, uint64_t id)
{
    if (conn_find(wk, id))
        drop(slot_of(wk, id));
}

void conn_close_all(struct vault_worker *wk)
{
    for (unsigned i = 0; i < CONN_MAX; i++)
        drop(&wk->conns[i]);
}

/* May this peer use this connection, as the configuration stands? */
static err_t judge(const struct vault_worker *wk, struct vault_conn *c, struct why *why)
{
    const struct vault *v = wk->vault;
    c->config_serial = v->config_serial;
    if (wk->kind == WORKER_ADMIN)
        return policy_admin(v->config, &c->peer, why);
    c->consumer = config_consumer(v->config, view_str(c->consumer_name));
    if (!c->consumer)
        return fail(why, ERR_DENIED, "this consumer was removed");
    return peer_matches(&c->peer, &c->consumer->peer, why);
}

/* Whose socket did it come by? Each role's connections come by its own kind of socket. */
static err_t place(const struct vault_worker *wk, struct vault_conn *c, struct why *why)
{
    const struct vault_listener *l = listener_by_path(wk->vault, c->peer.socket);
    if (!l || !worker_serves(wk->kind, l))
        return fail(why, ERR_DENIED, "the connection did not come by this role's socket");
    (void)view_copy(view_str(l->consumer), c->consumer_name, sizeof(c->consumer_name));
    return ERR_OK;
}

static void record_refusal(const struct vault_worker *wk, const struct vault_conn *c, err_t e)
{
    struct audit_record r = {.event =
                                 wk->kind == WORKER_ADMIN ? AUDIT_ADMIN_DENIED : AUDIT_PEER_REFUSED,
                             .outcome = e,
                             .peer = c->peer.pid ? &c->peer : NULL};
    if (wk->kind != WORKER_ADMIN && c->consumer_name[0])
        r.consumer = c->consumer_name;
    wk->vault->count.refused_peers++;
    server_note(wk->vault, &r);
}

err_t conn_show(struct vault_worker *wk, uint64_t id, int fd, struct why *why)
{
    struct vault_conn **slot = slot_of(wk, id), *c = calloc(1, sizeof(*c));
    if (!c || id == 0) {
        free(c);
        return fail(why, ERR_UNAVAILABLE, "no room for a connection");
    }
    *c = (struct vault_conn){.id = id, .peer = {.pidfd = -1}};
    err_t e = peer_attest(fd, &c->peer, why);
    if (e == ERR_OK)
        e = place(wk, c, why);
    if (e == ERR_OK)
        e = judge(wk, c, why);
    if (e != ERR_OK)
        record_refusal(wk, c, e);
    drop(e == ERR_OK ? slot : &c);
    if (e == ERR_OK)
        *slot = c;
    return e;
}

bool conn_has_ended(const struct vault_worker *wk, const struct vault_conn *c)
{
    return c->lives_in != wk->vault->batch && peer_has_ended(&c->peer);
}

/* The connection of a packet that asks something on a descriptor shown before; NULL: it is none. */
static struct vault_conn *asked_on(const struct vault_worker *wk, const struct ipc_arrival *p)
{
    unsigned type;
    uint64_t id;
    if (p->fd >= 0 || !msg_peek(buf_view(&p->bytes), &type, &id) || type == MSG_CLOSED)
        return NULL;
    struct vault_conn *c = conn_find(wk, id);
    return c && c->peer.pidfd >= 0 ? c : NULL;
}

/* After the packets have come, so it is as good as asking for each of them when it is looked at. */
void conn_ask_all(const struct vault_worker *wk, const struct ipc_batch *b)
{
    struct pollfd p[IPC_BATCH];
    struct vault_conn *c[IPC_BATCH];
    unsigned n = 0;
    for (unsigned i = 0; i < b->n; i++)
        if ((c[n] = asked_on(wk, &b->packet[i])) != NULL) {
            p[n] = (struct pollfd){.fd = c[n]->peer.pidfd, .events = POLLIN};
            n++;
        }
    if (n < 2 || poll(p, n, 0) < 0)
        return; /* each is asked for by itself */
    for (unsigned i = 0; i < n; i++)
        if (p[i].revents == 0)
            c[i]->lives_in = wk->vault->batch;
}

err_t conn_judge_again(struct vault_worker *wk, struct vault_conn *c, struct why *why)
{
    if (c->config_serial == wk->vault->config_serial)
        return ERR_OK;
    err_t e = judge(wk, c, why);
    if (e != ERR_OK) {
        record_refusal(wk, c, e);
        conn_close(wk, c->id);
    }
    return e;
}
