/*
 * Manifest entries from a disk that is not ours. Odd first byte: the rest is an entry. Even: the
 * rest is sealed and one byte changed. Holds: a refused entry leaves the chain and the output as
 * they were; a changed one is refused.
 */
#include "fuzz_crypto.h"

#include "crypto/seal.h"

static bool opens(struct view entry, struct entry_chain chain, struct buf *plain)
{
    struct entry_chain c = chain;
    size_t before = plain->len;
    bool good = entry_open(fuzz_key(0xe3), "manifest", &c, entry, plain, NULL) == ERR_OK;
    HOLDS(good ? c.seq == chain.seq + 1
               : plain->len == before && memcmp(&c, &chain, sizeof(c)) == 0);
    return good;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(buf_free) struct buf entry = {0}, plain = {0};
    struct entry_chain c = {.generation = 7, .seq = 40}, w = c;
    memset(c.prev_tag, 0x55, sizeof(c.prev_tag));
    memset(w.prev_tag, 0x55, sizeof(w.prev_tag));
    if (size < 4)
        return 0;
    struct view rest = VIEW(data + 4, size - 4);
    if (data[0] % 2) {
        (void)opens(VIEW(data + 1, size - 1), c, &plain);
        return 0;
    }
    if (entry_seal(fuzz_key(0xe3), "manifest", &w, rest, &entry, NULL) != ERR_OK)
        return 0;
    HOLDS(opens(buf_view(&entry), c, &plain) && view_eq(buf_view(&plain), rest));
    entry.p[((size_t)data[1] << 8 | data[2]) % entry.len] ^= data[3];
    HOLDS(opens(buf_view(&entry), c, &plain) == (data[3] == 0));
    return 0;
}
