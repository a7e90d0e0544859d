/*
 * Logins at an identity provider of one's own (RFC 6749, OpenID Connect): broker.yaml says where it is, under a name, and the login says
 * which of them it is of. They are made by `broker-cli login`; one that another program has made comes in as JSON. As with `generic` the
 * credential itself says where its access token may go.
 */
#include "base/auto.h"
#include "base/name.h"
#include "provider/inject.h"
#include "provider/intake.h"
#include "provider/kind.h"
#include "provider/providers.h"
#include "provider/shape.h"
#include "provider/text.h"

static err_t read_oauth2(struct intake *in, struct why *why)
{
    static const struct intake_member members[] = {
        {"access_token", CF_ACCESS_TOKEN, true},    {"issuer", CF_ISSUER, true},
        {"refresh_token", CF_REFRESH_TOKEN, false}, {"id_token", CF_ID_TOKEN, false},
        {"client_secret", CF_SECRET, false},        {"scope", CF_SCOPES, false},
    };
    int64_t ends = 0;
    struct view text = text_trim(in->input);
    if (text.n == 0 || text.p[0] != '{')
        return shape_refuse(text, why);
    TRY(json_parse(text, &in->root, why));
    if (!json_object_get(in->root, "access_token") || !json_object_get(in->root, "issuer"))
        return shape_refuse(text, why);
    in->cred.f[CF_KIND] = view_str("login");
    TRY(intake_members(in, in->root, members, COUNT(members), why));
    TRY(json_get_int(in->root, "expires_at_ms", 1, TEXT_MILLIS_MAX, &ends, why));
    return ends ? intake_time(in, CF_EXPIRES_AT, ends, why) : ERR_OK;
}

static err_t oauth2_parse(struct view input, const struct provider_options *opt, struct buf *out,
                          struct why *why)
{
    AUTO(intake_free)
    struct intake in = {.provider = &provider_oauth2, .input = input, .options = opt};
    return intake_run(&in, read_oauth2, out, why);
}

/* What holds of a generic secret's origin and header holds of a login's. */
static err_t oauth2_validate(const struct cred *c, struct why *why)
{
    const struct cred where = {.f = {[CF_KIND] = view_str("generic"),
                                     [CF_SECRET] = c->f[CF_ACCESS_TOKEN],
                                     [CF_ORIGIN] = c->f[CF_ORIGIN],
                                     [CF_HEADER] = c->f[CF_HEADER]}};
    TRY(kind_validate(&provider_oauth2, c, why));
    TRY(name_check(c->f[CF_ISSUER], "issuer", why));
    return provider_generic.validate(&where, why);
}

KIND_RELEASE(oauth2)

static const struct provider_upstream upstream = {.dialect = ROUTE_PLAIN};

static const char *const final[] = {"invalid_grant", NULL};
static const struct provider_oauth oauth = {
    .loopback = "http://127.0.0.1:0/callback", .form = true, .code_form = true, .final = final};

static const struct provider_kind kinds[] = {
    {.name = "login",
     .deliveries = DELIVER_BIT(PROXY) | DELIVER_BIT(ACCESS_TOKEN) | DELIVER_BIT(HELPER),
     .value = CF_ACCESS_TOKEN,
     .required = CF_BIT(ACCESS_TOKEN) | CF_BIT(ISSUER),
     .optional = CF_BIT(SECRET) | CF_BIT(REFRESH_TOKEN) | CF_BIT(ID_TOKEN) | CF_BIT(EXPIRES_AT) |
                 CF_BIT(REFRESH_EXPIRES) | CF_BIT(ACCOUNT) | CF_BIT(EMAIL) | CF_BIT(SCOPES) |
                 CF_BIT(LAST_REFRESH) | CF_BIT(ORIGIN) | CF_BIT(HEADER) | CF_BIT(ENV),
     .token_prefix = "cbat-",
     .upstream = &upstream,
     .oauth = &oauth},
    {0},
};

const struct provider provider_oauth2 = {
    .name = "oauth2",
    .title = "OAuth 2.0 login",
    .expects = "JSON with access_token and issuer, as broker-cli login makes it",
    .deliveries = DELIVER_BIT(PROXY) | DELIVER_BIT(ACCESS_TOKEN) | DELIVER_BIT(HELPER),
    .kinds = kinds,
    .parse = oauth2_parse,
    .validate = oauth2_validate,
    .release = oauth2_release,
    .token_prefix = oauth2_token_prefix,
};
