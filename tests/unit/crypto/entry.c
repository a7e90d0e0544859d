/* Entries: they cannot be changed, moved, dropped, replayed or put under another context. */
#include "unit/crypto/help.h"

#include "crypto/seal.h"

#include <sodium.h>

static struct entry_chain chain_of(void)
{
    struct entry_chain c = {.generation = 7, .seq = 40};
    memset(c.prev_tag, 0x55, sizeof(c.prev_tag));
    return c;
}

struct open {
    const struct secret *key;
    struct entry_chain chain;
};

static bool opens(struct view bytes, void *ctx)
{
    const struct open *o = ctx;
    struct entry_chain c = o->chain;
    AUTO(buf_free) struct buf plain = {0};
    bool good = entry_open(o->key, "manifest", &c, bytes, &plain, NULL) == ERR_OK;
    /* a refused entry leaves reader and output as they were */
    CHECK(good || (plain.len == 0 && memcmp(&c, &o->chain, sizeof(c)) == 0));
    return good;
}

TEST(a_sequence_of_entries_opens_in_order)
{
    AUTO(auto_secret) struct secret *key = key_of(1);
    AUTO(buf_free) struct buf plain = {0};
    struct buf entry[3] = {0};
    struct entry_chain w = chain_of(), r = chain_of();
    struct why why = {0};
    static const char *const text[] = {"one", "", "three"};
    for (int i = 0; i < 3; i++) {
        CHECK_OK(entry_seal(key, "manifest", &w, view_str(text[i]), &entry[i], &why), why);
        CHECK_INT(entry[i].len, ENTRY_OVERHEAD + strlen(text[i]));
    }
    for (int i = 0; i < 3; i++)
        CHECK_OK(entry_open(key, "manifest", &r, buf_view(&entry[i]), &plain, &why), why);
    CHECK(view_is(buf_view(&plain), "onethree"));
    CHECK(r.seq == 43 && w.seq == 43 && memcmp(r.prev_tag, w.prev_tag, ENTRY_TAG) == 0);
    buf_free(&entry[0]), buf_free(&entry[1]), buf_free(&entry[2]);
}

TEST(every_flip_and_cut_of_an_entry_is_refused)
{
    AUTO(auto_secret) struct secret *key = key_of(1);
    AUTO(buf_free) struct buf entry = {0};
    struct entry_chain w = chain_of();
    struct open o = {key, chain_of()};
    CHECK_INT(entry_seal(key, "manifest", &w, view_str("plain"), &entry, NULL), ERR_OK);
    CHECK(opens(buf_view(&entry), &o));
    CHECK_INT(flips_accepted(buf_view(&entry), opens, &o), 0);
    CHECK_INT(cuts_accepted(buf_view(&entry), opens, &o), 0);
}

TEST(an_entry_in_another_place_is_refused)
{
    AUTO(auto_secret) struct secret *key = key_of(1), *other = key_of(2);
    AUTO(buf_free) struct buf entry = {0}, plain = {0};
    struct entry_chain w = chain_of(), at[4] = {chain_of(), chain_of(), chain_of(), chain_of()};
    CHECK_INT(entry_seal(key, "manifest", &w, view_str("x"), &entry, NULL), ERR_OK);
    at[0].generation++, at[1].seq++, at[2].seq--, at[3].prev_tag[15] ^= 1;
    for (size_t i = 0; i < COUNT(at); i++)
        CHECK_INT(entry_open(key, "manifest", &at[i], buf_view(&entry), &plain, NULL), ERR_CORRUPT);
    struct entry_chain r = chain_of();
    CHECK_INT(entry_open(key, "manifes", &r, buf_view(&entry), &plain, NULL), ERR_CORRUPT);
    CHECK_INT(entry_open(other, "manifest", &r, buf_view(&entry), &plain, NULL), ERR_CORRUPT);
    CHECK_INT(plain.len, 0);
    CHECK_INT(entry_open(key, "manifest", &r, buf_view(&entry), &plain, NULL), ERR_OK);
    CHECK_INT(entry_open(key, "manifest", &r, buf_view(&entry), &plain, NULL),
              ERR_CORRUPT); /* again */
}

/* two entries made for the same place: the tag before decides which past the second one continues
 */
TEST(an_entry_continues_one_past_only)
{
    AUTO(auto_secret) struct secret *key = key_of(1);
    AUTO(buf_free) struct buf a = {0}, b = {0}, next = {0}, plain = {0};
    struct entry_chain wa = chain_of(), wb = chain_of(), r = chain_of();
    CHECK_INT(entry_seal(key, "manifest", &wa, view_str("grant"), &a, NULL), ERR_OK);
    CHECK_INT(entry_seal(key, "manifest", &wb, view_str("revoke"), &b, NULL), ERR_OK);
    CHECK_INT(entry_seal(key, "manifest", &wb, view_str("next"), &next, NULL), ERR_OK);
    CHECK_INT(entry_open(key, "manifest", &r, buf_view(&a), &plain, NULL), ERR_OK);
    CHECK_INT(entry_open(key, "manifest", &r, buf_view(&next), &plain, NULL), ERR_CORRUPT);
}

TEST(the_limits_of_an_entry)
{
    AUTO(auto_secret) struct secret *key = key_of(1), *shorter = secret_new(31);
    AUTO(buf_free) struct buf out = {0}, plain = {0}, small = {.max = 10};
    static uint8_t big[ENTRY_PLAIN_MAX + 1];
    struct entry_chain w = chain_of(), r = chain_of(), full = {.seq = UINT64_MAX};
    char context[66];
    memset(context, 'x', sizeof(context));
    context[65] = '\0';
    CHECK_INT(entry_seal(key, "manifest", &w, VIEW(big, sizeof(big)), &out, NULL), ERR_TOO_LARGE);
    CHECK_INT(entry_seal(key, "", &w, view_str("x"), &out, NULL), ERR_INVALID);
    CHECK_INT(entry_seal(key, context, &w, view_str("x"), &out, NULL), ERR_INVALID);
    CHECK_INT(entry_seal(shorter, "manifest", &w, view_str("x"), &out, NULL), ERR_INVALID);
    CHECK_INT(entry_seal(key, "manifest", &full, view_str("x"), &out, NULL), ERR_LIMIT);
    CHECK_INT(entry_seal(key, "manifest", &w, view_str("x"), &small, NULL), ERR_TOO_LARGE);
    CHECK(out.len == 0 && w.seq == 40);
    CHECK_INT(entry_seal(key, "manifest", &w, VIEW(big, ENTRY_PLAIN_MAX), &out, NULL), ERR_OK);
    CHECK_INT(out.len, 4096);
    CHECK_INT(entry_open(key, "manifest", &r, buf_view(&out), &plain, NULL), ERR_OK);
    CHECK_INT(plain.len, ENTRY_PLAIN_MAX);
}

/* made by hand with the right key: one byte over the limit, rightly sealed, is refused for its
 * length */
TEST(an_entry_over_the_limit_is_refused)
{
    AUTO(auto_secret) struct secret *key = key_of(1);
    AUTO(buf_free) struct buf plain = {0};
    static uint8_t entry[ENTRY_OVERHEAD + ENTRY_PLAIN_MAX + 1], big[ENTRY_PLAIN_MAX + 1];
    uint8_t ad[48 + ENTRY_TAG + 3] = {0};
    memcpy(entry, "CBRE\1\1", 6); /* generation 0, number 0, nonce of zeros */
    memcpy(ad, entry, 48);
    memcpy(ad + 48 + ENTRY_TAG, "\0\1x", 3);
    for (size_t n = ENTRY_PLAIN_MAX; n <= ENTRY_PLAIN_MAX + 1; n++) {
        struct entry_chain r = {0};
        crypto_aead_xchacha20poly1305_ietf_encrypt(entry + 48, NULL, big, n, ad, sizeof(ad), NULL,
                                                   entry + 24, secret_bytes(key));
        CHECK_INT(entry_open(key, "x", &r, VIEW(entry, n + ENTRY_OVERHEAD), &plain, NULL),
                  n == ENTRY_PLAIN_MAX ? ERR_OK : ERR_CORRUPT);
    }
}
