/*
 * A store in a scratch directory with keys and credentials open, for the tests of the credential
 * modules. The store's functions can be made to fail.
 */
#ifndef TESTS_CREDENTIAL_RIG_H
#define TESTS_CREDENTIAL_RIG_H

#include "check.h"
#include "scratch.h"

#include "base/auto.h"
#include "vault/credential_state.h"

struct rig {
    struct scratch dir;
    struct store_ops ops; /* a copy of the file store's, for a test to spoil */
    struct store *store;
    struct keyheader header;
    struct secret *master, *previous, *redact;
    struct credentials *cs;
    struct why why;
};

static inline struct credentials_env rig_env(struct rig *r)
{
    return (struct credentials_env){&r->ops,   r->store,    &r->header,
                                    r->master, r->previous, r->redact};
}

static inline err_t rig_try_open(struct rig *r)
{
    CHECK_OK(r->ops.open(&r->store, r->dir.path, true, &r->why), r->why);
    struct credentials_env env = rig_env(r);
    return credentials_open(&env, &r->cs, &r->why);
}

static inline void rig_close(struct rig *r)
{
    credentials_close(r->cs);
    r->cs = NULL;
    if (r->store)
        r->ops.close(r->store);
    r->store = NULL;
}

static inline void rig_reopen(struct rig *r)
{
    rig_close(r);
    CHECK_OK(rig_try_open(r), r->why);
}

static inline void rig_new(struct rig *r)
{
    scratch_pool();
    *r = (struct rig){.dir = scratch_new(), .ops = *store_by_name(view_str("file"))};
    CHECK_OK(keyheader_create(&r->header, &r->master, &r->why), r->why);
    r->redact = secret_new(32);
    CHECK(r->redact);
    CHECK_OK(rig_try_open(r), r->why);
}

static inline void rig_free(struct rig *r)
{
    rig_close(r);
    secret_free(r->master);
    secret_free(r->previous);
    secret_free(r->redact);
    scratch_free(&r->dir);
}

/* An API key in canonical form. */
static inline void rig_canonical(const char *secret, struct buf *out)
{
    struct cred c = {0};
    struct why why = {0};
    c.f[CF_KIND] = view_str("api_key");
    c.f[CF_SECRET] = view_str(secret);
    CHECK_OK(cred_encode(&c, out, &why), why);
}

static inline err_t rig_try_put(struct rig *r, const char *name, const char *secret, bool replace)
{
    AUTO(buf_free) struct buf b = {0};
    const struct credential *out = NULL;
    rig_canonical(secret, &b);
    struct credential_put put = {.name = view_str(name),
                                 .provider = view_str("anthropic"),
                                 .canonical = buf_view(&b),
                                 .replace = replace,
                                 .now_ms = 1700000000000 + (replace ? 5 : 0)};
    err_t e = credential_put(r->cs, &put, &out, &r->why);
    CHECK((e == ERR_OK) == (out != NULL));
    return e;
}

static inline const struct credential *rig_put(struct rig *r, const char *name, const char *secret)
{
    bool there = credential_find(r->cs, view_str(name)) != NULL;
    CHECK_OK(rig_try_put(r, name, secret, there), r->why);
    return credential_find(r->cs, view_str(name));
}

/* The credential opens and holds this secret. */
static inline void rig_holds(struct rig *r, const char *name, const char *secret)
{
    AUTO(auto_secret) struct secret *plain = NULL;
    struct cred c;
    const struct credential *row = credential_find(r->cs, view_str(name));
    CHECK(row);
    CHECK_OK(credential_open(r->cs, row, &plain, &r->why), r->why);
    CHECK_OK(cred_decode(VIEW(secret_bytes(plain), secret_len(plain)), &c, &r->why), r->why);
    CHECK(view_is(c.f[CF_SECRET], secret));
}

static inline void rig_count_name(void *ctx, const char *name)
{
    (void)name;
    ++*(unsigned *)ctx;
}

static inline unsigned rig_records(struct rig *r)
{
    unsigned n = 0;
    CHECK_OK(r->ops.record_each(r->store, rig_count_name, &n, &r->why), r->why);
    return n;
}

/* Ways for a store to fail, to be put into rig.ops. */
static inline err_t rig_no_append(struct store *s, struct view entry, struct why *why)
{
    (void)s, (void)entry;
    return fail(why, ERR_IO, "injected");
}

static inline err_t rig_no_remove(struct store *s, const char *name, struct why *why)
{
    (void)s, (void)name;
    return fail(why, ERR_IO, "injected");
}

static inline err_t rig_no_write(struct store *s, const char *name, struct view bytes,
                                 struct why *why)
{
    (void)s, (void)name, (void)bytes;
    return fail(why, ERR_NO_SPACE, "injected");
}

static inline err_t rig_no_replace(struct store *s, uint64_t generation, store_next_fn *next,
                                   void *ctx, struct why *why)
{
    (void)s, (void)generation, (void)next, (void)ctx;
    return fail(why, ERR_NO_SPACE, "injected");
}

#endif
