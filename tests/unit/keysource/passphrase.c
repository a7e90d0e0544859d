#include "check.h"
#include "scratch.h"

#include "base/auto.h"
#include "crypto/keyslot.h"
#include "keysource/keysources.h"

static const struct keysource *const k = &keysource_passphrase;

TEST(another_passphrase_gives_another_key)
{
    AUTO(buf_free) struct buf params = {0};
    AUTO(auto_secret) struct secret *made = NULL, *right = NULL, *wrong = NULL;
    struct why why = {0};
    struct keysource_ask ask = {.passphrase = view_str("correct horse")};
    scratch_pool();
    CHECK_OK(k->create(&ask, &params, &made, &why), why);
    ask.params = buf_view(&params);
    CHECK_OK(k->open(&ask, &right, &why), why);
    CHECK(secret_equal(made, right));
    ask.passphrase = view_str("correct horsf");
    CHECK_OK(k->open(&ask, &wrong, &why), why); /* the slot tells, the source cannot */
    CHECK(!secret_equal(made, wrong));
}

TEST(the_params_are_as_documented)
{
    AUTO(buf_free) struct buf params = {0};
    AUTO(auto_secret) struct secret *made = NULL;
    struct why why = {0};
    char text[160];
    scratch_pool();
    CHECK_OK(k->create(&(struct keysource_ask){.passphrase = view_str("12345678")}, &params, &made,
                       &why),
             why);
    struct cursor c = cursor_of(buf_view(&params));
    CHECK_INT(params.len, 29);
    CHECK_INT(get_u8(&c), 1);
    CHECK_INT(get_u32(&c), KDF_OPS_MIN);
    CHECK_INT(get_u64(&c), KDF_MEM_MIN);
    k->describe(buf_view(&params), text);
    CHECK_STR(text, "Argon2id, 3 passes, 256 MiB");
    k->describe(VIEW(params.p, 28), text);
    CHECK_STR(text, "unreadable params");
}

TEST(short_and_long_passphrases_are_refused)
{
    AUTO(buf_free) struct buf params = {0};
    struct secret *key = NULL;
    struct why why = {0};
    char big[KEYSOURCE_PASSPHRASE_MAX + 1];
    memset(big, 'p', sizeof(big));
    scratch_pool();
    CHECK_INT(k->create(&(struct keysource_ask){.passphrase = view_str("")}, &params, &key, &why),
              ERR_INVALID);
    CHECK_INT(
        k->create(&(struct keysource_ask){.passphrase = view_str("1234567")}, &params, &key, &why),
        ERR_INVALID);
    CHECK_INT(k->create(&(struct keysource_ask){.passphrase = VIEW(big, sizeof(big))}, &params,
                        &key, &why),
              ERR_TOO_LARGE);
    CHECK(!key && params.len == 0);
}

static err_t open_with(uint8_t version, uint32_t passes, uint64_t memory)
{
    AUTO(buf_free) struct buf params = {0};
    AUTO(auto_secret) struct secret *key = NULL;
    struct why why = {0};
    buf_put_u8(&params, version);
    buf_put_u32(&params, passes);
    buf_put_u64(&params, memory);
    buf_add(&params, "0123456789abcdef", 16);
    const struct keysource_ask ask = {.params = buf_view(&params),
                                      .passphrase = view_str("12345678")};
    return k->open(&ask, &key, &why);
}

TEST(weakened_or_absurd_params_are_refused)
{
    scratch_pool();
    CHECK(open_with(1, KDF_OPS_MIN - 1, KDF_MEM_MIN) != ERR_OK);
    CHECK(open_with(1, KDF_OPS_MIN, KDF_MEM_MIN - 1) != ERR_OK);
    CHECK(open_with(1, 0, 0) != ERR_OK);
    CHECK(open_with(1, KDF_OPS_MAX + 1, KDF_MEM_MIN) != ERR_OK);
    CHECK(open_with(1, KDF_OPS_MIN, KDF_MEM_MAX + 1) != ERR_OK);
    CHECK(open_with(1, UINT32_MAX, UINT64_MAX) != ERR_OK);
    CHECK_INT(open_with(2, KDF_OPS_MIN, KDF_MEM_MIN), ERR_CORRUPT);
    CHECK_INT(open_with(0, KDF_OPS_MIN, KDF_MEM_MIN), ERR_CORRUPT);
}
