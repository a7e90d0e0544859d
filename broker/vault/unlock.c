/*
 * Unlocking. Slots are tried one after the other, each in its own time (a helper may be busy for a second) while the vault goes on
 * answering "locked". With the master key the parts are opened in the order of trust: subkeys, audit log, credentials, leases; then
 * the store's head is held against the anchors, and only then is the state READY.
 */
#include "vault/unlock.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "vault/account_state.h"
#include "vault/deliver.h"
#include "vault/ops.h"
#include "vault/login.h"
#include "vault/refresh.h"

#include <stdlib.h>
#include <string.h>

struct unlock {
    struct vault *v;
    unsigned slot, order;      /* the slot being tried; the place in config's `key` list */
    char source[33];           /* "" any */
    struct secret *passphrase; /* NULL: only sources without a person */
    struct pending *p;         /* who asked; NULL at start */
    unsigned tried;            /* mask of slots: none is asked for twice, whatever the list says */
    struct why why;            /* of the last slot that did not open */
    err_t last;
};

void unlock_state(struct vault *v, enum vault_state s, const char *why)
{
    v->state = s;
    (void)view_copy(view_str(why), v->state_why, sizeof(v->state_why));
    log_event(s == VAULT_READY ? LOG_LVL_INFO : LOG_LVL_WARN, "store.state", "state",
              vault_state_name(s), "why", why, NULL);
}

err_t unlock_write_header(struct vault *v, struct why *why)
{
    AUTO(buf_free) struct buf b = {.max = STORE_HEADER_MAX};
    keyheader_encode(&v->keys.header, &b);
    TRY(buf_ok(&b, why));
    return v->store_ops->header_write(v->store, buf_view(&b), why);
}

void unlock_note_commit(struct vault *v)
{
    uint8_t hash[16];
    struct audit_record r = {.event = AUDIT_STORE_COMMIT, .outcome = ERR_OK, .manifest_hash = hash};
    credentials_head(v->credentials, &r.manifest_seq, hash);
    r.key_serial = v->keys.header.serial;
    server_note(v, &r);
}

/* ---- what is opened with the master key */

static err_t derive(struct vault *v, struct why *why)
{
    /* the epoch's own keys come from the epoch's master; those that must outlive a rekey are kept by their owners */
    struct vault_keys *k = &v->keys;
    struct {
        const char *context;
        struct secret **out;
    } const sub[] = {{"token", &k->token},           {"lease-journal", &k->journal},
                     {"audit-seal", &k->audit_seal}, {"redact", &k->redact},
                     {"budget", &k->budget},         {"refresh", &k->refresh}};
    for (size_t i = 0; i < COUNT(sub); i++)
        if (kdf_subkey(k->root, sub[i].context, 0, sub[i].out) != ERR_OK)
            return fail(why, ERR_UNAVAILABLE, "no secret memory left");
    return ERR_OK;
}

static void note_start(struct vault *v)
{
    struct audit_record r = {.event = AUDIT_START, .outcome = ERR_OK};
    if (!v->start_recorded && server_record(v, &r, NULL, NULL) == ERR_OK)
        v->start_recorded = true;
}

static err_t open_audit(struct vault *v, bool fresh, struct why *why)
{
    struct audit_env env = {.dirfd = v->log_fd,
                            .sink = v->sink,
                            .seal_key = v->keys.audit_seal,
                            .redact_key = v->keys.redact,
                            .store_id = v->keys.header.store_id,
                            .max_bytes = v->config->audit_max_bytes};
    err_t e = fresh ? audit_create(&env, &v->audit, why) : audit_open(&env, &v->audit, why);
    if (v->audit)
        note_start(v);
    return e;
}

static void on_lease_end(void *ctx, const struct lease *l, enum lease_end how)
{
    struct vault *v = ctx;
    struct audit_record r = {.event = AUDIT_LEASE_OWNER_GONE,
                             .outcome = ERR_OK,
                             .consumer = l->consumer,
                             .credential = l->credential,
                             .lease = l->id_hex,
                             .delivery = delivery_name(l->delivery)};
    v->count.ended++;
    if (how == LEASE_END_OWNER)
        server_note(v, &r);
    else
        expired_add(v, l);
    deliver_end(v, l);
}

/* Behind the log: its writer of an earlier run has ended then, and all it was given lies in the files. */
static void open_accounts(struct vault *v, bool fresh)
{
    struct why why = {0};
    unsigned bad = 0;
    err_t e = fresh ? account_state_remove(v->log_fd, &why)
                    : account_state_load(&v->accounts, v->log_fd, v->keys.budget, &bad, &why);
    if (e == ERR_OK && bad == 0)
        return;
    struct audit_record r = {.event = AUDIT_BUDGET_LOST, .outcome = ERR_CORRUPT, .count = bad};
    log_event(LOG_LVL_ERROR, "budget.lost", "why", why.text, "effect",
              "budgets that were in it count as spent until they renew", "remedy",
              "where that is not wanted, remove the file and restart", NULL);
    server_note(v, &r);
}

/* Is the key header at least as new as what the log remembers of it? */
static err_t check_header(const struct vault *v, struct why *why)
{
    uint64_t seen = audit_key_serial(v->audit), now = v->keys.header.serial;
    if (now < seen)
        return fail(why, ERR_ROLLBACK,
                    "the key header is at change %llu but the audit log has seen change %llu: an "
                    "older one was put back, with "
                    "its key slots; look at them with: broker-cli key list, then accept it with: "
                    "broker-cli store accept",
                    (unsigned long long)now, (unsigned long long)seen);
    return ERR_OK;
}

static err_t open_parts(struct vault *v, bool fresh, struct why *why)
{
    struct vault_keys *k = &v->keys;
    TRY(derive(v, why));
    err_t audit = open_audit(v, fresh, why);
    if (!v->audit)
        return audit;
    if (fresh) /* the commit of a new store: its log is there, nothing else yet */
        TRY(unlock_write_header(v, why));
    struct credentials_env ce = {.ops = v->store_ops,
                                 .store = v->store,
                                 .header = &k->header,
                                 .master = k->master,
                                 .previous = k->previous,
                                 .redact_key = k->redact};
    struct why own = {0};
    err_t e = credentials_open(&ce, &v->credentials, &own);
    v->swept = false;
    if (e != ERR_OK) /* of an older header's epoch: that is the reason then */
        return check_header(v, why) == ERR_OK ? fail(why, e, "%s", own.text) : ERR_ROLLBACK;
    struct leases_env le = {.loop = v->loop,
                            .sink = v->sink,
                            .dirfd = v->log_fd,
                            .journal_key = k->journal,
                            .on_end = on_lease_end,
                            .on_due = op_lease_keep,
                            .on_stop = op_proxy_lease_ended,
                            .ctx = v};
    open_accounts(v, fresh);
    e = leases_open(&le, &v->leases, &own);
    if (!v->leases)
        return fail(why, e, "%s", own.text);
    if (e !=
        ERR_OK) /* the journal was cut or changed: every lease of before is void, which is safe; new ones are served */
        log_event(LOG_LVL_ERROR, "leases.void", "why", own.text, NULL);
    return audit;
}

/* Is the store at least as new as what the log remembers of it? */
static err_t check_anchor(struct vault *v, struct why *why)
{
    uint64_t seen = 0, now = 0;
    uint8_t seen_hash[16], hash[16];
    audit_anchor(v->audit, &seen, seen_hash);
    credentials_head(v->credentials, &now, hash);
    if (now < seen || (now == seen && seen > 0 && memcmp(hash, seen_hash, 16) != 0))
        return fail(why, ERR_ROLLBACK,
                    "the store is at change %llu but the audit log has seen change %llu: it was "
                    "rolled back, or a backup was "
                    "restored; accept it with: broker-cli store accept",
                    (unsigned long long)now, (unsigned long long)seen);
    return ERR_OK;
}

static void enter_ready(struct vault *v, const char *why)
{
    unlock_state(v, VAULT_READY, why);
    op_end_orphans(v);
    refreshes_open(v);
    deliver_restore(v);
}

static void settle(struct vault *v, err_t e, const struct why *why)
{
    struct why own = *why;
    struct audit_record r = {.event = AUDIT_STORE_ROLLBACK};
    if (e == ERR_OK)
        e = check_header(v, &own);
    if (e == ERR_OK)
        e = check_anchor(v, &own);
    bool suspect = e == ERR_CORRUPT || e == ERR_ROLLBACK;
    r.outcome = e;
    if (suspect)
        server_note(v, &r);
    if (e == ERR_OK)
        enter_ready(v, "ready");
    else if (suspect && v->leases) /* all is open, and an operator may accept it */
        unlock_state(v, VAULT_ROLLBACK, own.text);
    else
        unlock_close(v, own.text);
}

err_t unlock_open(struct vault *v, const struct unlock_keys *keys, struct why *why)
{
    struct why own = {0};
    v->keys.header = keys->header;
    v->keys.master = keys->master;
    v->keys.previous = keys->previous;
    err_t e = keyheader_root(&v->keys.header, v->keys.master, &v->keys.root, &own);
    if (e == ERR_OK)
        e = open_parts(v, keys->fresh, &own);
    settle(v, e, &own);
    return v->credentials ? ERR_OK : fail(why, e, "%s", own.text);
}

void unlock_accept(struct vault *v)
{
    unlock_note_commit(v);
    enter_ready(v, "accepted by an operator");
}

void unlock_close(struct vault *v, const char *why)
{
    struct vault_keys *k = &v->keys;
    struct secret **all[] = {&k->master,     &k->previous, &k->root,   &k->token,  &k->journal,
                             &k->audit_seal, &k->redact,   &k->budget, &k->refresh};
    logins_close(v);
    refreshes_close(v);
    op_proxy_close(v, why);
    if (v->leases && !v->stopping) /* leases outlive a restart, and so do their files */
        deliver_remove_all(v);
    leases_close(TAKE(v->leases));
    credentials_close(TAKE(v->credentials));
    expired_tell(v);
    audit_close(TAKE(v->audit));
    for (size_t i = 0; i < COUNT(all); i++)
        secret_free(TAKE(*all[i]));
    unlock_state(v, VAULT_LOCKED, why);
}

/* ---- trying slots */

static void unlock_free(struct unlock *u)
{
    if (!u)
        return;
    u->v->unlock = NULL;
    secret_free(u->passphrase);
    free(u);
}

static void conclude(struct unlock *u, err_t e, const struct why *why)
{
    struct vault *v = u->v;
    struct pending *p = u->p;
    struct why own = *why;
    struct audit_record r = {
        .event = AUDIT_STORE_UNLOCK, .outcome = ERR_OK, .peer = p ? server_peer(v, p) : NULL};
    if (e != ERR_OK)
        unlock_state(v, VAULT_LOCKED, own.text);
    else
        r.source = v->keys.header.slot[u->slot].source;
    unlock_free(u);
    if (e == ERR_OK)
        e = server_record(v, &r, p, &own);
    if (!p)
        return;
    if (e == ERR_OK)
        server_wait(v, p);
    else
        server_refuse(v, p, e, &own);
}

static void try_next(struct unlock *u);

static void on_key(void *ctx, err_t e, struct view params, struct secret *key,
                   const struct why *why)
{
    struct unlock *u = ctx;
    struct vault *v = u->v;
    struct unlock_keys keys = {.header = v->keys.header};
    struct why own = *why;
    (void)params;
    if (e == ERR_OK)
        e = keyheader_open(&keys.header, u->slot, key, &keys.master, &keys.previous, &own);
    secret_free(key);
    if (e != ERR_OK) {
        u->last = fail(&u->why, e, "key slot %u (%s): %s", u->slot,
                       v->keys.header.slot[u->slot].source, own.text);
        u->slot++;
        try_next(u);
        return;
    }
    e = unlock_open(v, &keys, &own);
    conclude(u, e, &own);
}

/* Does the configuration's order say that this slot's source comes at this place? Without a list, every source has place 0. */
static bool in_turn(const struct unlock *u, const char *source)
{
    char **key = u->v->config->key;
    return !key || (key[u->order] && strcmp(key[u->order], source) == 0);
}

static bool wanted(const struct unlock *u, const struct keyslot *s, const struct keysource *ks)
{
    if (!s->used || !ks || u->v->stopping || (u->source[0] && strcmp(u->source, s->source) != 0))
        return false;
    return ks->interactive ? u->passphrase != NULL : true;
}

static const struct keysource *next_slot(struct unlock *u)
{
    for (;;) {
        for (; u->slot < KEYSLOTS_MAX; u->slot++) {
            const struct keyslot *s = &u->v->keys.header.slot[u->slot];
            const struct keysource *ks = keysource_by_name(view_str(s->source));
            if (!(u->tried & 1u << u->slot) && in_turn(u, s->source) && wanted(u, s, ks))
                return ks;
        }
        if (!u->v->config->key || !u->v->config->key[u->order] || !u->v->config->key[++u->order])
            return NULL;
        u->slot = 0;
    }
}

static void try_next(struct unlock *u)
{
    const struct keysource *ks = next_slot(u);
    if (!ks) {
        struct why why = u->why;
        err_t e = u->tried ? u->last
                           : fail(&why, ERR_LOCKED,
                                  "the store is locked; open it with: broker-cli unlock");
        conclude(u, e, &why);
        return;
    }
    const struct keyslot *s = &u->v->keys.header.slot[u->slot];
    u->tried |= 1u << u->slot;
    struct keycall call = {.source = ks,
                           .op = KEYCALL_OPEN,
                           .params = VIEW(s->params, s->params_len),
                           .done = on_key,
                           .ctx = u};
    if (u->passphrase && ks->interactive)
        call.passphrase = VIEW(secret_bytes(u->passphrase), secret_len(u->passphrase));
    keycall_start(u->v, &call);
}

err_t unlock_load(struct vault *v, struct why *why)
{
    AUTO(buf_free) struct buf b = {.max = STORE_HEADER_MAX};
    struct keyheader h = {0};
    err_t e = v->store_ops->header_read(v->store, &b, why);
    if (e == ERR_OK)
        e = keyheader_decode(buf_view(&b), &h, why);
    v->keys.header = h;
    if (e == ERR_NOT_FOUND) {
        e = fail(why, ERR_UNINIT, "the store is empty; set it up with: broker-cli init");
        unlock_state(v, VAULT_UNINITIALISED, why->text);
    } else {
        unlock_state(v, VAULT_LOCKED,
                     e == ERR_OK ? "the store is locked; open it with: broker-cli unlock"
                                 : why->text);
    }
    return e;
}

void unlock_try(struct vault *v, struct view source, struct view passphrase, struct pending *p)
{
    struct why why = {0};
    struct unlock *u = v->unlock ? NULL : calloc(1, sizeof(*u));
    err_t e =
        u ? ERR_OK
          : fail(&why, ERR_CONFLICT, "the store is being opened already; try again in a moment");
    if (e == ERR_OK) {
        *u = (struct unlock){.v = v, .p = p, .last = ERR_LOCKED};
        v->unlock = u;
        e = unlock_load(v, &why); /* anew: a backup may have been restored meanwhile */
    }
    if (e == ERR_OK) {
        if (!view_copy(source, u->source, sizeof(u->source)))
            e = fail(&why, ERR_INVALID, "no such key source");
    }
    if (e == ERR_OK && passphrase.n && !(u->passphrase = secret_from(passphrase.p, passphrase.n)))
        e = fail(&why, ERR_UNAVAILABLE, "no secret memory left");
    if (e == ERR_OK) {
        try_next(u);
        return;
    }
    unlock_free(u);
    if (p)
        server_refuse(v, p, e, &why);
}

void unlock_at_start(struct vault *v)
{
    unlock_try(v, VIEW(NULL, 0), VIEW(NULL, 0), NULL);
}
