/* What the tests of broker/crypto share: an open pool of secrets, keys, and "every single-bit flip
 * and every truncation". */
#ifndef TESTS_CRYPTO_HELP_H
#define TESTS_CRYPTO_HELP_H

#include "check.h"

#include "base/auto.h"
#include "base/buf.h"
#include <broker/secret.h>

__attribute__((constructor)) static void open_pool(void)
{
    struct why w = {0};
    if (secret_pool_open(2 << 20, &w) != ERR_OK) {
        printf("no pool of secrets: %s\n", w.text);
        exit(1);
    }
}

/* 32 bytes, each `fill` */
__attribute__((unused)) static struct secret *key_of(uint8_t fill)
{
    struct secret *s = secret_new(32);
    CHECK(s != NULL);
    memset(secret_edit(s), fill, 32);
    return s;
}

/* How many of all single-bit flips of `good` does `accepts` accept? */
__attribute__((unused)) static unsigned flips_accepted(struct view good,
                                                       bool (*accepts)(struct view, void *),
                                                       void *ctx)
{
    unsigned accepted = 0;
    uint8_t *copy = malloc(good.n);
    CHECK(copy != NULL);
    memcpy(copy, good.p, good.n);
    for (size_t bit = 0; bit < 8 * good.n; bit++) {
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
        accepted += accepts(VIEW(copy, good.n), ctx);
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    free(copy);
    return accepted;
}

/* How many of all truncations, at the end and at the front, and of one byte more? Each in memory of
 * exactly its size. */
__attribute__((unused)) static unsigned cuts_accepted(struct view good,
                                                      bool (*accepts)(struct view, void *),
                                                      void *ctx)
{
    unsigned accepted = 0;
    for (size_t n = 0; n < good.n; n++) {
        uint8_t *copy = malloc(n ? n : 1);
        CHECK(copy != NULL);
        memcpy(copy, good.p, n);
        accepted += accepts(VIEW(copy, n), ctx);
        memcpy(copy, good.p + good.n - n, n);
        accepted += accepts(VIEW(copy, n), ctx);
        free(copy);
    }
    for (unsigned more = 0; more < 256; more++) {
        uint8_t *copy = malloc(good.n + 1);
        CHECK(copy != NULL);
        memcpy(copy, good.p, good.n);
        copy[good.n] = (uint8_t)more;
        accepted += accepts(VIEW(copy, good.n + 1), ctx);
        free(copy);
    }
    return accepted;
}

#endif
