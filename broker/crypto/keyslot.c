/*
 * The key header. Every change is made to a copy, signed, and only then put in place of the old
 * one. Invariant: keyheader_open verifies from the slot's secret outwards (secret → pin → auth_pk →
 * signature over all bytes) before the sealed master key is looked at, so a header made by somebody
 * who holds neither a slot's secret nor the master key never opens.
 */
#include "crypto/keyslot.h"

#include "base/auto.h"
#include "base/name.h"
#include "crypto/seal.h"
#include "crypto/wrap.h"

#include <sodium.h>
#include <string.h>

enum { KEY = 32, SIGN_SK = crypto_sign_SECRETKEYBYTES };
_Static_assert(sizeof((struct keyslot){0}.sealed) == KEY + crypto_box_SEALBYTES,
               "sealed master key");
_Static_assert(sizeof((struct keyheader){0}.sig) == crypto_sign_BYTES, "signature");

/* contexts under a master key, under the signing seed (root), and under a slot's secret (pin, box)
 */
static const char ctx_commitment[] = "header-commitment", ctx_auth[] = "header-auth",
                  ctx_prev[] = "header-prev", ctx_root[] = "store-root", ctx_pin[] = "slot-pin",
                  ctx_box[] = "slot-box";

static err_t no_memory(struct why *why)
{
    return fail(why, ERR_UNAVAILABLE, "no locked memory left for a key");
}

static struct view id_of(const struct keyheader *h)
{
    return VIEW(h->store_id, sizeof(h->store_id));
}

/* ---- what is derived */

static err_t commitment_of(const struct secret *master, uint32_t epoch, uint8_t out[KEY])
{
    AUTO(auto_secret) struct secret *key = NULL;
    TRY(kdf_subkey(master, ctx_commitment, epoch, &key));
    memcpy(out, secret_bytes(key), KEY);
    return ERR_OK;
}

static err_t pin_of(const struct keyheader *h, const struct secret *slot_key, uint8_t out[KEY])
{
    AUTO(auto_secret) struct secret *key = NULL;
    uint8_t in[sizeof(h->store_id) + sizeof(h->auth_pk)];
    TRY(kdf_subkey(slot_key, ctx_pin, 0, &key));
    memcpy(in, h->store_id, sizeof(h->store_id));
    memcpy(in + sizeof(h->store_id), h->auth_pk, sizeof(h->auth_pk));
    crypto_generichash(out, KEY, in, sizeof(in), secret_bytes(key), KEY);
    return ERR_OK;
}

static err_t box_of(const struct secret *slot_key, uint8_t pk[KEY], struct secret **sk)
{
    AUTO(auto_secret) struct secret *seed = NULL;
    TRY(kdf_subkey(slot_key, ctx_box, 0, &seed));
    struct secret *key = secret_new(KEY);
    if (!key)
        return ERR_UNAVAILABLE;
    crypto_box_seed_keypair(pk, secret_edit(key), secret_bytes(seed));
    *sk = key;
    return ERR_OK;
}

/* ---- signing */

static err_t wrap_under(const struct keyheader *h, const struct secret *master, const char *context,
                        const struct secret *key, uint8_t out[WRAP_BYTES])
{
    AUTO(auto_secret) struct secret *kek = NULL;
    TRY(kdf_subkey(master, context, h->epoch, &kek));
    wrap_key(kek, id_of(h), key, out);
    return ERR_OK;
}

/* The seed of the signing key. ERR_AUTH: this is not the header's master key. */
static err_t open_seed(const struct keyheader *h, const struct secret *master, struct secret **seed,
                       struct why *why)
{
    AUTO(auto_secret) struct secret *kek = NULL;
    uint8_t commitment[KEY];
    TRY(commitment_of(master, h->epoch, commitment));
    if (!equal_ct(commitment, h->commitment, KEY))
        return fail(why, ERR_AUTH, "this is not the master key of the key header");
    TRY(kdf_subkey(master, ctx_auth, h->epoch, &kek));
    return unwrap_key(kek, id_of(h), h->auth_wrapped, seed, why);
}

/* over all bytes but the signature, which are the last */
static err_t sign(struct keyheader *h, const struct secret *seed, struct why *why)
{
    AUTO(buf_free) struct buf bytes = {0};
    AUTO(auto_secret) struct secret *sk = secret_new(SIGN_SK);
    uint8_t pk[KEY];
    if (!sk)
        return no_memory(why);
    h->serial++;
    keyheader_encode(h, &bytes);
    TRY(buf_ok(&bytes, why));
    crypto_sign_seed_keypair(pk, secret_edit(sk), secret_bytes(seed));
    if (!equal_ct(pk, h->auth_pk, KEY))
        return fail(why, ERR_CORRUPT, "the signing key of the key header is another one");
    crypto_sign_detached(h->sig, NULL, bytes.p, bytes.len - sizeof(h->sig), secret_bytes(sk));
    return ERR_OK;
}

static bool signature_good(const struct keyheader *h)
{
    AUTO(buf_free) struct buf bytes = {0};
    keyheader_encode(h, &bytes);
    return !bytes.bad && crypto_sign_verify_detached(h->sig, bytes.p, bytes.len - sizeof(h->sig),
                                                     h->auth_pk) == 0;
}

/* ---- changes */

err_t keyheader_create(struct keyheader *h, struct secret **master, struct why *why)
{
    struct keyheader next = {.epoch = 1};
    AUTO(auto_secret)
    struct secret *key = secret_new(KEY), *seed = secret_new(KEY), *sk = secret_new(SIGN_SK);
    if (!key || !seed || !sk)
        return no_memory(why);
    random_bytes(next.store_id, sizeof(next.store_id));
    random_bytes(secret_edit(key), KEY);
    random_bytes(secret_edit(seed), KEY);
    crypto_sign_seed_keypair(next.auth_pk, secret_edit(sk), secret_bytes(seed));
    TRY(commitment_of(key, next.epoch, next.commitment));
    TRY(wrap_under(&next, key, ctx_auth, seed, next.auth_wrapped));
    *h = next;
    *master = TAKE(key);
    return ERR_OK;
}

static err_t fill_slot(struct keyheader *h, unsigned slot, const struct secret *master,
                       const struct secret *slot_key)
{
    AUTO(auto_secret) struct secret *sk = NULL;
    struct keyslot *s = &h->slot[slot];
    TRY(box_of(slot_key, s->pk, &sk));
    TRY(pin_of(h, slot_key, s->pin));
    return crypto_box_seal(s->sealed, secret_bytes(master), KEY, s->pk) == 0 ? ERR_OK
                                                                             : ERR_INTERNAL;
}

static bool free_slot(const struct keyheader *h, unsigned *slot)
{
    for (*slot = 0; *slot < KEYSLOTS_MAX; ++*slot)
        if (!h->slot[*slot].used)
            return true;
    return false;
}

static bool new_valid(const struct keyslot_new *in)
{
    return strlen(in->source) <= KEYSLOT_SOURCE_MAX &&
           name_check(view_str(in->source), "key source", NULL) == ERR_OK &&
           in->params.n <= KEYSOURCE_PARAMS_MAX && secret_len(in->key) == KEY && in->now_ms >= 0;
}

err_t keyslot_add(struct keyheader *h, const struct secret *master, const struct keyslot_new *in,
                  unsigned *slot, struct why *why)
{
    AUTO(auto_secret) struct secret *seed = NULL;
    struct keyheader next = *h;
    unsigned at;
    if (!new_valid(in))
        return fail(why, ERR_INVALID, "the source, parameters or key of a key slot are not valid");
    TRY(open_seed(h, master, &seed, why));
    if (!free_slot(h, &at))
        return fail(why, ERR_LIMIT, "all %d key slots are used: remove one first", KEYSLOTS_MAX);
    struct keyslot *s = &next.slot[at];
    *s = (struct keyslot){.used = true, .params_len = in->params.n, .created_ms = in->now_ms};
    (void)view_copy(view_str(in->source), s->source, sizeof(s->source));
    if (in->params.n)
        memcpy(s->params, in->params.p, in->params.n);
    TRY(fill_slot(&next, at, master, in->key));
    TRY(sign(&next, seed, why));
    *h = next;
    *slot = at;
    return ERR_OK;
}

err_t keyheader_remove(struct keyheader *h, const struct secret *master, unsigned slot,
                       struct why *why)
{
    AUTO(auto_secret) struct secret *seed = NULL;
    struct keyheader next = *h;
    if (slot >= KEYSLOTS_MAX || !h->slot[slot].used)
        return fail(why, ERR_NOT_FOUND, "there is no key in slot %u", slot);
    if (keyheader_slots(h) == 1)
        return fail(why, ERR_CONFLICT, "this is the last key: add another one first");
    TRY(open_seed(h, master, &seed, why));
    next.slot[slot] = (struct keyslot){0};
    TRY(sign(&next, seed, why));
    *h = next;
    return ERR_OK;
}

static err_t seal_to_all(struct keyheader *h, const struct secret *master)
{
    for (unsigned i = 0; i < KEYSLOTS_MAX; i++) {
        struct keyslot *s = &h->slot[i];
        if (s->used && crypto_box_seal(s->sealed, secret_bytes(master), KEY, s->pk) != 0)
            return ERR_CORRUPT; /* a public key of small order */
    }
    return ERR_OK;
}

err_t keyheader_rekey_begin(struct keyheader *h, const struct secret *old_master,
                            struct secret **new_master, struct why *why)
{
    AUTO(auto_secret) struct secret *seed = NULL, *key = NULL;
    struct keyheader next = *h;
    if (h->rekeying || h->epoch == UINT32_MAX)
        return fail(why, ERR_CONFLICT, "a rekey is under way: let it end first");
    TRY(open_seed(h, old_master, &seed, why));
    if ((key = secret_new(KEY)) == NULL)
        return no_memory(why);
    random_bytes(secret_edit(key), KEY);
    next.epoch++;
    next.rekeying = true;
    TRY(commitment_of(key, next.epoch, next.commitment));
    TRY(wrap_under(&next, key, ctx_auth, seed, next.auth_wrapped));
    TRY(wrap_under(&next, key, ctx_prev, old_master, next.prev_wrapped));
    TRY(seal_to_all(&next, key));
    TRY(sign(&next, seed, why));
    *h = next;
    *new_master = TAKE(key);
    return ERR_OK;
}

err_t keyheader_rekey_end(struct keyheader *h, const struct secret *master, struct why *why)
{
    AUTO(auto_secret) struct secret *seed = NULL;
    struct keyheader next = *h;
    if (!h->rekeying)
        return fail(why, ERR_CONFLICT, "no rekey is under way");
    TRY(open_seed(h, master, &seed, why));
    next.rekeying = false;
    memset(next.prev_wrapped, 0, sizeof(next.prev_wrapped)); /* wrapped: no secret */
    TRY(sign(&next, seed, why));
    *h = next;
    return ERR_OK;
}

err_t keyheader_root(const struct keyheader *h, const struct secret *master, struct secret **root,
                     struct why *why)
{
    AUTO(auto_secret) struct secret *seed = NULL;
    TRY(open_seed(h, master, &seed, why));
    return kdf_subkey(seed, ctx_root, 0, root) == ERR_OK ? ERR_OK : no_memory(why);
}

/* ---- opening */

/* Is this the slot's secret, and does it vouch for the header's signing key? One of two right:
 * bytes were changed. */
static err_t check_slot(const struct keyheader *h, const struct keyslot *s,
                        const struct secret *slot_key, struct secret **sk, struct why *why)
{
    AUTO(auto_secret) struct secret *box = NULL;
    uint8_t pk[KEY], pin[KEY];
    TRY(box_of(slot_key, pk, &box));
    TRY(pin_of(h, slot_key, pin));
    bool mine = equal_ct(pk, s->pk, KEY), pinned = equal_ct(pin, s->pin, KEY);
    if (!mine && !pinned)
        return fail(why, ERR_AUTH, "the key does not open this slot");
    if (!mine || !pinned || !signature_good(h))
        return fail(why, ERR_CORRUPT,
                    "the key header was changed by somebody without its key: restore a backup");
    *sk = TAKE(box);
    return ERR_OK;
}

static err_t open_master(const struct keyheader *h, const struct keyslot *s,
                         const struct secret *sk, struct secret **master, struct why *why)
{
    AUTO(auto_secret) struct secret *key = secret_new(KEY);
    uint8_t commitment[KEY];
    if (!key)
        return no_memory(why);
    if (crypto_box_seal_open(secret_edit(key), s->sealed, sizeof(s->sealed), s->pk,
                             secret_bytes(sk)) != 0)
        return fail(why, ERR_CORRUPT, "the master key of a slot does not verify: restore a backup");
    TRY(commitment_of(key, h->epoch, commitment));
    if (!equal_ct(commitment, h->commitment, KEY))
        return fail(why, ERR_CORRUPT,
                    "the slot holds another master key than the header: restore a backup");
    *master = TAKE(key);
    return ERR_OK;
}

err_t keyheader_open(const struct keyheader *h, unsigned slot, const struct secret *slot_key,
                     struct secret **master, struct secret **previous, struct why *why)
{
    AUTO(auto_secret) struct secret *sk = NULL, *key = NULL, *kek = NULL, *prev = NULL;
    if (slot >= KEYSLOTS_MAX || !h->slot[slot].used)
        return fail(why, ERR_NOT_FOUND, "there is no key in slot %u", slot);
    if (secret_len(slot_key) != KEY)
        return fail(why, ERR_AUTH, "the key does not open this slot");
    TRY(check_slot(h, &h->slot[slot], slot_key, &sk, why));
    TRY(open_master(h, &h->slot[slot], sk, &key, why));
    if (h->rekeying) {
        TRY(kdf_subkey(key, ctx_prev, h->epoch, &kek));
        TRY(unwrap_key(kek, id_of(h), h->prev_wrapped, &prev, why));
    }
    *master = TAKE(key);
    *previous = TAKE(prev);
    return ERR_OK;
}
