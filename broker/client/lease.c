/*
 * Leases and grants as C structures. Each is read by a table of members, so a reply is checked the
 * same way everywhere: a member of the wrong type makes the whole reply invalid, an unknown one is
 * left alone (a newer broker may say more), null is absent.
 */
#include "base/auto.h"
#include "client/json.h"

#include <broker/client.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static MUST err_t no_sense(const char *what, const char *member, struct why *why)
{
    return fail(why, ERR_INVALID, "the broker's %s has no usable \"%s\": is it of another version?",
                what, member);
}

static bool absent(struct json_slice object, const char *key, struct json_slice *value)
{
    return !json_member(object, key, value) || json_is(*value, "null");
}

/* ---- leases */

static const struct {
    const char *key;
    size_t at; /* of a char * */
    bool needed;
} texts[] = {
    {"credential", offsetof(struct broker_lease, credential), true},
    {"deliver", offsetof(struct broker_lease, delivery), true},
    {"token", offsetof(struct broker_lease, token), false},
    {"provider", offsetof(struct broker_lease, provider), false},
    {"kind", offsetof(struct broker_lease, kind), false},
    {"secret", offsetof(struct broker_lease, secret), false},
    {"file", offsetof(struct broker_lease, file), false},
    {"proxy_socket", offsetof(struct broker_lease, proxy_socket), false},
    {"file_name", offsetof(struct broker_lease, file_name), false},
    {"env", offsetof(struct broker_lease, env_name), false},
    {"username", offsetof(struct broker_lease, username), false},
    {"account", offsetof(struct broker_lease, account), false},
    {"origin", offsetof(struct broker_lease, origin), false},
};

static char **text_at(struct broker_lease *lease, size_t at)
{
    return (char **)(void *)((char *)lease + at);
}

void broker_lease_free(struct broker_lease *lease)
{
    if (!lease)
        return;
    for (size_t i = 0; i < COUNT(texts); i++) {
        char *text = *text_at(lease, texts[i].at);
        if (text)
            explicit_bzero(text, strlen(text));
        free(text);
    }
    explicit_bzero(lease, sizeof(*lease));
}

static MUST err_t read_texts(struct json_slice object, struct broker_lease *l, struct why *why)
{
    struct json_slice value;
    for (size_t i = 0; i < COUNT(texts); i++) {
        if (absent(object, texts[i].key, &value)) {
            if (texts[i].needed)
                return no_sense("lease", texts[i].key, why);
            continue;
        }
        char *text = malloc(value.n);
        if (!text)
            return fail(why, ERR_INTERNAL, "out of memory");
        *text_at(l, texts[i].at) = text;
        if (!json_text(value, text, value.n, NULL))
            return no_sense("lease", texts[i].key, why);
    }
    return ERR_OK;
}

static bool is_id(const char *s)
{
    return strlen(s) == 32 && strspn(s, "0123456789abcdef") == 32;
}

static MUST err_t read_lease(const char *reply, size_t n, struct broker_lease *out, struct why *why)
{
    AUTO(broker_lease_free) struct broker_lease l = {0};
    struct json_slice object, value;
    if (!json_value(reply, n, &object) || !json_member(object, "id", &value) ||
        !json_text(value, l.id, sizeof(l.id), NULL) || !is_id(l.id))
        return no_sense("lease", "id", why);
    TRY(read_texts(object, &l, why));
    if (!json_member(object, "expires_at_ms", &value) || !json_int(value, &l.expires_at_ms))
        return no_sense("lease", "expires_at_ms", why);
    if (!absent(object, "max_expires_at_ms", &value) && !json_int(value, &l.max_expires_at_ms))
        return no_sense("lease", "max_expires_at_ms", why);
    if (!absent(object, "secret_expires_at_ms", &value) && !json_int(value, &l.secret_expires_ms))
        return no_sense("lease", "secret_expires_at_ms", why);
    *out = l;
    l = (struct broker_lease){0};
    return ERR_OK;
}

struct ask {
    char text[512];
    size_t len;
};

static void ask_add(struct ask *a, const char *text)
{
    size_t n = strlen(text);
    if (a->len + n >= sizeof(a->text)) {
        a->len = sizeof(a->text);
        return;
    }
    memcpy(a->text + a->len, text, n + 1);
    a->len += n;
}

static void ask_text(struct ask *a, const char *key, const char *value)
{
    char quoted[256];
    ask_add(a, a->len > 0 ? "," : "{");
    ask_add(a, key);
    if (broker_json_quote(value, quoted, sizeof(quoted)))
        ask_add(a, quoted);
    else
        a->len = sizeof(a->text);
}

static void ask_number(struct ask *a, const char *key, uint64_t value)
{
    char digits[24];
    (void)snprintf(digits, sizeof(digits), "%" PRIu64, value);
    ask_add(a, ",");
    ask_add(a, key);
    ask_add(a, digits);
}

err_t broker_lease(struct broker_client *c, const struct broker_lease_ask *ask,
                   struct broker_lease *out, struct why *why)
{
    struct ask a = {.len = 0};
    const char *reply;
    size_t n;
    ask_text(&a, "\"credential\":", ask->credential);
    if (ask->delivery)
        ask_text(&a, "\"deliver\":", ask->delivery);
    if (ask->ttl_ms > 0)
        ask_number(&a, "\"ttl_ms\":", (uint64_t)ask->ttl_ms);
    if (ask->uses > 0)
        ask_number(&a, "\"uses\":", ask->uses);
    if (ask->owner_process)
        ask_text(&a, "\"owner\":", "process");
    ask_add(&a, "}");
    if (a.len >= sizeof(a.text))
        return fail(why, ERR_USAGE, "no credential has a name like this");
    struct broker_request rq = {
        .method = "POST", .path = "/v1/leases", .body = a.text, .body_len = a.len};
    TRY(broker_call_ok(c, &rq, &reply, &n, why));
    return read_lease(reply, n, out, why);
}

err_t broker_lease_renew(struct broker_client *c, const struct broker_lease *lease, int64_t ttl_ms,
                         struct why *why)
{
    char path[64], body[48];
    const char *reply;
    size_t n;
    if (!lease->token || !is_id(lease->id))
        return fail(why, ERR_USAGE, "only a lease with its token can be renewed");
    (void)snprintf(path, sizeof(path), "/v1/leases/%s/renew", lease->id);
    (void)snprintf(body, sizeof(body), ttl_ms > 0 ? "{\"ttl_ms\":%" PRId64 "}" : "{}", ttl_ms);
    struct broker_request rq = {.method = "POST",
                                .path = path,
                                .token = lease->token,
                                .body = body,
                                .body_len = strlen(body)};
    return broker_call_ok(c, &rq, &reply, &n, why);
}

err_t broker_lease_end(struct broker_client *c, const char *id, struct why *why)
{
    char path[64];
    const char *reply;
    size_t n;
    if (!is_id(id))
        return fail(why, ERR_USAGE, "a lease's id has 32 hex digits");
    (void)snprintf(path, sizeof(path), "/v1/leases/%s", id);
    struct broker_request rq = {.method = "DELETE", .path = path};
    return broker_call_ok(c, &rq, &reply, &n, why);
}

/* ---- grants */

static const struct {
    const char *key;
    size_t at, room;
} grant_texts[] = {
#define GRANT_TEXT(member)                                                                         \
    offsetof(struct broker_grant, member), sizeof(((struct broker_grant *)0)->member)
    {"credential", GRANT_TEXT(credential)},
    {"provider", GRANT_TEXT(provider)},
    {"kind", GRANT_TEXT(kind)},
    {"origin", GRANT_TEXT(origin)},
    {"username", GRANT_TEXT(username)},
    {"reason", GRANT_TEXT(reason)},
#undef GRANT_TEXT
};

static bool read_deliveries(struct json_slice list, struct broker_grant *g)
{
    struct json_slice item;
    size_t at = 0, used = 0, n;
    while (json_item(list, &at, &item)) {
        if (used > 0)
            g->deliver[used++] = ',';
        if (!json_text(item, g->deliver + used, sizeof(g->deliver) - used - 1, &n))
            return false;
        used += n;
    }
    return true;
}

static MUST err_t read_grant(struct json_slice object, struct broker_grant *out, struct why *why)
{
    struct broker_grant g = {0};
    struct json_slice value;
    for (size_t i = 0; i < COUNT(grant_texts); i++)
        if (!absent(object, grant_texts[i].key, &value) &&
            !json_text(value, (char *)&g + grant_texts[i].at, grant_texts[i].room, NULL))
            return no_sense("grant", grant_texts[i].key, why);
    if (!g.credential[0])
        return no_sense("grant", "credential", why);
    if (!json_member(object, "deliver", &value) || !read_deliveries(value, &g))
        return no_sense("grant", "deliver", why);
    g.available = json_member(object, "available", &value) && json_is(value, "true");
    *out = g;
    return ERR_OK;
}

err_t broker_grants(struct broker_client *c, struct broker_grant *out, size_t room, size_t *n,
                    struct why *why)
{
    struct broker_request rq = {.method = "GET", .path = "/v1/grants"};
    struct json_slice object, list, item;
    const char *reply;
    size_t len, at = 0, count = 0;
    TRY(broker_call_ok(c, &rq, &reply, &len, why));
    if (!json_value(reply, len, &object) || !json_member(object, "grants", &list) ||
        list.p[0] != '[')
        return no_sense("answer", "grants", why);
    for (; json_item(list, &at, &item); count++)
        if (count < room)
            TRY(read_grant(item, &out[count], why));
    *n = count;
    return ERR_OK;
}

bool broker_grant_delivers(const struct broker_grant *g, const char *delivery)
{
    size_t n = strlen(delivery);
    for (const char *p = g->deliver; *p; p += strspn(p, ",")) {
        size_t word = strcspn(p, ",");
        if (word == n && memcmp(p, delivery, n) == 0)
            return true;
        p += word;
    }
    return false;
}
