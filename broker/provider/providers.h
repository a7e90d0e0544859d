/*
 * The list of providers: one row makes its const table known to the look-ups and to the file that
 * defines it.
 */
#ifndef PROVIDER_PROVIDERS_H
#define PROVIDER_PROVIDERS_H

#include <broker/provider.h>

/* sorted by name */
#define BROKER_PROVIDERS(X) X(anthropic) X(claude) X(codex) X(gemini) X(generic) X(oauth2) X(openai)

#define BROKER_PROVIDER_DECLARE(id) extern const struct provider provider_##id;
BROKER_PROVIDERS(BROKER_PROVIDER_DECLARE)
#undef BROKER_PROVIDER_DECLARE

#endif
