/* Keys under keys. */
#include "unit/crypto/help.h"

#include "crypto/wrap.h"

struct open {
    const struct secret *kek;
    struct view ad;
};

static bool opens(struct view bytes, void *ctx)
{
    const struct open *o = ctx;
    AUTO(auto_secret) struct secret *key = NULL;
    return bytes.n == WRAP_BYTES && unwrap_key(o->kek, o->ad, bytes.p, &key, NULL) == ERR_OK;
}

TEST(what_was_wrapped_comes_back)
{
    AUTO(auto_secret) struct secret *kek = key_of(1), *key = key_of(2), *got = NULL;
    uint8_t out[WRAP_BYTES], again[WRAP_BYTES];
    wrap_key(kek, view_str("ad"), key, out);
    CHECK_INT(unwrap_key(kek, view_str("ad"), out, &got, NULL), ERR_OK);
    CHECK(secret_equal(got, key));
    wrap_key(kek, view_str("ad"), key, again);
    CHECK(memcmp(out, again, sizeof(out)) != 0); /* a fresh nonce */
}

TEST(other_key_other_ad_and_every_flip_are_refused)
{
    AUTO(auto_secret)
    struct secret *kek = key_of(1),
                  *other = key_of(3), *key = key_of(2), *got = NULL;
    uint8_t out[WRAP_BYTES];
    wrap_key(kek, view_str("ad"), key, out);
    CHECK_INT(unwrap_key(other, view_str("ad"), out, &got, NULL), ERR_CORRUPT);
    CHECK_INT(unwrap_key(kek, view_str("aD"), out, &got, NULL), ERR_CORRUPT);
    CHECK_INT(unwrap_key(kek, view_str("ad "), out, &got, NULL), ERR_CORRUPT);
    CHECK(got == NULL);
    CHECK_INT(flips_accepted(VIEW(out, sizeof(out)), opens, &(struct open){kek, view_str("ad")}),
              0);
}
