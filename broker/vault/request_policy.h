/*
 * May this request go upstream? Pure: paths and models against the grant's lists, the provider's own list where the grant has none, and the
 * caveats of the token, all of which must hold.
 */
#ifndef VAULT_REQUEST_POLICY_H
#define VAULT_REQUEST_POLICY_H

#include "base/config.h"
#include "crypto/token.h"
#include <broker/provider.h>

struct request_ask {
    struct view method, path; /* as on the wire, without the query */
    bool has_model;           /* the worker looked for it; `model` may be empty: there is none */
    struct view model;
};
/* Does "METHOD /path" allow it: the same method, and the path itself or a path below it? */
bool request_rule_matches(struct view rule, struct view method, struct view path);
/* ERR_DENIED: no rule allows it, a caveat does not, or the path has what two programs may read differently. *rule: the one that allowed it; NULL:
 * everything is. */
MUST err_t request_check_path(const struct config_grant *g, const struct provider_upstream *up,
                              const struct token_caveats *caveats, const struct request_ask *ask,
                              const char **rule, struct why *why);
/* Must the model be known before this can be decided? */
bool request_needs_model(const struct config_grant *g, const struct token_caveats *caveats,
                         const struct request_ask *ask);
/* ERR_DENIED: a list or a caveat does not match; or there is a budget of cost, and no price for the model. *price: the model's; NULL: none. */
MUST err_t request_check_model(const struct config *c, const struct config_grant *g,
                               const struct token_caveats *caveats, const struct request_ask *ask,
                               const struct config_price **price, struct why *why);

#endif
