/* The key header: any slot opens it, nobody without a slot's secret or the master key can make or
 * change one. */
#include "unit/crypto/keyslot_rig.h"

#include "crypto/wrap.h"

#include <sodium.h>

static bool opens(struct view bytes, void *ctx)
{
    const struct made *m = ctx;
    struct keyheader h;
    return keyheader_decode(bytes, &h, NULL) == ERR_OK &&
           open_slot(&h, 0, m->key[0], NULL) == ERR_OK;
}

TEST(every_slot_opens_with_its_own_key_only)
{
    AUTO(made_free) struct made m;
    make(&m);
    CHECK_INT(open_slot(&m.h, 0, m.key[0], m.master), ERR_OK);
    CHECK_INT(open_slot(&m.h, 1, m.key[1], m.master), ERR_OK);
    CHECK_INT(open_slot(&m.h, 0, m.key[1], NULL), ERR_AUTH);
    CHECK_INT(open_slot(&m.h, 1, m.key[0], NULL), ERR_AUTH);
    CHECK_INT(open_slot(&m.h, 2, m.key[0], NULL), ERR_NOT_FOUND);
    CHECK_INT(open_slot(&m.h, 8, m.key[0], NULL), ERR_NOT_FOUND);
    CHECK_INT(open_slot(&m.h, UINT32_MAX, m.key[0], NULL), ERR_NOT_FOUND);
    AUTO(auto_secret) struct secret *shorter = secret_new(31);
    CHECK_INT(open_slot(&m.h, 0, shorter, NULL), ERR_AUTH);
}

TEST(every_flip_and_cut_of_a_header_is_refused)
{
    AUTO(made_free) struct made m;
    AUTO(buf_free) struct buf bytes = {0};
    make(&m);
    keyheader_encode(&m.h, &bytes);
    CHECK(opens(buf_view(&bytes), &m));
    CHECK_INT(flips_accepted(buf_view(&bytes), opens, &m), 0);
    CHECK_INT(cuts_accepted(buf_view(&bytes), opens, &m), 0);
}

TEST(every_flip_and_cut_of_a_header_in_rekey_is_refused)
{
    AUTO(made_free) struct made m;
    AUTO(buf_free) struct buf bytes = {0};
    AUTO(auto_secret) struct secret *next = NULL;
    make(&m);
    CHECK_INT(keyheader_rekey_begin(&m.h, m.master, &next, NULL), ERR_OK);
    keyheader_encode(&m.h, &bytes);
    CHECK(opens(buf_view(&bytes), &m));
    CHECK_INT(flips_accepted(buf_view(&bytes), opens, &m), 0);
    CHECK_INT(cuts_accepted(buf_view(&bytes), opens, &m), 0);
}

/* signs `h` as it is with a key of one's own */
static void sign_as(struct keyheader *h, const uint8_t sk[64])
{
    AUTO(buf_free) struct buf bytes = {0};
    keyheader_encode(h, &bytes);
    crypto_sign_detached(h->sig, NULL, bytes.p, bytes.len - sizeof(h->sig), sk);
}

/* a whole header of somebody who knows the public keys of the slots, chooses the master key himself
 * and signs rightly */
TEST(a_master_key_of_somebody_else_does_not_get_in)
{
    AUTO(made_free) struct made m;
    AUTO(auto_secret) struct secret *theirs = key_of(9), *commitment = NULL;
    uint8_t pk[32], sk[64];
    make(&m);
    struct keyheader forged = m.h;
    CHECK_INT(kdf_subkey(theirs, "header-commitment", 1, &commitment), ERR_OK);
    memcpy(forged.commitment, secret_bytes(commitment), 32);
    crypto_box_seal(forged.slot[0].sealed, secret_bytes(theirs), 32, forged.slot[0].pk);
    crypto_sign_keypair(pk, sk);
    memcpy(forged.auth_pk, pk, 32);
    sign_as(&forged, sk);
    CHECK_INT(open_slot(&forged, 0, m.key[0], NULL),
              ERR_CORRUPT); /* the slot pins another signing key */
    memcpy(forged.auth_pk, m.h.auth_pk, 32);
    sign_as(&forged, sk);
    CHECK_INT(open_slot(&forged, 0, m.key[0], NULL), ERR_CORRUPT); /* which did not sign this */
}

/* Even who could sign: the slot must hold the master key that the header is committed to. */
TEST(a_header_committed_to_another_master_key_is_refused)
{
    AUTO(made_free) struct made m;
    AUTO(auto_secret) struct secret *theirs = key_of(9), *commitment = NULL, *kek = NULL, *seed = NULL;
    uint8_t pk[32], sk[64];
    struct why w = {0};
    make(&m);
    CHECK_INT(kdf_subkey(m.master, "header-auth", 1, &kek), ERR_OK);
    CHECK_OK(unwrap_key(kek, VIEW(m.h.store_id, sizeof(m.h.store_id)), m.h.auth_wrapped, &seed, &w), w);
    crypto_sign_seed_keypair(pk, sk, secret_bytes(seed));
    struct keyheader forged = m.h;
    sign_as(&forged, sk);
    CHECK_INT(open_slot(&forged, 0, m.key[0], m.master), ERR_OK); /* the control: signed well, it opens */
    CHECK_INT(kdf_subkey(theirs, "header-commitment", 1, &commitment), ERR_OK);
    memcpy(forged.commitment, secret_bytes(commitment), 32);
    sign_as(&forged, sk);
    CHECK_INT(open_slot(&forged, 0, m.key[0], NULL), ERR_CORRUPT);
}

/* the control: what the test above relies on is the pin alone */
TEST(who_has_the_slots_secret_can_pin)
{
    AUTO(made_free) struct made m;
    AUTO(auto_secret) struct secret *pin_key = NULL;
    uint8_t pk[32], sk[64], in[48];
    make(&m);
    crypto_sign_keypair(pk, sk);
    memcpy(m.h.auth_pk, pk, 32);
    memcpy(in, m.h.store_id, 16), memcpy(in + 16, pk, 32);
    CHECK_INT(kdf_subkey(m.key[0], "slot-pin", 0, &pin_key), ERR_OK);
    crypto_generichash(m.h.slot[0].pin, 32, in, sizeof(in), secret_bytes(pin_key), 32);
    sign_as(&m.h, sk);
    CHECK_INT(open_slot(&m.h, 0, m.key[0], m.master), ERR_OK);
    CHECK_INT(open_slot(&m.h, 1, m.key[1], NULL), ERR_CORRUPT);
}

TEST(a_slot_cannot_be_put_back)
{
    AUTO(made_free) struct made m;
    struct why w = {0};
    make(&m);
    struct keyslot removed = m.h.slot[1];
    CHECK_OK(keyheader_remove(&m.h, m.master, 1, &w), w);
    CHECK_INT(open_slot(&m.h, 1, m.key[1], NULL), ERR_NOT_FOUND);
    CHECK_INT(open_slot(&m.h, 0, m.key[0], m.master), ERR_OK);
    m.h.slot[1] = removed;
    CHECK_INT(open_slot(&m.h, 1, m.key[1], NULL), ERR_CORRUPT);
    CHECK_INT(open_slot(&m.h, 0, m.key[0], NULL), ERR_CORRUPT);
}

TEST(the_limits_of_slots)
{
    AUTO(made_free) struct made m;
    AUTO(auto_secret) struct secret *shorter = secret_new(31), *other = key_of(5);
    static uint8_t params[KEYSOURCE_PARAMS_MAX + 1];
    unsigned slot = 77;
    make(&m);
    struct keyheader before = m.h;
    CHECK_INT(keyslot_add(&m.h, m.master, &(struct keyslot_new){"keyfile", VIEW(params, sizeof(params)), m.key[0], 1}, &slot, NULL),
              ERR_INVALID);
    CHECK_INT(keyslot_add(&m.h, m.master, &(struct keyslot_new){"", VIEW(NULL, 0), m.key[0], 1}, &slot, NULL),
              ERR_INVALID);
    CHECK_INT(keyslot_add(&m.h, m.master, &(struct keyslot_new){"a/b", VIEW(NULL, 0), m.key[0], 1}, &slot, NULL),
              ERR_INVALID);
    CHECK_INT(keyslot_add(&m.h, m.master, &(struct keyslot_new){"keyfile", VIEW(NULL, 0), shorter, 1}, &slot, NULL),
              ERR_INVALID);
    CHECK_INT(keyslot_add(&m.h, m.master, &(struct keyslot_new){"keyfile", VIEW(NULL, 0), m.key[0], -1}, &slot, NULL),
              ERR_INVALID);
    CHECK_INT(keyslot_add(&m.h, other, &(struct keyslot_new){"keyfile", VIEW(NULL, 0), m.key[0], 1}, &slot, NULL),
              ERR_AUTH);
    CHECK(slot == 77 && memcmp(&before, &m.h, sizeof(before)) == 0);
    for (unsigned i = 2; i < KEYSLOTS_MAX; i++)
        CHECK_INT(keyslot_add(&m.h, m.master, &(struct keyslot_new){"systemd", VIEW(params, KEYSOURCE_PARAMS_MAX), m.key[0], 1}, &slot, NULL),
                  ERR_OK);
    CHECK_INT(keyslot_add(&m.h, m.master, &(struct keyslot_new){"systemd", VIEW(NULL, 0), m.key[0], 1}, &slot, NULL),
              ERR_LIMIT);
    AUTO(buf_free) struct buf bytes = {0};
    struct keyheader h;
    keyheader_encode(&m.h, &bytes);
    CHECK(!bytes.bad && bytes.len < 16384);
    CHECK_INT(keyheader_decode(buf_view(&bytes), &h, NULL), ERR_OK);
    CHECK_INT(open_slot(&h, 7, m.key[0], m.master), ERR_OK);
}

TEST(the_last_slot_stays)
{
    AUTO(made_free) struct made m;
    make(&m);
    CHECK_INT(keyheader_remove(&m.h, m.master, 2, NULL), ERR_NOT_FOUND);
    CHECK_INT(keyheader_remove(&m.h, m.master, 8, NULL), ERR_NOT_FOUND);
    CHECK_INT(keyheader_remove(&m.h, m.key[0], 0, NULL), ERR_AUTH); /* not the master key */
    CHECK_INT(keyheader_remove(&m.h, m.master, 0, NULL), ERR_OK);
    CHECK_INT(keyheader_remove(&m.h, m.master, 1, NULL), ERR_CONFLICT);
    CHECK_INT(open_slot(&m.h, 1, m.key[1], m.master), ERR_OK);
    unsigned slot = 9;
    CHECK_INT(keyslot_add(&m.h, m.master, &(struct keyslot_new){"keyfile", VIEW(NULL, 0), m.key[0], 1}, &slot, NULL),
              ERR_OK);
    CHECK_INT(slot, 0); /* the free place is used again */
}

TEST(a_rekey_holds_both_keys_until_it_ends)
{
    AUTO(made_free) struct made m;
    AUTO(auto_secret) struct secret *new = NULL, *master = NULL, *previous = NULL, *none = NULL;
    struct why w = {0};
    make(&m);
    CHECK_INT(keyheader_rekey_end(&m.h, m.master, &w), ERR_CONFLICT);
    CHECK_INT(keyheader_rekey_begin(&m.h, m.key[0], &new, &w), ERR_AUTH);
    CHECK_OK(keyheader_rekey_begin(&m.h, m.master, &new, &w), w);
    CHECK(m.h.epoch == 2 && m.h.rekeying && m.h.serial == 3 && !secret_equal(new, m.master));
    CHECK_INT(keyheader_rekey_begin(&m.h, new, &none, &w), ERR_CONFLICT);
    CHECK_OK(keyheader_open(&m.h, 1, m.key[1], &master, &previous, &w), w);
    CHECK(secret_equal(master, new) && secret_equal(previous, m.master));
    CHECK_INT(keyheader_rekey_end(&m.h, m.master, &w),
              ERR_AUTH); /* the old key has no say any more */
    CHECK_OK(keyheader_rekey_end(&m.h, new, &w), w);
    CHECK(!m.h.rekeying && m.h.serial == 4);
    secret_free(TAKE(master)), secret_free(TAKE(previous));
    previous = key_of(0); /* set to NULL: there is no previous key any more */
    AUTO(auto_secret) struct secret *stale = previous;
    CHECK_OK(keyheader_open(&m.h, 0, m.key[0], &master, &previous, &w), w);
    CHECK(secret_equal(master, new) && previous == NULL);
    CHECK_INT(open_slot(&m.h, 0, m.key[0], new), ERR_OK);
}

/* what tokens and the audit log hang on: the same before, during and after a rekey, and only with
 * the right master key */
TEST(the_root_outlives_a_rekey)
{
    AUTO(made_free) struct made m;
    AUTO(made_free) struct made other;
    AUTO(auto_secret) struct secret *new = NULL, *none = NULL;
    struct secret *root[4] = {NULL};
    struct why w = {0};
    make(&m), make(&other);
    CHECK_OK(keyheader_root(&m.h, m.master, &root[0], &w), w);
    CHECK_OK(keyheader_rekey_begin(&m.h, m.master, &new, &w), w);
    CHECK_OK(keyheader_root(&m.h, new, &root[1], &w), w);
    CHECK_INT(keyheader_root(&m.h, m.master, &none, &w), ERR_AUTH);
    CHECK_OK(keyheader_rekey_end(&m.h, new, &w), w);
    CHECK_OK(keyheader_root(&m.h, new, &root[2], &w), w);
    CHECK_OK(keyheader_root(&other.h, other.master, &root[3], &w), w);
    CHECK(secret_len(root[0]) == 32 && secret_equal(root[0], root[1]) &&
          secret_equal(root[0], root[2]));
    CHECK(!secret_equal(root[0], root[3]) && !secret_equal(root[0], m.master) &&
          !secret_equal(root[0], new));
    CHECK(none == NULL);
    for (size_t i = 0; i < COUNT(root); i++)
        secret_free(root[i]);
}

TEST(a_slot_added_or_removed_during_a_rekey)
{
    AUTO(made_free) struct made m;
    AUTO(auto_secret) struct secret *new = NULL, *third = key_of(0xa2);
    unsigned slot;
    make(&m);
    CHECK_INT(keyheader_rekey_begin(&m.h, m.master, &new, NULL), ERR_OK);
    CHECK_INT(keyslot_add(&m.h, new, &(struct keyslot_new){"keyfile", VIEW(NULL, 0), third, 1}, &slot, NULL), ERR_OK);
    CHECK_INT(keyheader_remove(&m.h, new, 0, NULL), ERR_OK);
    CHECK_INT(open_slot(&m.h, slot, third, new), ERR_OK);
    CHECK_INT(keyheader_rekey_end(&m.h, new, NULL), ERR_OK);
    CHECK_INT(open_slot(&m.h, 1, m.key[1], new), ERR_OK);
}

/* the old master key with the new header opens nothing: what a rekey is for */
TEST(the_old_master_key_does_not_lead_to_the_new_one)
{
    AUTO(made_free) struct made m;
    AUTO(auto_secret) struct secret *new = NULL;
    make(&m);
    CHECK_INT(keyheader_rekey_begin(&m.h, m.master, &new, NULL), ERR_OK);
    AUTO(buf_free) struct buf bytes = {0};
    keyheader_encode(&m.h, &bytes);
    CHECK(!memmem(bytes.p, bytes.len, secret_bytes(new), 32) &&
          !memmem(bytes.p, bytes.len, secret_bytes(m.master), 32));
    CHECK_INT(keyheader_remove(&m.h, m.master, 0, NULL), ERR_AUTH);
}
