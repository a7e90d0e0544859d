/*
 * The decision about one request. The path is compared byte for byte, never decoded: whatever could be a path in disguise (dot segments,
 * empty ones, encoded slashes and dots, backslashes, parameters) is refused here again, although the worker's gate lets none through: this
 * process does not trust that one.
 */
#include "vault/request_policy.h"

#include "base/auto.h"
#include "base/glob.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static bool has_body(struct view method)
{
    return view_is(method, "POST") || view_is(method, "PUT") || view_is(method, "PATCH");
}

/* ---- paths */

static bool segment_ok(struct view s, bool last)
{
    bool dots = view_is(s, ".") || view_is(s, "..");
    return !dots && (s.n > 0 || last);
}

/* Two hex digits, always: what looks like half an escape may become a whole one when it is decoded (`%2%45`). */
static bool escape_ok(const uint8_t *p, size_t left)
{
    static const char *const bad[] = {"%2f", "%5c", "%2e", "%00", "%25", "%3b", "%3f", "%23"};
    if (left < 3 || !isxdigit(p[1]) || !isxdigit(p[2]))
        return false;
    for (size_t i = 0; i < COUNT(bad); i++)
        if (strncasecmp((const char *)p, bad[i], 3) == 0)
            return false;
    return true;
}

static bool path_ok(struct view path)
{
    size_t from = 1;
    if (path.n == 0 || path.p[0] != '/' ||
        memmem(path.p, path.n, TOKEN_MARKER, sizeof(TOKEN_MARKER) - 1))
        return false;
    for (size_t i = 1; i <= path.n; i++) {
        bool end = i == path.n;
        if (end || path.p[i] == '/') {
            if (!segment_ok(VIEW(path.p + from, i - from), end))
                return false;
            from = i + 1;
        } else if (path.p[i] < '!' || path.p[i] > '~' || strchr("\\;?#", path.p[i]) ||
                   (path.p[i] == '%' && !escape_ok(path.p + i, path.n - i))) {
            return false;
        }
    }
    return true;
}

bool request_rule_matches(struct view rule, struct view method, struct view path)
{
    const uint8_t *space = rule.n ? memchr(rule.p, ' ', rule.n) : NULL;
    size_t n = space ? (size_t)(space - rule.p) : 0;
    if (!space || !view_eq(VIEW(rule.p, n), method))
        return false;
    struct view front = VIEW(space + 1, rule.n - n - 1);
    if (front.n == 0 || path.n < front.n || memcmp(path.p, front.p, front.n) != 0)
        return false;
    return path.n == front.n || front.p[front.n - 1] == '/' || path.p[front.n] == '/';
}

/* The rule that allows it; NULL: none. An empty list is no list. */
static const char *find_rule(const char *const *list, const struct request_ask *ask)
{
    for (; *list; list++)
        if (request_rule_matches(view_str(*list), ask->method, ask->path))
            return *list;
    return NULL;
}

static err_t not_allowed(const struct request_ask *ask, struct why *why)
{
    int method = ask->method.n > 16 ? 16 : (int)ask->method.n;
    int path = ask->path.n > 100 ? 100 : (int)ask->path.n;
    return fail(why, ERR_DENIED, "%.*s %.*s is not allowed by this grant", method,
                (const char *)ask->method.p, path, (const char *)ask->path.p);
}

err_t request_check_path(const struct config_grant *g, const struct provider_upstream *up,
                         const struct token_caveats *caveats, const struct request_ask *ask,
                         const char **rule, struct why *why)
{
    const char *const *list = g->allow ? (const char *const *)g->allow : up->allow;
    const char *found = NULL;
    if (!path_ok(ask->path))
        return fail(why, ERR_DENIED, "this path could be read as another one");
    if (list && (found = find_rule(list, ask)) == NULL)
        return not_allowed(ask, why);
    for (unsigned i = 0; i < caveats->n_paths; i++)
        if (!request_rule_matches(caveats->path[i], ask->method, ask->path))
            return fail(why, ERR_DENIED, "this token was narrowed to other requests");
    *rule = found;
    return ERR_OK;
}

/* ---- models */

static bool limits_cost(const struct config_grant *g)
{
    return g->limits.limit[BUDGET_COST].amount > 0;
}

bool request_needs_model(const struct config_grant *g, const struct token_caveats *caveats,
                         const struct request_ask *ask)
{
    return !ask->has_model && has_body(ask->method) &&
           (g->models || caveats->n_models > 0 || limits_cost(g));
}

static err_t not_this_model(const struct request_ask *ask, const char *whose, struct why *why)
{
    int n = ask->model.n > 64 ? 64 : (int)ask->model.n;
    if (n == 0)
        return fail(why, ERR_DENIED, "the request names no model, and %s allows only some", whose);
    return fail(why, ERR_DENIED, "the model \"%.*s\" is not allowed by %s", n,
                (const char *)ask->model.p, whose);
}

static bool in_list(char *const *list, struct view model)
{
    for (; *list; list++)
        if (glob_match(view_str(*list), model))
            return true;
    return false;
}

err_t request_check_model(const struct config *c, const struct config_grant *g,
                          const struct token_caveats *caveats, const struct request_ask *ask,
                          const struct config_price **price, struct why *why)
{
    *price = ask->model.n ? config_price_of(c, ask->model) : NULL;
    if (ask->model.n == 0 && !has_body(ask->method))
        return ERR_OK;
    if (g->models && !in_list(g->models, ask->model))
        return not_this_model(ask, "this grant", why);
    for (unsigned i = 0; i < caveats->n_models; i++)
        if (!glob_match(caveats->model[i], ask->model))
            return not_this_model(ask, "this token", why);
    if (limits_cost(g) && has_body(ask->method) && !*price)
        return fail(why, ERR_DENIED,
                    "the grant has a budget of cost, and broker.yaml no price for this model: add "
                    "it to prices");
    return ERR_OK;
}
