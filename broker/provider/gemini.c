/*
 * Gemini: an API key, or the Google login of Gemini CLI (oauth_creds.json). The login's client is an installed program's, whose secret Google
 * publishes with it and says to be none; with it alone nothing can be had. Its requests go to another host than a key's and in another
 * form, which the proxy does not serve: it is lent as the access token that it is.
 */
#include "base/auto.h"
#include "provider/inject.h"
#include "provider/intake.h"
#include "provider/key.h"
#include "provider/kind.h"
#include "provider/providers.h"
#include "provider/shape.h"
#include "provider/text.h"

static err_t read_login(struct intake *in, struct view text, struct why *why)
{
    static const struct intake_member members[] = {
        {"access_token", CF_ACCESS_TOKEN, true},
        {"refresh_token", CF_REFRESH_TOKEN, false},
        {"id_token", CF_ID_TOKEN, false},
        {"scope", CF_SCOPES, false},
    };
    int64_t ends = 0;
    TRY(json_parse(text, &in->root, why));
    if (!json_object_get(in->root, "expiry_date"))
        return shape_refuse(text, why);
    in->cred.f[CF_KIND] = view_str("login");
    TRY(intake_members(in, in->root, members, COUNT(members), why));
    TRY(json_get_int(in->root, "expiry_date", 1, TEXT_MILLIS_MAX, &ends, why));
    return ends ? intake_time(in, CF_EXPIRES_AT, ends, why) : ERR_OK;
}

static err_t read_gemini(struct intake *in, struct why *why)
{
    struct view text = text_trim(in->input);
    return text.n && text.p[0] == '{' ? read_login(in, text, why) : key_read(in, why);
}

static err_t gemini_parse(struct view input, const struct provider_options *opt, struct buf *out,
                          struct why *why)
{
    AUTO(intake_free)
    struct intake in = {.provider = &provider_gemini, .input = input, .options = opt};
    return intake_run(&in, read_gemini, out, why);
}

KIND_FUNCTIONS(gemini)

static const struct provider_upstream upstream = {.origin =
                                                      "https://generativelanguage.googleapis.com",
                                                  .header = "x-goog-api-key",
                                                  .form = "{}",
                                                  .dialect = ROUTE_GEMINI,
                                                  .allow = inject_gemini};

/* a refresh token comes only with these two */
static const char *const more[] = {"access_type", "offline", "prompt", "consent", NULL};
static const char *const final[] = {"invalid_grant", NULL};
static const struct provider_oauth oauth = {
    .token_url = "https://oauth2.googleapis.com/token",
    .authorize_url = "https://accounts.google.com/o/oauth2/v2/auth",
    .client_id = "681255809395-oo8ft2oprdrnp9e3aqf6av3hmdib135j.apps.googleusercontent.com",
    .client_secret = "GOCSPX-"
                     "4uHgMPm-1o7Sk-geV6Cu5clXFsxl",
    .scopes = "https://www.googleapis.com/auth/cloud-platform "
              "https://www.googleapis.com/auth/userinfo.email "
              "https://www.googleapis.com/auth/userinfo.profile",
    .authorize_more = more,
    .loopback = "http://127.0.0.1:0/oauth2callback",
    .form = true,
    .code_form = true,
    .final = final,
    .life_s = 3600};

static const struct provider_kind kinds[] = {
    {.name = "login",
     .deliveries = DELIVER_BIT(ACCESS_TOKEN) | DELIVER_BIT(HELPER),
     .value = CF_ACCESS_TOKEN,
     .required = CF_BIT(ACCESS_TOKEN) | CF_BIT(EXPIRES_AT),
     .optional = CF_BIT(REFRESH_TOKEN) | CF_BIT(REFRESH_EXPIRES) | CF_BIT(ID_TOKEN) |
                 CF_BIT(ACCOUNT) | CF_BIT(EMAIL) | CF_BIT(SCOPES) | CF_BIT(ENV),
     .token_prefix = "cbat-",
     .oauth = &oauth},
    {.name = "api_key",
     .deliveries = DELIVER_BIT(PROXY) | DELIVER_BIT(HELPER) | DELIVER_BIT(SECRET),
     .value = CF_SECRET,
     .required = CF_BIT(SECRET),
     .optional = CF_BIT(ENV),
     .token_prefix = "AIza",
     .upstream = &upstream},
    {0},
};

const struct provider provider_gemini = {
    .name = "gemini",
    .title = "Gemini API key or login",
    .expects = "one Gemini API key (AIza…) as plain text, or Gemini CLI's oauth_creds.json",
    .deliveries =
        DELIVER_BIT(PROXY) | DELIVER_BIT(ACCESS_TOKEN) | DELIVER_BIT(HELPER) | DELIVER_BIT(SECRET),
    .kinds = kinds,
    .env_secret = "GEMINI_API_KEY",
    .parse = gemini_parse,
    .validate = gemini_validate,
    .release = gemini_release,
    .token_prefix = gemini_token_prefix,
};
