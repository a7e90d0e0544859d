/*
 * Reading goes through the client's JSON reader, which looks at well-formed text only and refuses
 * doubles: what it does not understand is not changed. Places are found as slices of the line, so
 * that an edit is "the bytes before, ours, the bytes behind". A token goes from the lease into the
 * text and on to the adapter's pipe; the text is wiped where it is freed and where it grows.
 */
#include "exec/acp_text.h"

#include "base/auto.h"
#include "client/json.h"

#include <broker/client.h>
#include <string.h>

enum { ROOM_FIRST = 1024, QUOTED_ROOM = 4096, ID_TEXT_ROOM = 256 };

void acp_text_free(struct acp_text *t)
{
    if (t->p)
        explicit_bzero(t->p, t->room);
    free(t->p);
    *t = (struct acp_text){0};
}

static bool grow(struct acp_text *t, size_t n)
{
    size_t room = t->room ? t->room : ROOM_FIRST;
    while (room - t->n < n)
        room *= 2;
    if (room == t->room)
        return true;
    char *p = malloc(room);
    if (!p)
        return false;
    if (t->n > 0)
        memcpy(p, t->p, t->n);
    size_t len = t->n;
    acp_text_free(t);
    *t = (struct acp_text){.p = p, .n = len, .room = room};
    return true;
}

void acp_text_add(struct acp_text *t, const char *p, size_t n)
{
    if (n == 0 || t->failed)
        return;
    if (n > 2 * (size_t)ACP_TEXT_MAX - t->n || !grow(t, n)) {
        t->failed = true;
        return;
    }
    memcpy(t->p + t->n, p, n);
    t->n += n;
}

static void add(struct acp_text *t, const char *text)
{
    acp_text_add(t, text, strlen(text));
}

static void add_quoted(struct acp_text *t, const char *text)
{
    char quoted[QUOTED_ROOM];
    if (broker_json_quote(text, quoted, sizeof(quoted)))
        add(t, quoted);
    else
        t->failed = true;
    explicit_bzero(quoted, sizeof(quoted));
}

/* ---- looking */

static bool read_message(const char *line, size_t n, struct json_slice *out)
{
    return n <= ACP_TEXT_MAX && json_value(line, n, out) && out->p[0] == '{';
}

static bool is_object(struct json_slice v)
{
    return v.n >= 2 && v.p[0] == '{';
}

static bool object_at(struct json_slice in, const char *key, struct json_slice *out)
{
    return json_member(in, key, out) && is_object(*out);
}

static enum acp_version version_of(struct json_slice object)
{
    struct json_slice value;
    int64_t version;
    return json_member(object, "protocolVersion", &value) && json_int(value, &version) &&
                   version >= ACP_V2
               ? ACP_V2
               : ACP_V1;
}

/* ---- the request to initialize */

/* The line with `in` in the place of `old`. */
static bool replace(struct acp_text *out, struct json_slice line, struct json_slice old,
                    const struct acp_text *in)
{
    const char *behind = old.p + old.n;
    acp_text_add(out, line.p, (size_t)(old.p - line.p));
    acp_text_add(out, in->p, in->n);
    acp_text_add(out, behind, (size_t)(line.p + line.n - behind));
    return !out->failed && !in->failed;
}

/* {"a":{"b":true}} for the names from `name` on, which end with NULL. */
static void add_nested(struct acp_text *t, const char *const *name)
{
    size_t depth = 0;
    for (; name[depth]; depth++) {
        add(t, "{");
        add_quoted(t, name[depth]);
        add(t, ":");
    }
    add(t, "true");
    while (depth-- > 0)
        add(t, "}");
}

/* "key":value in front of what the object has. */
static void add_first(struct acp_text *t, const char *const *name, struct json_slice object)
{
    size_t space = 1 + strspn(object.p + 1, " \t\r\n");
    add(t, "{");
    add_quoted(t, name[0]);
    add(t, ":");
    if (name[1])
        add_nested(t, name + 1);
    else
        add(t, "true");
    if (object.p[space] != '}')
        add(t, ",");
    acp_text_add(t, object.p + 1, object.n - 1);
}

bool acp_offer_gateway(const char *line, size_t n, struct acp_text *out, bool *asked)
{
    static const char *const names[] = {"clientCapabilities", "auth", "_meta", "gateway", NULL};
    static const char *const names2[] = {"capabilities", "auth", "_meta", "gateway", NULL};
    AUTO(acp_text_free) struct acp_text in = {0};
    struct json_slice message, at, next;
    if (!read_message(line, n, &message) || !object_at(message, "params", &at))
        return false;
    const char *const *name = version_of(at) == ACP_V2 ? names2 : names;
    while (name[1] && object_at(at, name[0], &next)) {
        at = next;
        name++;
    }
    bool there = json_member(at, name[0], &next);
    if (there && name[1] && !json_is(next, "null"))
        return false;
    *asked = !name[1] && there && json_is(next, "true");
    if (there && !name[1]) /* the last one, whatever it says */
        add(&in, "true");
    else if (there)
        add_nested(&in, name + 1);
    else
        add_first(&in, name, at);
    return replace(out, (struct json_slice){line, n}, there ? next : at, &in);
}

/* ---- the answer to it */

/* Does this auth method want a gateway from the client? */
static bool wants_gateway(struct json_slice method, struct json_slice *how)
{
    struct json_slice meta;
    return object_at(method, "_meta", &meta) && object_at(meta, "gateway", how);
}

static bool text_is(struct json_slice object, const char *key, const char *want)
{
    struct json_slice value;
    char text[ACP_NAME_ROOM];
    return json_member(object, key, &value) && json_text(value, text, sizeof(text), NULL) &&
           strcmp(text, want) == 0;
}

static void find_gateway(struct json_slice methods, const char *protocol, struct acp_offer *o)
{
    struct json_slice method, how, id;
    size_t at = 0;
    while (!o->gateway[0] && json_item(methods, &at, &method)) {
        if (!wants_gateway(method, &how) || !text_is(how, "protocol", protocol))
            continue;
        if (!json_member(method, o->version == ACP_V2 ? "methodId" : "id", &id) ||
            !json_text(id, o->gateway, sizeof(o->gateway), NULL))
            o->gateway[0] = '\0';
    }
}

bool acp_read_offer(const char *line, size_t n, const char *protocol, struct acp_offer *out)
{
    struct json_slice message, result, capabilities, value;
    if (!read_message(line, n, &message) || !object_at(message, "result", &result))
        return false;
    struct acp_offer o = {.version = version_of(result)};
    if (object_at(result, o.version == ACP_V2 ? "capabilities" : "agentCapabilities",
                  &capabilities))
        o.providers = object_at(capabilities, "providers", &value);
    if (json_member(result, "authMethods", &value))
        find_gateway(value, protocol, &o);
    *out = o;
    return true;
}

bool acp_hide_gateway(const char *line, size_t n, struct acp_text *out)
{
    AUTO(acp_text_free) struct acp_text kept = {0};
    struct json_slice message, result, methods, method, how;
    size_t at = 0, hidden = 0;
    if (!read_message(line, n, &message) || !object_at(message, "result", &result) ||
        !json_member(result, "authMethods", &methods))
        return false;
    add(&kept, "[");
    while (json_item(methods, &at, &method)) {
        if (wants_gateway(method, &how)) {
            hidden++;
            continue;
        }
        if (kept.n > 1)
            add(&kept, ",");
        acp_text_add(&kept, method.p, method.n);
    }
    add(&kept, "]");
    return hidden > 0 && replace(out, (struct json_slice){line, n}, methods, &kept);
}

static bool lists(struct json_slice list, const char *want)
{
    struct json_slice item;
    char text[ACP_NAME_ROOM];
    size_t at = 0;
    while (json_item(list, &at, &item))
        if (json_text(item, text, sizeof(text), NULL) && strcmp(text, want) == 0)
            return true;
    return false;
}

bool acp_read_provider(const char *line, size_t n, const char *protocol, char out[ACP_NAME_ROOM])
{
    struct json_slice message, result, providers, provider, value;
    size_t at = 0;
    if (!read_message(line, n, &message) || !object_at(message, "result", &result) ||
        !json_member(result, "providers", &providers))
        return false;
    while (json_item(providers, &at, &provider))
        if (json_member(provider, "supported", &value) && lists(value, protocol) &&
            json_member(provider, "providerId", &value) &&
            json_text(value, out, ACP_NAME_ROOM, NULL) && out[0])
            return true;
    return false;
}

/* ---- what we say */

static void add_request(struct acp_text *out, const char *id, const char *method)
{
    add(out, "{\"jsonrpc\":\"2.0\",\"id\":");
    add_quoted(out, id);
    add(out, ",\"method\":");
    add_quoted(out, method);
    add(out, ",\"params\":");
}

static void add_route(struct acp_text *out, const struct acp_route *route)
{
    add(out, "\"baseUrl\":");
    add_quoted(out, route->base);
    add(out, ",\"headers\":{");
    add_quoted(out, route->header);
    add(out, ":");
    add_quoted(out, route->token);
    add(out, "}");
}

void acp_write_list(struct acp_text *out, const char *id)
{
    add_request(out, id, "providers/list");
    add(out, "{}}\n");
}

void acp_write_set(struct acp_text *out, const char *id, const char *provider,
                   const struct acp_route *route)
{
    add_request(out, id, "providers/set");
    add(out, "{\"providerId\":");
    add_quoted(out, provider);
    add(out, ",\"apiType\":");
    add_quoted(out, route->protocol);
    add(out, ",");
    add_route(out, route);
    add(out, "}}\n");
}

void acp_write_gateway(struct acp_text *out, const char *id, const struct acp_offer *offer,
                       const struct acp_route *route)
{
    add_request(out, id, offer->version == ACP_V2 ? "auth/login" : "authenticate");
    add(out, "{\"methodId\":");
    add_quoted(out, offer->gateway);
    add(out, ",\"_meta\":{\"gateway\":{");
    add_route(out, route);
    add(out, "}}}}\n");
}

static bool begin_answer(const char *line, size_t n, struct acp_text *out)
{
    struct json_slice message, id;
    if (!read_message(line, n, &message) || !json_member(message, "id", &id))
        return false;
    add(out, "{\"jsonrpc\":\"2.0\",\"id\":");
    acp_text_add(out, id.p, id.n);
    return true;
}

bool acp_answer_done(const char *line, size_t n, struct acp_text *out)
{
    if (!begin_answer(line, n, out))
        return false;
    add(out, ",\"result\":{}}\n");
    return !out->failed;
}

bool acp_answer_refused(const char *line, size_t n, const char *sentence, struct acp_text *out)
{
    if (!begin_answer(line, n, out))
        return false;
    add(out, ",\"error\":{\"code\":-32600,\"message\":");
    add_quoted(out, sentence);
    add(out, "}}\n");
    return !out->failed;
}

void acp_read_error(const char *line, size_t n, char *out, size_t room)
{
    struct json_slice message, error, value;
    out[0] = '\0';
    if (!read_message(line, n, &message) || !object_at(message, "error", &error) ||
        !json_member(error, "message", &value) || !json_text(value, out, room, NULL))
        out[0] = '\0';
}

static bool id_text(const char *id, char *out, size_t room)
{
    struct json_slice v;
    return json_value(id, strlen(id), &v) && json_text(v, out, room, NULL);
}

bool acp_same_id(const char *a, const char *b)
{
    char text_a[ID_TEXT_ROOM], text_b[ID_TEXT_ROOM], *end_a, *end_b;
    if (strcmp(a, b) == 0)
        return a[0] != '\0';
    if (a[0] == '"' || b[0] == '"')
        return id_text(a, text_a, sizeof(text_a)) && id_text(b, text_b, sizeof(text_b)) &&
               strcmp(text_a, text_b) == 0;
    double number_a = strtod(a, &end_a), number_b = strtod(b, &end_b);
    return end_a > a && !*end_a && end_b > b && !*end_b && number_a == number_b;
}
