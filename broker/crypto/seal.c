/*
 * Records. One function writes the header and one reads it; the body's additional data is
 * everything that stands before its ciphertext, so a byte that is neither ciphertext nor tag is
 * additional data by construction. Invariant: seal_open gives a plaintext only when all bytes
 * verified and the header, byte for byte, is the one that the expected meta would have.
 */
#include "crypto/seal.h"

#include "base/auto.h"
#include "base/name.h"
#include "crypto/format.h"
#include "crypto/wrap.h"

#include <sodium.h>
#include <string.h>

enum {
    NONCE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
    TAG = crypto_aead_xchacha20poly1305_ietf_ABYTES
};

static const struct format format = {.magic = "CBRR", .what = "record"};

struct record { /* views into the bytes */
    struct seal_meta meta;
    struct view header, wrapped, nonce, ad,
        sealed; /* ad: all before `sealed` (ciphertext and tag) */
};

void random_bytes(void *p, size_t n)
{
    randombytes_buf(p, n);
}

static bool meta_valid(const struct seal_meta *m)
{
    return memchr(m->name, 0, sizeof(m->name)) && memchr(m->kind, 0, sizeof(m->kind)) &&
           name_check(view_str(m->name), "credential", NULL) == ERR_OK &&
           name_check(view_str(m->kind), "provider", NULL) == ERR_OK && m->version > 0 &&
           m->epoch > 0 && m->created_ms >= 0 && m->not_after_ms >= 0;
}

static void put_header(const struct seal_meta *m, struct buf *out)
{
    format_put(&format, 0, out);
    buf_add(out, m->store_id, SEAL_ID);
    buf_add(out, m->cred_id, SEAL_ID);
    buf_put_u64(out, m->version);
    buf_put_u32(out, m->epoch);
    buf_add(out, m->prev_hash, SEAL_HASH);
    buf_add(out, m->policy_hash, SEAL_HASH);
    buf_put_u64(out, (uint64_t)m->created_ms);
    buf_put_u64(out, (uint64_t)m->not_after_ms);
    buf_put_str16(out, view_str(m->name));
    buf_put_str16(out, view_str(m->kind));
}

static void get_fixed(struct cursor *c, void *out, size_t n)
{
    struct view v = get_bytes(c, n);
    if (v.n == n)
        memcpy(out, v.p, n);
}

static bool get_header(struct cursor *c, struct seal_meta *m)
{
    *m = (struct seal_meta){0};
    get_fixed(c, m->store_id, SEAL_ID);
    get_fixed(c, m->cred_id, SEAL_ID);
    m->version = get_u64(c);
    m->epoch = get_u32(c);
    get_fixed(c, m->prev_hash, SEAL_HASH);
    get_fixed(c, m->policy_hash, SEAL_HASH);
    m->created_ms = (int64_t)get_u64(c);
    m->not_after_ms = (int64_t)get_u64(c);
    bool texts = view_copy(get_str16(c), m->name, sizeof(m->name));
    texts &= view_copy(get_str16(c), m->kind, sizeof(m->kind));
    return texts && !c->bad && meta_valid(m);
}

static err_t parse(struct view bytes, struct record *r, struct why *why)
{
    struct cursor c = cursor_of(bytes);
    uint16_t flags;
    TRY(format_get(&format, &c, &flags, why));
    if (!get_header(&c, &r->meta))
        return fail(why, ERR_CORRUPT, "the header of a record is damaged");
    r->header = VIEW(bytes.p, (size_t)(c.p - bytes.p));
    r->wrapped = get_bytes(&c, WRAP_BYTES);
    r->nonce = get_bytes(&c, NONCE);
    size_t n = get_u32(&c);
    r->ad = VIEW(bytes.p, (size_t)(c.p - bytes.p));
    r->sealed = get_bytes(&c, n + TAG);
    if (!cursor_done(&c) || n == 0 || n > SEAL_PLAIN_MAX)
        return fail(why, ERR_CORRUPT, "a record is cut short or has bytes too many");
    return ERR_OK;
}

/* nonce, length, ciphertext and tag; the additional data is all that `rec` holds when the
 * ciphertext begins */
static void put_body(const struct secret *key, struct view plain, struct buf *rec)
{
    uint8_t nonce[NONCE];
    random_bytes(nonce, NONCE);
    buf_add(rec, nonce, NONCE);
    buf_put_u32(rec, (uint32_t)plain.n);
    if (!buf_reserve(rec, plain.n + TAG))
        return;
    crypto_aead_xchacha20poly1305_ietf_encrypt(rec->p + rec->len, NULL, plain.p, plain.n, rec->p,
                                               rec->len, NULL, nonce, secret_bytes(key));
    rec->len += plain.n + TAG;
}

err_t seal_record(const struct secret *kek, const struct seal_meta *meta, struct view plain,
                  struct buf *out, struct why *why)
{
    if (!meta_valid(meta) || secret_len(kek) != SEAL_KEY)
        return fail(why, ERR_INVALID,
                    "the name, kind, version, epoch or time of a record is not valid");
    if (plain.n == 0 || plain.n > SEAL_PLAIN_MAX)
        return fail(why, ERR_TOO_LARGE, "a record holds 1 to %d bytes, not %zu", SEAL_PLAIN_MAX,
                    plain.n);
    AUTO(auto_secret) struct secret *key = secret_new(SEAL_KEY);
    if (!key)
        return fail(why, ERR_UNAVAILABLE, "no locked memory left for a data key");
    random_bytes(secret_edit(key), SEAL_KEY);

    AUTO(buf_free) struct buf rec = {0};
    uint8_t wrapped[WRAP_BYTES];
    put_header(meta, &rec);
    wrap_key(kek, buf_view(&rec), key, wrapped);
    buf_add(&rec, wrapped, sizeof(wrapped));
    put_body(key, plain, &rec);
    TRY(buf_ok(&rec, why));
    buf_add_view(out, buf_view(&rec));
    return buf_ok(out, why);
}

err_t seal_peek(struct view record, struct seal_meta *meta, struct why *why)
{
    struct record r;
    TRY(parse(record, &r, why));
    *meta = r.meta;
    return ERR_OK;
}

/* Compares encodings, not members: what put_header writes cannot be left out here. */
static err_t check_expected(const struct record *r, const struct seal_meta *expect, struct why *why)
{
    AUTO(buf_free) struct buf header = {0};
    if (!meta_valid(expect))
        return fail(why, ERR_INVALID, "the expected meta of a record is not valid");
    put_header(expect, &header);
    TRY(buf_ok(&header, why));
    if (!view_eq(buf_view(&header), r->header))
        return fail(why, ERR_CORRUPT, "a record is not the one that the index names");
    return ERR_OK;
}

static err_t open_body(const struct secret *key, const struct record *r, struct secret **plain,
                       struct why *why)
{
    AUTO(auto_secret) struct secret *got = secret_new(r->sealed.n - TAG);
    if (!got)
        return fail(why, ERR_UNAVAILABLE, "no locked memory left for a credential");
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(secret_edit(got), NULL, NULL, r->sealed.p,
                                                   r->sealed.n, r->ad.p, r->ad.n, r->nonce.p,
                                                   secret_bytes(key)) != 0)
        return fail(why, ERR_CORRUPT, "a record does not verify: its bytes were changed");
    *plain = TAKE(got);
    return ERR_OK;
}

err_t seal_open(const struct secret *kek, struct view record, const struct seal_meta *expect,
                struct secret **plain, struct why *why)
{
    struct record r;
    AUTO(auto_secret) struct secret *key = NULL;
    TRY(parse(record, &r, why));
    if (expect)
        TRY(check_expected(&r, expect, why));
    if (secret_len(kek) != SEAL_KEY)
        return fail(why, ERR_INVALID, "a key has %d bytes", SEAL_KEY);
    TRY(unwrap_key(kek, r.header, r.wrapped.p, &key, why));
    return open_body(key, &r, plain, why);
}

err_t seal_rewrap(const struct secret *old_kek, const struct secret *new_kek, uint32_t new_epoch,
                  struct view record, struct buf *out, struct why *why)
{
    struct seal_meta meta;
    AUTO(auto_secret) struct secret *plain = NULL;
    TRY(seal_peek(record, &meta, why));
    if (new_epoch <= meta.epoch)
        return fail(why, ERR_INVALID, "a record of epoch %u cannot go to epoch %u", meta.epoch,
                    new_epoch);
    TRY(seal_open(old_kek, record, &meta, &plain, why));
    meta.epoch = new_epoch;
    return seal_record(new_kek, &meta, VIEW(secret_bytes(plain), secret_len(plain)), out, why);
}

void seal_hash(struct view record, uint8_t out[SEAL_HASH])
{
    crypto_generichash(out, SEAL_HASH, record.p, record.n, NULL, 0);
}
