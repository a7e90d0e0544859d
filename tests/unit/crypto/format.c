/* The preamble: what is not known is refused, and how. */
#include "unit/crypto/help.h"

#include "crypto/format.h"

static const struct format plain = {.magic = "TEST", .what = "thing"};
static const struct format flagged = {.magic = "TEST", .what = "thing", .flags = 5};

static err_t get(const struct format *f, const char bytes[], size_t n, uint16_t *flags)
{
    struct cursor c = cursor_of(VIEW(bytes, n));
    return format_get(f, &c, flags, NULL);
}

TEST(eight_bytes_written_and_read)
{
    AUTO(buf_free) struct buf b = {0};
    uint16_t flags = 9;
    format_put(&flagged, 5, &b);
    CHECK_INT(b.len, FORMAT_PREAMBLE);
    CHECK(memcmp(b.p, "TEST\x01\x01\x00\x05", 8) == 0);
    CHECK_INT(get(&flagged, (const char *)b.p, b.len, &flags), ERR_OK);
    CHECK_INT(flags, 5);
}

TEST(short_or_foreign_is_corrupt)
{
    uint16_t flags = 9;
    for (size_t n = 0; n < 8; n++)
        CHECK_INT(get(&plain, "TEST\1\1\0\0", n, &flags), ERR_CORRUPT);
    CHECK_INT(get(&plain, "TESS\1\1\0\0", 8, &flags), ERR_CORRUPT);
    CHECK_INT(get(&plain, "test\1\1\0\0", 8, &flags), ERR_CORRUPT);
    CHECK_INT(flags, 9);
}

TEST(every_other_version_suite_and_flag_is_refused)
{
    uint16_t flags = 9;
    for (int v = 0; v < 256; v++) {
        char bytes[8] = {'T', 'E', 'S', 'T', (char)v, 1, 0, 0};
        CHECK_INT(get(&plain, bytes, 8, &flags), v == 1 ? ERR_OK : ERR_VERSION);
        bytes[4] = 1, bytes[5] = (char)v;
        CHECK_INT(get(&plain, bytes, 8, &flags), v == 1 ? ERR_OK : ERR_VERSION);
    }
    for (unsigned f = 0; f < 65536; f++) {
        char bytes[8] = {'T', 'E', 'S', 'T', 1, 1, (char)(f >> 8), (char)f};
        CHECK_INT(get(&plain, bytes, 8, &flags), f == 0 ? ERR_OK : ERR_VERSION);
        CHECK_INT(get(&flagged, bytes, 8, &flags), f & ~5u ? ERR_VERSION : ERR_OK);
    }
}
