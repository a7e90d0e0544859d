/*
 * The schema of broker.yaml and of the drop-ins, for libcyaml, which reads and writes by it; and the translation of libcyaml's
 * log into one sentence "file:line: key: what was expected". Its log gives the cause first and then a backtrace, innermost first.
 * Numbers, ids and durations are texts here: libcyaml takes "0x10" and "-1" for numbers and any word for a bool.
 * Text comes here only through config_scan(), so that nothing deep, aliased or cut short reaches libcyaml.
 */
#include "base/config_yaml.h"

#include "base/auto.h"
#include <broker/provider.h>

#include <cyaml/cyaml.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_MAX = 1024 };

/* ---- schema */

static const cyaml_schema_value_t text_value = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, TEXT_MAX)};

static const cyaml_strval_t bool_words[] = {{"false", 0}, {"true", 1}, {"no", 0}, {"yes", 1}};
static const cyaml_strval_t body_words[] = {{"json", 1}, {"form", 2}};
static const cyaml_strval_t owner_words[] = {{"none", 0}, {"process", 1}};
static const cyaml_strval_t sync_words[] = {
    {"release", AUDIT_SYNC_RELEASE}, {"every", AUDIT_SYNC_EVERY}, {"100ms", AUDIT_SYNC_100MS}};
static const cyaml_strval_t deliver_words[] = {
#define WORD(id, text) {text, 1 << DELIVER_##id},
    BROKER_DELIVERIES(WORD)
#undef WORD
};

#define OPTIONAL_TEXT(type, key, member)                                                           \
    CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, type, member, 0, TEXT_MAX)
#define OPTIONAL_LIST(type, member)                                                                \
    CYAML_FIELD_SEQUENCE(#member, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL | CYAML_FLAG_FLOW,      \
                         type, member, &text_value, 0, CONFIG_MAX_LIST)
#define OPTIONAL_MAP(type, member, fields)                                                         \
    CYAML_FIELD_MAPPING_PTR(#member, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, type, member, fields)
#define OPTIONAL_WORD(type, member, words)                                                         \
    CYAML_FIELD_ENUM(#member, CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT, type, member, words,        \
                     CYAML_ARRAY_LEN(words))

static const cyaml_schema_field_t peer_fields[] = {
    OPTIONAL_LIST(struct yaml_peer, uid),
    OPTIONAL_LIST(struct yaml_peer, gid),
    OPTIONAL_TEXT(struct yaml_peer, "cgroup", cgroup),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t grant_fields[] = {
    CYAML_FIELD_STRING_PTR("credential", CYAML_FLAG_POINTER, struct yaml_grant, credential, 0,
                           TEXT_MAX),
    CYAML_FIELD_FLAGS("deliver", CYAML_FLAG_STRICT | CYAML_FLAG_FLOW, struct yaml_grant, deliver,
                      deliver_words, CYAML_ARRAY_LEN(deliver_words)),
    OPTIONAL_TEXT(struct yaml_grant, "ttl", ttl),
    OPTIONAL_TEXT(struct yaml_grant, "max_ttl", max_ttl),
    OPTIONAL_TEXT(struct yaml_grant, "uses", uses),
    OPTIONAL_WORD(struct yaml_grant, owner, owner_words),
    OPTIONAL_LIST(struct yaml_grant, allow),
    OPTIONAL_LIST(struct yaml_grant, models),
    OPTIONAL_TEXT(struct yaml_grant, "budget", budget),
    OPTIONAL_MAP(struct yaml_grant, peer, peer_fields),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t grant_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct yaml_grant, grant_fields)};

static const cyaml_schema_field_t consumer_fields[] = {
    CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER, struct yaml_consumer, name, 0, TEXT_MAX),
    OPTIONAL_TEXT(struct yaml_consumer, "note", note),
    OPTIONAL_WORD(struct yaml_consumer, once, bool_words),
    OPTIONAL_TEXT(struct yaml_consumer, "max_leases", max_leases),
    OPTIONAL_MAP(struct yaml_consumer, peer, peer_fields),
    CYAML_FIELD_SEQUENCE("grants", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct yaml_consumer,
                         grants, &grant_value, 0, CONFIG_MAX_GRANTS),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t consumer_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct yaml_consumer, consumer_fields)};

static const cyaml_schema_field_t audit_fields[] = {
    OPTIONAL_WORD(struct yaml_audit, sync, sync_words),
    OPTIONAL_TEXT(struct yaml_audit, "max_bytes", max_bytes),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t admin_fields[] = {
    OPTIONAL_LIST(struct yaml_admin, uid),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t upstream_fields[] = {
    CYAML_FIELD_STRING_PTR("provider", CYAML_FLAG_POINTER, struct yaml_upstream, provider, 0,
                           TEXT_MAX),
    CYAML_FIELD_STRING_PTR("origin", CYAML_FLAG_POINTER, struct yaml_upstream, origin, 0, TEXT_MAX),
    OPTIONAL_TEXT(struct yaml_upstream, "ca", ca),
    OPTIONAL_WORD(struct yaml_upstream, private, bool_words),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t upstream_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct yaml_upstream, upstream_fields)};

static const cyaml_schema_field_t price_fields[] = {
    CYAML_FIELD_STRING_PTR("model", CYAML_FLAG_POINTER, struct yaml_price, model, 0, TEXT_MAX),
    OPTIONAL_TEXT(struct yaml_price, "input", input),
    OPTIONAL_TEXT(struct yaml_price, "output", output),
    OPTIONAL_TEXT(struct yaml_price, "cache_read", cache_read),
    OPTIONAL_TEXT(struct yaml_price, "cache_write", cache_write),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t price_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct yaml_price, price_fields)};

static const cyaml_schema_field_t provider_fields[] = {
    CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER, struct yaml_provider, name, 0, TEXT_MAX),
    OPTIONAL_TEXT(struct yaml_provider, "token_url", token_url),
    OPTIONAL_TEXT(struct yaml_provider, "authorize_url", authorize_url),
    OPTIONAL_TEXT(struct yaml_provider, "device_url", device_url),
    OPTIONAL_TEXT(struct yaml_provider, "client_id", client_id),
    OPTIONAL_TEXT(struct yaml_provider, "scopes", scopes),
    OPTIONAL_TEXT(struct yaml_provider, "ca", ca),
    OPTIONAL_WORD(struct yaml_provider, body, body_words),
    OPTIONAL_WORD(struct yaml_provider, insecure_loopback, bool_words),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t provider_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct yaml_provider, provider_fields)};

static const cyaml_schema_field_t proxy_fields[] = {
    OPTIONAL_TEXT(struct yaml_proxy, "workers", workers),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t root_fields[] = {
    OPTIONAL_TEXT(struct yaml_root, "store", store),
    OPTIONAL_LIST(struct yaml_root, key),
    OPTIONAL_MAP(struct yaml_root, audit, audit_fields),
    OPTIONAL_TEXT(struct yaml_root, "anchor", anchor),
    OPTIONAL_TEXT(struct yaml_root, "notify", notify),
    OPTIONAL_MAP(struct yaml_root, admin, admin_fields),
    OPTIONAL_WORD(struct yaml_root, files_on_disk, bool_words),
    CYAML_FIELD_SEQUENCE("consumers", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct yaml_root,
                         consumers, &consumer_value, 0, CONFIG_MAX_CONSUMERS),
    CYAML_FIELD_SEQUENCE("upstreams", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct yaml_root,
                         upstreams, &upstream_value, 0, CONFIG_MAX_UPSTREAMS),
    CYAML_FIELD_SEQUENCE("prices", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct yaml_root,
                         prices, &price_value, 0, CONFIG_MAX_PRICES),
    OPTIONAL_MAP(struct yaml_root, proxy, proxy_fields),
    CYAML_FIELD_SEQUENCE("providers", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct yaml_root,
                         providers, &provider_value, 0, CONFIG_MAX_PROVIDERS),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t root_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct yaml_root, root_fields)};
static const cyaml_schema_value_t consumer_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct yaml_consumer, consumer_fields)};

/* ---- errors */

struct errors {
    char cause[160]; /* libcyaml's, without "Load: " */
    char key[64];    /* innermost key of the backtrace; "" at the top */
    char path[256];  /* "consumers[0].grants[1].deliver" */
};

/* Backtraces come innermost first, hence in front. */
static void path_prepend(struct errors *e, const char *part)
{
    char rest[sizeof(e->path)];
    memcpy(rest, e->path, sizeof(rest));
    (void)snprintf(e->path, sizeof(e->path), "%s%s%.180s", part,
                   rest[0] && rest[0] != '[' ? "." : "", rest);
}

/* "  in mapping field 'grants' (line: …" → "grants"; "  in sequence entry '2' (…" → "2"; else false */
static bool quoted_after(const char *text, const char *begin, char out[64])
{
    size_t n = strlen(begin);
    if (strncmp(text, begin, n) != 0)
        return false;
    return view_copy(VIEW(text + n, strcspn(text + n, "'")), out, 64);
}

static void on_log(cyaml_log_t level, void *ctx, const char *fmt, va_list args)
    __attribute__((format(printf, 3, 0)));
static void on_log(cyaml_log_t level, void *ctx, const char *fmt, va_list args)
{
    struct errors *e = ctx;
    char text[160], part[64], index[16];
    (void)level;
    (void)vsnprintf(text, sizeof(text), fmt, args);
    text[strcspn(text, "\n")] = '\0';
    if (e->cause[0] == '\0') {
        (void)snprintf(e->cause, sizeof(e->cause), "%s",
                       strncmp(text, "Load: ", 6) == 0 ? text + 6 : text);
    } else if (quoted_after(text, "  in mapping field '", part)) {
        if (e->key[0] == '\0')
            memcpy(e->key, part, sizeof(part));
        path_prepend(e, part);
    } else if (quoted_after(text, "  in sequence entry '", part)) {
        (void)snprintf(index, sizeof(index), "[%lu]",
                       strtoul(part, NULL, 10) - 1); /* libcyaml counts from 1 */
        path_prepend(e, index);
    }
}

/* Which mapping is the value of a key, and which words may stand there. */
static const struct place {
    const char *key;
    const cyaml_schema_field_t *fields;
    const cyaml_strval_t *words;
    size_t n_words;
} places[] = {
    {"consumers", consumer_fields, NULL, 0},
    {"grants", grant_fields, NULL, 0},
    {"peer", peer_fields, NULL, 0},
    {"audit", audit_fields, NULL, 0},
    {"admin", admin_fields, NULL, 0},
    {"upstreams", upstream_fields, NULL, 0},
    {"prices", price_fields, NULL, 0},
    {"proxy", proxy_fields, NULL, 0},
    {"providers", provider_fields, NULL, 0},
    {"body", NULL, body_words, CYAML_ARRAY_LEN(body_words)},
    {"insecure_loopback", NULL, bool_words, CYAML_ARRAY_LEN(bool_words)},
    {"private", NULL, bool_words, CYAML_ARRAY_LEN(bool_words)},
    {"once", NULL, bool_words, CYAML_ARRAY_LEN(bool_words)},
    {"files_on_disk", NULL, bool_words, CYAML_ARRAY_LEN(bool_words)},
    {"owner", NULL, owner_words, CYAML_ARRAY_LEN(owner_words)},
    {"sync", NULL, sync_words, CYAML_ARRAY_LEN(sync_words)},
    {"deliver", NULL, deliver_words, CYAML_ARRAY_LEN(deliver_words)},
};

static const struct place *place_of(const char *key)
{
    for (size_t i = 0; i < COUNT(places); i++)
        if (strcmp(places[i].key, key) == 0)
            return &places[i];
    return NULL;
}

static void list_words(const struct place *p, struct buf *out)
{
    for (size_t i = 0; p && i < p->n_words; i++)
        buf_add_fmt(out, "%s%s", i ? ", " : "", p->words[i].str);
}

static void list_fields(const cyaml_schema_field_t *f, struct buf *out)
{
    for (bool first = true; f->key; f++, first = false)
        buf_add_fmt(out, "%s%s", first ? "" : ", ", f->key);
}

static const char *rest_of(const char *cause, const char *begin)
{
    size_t n = strlen(begin);
    return strncmp(cause, begin, n) == 0 ? cause + n : NULL;
}

/* libcyaml's causes and ours; `%s` is what follows the begin of the cause. */
static void say(const struct errors *e, const cyaml_schema_field_t *top, struct buf *out)
{
    const struct place *p = place_of(e->key);
    const char *what;
    if ((what = rest_of(e->cause, "Unexpected key: "))) {
        buf_add_fmt(out, "%.64s: unknown key; known here: ", what);
        list_fields(p && p->fields ? p->fields : top, out);
    } else if ((what = rest_of(e->cause, "Missing required mapping field: "))) {
        buf_add_fmt(out, "%s: is required here", what);
    } else if ((what = rest_of(e->cause, "Mapping field already seen: "))) {
        buf_add_fmt(out, "%s: is there twice", what);
    } else if ((what = rest_of(e->cause, "Invalid ENUM value: ")) ||
               (what = rest_of(e->cause, "Unknown flag: "))) {
        buf_add_fmt(out, "%s: expected one of ", e->key);
        list_words(p, out);
        buf_add_fmt(out, "; not \"%.32s\"", what);
    } else if (rest_of(e->cause, "Expecting FLAGS") || rest_of(e->cause, "Expecting SEQUENCE")) {
        buf_add_fmt(out, "%s: expected a list, like [a, b]", e->key);
    } else if (rest_of(e->cause, "Expecting MAPPING")) {
        buf_add_fmt(out, "%s: expected keys with values", e->key[0] ? e->key : "the file");
    } else if (rest_of(e->cause, "Expecting ")) {
        buf_add_fmt(out, "%s: expected one value", e->key);
    } else if (rest_of(e->cause, "Excessive entries")) {
        buf_add_fmt(out, "%s: too many entries in the list", e->key);
    } else if (rest_of(e->cause, "STRING length")) {
        buf_add_fmt(out, "%s: over %d bytes", e->key, TEXT_MAX);
    } else {
        buf_add_fmt(out, "%s: %s", e->key, e->cause);
    }
}

/* libcyaml's own lines are those of the last value that was good: the path is looked up instead. */
static unsigned line_of(struct view text, const struct errors *e)
{
    const char *key = rest_of(e->cause, "Unexpected key: ");
    char path[sizeof(e->path) + 68];
    (void)snprintf(path, sizeof(path), "%s%s%.64s", e->path, key && e->path[0] ? "." : "",
                   key ? key : "");
    unsigned line = config_scan_line(text, path);
    return line ? line : 1;
}

struct source {
    struct view text;
    const char *label;
};

static err_t explain(const struct source *from, const struct errors *e, cyaml_err_t code,
                     const cyaml_schema_field_t *top, struct why *why)
{
    AUTO(buf_free) struct buf text = {.max = 2048};
    if (code == CYAML_ERR_OOM)
        return fail(why, ERR_INTERNAL, "out of memory while %s was read", from->label);
    if (e->cause[0])
        say(e, top, &text);
    else
        buf_add_str(&text, cyaml_strerror(code));
    const char *sentence = buf_text(&text);
    return fail(why, ERR_INVALID, "%s:%u: %s", from->label, line_of(from->text, e),
                sentence ? sentence : "not usable");
}

/* ---- reading and writing */

static cyaml_config_t cyaml_setup(struct errors *e)
{
    return (cyaml_config_t){.log_fn = on_log,
                            .log_ctx = e,
                            .mem_fn = cyaml_mem,
                            .log_level = CYAML_LOG_ERROR,
                            .flags = CYAML_CFG_NO_ALIAS | CYAML_CFG_STYLE_BLOCK};
}

static err_t load(struct view text, const char *label, const cyaml_schema_value_t *schema,
                  void **out, struct why *why)
{
    struct errors errors = {0};
    cyaml_config_t setup = cyaml_setup(&errors);
    cyaml_data_t *data = NULL;
    bool empty = false;
    TRY(config_scan(text, label, &empty, why));
    if (!empty) {
        cyaml_err_t code = cyaml_load_data(text.p, text.n, &setup, schema, &data, NULL);
        if (code != CYAML_OK)
            return explain(&(struct source){text, label}, &errors, code, schema->mapping.fields,
                           why);
    }
    *out = data;
    return ERR_OK;
}

err_t yaml_read_root(struct view text, const char *label, struct yaml_root **out, struct why *why)
{
    void *data = NULL;
    TRY(load(text, label, &root_schema, &data, why));
    *out = data;
    return ERR_OK;
}

err_t yaml_read_consumer(struct view text, const char *label, struct yaml_consumer **out,
                         struct why *why)
{
    void *data = NULL;
    TRY(load(text, label, &consumer_schema, &data, why));
    *out = data;
    return ERR_OK;
}

void yaml_free_root(struct yaml_root *root)
{
    struct errors errors = {0};
    cyaml_config_t setup = cyaml_setup(&errors);
    (void)cyaml_free(&setup, &root_schema, root, 0);
}

void yaml_free_consumer(struct yaml_consumer *c)
{
    struct errors errors = {0};
    cyaml_config_t setup = cyaml_setup(&errors);
    (void)cyaml_free(&setup, &consumer_schema, c, 0);
}

err_t yaml_write_consumer(const struct yaml_consumer *c, struct buf *out, struct why *why)
{
    struct errors errors = {0};
    cyaml_config_t setup = cyaml_setup(&errors);
    char *text = NULL;
    size_t n = 0;
    cyaml_err_t code = cyaml_save_data(&text, &n, &setup, &consumer_schema, c, 0);
    if (code != CYAML_OK)
        return fail(why, ERR_INTERNAL, "the YAML cannot be written: %s", cyaml_strerror(code));
    buf_add(out, text, n);
    (void)cyaml_mem(NULL, text, 0);
    return buf_ok(out, why);
}
