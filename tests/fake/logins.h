/*
 * Reads the sample logins of tests/fake/logins (made up, in the real formats) and looks for leaks.
 * Tests run in the root of the tree.
 */
#ifndef TESTS_FAKE_LOGINS_H
#define TESTS_FAKE_LOGINS_H

#include "check.h"
#include "base/auto.h"
#include <broker/provider.h>
#include <stdio.h>
#include <string.h>

/* 2026-11-21T22:00:00Z; the samples end in 2099 */
#define FAKE_NOW INT64_C(1795298400000)
#define FAKE_END INT64_C(4070908800000)

struct sample {
    const char *provider, *kind, *file;
};
__attribute__((unused)) static const struct sample samples[] = {
    {"anthropic", "api_key", "anthropic.txt"},
    {"claude", "login", "claude.json"},
    {"claude", "setup_token", "claude-setup-token.txt"},
    {"codex", "login", "codex.json"},
    {"codex", "api_key", "codex-api-key.json"},
    {"gemini", "api_key", "gemini.txt"},
    {"gemini", "login", "gemini-login.json"},
    {"generic", "generic", "generic.txt"},
    {"generic", "generic", "generic-private-key.pem"},
    {"oauth2", "login", "oauth2.json"},
    {"openai", "api_key", "openai.txt"},
    {NULL, NULL, NULL},
};

/* A login that was parsed and decoded, for login_free. `cred` looks into `bytes`. */
struct login {
    const struct provider *provider;
    struct buf input, bytes;
    struct cred cred;
};

static inline void login_free(struct login *l)
{
    buf_free(&l->input);
    buf_free(&l->bytes);
}

static inline void sample_read(const char *file, struct buf *out)
{
    char path[256], block[4096];
    snprintf(path, sizeof path, "tests/fake/logins/%s", file);
    FILE *f = fopen(path, "rb");
    CHECK(f != NULL);
    size_t n = fread(block, 1, sizeof block, f);
    fclose(f);
    CHECK(n > 0 && n < sizeof block);
    buf_add(out, block, n);
}

static inline void login_parse(struct login *l, const char *provider, struct view input)
{
    struct why why = {0};
    l->provider = provider_by_name(view_str(provider));
    CHECK(l->provider != NULL);
    CHECK_OK(l->provider->parse(input, NULL, &l->bytes, &why), why);
    CHECK_OK(cred_decode(buf_view(&l->bytes), &l->cred, &why), why);
    CHECK_OK(l->provider->validate(&l->cred, &why), why);
}

static inline void login_load(struct login *l, const char *provider, const char *file)
{
    sample_read(file, &l->input);
    login_parse(l, provider, buf_view(&l->input));
}

static inline bool view_contains(struct view hay, struct view needle)
{
    return needle.n > 0 && hay.n >= needle.n && memmem(hay.p, hay.n, needle.p, needle.n) != NULL;
}

/* Does `hay` hold any 12 bytes in a row of `secret` (or all of a shorter one)? */
static inline bool leaks(struct view hay, struct view secret)
{
    size_t window = secret.n < 12 ? secret.n : 12;
    for (size_t i = 0; window > 0 && i + window <= secret.n; i++)
        if (view_contains(hay, VIEW(secret.p + i, window)))
            return true;
    return false;
}

#endif
