/*
 * Audit logs from anywhere; a byte 0x1e ends a segment. Holds: the verdict does not depend on the
 * pieces in which the bytes come, and a log that is good with the keys is good without them.
 */
#include "fuzz_crypto.h"

#include "crypto/verify.h"

static struct verify_verdict run(struct view log, const struct secret *k0, const uint8_t *pk,
                                 size_t piece)
{
    AUTO(verify_free) struct verifier v = {0};
    HOLDS(verify_begin(&(struct verify_keys){.k0 = k0, .pk = pk}, &v) == ERR_OK);
    while (log.n) {
        size_t n = log.n < piece ? log.n : piece;
        const uint8_t *end = memchr(log.p, 0x1e, n);
        verify_feed(&v, VIEW(log.p, end ? (size_t)(end - log.p) : n));
        if (end)
            verify_segment_end(&v);
        n = end ? (size_t)(end - log.p) + 1 : n;
        log = VIEW(log.p + n, log.n - n);
    }
    verify_segment_end(&v);
    verify_end(&v);
    return v.verdict;
}

static bool same(const struct verify_verdict *a, const struct verify_verdict *b)
{
    return a->lines == b->lines && a->checkpoints == b->checkpoints &&
           a->first_bad_seq == b->first_bad_seq && a->bad == b->bad &&
           strcmp(a->problem, b->problem) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t pk[CHAIN_PK] = {1};
    struct view log = VIEW(data, size);
    struct verify_verdict whole = run(log, fuzz_key(0xe7), NULL, SIZE_MAX),
                          pieces = run(log, fuzz_key(0xe7), NULL, 7);
    struct verify_verdict open = run(log, NULL, NULL, 64), signed_only = run(log, NULL, pk, 64);
    HOLDS(same(&whole, &pieces));
    HOLDS((whole.first_bad_seq == 0) == (whole.problem[0] == '\0'));
    HOLDS(whole.first_bad_seq != 0 || open.first_bad_seq == 0);
    HOLDS(open.lines >= whole.lines && open.lines >= signed_only.lines);
    return 0;
}
