/*
 * The contract of a provider: what knows one kind of credential. Pure functions over bytes: no file, no network, no clock.
 *
 * A credential enters as the bytes of a foreign file (Claude Code's .credentials.json, Codex's auth.json, an API key) in a
 * worker or the CLI, where `parse` brings it into the canonical form below; only that form reaches the vault, which decodes it
 * strictly and calls `validate`, `release` and `project`. `parse` is the only function that reads JSON.
 *
 * One provider is one file in broker/provider/ that ends in one const table. The build lists the folder.
 */
#ifndef BROKER_PROVIDER_H
#define BROKER_PROVIDER_H

#include "base/buf.h"

/* How the use of a credential reaches the client, least exposure first. Bit positions are stored: append only. */
/* clang-format off */
#define BROKER_DELIVERIES(X)                                                                     \
    X(PROXY, "proxy") X(ACCESS_TOKEN, "access_token") X(FILE, "file") X(HELPER, "helper")        \
    X(SECRET, "secret")
/* clang-format on */
enum delivery {
#define BROKER_DELIVERY_ENUM(n, s) DELIVER_##n,
    BROKER_DELIVERIES(BROKER_DELIVERY_ENUM)
#undef BROKER_DELIVERY_ENUM
        DELIVER__COUNT
};
const char *delivery_name(enum delivery d);
/* false when unknown */
bool delivery_from_name(struct view name, enum delivery *out);

/* Fields of a credential in canonical form. Stored: append only, never renumber. Numbers are decimal text. */
/* clang-format off */
#define BROKER_CRED_FIELDS(X)                                                                    \
    X(KIND,            1,  32,    "login | setup_token | api_key | generic")                     \
    X(SECRET,          2,  65000, "the API key, setup token or generic secret")                  \
    X(ACCESS_TOKEN,    3,  16384, "the provider's short-lived access token")                     \
    X(REFRESH_TOKEN,   4,  16384, "never leaves the vault but to the refresher")                 \
    X(ID_TOKEN,        5,  16384, "JWT (Codex)")                                                 \
    X(EXPIRES_AT,      6,  20,    "ms since the epoch of ACCESS_TOKEN's end; absent: unknown")   \
    X(REFRESH_EXPIRES, 7,  20,    "ms since the epoch")                                          \
    X(ACCOUNT,         8,  256,   "account id")                                                  \
    X(ORGANIZATION,    9,  256,   "organization id")                                             \
    X(EMAIL,           10, 256,   "")                                                            \
    X(SCOPES,          11, 1024,  "space-separated")                                             \
    X(PLAN,            12, 128,   "subscriptionType")                                            \
    X(TIER,            13, 128,   "rateLimitTier")                                               \
    X(LAST_REFRESH,    14, 64,    "RFC 3339, as the file had it")                                \
    X(REST,            15, 65000, "JSON object: what else the file had, given back on release") \
    X(ORIGIN,          16, 512,   "generic: https://host[:port] the secret is for")              \
    X(HEADER,          17, 512,   "generic: header template, for example `Authorization: Bearer {}`") \
    X(ENV,             18, 128,   "environment name the secret goes by")                         \
    X(USERNAME,        19, 256,   "generic: user name for git, docker, basic auth; access key id for aws") \
    X(AUTH_MODE,       20, 64,    "Codex auth_mode as the file had it")                          \
    X(ISSUER,          21, 32,    "oauth2: name of the entry in broker.yaml's `providers:`")
/* clang-format on */
enum cred_field {
#define BROKER_CRED_ENUM(n, tag, max, doc) CF_##n = (tag),
    BROKER_CRED_FIELDS(BROKER_CRED_ENUM)
#undef BROKER_CRED_ENUM
        CF__COUNT = 22
};

/* Views into bytes that somebody else owns (a secret). */
struct cred {
    struct view f[CF__COUNT];
};
static inline bool cred_has(const struct cred *c, enum cred_field f)
{
    return c->f[f].n > 0;
}
enum { CRED_MAX = 65536 }; /* bytes of one canonical form: it must fit a secret */
/* Canonical form: u8 version (1), then per present field in ascending order: u8 tag, u32 length, bytes. Refuses what cred_decode
 * refuses, so every encoded form decodes; ERR_TOO_LARGE over CRED_MAX. */
MUST err_t cred_encode(const struct cred *c, struct buf *out, struct why *why);
/* Strict: unknown tag, wrong order, empty value, over its maximum, not UTF-8, a NUL, control characters (other than in SECRET and
 * REST), or a time that is no decimal number are ERR_INVALID. `out` views into `bytes`. */
MUST err_t cred_decode(struct view bytes, struct cred *out, struct why *why);
/* EXPIRES_AT and the like as a number; 0 when absent. Total. */
int64_t cred_ms(const struct cred *c, enum cred_field f);
const char *cred_field_name(enum cred_field f); /* "ACCESS_TOKEN"; "?" when out of range */
bool cred_field_is_secret(
    enum cred_field f); /* SECRET, ACCESS_TOKEN, REFRESH_TOKEN, ID_TOKEN, REST */

/* What the operator may add on the command line when enrolling. Empty views: not given. */
struct provider_options {
    struct view origin, header, env, username;
};

/* How requests with a credential of one kind go upstream, as data (provider/inject.h makes a route of it). Part of the delivery `proxy`. */
struct provider_upstream {
    const char *origin; /* "https://api.anthropic.com"; NULL: the credential's own ORIGIN */
    const char *strip,
        *prefix; /* the client's path loses `strip` from its front and gets `prefix`; NULL: neither */
    const char *header, *form; /* "x-api-key", "{}"; NULL: the credential's own HEADER template */
    const char *extra_header;  /* set to the field `extra` where the credential has it; or NULL */
    enum cred_field extra;
    const char *merge_header, *merge_value; /* a member that this list header must hold; or NULL */
    unsigned dialect;                       /* enum route_dialect (base/route.h) */
    const char *const *allow; /* what a grant without a list of its own allows: "POST /v1/messages",
                                 NULL-terminated; NULL: everything */
};

/* How a provider's logins are made and renewed (RFC 6749, 7636, 8628), as data: endpoints, ids and error codes change, so broker.yaml may say
 * others (provider/oauth.h puts both together). */
struct provider_oauth {
    const char *token_url;     /* "https://platform.claude.com/v1/oauth/token" */
    const char *authorize_url; /* of the authorization code grant; NULL: none */
    const char *device_url;    /* of the device grant; NULL: none */
    const char *client_id;
    const char *client_secret; /* of an installed program, published and no secret; NULL: none */
    const char *scopes; /* asked for at a login, with a space between them; NULL: none are named */
    const char *const *
        authorize_more; /* name, value … besides in the authorize URL, NULL-terminated; NULL: none */
    /* Where the browser goes with the code. A page of the provider's that shows it, to be pasted; NULL: there is none */
    const char *page;
    const char *loopback;  /* a listener on this host, port 0: any; NULL: there is `page` only */
    bool form;             /* bodies are application/x-www-form-urlencoded; else JSON */
    bool code_form;        /* and so is the exchange of a code; else JSON */
    bool code_names_state; /* which names the state too */
    /* A device grant that is not RFC 8628's but OpenAI's: the answer does not say where to go (`device_page`), the question whether the
     * person has agreed goes to this sibling of device_url, and its answer is a code, for `device_redirect`, with its verifier. NULL: none */
    const char *device_poll, *device_page, *device_redirect;
    bool refresh_names_scopes; /* a refresh names the scopes that the login has */
    const char *const *final;  /* codes of errors that end a login, NULL-terminated */
    const char *const
        *rotated; /* those of them that say: this refresh token was used before; NULL-terminated */
    unsigned
        grace_s; /* a used refresh token still works that long; 0: not at all, as far as is known */
    unsigned life_s; /* of an access token, where neither answer nor token says; 0: unknown */
};

/* What a provider knows per CF_KIND, as data. Masks of fields are 1u << enum cred_field. */
struct provider_kind {
    const char *name;         /* "login" */
    unsigned deliveries;      /* mask of 1u << enum delivery that this kind can serve */
    enum cred_field value;    /* the field that a release hands out */
    uint32_t required;        /* fields that must be there, besides KIND */
    uint32_t optional;        /* fields that may be there; any other is refused */
    const char *token_prefix; /* "sk-ant-oat01-"; "" none */
    bool free_text; /* SECRET may hold white space and line breaks; else it must do for a header */
    const struct provider_upstream *upstream; /* NULL: no delivery `proxy` */
    const struct provider_oauth *oauth;       /* how it is renewed; NULL: it is not */
};

struct provider {
    const char *name;    /* "claude" */
    const char *title;   /* "Claude Code login" */
    const char *expects; /* one sentence about a valid input, for the error on a wrong file */
    unsigned deliveries; /* union of its kinds' */
    const struct provider_kind *kinds; /* ends with a NULL name */
    const char *file_name; /* of the projected file: ".credentials.json"; NULL: no file delivery */
    const char *
        home_file; /* where the program keeps it, relative to $HOME: ".claude/.credentials.json"; or NULL */
    const char *
        env_token; /* variable for access_token/helper values: "CLAUDE_CODE_OAUTH_TOKEN"; or NULL */
    const char *env_secret; /* variable for an API key: "ANTHROPIC_API_KEY"; or NULL */

    /* Foreign bytes → canonical form appended to `out`. ERR_INVALID: what was expected and what was found (never a value). */
    err_t (*parse)(struct view input, const struct provider_options *opt, struct buf *out,
                   struct why *why);
    /* Is this decoded credential one of ours, complete and in range? */
    err_t (*validate)(const struct cred *c, struct why *why);
    /* The bytes for `d` (access_token, helper or secret), appended. ERR_CONFLICT where the kind has none, for example a login
     * asked for its raw secret. `now_ms`: wall clock; an access token with under 60 s left is ERR_NEEDS_LOGIN. */
    err_t (*release)(const struct cred *c, enum delivery d, int64_t now_ms, struct buf *out,
                     struct why *why);
    /* The projected file, appended: no refresh token in it, ever. NULL: no file delivery. `{}` is never written here. */
    err_t (*project)(const struct cred *c, int64_t now_ms, struct buf *out, struct why *why);
    /* Prefix that makes our token look like the provider's own: "sk-ant-oat01-" for a Claude subscription, never for a key. */
    const char *(*token_prefix)(const struct cred *c);
};

/* NULL-terminated, sorted by name. */
extern const struct provider *const providers[];
const struct provider *provider_by_name(struct view name); /* NULL when unknown */
/* The deliveries that this kind of credential can serve; 0 when the provider has no such kind. */
unsigned provider_deliveries(const struct provider *p, struct view kind);
/* How this kind goes upstream; NULL: it does not, or there is no such kind. */
const struct provider_upstream *provider_upstream(const struct provider *p, struct view kind);
/* A redacted picture for people: JSON object with kind, plan, scopes, expires_at, lengths and last 4 characters of keys of
 * 20 or more characters; account ids and e-mail only as "…" + last 2. Never a secret. */
void cred_describe(const struct provider *p, const struct cred *c, struct buf *json);

#endif
