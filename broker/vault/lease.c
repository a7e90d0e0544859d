/*
 * Leases: issue, renew, use, end.
 * Invariants: what a caller sees succeed is in the journal's ring first, so that an audit record appended after it becomes
 * durable no earlier. An end always happens in memory, even when it cannot be recorded: then the journal's chain counts as broken
 * and its next generation drops the lease.
 * Each lease waits for its time in a group (lease_due.h) and, with owner: process, for its pidfd in the loop: nothing is polled. A lease
 * past its deadline is not found even before its time has fired. That one merely expired needs no entry of its own in the journal: one
 * entry a turn says up to when (leases_turn_end).
 */
#include "vault/lease.h"

#include "base/auto.h"
#include "base/clock.h"
#include "crypto/seal.h"
#include "vault/lease_due.h"
#include "vault/lease_keeper.h"
#include "vault/lease_owner.h"

#include <string.h>
#include <sys/epoll.h>

enum { TTL_MIN_MS = 1000, ID_POOL = 32 };

struct leases {
    struct leases_env env;
    struct lease_table table;
    struct journal journal;
    struct keeper keeper;
    struct lease_due due;
    uint64_t last_serial;
    uint8_t ids[ID_POOL * TOKEN_LEASE_ID]; /* random, drawn ahead; a lease id is no secret */
    unsigned ids_left;
    bool expired; /* in this turn, and the journal does not say so yet */
};

static struct lease_node *node_of(struct lease *l)
{
    return (struct lease_node *)l; /* its first member */
}

static void node_free(struct lease_node *n)
{
    if (!n)
        return;
    due_clear(n);
    loop_unwatch(n->watch);
    if (n->pidfd >= 0)
        close(n->pidfd);
    free(n);
}

static void auto_node(struct lease_node **n)
{
    node_free(*n);
}

static void auto_leases(struct leases **ls)
{
    leases_close(*ls);
}

static bool has_ended(const struct lease_node *n)
{
    return n->ending || n->lease.expires_boot_ms <= clock_boot_ms();
}

/* ---- ends */

/* Whose entry is of an earlier generation, that generation's deadlines need not be on this boot's clock: its end is told by its id. */
static void record_end(struct leases *ls, const struct lease_node *n, enum lease_end how)
{
    struct why why = {0};
    if (how == LEASE_END_EXPIRED && ls->journal.open && n->generation == ls->journal.generation)
        ls->expired = true;
    else
        (void)!journal_end(&ls->journal, &n->lease, how,
                           &why); /* if it fails: its lease is not in the next generation */
}

void leases_turn_end(struct leases *ls)
{
    struct why why = {0};
    if (ls->expired)
        (void)!journal_expired(&ls->journal, loop_now(ls->env.loop), &why);
    ls->expired = false;
}

static void finish(struct lease_node *n, enum lease_end how)
{
    struct leases *ls = n->owner;
    record_end(ls, n, how);
    table_remove(&ls->table, n);
    keeper_wake(&ls->keeper);
    if (ls->env.on_stop)
        ls->env.on_stop(ls->env.ctx, &n->lease, how);
    if (ls->env.on_end)
        ls->env.on_end(ls->env.ctx, &n->lease, how);
    node_free(n);
}

/* When to look at it next: at its end; or, where its owner may live on, when four fifths of what is left are over. */
static int64_t next_look(const struct lease_node *n)
{
    const struct lease *l = &n->lease;
    bool to_the_end = !l->owner_process || l->limited_uses || l->expires_boot_ms >= l->max_boot_ms;
    if (!n->ending && to_the_end)
        return l->expires_boot_ms;
    int64_t now = clock_boot_ms(), left = l->expires_boot_ms - now;
    return n->ending ? now : now + left - left / 5;
}

static void on_deadline(struct lease_node *n)
{
    const struct leases_env *env = &n->owner->env;
    if (n->ending || has_ended(n)) {
        finish(n, n->ending ? n->how : LEASE_END_EXPIRED);
        return;
    }
    if ((!env->on_due || !env->on_due(env->ctx, &n->lease)) &&
        due_set(&n->owner->due, n, n->lease.expires_boot_ms) != ERR_OK)
        finish(n, LEASE_END_EXPIRED);
}

static void on_owner_gone(void *ctx, int fd, uint32_t events)
{
    (void)fd;
    (void)events;
    finish(ctx, LEASE_END_OWNER);
}

err_t lease_end(struct leases *ls, struct lease *l, enum lease_end how, struct why *why)
{
    struct lease_node *n = node_of(l);
    err_t e = journal_end(&ls->journal, l, how, why);
    table_remove(&ls->table, n);
    if (ls->env.on_stop)
        ls->env.on_stop(ls->env.ctx, l, how);
    node_free(n);
    keeper_wake(&ls->keeper);
    return e;
}

static err_t arm(struct leases *ls, struct lease_node *n, struct why *why)
{
    n->owner = ls;
    if (!n->ending && n->lease.owner_process)
        TRY(loop_watch(ls->env.loop, &(struct loop_source){n->pidfd, EPOLLIN, on_owner_gone, n},
                       &n->watch, why));
    if (due_set(&ls->due, n, next_look(n)) != ERR_OK)
        return fail(why, ERR_INTERNAL, "out of memory");
    return ERR_OK;
}

/* ---- opening and closing */

/* Deadlines of another boot's clock become this one's: what was left at the highest wall clock that is known. */
static err_t revive(struct leases *ls, struct lease_node *n, struct why *why)
{
    struct lease *l = &n->lease;
    int64_t now = clock_boot_ms(), wall = journal_wall_ms(&ls->journal);
    if (!n->same_boot) {
        l->expires_boot_ms = now + (l->expires_wall_ms - wall);
        l->max_boot_ms = now + (l->max_wall_ms - wall);
    }
    if (l->expires_boot_ms <= now || (l->owner_process && !owner_find(n))) {
        n->ending = true;
        n->how = l->expires_boot_ms <= now ? LEASE_END_EXPIRED : LEASE_END_OWNER;
    }
    return arm(ls, n, why);
}

static err_t revive_all(struct leases *ls, struct why *why)
{
    for (struct lease_node *n; (n = table_after(&ls->table, ls->last_serial));) {
        ls->last_serial = n->serial;
        TRY(revive(ls, n, why));
    }
    if (ls->table.live > 0)
        keeper_wake(&ls->keeper);
    return ERR_OK;
}

err_t leases_open(const struct leases_env *env, struct leases **out, struct why *why)
{
    AUTO(auto_leases) struct leases *ls = calloc(1, sizeof(*ls));
    if (!ls)
        return fail(why, ERR_INTERNAL, "out of memory");
    ls->env = *env;
    ls->due = (struct lease_due){.loop = env->loop, .look = on_deadline};
    journal_init(&ls->journal, env);
    TRY(keeper_init(&ls->keeper, env->loop, &ls->journal, &ls->table, why));
    err_t e = journal_replay(&ls->journal, &ls->table, why);
    if (e != ERR_OK && e != ERR_CORRUPT)
        return e;
    TRY(revive_all(ls, why));
    *out = TAKE(ls);
    return e;
}

void leases_close(struct leases *ls)
{
    if (!ls)
        return;
    keeper_clear(&ls->keeper);
    for (struct lease_node *n; (n = table_after(&ls->table, 0));) {
        table_remove(&ls->table, n);
        node_free(n);
    }
    table_free(&ls->table);
    journal_clear(&ls->journal);
    free(ls);
}

/* ---- issue */

static err_t check_room(const struct leases *ls, const struct config_consumer *consumer,
                        struct why *why)
{
    unsigned live = table_live_of(&ls->table, consumer->name);
    if (live >= consumer->max_leases)
        return fail(why, ERR_LIMIT,
                    "%s has %u live leases, its max_leases: end some or raise the limit",
                    consumer->name, live);
    if (ls->table.live >= LEASE_MAX_LIVE)
        return fail(why, ERR_LIMIT, "the broker has %d live leases, its maximum: end some",
                    LEASE_MAX_LIVE);
    return ERR_OK;
}

static void set_deadlines(struct lease *l, int64_t ttl_ms, int64_t max_ttl_ms)
{
    int64_t boot = clock_boot_ms(), wall = clock_wall_ms();
    l->issued_wall_ms = wall;
    l->expires_wall_ms = wall + ttl_ms;
    l->expires_boot_ms = boot + ttl_ms;
    l->max_wall_ms = wall + max_ttl_ms;
    l->max_boot_ms = boot + max_ttl_ms;
}

static uint8_t *put_be(uint8_t *at, uint64_t v, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        at[i] = (uint8_t)(v >> (8 * (n - 1 - i)));
    return at + n;
}

/* What the token is bound to beyond names: all that a renewal does not change. It fits as it is, so it needs no hash. */
static void set_limits(struct lease *l)
{
    uint8_t *at = put_be(l->limits, l->delivery, 1);
    at = put_be(at, l->owner_process, 1);
    at = put_be(at, 0, 2);
    at = put_be(at, l->uid, 4);
    at = put_be(at, l->limited_uses ? l->uses_left : 0, 8);
    at = put_be(at, (uint64_t)l->issued_wall_ms, 8);
    (void)put_be(at, (uint64_t)l->max_wall_ms, 8);
}

static void draw_id(struct leases *ls, uint8_t id[TOKEN_LEASE_ID])
{
    if (ls->ids_left == 0) {
        random_bytes(ls->ids, sizeof(ls->ids));
        ls->ids_left = ID_POOL;
    }
    memcpy(id, ls->ids + --ls->ids_left * TOKEN_LEASE_ID, TOKEN_LEASE_ID);
}

static err_t fill(struct lease *l, const struct lease_ask *ask, struct why *why)
{
    const struct policy_limits *limits = ask->limits;
    if (!view_copy(view_str(ask->consumer->name), l->consumer, sizeof(l->consumer)) ||
        !view_copy(view_str(ask->credential), l->credential, sizeof(l->credential)) ||
        !view_copy(view_str(ask->token_prefix), l->prefix, sizeof(l->prefix)))
        return fail(why, ERR_INTERNAL, "a name is too long for a lease");
    hex_encode(l->id, sizeof(l->id), l->id_hex);
    l->delivery = limits->delivery;
    l->uses_left = limits->uses;
    l->limited_uses = limits->uses > 0;
    l->owner_process = limits->owner_process;
    l->uid = ask->peer->uid;
    l->pid = ask->peer->pid;
    set_deadlines(l, limits->ttl_ms, limits->max_ttl_ms);
    set_limits(l);
    return ERR_OK;
}

static err_t enter(struct leases *ls, struct lease_node *n, struct why *why)
{
    TRY(arm(ls, n, why));
    n->serial = ls->last_serial + 1;
    if (table_insert(&ls->table, n) != ERR_OK)
        return fail(why, ERR_INTERNAL, "out of memory");
    err_t e = journal_put(&ls->journal, n, why);
    if (e != ERR_OK)
        table_remove(&ls->table, n);
    else
        ls->last_serial = n->serial;
    return e;
}

err_t lease_issue(struct leases *ls, const struct lease_ask *ask, struct lease **out,
                  struct why *why)
{
    TRY(check_room(ls, ask->consumer, why));
    AUTO(auto_node) struct lease_node *n = calloc(1, sizeof(*n));
    if (!n)
        return fail(why, ERR_INTERNAL, "out of memory");
    n->pidfd = -1;
    draw_id(ls, n->lease.id);
    TRY(fill(&n->lease, ask, why));
    if (n->lease.owner_process)
        TRY(owner_adopt(n, ask->peer, why));
    TRY(enter(ls, n, why));
    keeper_wake(&ls->keeper);
    *out = &TAKE(n)->lease;
    return ERR_OK;
}

/* ---- changes: the new state is recorded first; a failure leaves the lease as it was */

static err_t change(struct leases *ls, struct lease *l, const struct lease *old, struct why *why)
{
    err_t e = journal_put(&ls->journal, node_of(l), why);
    if (e != ERR_OK)
        *l = *old;
    return e;
}

err_t lease_renew(struct leases *ls, struct lease *l, int64_t ttl_ms, struct why *why)
{
    struct lease old = *l;
    int64_t now = clock_boot_ms();
    if (has_ended(node_of(l)))
        return fail(why, ERR_EXPIRED, "the lease has ended: lease again");
    if (ttl_ms < TTL_MIN_MS)
        return fail(why, ERR_INVALID, "a ttl is at least %d ms", TTL_MIN_MS);
    int64_t left = l->max_boot_ms - now;
    int64_t ttl = ttl_ms < left ? ttl_ms : left;
    l->expires_boot_ms = now + ttl;
    l->expires_wall_ms = clock_wall_ms() + ttl;
    if (l->expires_wall_ms > l->max_wall_ms)
        l->expires_wall_ms = l->max_wall_ms;
    TRY(change(ls, l, &old, why));
    (void)!due_set(&ls->due, node_of(l),
                   next_look(node_of(l))); /* else it is looked at too early */
    return ERR_OK;
}

int64_t lease_room_ms(const struct lease *l)
{
    return l->max_boot_ms - clock_boot_ms();
}

err_t lease_extend(struct leases *ls, struct lease *l, int64_t max_ttl_ms, struct why *why)
{
    struct lease old = *l;
    if (has_ended(node_of(l)))
        return fail(why, ERR_EXPIRED, "the lease has ended: lease again");
    if (max_ttl_ms <= lease_room_ms(l))
        return ERR_OK;
    l->max_boot_ms = clock_boot_ms() + max_ttl_ms;
    l->max_wall_ms = clock_wall_ms() + max_ttl_ms;
    return change(ls, l, &old, why);
}

err_t lease_use(struct leases *ls, struct lease *l, struct why *why)
{
    struct lease old = *l;
    if (has_ended(node_of(l)))
        return fail(why, ERR_EXPIRED, "the lease has ended: lease again");
    if (!l->limited_uses)
        return ERR_OK;
    if (l->uses_left == 0) {
        finish(node_of(l), LEASE_END_USES);
        return fail(why, ERR_LIMIT, "the lease has no use left: lease again");
    }
    l->uses_left--;
    return change(ls, l, &old, why);
}

err_t lease_set_file(struct leases *ls, struct lease *l, const char *rel, struct why *why)
{
    struct lease old = *l;
    if (!view_copy(view_str(rel), l->file, sizeof(l->file))) {
        *l = old;
        return fail(why, ERR_TOO_LARGE, "the path of the projected file has over %zu bytes",
                    sizeof(l->file) - 1);
    }
    return change(ls, l, &old, why);
}

/* ---- looking */

struct lease *lease_by_id(struct leases *ls, const uint8_t id[TOKEN_LEASE_ID])
{
    struct lease_node *n = table_find(&ls->table, id);
    return n && !has_ended(n) ? &n->lease : NULL;
}

struct lease *lease_by_hex(struct leases *ls, struct view hex)
{
    uint8_t id[TOKEN_LEASE_ID];
    return hex_decode(hex, id, sizeof(id)) ? lease_by_id(ls, id) : NULL;
}

struct lease *lease_next(struct leases *ls, uint64_t *cursor)
{
    struct lease_node *n;
    while ((n = table_after(&ls->table, *cursor))) {
        *cursor = n->serial;
        if (!has_ended(n))
            return &n->lease;
    }
    return NULL;
}

int64_t leases_wall_ms(const struct leases *ls)
{
    return journal_wall_ms(&ls->journal);
}

unsigned leases_live(const struct leases *ls)
{
    return ls->table.live;
}

unsigned leases_live_of(const struct leases *ls, const char *consumer)
{
    return table_live_of(&ls->table, consumer);
}

void lease_bind(const struct lease *l, struct token_bind *out)
{
    out->consumer = l->consumer;
    out->credential = l->credential;
    out->prefix = l->prefix;
    memcpy(out->limits, l->limits, sizeof(out->limits));
}
