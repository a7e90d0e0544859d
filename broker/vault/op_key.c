/*
 * The store's keys as an operator manages them: init, unlock, lock, key slots, rekey, accept. Whatever asks a key source is
 * answered later (keycall.h); the pending request travels with the call.
 */
#include "vault/ops.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/log.h"
#include "vault/unlock.h"

#include <stdlib.h>
#include <string.h>

enum { REKEY_RECORDS_PER_TICK = 64 };

static err_t find_source(struct request *rq, const struct keysource **out)
{
    *out = keysource_by_name(msg_view(rq->msg, F_SOURCE));
    if (!*out)
        return fail(rq->why, ERR_INVALID, "no such key source; there are keyfile, passphrase, keyring, systemd");
    if ((*out)->interactive && msg_view(rq->msg, F_PASSPHRASE).n == 0)
        return fail(rq->why, ERR_INVALID, "key source %s needs a passphrase", (*out)->name);
    return ERR_OK;
}

static struct keycall create_call(const struct request *rq, const struct keysource *ks)
{
    return (struct keycall){.source = ks, .op = KEYCALL_CREATE, .passphrase = msg_view(rq->msg, F_PASSPHRASE),
                            .path = msg_view(rq->msg, F_PATH)};
}

err_t op_init(struct request *rq, struct pending *p, struct jsonw *w)
{
    const struct keysource *ks = NULL;
    (void)w;
    if (rq->v->state != VAULT_UNINITIALISED)
        return fail(rq->why, ERR_EXISTS, "the store is set up already; its state is %s", vault_state_name(rq->v->state));
    TRY(find_source(rq, &ks));
    struct keycall call = create_call(rq, ks);
    rq->deferred = true;
    unlock_init(rq->v, &call, p);
    return ERR_OK;
}

err_t op_unlock(struct request *rq, struct pending *p, struct jsonw *w)
{
    (void)w;
    if (rq->v->state != VAULT_LOCKED)
        return fail(rq->why, ERR_CONFLICT, "the store is not locked; its state is %s", vault_state_name(rq->v->state));
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
        return fail(rq->why, ERR_CONFLICT, "the store is not open; its state is %s", vault_state_name(rq->v->state));
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
    (void)p;
    (void)w;
    return unlock_accept(rq->v, rq->why);
}

/* ---- slots */

struct key_add {
    struct vault *v;
    struct pending *p;
};

static void on_new_key(void *ctx, err_t e, struct view params, struct secret *key, const struct why *why)
{
    struct key_add *a = ctx;
    struct vault *v = a->v;
    struct pending *p = a->p;
    struct why own = *why;
    free(a);
    p->payload = key;
    buf_add_view(&p->text, params);
    if (e == ERR_OK) {
        struct audit_record r = {.event = AUDIT_KEY_ADD, .outcome = ERR_OK, .source = p->name};
        e = server_record(v, &r, p, &own);
    }
    if (e == ERR_OK)
        server_wait(v, p);
    else
        server_answer(v, p, e, NULL, &own);
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

/* Changes the header in memory and on the disk, or neither; and lets the log know. */
static err_t commit_header(struct vault *v, const struct keyheader *before, err_t e, struct why *why)
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
    unsigned slot = 0;
    if (!v->keys.master)
        return fail(why, ERR_LOCKED, "%s", v->state_why);
    err_t e = keyheader_add(&v->keys.header, v->keys.master, p->name, buf_view(&p->text), p->payload, clock_wall_ms(),
                            &slot, why);
    TRY(commit_header(v, &before, e, why));
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
    if (slot >= KEYSLOTS_MAX || !rq->v->keys.header.slot[slot].used)
        return fail(rq->why, ERR_NOT_FOUND, "no such key slot; see: broker-cli key list");
    p->number = (unsigned)slot;
    struct audit_record r = {.event = AUDIT_KEY_REMOVE, .outcome = ERR_OK, .peer = &rq->conn->peer,
                             .source = rq->v->keys.header.slot[slot].source};
    return server_record(rq->v, &r, p, rq->why);
}

static void ignore_outcome(void *ctx, err_t e, struct view params, struct secret *key, const struct why *why)
{
    (void)ctx;
    (void)params;
    secret_free(key);
    if (e != ERR_OK)
        log_event(LOG_LVL_WARN, "key.leftover", "why", why->text, NULL);
}

err_t op_key_remove_finish(struct vault *v, struct pending *p, struct jsonw *w, struct why *why)
{
    struct keyheader before = v->keys.header;
    const struct keyslot *gone = &before.slot[p->number];
    if (!v->keys.master)
        return fail(why, ERR_LOCKED, "%s", v->state_why);
    err_t e = keyheader_remove(&v->keys.header, v->keys.master, p->number, why);
    TRY(commit_header(v, &before, e, why));
    /* what the source kept for us goes after the commit: a key too many is harmless, a slot without its key is not */
    const struct keysource *ks = keysource_by_name(view_str(gone->source));
    struct keycall call = {.source = ks, .op = KEYCALL_REMOVE, .params = VIEW(gone->params, gone->params_len),
                           .done = ignore_outcome};
    if (ks)
        keycall_start(v, &call);
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
    struct audit_record r = {.event = AUDIT_REKEY_BEGIN, .outcome = ERR_OK, .peer = &rq->conn->peer};
    return server_record(rq->v, &r, p, rq->why);
}

err_t op_rekey_finish(struct vault *v, struct pending *p, struct jsonw *w, struct why *why)
{
    struct keyheader before = v->keys.header;
    struct secret *fresh = NULL;
    (void)p;
    if (!v->keys.master)
        return fail(why, ERR_LOCKED, "%s", v->state_why);
    err_t e = keyheader_rekey_begin(&v->keys.header, v->keys.master, &fresh, why);
    e = commit_header(v, &before, e, why);
    if (e != ERR_OK) {
        secret_free(fresh);
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
    struct audit_record r = {.event = AUDIT_REKEY_END, .outcome = ERR_OK, .count = credentials_count(v->credentials)};
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
