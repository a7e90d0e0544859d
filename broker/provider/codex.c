/*
 * Codex: auth.json with a ChatGPT login (JWTs) or an API key. End and account are read from the
 * tokens' claims here, once, so that the vault need not read JSON. In the projected file
 * refresh_token is there and empty and last_refresh is now: without the first Codex ignores the
 * file, without the second it refreshes at once.
 */
#include "base/auto.h"
#include "base/clock.h"
#include "base/jsonw.h"
#include "provider/inject.h"
#include "provider/intake.h"
#include "provider/jwt.h"
#include "provider/kind.h"
#include "provider/providers.h"
#include "provider/shape.h"
#include "provider/text.h"

static const char claims_namespace[] = "https://api.openai.com/auth";

static err_t read_access_claims(struct intake *in, struct why *why)
{
    int64_t ends_s = 0;
    TRY(jwt_claims(in->cred.f[CF_ACCESS_TOKEN], "\"access_token\"", &in->access_claims, why));
    TRY(json_get_int(in->access_claims, "exp", 1, TEXT_MILLIS_MAX / 1000, &ends_s, why));
    return ends_s ? intake_time(in, CF_EXPIRES_AT, ends_s * 1000, why) : ERR_OK;
}

/* The first of the trees that has this string; a claim of another type or size is as good as none.
 */
static void take_claim(struct intake *in, enum cred_field field, const json_t *const from[2],
                       const char *key)
{
    for (int i = 0; i < 2 && !cred_has(&in->cred, field); i++) {
        struct view v;
        if (json_get_str(from[i], key, 128, false, &v, NULL) == ERR_OK && text_line(v))
            in->cred.f[field] = v;
    }
}

/* An id_token that does not decode makes Codex refuse the whole file: better none. */
static void read_id_claims(struct intake *in)
{
    if (jwt_claims(in->cred.f[CF_ID_TOKEN], "\"id_token\"", &in->id_claims, NULL) != ERR_OK)
        in->cred.f[CF_ID_TOKEN] = (struct view){0};
    const json_t *plain[2] = {in->id_claims, in->access_claims};
    const json_t *auth[2] = {json_object_get(in->access_claims, claims_namespace),
                             json_object_get(in->id_claims, claims_namespace)};
    take_claim(in, CF_ACCOUNT, auth, "chatgpt_account_id");
    take_claim(in, CF_PLAN, auth, "chatgpt_plan_type");
    take_claim(in, CF_EMAIL, plain, "email");
}

static err_t read_login(struct intake *in, const json_t *tokens, struct why *why)
{
    static const struct intake_member members[] = {
        {"access_token", CF_ACCESS_TOKEN, true},
        {"refresh_token", CF_REFRESH_TOKEN, false},
        {"id_token", CF_ID_TOKEN, false},
        {"account_id", CF_ACCOUNT, false},
    };
    static const char *const inner[] = {"access_token", "refresh_token", "id_token", "account_id",
                                        NULL};
    static const char *const top[] = {"auth_mode", "last_refresh", NULL};
    static const char *const top_no_key[] = {"auth_mode", "last_refresh", "OPENAI_API_KEY", NULL};
    if (!json_is_object(tokens))
        return fail(why, ERR_INVALID, "\"tokens\" is %s, not an object", json_kind(tokens));
    in->cred.f[CF_KIND] = view_str("login");
    TRY(intake_members(in, tokens, members, COUNT(members), why));
    TRY(read_access_claims(in, why));
    read_id_claims(in);
    bool has_key = json_is_string(json_object_get(in->root, "OPENAI_API_KEY"));
    return intake_rest(in, &(struct intake_used){"tokens", inner, has_key ? top : top_no_key}, why);
}

static err_t read_key(struct intake *in, struct why *why)
{
    static const struct intake_member members[] = {{"OPENAI_API_KEY", CF_SECRET, true}};
    static const char *const inner[] = {NULL};
    static const char *const top[] = {"auth_mode", "last_refresh", "OPENAI_API_KEY", NULL};
    in->cred.f[CF_KIND] = view_str("api_key");
    TRY(intake_members(in, in->root, members, COUNT(members), why));
    return intake_rest(in, &(struct intake_used){"tokens", inner, top}, why);
}

/* With both in the file auth_mode decides, and without it the login. */
static err_t read_codex(struct intake *in, struct why *why)
{
    static const struct intake_member members[] = {
        {"auth_mode", CF_AUTH_MODE, false},
        {"last_refresh", CF_LAST_REFRESH, false},
    };
    struct view text = text_trim(in->input);
    if (text.n == 0 || text.p[0] != '{')
        return shape_refuse(text, why);
    TRY(json_parse(text, &in->root, why));
    const json_t *tokens = json_object_get(in->root, "tokens");
    const json_t *key = json_object_get(in->root, "OPENAI_API_KEY");
    if (!tokens && !key)
        return shape_refuse(text, why);
    TRY(intake_members(in, in->root, members, COUNT(members), why));
    bool no_tokens = !tokens || json_is_null(tokens), no_key = !key || json_is_null(key);
    if (no_tokens && no_key)
        return fail(why, ERR_INVALID, "this auth.json holds no login: Codex is logged out");
    if (no_tokens || view_is(in->cred.f[CF_AUTH_MODE], "apikey"))
        return read_key(in, why);
    return read_login(in, tokens, why);
}

static err_t codex_parse(struct view input, const struct provider_options *opt, struct buf *out,
                         struct why *why)
{
    AUTO(intake_free)
    struct intake in = {.provider = &provider_codex, .input = input, .options = opt};
    return intake_run(&in, read_codex, out, why);
}

static void write_tokens(struct jsonw *w, const struct cred *c)
{
    jsonw_open(w, "tokens", '{');
    if (cred_has(c, CF_ID_TOKEN))
        jsonw_view(w, "id_token", c->f[CF_ID_TOKEN]);
    jsonw_view(w, "access_token", c->f[CF_ACCESS_TOKEN]);
    jsonw_str(w, "refresh_token", "");
    if (cred_has(c, CF_ACCOUNT))
        jsonw_view(w, "account_id", c->f[CF_ACCOUNT]);
    jsonw_close(w, '}');
}

static err_t codex_project(const struct cred *c, int64_t now_ms, struct buf *out, struct why *why)
{
    char now[CLOCK_RFC3339_LEN + 1];
    TRY(kind_serves(&provider_codex, c, DELIVER_FILE, why));
    TRY(kind_fresh(&provider_codex, c, now_ms, why));
    clock_rfc3339(now_ms, now);
    struct jsonw w = jsonw_to(out);
    jsonw_open(&w, NULL, '{');
    if (cred_has(c, CF_AUTH_MODE))
        jsonw_view(&w, "auth_mode", c->f[CF_AUTH_MODE]);
    jsonw_null(&w, "OPENAI_API_KEY");
    write_tokens(&w, c);
    jsonw_str(&w, "last_refresh", now);
    jsonw_close(&w, '}');
    return buf_ok(out, why);
}

KIND_FUNCTIONS(codex)

/* Codex is given a base URL with or without /v1; both lead to the same place. */
static const struct provider_upstream chatgpt = {.origin = "https://chatgpt.com",
                                                 .strip = "/v1",
                                                 .prefix = "/backend-api/codex",
                                                 .header = "authorization",
                                                 .form = "Bearer {}",
                                                 .extra_header = "chatgpt-account-id",
                                                 .extra = CF_ACCOUNT,
                                                 .dialect = ROUTE_OPENAI,
                                                 .allow = inject_codex};
static const struct provider_upstream platform = {.origin = "https://api.openai.com",
                                                  .header = "authorization",
                                                  .form = "Bearer {}",
                                                  .dialect = ROUTE_OPENAI,
                                                  .allow = inject_openai};

static const char *const rotated[] = {"refresh_token_reused", NULL};
static const char *const final[] = {"refresh_token_expired", "refresh_token_reused",
                                    "refresh_token_invalidated", "invalid_grant", NULL};
static const char *const more[] = {"id_token_add_organizations",
                                   "true",
                                   "codex_cli_simplified_flow",
                                   "true",
                                   "originator",
                                   "codex_cli_rs",
                                   NULL};
static const struct provider_oauth oauth = {
    .token_url = "https://auth.openai.com/oauth/token",
    .authorize_url = "https://auth.openai.com/oauth/authorize",
    .device_url = "https://auth.openai.com/api/accounts/deviceauth/usercode",
    .client_id = "app_EMoamEEZ73f0CkXaXp7hrann",
    .scopes = "openid profile email offline_access",
    .authorize_more = more,
    .loopback = "http://localhost:1455/auth/callback",
    .code_form = true,
    .device_poll = "token",
    .device_page = "https://auth.openai.com/codex/device",
    .device_redirect = "https://auth.openai.com/deviceauth/callback",
    .final = final,
    .rotated = rotated};

static const struct provider_kind kinds[] = {
    {.name = "login",
     .deliveries =
         DELIVER_BIT(PROXY) | DELIVER_BIT(ACCESS_TOKEN) | DELIVER_BIT(FILE) | DELIVER_BIT(HELPER),
     .value = CF_ACCESS_TOKEN,
     .required = CF_BIT(ACCESS_TOKEN),
     .optional = CF_BIT(REFRESH_TOKEN) | CF_BIT(ID_TOKEN) | CF_BIT(EXPIRES_AT) | CF_BIT(ACCOUNT) |
                 CF_BIT(EMAIL) | CF_BIT(PLAN) | CF_BIT(LAST_REFRESH) | CF_BIT(AUTH_MODE) |
                 CF_BIT(REST) | CF_BIT(ENV),
     .token_prefix = "cbat-",
     .upstream = &chatgpt,
     .oauth = &oauth},
    {.name = "api_key",
     .deliveries = DELIVER_BIT(PROXY) | DELIVER_BIT(HELPER) | DELIVER_BIT(SECRET),
     .value = CF_SECRET,
     .required = CF_BIT(SECRET),
     .optional = CF_BIT(LAST_REFRESH) | CF_BIT(AUTH_MODE) | CF_BIT(REST) | CF_BIT(ENV),
     .token_prefix = "sk-",
     .upstream = &platform},
    {0},
};

const struct provider provider_codex = {
    .name = "codex",
    .title = "Codex login",
    .expects = "Codex's auth.json with a ChatGPT login or an OPENAI_API_KEY",
    .deliveries = DELIVER_BIT(PROXY) | DELIVER_BIT(ACCESS_TOKEN) | DELIVER_BIT(FILE) |
                  DELIVER_BIT(HELPER) | DELIVER_BIT(SECRET),
    .kinds = kinds,
    .file_name = "auth.json",
    .home_file = ".codex/auth.json",
    .env_secret = "CODEX_API_KEY",
    .parse = codex_parse,
    .validate = codex_validate,
    .release = codex_release,
    .project = codex_project,
    .token_prefix = codex_token_prefix,
};
