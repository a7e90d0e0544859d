/* Records: every byte counts, and every member of the expected meta. */
#include "unit/crypto/help.h"

#include "crypto/seal.h"
#include "crypto/wrap.h"

static struct seal_meta meta_of(void)
{
    struct seal_meta m = {.name = "claude",
                          .kind = "claude",
                          .version = 3,
                          .epoch = 2,
                          .created_ms = 1700000000000,
                          .not_after_ms = 1800000000000};
    memset(m.store_id, 0x11, sizeof(m.store_id));
    memset(m.cred_id, 0x22, sizeof(m.cred_id));
    memset(m.prev_hash, 0x33, sizeof(m.prev_hash));
    memset(m.policy_hash, 0x44, sizeof(m.policy_hash));
    return m;
}

struct open {
    const struct secret *kek;
    const struct seal_meta *expect;
};

static bool opens(struct view bytes, void *ctx)
{
    const struct open *o = ctx;
    AUTO(auto_secret) struct secret *plain = NULL;
    return seal_open(o->kek, bytes, o->expect, &plain, NULL) == ERR_OK;
}

static bool peeks(struct view bytes, void *ctx)
{
    struct seal_meta m;
    (void)ctx;
    return seal_peek(bytes, &m, NULL) == ERR_OK;
}

static void make(const struct secret *kek, const struct seal_meta *m, const char *plain,
                 struct buf *out)
{
    struct why w = {0};
    CHECK_OK(seal_record(kek, m, view_str(plain), out, &w), w);
}

TEST(a_record_opens_to_what_was_sealed)
{
    AUTO(auto_secret) struct secret *kek = key_of(1), *plain = NULL;
    AUTO(buf_free) struct buf rec = {0};
    struct seal_meta m = meta_of(), peeked;
    struct why w = {0};
    make(kek, &m, "the secret", &rec);
    CHECK(!memmem(rec.p, rec.len, "the secret", 10));
    CHECK_OK(seal_open(kek, buf_view(&rec), &m, &plain, &w), w);
    CHECK_INT(secret_len(plain), 10);
    CHECK(memcmp(secret_bytes(plain), "the secret", 10) == 0);
    CHECK_OK(seal_peek(buf_view(&rec), &peeked, &w), w);
    CHECK_STR(peeked.name, "claude");
    CHECK(peeked.version == 3 && peeked.epoch == 2 && peeked.created_ms == m.created_ms);
    CHECK(memcmp(peeked.policy_hash, m.policy_hash, SEAL_HASH) == 0);
}

TEST(the_same_twice_differs_in_every_random_part)
{
    AUTO(auto_secret) struct secret *kek = key_of(1);
    AUTO(buf_free) struct buf a = {0}, b = {0};
    struct seal_meta m = meta_of();
    make(kek, &m, "x", &a);
    make(kek, &m, "x", &b);
    CHECK_INT(a.len, b.len);
    size_t header = 132 + 2 + 6 + 2 + 6;
    CHECK(memcmp(a.p, b.p, header) == 0);
    CHECK(memcmp(a.p + header, b.p + header, 24) != 0);           /* nonce of the wrapping */
    CHECK(memcmp(a.p + header + 24, b.p + header + 24, 32) != 0); /* data key */
    CHECK(memcmp(a.p + header + 72, b.p + header + 72, 24) != 0); /* nonce of the body */
}

TEST(every_record_has_a_data_key_of_its_own)
{
    AUTO(auto_secret) struct secret *kek = key_of(1), *zeros = key_of(0), *one = NULL, *two = NULL;
    AUTO(buf_free) struct buf a = {0}, b = {0};
    struct seal_meta m = meta_of();
    size_t header = 132 + 2 + 6 + 2 + 6;
    make(kek, &m, "x", &a);
    make(kek, &m, "x", &b);
    CHECK_INT(unwrap_key(kek, VIEW(a.p, header), a.p + header, &one, NULL), ERR_OK);
    CHECK_INT(unwrap_key(kek, VIEW(b.p, header), b.p + header, &two, NULL), ERR_OK);
    CHECK(!secret_equal(one, two) && !secret_equal(one, zeros) && !secret_equal(two, zeros));
}

TEST(every_flip_and_cut_of_a_record_is_refused)
{
    AUTO(auto_secret) struct secret *kek = key_of(1);
    AUTO(buf_free) struct buf rec = {0};
    struct seal_meta m = meta_of();
    make(kek, &m, "secret", &rec);
    CHECK(opens(buf_view(&rec), &(struct open){kek, NULL}));
    CHECK_INT(flips_accepted(buf_view(&rec), opens, &(struct open){kek, NULL}), 0);
    CHECK_INT(cuts_accepted(buf_view(&rec), opens, &(struct open){kek, NULL}), 0);
    CHECK_INT(cuts_accepted(buf_view(&rec), peeks, NULL), 0);
}

TEST(another_key_is_refused)
{
    AUTO(auto_secret)
    struct secret *kek = key_of(1), *other = key_of(2), *shorter = secret_new(31), *plain = NULL;
    AUTO(buf_free) struct buf rec = {0};
    struct seal_meta m = meta_of();
    make(kek, &m, "secret", &rec);
    CHECK_INT(seal_open(other, buf_view(&rec), &m, &plain, NULL), ERR_CORRUPT);
    CHECK_INT(seal_open(shorter, buf_view(&rec), &m, &plain, NULL), ERR_INVALID);
    CHECK(plain == NULL);
}

/* one changed member of `expect` at a time: all of them are compared */
TEST(every_member_of_the_expected_meta_counts)
{
    AUTO(auto_secret) struct secret *kek = key_of(1), *plain = NULL;
    AUTO(buf_free) struct buf rec = {0};
    struct seal_meta good = meta_of(), bad[10];
    make(kek, &good, "secret", &rec);
    for (size_t i = 0; i < COUNT(bad); i++)
        bad[i] = good;
    bad[0].store_id[15] ^= 1, bad[1].cred_id[0] ^= 1, bad[2].name[5] = 'f', bad[3].kind[0] = 'd';
    bad[4].version++, bad[5].epoch--, bad[6].prev_hash[31] ^= 128, bad[7].policy_hash[0] ^= 1;
    bad[8].created_ms++, bad[9].not_after_ms = 0;
    for (size_t i = 0; i < COUNT(bad); i++)
        CHECK_INT(seal_open(kek, buf_view(&rec), &bad[i], &plain, NULL), ERR_CORRUPT);
    CHECK(plain == NULL);
    /* what lies behind the NUL of a name is no part of it */
    good.name[20] = 'x';
    CHECK_INT(seal_open(kek, buf_view(&rec), &good, &plain, NULL), ERR_OK);
}

/* name and kind move a border between them: the lengths keep them apart */
TEST(a_border_between_two_texts_cannot_move)
{
    AUTO(auto_secret) struct secret *kek = key_of(1), *plain = NULL;
    AUTO(buf_free) struct buf rec = {0};
    struct seal_meta a = meta_of(), b = meta_of();
    strcpy(a.name, "ab"), strcpy(a.kind, "c");
    strcpy(b.name, "a"), strcpy(b.kind, "bc");
    make(kek, &a, "secret", &rec);
    CHECK_INT(seal_open(kek, buf_view(&rec), &b, &plain, NULL), ERR_CORRUPT);
}

TEST(invalid_meta_is_not_sealed)
{
    AUTO(auto_secret) struct secret *kek = key_of(1);
    AUTO(buf_free) struct buf out = {0};
    struct seal_meta bad[9];
    for (size_t i = 0; i < COUNT(bad); i++)
        bad[i] = meta_of();
    bad[0].name[0] = '\0', bad[1].name[0] = '/', bad[2].kind[0] = '\0', bad[3].version = 0,
    bad[4].epoch = 0;
    bad[5].created_ms = -1, bad[6].not_after_ms = -1;
    memset(bad[7].name, 'a', sizeof(bad[7].name)); /* no NUL */
    memset(bad[8].kind, 'a', sizeof(bad[8].kind));
    for (size_t i = 0; i < COUNT(bad); i++)
        CHECK_INT(seal_record(kek, &bad[i], view_str("x"), &out, NULL), ERR_INVALID);
    CHECK_INT(out.len, 0);
}

TEST(the_limits_of_the_plaintext)
{
    AUTO(auto_secret) struct secret *kek = key_of(1), *plain = NULL;
    AUTO(buf_free) struct buf out = {0}, big = {0};
    struct seal_meta m = meta_of();
    CHECK(buf_reserve(&big, SEAL_PLAIN_MAX + 1));
    memset(big.p, 'x', SEAL_PLAIN_MAX + 1);
    CHECK_INT(seal_record(kek, &m, VIEW(NULL, 0), &out, NULL), ERR_TOO_LARGE);
    CHECK_INT(seal_record(kek, &m, VIEW(big.p, SEAL_PLAIN_MAX + 1), &out, NULL), ERR_TOO_LARGE);
    CHECK_INT(out.len, 0);
    CHECK_INT(seal_record(kek, &m, VIEW(big.p, SEAL_PLAIN_MAX), &out, NULL), ERR_OK);
    CHECK_INT(seal_open(kek, buf_view(&out), &m, &plain, NULL), ERR_OK);
    CHECK_INT(secret_len(plain), SEAL_PLAIN_MAX);
}

TEST(records_are_appended_and_a_full_buffer_is_told)
{
    AUTO(auto_secret) struct secret *kek = key_of(1);
    AUTO(buf_free) struct buf out = {0}, small = {.max = 100};
    struct seal_meta m = meta_of();
    buf_add_str(&out, "before");
    make(kek, &m, "x", &out);
    CHECK(memcmp(out.p, "beforeCBRR", 10) == 0);
    CHECK_INT(seal_record(kek, &m, view_str("x"), &small, NULL), ERR_TOO_LARGE);
    CHECK_INT(small.len, 0);
}

TEST(rewrap_changes_epoch_and_nothing_else)
{
    AUTO(auto_secret) struct secret *old = key_of(1), *new = key_of(2), *plain = NULL;
    AUTO(buf_free) struct buf rec = {0}, next = {0};
    struct seal_meta m = meta_of(), got;
    struct why w = {0};
    make(old, &m, "secret", &rec);
    CHECK_INT(seal_rewrap(old, new, 2, buf_view(&rec), &next, &w),
              ERR_INVALID); /* the same epoch */
    CHECK_INT(seal_rewrap(new, old, 3, buf_view(&rec), &next, &w), ERR_CORRUPT); /* not its key */
    CHECK_INT(next.len, 0);
    CHECK_OK(seal_rewrap(old, new, 3, buf_view(&rec), &next, &w), w);
    CHECK_OK(seal_peek(buf_view(&next), &got, &w), w);
    CHECK_INT(got.epoch, 3);
    CHECK_INT(seal_open(old, buf_view(&next), NULL, &plain, NULL), ERR_CORRUPT);
    m.epoch = 3;
    CHECK_OK(seal_open(new, buf_view(&next), &m, &plain, &w), w);
    CHECK(secret_len(plain) == 6 && memcmp(secret_bytes(plain), "secret", 6) == 0);
}

/* the header of one record on the body of another, both under the same key and with the same
 * lengths */
TEST(parts_of_two_records_do_not_mix)
{
    AUTO(auto_secret) struct secret *kek = key_of(1);
    AUTO(buf_free) struct buf a = {0}, b = {0}, mixed = {0};
    struct seal_meta m = meta_of();
    make(kek, &m, "secret", &a);
    m.version++;
    make(kek, &m, "public", &b);
    for (size_t cut = 1; cut < a.len; cut++) {
        buf_reset(&mixed);
        buf_add(&mixed, a.p, cut);
        buf_add(&mixed, b.p + cut, b.len - cut);
        bool whole = memcmp(mixed.p, a.p, a.len) == 0 || memcmp(mixed.p, b.p, b.len) == 0;
        CHECK_INT(opens(buf_view(&mixed), &(struct open){kek, NULL}), whole);
    }
}

TEST(hash_is_of_all_bytes)
{
    uint8_t a[SEAL_HASH], b[SEAL_HASH];
    seal_hash(view_str("record"), a);
    seal_hash(view_str("recorE"), b);
    CHECK(memcmp(a, b, SEAL_HASH) != 0);
    char hex[65];
    seal_hash(VIEW(NULL, 0), a); /* BLAKE2b-256 of nothing, as published */
    hex_encode(a, 32, hex);
    CHECK_STR(hex, "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
}

TEST(random_bytes_fills_all_of_it)
{
    uint8_t any[64] = {0}, r[64];
    for (int i = 0; i < 64; i++) {
        random_bytes(r, sizeof(r));
        for (size_t k = 0; k < sizeof(r); k++)
            any[k] |= r[k];
    }
    for (size_t k = 0; k < sizeof(any); k++)
        CHECK_INT(any[k], 255);
}
