/*
 * The endpoint table and the path matcher. A row's fields stand in the order of the message's tags, so that the generic
 * conversion is one walk; a contract test holds every row against the message table and contrib/openapi.yaml.
 * The matcher compares raw bytes: nothing was decoded before, so "%2e" or "//" can only fail to match.
 */
#include "api/routes.h"
#include "base/auto.h"

#include <string.h>

#define MEMBER(name, tag, kind) {name, F_##tag, IN_BODY, kind, false, 0, 0}
#define NEEDED(name, tag, kind) {name, F_##tag, IN_BODY, kind, true, 0, 0}
#define PARAM(name, tag, kind) {name, F_##tag, IN_PATH, kind, true, 0, 0}
#define QUERY(name, tag, kind) {name, F_##tag, IN_QUERY, kind, false, 0, 0}
#define ALWAYS(name, tag, v) {name, F_##tag, IN_ROW, K_NUMBER, true, v, 0}
#define LOCAL(name, needed, size) {name, NOT_SENT, IN_BODY, K_TEXT, needed, 0, size}

static const struct route_field issue[] = {
    NEEDED("credential", CREDENTIAL, K_TEXT), MEMBER("deliver", DELIVER, K_TEXT),
    MEMBER("ttl_ms", TTL_MS, K_NUMBER),       MEMBER("uses", USES, K_NUMBER),
    MEMBER("owner", OWNER, K_TEXT),
};
static const struct route_field renew[] = {
    MEMBER("ttl_ms", TTL_MS, K_NUMBER),
    PARAM("id", LEASE, K_TEXT),
    {"token", F_TOKEN, IN_BEARER, K_TEXT, true, 0, 0},
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
#define ENROLL_MEMBERS                                                                           \
    LOCAL("data", false, ROUTE_ENROLL_BODY), LOCAL("data_base64", false, ROUTE_ENROLL_BODY),     \
        LOCAL("origin", false, 512), LOCAL("header", false, 512), LOCAL("env", false, 128),      \
        LOCAL("username", false, 256)
static const struct route_field enroll[] = {
    NEEDED("name", CREDENTIAL, K_TEXT),
    NEEDED("provider", PROVIDER, K_TEXT),
    MEMBER("ceiling", DELIVER, K_NAMES),
    ALWAYS("replace", FLAGS, 0),
    ENROLL_MEMBERS,
};
static const struct route_field replace[] = {
    PARAM("name", CREDENTIAL, K_TEXT),
    NEEDED("provider", PROVIDER, K_TEXT),
    MEMBER("ceiling", DELIVER, K_NAMES),
    ALWAYS("replace", FLAGS, 1),
    ENROLL_MEMBERS,
};
static const struct route_field credential[] = {PARAM("name", CREDENTIAL, K_TEXT)};
static const struct route_field after[] = {QUERY("after", AFTER, K_TEXT)};
static const struct route_field consumer[] = {PARAM("name", CONSUMER, K_TEXT)};
static const struct route_field consumer_add[] = {
    NEEDED("name", CONSUMER, K_TEXT), MEMBER("uids", UIDS, K_NUMBERS),
    MEMBER("gids", GIDS, K_NUMBERS),  MEMBER("cgroup", CGROUP, K_TEXT),
    MEMBER("note", NOTE, K_TEXT),
};
static const struct route_field grant_add[] = {
    PARAM("name", CONSUMER, K_TEXT),     NEEDED("credential", CREDENTIAL, K_TEXT),
    NEEDED("deliver", DELIVER, K_NAMES), MEMBER("ttl_ms", TTL_MS, K_NUMBER),
    MEMBER("max_ttl_ms", MAX_TTL_MS, K_NUMBER), MEMBER("uses", USES, K_NUMBER),
    MEMBER("owner", OWNER, K_TEXT),      MEMBER("allow", ALLOW, K_LIST),
    MEMBER("models", MODELS, K_LIST),    MEMBER("budget", BUDGET, K_TEXT),
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
static const struct route_field audit[] = {
    QUERY("after", CURSOR, K_NUMBER),
    QUERY("limit", COUNT, K_NUMBER),
};

#define WITH(f) (f), COUNT(f)
#define NOTHING NULL, 0
enum { SMALL = 4096, MIDDLE = 16384 };

static const struct route routes[] = {
    /* what a consumer may ask */
    {FROM_API, "POST", "/v1/leases", MSG_LEASE_ISSUE, SMALL, WITH(issue), 0, REPLY_JSON},
    {FROM_API, "POST", "/v1/leases/{id}/renew", MSG_LEASE_RENEW, SMALL, WITH(renew), 0, REPLY_JSON},
    {FROM_API, "DELETE", "/v1/leases/{id}", MSG_LEASE_END, 0, WITH(lease_id), 0, REPLY_JSON},
    {FROM_API, "GET", "/v1/leases/{id}", MSG_LEASE_SHOW, 0, WITH(lease_id), 0, REPLY_JSON},
    {FROM_API, "GET", "/v1/leases", MSG_LEASES, 0, WITH(cursor), 0, REPLY_JSON},
    {FROM_API, "GET", "/v1/grants", MSG_GRANTS, 0, NOTHING, 0, REPLY_JSON},
    {FROM_API, "GET", "/v1/whoami", MSG_WHOAMI, 0, NOTHING, 0, REPLY_JSON},
    {FROM_API, "POST", "/v1/token/introspect", MSG_INTROSPECT, SMALL, WITH(token), 0, REPLY_JSON},
    /* what an operator may ask */
    {FROM_ADMIN, "GET", "/v1/status", MSG_STATUS, 0, NOTHING, 0, REPLY_JSON},
    {FROM_ADMIN, "GET", "/metrics", MSG_METRICS, 0, NOTHING, 0, REPLY_PROMETHEUS},
    {FROM_ADMIN, "POST", "/v1/init", MSG_INIT, MIDDLE, WITH(key_source), 0, REPLY_JSON},
    {FROM_ADMIN, "POST", "/v1/unlock", MSG_UNLOCK, MIDDLE, WITH(unlock), 0, REPLY_JSON},
    {FROM_ADMIN, "POST", "/v1/lock", MSG_LOCK, SMALL, NOTHING, 0, REPLY_JSON},
    {FROM_ADMIN, "GET", "/v1/keys", MSG_KEY_LIST, 0, NOTHING, 0, REPLY_JSON},
    {FROM_ADMIN, "POST", "/v1/keys", MSG_KEY_ADD, MIDDLE, WITH(key_source), 0, REPLY_JSON},
    {FROM_ADMIN, "DELETE", "/v1/keys/{slot}", MSG_KEY_REMOVE, 0, WITH(slot), 0, REPLY_JSON},
    {FROM_ADMIN, "POST", "/v1/rekey", MSG_REKEY, SMALL, NOTHING, 0, REPLY_JSON},
    {FROM_ADMIN, "POST", "/v1/store/accept", MSG_ACCEPT_STORE, SMALL, NOTHING, 0, REPLY_JSON},
    {FROM_ADMIN, "GET", "/v1/credentials", MSG_CRED_LIST, 0, WITH(cred_list), 0, REPLY_JSON},
    {FROM_ADMIN, "POST", "/v1/credentials", MSG_CRED_PUT, ROUTE_ENROLL_BODY, WITH(enroll),
     ROUTE_ENROLLS, REPLY_JSON},
    {FROM_ADMIN, "PUT", "/v1/credentials/{name}", MSG_CRED_PUT, ROUTE_ENROLL_BODY, WITH(replace),
     ROUTE_ENROLLS, REPLY_JSON},
    {FROM_ADMIN, "GET", "/v1/credentials/{name}", MSG_CRED_SHOW, 0, WITH(credential), 0, REPLY_JSON},
    {FROM_ADMIN, "DELETE", "/v1/credentials/{name}", MSG_CRED_REMOVE, 0, WITH(credential), 0, REPLY_JSON},
    {FROM_ADMIN, "GET", "/v1/consumers", MSG_CONSUMER_LIST, 0, WITH(after), 0, REPLY_JSON},
    {FROM_ADMIN, "POST", "/v1/consumers", MSG_CONSUMER_ADD, MIDDLE, WITH(consumer_add), 0, REPLY_JSON},
    {FROM_ADMIN, "GET", "/v1/consumers/{name}", MSG_CONSUMER_SHOW, 0, WITH(consumer), 0, REPLY_JSON},
    {FROM_ADMIN, "DELETE", "/v1/consumers/{name}", MSG_CONSUMER_REMOVE, 0, WITH(consumer), 0, REPLY_JSON},
    {FROM_ADMIN, "POST", "/v1/consumers/{name}/grants", MSG_GRANT_ADD, 2 * MIDDLE, WITH(grant_add), 0,
     REPLY_JSON},
    {FROM_ADMIN, "DELETE", "/v1/consumers/{name}/grants/{credential}", MSG_GRANT_REMOVE, 0, WITH(grant),
     0, REPLY_JSON},
    {FROM_ADMIN, "GET", "/v1/leases", MSG_ADMIN_LEASES, 0, WITH(admin_leases), 0, REPLY_JSON},
    {FROM_ADMIN, "POST", "/v1/revoke", MSG_ADMIN_REVOKE, SMALL, WITH(revocation), ROUTE_NEEDS_ANY, REPLY_JSON},
    {FROM_ADMIN, "POST", "/v1/reload", MSG_RELOAD, SMALL, NOTHING, 0, REPLY_JSON},
    {FROM_ADMIN, "GET", "/v1/audit", MSG_AUDIT_READ, 0, WITH(audit), 0, REPLY_JSONL},
};

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
                 char allow[ROUTE_ALLOW_MAX], struct why *why)
{
    allow[0] = '\0';
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
    if (allow[0])
        return fail(why, ERR_METHOD, "this path takes %s", allow);
    return fail(why, ERR_NOT_FOUND, "no such path on this socket; see contrib/openapi.yaml");
}
