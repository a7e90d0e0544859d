/*
 * The endpoint table and the path matcher. A row's fields stand in the order of the message's tags,
 * so that the generic conversion is one walk; a contract test holds every row against the message
 * table and contrib/openapi.yaml. The matcher compares raw bytes: nothing was decoded before, so
 * "%2e" or "//" can only fail to match.
 */
#include "api/routes.h"
#include "base/auto.h"

#include <string.h>

/* clang-format off */
#define MEMBER(name, tag, kind) {name, F_##tag, IN_BODY, kind, false, 0, 0}
#define NEEDED(name, tag, kind) {name, F_##tag, IN_BODY, kind, true, 0, 0}
#define PARAM(name, tag, kind) {name, F_##tag, IN_PATH, kind, true, 0, 0}
#define QUERY(name, tag, kind) {name, F_##tag, IN_QUERY, kind, false, 0, 0}
#define BEARER(name, tag) {name, F_##tag, IN_BEARER, K_TEXT, true, 0, 0}
#define ALWAYS(name, tag, v) {name, F_##tag, IN_ROW, K_NUMBER, true, v, 0}
#define LOCAL(name, needed, size) {name, NOT_SENT, IN_BODY, K_TEXT, needed, 0, size}
/* clang-format on */

static const struct route_field issue[] = {
    NEEDED("credential", CREDENTIAL, K_TEXT), MEMBER("deliver", DELIVER, K_TEXT),
    MEMBER("ttl_ms", TTL_MS, K_NUMBER),       MEMBER("uses", USES, K_NUMBER),
    MEMBER("owner", OWNER, K_TEXT),
};
static const struct route_field renew[] = {
    MEMBER("ttl_ms", TTL_MS, K_NUMBER),
    PARAM("id", LEASE, K_TEXT),
    BEARER("token", TOKEN),
};
static const struct route_field lease_id[] = {PARAM("id", LEASE, K_TEXT)};
static const struct route_field cursor[] = {QUERY("cursor", CURSOR, K_NUMBER)};
static const struct route_field token[] = {NEEDED("token", TOKEN, K_TEXT)};

static const struct route_field key_source[] = {
    MEMBER("passphrase", PASSPHRASE, K_TEXT),
    NEEDED("source", SOURCE, K_TEXT),
    MEMBER("path", PATH, K_TEXT),
};
static const struct route_field unlock[] = {
    MEMBER("passphrase", PASSPHRASE, K_TEXT),
    MEMBER("source", SOURCE, K_TEXT),
};
static const struct route_field slot[] = {PARAM("slot", SLOT, K_NUMBER)};
static const struct route_field cred_list[] = {
    QUERY("limit", COUNT, K_NUMBER),
    QUERY("after", AFTER, K_TEXT),
};
#define ENROLL_MEMBERS                                                                             \
    LOCAL("data", false, ROUTE_ENROLL_BODY), LOCAL("data_base64", false, ROUTE_ENROLL_BODY),       \
        LOCAL("origin", false, 512), LOCAL("header", false, 512), LOCAL("env", false, 128),        \
        LOCAL("username", false, 256)
static const struct route_field enroll[] = {
    NEEDED("name", CREDENTIAL, K_TEXT),  NEEDED("provider", PROVIDER, K_TEXT),
    MEMBER("ceiling", DELIVER, K_NAMES), ALWAYS("replace", FLAGS, 0),
    MEMBER("hold", HOLD, K_BOOL),        ENROLL_MEMBERS,
};
static const struct route_field replace[] = {
    PARAM("name", CREDENTIAL, K_TEXT),   NEEDED("provider", PROVIDER, K_TEXT),
    MEMBER("ceiling", DELIVER, K_NAMES), ALWAYS("replace", FLAGS, 1),
    MEMBER("hold", HOLD, K_BOOL),        ENROLL_MEMBERS,
};
static const struct route_field credential[] = {PARAM("name", CREDENTIAL, K_TEXT)};
static const struct route_field login_begin[] = {
    NEEDED("name", CREDENTIAL, K_TEXT),  NEEDED("provider", PROVIDER, K_TEXT),
    MEMBER("ceiling", DELIVER, K_NAMES), MEMBER("replace", FLAGS, K_BOOL),
    MEMBER("origin", URL, K_TEXT),       NEEDED("flow", FLOW, K_TEXT),
    MEMBER("port", PORT, K_NUMBER),      MEMBER("client_secret", CLIENT_SECRET, K_TEXT),
    MEMBER("header", HEADER, K_TEXT),    MEMBER("env", ENV, K_TEXT),
};
static const struct route_field login_code[] = {
    MEMBER("error", CODE, K_TEXT),
    PARAM("id", LOGIN, K_TEXT),
    MEMBER("code", AUTH_CODE, K_TEXT),
    NEEDED("state", LOGIN_STATE, K_TEXT),
};
static const struct route_field login[] = {PARAM("id", LOGIN, K_TEXT)};
static const struct route_field after[] = {QUERY("after", AFTER, K_TEXT)};
static const struct route_field consumer[] = {PARAM("name", CONSUMER, K_TEXT)};
static const struct route_field consumer_add[] = {
    NEEDED("name", CONSUMER, K_TEXT), MEMBER("uids", UIDS, K_NUMBERS),
    MEMBER("gids", GIDS, K_NUMBERS),  MEMBER("cgroup", CGROUP, K_TEXT),
    MEMBER("note", NOTE, K_TEXT),
};
static const struct route_field grant_add[] = {
    PARAM("name", CONSUMER, K_TEXT),
    NEEDED("credential", CREDENTIAL, K_TEXT),
    NEEDED("deliver", DELIVER, K_NAMES),
    MEMBER("ttl_ms", TTL_MS, K_NUMBER),
    MEMBER("max_ttl_ms", MAX_TTL_MS, K_NUMBER),
    MEMBER("uses", USES, K_NUMBER),
    MEMBER("owner", OWNER, K_TEXT),
    MEMBER("allow", ALLOW, K_LIST),
    MEMBER("models", MODELS, K_LIST),
    MEMBER("budget", BUDGET, K_TEXT),
};
static const struct route_field grant[] = {
    PARAM("name", CONSUMER, K_TEXT),
    PARAM("credential", CREDENTIAL, K_TEXT),
};
static const struct route_field admin_leases[] = {
    QUERY("consumer", CONSUMER, K_TEXT),
    QUERY("credential", CREDENTIAL, K_TEXT),
    QUERY("cursor", CURSOR, K_NUMBER),
};
static const struct route_field revocation[] = {
    MEMBER("consumer", CONSUMER, K_TEXT),
    MEMBER("credential", CREDENTIAL, K_TEXT),
    MEMBER("lease", LEASE, K_TEXT),
    MEMBER("all", FLAGS, K_BOOL),
};
static const struct route_field budgets[] = {
    QUERY("consumer", CONSUMER, K_TEXT),
    QUERY("after", AFTER, K_TEXT),
};
static const struct route_field audit[] = {
    QUERY("after", CURSOR, K_NUMBER),
    QUERY("limit", COUNT, K_NUMBER),
};

/* clang-format off */
#define WITH(f) (f), COUNT(f)
#define NOTHING NULL, 0
#define API(method, path, type, body, ...) \
    {FROM_API, method, path, MSG_##type, body, __VA_ARGS__, 0, REPLY_JSON}
#define ADMIN(method, path, type, body, ...) \
    {FROM_ADMIN, method, path, MSG_##type, body, __VA_ARGS__, 0, REPLY_JSON}
#define SPECIAL(method, path, type, body, fields, flags, reply) \
    {FROM_ADMIN, method, path, MSG_##type, body, fields, COUNT(fields), flags, reply}
enum { SMALL = 4096, MIDDLE = 16384, LARGE = 32768, ENROLL = ROUTE_ENROLL_BODY };

static const struct route routes[] = {
    /*    method    path                           message         body    fields */
    API("POST",     "/v1/leases",                  LEASE_ISSUE,    SMALL,  WITH(issue)),
    API("POST",     "/v1/leases/{id}/renew",       LEASE_RENEW,    SMALL,  WITH(renew)),
    API("DELETE",   "/v1/leases/{id}",             LEASE_END,      0,      WITH(lease_id)),
    API("GET",      "/v1/leases/{id}",             LEASE_SHOW,     0,      WITH(lease_id)),
    API("GET",      "/v1/leases",                  LEASES,         0,      WITH(cursor)),
    API("GET",      "/v1/grants",                  GRANTS,         0,      NOTHING),
    API("GET",      "/v1/whoami",                  WHOAMI,         0,      NOTHING),
    API("POST",     "/v1/token/introspect",        INTROSPECT,     SMALL,  WITH(token)),

    ADMIN("GET",    "/v1/status",                  STATUS,         0,      NOTHING),
    {FROM_ADMIN, "GET", "/metrics", MSG_METRICS, 0, NOTHING, 0, REPLY_PROMETHEUS},
    ADMIN("POST",   "/v1/init",                    INIT,           MIDDLE, WITH(key_source)),
    ADMIN("POST",   "/v1/unlock",                  UNLOCK,         MIDDLE, WITH(unlock)),
    ADMIN("POST",   "/v1/lock",                    LOCK,           SMALL,  NOTHING),
    ADMIN("GET",    "/v1/keys",                    KEY_LIST,       0,      NOTHING),
    ADMIN("POST",   "/v1/keys",                    KEY_ADD,        MIDDLE, WITH(key_source)),
    ADMIN("DELETE", "/v1/keys/{slot}",             KEY_REMOVE,     0,      WITH(slot)),
    ADMIN("POST",   "/v1/rekey",                   REKEY,          SMALL,  NOTHING),
    ADMIN("POST",   "/v1/store/accept",            ACCEPT_STORE,   SMALL,  NOTHING),
    ADMIN("GET",    "/v1/credentials",             CRED_LIST,      0,      WITH(cred_list)),
    SPECIAL("POST", "/v1/credentials",        CRED_PUT, ENROLL, enroll,  ROUTE_ENROLLS, REPLY_JSON),
    SPECIAL("PUT",  "/v1/credentials/{name}", CRED_PUT, ENROLL, replace, ROUTE_ENROLLS, REPLY_JSON),
    ADMIN("GET",    "/v1/credentials/{name}",      CRED_SHOW,      0,      WITH(credential)),
    ADMIN("POST",   "/v1/credentials/{name}/refresh", REFRESH,     SMALL,  WITH(credential)),
    ADMIN("DELETE", "/v1/credentials/{name}",      CRED_REMOVE,    0,      WITH(credential)),
    ADMIN("POST",   "/v1/credentials/{name}/release", CRED_RELEASE, SMALL, WITH(credential)),
    ADMIN("DELETE", "/v1/credentials/{name}/release", CRED_RESUME, 0, WITH(credential)),
    ADMIN("POST",   "/v1/logins",                  LOGIN_BEGIN,    MIDDLE, WITH(login_begin)),
    ADMIN("POST",   "/v1/logins/{id}/code",        LOGIN_CODE,     MIDDLE, WITH(login_code)),
    ADMIN("GET",    "/v1/logins/{id}",             LOGIN_SHOW,     0,      WITH(login)),
    ADMIN("DELETE", "/v1/logins/{id}",             LOGIN_CANCEL,   0,      WITH(login)),
    ADMIN("GET",    "/v1/consumers",               CONSUMER_LIST,  0,      WITH(after)),
    ADMIN("POST",   "/v1/consumers",               CONSUMER_ADD,   MIDDLE, WITH(consumer_add)),
    ADMIN("GET",    "/v1/consumers/{name}",        CONSUMER_SHOW,  0,      WITH(consumer)),
    ADMIN("DELETE", "/v1/consumers/{name}",        CONSUMER_REMOVE, 0,     WITH(consumer)),
    ADMIN("POST",   "/v1/consumers/{name}/grants", GRANT_ADD,      LARGE,  WITH(grant_add)),
    ADMIN("DELETE", "/v1/consumers/{name}/grants/{credential}", GRANT_REMOVE, 0, WITH(grant)),
    ADMIN("GET",    "/v1/leases",                  ADMIN_LEASES,   0,      WITH(admin_leases)),
    SPECIAL("POST", "/v1/revoke", ADMIN_REVOKE, SMALL, revocation, ROUTE_NEEDS_ANY, REPLY_JSON),
    ADMIN("GET",    "/v1/budgets",                 BUDGETS,        0,      WITH(budgets)),
    ADMIN("POST",   "/v1/reload",                  RELOAD,         SMALL,  NOTHING),
    SPECIAL("GET",  "/v1/audit", AUDIT_READ, 0, audit, 0, REPLY_JSONL),
};
/* clang-format on */

const struct route *route_at(size_t i)
{
    return i < COUNT(routes) ? &routes[i] : NULL;
}

uint32_t route_field_max(const struct route_field *f)
{
    static const uint32_t max[F__COUNT] = {
#define MAX_OF(n, kind, size) [F_##n] = (size),
        BROKER_FIELDS(MAX_OF)
#undef MAX_OF
    };
    return f->max ? f->max : f->field < F__COUNT ? max[f->field] : 0;
}

/* ---- matching */

/* The bytes up to the next slash or the end. */
static struct view segment(const uint8_t *p, const uint8_t *end)
{
    const uint8_t *slash = p < end ? memchr(p, '/', (size_t)(end - p)) : NULL;
    return VIEW(p, (size_t)((slash ? slash : end) - p));
}

static bool path_fits(const char *pattern, struct view path, struct view param[ROUTE_MAX_PARAMS])
{
    const uint8_t *p = path.p, *end = path.p + path.n;
    unsigned n = 0;
    for (; *pattern; pattern++) {
        if (*pattern != '{') {
            if (p == end || *p++ != (uint8_t)*pattern)
                return false;
            continue;
        }
        struct view v = segment(p, end);
        if (v.n == 0 || n == ROUTE_MAX_PARAMS)
            return false;
        param[n++] = v;
        p += v.n;
        pattern = strchr(pattern, '}');
    }
    return p == end;
}

static void allow_add(char allow[ROUTE_ALLOW_MAX], const char *method)
{
    size_t n = strlen(allow), more = strlen(method);
    if (n + more + 3 > ROUTE_ALLOW_MAX)
        return;
    if (n) {
        memcpy(allow + n, ", ", 2);
        n += 2;
    }
    memcpy(allow + n, method, more + 1);
}

err_t route_find(uint32_t role, const char *method, struct view path, struct route_match *out,
                 struct why *why)
{
    char allow[ROUTE_ALLOW_MAX] = "";
    for (const struct route *r = routes; r < routes + COUNT(routes); r++) {
        struct route_match m = {.route = r};
        if (r->role != role || !path_fits(r->path, path, m.param))
            continue;
        if (strcmp(r->method, method) == 0) {
            *out = m;
            return ERR_OK;
        }
        allow_add(allow, r->method);
    }
    if (!allow[0])
        return fail(why, ERR_NOT_FOUND, "no such path on this socket; see contrib/openapi.yaml");
    memcpy(out->allow, allow, sizeof(allow));
    return fail(why, ERR_METHOD, "this path takes %s", allow);
}
