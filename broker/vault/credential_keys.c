/*
 * The credentials' keys: derived from the master key, changed by a rekey in steps; and what stays
 * behind when a step is killed. During a rekey each row names the epoch its record is sealed under,
 * so old and new records live side by side and any step may be the last before a kill: the manifest
 * goes under the new key first, then each record is sealed anew and committed by an entry of its
 * own.
 */
#include "vault/credential_state.h"

#include "base/auto.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- keys */

void credential_keys_clear(struct credential_keys *k)
{
    secret_free(k->kek);
    secret_free(k->kek_before);
    secret_free(k->manifest);
    secret_free(k->manifest_before);
    *k = (struct credential_keys){0};
}

static err_t derive_pair(const struct secret *master, uint32_t epoch, struct secret **kek,
                         struct secret **manifest, struct why *why)
{
    if (kdf_subkey(master, "record-kek", epoch, kek) != ERR_OK ||
        kdf_subkey(master, "manifest", epoch, manifest) != ERR_OK)
        return fail(why, ERR_INTERNAL, "the keys of epoch %" PRIu32 " cannot be derived", epoch);
    return ERR_OK;
}

err_t credential_keys_derive(uint32_t epoch, const struct secret *master,
                             const struct secret *previous, struct credential_keys *out,
                             struct why *why)
{
    AUTO(credential_keys_clear) struct credential_keys k = {.epoch = epoch};
    TRY(derive_pair(master, epoch, &k.kek, &k.manifest, why));
    if (previous)
        TRY(derive_pair(previous, epoch - 1, &k.kek_before, &k.manifest_before, why));
    *out = k;
    k = (struct credential_keys){0}; /* NOLINT(clang-analyzer-deadcode.DeadStores): AUTO reads it */
    return ERR_OK;
}

err_t credentials_take_keys(struct credentials *cs, struct credential_keys *keys, struct why *why)
{
    if (cs->manifest.epoch != keys->epoch)
        TRY(manifest_rekey(&cs->manifest, &cs->index, &keys->manifest, keys->epoch, why));
    secret_free(cs->kek);
    secret_free(cs->kek_before);
    cs->kek = TAKE(keys->kek);
    cs->kek_before = TAKE(keys->kek_before);
    cs->epoch = keys->epoch;
    return ERR_OK;
}

const struct secret *credential_kek(const struct credentials *cs, uint32_t epoch)
{
    if (epoch == cs->epoch)
        return cs->kek;
    return epoch == cs->epoch - 1 ? cs->kek_before : NULL;
}

void credential_record_name(const struct credential *c, char out[STORE_NAME_MAX + 1])
{
    hex_encode(c->id, SEAL_ID, out);
    (void)snprintf(out + 2 * SEAL_ID, (size_t)STORE_NAME_MAX + 1 - 2 * SEAL_ID,
                   "-%" PRIu64 "-%" PRIu32, c->version, c->epoch);
}

struct cached *credential_cached(struct credentials *cs, const uint8_t hash[SEAL_HASH])
{
    struct cached *oldest = &cs->cache[0];
    for (size_t i = 0; i < COUNT(cs->cache); i++) {
        struct cached *slot = &cs->cache[i];
        if (slot->bytes.len && view_eq(VIEW(slot->hash, SEAL_HASH), VIEW(hash, SEAL_HASH))) {
            slot->used = ++cs->clock;
            return slot;
        }
        if (slot->used < oldest->used)
            oldest = slot;
    }
    buf_free(&oldest->bytes);
    oldest->used = ++cs->clock;
    return oldest;
}

/* ---- rekey */

static size_t count_stale(const struct credentials *cs, uint32_t epoch)
{
    size_t n = 0;
    for (size_t i = 0; i < cs->index.n; i++)
        n += cs->index.order[i]->epoch != epoch;
    return n;
}

err_t credentials_set_keys(struct credentials *cs, const struct secret *master,
                           const struct secret *previous, struct why *why)
{
    AUTO(credential_keys_clear) struct credential_keys keys = {0};
    uint32_t epoch = cs->header->epoch;
    size_t stale = count_stale(cs, epoch);
    if (stale && !previous)
        return fail(why, ERR_CONFLICT, "%zu records are still sealed under the old key", stale);
    TRY(credential_keys_derive(epoch, master, previous, &keys, why));
    TRY(credentials_take_keys(cs, &keys, why));
    cs->stale = stale;
    cs->rekey_at = 0;
    return ERR_OK;
}

static err_t rekey_one(struct credentials *cs, struct credential *row, struct why *why)
{
    AUTO(buf_free) struct buf record = {.max = STORE_RECORD_MAX + 4096}, fresh = {0};
    const struct secret *old_kek = credential_kek(cs, row->epoch);
    struct credential next = *row;
    next.epoch = cs->epoch;
    if (!old_kek)
        return fail(why, ERR_CONFLICT, "the key that %s is sealed under is not held", row->name);
    TRY(credential_read(cs, row, &record, why));
    TRY(seal_rewrap(old_kek, cs->kek, cs->epoch, buf_view(&record), &fresh, why));
    TRY(manifest_mend(&cs->manifest, &cs->index, why));
    TRY(credential_write(cs, &next, buf_view(&fresh), why));
    return credential_commit(cs, row, &next, why);
}

/* Rows come and go between steps, so the walk goes round until none is stale; each is seen at most
 * once in a step. */
err_t credentials_rekey_step(struct credentials *cs, unsigned max, unsigned *left, struct why *why)
{
    size_t seen = 0, n = cs->index.n;
    index_sort(&cs->index);
    for (unsigned done = 0; done < max && cs->stale && seen < n; seen++, cs->rekey_at++) {
        if (cs->rekey_at >= n)
            cs->rekey_at = 0;
        struct credential *row = cs->index.order[cs->rekey_at];
        if (row->epoch == cs->epoch)
            continue;
        TRY(rekey_one(cs, row, why));
        done++;
    }
    *left = (unsigned)cs->stale;
    return ERR_OK;
}

/* ---- orphans */

enum { SWEEP_MAX = 256 };
struct sweep {
    const struct credential **by_id; /* all rows, sorted by id */
    size_t n;
    unsigned max, found;
    char (*orphan)[STORE_NAME_MAX + 1];
};

static int compare_id(const void *a, const void *b)
{
    return memcmp((*(const struct credential *const *)a)->id,
                  (*(const struct credential *const *)b)->id, SEAL_ID);
}

/* A name of our form (what else lies there is not ours to remove) that no row names. */
static bool is_orphan(const struct sweep *s, const char *name)
{
    struct credential key = {0};
    const struct credential *at = &key;
    char expect[STORE_NAME_MAX + 1];
    if (strlen(name) <= 2 * SEAL_ID || name[2 * SEAL_ID] != '-' ||
        !hex_decode(VIEW(name, 2 * SEAL_ID), key.id, SEAL_ID))
        return false;
    const struct credential **row =
        s->n ? bsearch(&at, s->by_id, s->n, sizeof(struct credential *), compare_id) : NULL;
    if (!row)
        return true;
    credential_record_name(*row, expect);
    return strcmp(expect, name) != 0;
}

static void sweep_look(void *ctx, const char *name)
{
    struct sweep *s = ctx;
    if (s->found < s->max && strlen(name) <= STORE_NAME_MAX && is_orphan(s, name))
        (void)view_copy(view_str(name), s->orphan[s->found++], sizeof(s->orphan[0]));
}

static err_t sweep_remove(struct credentials *cs, const struct sweep *s, struct why *why)
{
    for (unsigned i = 0; i < s->found; i++)
        TRY(cs->ops->record_remove(cs->store, s->orphan[i], why));
    return ERR_OK;
}

err_t credentials_sweep(struct credentials *cs, unsigned max, unsigned *removed, struct why *why)
{
    struct sweep s = {.n = cs->index.n, .max = max < SWEEP_MAX ? max : SWEEP_MAX};
    TRY(manifest_mend(&cs->manifest, &cs->index,
                      why)); /* only a certain manifest says what is an orphan */
    AUTO(auto_free) void *rows = calloc(s.n + 1, sizeof(struct credential *));
    AUTO(auto_free) void *names = calloc(s.max + 1U, sizeof(s.orphan[0]));
    if (!rows || !names)
        return fail(why, ERR_INTERNAL, "out of memory");
    s.by_id = rows;
    s.orphan = names;
    if (s.n)
        memcpy(rows, cs->index.order, s.n * sizeof(struct credential *));
    qsort(s.by_id, s.n, sizeof(struct credential *), compare_id);
    TRY(cs->ops->record_each(cs->store, sweep_look, &s, why));
    TRY(sweep_remove(cs, &s, why));
    *removed = s.found;
    return ERR_OK;
}
