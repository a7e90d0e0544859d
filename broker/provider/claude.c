/*
 * Claude Code: the login in .credentials.json, or the token that `claude setup-token` prints. Types
 * are strict where its clients are: an expiresAt that is a string makes some of them crash.
 * The projected file has the one scope user:inference: with user:profile the CLI sends the token
 * past every base URL, to its maker's own host. A setup token is good for a year, so it is never
 * delivered as if it were short-lived.
 */
#include "base/auto.h"
#include "base/jsonw.h"
#include "provider/inject.h"
#include "provider/intake.h"
#include "provider/kind.h"
#include "provider/providers.h"
#include "provider/shape.h"
#include "provider/text.h"

enum { TOKEN_MAX = 4096 };
#define MS_EARLIEST INT64_C(1000000000000) /* 2001: less is a time in seconds */

static err_t read_scopes(struct intake *in, const json_t *login, struct why *why)
{
    const json_t *list = json_object_get(login, "scopes");
    if (!list || json_is_null(list))
        return ERR_OK;
    if (!json_is_array(list))
        return fail(why, ERR_INVALID, "\"scopes\" is %s, not a list", json_kind(list));
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *scope = json_array_get(list, i);
        struct view v = VIEW(json_string_value(scope), json_string_length(scope));
        if (!text_visible(v))
            return fail(why, ERR_INVALID, "\"scopes\" holds what is no scope: %s",
                        json_kind(scope));
        if (i > 0)
            buf_put_u8(&in->scopes, ' ');
        buf_add_view(&in->scopes, v);
    }
    in->cred.f[CF_SCOPES] = buf_view(&in->scopes);
    return buf_ok(&in->scopes, why);
}

static err_t read_login(struct intake *in, const json_t *login, struct why *why)
{
    static const struct intake_member members[] = {
        {"accessToken", CF_ACCESS_TOKEN, true},
        {"refreshToken", CF_REFRESH_TOKEN, false},
        {"subscriptionType", CF_PLAN, false},
        {"rateLimitTier", CF_TIER, false},
    };
    int64_t ends = 0, refresh_ends = 0;
    TRY(intake_members(in, login, members, COUNT(members), why));
    TRY(json_get_int(login, "expiresAt", MS_EARLIEST, TEXT_MILLIS_MAX, &ends, why));
    if (ends == 0)
        return fail(why, ERR_INVALID, "\"expiresAt\" is missing");
    TRY(intake_time(in, CF_EXPIRES_AT, ends, why));
    TRY(json_get_int(login, "refreshTokenExpiresAt", MS_EARLIEST, TEXT_MILLIS_MAX, &refresh_ends,
                     why));
    if (refresh_ends > 0)
        TRY(intake_time(in, CF_REFRESH_EXPIRES, refresh_ends, why));
    return read_scopes(in, login, why);
}

static err_t read_file(struct intake *in, struct view text, struct why *why)
{
    static const char *const inner[] = {
        "accessToken",   "refreshToken",          "expiresAt", "scopes", "subscriptionType",
        "rateLimitTier", "refreshTokenExpiresAt", NULL};
    static const char *const top[] = {NULL};
    TRY(json_parse(text, &in->root, why));
    const json_t *login = json_object_get(in->root, "claudeAiOauth");
    if (!login)
        return shape_refuse(text, why);
    if (!json_is_object(login))
        return fail(why, ERR_INVALID, "\"claudeAiOauth\" is %s, not an object", json_kind(login));
    in->cred.f[CF_KIND] = view_str("login");
    TRY(read_login(in, login, why));
    return intake_rest(in, &(struct intake_used){"claudeAiOauth", inner, top}, why);
}

static err_t read_claude(struct intake *in, struct why *why)
{
    struct view text = text_trim(in->input);
    if (text.n && text.p[0] == '{')
        return read_file(in, text, why);
    if (!text_starts(text, "sk-ant-oat"))
        return shape_refuse(text, why);
    if (text.n > TOKEN_MAX || !text_visible(text))
        return fail(why, ERR_INVALID, "this begins as a setup token and goes on with %s",
                    text.n > TOKEN_MAX ? "too much" : "white space or bytes outside ASCII");
    in->cred.f[CF_KIND] = view_str("setup_token");
    in->cred.f[CF_SECRET] = text;
    return ERR_OK;
}

static err_t claude_parse(struct view input, const struct provider_options *opt, struct buf *out,
                          struct why *why)
{
    AUTO(intake_free)
    struct intake in = {.provider = &provider_claude, .input = input, .options = opt};
    return intake_run(&in, read_claude, out, why);
}

static err_t claude_project(const struct cred *c, int64_t now_ms, struct buf *out, struct why *why)
{
    TRY(kind_serves(&provider_claude, c, DELIVER_FILE, why));
    TRY(kind_fresh(&provider_claude, c, now_ms, why));
    struct jsonw w = jsonw_to(out);
    jsonw_open(&w, NULL, '{');
    jsonw_open(&w, "claudeAiOauth", '{');
    jsonw_view(&w, "accessToken", c->f[CF_ACCESS_TOKEN]);
    jsonw_int(&w, "expiresAt", cred_ms(c, CF_EXPIRES_AT));
    jsonw_open(&w, "scopes", '[');
    jsonw_str(&w, NULL, "user:inference");
    jsonw_close(&w, ']');
    if (cred_has(c, CF_PLAN))
        jsonw_view(&w, "subscriptionType", c->f[CF_PLAN]);
    if (cred_has(c, CF_TIER))
        jsonw_view(&w, "rateLimitTier", c->f[CF_TIER]);
    jsonw_close(&w, '}');
    jsonw_close(&w, '}');
    return buf_ok(out, why);
}

KIND_FUNCTIONS(claude)

static const struct provider_upstream upstream = {.origin = "https://api.anthropic.com",
                                                  .header = "authorization",
                                                  .form = "Bearer {}",
                                                  .merge_header = "anthropic-beta",
                                                  .merge_value = "oauth-2025-04-20",
                                                  .dialect = ROUTE_ANTHROPIC,
                                                  .allow = inject_anthropic};

static const char *const final[] = {"invalid_grant", NULL};
static const char *const more[] = {"code", "true", NULL};
static const struct provider_oauth oauth = {
    .token_url = "https://platform.claude.com/v1/oauth/token",
    .authorize_url = "https://claude.com/cai/oauth/authorize",
    .client_id = "9d1c250a-e61b-44d9-88ed-5944d1962f5e",
    .scopes = "user:profile user:inference user:sessions:claude_code",
    .authorize_more = more,
    .page = "https://platform.claude.com/oauth/code/callback",
    .loopback = "http://localhost:0/callback",
    .code_names_state = true,
    .refresh_names_scopes = true,
    .final = final,
    .life_s = 8 * 3600};

static const struct provider_kind kinds[] = {
    {.name = "login",
     .deliveries =
         DELIVER_BIT(PROXY) | DELIVER_BIT(ACCESS_TOKEN) | DELIVER_BIT(FILE) | DELIVER_BIT(HELPER),
     .value = CF_ACCESS_TOKEN,
     .required = CF_BIT(ACCESS_TOKEN) | CF_BIT(EXPIRES_AT),
     .optional = CF_BIT(REFRESH_TOKEN) | CF_BIT(REFRESH_EXPIRES) | CF_BIT(ACCOUNT) |
                 CF_BIT(ORGANIZATION) | CF_BIT(EMAIL) | CF_BIT(SCOPES) | CF_BIT(PLAN) |
                 CF_BIT(TIER) | CF_BIT(REST) | CF_BIT(ENV),
     .token_prefix = "sk-ant-oat01-",
     .upstream = &upstream,
     .oauth = &oauth},
    {.name = "setup_token",
     .deliveries = DELIVER_BIT(PROXY) | DELIVER_BIT(HELPER) | DELIVER_BIT(SECRET),
     .value = CF_SECRET,
     .required = CF_BIT(SECRET),
     .optional = CF_BIT(ENV),
     .token_prefix = "sk-ant-oat01-",
     .upstream = &upstream},
    {0},
};

const struct provider provider_claude = {
    .name = "claude",
    .title = "Claude Code login",
    .expects = "Claude Code's .credentials.json, or a setup token (sk-ant-oat…)",
    .deliveries = DELIVER_BIT(PROXY) | DELIVER_BIT(ACCESS_TOKEN) | DELIVER_BIT(FILE) |
                  DELIVER_BIT(HELPER) | DELIVER_BIT(SECRET),
    .kinds = kinds,
    .file_name = ".credentials.json",
    .home_file = ".claude/.credentials.json",
    .env_token = "CLAUDE_CODE_OAUTH_TOKEN",
    .env_secret = "CLAUDE_CODE_OAUTH_TOKEN",
    .parse = claude_parse,
    .validate = claude_validate,
    .release = claude_release,
    .project = claude_project,
    .token_prefix = claude_token_prefix,
};
