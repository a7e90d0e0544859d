/*
 * From a credential to the route of its requests (base/route.h): where they go, which header carries what, and which bytes must never come
 * back. Pure; runs in the vault, on a credential that is open for this moment only.
 */
#ifndef PROVIDER_INJECT_H
#define PROVIDER_INJECT_H

#include "base/route.h"
#include <broker/provider.h>

/* What an operator may say about a provider's upstream; zero: nothing. */
struct inject_upstream {
    bool tls;
    struct view host; /* empty: the provider's own origin */
    uint16_t port;
    struct view ca;     /* PEM file; empty: the system's */
    bool private_hosts; /* its address may be loopback, private or link-local */
};
/* Builds the route into `out`, whose views point into `c`, `up`, constants, and `scratch` (appended to; wiped by the caller as a secret).
 * ERR_CONFLICT: this credential cannot be used that way, and why. */
MUST err_t inject_route(const struct provider *p, const struct cred *c,
                        const struct inject_upstream *up, struct buf *scratch, struct route *out,
                        struct why *why);
/* The origin that the credential's requests go to without a word from the operator; empty: none. */
struct view inject_origin(const struct provider *p, const struct cred *c);

/* A template of `generic`: "Name: value with {}", "Name: Basic {basic}" (base64 of USERNAME:SECRET, RFC 7617), "query:name={}". */
struct inject_template {
    bool query, basic;
    struct view name;          /* of the header or the parameter */
    struct view before, after; /* around the slot */
};
bool inject_template(struct view text, struct inject_template *out);

/* What is allowed of each API where a grant has no list of its own. */
extern const char *const inject_anthropic[], *const inject_openai[], *const inject_codex[],
                                                                         *const inject_gemini[];

#endif
