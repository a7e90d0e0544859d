/*
 * Key headers from a disk that is not ours. Holds: what decodes encodes to the same bytes (one form
 * only), and opening is total.
 */
#include "fuzz_crypto.h"

#include "crypto/keyslot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(buf_free) struct buf again = {0};
    const struct secret *key = fuzz_key(0xa0);
    struct keyheader h;
    if (keyheader_decode(VIEW(data, size), &h, NULL) != ERR_OK)
        return 0;
    keyheader_encode(&h, &again);
    HOLDS(view_eq(buf_view(&again), VIEW(data, size)));
    for (unsigned i = 0; i <= KEYSLOTS_MAX; i++) {
        AUTO(auto_secret) struct secret *master = NULL, *previous = NULL;
        err_t e = keyheader_open(&h, i, key, &master, &previous, NULL);
        HOLDS((e == ERR_OK) == (master != NULL));
        HOLDS(e != ERR_OK || (previous != NULL) == h.rekeying);
    }
    return 0;
}
