/*
 * Each generation begins with a head entry (epoch, number of rows that follow) and goes on with
 * changes. The chain of entry_seal makes entries impossible to drop, swap or replay inside a
 * generation; the head makes a truncation into the rows it counts visible; what was appended after
 * them can only be cut at the end, which the anchors notice (credentials_head). Invariant: after a
 * write that failed nothing is appended until a new generation, written from the rows in memory,
 * has made its outcome certain.
 */
#include "vault/manifest.h"

#include "base/auto.h"
#include "base/name.h"

#include <inttypes.h>
#include <string.h>

enum {
    ENTRY_HEAD = 1,
    ENTRY_PUT = 2,
    ENTRY_REMOVE = 3,
    FLAG_NEEDS_LOGIN = 1,
    FLAG_RELEASED = 2,
    FLAG_NO_REFRESH = 4,
    HOW_SHIFT = 3, /* above it: enum login_end of one that needs a login, from LOGIN_REVOKED */
    COMPACT_SLACK = 64
};
static const char context[] = "manifest";

/* ---- plaintexts */

static uint8_t flags_of(const struct credential *row)
{
    unsigned how = row->needs_login ? (row->needs_login - 1u) << HOW_SHIFT : 0;
    return (uint8_t)((row->needs_login ? FLAG_NEEDS_LOGIN : 0) |
                     (row->released ? FLAG_RELEASED : 0) | (row->no_refresh ? FLAG_NO_REFRESH : 0) |
                     how);
}

static bool take_flags(uint8_t flags, struct credential *row)
{
    bool needs = flags & FLAG_NEEDS_LOGIN;
    unsigned how = flags >> HOW_SHIFT;
    row->needs_login = (uint8_t)(needs ? LOGIN_REVOKED + how : LOGIN_WORKS);
    row->released = (flags & FLAG_RELEASED) != 0;
    row->no_refresh = (flags & FLAG_NO_REFRESH) != 0;
    return row->needs_login < LOGIN__COUNT && (needs || how == 0);
}

err_t manifest_encode_row(const struct credential *row, struct buf *out, struct why *why)
{
    buf_put_u8(out, ENTRY_PUT);
    buf_add(out, row->id, SEAL_ID);
    buf_put_str16(out, view_str(row->name));
    buf_put_str16(out, view_str(row->provider->name));
    buf_put_str16(out, view_str(row->kind));
    buf_put_str16(out, view_str(row->prefix));
    buf_put_str16(out, view_str(row->account));
    buf_put_u32(out, row->ceiling);
    buf_put_u64(out, row->version);
    buf_put_u32(out, row->epoch);
    buf_add(out, row->hash, SEAL_HASH);
    buf_put_u64(out, (uint64_t)row->created_ms);
    buf_put_u64(out, (uint64_t)row->replaced_ms);
    buf_put_u64(out, (uint64_t)row->expires_ms);
    buf_put_u8(out, flags_of(row));
    return buf_ok(out, why);
}

static bool get_text(struct cursor *c, char *out, size_t room)
{
    return view_copy(get_str16(c), out, room) && !c->bad;
}

static bool get_fixed(struct cursor *c, uint8_t *out, size_t n)
{
    struct view v = get_bytes(c, n);
    if (v.n == n)
        memcpy(out, v.p, n);
    return v.n == n;
}

static bool get_numbers(struct cursor *c, struct credential *row)
{
    row->ceiling = get_u32(c);
    row->version = get_u64(c);
    row->epoch = get_u32(c);
    bool ok = get_fixed(c, row->hash, SEAL_HASH);
    row->created_ms = (int64_t)get_u64(c);
    row->replaced_ms = (int64_t)get_u64(c);
    row->expires_ms = (int64_t)get_u64(c);
    uint8_t flags = get_u8(c);
    return take_flags(flags, row) && ok && cursor_done(c) && row->version > 0 && row->epoch > 0;
}

err_t manifest_decode_row(struct cursor *c, struct credential *row, struct why *why)
{
    struct credential r = {0};
    bool ok = get_fixed(c, r.id, SEAL_ID) && get_text(c, r.name, sizeof(r.name));
    struct view provider = get_str16(c);
    ok = ok && get_text(c, r.kind, sizeof(r.kind)) && get_text(c, r.prefix, sizeof(r.prefix)) &&
         get_text(c, r.account, sizeof(r.account)) && get_numbers(c, &r) &&
         name_check(view_str(r.name), "credential", NULL) == ERR_OK;
    if (!ok)
        return fail(why, ERR_CORRUPT, "a row that cannot be read");
    r.provider = provider_by_name(provider);
    if (!r.provider)
        return fail(why, ERR_VERSION,
                    "%s is of a provider this brokerd does not know: use a newer brokerd", r.name);
    *row = r;
    return ERR_OK;
}

static void encode_head(uint32_t epoch, uint64_t rows, struct buf *out)
{
    buf_put_u8(out, ENTRY_HEAD);
    buf_put_u32(out, epoch);
    buf_put_u64(out, rows);
}

/* ---- loading */

struct load {
    struct manifest *m;
    const struct manifest_keys *keys;
    struct index *ix;
    struct buf plain;
    uint64_t rows; /* as the head says */
    bool head;
    struct why *why;
};

static void load_free(struct load *l)
{
    buf_free(&l->plain);
}

static err_t load_put(struct load *l, struct cursor *c)
{
    struct credential row;
    TRY(manifest_decode_row(c, &row, l->why));
    struct credential *old = index_find(l->ix, view_str(row.name));
    if (old) {
        *old = row;
        return ERR_OK;
    }
    TRY(index_reserve(l->ix, l->why));
    struct credential *fresh = malloc(sizeof(*fresh));
    if (!fresh)
        return fail(l->why, ERR_INTERNAL, "out of memory");
    *fresh = row;
    index_add(l->ix, fresh);
    return ERR_OK;
}

static err_t load_remove(struct load *l, struct cursor *c)
{
    uint8_t id[SEAL_ID] = {0};
    bool ok = get_fixed(c, id, SEAL_ID);
    struct credential *row = index_find(l->ix, get_str16(c));
    if (!ok || !cursor_done(c) || !row || !view_eq(VIEW(id, SEAL_ID), VIEW(row->id, SEAL_ID)))
        return fail(l->why, ERR_CORRUPT, "a removal of what is not there");
    index_remove(l->ix, row);
    return ERR_OK;
}

/* The head is opened with each key there may be; the one that fits is the manifest's. */
static err_t load_head(struct load *l, struct view entry)
{
    const struct secret *keys[] = {l->keys->now, l->keys->before};
    err_t e = ERR_CORRUPT;
    for (size_t i = 0; e != ERR_OK && i < COUNT(keys) && keys[i]; i++) {
        e = entry_open(keys[i], context, &l->m->chain, entry, &l->plain, l->why);
        l->m->epoch = l->keys->epoch - (uint32_t)i;
        if (e == ERR_OK && !(l->m->key = secret_from(secret_bytes(keys[i]), secret_len(keys[i]))))
            return fail(l->why, ERR_INTERNAL, "no secret memory left");
    }
    TRY(e);
    struct cursor c = cursor_of(buf_view(&l->plain));
    bool ok = get_u8(&c) == ENTRY_HEAD && get_u32(&c) == l->m->epoch;
    l->rows = get_u64(&c);
    if (!ok || !cursor_done(&c))
        return fail(l->why, ERR_CORRUPT, "a head that cannot be read");
    l->head = true;
    return ERR_OK;
}

static err_t load_change(struct load *l, struct view entry)
{
    TRY(entry_open(l->m->key, context, &l->m->chain, entry, &l->plain, l->why));
    struct cursor c = cursor_of(buf_view(&l->plain));
    uint8_t kind = get_u8(&c);
    if (kind == ENTRY_PUT)
        return load_put(l, &c);
    if (kind == ENTRY_REMOVE)
        return load_remove(l, &c);
    return fail(l->why, ERR_VERSION, "an entry of the unknown kind %u: use a newer brokerd", kind);
}

static err_t load_entry(void *ctx, struct view entry)
{
    struct load *l = ctx;
    uint64_t seq = l->m->chain.seq;
    buf_reset(&l->plain);
    err_t e = l->head ? load_change(l, entry) : load_head(l, entry);
    if (e == ERR_OK)
        return e;
    struct why inner = l->why ? *l->why : (struct why){0};
    return fail(l->why, e, "manifest %" PRIu64 ", entry %" PRIu64 ": %s", l->m->chain.generation,
                seq, inner.text);
}

static void count_record(void *ctx, const char *name)
{
    (void)name;
    ++*(size_t *)ctx;
}

/* No manifest: a store just made. Records without one mean that it was lost. */
static err_t load_new(struct load *l)
{
    size_t records = 0;
    TRY(l->m->ops->record_each(l->m->store, count_record, &records, l->why));
    if (records)
        return fail(l->why, ERR_CORRUPT,
                    "there are %zu records but no manifest: restore the store from a backup",
                    records);
    l->m->key = secret_from(secret_bytes(l->keys->now), secret_len(l->keys->now));
    l->m->epoch = l->keys->epoch;
    l->m->broken = true; /* mending it writes the first generation */
    return l->m->key ? ERR_OK : fail(l->why, ERR_INTERNAL, "no secret memory left");
}

err_t manifest_load(struct manifest *m, const struct manifest_keys *keys, struct index *ix,
                    struct why *why)
{
    AUTO(load_free) struct load l = {.m = m, .keys = keys, .ix = ix, .why = why};
    bool torn = false;
    TRY(m->ops->manifest_read(m->store, load_entry, &l, &m->chain.generation, &torn, why));
    if (m->chain.generation == 0)
        TRY(load_new(&l));
    else if (!l.head || m->chain.seq < l.rows + 1)
        return fail(why, ERR_CORRUPT, "manifest %" PRIu64 " ends before its %" PRIu64 " rows do",
                    m->chain.generation, l.rows);
    m->broken = m->broken || torn;
    return manifest_mend(m, ix, why);
}

void manifest_clear(struct manifest *m)
{
    secret_free(m->key);
    m->key = NULL;
}

/* ---- writing */

static err_t append(struct manifest *m, const struct buf *plain, struct why *why)
{
    AUTO(buf_free) struct buf entry = {0};
    struct entry_chain chain = m->chain;
    if (m->broken)
        return fail(why, ERR_IO, "the manifest is not fit for writing");
    TRY(entry_seal(m->key, context, &chain, buf_view(plain), &entry, why));
    m->broken = true;
    TRY(m->ops->manifest_append(m->store, buf_view(&entry), why));
    m->broken = false;
    m->chain = chain;
    return ERR_OK;
}

err_t manifest_put(struct manifest *m, const struct credential *row, struct why *why)
{
    AUTO(buf_free) struct buf plain = {0};
    TRY(manifest_encode_row(row, &plain, why));
    return append(m, &plain, why);
}

err_t manifest_remove(struct manifest *m, const struct credential *row, struct why *why)
{
    AUTO(buf_free) struct buf plain = {0};
    buf_put_u8(&plain, ENTRY_REMOVE);
    buf_add(&plain, row->id, SEAL_ID);
    buf_put_str16(&plain, view_str(row->name));
    TRY(buf_ok(&plain, why));
    return append(m, &plain, why);
}

/* What manifest_replace pulls: the head, then each row. A row that cannot be sealed yields an empty
 * entry, which every store refuses, so that a manifest without it is never written. */
struct rewrite {
    const struct secret *key;
    uint32_t epoch;
    struct entry_chain chain;
    const struct index *ix;
    size_t at; /* 0: the head; else row at - 1 */
    struct buf plain, entry;
    struct why *why;
};

static void rewrite_free(struct rewrite *w)
{
    buf_free(&w->plain);
    buf_free(&w->entry);
}

static err_t rewrite_seal(struct rewrite *w)
{
    if (w->at == 0)
        encode_head(w->epoch, w->ix->n, &w->plain);
    else
        TRY(manifest_encode_row(w->ix->order[w->at - 1], &w->plain, w->why));
    return entry_seal(w->key, context, &w->chain, buf_view(&w->plain), &w->entry, w->why);
}

static bool rewrite_next(void *ctx, struct view *entry)
{
    struct rewrite *w = ctx;
    if (w->at > w->ix->n)
        return false;
    buf_reset(&w->plain);
    buf_reset(&w->entry);
    *entry = rewrite_seal(w) == ERR_OK ? buf_view(&w->entry) : (struct view){0};
    w->at++;
    return true;
}

static err_t rewrite(struct manifest *m, struct index *ix, const struct secret *key, uint32_t epoch,
                     struct why *why)
{
    AUTO(rewrite_free) struct rewrite w = {.key = key, .epoch = epoch, .ix = ix, .why = why};
    w.chain.generation = m->chain.generation + 1;
    index_sort(ix);
    m->broken = true;
    TRY(m->ops->manifest_replace(m->store, w.chain.generation, rewrite_next, &w, why));
    m->broken = false;
    m->chain = w.chain;
    return ERR_OK;
}

err_t manifest_mend(struct manifest *m, struct index *ix, struct why *why)
{
    return m->broken ? rewrite(m, ix, m->key, m->epoch, why) : ERR_OK;
}

void manifest_compact(struct manifest *m, struct index *ix)
{
    struct why why = {0};
    uint64_t dead = m->chain.seq - 1 - ix->n; /* every entry but the head and one for each row */
    if (dead > ix->n + COMPACT_SLACK && rewrite(m, ix, m->key, m->epoch, &why) != ERR_OK)
        return; /* broken: the next change mends it, or says why not */
}

err_t manifest_rekey(struct manifest *m, struct index *ix, struct secret **key, uint32_t epoch,
                     struct why *why)
{
    TRY(rewrite(m, ix, *key, epoch, why));
    secret_free(m->key);
    m->key = TAKE(*key);
    m->epoch = epoch;
    return ERR_OK;
}
