/*
 * Attestation of connections, and the table of those that passed. A slot is allocated when it is used: most of the table never is, and
 * idle memory counts. The slot number comes from the worker, bounded here; the generation in the id keeps an old connection's
 * requests from being taken for its successor's.
 */
#include "vault/conn.h"

#include "base/auto.h"
#include "vault/policy.h"
#include "vault/server.h"

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

/* Whose socket did it come by, and may this peer use it? The admin worker's connections come by the admin socket; nobody else's do. */
static err_t judge(const struct vault_worker *wk, const struct peer *peer, const struct vault_listener *l, struct why *why)
{
    const struct vault *v = wk->vault;
    bool admin = l && strcmp(l->consumer, "admin") == 0;
    if (!l || admin != (wk->kind == WORKER_ADMIN))
        return fail(why, ERR_DENIED, "the connection did not come by this role's socket");
    if (admin)
        return policy_admin(v->config, peer, why);
    const struct config_consumer *consumer = config_consumer(v->config, view_str(l->consumer));
    if (!consumer)
        return fail(why, ERR_DENIED, "this consumer was removed");
    return peer_matches(peer, &consumer->peer, why);
}

static void record_refusal(const struct vault_worker *wk, const struct peer *peer, const struct vault_listener *l, err_t e)
{
    struct audit_record r = {.event = wk->kind == WORKER_ADMIN ? AUDIT_ADMIN_DENIED : AUDIT_PEER_REFUSED, .outcome = e,
                             .peer = peer, .consumer = l ? l->consumer : NULL};
    wk->vault->count.refused_peers++;
    server_note(wk->vault, &r);
}

static err_t remember(struct vault_worker *wk, uint64_t id, const struct peer *peer, const char *consumer, struct why *why)
{
    struct vault_conn **slot = slot_of(wk, id), *c = calloc(1, sizeof(*c));
    if (!c || id == 0) {
        free(c);
        return fail(why, ERR_UNAVAILABLE, "no room for a connection");
    }
    *c = (struct vault_conn){.id = id, .peer = *peer};
    (void)view_copy(view_str(consumer), c->consumer_name, sizeof(c->consumer_name));
    drop(slot);
    *slot = c;
    return ERR_OK;
}

err_t conn_show(struct vault_worker *wk, uint64_t id, int fd, struct why *why)
{
    struct peer peer = {.pidfd = -1};
    TRY(peer_attest(fd, &peer, why));
    const struct vault_listener *l = listener_by_path(wk->vault, peer.socket);
    err_t e = judge(wk, &peer, l, why);
    if (e != ERR_OK)
        record_refusal(wk, &peer, l, e);
    else
        e = remember(wk, id, &peer, l->consumer, why);
    if (e != ERR_OK)
        peer_clear(&peer);
    return e;
}
