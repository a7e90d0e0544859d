/*
 * What must hold for any bytes given to a provider's parse, for the fuzz targets of the login
 * files. A broken promise aborts.
 */
#ifndef TESTS_FUZZ_LOGIN_H
#define TESTS_FUZZ_LOGIN_H

#include "base/auto.h"
#include "base/json.h"
#include <broker/provider.h>
#include <stdlib.h>
#include <string.h>

#define MUST_HOLD(cond)                                                                            \
    do {                                                                                           \
        if (!(cond))                                                                               \
            abort();                                                                               \
    } while (0)

enum { FUZZ_NOW = 1 };

static inline bool holds(struct view hay, struct view needle)
{
    return needle.n > 0 && hay.n >= needle.n && memmem(hay.p, hay.n, needle.p, needle.n) != NULL;
}

static inline void must_be_json(const struct buf *b)
{
    AUTO(auto_json) json_t *v = NULL;
    MUST_HOLD(!b->bad && json_parse(buf_view(b), &v, NULL) == ERR_OK);
}

/* All steps after parsing are total; what is shown is JSON and holds no refresh token. */
static inline void use_cred(const struct provider *p, const struct cred *c)
{
    AUTO(buf_free) struct buf out = {0};
    for (unsigned d = 0; d <= DELIVER__COUNT; d++)
        (void)!p->release(c, d, FUZZ_NOW, &out, NULL);
    MUST_HOLD(p->token_prefix(c) != NULL && cred_ms(c, CF_EXPIRES_AT) >= 0);
    /* a fuzzer sets one value in two fields soon: only a refresh token found nowhere else can leak
     */
    bool refresh_is_its_own = c->f[CF_REFRESH_TOKEN].n >= 24;
    for (unsigned f = 1; f < CF__COUNT; f++)
        if (f != CF_REFRESH_TOKEN && holds(c->f[f], c->f[CF_REFRESH_TOKEN]))
            refresh_is_its_own = false;
    buf_reset(&out);
    cred_describe(p, c, &out);
    must_be_json(&out);
    MUST_HOLD(!refresh_is_its_own || !holds(buf_view(&out), c->f[CF_REFRESH_TOKEN]));
    buf_reset(&out);
    if (!p->project || p->project(c, FUZZ_NOW, &out, NULL) != ERR_OK)
        return;
    must_be_json(&out);
    MUST_HOLD(!refresh_is_its_own || !holds(buf_view(&out), c->f[CF_REFRESH_TOKEN]));
}

static inline void parse_and_use(const char *provider, struct view input)
{
    AUTO(buf_free) struct buf out = {0};
    AUTO(buf_free) struct buf again = {0};
    struct cred c = {0};
    struct why why = {0};
    const struct provider *p = provider_by_name(view_str(provider));
    if (p->parse(input, NULL, &out, &why) != ERR_OK) {
        MUST_HOLD(out.len == 0 && why.text[0]);
        return;
    }
    MUST_HOLD(cred_decode(buf_view(&out), &c, NULL) == ERR_OK);
    MUST_HOLD(p->validate(&c, NULL) == ERR_OK);
    MUST_HOLD(cred_encode(&c, &again, NULL) == ERR_OK);
    MUST_HOLD(view_eq(buf_view(&out), buf_view(&again)));
    use_cred(p, &c);
}

#endif
