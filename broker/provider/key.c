/*
 * Providers whose credential is one API key: a row each. A key of a shape that nobody knows yet is
 * taken; what is known to be another provider's, a file, a token of another kind, or more than one
 * word is refused by its name.
 */
#include "base/auto.h"
#include "provider/inject.h"
#include "provider/intake.h"
#include "provider/key.h"
#include "provider/kind.h"
#include "provider/providers.h"
#include "provider/shape.h"
#include "provider/text.h"

#include <string.h>

enum { KEY_MAX = 4096 };

/* name, title, token prefix, environment, origin, header, form, dialect, allow, expects */
#define KEY_PROVIDERS(X)                                                                           \
    X(anthropic, "Anthropic API key", "sk-ant-api03-", "ANTHROPIC_API_KEY",                        \
      "https://api.anthropic.com", "x-api-key", "{}", ROUTE_ANTHROPIC, inject_anthropic,           \
      "one Anthropic API key (sk-ant-api…) as plain text")                                         \
    X(openai, "OpenAI API key", "sk-", "OPENAI_API_KEY", "https://api.openai.com",                 \
      "authorization", "Bearer {}", ROUTE_OPENAI, inject_openai,                                   \
      "one OpenAI API key (sk-…) as plain text")

err_t key_read(struct intake *in, struct why *why)
{
    struct view text = text_trim(in->input);
    const struct shape *s = shape_of(text);
    bool ours = s->provider && strcmp(s->provider, in->provider->name) == 0;
    if (!ours && !shape_is_unknown_word(s))
        return shape_refuse(text, why);
    if (text.n > KEY_MAX)
        return fail(why, ERR_INVALID, "this has %zu bytes, a key has at most %d", text.n, KEY_MAX);
    if (!text_visible(text))
        return fail(why, ERR_INVALID, "the key holds white space or bytes outside ASCII");
    in->cred.f[CF_KIND] = view_str("api_key");
    in->cred.f[CF_SECRET] = text;
    return ERR_OK;
}

#define KEY_PROVIDER(id, name_, prefix, env, origin_, header_, form_, dialect_, allow_, expects_)  \
    static err_t id##_parse(struct view input, const struct provider_options *opt,                 \
                            struct buf *out, struct why *why)                                      \
    {                                                                                              \
        AUTO(intake_free)                                                                          \
        struct intake in = {.provider = &provider_##id, .input = input, .options = opt};           \
        return intake_run(&in, key_read, out, why);                                                \
    }                                                                                              \
    KIND_FUNCTIONS(id)                                                                             \
    static const struct provider_upstream id##_upstream = {.origin = (origin_),                    \
                                                           .header = (header_),                    \
                                                           .form = (form_),                        \
                                                           .dialect = (dialect_),                  \
                                                           .allow = (allow_)};                     \
    static const struct provider_kind id##_kinds[] = {                                             \
        {.name = "api_key",                                                                        \
         .deliveries = DELIVER_BIT(PROXY) | DELIVER_BIT(HELPER) | DELIVER_BIT(SECRET),             \
         .value = CF_SECRET,                                                                       \
         .required = CF_BIT(SECRET),                                                               \
         .optional = CF_BIT(ENV),                                                                  \
         .token_prefix = (prefix),                                                                 \
         .upstream = &id##_upstream},                                                              \
        {0},                                                                                       \
    };                                                                                             \
    const struct provider provider_##id = {                                                        \
        .name = #id,                                                                               \
        .title = (name_),                                                                          \
        .expects = (expects_),                                                                     \
        .deliveries = DELIVER_BIT(PROXY) | DELIVER_BIT(HELPER) | DELIVER_BIT(SECRET),              \
        .kinds = id##_kinds,                                                                       \
        .env_secret = (env),                                                                       \
        .parse = id##_parse,                                                                       \
        .validate = id##_validate,                                                                 \
        .release = id##_release,                                                                   \
        .token_prefix = id##_token_prefix,                                                         \
    };
KEY_PROVIDERS(KEY_PROVIDER)
