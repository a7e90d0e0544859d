/*
 * The store's keys as an operator manages them: init, unlock, lock, key slots, rekey, accept. Whatever asks a key source is
 * answered later (keycall.h); the pending request travels with the call.
 */
#include "vault/ops.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/log.h"
#include "vault/init.h"
#include "vault/refresh.h"
#include "vault/unlock.h"

#include <stdlib.h>
#include <string.h>

enum { REKEY_RECORDS_PER_TICK = 64 };

static err_t find_source(struct request *rq, const struct keysource **out)
{
    *out = keysource_by_name(msg_view(rq->msg, F_SOURCE));
    if (!*out)
        return fail(rq->why, ERR_INVALID,
                    "no such key source; there are keyfile, passphrase, keyring, systemd");
    if ((*out)->interactive && msg_view(rq->msg, F_PASSPHRASE).n == 0)
        return fail(rq->why, ERR_INVALID, "key source %s needs a passphrase", (*out)->name);
    return ERR_OK;
}

static struct keycall create_call(const struct request *rq, const struct keysource *ks)
{
    return (struct keycall){.source = ks,
                            .op = KEYCALL_CREATE,
                            .passphrase = msg_view(rq->msg, F_PASSPHRASE),
                            .path = msg_view(rq->msg, F_PATH)};
}

err_t op_init(struct request *rq, struct pending *p, struct jsonw *w)
{
    const struct keysource *ks = NULL;
    (void)w;
    if (rq->v->state != VAULT_UNINITIALISED)
        return fail(rq->why, ERR_EXISTS, "the store is set up already; its state is %s",
                    vault_state_name(rq->v->state));
    TRY(find_source(rq, &ks));
    struct keycall call = create_call(rq, ks);
    rq->deferred = true;
    init_start(rq->v, &call, p);
    return ERR_OK;
}

err_t op_unlock(struct request *rq, struct pending *p, struct jsonw *w)
{
    (void)w;
    if (rq->v->state != VAULT_LOCKED)
        return fail(rq->why, ERR_CONFLICT, "the store is not locked; its state is %s",
                    vault_state_name(rq->v->state));
    rq->deferred = true;
    unlock_try(rq->v, msg_view(rq->msg, F_SOURCE), msg_view(rq->msg, F_PASSPHRASE), p);
    return ERR_OK;
}

static void write_state(struct vault *v, struct jsonw *w)
{
    jsonw_open(w, NULL, '{');
    jsonw_str(w, "state", vault_state_name(v->state));
    jsonw_str(w, "reason", v->state == VAULT_READY ? NULL : v->state_why);
    jsonw_close(w, '}');
}

err_t op_state(struct vault *v, struct pending *p, struct jsonw *w, struct why *why)
{
    (void)p;
    (void)why;
    write_state(v, w);
    return ERR_OK;
}

err_t op_lock(struct request *rq, struct pending *p, struct jsonw *w)
{
    (void)w;
    if (!rq->v->credentials)
        return fail(rq->why, ERR_CONFLICT, "the store is not open; its state is %s",
                    vault_state_name(rq->v->state));
    TRY(refreshes_quiet(rq, p));
    if (rq->deferred)
        return ERR_OK;
    struct audit_record r = {.event = AUDIT_STORE_LOCK, .outcome = ERR_OK, .peer = &rq->conn->peer};
    return server_record(rq->v, &r, p, rq->why);
}

err_t op_lock_finish(struct vault *v, struct pending *p, struct jsonw *w, struct why *why)
{
    (void)p;
    (void)why;
    unlock_close(v, "locked by an operator; open it with: broker-cli unlock");
    write_state(v, w);
    return ERR_OK;
}

err_t op_accept(struct request *rq, struct pending *p, struct jsonw *w)
{
    struct vault *v = rq->v;
    (void)w;
    if (v->state != VAULT_ROLLBACK)
        return fail(rq->why, ERR_CONFLICT, "there is nothing to accept: the store is %s",
                    vault_state_name(v->state));
    struct audit_record r = {
        .event = AUDIT_STORE_ACCEPT, .outcome = ERR_OK, .peer = &rq->conn->peer};
    return server_record(v, &r, p, rq->why);
}

err_t op_accept_finish(struct vault *v, struct pending *p, struct jsonw *w, struct why *why)
{
    (void)p;
    (void)why;
    if (v->state == VAULT_ROLLBACK) /* else it was locked meanwhile */
        unlock_accept(v);
    write_state(v, w);
    return ERR_OK;
}

/* ---- slots */

struct key_add {
    struct vault *v;
    struct pending *p;
};

static void on_new_key(void *ctx, err_t e, struct view params, struct secret *key,
                       const struct why *why)
{
    struct key_add *a = ctx;
    struct vault *v = a->v;
    struct pending *p = a->p;
    struct why own = *why;
    bool made = e == ERR_OK;
    free(a);
    p->payload = key;
    buf_add_view(&p->text, params);
    if (e == ERR_OK)
        e = buf_ok(&p->text, &own);
    if (e == ERR_OK) {
        struct audit_record r = {.event = AUDIT_KEY_ADD,
                                 .outcome = ERR_OK,
                                 .source = p->name,
                                 .peer = server_peer(v, p)};
        e = server_record(v, &r, p, &own);
    }
    if (e == ERR_OK) {
        server_wait(v, p);
        return;
    }
    if (made)
        keycall_forget(v, p->name, params);
    server_refuse(v, p, e, &own);
}

void op_key_add_undo(struct vault *v, struct pending *p)
{
    keycall_forget(v, p->name, buf_view(&p->text));
}

err_t op_key_add(struct request *rq, struct pending *p, struct jsonw *w)
{
    const struct keysource *ks = NULL;
    (void)w;
    TRY(find_source(rq, &ks));
    struct key_add *a = calloc(1, sizeof(*a));
    if (!a)
        return fail(rq->why, ERR_UNAVAILABLE, "out of memory");
    *a = (struct key_add){rq->v, p};
    (void)view_copy(view_str(ks->name), p->name, sizeof(p->name));
    struct keycall call = create_call(rq, ks);
    call.done = on_new_key;
    call.ctx = a;
    rq->deferred = true;
    keycall_start(rq->v, &call);
    return ERR_OK;
}

/* The change was recorded as made: a second record says that it was not. */
static void note_failure(struct vault *v, const struct pending *p, err_t e)
{
    struct audit_record r = {.event = p->op->event,
                             .outcome = e,
                             .peer = server_peer(v, p),
                             .source = p->name[0] ? p->name : NULL};
    server_note(v, &r);
}

/* Changes the header in memory and on the disk, or neither; and lets the log know. */
static err_t commit_header(struct vault *v, const struct keyheader *before, err_t e,
                           struct why *why)
{
    if (e == ERR_OK)
        e = unlock_write_header(v, why);
    if (e != ERR_OK)
        v->keys.header = *before;
    else
        unlock_note_commit(v);
    return e;
}

err_t op_key_add_finish(struct vault *v, struct pending *p, struct jsonw *w, struct why *why)
{
    struct keyheader before = v->keys.header;
    const struct keyslot_new in = {p->name, buf_view(&p->text), p->payload, clock_wall_ms()};
    unsigned slot = 0;
    if (!v->keys.master) {
        op_key_add_undo(v, p);
        return fail(why, ERR_LOCKED, "%s", v->state_why);
    }
    err_t e = keyslot_add(&v->keys.header, v->keys.master, &in, &slot, why);
    bool added = e == ERR_OK;
    e = commit_header(v, &before, e, why);
    if (e != ERR_OK) {
        note_failure(v, p, e);
        if (!added) /* else the header may be on the disk, and needs its key */
            op_key_add_undo(v, p);
        return e;
    }
    jsonw_open(w, NULL, '{');
    jsonw_int(w, "slot", slot);
    jsonw_str(w, "source", p->name);
    jsonw_close(w, '}');
    return ERR_OK;
}

err_t op_key_remove(struct request *rq, struct pending *p, struct jsonw *w)
{
    uint64_t slot = msg_u64(rq->msg, F_SLOT, KEYSLOTS_MAX);
    (void)w;
    const struct keyheader *h = &rq->v->keys.header;
    if (slot >= KEYSLOTS_MAX || !h->slot[slot].used)
        return fail(rq->why, ERR_NOT_FOUND, "no such key slot; see: broker-cli key list");
    if (keyheader_slots(h) == 1)
        return fail(rq->why, ERR_CONFLICT, "this is the last key: add another one first");
    if (server_changing(rq->v, p))
        return fail(rq->why, ERR_CONFLICT, "another key is being removed; try again in a moment");
    p->number = (unsigned)slot;
    struct audit_record r = {.event = AUDIT_KEY_REMOVE,
                             .outcome = ERR_OK,
                             .peer = &rq->conn->peer,
                             .source = h->slot[slot].source};
    return server_record(rq->v, &r, p, rq->why);
}

err_t op_key_remove_finish(struct vault *v, struct pending *p, struct jsonw *w, struct why *why)
{
    struct keyheader before = v->keys.header;
    const struct keyslot *gone = &before.slot[p->number];
    if (!v->keys.master)
        return fail(why, ERR_LOCKED, "%s", v->state_why);
    err_t e = keyheader_remove(&v->keys.header, v->keys.master, p->number, why);
    e = commit_header(v, &before, e, why);
    if (e != ERR_OK) {
        note_failure(v, p, e);
        return e;
    }
    /* what the source kept for us goes after the commit: a key too many is harmless, a slot without its key is not */
    keycall_forget(v, gone->source, VIEW(gone->params, gone->params_len));
    jsonw_open(w, NULL, '{');
    jsonw_int(w, "removed", p->number);
    jsonw_close(w, '}');
    return ERR_OK;
}

/* ---- rekey */

err_t op_rekey(struct request *rq, struct pending *p, struct jsonw *w)
{
    (void)w;
    if (rq->v->keys.header.rekeying)
        return fail(rq->why, ERR_CONFLICT, "a rekey is under way; see: broker-cli key list");
    struct audit_record r = {
        .event = AUDIT_REKEY_BEGIN, .outcome = ERR_OK, .peer = &rq->conn->peer};
    return server_record(rq->v, &r, p, rq->why);
}

err_t op_rekey_finish(struct vault *v, struct pending *p, struct jsonw *w, struct why *why)
{
    struct keyheader before = v->keys.header;
    struct secret *fresh = NULL;
    if (!v->keys.master)
        return fail(why, ERR_LOCKED, "%s", v->state_why);
    err_t e = keyheader_rekey_begin(&v->keys.header, v->keys.master, &fresh, why);
    e = commit_header(v, &before, e, why);
    if (e != ERR_OK) {
        secret_free(fresh);
        note_failure(v, p, e);
        return e;
    }
    v->keys.previous = v->keys.master;
    v->keys.master = fresh;
    TRY(credentials_set_keys(v->credentials, v->keys.master, v->keys.previous, why));
    jsonw_open(w, NULL, '{');
    jsonw_int(w, "epoch", v->keys.header.epoch);
    jsonw_int(w, "records", credentials_count(v->credentials));
    jsonw_close(w, '}');
    return ERR_OK;
}

static err_t rekey_end(struct vault *v, struct why *why)
{
    struct keyheader before = v->keys.header;
    err_t e = keyheader_rekey_end(&v->keys.header, v->keys.master, why);
    TRY(commit_header(v, &before, e, why));
    TRY(credentials_set_keys(v->credentials, v->keys.master, NULL, why));
    secret_free(TAKE(v->keys.previous));
    struct audit_record r = {
        .event = AUDIT_REKEY_END, .outcome = ERR_OK, .count = credentials_count(v->credentials)};
    server_note(v, &r);
    unlock_note_commit(v);
    return ERR_OK;
}

void op_rekey_step(struct vault *v)
{
    struct why why = {0};
    unsigned left = 0;
    if (!v->credentials || !v->keys.previous)
        return;
    err_t e = credentials_rekey_step(v->credentials, REKEY_RECORDS_PER_TICK, &left, &why);
    if (e == ERR_OK && left == 0)
        e = rekey_end(v, &why);
    if (e != ERR_OK)
        log_event(LOG_LVL_ERROR, "rekey.step", "why", why.text, NULL);
}
