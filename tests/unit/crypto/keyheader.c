/* The bytes of a key header: one form, and everything else refused. */
#include "unit/crypto/keyslot_rig.h"

TEST(bytes_there_and_back)
{
    AUTO(made_free) struct made m;
    AUTO(buf_free) struct buf bytes = {0}, again = {0};
    struct keyheader h;
    struct why w = {0};
    make(&m);
    keyheader_encode(&m.h, &bytes);
    CHECK_OK(keyheader_decode(buf_view(&bytes), &h, &w), w);
    keyheader_encode(&h, &again);
    CHECK(view_eq(buf_view(&bytes), buf_view(&again)));
    CHECK_STR(h.slot[1].source, "passphrase");
    CHECK(h.slot[1].params_len == 3 && memcmp(h.slot[1].params, "\0\1\2", 3) == 0 &&
          h.slot[1].created_ms == 2000);
    CHECK(h.epoch == 1 && h.serial == 2 && !h.rekeying && !h.slot[2].used);
    CHECK_INT(open_slot(&h, 1, m.key[1], m.master), ERR_OK);
}

TEST(unknown_version_suite_and_flags_are_told_apart)
{
    AUTO(made_free) struct made m;
    AUTO(buf_free) struct buf bytes = {0};
    struct keyheader h;
    make(&m);
    keyheader_encode(&m.h, &bytes);
    for (size_t at = 4; at < 8; at++) {
        bytes.p[at] ^= 0x82;
        CHECK_INT(keyheader_decode(buf_view(&bytes), &h, NULL), ERR_VERSION);
        bytes.p[at] ^= 0x82;
    }
    bytes.p[0] ^= 1;
    CHECK_INT(keyheader_decode(buf_view(&bytes), &h, NULL), ERR_CORRUPT);
}

TEST(slots_out_of_order_or_twice_are_corrupt)
{
    AUTO(made_free) struct made m;
    AUTO(buf_free) struct buf bytes = {0};
    struct keyheader h;
    make(&m);
    keyheader_encode(&m.h, &bytes);
    size_t count = 8 + 16 + 4 + 8 + 32 + 32 + 72,
           second = count + 1 + 1 + 2 + 7 + 2 + 8 + 8 + 32 + 32 + 80;
    CHECK(bytes.p[count] == 2 && bytes.p[count + 1] == 0 && bytes.p[second] == 1);
    bytes.p[second] = 0;
    CHECK_INT(keyheader_decode(buf_view(&bytes), &h, NULL), ERR_CORRUPT);
    bytes.p[second] = 8;
    CHECK_INT(keyheader_decode(buf_view(&bytes), &h, NULL), ERR_CORRUPT);
    bytes.p[second] = 1, bytes.p[count + 1] = 1;
    CHECK_INT(keyheader_decode(buf_view(&bytes), &h, NULL), ERR_CORRUPT);
    bytes.p[count + 1] = 0, bytes.p[count] = 0;
    CHECK_INT(keyheader_decode(buf_view(&bytes), &h, NULL), ERR_CORRUPT);
}

TEST(the_signature_is_last_and_not_checked_here)
{
    AUTO(made_free) struct made m;
    AUTO(buf_free) struct buf bytes = {0};
    struct keyheader h;
    make(&m);
    CHECK_INT(keyheader_slots(&m.h), 2);
    keyheader_encode(&m.h, &bytes);
    CHECK(memcmp(bytes.p + bytes.len - 64, m.h.sig, 64) == 0);
    bytes.p[bytes.len - 1] ^= 1;
    CHECK_INT(keyheader_decode(buf_view(&bytes), &h, NULL), ERR_OK);
    CHECK_INT(open_slot(&h, 0, m.key[0], NULL), ERR_CORRUPT);
}

TEST(numbers_out_of_range_are_corrupt)
{
    AUTO(made_free) struct made m;
    struct keyheader bad[5], out = {.epoch = 77};
    make(&m);
    for (size_t i = 0; i < COUNT(bad); i++)
        bad[i] = m.h;
    bad[0].epoch = 0, bad[1].serial = 0, bad[2].slot[0].created_ms = -1;
    bad[3].rekeying = true; /* an epoch before the first */
    bad[4].slot[0].used = bad[4].slot[1].used = false;
    for (size_t i = 0; i < COUNT(bad); i++) {
        AUTO(buf_free) struct buf bytes = {0};
        keyheader_encode(&bad[i], &bytes);
        CHECK_INT(keyheader_decode(buf_view(&bytes), &out, NULL), ERR_CORRUPT);
    }
    CHECK_INT(out.epoch, 77);
}
