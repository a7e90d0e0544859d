/* The audit chain: keys that are forgotten, digests that anybody can make, checkpoints that sign
 * them. */
#include "unit/crypto/help.h"

#include "crypto/chain.h"

#include <sodium.h>

/* mac and digest of `line` by the documented recurrence, in place */
static void follow(const uint8_t key[32], const char *line, uint8_t mac[32], uint8_t digest[32])
{
    uint8_t in[96];
    memcpy(in, mac, 32);
    crypto_generichash(in + 32, 32, (const uint8_t *)line, strlen(line), NULL, 0);
    crypto_generichash(mac, 32, in, 64, key, 32);
    memmove(in + 64, in + 32, 32);
    memcpy(in, digest, 32), memcpy(in + 32, mac, 32);
    crypto_generichash(digest, 32, in, 96, NULL, 0);
}

TEST(macs_follow_the_documented_recurrence)
{
    static const uint8_t nonce[12];
    AUTO(auto_secret) struct secret *k0 = key_of(1);
    AUTO(chain_clear) struct chain c = {0};
    uint8_t mac[32], want[32] = {0}, digest[32] = {0}, block[512], k[32];
    CHECK_INT(chain_start(k0, &c), ERR_OK);
    CHECK_INT(c.seq, 1);
    memcpy(k, secret_bytes(k0), 32);
    for (unsigned n = 1; n <= 40; n++) { /* over two borders of blocks */
        char line[16];
        (void)snprintf(line, sizeof(line), "line%u", n);
        if (n % 15 == 1) {
            crypto_stream_chacha20_ietf(block, 512, nonce, k);
            memcpy(k, block, 32);
        }
        follow(block + 32 + 32 * ((n - 1) % 15), line, want, digest);
        chain_next(&c, view_str(line), mac);
        CHECK(memcmp(mac, want, 32) == 0 && memcmp(c.mac, want, 32) == 0);
        CHECK(memcmp(c.digest, digest, 32) == 0 && c.seq == n + 1);
    }
}

/* Neither the key that made a MAC nor one that it comes from is found behind it. */
TEST(keys_are_forgotten_once_they_were_used)
{
    AUTO(auto_secret) struct secret *k0 = key_of(1);
    AUTO(chain_clear) struct chain c = {0}, skipping = {0};
    uint8_t mac[32], before[512];
    CHECK_INT(chain_start(k0, &c), ERR_OK);
    CHECK_INT(chain_start(k0, &skipping), ERR_OK);
    for (unsigned n = 0; n < 40; n++) {
        memcpy(before, secret_bytes(c.key), sizeof(before));
        unsigned left = c.left;
        chain_next(&c, view_str("line"), mac);
        const uint8_t *now = secret_bytes(c.key);
        CHECK(!memmem(now, 512, secret_bytes(k0), 32));
        CHECK(left || !memmem(now, 512, before, 32));
        CHECK(!left || !memmem(now, 512, before + 512 - 32 * left, 32));
        CHECK(!left || memcmp(now + 512 - 32 * (left - 1), before + 512 - 32 * (left - 1), 32 * (left - 1)) == 0);
        chain_skip(&skipping, c.seq);
        CHECK(secret_equal(c.key, skipping.key));
    }
}

TEST(the_key_given_is_not_changed)
{
    AUTO(auto_secret) struct secret *k0 = key_of(1), *same = key_of(1), *shorter = secret_new(16);
    AUTO(chain_clear) struct chain c = {0}, none = {0};
    uint8_t mac[32];
    CHECK_INT(chain_start(k0, &c), ERR_OK);
    chain_next(&c, view_str("x"), mac);
    CHECK(secret_equal(k0, same));
    CHECK_INT(chain_start(shorter, &none), ERR_INVALID);
    CHECK(none.key == NULL);
}

TEST(a_change_shows_in_every_later_mac)
{
    AUTO(auto_secret) struct secret *k0 = key_of(1);
    AUTO(chain_clear) struct chain a = {0}, b = {0};
    uint8_t ma[32], mb[32];
    CHECK_INT(chain_start(k0, &a), ERR_OK);
    CHECK_INT(chain_start(k0, &b), ERR_OK);
    for (int i = 0; i < 10; i++) {
        chain_next(&a, view_str("same"), ma);
        chain_next(&b, view_str(i == 3 ? "samE" : "same"), mb);
        CHECK_INT(memcmp(ma, mb, 32) == 0, i < 3);
        CHECK_INT(memcmp(a.digest, b.digest, 32) == 0, i < 3);
    }
}

TEST(state_survives_a_restart)
{
    AUTO(auto_secret) struct secret *k0 = key_of(1);
    AUTO(chain_clear) struct chain a = {0}, b = {0};
    AUTO(buf_free) struct buf state = {0};
    uint8_t ma[32], mb[32];
    struct why w = {0};
    CHECK_INT(chain_start(k0, &a), ERR_OK);
    for (unsigned n = 1; n <= 32; n++) { /* at every place in a block */
        chain_next(&a, view_str("line"), ma);
        if (n > 1) {
            chain_next(&b, view_str("line"), mb);
            CHECK(memcmp(ma, mb, 32) == 0 && memcmp(a.digest, b.digest, 32) == 0);
        }
        buf_reset(&state);
        chain_save(&a, &state);
        CHECK_INT(state.len, CHAIN_STATE);
        chain_clear(&b);
        CHECK_OK(chain_load(buf_view(&state), &b, &w), w);
        CHECK_INT(b.seq, n + 1);
    }
}

static bool loads(struct view bytes, void *ctx)
{
    AUTO(chain_clear) struct chain c = {0};
    (void)ctx;
    return chain_load(bytes, &c, NULL) == ERR_OK;
}

TEST(a_state_of_another_size_or_without_number_is_corrupt)
{
    uint8_t state[CHAIN_STATE] = {0};
    CHECK(!loads(VIEW(state, sizeof(state)), NULL));
    state[7] = 1;
    CHECK(loads(VIEW(state, sizeof(state)), NULL));
    state[72] = 16; /* more line keys than a block has */
    CHECK(!loads(VIEW(state, sizeof(state)), NULL));
    state[72] = 15;
    CHECK_INT(cuts_accepted(VIEW(state, sizeof(state)), loads, NULL), 0);
}

TEST(the_digest_needs_no_key)
{
    AUTO(auto_secret) struct secret *k0 = key_of(1);
    AUTO(chain_clear) struct chain c = {0};
    uint8_t digest[32] = {0}, mac[32];
    CHECK_INT(chain_start(k0, &c), ERR_OK);
    for (int i = 0; i < 3; i++) {
        chain_next(&c, view_str("line"), mac);
        chain_digest(digest, mac, view_str("line"));
        CHECK(memcmp(digest, c.digest, 32) == 0);
    }
}

TEST(a_skip_evolves_the_key_and_nothing_else)
{
    AUTO(auto_secret) struct secret *k0 = key_of(1);
    AUTO(chain_clear) struct chain a = {0}, b = {0}, keyless = {.seq = 1};
    uint8_t mac[32], zeros[32] = {0};
    CHECK_INT(chain_start(k0, &a), ERR_OK);
    CHECK_INT(chain_start(k0, &b), ERR_OK);
    for (int i = 0; i < 4; i++)
        chain_next(&a, view_str("line"), mac);
    chain_skip(&b, 5);
    CHECK(b.seq == 5 && secret_equal(a.key, b.key));
    CHECK(memcmp(b.mac, zeros, 32) == 0 && memcmp(b.digest, zeros, 32) == 0);
    chain_skip(&b, 3); /* never back */
    CHECK(b.seq == 5 && secret_equal(a.key, b.key));
    chain_skip(&keyless, 9);
    CHECK_INT(keyless.seq, 9);
}

TEST(a_relink_takes_what_stands_in_the_log)
{
    AUTO(auto_secret) struct secret *k0 = key_of(1);
    AUTO(chain_clear) struct chain a = {0}, b = {0};
    uint8_t ours[32], theirs[32], before[32] = {0};
    CHECK_INT(chain_start(k0, &a), ERR_OK);
    CHECK_INT(chain_start(k0, &b), ERR_OK);
    chain_next(&a, view_str("line"), theirs);
    chain_next(&b, view_str("changed"), ours);
    chain_relink(&b, before, theirs, view_str("line"));
    CHECK(memcmp(a.mac, b.mac, 32) == 0 && memcmp(a.digest, b.digest, 32) == 0 && a.seq == b.seq);
    chain_next(&a, view_str("next"), theirs);
    chain_next(&b, view_str("next"), ours);
    CHECK(memcmp(ours, theirs, 32) == 0);
}

TEST(a_checkpoint_signs_log_number_and_digest)
{
    AUTO(auto_secret) struct secret *sk = NULL;
    uint8_t pk[32], other[32], id[16] = {1}, digest[32] = {2}, sig[64];
    AUTO(auto_secret) struct secret *sk2 = NULL;
    CHECK_INT(sign_keypair(pk, &sk), ERR_OK);
    CHECK_INT(sign_keypair(other, &sk2), ERR_OK);
    CHECK(memcmp(pk, other, 32) != 0);
    sign_checkpoint(sk, id, 7, digest, sig);
    CHECK(verify_checkpoint(pk, id, 7, digest, sig));
    CHECK(!verify_checkpoint(other, id, 7, digest, sig));
    CHECK(!verify_checkpoint(pk, id, 8, digest, sig));
    CHECK(!verify_checkpoint(pk, id, 7ull << 56, digest, sig));
    id[15] ^= 1;
    CHECK(!verify_checkpoint(pk, id, 7, digest, sig));
    id[15] ^= 1, digest[31] ^= 1;
    CHECK(!verify_checkpoint(pk, id, 7, digest, sig));
    digest[31] ^= 1;
    for (int bit = 0; bit < 512; bit++) {
        sig[bit / 8] ^= (uint8_t)(1u << bit % 8);
        CHECK(!verify_checkpoint(pk, id, 7, digest, sig));
        sig[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}
