/*
 * The canonical form as the vault sees it: from a worker that may be hostile. The first byte picks
 * the provider.
 */
#include "fuzz/login.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    AUTO(buf_free) struct buf again = {0};
    struct cred c = {0};
    unsigned count = 0;
    if (n == 0 || cred_decode(VIEW(data + 1, n - 1), &c, NULL) != ERR_OK)
        return 0;
    MUST_HOLD(cred_encode(&c, &again, NULL) == ERR_OK);
    MUST_HOLD(view_eq(buf_view(&again), VIEW(data + 1, n - 1)));
    while (providers[count])
        count++;
    const struct provider *p = providers[data[0] % count];
    if (p->validate(&c, NULL) == ERR_OK)
        use_cred(p, &c);
    return 0;
}
