/* A key header with two slots, for the tests of keyslot.c and keyheader.c. */
#ifndef TESTS_CRYPTO_KEYSLOT_RIG_H
#define TESTS_CRYPTO_KEYSLOT_RIG_H

#include "unit/crypto/help.h"

#include "crypto/keyslot.h"

struct made { /* a header with two slots */
    struct keyheader h;
    struct secret *master, *key[2];
};

static void made_free(struct made *m)
{
    secret_free(m->master);
    secret_free(m->key[0]);
    secret_free(m->key[1]);
}

static void make(struct made *m)
{
    struct why w = {0};
    unsigned slot = 99;
    *m = (struct made){0};
    m->key[0] = key_of(0xa0);
    m->key[1] = key_of(0xa1);
    CHECK_OK(keyheader_create(&m->h, &m->master, &w), w);
    CHECK_OK(keyslot_add(&m->h, m->master, &(struct keyslot_new){"keyfile", view_str("/etc/key"), m->key[0], 1000}, &slot, &w),
             w);
    CHECK_INT(slot, 0);
    CHECK_OK(keyslot_add(&m->h, m->master, &(struct keyslot_new){"passphrase", VIEW("\0\1\2", 3), m->key[1], 2000}, &slot, &w),
             w);
    CHECK_INT(slot, 1);
}

static err_t open_slot(const struct keyheader *h, unsigned slot, const struct secret *key,
                       const struct secret *want)
{
    AUTO(auto_secret) struct secret *master = NULL, *previous = NULL;
    err_t e = keyheader_open(h, slot, key, &master, &previous, NULL);
    CHECK((e == ERR_OK) == (master != NULL));
    CHECK(e != ERR_OK || !want || secret_equal(master, want));
    return e;
}

#endif
