/* What the fuzz targets of broker/crypto share: a pool, a key, and a way to say that a property
 * does not hold. */
#ifndef TESTS_FUZZ_CRYPTO_H
#define TESTS_FUZZ_CRYPTO_H

#include "base/auto.h"
#include "base/buf.h"
#include <broker/secret.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define HOLDS(cond)                                                                                \
    do {                                                                                           \
        if (!(cond))                                                                               \
            abort();                                                                               \
    } while (0)

/* 32 bytes, each `fill`: the keys of the test vectors. Made once. */
static const struct secret *fuzz_key(uint8_t fill)
{
    static struct secret *keys[256];
    struct why w = {0};
    if (strcmp(secret_pool_kind(), "none") == 0)
        HOLDS(secret_pool_open(2 << 20, &w) == ERR_OK);
    if (!keys[fill]) {
        keys[fill] = secret_new(32);
        HOLDS(keys[fill] != NULL);
        memset(secret_edit(keys[fill]), fill, 32);
    }
    return keys[fill];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
