/*
 * Entries: small sealed things in a sequence. What an entry is bound to (context, generation,
 * number, the tag before it) is known to who opens it and is compared before the cipher runs; all
 * of it is additional data as well. Invariant: the chain advances only when an entry was sealed or
 * verified, so a refused entry leaves the reader where it was.
 */
#include "crypto/seal.h"

#include "base/auto.h"
#include "crypto/format.h"

#include <sodium.h>
#include <string.h>

enum {
    NONCE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
    HEADER = FORMAT_PREAMBLE + 8 + 8 + NONCE,
    CONTEXT_MAX = 64
};
_Static_assert(ENTRY_OVERHEAD == HEADER + ENTRY_TAG, "layout of an entry");
_Static_assert(ENTRY_TAG == crypto_aead_xchacha20poly1305_ietf_ABYTES, "tag of an entry");

static const struct format format = {.magic = "CBRE", .what = "sealed entry"};

static err_t check_key(const struct secret *key, const char *context, struct why *why)
{
    size_t n = strlen(context);
    if (secret_len(key) != SEAL_KEY || n == 0 || n > CONTEXT_MAX)
        return fail(why, ERR_INVALID, "a sealed entry needs a key of %d bytes and a context",
                    SEAL_KEY);
    return ERR_OK;
}

/* header || tag of the entry before || context */
static void put_ad(struct view header, const struct entry_chain *chain, const char *context,
                   struct buf *ad)
{
    buf_add_view(ad, header);
    buf_add(ad, chain->prev_tag, ENTRY_TAG);
    buf_put_str16(ad, view_str(context));
}

static void put_header(const struct entry_chain *chain, struct buf *out)
{
    uint8_t nonce[NONCE];
    random_bytes(nonce, NONCE);
    format_put(&format, 0, out);
    buf_put_u64(out, chain->generation);
    buf_put_u64(out, chain->seq);
    buf_add(out, nonce, NONCE);
}

static void advance(struct entry_chain *chain, struct view entry)
{
    memcpy(chain->prev_tag, entry.p + entry.n - ENTRY_TAG, ENTRY_TAG);
    chain->seq++;
}

err_t entry_seal(const struct secret *key, const char *context, struct entry_chain *chain,
                 struct view plain, struct buf *out, struct why *why)
{
    AUTO(buf_free) struct buf entry = {0}, ad = {0};
    TRY(check_key(key, context, why));
    if (plain.n > ENTRY_PLAIN_MAX)
        return fail(why, ERR_TOO_LARGE, "an entry holds at most %d bytes, not %zu", ENTRY_PLAIN_MAX,
                    plain.n);
    if (chain->seq == UINT64_MAX)
        return fail(why, ERR_LIMIT, "a chain of entries is full");
    put_header(chain, &entry);
    put_ad(buf_view(&entry), chain, context, &ad);
    (void)buf_reserve(&entry, plain.n + ENTRY_TAG);
    TRY(buf_ok(&ad, why));
    TRY(buf_ok(&entry, why));
    crypto_aead_xchacha20poly1305_ietf_encrypt(entry.p + HEADER, NULL, plain.p, plain.n, ad.p,
                                               ad.len, NULL, entry.p + HEADER - NONCE,
                                               secret_bytes(key));
    entry.len += plain.n + ENTRY_TAG;
    buf_add_view(out, buf_view(&entry));
    TRY(buf_ok(out, why));
    advance(chain, buf_view(&entry));
    return ERR_OK;
}

/* is this the entry that comes next? */
static err_t check_header(struct view entry, const struct entry_chain *chain, struct why *why)
{
    struct cursor c = cursor_of(entry);
    uint16_t flags;
    TRY(format_get(&format, &c, &flags, why));
    uint64_t generation = get_u64(&c), seq = get_u64(&c);
    if (entry.n < ENTRY_OVERHEAD || entry.n > ENTRY_OVERHEAD + ENTRY_PLAIN_MAX)
        return fail(why, ERR_CORRUPT, "a sealed entry of %zu bytes is too short or too long",
                    entry.n);
    if (generation != chain->generation || seq != chain->seq || seq == UINT64_MAX)
        return fail(why, ERR_CORRUPT,
                    "entry %llu of generation %llu stands where %llu of %llu is due",
                    (unsigned long long)seq, (unsigned long long)generation,
                    (unsigned long long)chain->seq, (unsigned long long)chain->generation);
    return ERR_OK;
}

err_t entry_open(const struct secret *key, const char *context, struct entry_chain *chain,
                 struct view entry, struct buf *plain, struct why *why)
{
    AUTO(buf_free) struct buf ad = {0};
    TRY(check_key(key, context, why));
    TRY(check_header(entry, chain, why));
    size_t n = entry.n - ENTRY_OVERHEAD;
    put_ad(VIEW(entry.p, HEADER), chain, context, &ad);
    TRY(buf_ok(&ad, why));
    if (n)
        (void)buf_reserve(plain, n);
    TRY(buf_ok(plain, why));
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(
            n ? plain->p + plain->len : NULL, NULL, NULL, entry.p + HEADER, n + ENTRY_TAG, ad.p,
            ad.len, entry.p + HEADER - NONCE, secret_bytes(key)) != 0)
        return fail(why, ERR_CORRUPT, "entry %llu does not verify", (unsigned long long)chain->seq);
    plain->len += n;
    advance(chain, entry);
    return ERR_OK;
}
