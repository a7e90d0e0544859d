/*
 * What follows from a provider's table of kinds alone: validate, release and token prefix. A
 * provider whose kinds say everything takes them as they are by KIND_FUNCTIONS(name).
 */
#ifndef PROVIDER_KIND_H
#define PROVIDER_KIND_H

#include <broker/provider.h>

enum { RELEASE_MIN_LEFT_MS = 60000 };

#define CF_BIT(f)      (1u << CF_##f)
#define DELIVER_BIT(d) (1u << DELIVER_##d)

/* The row of CF_KIND; NULL when the provider has no such kind. */
const struct provider_kind *kind_of(const struct provider *p, const struct cred *c);
/* ERR_INVALID: no such kind, a required field is missing, a field that the kind has no use for, a
 * token that could not stand in a header, an environment name that is none. */
MUST err_t kind_validate(const struct provider *p, const struct cred *c, struct why *why);
/* ERR_NEEDS_LOGIN when the access token has less than RELEASE_MIN_LEFT_MS left at `now_ms`. */
MUST err_t kind_fresh(const struct provider *p, const struct cred *c, int64_t now_ms,
                      struct why *why);
/* ERR_CONFLICT when this kind does not serve `d`: the sentence lists what it serves. */
MUST err_t kind_serves(const struct provider *p, const struct cred *c, enum delivery d,
                       struct why *why);
struct kind_release {
    enum delivery delivery;
    int64_t now_ms;
};
MUST err_t kind_release(const struct provider *p, const struct cred *c, struct kind_release how,
                        struct buf *out, struct why *why);
const char *kind_token_prefix(const struct provider *p, const struct cred *c); /* "" for no kind */

/* release and token_prefix of `const struct provider provider_<id>` */
#define KIND_RELEASE(id)                                                                           \
    static err_t id##_release(const struct cred *c, enum delivery d, int64_t now_ms,               \
                              struct buf *out, struct why *why)                                    \
    {                                                                                              \
        return kind_release(&provider_##id, c, (struct kind_release){d, now_ms}, out, why);        \
    }                                                                                              \
    static const char *id##_token_prefix(const struct cred *c)                                     \
    {                                                                                              \
        return kind_token_prefix(&provider_##id, c);                                               \
    }
/* and validate */
#define KIND_FUNCTIONS(id)                                                                         \
    static err_t id##_validate(const struct cred *c, struct why *why)                              \
    {                                                                                              \
        return kind_validate(&provider_##id, c, why);                                              \
    }                                                                                              \
    KIND_RELEASE(id)

#endif
