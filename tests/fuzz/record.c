/*
 * Records from a disk that is not ours. Odd first byte: the rest is a record. Even: the rest is
 * sealed, one byte of the record is changed. Holds: the changed one never opens, the unchanged one
 * gives back what was sealed, and what opens is canonical.
 */
#include "fuzz_crypto.h"

#include "crypto/seal.h"

static void any_bytes(struct view record)
{
    AUTO(auto_secret) struct secret *plain = NULL;
    AUTO(buf_free) struct buf next = {0};
    struct seal_meta m, again;
    err_t peek = seal_peek(record, &m, NULL),
          e = seal_open(fuzz_key(0xe1), record, NULL, &plain, NULL);
    HOLDS(peek == ERR_OK || e != ERR_OK);
    HOLDS((e == ERR_OK) == (plain != NULL));
    if (e == ERR_OK && m.epoch < UINT32_MAX) {
        HOLDS(seal_rewrap(fuzz_key(0xe1), fuzz_key(0xe2), m.epoch + 1, record, &next, NULL) ==
              ERR_OK);
        HOLDS(next.len == record.n && seal_peek(buf_view(&next), &again, NULL) == ERR_OK &&
              again.epoch == m.epoch + 1);
    }
}

static void sealed(struct view plain, size_t at, uint8_t flip)
{
    AUTO(auto_secret) struct secret *got = NULL, *none = NULL;
    AUTO(buf_free) struct buf rec = {0};
    struct seal_meta m = {.name = "claude", .kind = "codex", .version = 1 + at, .epoch = 1 + flip};
    if (seal_record(fuzz_key(0xe1), &m, plain, &rec, NULL) != ERR_OK)
        return;
    HOLDS(seal_open(fuzz_key(0xe1), buf_view(&rec), &m, &got, NULL) == ERR_OK);
    HOLDS(secret_len(got) == plain.n && memcmp(secret_bytes(got), plain.p, plain.n) == 0);
    rec.p[at % rec.len] ^= flip;
    HOLDS((seal_open(fuzz_key(0xe1), buf_view(&rec), NULL, &none, NULL) == ERR_OK) == (flip == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    if (data[0] % 2)
        any_bytes(VIEW(data + 1, size - 1));
    else if (size > 4)
        sealed(VIEW(data + 4, size - 4), (size_t)data[1] << 8 | data[2], data[3]);
    return 0;
}
