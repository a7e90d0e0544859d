/* vault/request_policy.c: which paths and models are allowed, and which paths are none. */
#include "vault/request_policy.h"

#include "base/auto.h"
#include "check.h"

static struct why why;
static const char *rule;

static struct request_ask ask_of(const char *method, const char *path, const char *model)
{
    return (struct request_ask){.method = view_str(method), .path = view_str(path), .has_model = model != NULL, .model = view_str(model)};
}

static err_t path(char **allow, const char *const *own, const char *method, const char *p)
{
    const struct config_grant g = {.allow = allow};
    const struct provider_upstream up = {.allow = own};
    const struct token_caveats none = {0};
    struct request_ask ask = ask_of(method, p, NULL);
    rule = "unset";
    return request_check_path(&g, &up, &none, &ask, &rule, &why);
}

TEST(rules_match_at_a_segments_border)
{
    static const struct {
        const char *rule, *method, *path;
        bool matches;
    } rows[] = {{"GET /v1", "GET", "/v1", true}, {"GET /v1", "GET", "/v1/a", true}, {"GET /v1", "GET", "/v1a", false}, {"GET /v1", "GET", "/v", false},
                {"GET /v1", "GET", "/v1/", true}, {"GET /v1/", "GET", "/v1", false}, {"GET /v1/", "GET", "/v1/a", true}, {"GET /", "GET", "/anything", true},
                {"GET /v1", "POST", "/v1", false}, {"GET /v1", "get", "/v1", false}, {"GET /v1", "GETX", "/v1", false}, {"GET /v1", "GE", "/v1", false},
                {"GET /v1", "", "/v1", false}, {"GET /v1", "GET", "/V1", false}, {"GET /m", "GET", "/m:run", false}, {"/v1", "GET", "/v1", false}, {"", "", "", false},
                {"GET ", "GET", "/v1", false}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (request_rule_matches(view_str(rows[i].rule), view_str(rows[i].method), view_str(rows[i].path)) != rows[i].matches)
            printf("    %s: %s %s\n", rows[i].rule, rows[i].method, rows[i].path);
        CHECK_INT(request_rule_matches(view_str(rows[i].rule), view_str(rows[i].method), view_str(rows[i].path)), rows[i].matches);
    }
}

TEST(the_grants_list_or_else_the_providers_or_else_everything)
{
    static const char *const own[] = {"POST /v1/messages", NULL};
    char models[] = "GET /v1/models", *allow[] = {models, NULL};
    CHECK_OK(path(allow, own, "GET", "/v1/models/x"), why);
    CHECK_STR(rule, "GET /v1/models");
    CHECK_INT(path(allow, own, "POST", "/v1/messages"), ERR_DENIED);
    CHECK_OK(path(NULL, own, "POST", "/v1/messages"), why);
    CHECK_INT(path(NULL, own, "GET", "/v1/models"), ERR_DENIED);
    CHECK_OK(path(NULL, NULL, "DELETE", "/anything/at/all"), why);
    CHECK(!rule);
}

TEST(paths_in_disguise_are_refused_whatever_is_allowed)
{
    static const char *const bad[] = {"", "v1", "/..", "/a/../b", "/a/..", "/./a", "/.", "//", "/a//b", "//a", "/a/%2e%2e/b", "/a%2Fb", "/a%2fb", "/a%5cb",
                                      "/a\\b", "/a;b", "/a?b", "/a#b", "/a b", "/a\x7f", "/\xc3\xa9", "/a%", "/a%2", "/a%2%45", "/a%g0", "/a%0g", "/a%00", "/%2E", "/a/%252e%252e/b",
                                      "/a/..%3b/b", "/a%3Fb", "/a%23b",
                                      "/a/cbat-cbrk1_AXKBcjDrVMD2/b"};
    static const char *const good[] = {"/", "/a", "/a/", "/a/b.c", "/...", "/.a", "/a..b", "/a%20b", "/models/x:generate", "/a@b!$&'()*+,=~"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        if (path(NULL, NULL, "GET", bad[i]) == ERR_OK)
            printf("    taken: %s\n", bad[i]);
        CHECK_INT(path(NULL, NULL, "GET", bad[i]), ERR_DENIED);
    }
    for (size_t i = 0; i < COUNT(good); i++)
        CHECK_OK(path(NULL, NULL, "GET", good[i]), why);
}

TEST(every_caveat_must_hold)
{
    const struct config_grant g = {0};
    const struct provider_upstream up = {0};
    struct token_caveats c = {.n_paths = 2, .path = {view_str("POST /v1"), view_str("POST /v1/messages")}};
    struct request_ask ask = ask_of("POST", "/v1/messages", NULL);
    CHECK_OK(request_check_path(&g, &up, &c, &ask, &rule, &why), why);
    ask = ask_of("POST", "/v1/x", NULL);
    CHECK_INT(request_check_path(&g, &up, &c, &ask, &rule, &why), ERR_DENIED);
    c = (struct token_caveats){.n_models = 2, .model = {view_str("claude-*"), view_str("*-4")}};
    const struct config cf = {0};
    const struct config_price *price;
    ask = ask_of("POST", "/", "claude-4");
    CHECK_OK(request_check_model(&cf, &g, &c, &ask, &price, &why), why);
    ask = ask_of("POST", "/", "claude-5");
    CHECK_INT(request_check_model(&cf, &g, &c, &ask, &price, &why), ERR_DENIED);
}

TEST(when_the_model_must_be_known)
{
    char m[] = "claude-*", *models[] = {m, NULL};
    const struct config_grant free_one = {0}, listed = {.models = models}, costs = {.limits.limit[BUDGET_COST] = {1, 1000}},
                              counted = {.limits.limit[BUDGET_TOKENS] = {1, 1000}};
    const struct token_caveats none = {0}, narrowed = {.n_models = 1, .model = {view_str("x")}};
    static const char *const with_body[] = {"POST", "PUT", "PATCH"}, *const without[] = {"GET", "HEAD", "DELETE", "OPTIONS"};
    for (size_t i = 0; i < COUNT(with_body); i++) {
        struct request_ask ask = ask_of(with_body[i], "/", NULL), told = ask_of(with_body[i], "/", "");
        CHECK(!request_needs_model(&free_one, &none, &ask) && !request_needs_model(&counted, &none, &ask));
        CHECK(request_needs_model(&listed, &none, &ask) && request_needs_model(&costs, &none, &ask) && request_needs_model(&free_one, &narrowed, &ask));
        CHECK(!request_needs_model(&listed, &none, &told));
    }
    for (size_t i = 0; i < COUNT(without); i++) {
        struct request_ask ask = ask_of(without[i], "/", NULL);
        CHECK(!request_needs_model(&listed, &narrowed, &ask));
    }
}

TEST(models_and_prices)
{
    char m[] = "claude-*", all[] = "*", *models[] = {m, NULL}, *any[] = {all, NULL};
    struct config_price prices[] = {{.model = m, .input = 1}};
    const struct config cf = {.prices = prices, .n_prices = 1};
    const struct config_grant listed = {.models = models}, open = {.models = any}, costs = {.limits.limit[BUDGET_COST] = {1, 1000}};
    const struct token_caveats none = {0};
    const struct config_price *price = NULL;
    struct request_ask a = ask_of("POST", "/", "claude-x"), b = ask_of("POST", "/", "gpt"), empty = ask_of("POST", "/", ""), get = ask_of("GET", "/", NULL),
                       get_named = ask_of("GET", "/", "gpt");
    CHECK_OK(request_check_model(&cf, &listed, &none, &a, &price, &why), why);
    CHECK(price == &prices[0]);
    CHECK_INT(request_check_model(&cf, &listed, &none, &b, &price, &why), ERR_DENIED);
    CHECK(strstr(why.text, "\"gpt\""));
    CHECK_INT(request_check_model(&cf, &listed, &none, &empty, &price, &why), ERR_DENIED);
    CHECK(strstr(why.text, "names no model"));
    CHECK_OK(request_check_model(&cf, &open, &none, &empty, &price, &why), why);
    CHECK_OK(request_check_model(&cf, &listed, &none, &get, &price, &why), why);
    CHECK_INT(request_check_model(&cf, &listed, &none, &get_named, &price, &why), ERR_DENIED);
    CHECK_OK(request_check_model(&cf, &costs, &none, &a, &price, &why), why);
    CHECK_INT(request_check_model(&cf, &costs, &none, &b, &price, &why), ERR_DENIED);
    CHECK_INT(request_check_model(&cf, &costs, &none, &empty, &price, &why), ERR_DENIED);
    CHECK_OK(request_check_model(&cf, &costs, &none, &get, &price, &why), why);
}
