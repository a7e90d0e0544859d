/*
 * Enroll, replace, remove, open. Every change takes the same steps, in an order a kill may cut:
 * - 1 decide and check: nothing is written
 * - 2 the new record, durable
 * - 3 the manifest entry, durable: the commit
 * - 4 the index in memory, which cannot fail
 * - 5 the old record goes; what stays behind, credentials_sweep finds
 * A failure before 3 leaves the old version in force, and at most an orphan. A failure in 3 leaves
 * the outcome open: both records stay until a new generation of the manifest has settled it.
 */
#include "vault/credential_state.h"

#include "base/auto.h"
#include "base/name.h"
#include "crypto/chain.h"
#include "provider/oauth.h"

#include <inttypes.h>
#include <string.h>

_Static_assert(sizeof((struct credential *)0)->account == REDACT_LEN + 1,
               "room for a redaction id");

static void auto_credentials(struct credentials **cs)
{
    credentials_close(*cs);
}

/* ---- opening */

/* Every row must be of an epoch there is a key for. */
static err_t check_epochs(struct credentials *cs, struct why *why)
{
    for (size_t i = 0; i < cs->index.n; i++) {
        const struct credential *c = cs->index.order[i];
        cs->stale += c->epoch != cs->epoch;
        if (!credential_kek(cs, c->epoch))
            return fail(why, ERR_CORRUPT,
                        "%s is sealed under key epoch %" PRIu32 ", the store is at %" PRIu32,
                        c->name, c->epoch, cs->epoch);
    }
    return ERR_OK;
}

err_t credentials_open(const struct credentials_env *env, struct credentials **out, struct why *why)
{
    AUTO(auto_credentials) struct credentials *cs = calloc(1, sizeof(*cs));
    AUTO(credential_keys_clear) struct credential_keys keys = {0};
    if (!cs)
        return fail(why, ERR_INTERNAL, "out of memory");
    cs->ops = env->ops;
    cs->store = env->store;
    cs->header = env->header;
    cs->redact_key = env->redact_key;
    cs->manifest = (struct manifest){.ops = env->ops, .store = env->store};
    TRY(credential_keys_derive(env->header->epoch, env->master, env->previous, &keys, why));
    const struct manifest_keys under = {keys.manifest, keys.manifest_before, keys.epoch};
    TRY(manifest_load(&cs->manifest, &under, &cs->index, why));
    TRY(credentials_take_keys(cs, &keys,
                              why)); /* a rekey that was killed at its first step goes on here */
    TRY(check_epochs(cs, why));
    *out = TAKE(cs);
    return ERR_OK;
}

void credentials_close(struct credentials *cs)
{
    if (!cs)
        return;
    credentials_forget(cs);
    for (size_t i = 0; i < COUNT(cs->cache); i++)
        buf_free(&cs->cache[i].bytes);
    secret_free(cs->kek);
    secret_free(cs->kek_before);
    manifest_clear(&cs->manifest);
    index_clear(&cs->index);
    free(cs);
}

/* ---- looking */

void credentials_head(const struct credentials *cs, uint64_t *seq, uint8_t hash[16])
{
    *seq = cs->manifest.chain.generation << 32 | cs->manifest.chain.seq;
    memcpy(hash, cs->manifest.chain.prev_tag, ENTRY_TAG);
}

unsigned credentials_count(const struct credentials *cs)
{
    return (unsigned)cs->index.n;
}

const struct credential *credential_find(const struct credentials *cs, struct view name)
{
    return index_find(&cs->index, name);
}

const struct credential *credential_next(struct credentials *cs, const char *after)
{
    return index_next(&cs->index, after);
}

/* ---- opening one */

err_t credential_meta(const struct credentials *cs, const struct credential *c,
                      struct seal_meta *out, struct why *why)
{
    struct seal_meta m = {
        .version = c->version,
        .epoch = c->epoch,
        .created_ms = c->replaced_ms ? c->replaced_ms : c->created_ms,
    };
    memcpy(m.store_id, cs->header->store_id, SEAL_ID);
    memcpy(m.cred_id, c->id, SEAL_ID);
    AUTO(buf_free) struct buf policy = {0};
    buf_put_u32(&policy, c->ceiling);
    buf_put_str16(&policy, view_str(c->prefix));
    TRY(buf_ok(&policy, why));
    seal_hash(buf_view(&policy), m.policy_hash);
    (void)view_copy(view_str(c->name), m.name, sizeof(m.name));
    if (!view_copy(view_str(c->provider->name), m.kind, sizeof(m.kind)))
        return fail(why, ERR_INTERNAL, "the name of provider %s is too long", c->provider->name);
    *out = m;
    return ERR_OK;
}

/* The manifest, whose entries are authenticated, says which bytes the record has: hash first. What
 * the index does not keep (the hash of the version before, not-after) is then as the record says.
 */
err_t credential_read(struct credentials *cs, const struct credential *c, struct buf *record,
                      struct why *why)
{
    char name[STORE_NAME_MAX + 1];
    uint8_t hash[SEAL_HASH];
    struct why inner = {0};
    credential_record_name(c, name);
    err_t e = cs->ops->record_read(cs->store, name, record, &inner);
    if (e == ERR_NOT_FOUND || e == ERR_TOO_LARGE || e == ERR_INVALID)
        return fail(why, ERR_CORRUPT,
                    "the record of %s is gone or no record: restore the store from a backup",
                    c->name);
    if (e != ERR_OK)
        return fail(why, e, "reading the record of %s: %s", c->name, inner.text);
    seal_hash(buf_view(record), hash);
    if (!view_eq(VIEW(hash, SEAL_HASH), VIEW(c->hash, SEAL_HASH)))
        return fail(why, ERR_CORRUPT, "the record of %s is not the one the manifest names",
                    c->name);
    return ERR_OK;
}

static err_t unseal(struct credentials *cs, const struct credential *c, struct view record,
                    struct secret **plain, struct why *why)
{
    struct seal_meta expect, own;
    TRY(credential_meta(cs, c, &expect, why));
    TRY(seal_peek(record, &own, why));
    memcpy(expect.prev_hash, own.prev_hash, SEAL_HASH);
    expect.not_after_ms = own.not_after_ms;
    return seal_open(credential_kek(cs, c->epoch), record, &expect, plain, why);
}

err_t credential_open(struct credentials *cs, const struct credential *c, struct secret **plain,
                      struct why *why)
{
    struct cached *slot = credential_cached(cs, c->hash);
    if (slot->bytes.len)
        return unseal(cs, c, buf_view(&slot->bytes), plain, why);
    AUTO(buf_free) struct buf record = {.max = STORE_RECORD_MAX + 4096};
    TRY(credential_read(cs, c, &record, why));
    TRY(unseal(cs, c, buf_view(&record), plain, why));
    memcpy(slot->hash, c->hash, SEAL_HASH);
    slot->bytes = record;
    record = (struct buf){0};
    return ERR_OK;
}

void credentials_forget(struct credentials *cs)
{
    if (!cs->view.plain)
        return;
    secret_free(TAKE(cs->view.plain));
    cs->view.cred = (struct cred){0};
}

err_t credential_view(struct credentials *cs, const struct credential *c, const struct cred **out,
                      struct why *why)
{
    AUTO(auto_secret) struct secret *plain = NULL;
    struct cred cred;
    if (!cs->view.plain || memcmp(cs->view.hash, c->hash, SEAL_HASH) != 0) {
        credentials_forget(cs);
        TRY(credential_open(cs, c, &plain, why));
        TRY(cred_decode(VIEW(secret_bytes(plain), secret_len(plain)), &cred, why));
        memcpy(cs->view.hash, c->hash, SEAL_HASH);
        cs->view.plain = TAKE(plain);
        cs->view.cred = cred;
    }
    *out = &cs->view.cred;
    return ERR_OK;
}

/* ---- changing */

/* Writes the record of `next`; its hash goes into the row. A record of that name that the manifest
 * does not know is an orphan. */
err_t credential_write(struct credentials *cs, struct credential *next, struct view record,
                       struct why *why)
{
    char name[STORE_NAME_MAX + 1];
    credential_record_name(next, name);
    seal_hash(record, next->hash);
    err_t e = cs->ops->record_write(cs->store, name, record, why);
    if (e != ERR_EXISTS)
        return e;
    TRY(cs->ops->record_remove(cs->store, name, why));
    return cs->ops->record_write(cs->store, name, record, why);
}

err_t credentials_settle(struct credentials *cs, struct why *why)
{
    return manifest_mend(&cs->manifest, &cs->index, why);
}

/* What was refused must not be there after a restart: a failed append may have reached the disk, so it is settled at once. Where that
 * fails too, credentials_settle goes on trying. */
static err_t or_settle(struct credentials *cs, err_t e)
{
    if (e != ERR_OK)
        (void)!credentials_settle(cs, NULL);
    return e;
}

/* Steps 3 to 5: `row` becomes `next`. */
err_t credential_commit(struct credentials *cs, struct credential *row,
                        const struct credential *next, struct why *why)
{
    char old[STORE_NAME_MAX + 1];
    struct why ignored = {0};
    credential_record_name(row, old);
    TRY(or_settle(cs, manifest_put(&cs->manifest, next, why)));
    cs->stale -= row->epoch != cs->epoch;
    *row = *next;
    if (cs->ops->record_remove(cs->store, old, &ignored) ==
        ERR_OK) /* else credentials_sweep will */
        manifest_compact(&cs->manifest, &cs->index);
    return ERR_OK;
}

static err_t commit_new(struct credentials *cs, const struct credential *next,
                        const struct credential **out, struct why *why)
{
    TRY(index_reserve(&cs->index, why));
    AUTO(auto_free) struct credential *row = malloc(sizeof(*row));
    if (!row)
        return fail(why, ERR_INTERNAL, "out of memory");
    *row = *next;
    TRY(or_settle(cs, manifest_put(&cs->manifest, row, why)));
    *out = row;
    index_add(&cs->index, TAKE(row));
    return ERR_OK;
}

static err_t check_ceiling(const struct credential_put *put, const struct provider *p,
                           const struct credential *old, unsigned *ceiling, struct why *why)
{
    unsigned mask = put->ceiling ? put->ceiling : old ? old->ceiling : p->deliveries;
    if (mask & ~p->deliveries)
        return fail(why, ERR_INVALID, "provider %s cannot serve all deliveries of the ceiling",
                    p->name);
    *ceiling = mask;
    return ERR_OK;
}

static err_t check_provider(const struct credential_put *put, const struct credential *old,
                            const struct provider **out, struct why *why)
{
    const struct provider *p =
        put->provider.n || !old ? provider_by_name(put->provider) : old->provider;
    if (!p)
        return fail(why, ERR_INVALID, "no such provider");
    if (old && old->provider != p)
        return fail(why, ERR_CONFLICT,
                    "%s is a %s credential: remove it before it is enrolled as %s", old->name,
                    old->provider->name, p->name);
    *out = p;
    return ERR_OK;
}

/* What the row says of the credential, from its canonical form. */
static err_t describe(const struct credentials *cs, const struct cred *c, struct credential *row,
                      struct why *why)
{
    if (!view_copy(c->f[CF_KIND], row->kind, sizeof(row->kind)) ||
        !view_copy(view_str(row->provider->token_prefix(c)), row->prefix, sizeof(row->prefix)))
        return fail(why, ERR_INVALID, "the kind of credential is not one of %s",
                    row->provider->name);
    row->account[0] = '\0';
    if (cred_has(c, CF_ACCOUNT) && cs->redact_key)
        redact_id(cs->redact_key, c->f[CF_ACCOUNT], row->account);
    row->expires_ms = cred_ms(c, CF_EXPIRES_AT);
    row->needs_login = LOGIN_WORKS;
    row->released = false;
    row->no_refresh = !oauth_can_refresh(row->provider, c);
    return ERR_OK;
}

/* Step 1. `next`: the row as it shall be, all but the hash. */
static err_t prepare(const struct credentials *cs, const struct credential_put *put,
                     const struct credential *old, struct credential *next, struct cred *cred,
                     struct why *why)
{
    TRY(name_check(put->name, "credential", why));
    if (old && !put->replace)
        return fail(why, ERR_EXISTS, "%s exists already: replace it, or choose another name",
                    old->name);
    if (!old && put->replace)
        return fail(why, ERR_NOT_FOUND, "there is no such credential to replace: enroll it");
    TRY(check_provider(put, old, &next->provider, why));
    TRY(check_ceiling(put, next->provider, old, &next->ceiling, why));
    if (put->canonical.n > SECRET_MAX)
        return fail(why, ERR_TOO_LARGE, "a credential has at most %d bytes", SECRET_MAX);
    TRY(cred_decode(put->canonical, cred, why));
    TRY(next->provider->validate(cred, why));
    (void)view_copy(put->name, next->name, sizeof(next->name));
    next->epoch = cs->epoch;
    next->version = old ? old->version + 1 : 1;
    next->created_ms = old ? old->created_ms : put->now_ms;
    next->replaced_ms = old ? put->now_ms : 0;
    if (old)
        memcpy(next->id, old->id, SEAL_ID);
    else
        random_bytes(next->id, SEAL_ID);
    return describe(cs, cred, next, why);
}

/* Step 2. */
static err_t seal_and_write(struct credentials *cs, const struct credential *old,
                            struct credential *next, const struct credential_put *put,
                            int64_t not_after_ms, struct why *why)
{
    struct seal_meta meta;
    AUTO(buf_free) struct buf record = {0};
    TRY(credential_meta(cs, next, &meta, why));
    meta.not_after_ms = not_after_ms;
    if (old)
        memcpy(meta.prev_hash, old->hash, SEAL_HASH);
    TRY(seal_record(cs->kek, &meta, put->canonical, &record, why));
    return credential_write(cs, next, buf_view(&record), why);
}

err_t credential_put(struct credentials *cs, const struct credential_put *put,
                     const struct credential **out, struct why *why)
{
    struct credential next = {0};
    struct cred cred;
    struct credential *old = index_find(&cs->index, put->name);
    TRY(prepare(cs, put, old, &next, &cred, why));
    next.needs_login = put->hold ? LOGIN_REVOKED : LOGIN_WORKS;
    next.released = put->hold;
    TRY(manifest_mend(&cs->manifest, &cs->index, why));
    TRY(seal_and_write(cs, old, &next, put, cred_ms(&cred, CF_REFRESH_EXPIRES), why));
    if (!old)
        return commit_new(cs, &next, out, why);
    TRY(credential_commit(cs, old, &next, why));
    *out = old;
    return ERR_OK;
}

err_t credential_hold(struct credentials *cs, struct view name, bool held, struct why *why)
{
    struct credential *row = index_find(&cs->index, name);
    if (!row)
        return fail(why, ERR_NOT_FOUND, "there is no such credential");
    struct credential next = *row;
    next.needs_login = held ? LOGIN_REVOKED : LOGIN_WORKS;
    next.released = held;
    TRY(manifest_mend(&cs->manifest, &cs->index, why));
    TRY(or_settle(cs, manifest_put(&cs->manifest, &next, why)));
    *row = next;
    return ERR_OK;
}

err_t credential_set_end(struct credentials *cs, const struct credential *c, enum login_end how,
                         struct why *why)
{
    struct credential *row = index_find(&cs->index, view_str(c->name));
    if (!row || row != c)
        return fail(why, ERR_NOT_FOUND, "there is no such credential");
    struct credential next = *row;
    next.needs_login = (uint8_t)how;
    TRY(manifest_mend(&cs->manifest, &cs->index, why));
    TRY(or_settle(cs, manifest_put(&cs->manifest, &next, why)));
    *row = next;
    return ERR_OK;
}

err_t credential_remove(struct credentials *cs, struct view name, struct why *why)
{
    char record[STORE_NAME_MAX + 1];
    struct why ignored = {0};
    struct credential *row = index_find(&cs->index, name);
    if (!row)
        return fail(why, ERR_NOT_FOUND, "there is no such credential");
    TRY(manifest_mend(&cs->manifest, &cs->index, why));
    TRY(or_settle(cs, manifest_remove(&cs->manifest, row, why)));
    credential_record_name(row, record);
    cs->stale -= row->epoch != cs->epoch;
    index_remove(&cs->index, row);
    if (cs->ops->record_remove(cs->store, record, &ignored) == ERR_OK)
        manifest_compact(&cs->manifest, &cs->index);
    return ERR_OK;
}
