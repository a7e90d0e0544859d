/*
 * The plaintext of a manifest entry's row from any bytes: what is accepted encodes to the very same
 * bytes, so there is one form for each row.
 */
#include "base/auto.h"
#include "vault/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    AUTO(buf_free) struct buf again = {0};
    struct cursor c = cursor_of(VIEW(data, n));
    struct credential row;
    if (manifest_decode_row(&c, &row, NULL) != ERR_OK)
        return 0;
    if (manifest_encode_row(&row, &again, NULL) != ERR_OK || again.len != n + 1 ||
        !view_eq(VIEW(again.p + 1, n), VIEW(data, n)))
        abort();
    return 0;
}
