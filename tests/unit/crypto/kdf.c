/* Key derivation: separation by context, epoch and length, and the limits of Argon2id. */
#include "unit/crypto/help.h"

#include "crypto/kdf.h"

#include <sodium.h>

TEST(subkeys_are_deterministic_and_separate)
{
    AUTO(auto_secret)
    struct secret *m = key_of(7),
                  *a = NULL, *b = NULL, *c = NULL, *d = NULL, *n = key_of(8), *e = NULL;
    CHECK_INT(kdf_subkey(m, "token", 1, &a), ERR_OK);
    CHECK_INT(kdf_subkey(m, "token", 1, &b), ERR_OK);
    CHECK_INT(kdf_subkey(m, "token", 2, &c), ERR_OK);
    CHECK_INT(kdf_subkey(m, "tokem", 1, &d), ERR_OK);
    CHECK_INT(kdf_subkey(n, "token", 1, &e), ERR_OK);
    CHECK_INT(secret_len(a), 32);
    CHECK(secret_equal(a, b));
    CHECK(!secret_equal(a, c) && !secret_equal(a, d) && !secret_equal(a, e) && !secret_equal(a, m));
}

/* the definition in FORMAT.md, computed apart from the code */
TEST(subkey_is_the_documented_hash)
{
    AUTO(auto_secret) struct secret *m = key_of(7), *a = NULL;
    uint8_t want[32];
    static const char in[] = "cbr1 sub\x05token\x00\x00\x01\x02";
    CHECK_INT(kdf_subkey(m, "token", 0x102, &a), ERR_OK);
    crypto_generichash(want, 32, (const uint8_t *)in, sizeof(in) - 1, secret_bytes(m), 32);
    CHECK(memcmp(want, secret_bytes(a), 32) == 0);
}

TEST(subkey_refuses_short_keys_and_odd_contexts)
{
    AUTO(auto_secret) struct secret *m = key_of(7), *s = secret_new(31), *out = NULL;
    char context[66];
    memset(context, 'x', sizeof(context));
    context[65] = '\0';
    CHECK_INT(kdf_subkey(s, "token", 1, &out), ERR_INVALID);
    CHECK_INT(kdf_subkey(m, "", 1, &out), ERR_INVALID);
    CHECK_INT(kdf_subkey(m, context, 1, &out), ERR_INVALID);
    CHECK(out == NULL);
    context[64] = '\0';
    CHECK_INT(kdf_subkey(m, context, 1, &out), ERR_OK);
}

TEST(material_separates_context_from_bytes)
{
    AUTO(auto_secret) struct secret *a = NULL, *b = NULL, *c = NULL, *none = NULL;
    CHECK_INT(kdf_material(view_str("bc"), "a", &a), ERR_OK);
    CHECK_INT(kdf_material(view_str("c"), "ab", &b), ERR_OK);
    CHECK_INT(kdf_material(view_str("bc"), "a", &c), ERR_OK);
    CHECK(secret_equal(a, c) && !secret_equal(a, b));
    CHECK_INT(kdf_material(view_str(""), "a", &none), ERR_INVALID);
    CHECK_INT(kdf_material(view_str("bc"), "", &none), ERR_INVALID);
    CHECK(none == NULL);
}

TEST(argon2id_refuses_weak_and_ruinous_costs_at_once)
{
    static const uint8_t salt[16] = {1};
    static const struct {
        uint32_t ops;
        size_t mem;
    } bad[] = {{0, KDF_MEM_MIN},
               {KDF_OPS_MIN - 1, KDF_MEM_MIN},
               {KDF_OPS_MAX + 1, KDF_MEM_MIN},
               {UINT32_MAX, KDF_MEM_MIN},
               {KDF_OPS_MIN, 0},
               {KDF_OPS_MIN, KDF_MEM_MIN - 1},
               {KDF_OPS_MIN, KDF_MEM_MAX + 1},
               {KDF_OPS_MIN, SIZE_MAX}};
    struct secret *out = NULL;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct why w = {0};
        CHECK_INT(kdf_passphrase(view_str("pass"), salt, bad[i].ops, bad[i].mem, &out, &w),
                  ERR_INVALID);
        CHECK(strstr(w.text, "allowed are"));
    }
    CHECK(out == NULL);
}

TEST(argon2id_refuses_empty_and_endless_passphrases)
{
    static const uint8_t salt[16] = {1};
    static uint8_t longer[1025];
    struct secret *out = NULL;
    CHECK_INT(kdf_passphrase(view_str(""), salt, KDF_OPS_MIN, KDF_MEM_MIN, &out, NULL),
              ERR_INVALID);
    CHECK_INT(kdf_passphrase(VIEW(longer, 1025), salt, KDF_OPS_MIN, KDF_MEM_MIN, &out, NULL),
              ERR_INVALID);
    CHECK(out == NULL);
}

TEST(argon2id_depends_on_passphrase_and_salt)
{
    static const uint8_t salt[16] = {1}, other[16] = {2};
    AUTO(auto_secret) struct secret *a = NULL, *b = NULL, *c = NULL;
    struct why w = {0};
    CHECK_OK(kdf_passphrase(view_str("pass"), salt, KDF_OPS_MIN, KDF_MEM_MIN, &a, &w), w);
    CHECK_OK(kdf_passphrase(view_str("pass"), other, KDF_OPS_MIN, KDF_MEM_MIN, &b, &w), w);
    CHECK_OK(kdf_passphrase(view_str("pasS"), salt, KDF_OPS_MIN, KDF_MEM_MIN, &c, &w), w);
    CHECK(!secret_equal(a, b) && !secret_equal(a, c) && !secret_equal(b, c));
}
