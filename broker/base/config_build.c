/*
 * Understands what was read: names, ids, numbers, durations, lists; defaults; duplicates. Each member is one step, so that each
 * error can name its key and line.
 * Invariant: `out` is cleared by the caller with config_consumer_clear()/config_free() however far the steps came.
 */
#include "base/config_yaml.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/name.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    NOTE_MAX = 256,
    CGROUP_MAX = 256,
    ITEM_MAX = 256,
    WORD_MAX = 32,
    WHERE_MAX = 64,
    MAX_LEASES = 1024,
    MAX_LEASES_TOP = 65536
};
#define TTL_DEFAULT_MS      ((int64_t)15 * 60 * 1000)
#define MAX_TTL_DEFAULT_MS  ((int64_t)24 * 3600 * 1000)
#define AUDIT_BYTES_DEFAULT ((uint64_t)64 << 20)
#define AUDIT_BYTES_MIN     ((uint64_t)1 << 20)

err_t build_fail(const struct build *b, const char *where, const char *key, const char *fmt, ...)
{
    char path[2 * WHERE_MAX], text[200];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    (void)snprintf(path, sizeof(path), "%s%s%s", where, where[0] && key[0] ? "." : "", key);
    unsigned line = config_scan_line(b->text, path);
    if (line == 0)
        line = config_scan_line(b->text, where);
    return fail(b->why, ERR_INVALID, "%s:%u: %s: %s", b->label, line ? line : 1, key, text);
}

/* ---- texts, numbers, times */

static err_t copy_text(const struct build *b, const char *where, const char *key, const char *in,
                       char **out)
{
    if (!in)
        return ERR_OK;
    *out = strdup(in);
    return *out ? ERR_OK : build_fail(b, where, key, "out of memory");
}

static err_t copy_bounded(const struct build *b, const char *where, const char *key, const char *in,
                          char **out)
{
    if (in && (in[0] == '\0' || strlen(in) > NOTE_MAX))
        return build_fail(b, where, key, "expected 1 to %d bytes", NOTE_MAX);
    return copy_text(b, where, key, in, out);
}

/* Decimal digits only; false over `max`. */
static bool read_number(const char *text, uint64_t max, uint64_t *out, const char **rest)
{
    uint64_t v = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        unsigned digit = (unsigned)(*at - '0');
        if (v > (max - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    *out = v;
    *rest = at;
    return at > text;
}

struct number {
    const char *key;
    uint64_t min, max;
    bool sizes; /* K, M, G are allowed */
};

static err_t take_number(const struct build *b, const char *where, const struct number *n,
                         const char *in, uint64_t *out)
{
    static const char suffix[] = "KMG";
    uint64_t v;
    const char *rest, *s = NULL;
    if (!in)
        return ERR_OK;
    bool ok = read_number(in, n->max, &v, &rest);
    if (ok && n->sizes && *rest && (s = strchr(suffix, *rest))) {
        unsigned shift = 10 * (unsigned)(s - suffix + 1);
        ok = v <= n->max >> shift;
        v <<= shift;
        rest++;
    }
    if (!ok || *rest || v < n->min)
        return build_fail(b, where, n->key,
                          "expected a whole number from %" PRIu64 " to %" PRIu64 "%s", n->min,
                          n->max, n->sizes ? ", or like 64M" : "");
    *out = v;
    return ERR_OK;
}

static err_t take_duration(const struct build *b, const char *where, const char *key,
                           const char *in, int64_t *out)
{
    struct why why = {0};
    int64_t ms;
    if (!in)
        return ERR_OK;
    if (clock_parse_duration(view_str(in), &ms, &why) != ERR_OK)
        return build_fail(b, where, key, "%s", why.text);
    if (ms < 1000)
        return build_fail(b, where, key, "expected a time of at least 1s");
    *out = ms;
    return ERR_OK;
}

static err_t take_name(const struct build *b, const char *where, const char *key, const char *in,
                       char **out)
{
    struct why why = {0};
    const char *what = key[0] == 'c' ? "credential" : "consumer";
    if (name_check(view_str(in), what, &why) != ERR_OK)
        return build_fail(b, where, key, "%s", why.text);
    return copy_text(b, where, key, in, out);
}

/* ---- lists */

struct list {
    const char *key;
    char *const *item;
    unsigned n;
    bool (*fits)(const char *item);
    const char *expected;
};

static err_t take_list(const struct build *b, const char *where, const struct list *l, char ***out)
{
    if (l->n == 0)
        return ERR_OK;
    char **list = calloc((size_t)l->n + 1, sizeof(char *));
    if (!list)
        return build_fail(b, where, l->key, "out of memory");
    *out = list; /* from here on the caller's */
    for (unsigned i = 0; i < l->n; i++) {
        if (!l->fits(l->item[i]))
            return build_fail(b, where, l->key, "expected %s, not \"%.40s\"", l->expected,
                              l->item[i]);
        TRY(copy_text(b, where, l->key, l->item[i], &list[i]));
    }
    return ERR_OK;
}

/* "POST /v1/messages" */
static bool fits_allow(const char *s)
{
    size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    return n > 0 && s[n] == ' ' && s[n + 1] == '/' && !strpbrk(s + n + 1, " ?#%\\") &&
           strlen(s) <= ITEM_MAX;
}

static bool fits_model(const char *s)
{
    return s[0] && !strchr(s, ' ') && strlen(s) <= ITEM_MAX;
}

static bool fits_source(const char *s)
{
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_-");
    return n > 0 && n <= WORD_MAX && s[n] == '\0';
}

static err_t take_ids(const struct build *b, const char *where, const struct list *l,
                      struct config_ids *out)
{
    if (l->n == 0)
        return ERR_OK;
    out->id = calloc(l->n, sizeof(*out->id));
    if (!out->id)
        return build_fail(b, where, l->key, "out of memory");
    for (; out->n < l->n; out->n++) {
        uint64_t v;
        const char *rest;
        if (!read_number(l->item[out->n], UINT32_MAX - 1, &v, &rest) || *rest)
            return build_fail(b, where, l->key, "expected numeric ids from 0 to %u, not \"%.40s\"",
                              UINT32_MAX - 1, l->item[out->n]);
        out->id[out->n] = (uint32_t)v;
    }
    return ERR_OK;
}

static err_t build_peer(const struct build *b, const char *parent, const struct yaml_peer *y,
                        struct config_peer *out)
{
    char where[WHERE_MAX];
    if (!y)
        return ERR_OK;
    (void)snprintf(where, sizeof(where), "%s%speer", parent, parent[0] ? "." : "");
    TRY(take_ids(b, where, &(struct list){.key = "uid", .item = y->uid, .n = y->uid_count},
                 &out->uid));
    TRY(take_ids(b, where, &(struct list){.key = "gid", .item = y->gid, .n = y->gid_count},
                 &out->gid));
    if (y->cgroup && (y->cgroup[0] != '/' || strlen(y->cgroup) > CGROUP_MAX))
        return build_fail(b, where, "cgroup",
                          "expected the beginning of a cgroup path, like /system.slice/x.service");
    return copy_text(b, where, "cgroup", y->cgroup, &out->cgroup);
}

/* ---- grants and consumers */

static err_t build_times(const struct build *b, const char *where, const struct yaml_grant *y,
                         struct config_grant *g)
{
    g->ttl_ms = TTL_DEFAULT_MS;
    TRY(take_duration(b, where, "ttl", y->ttl, &g->ttl_ms));
    g->max_ttl_ms = g->ttl_ms > MAX_TTL_DEFAULT_MS ? g->ttl_ms : MAX_TTL_DEFAULT_MS;
    TRY(take_duration(b, where, "max_ttl", y->max_ttl, &g->max_ttl_ms));
    if (g->max_ttl_ms < g->ttl_ms)
        return build_fail(b, where, "max_ttl", "expected at least the ttl");
    return ERR_OK;
}

static err_t build_budget(const struct build *b, const char *where, const struct yaml_grant *y,
                          struct config_grant *g)
{
    struct why why = {0};
    TRY(copy_bounded(b, where, "budget", y->budget, &g->budget));
    if (g->budget && budget_parse(view_str(g->budget), &g->limits, &why) != ERR_OK)
        return build_fail(b, where, "budget", "%s", why.text);
    return ERR_OK;
}

static err_t build_grant(const struct build *b, const char *where, const struct yaml_grant *y,
                         struct config_grant *g)
{
    static const struct number uses = {"uses", 0, INT64_MAX, false};
    TRY(take_name(b, where, "credential", y->credential, &g->credential));
    if (y->deliver == 0)
        return build_fail(b, where, "deliver",
                          "expected at least one delivery, like [access_token, file]");
    g->deliver = y->deliver;
    g->owner_process = y->owner == 1;
    TRY(build_times(b, where, y, g));
    TRY(take_number(b, where, &uses, y->uses, &g->uses));
    TRY(take_list(
        b, where,
        &(struct list){"allow", y->allow, y->allow_count, fits_allow, "a method and a path"},
        &g->allow));
    TRY(take_list(
        b, where,
        &(struct list){"models", y->models, y->models_count, fits_model, "a model or a pattern"},
        &g->models));
    TRY(build_budget(b, where, y, g));
    return build_peer(b, where, y->peer, &g->peer);
}

static bool grant_is_twice(const struct config_consumer *c, const char *credential)
{
    unsigned n = 0;
    for (unsigned i = 0; i < c->n_grants; i++)
        /* NOLINTNEXTLINE(clang-analyzer-core.*): take_name() set it */
        n += strcmp(c->grants[i].credential, credential) == 0;
    return n > 1;
}

static err_t build_grants(const struct build *b, const char *parent, const struct yaml_consumer *y,
                          struct config_consumer *c)
{
    if (y->grants_count == 0)
        return ERR_OK;
    c->grants = calloc(y->grants_count, sizeof(*c->grants));
    if (!c->grants)
        return build_fail(b, parent, "grants", "out of memory");
    for (unsigned i = 0; i < y->grants_count; i++) {
        char where[WHERE_MAX];
        (void)snprintf(where, sizeof(where), "%s%sgrants[%u]", parent, parent[0] ? "." : "", i);
        struct config_grant *g = &c->grants[c->n_grants++];
        TRY(build_grant(b, where, &y->grants[i], g));
        if (grant_is_twice(c, g->credential))
            return build_fail(b, where, "credential",
                              "this consumer has a grant for \"%s\" already", g->credential);
    }
    return ERR_OK;
}

err_t build_consumer(const struct build *b, const char *where, const struct yaml_consumer *y,
                     struct config_consumer *out)
{
    static const struct number max_leases = {"max_leases", 1, MAX_LEASES_TOP, false};
    uint64_t most = MAX_LEASES;
    TRY(take_name(b, where, "name", y->name, &out->name));
    TRY(copy_bounded(b, where, "note", y->note, &out->note));
    TRY(take_number(b, where, &max_leases, y->max_leases, &most));
    out->max_leases = (unsigned)most;
    out->once = y->once == 1;
    TRY(build_peer(b, where, y->peer, &out->peer));
    return build_grants(b, where, y, out);
}

/* ---- the whole file */

static err_t build_settings(const struct build *b, const struct yaml_root *y, struct config *out)
{
    static const struct number max_bytes = {"max_bytes", AUDIT_BYTES_MIN, (uint64_t)1 << 40, true};
    const struct yaml_audit *audit = y->audit;
    out->audit_max_bytes = AUDIT_BYTES_DEFAULT;
    out->files_on_disk = y->files_on_disk == 1;
    TRY(copy_bounded(b, "", "store", y->store ? y->store : "file", &out->store));
    TRY(take_list(
        b, "", &(struct list){"key", y->key, y->key_count, fits_source, "the name of a key source"},
        &out->key));
    if (y->anchor && y->anchor[0] != '/')
        return build_fail(b, "", "anchor", "expected an absolute path");
    TRY(copy_text(b, "", "anchor", y->anchor, &out->anchor));
    if (y->notify && !config_is_file(y->notify))
        return build_fail(b, "", "notify", "expected the absolute path of a program");
    TRY(copy_text(b, "", "notify", y->notify, &out->notify));
    if (audit)
        out->sync = (enum audit_sync)audit->sync;
    TRY(take_number(b, "audit", &max_bytes, audit ? audit->max_bytes : NULL,
                    &out->audit_max_bytes));
    if (!y->admin)
        return ERR_OK;
    return take_ids(b, "admin",
                    &(struct list){.key = "uid", .item = y->admin->uid, .n = y->admin->uid_count},
                    &out->admin_uid);
}

err_t build_config(const struct build *b, const struct yaml_root *y, struct config *out)
{
    TRY(build_settings(b, y, out));
    TRY(build_proxy(b, y, out));
    TRY(build_providers(b, y, out));
    if (y->consumers_count == 0)
        return ERR_OK;
    out->consumers = calloc(y->consumers_count, sizeof(*out->consumers));
    if (!out->consumers)
        return build_fail(b, "", "consumers", "out of memory");
    for (unsigned i = 0; i < y->consumers_count; i++) {
        char where[WHERE_MAX];
        struct config_consumer *c = &out->consumers[out->n_consumers++];
        (void)snprintf(where, sizeof(where), "consumers[%u]", i);
        TRY(build_consumer(b, where, &y->consumers[i], c));
        for (unsigned k = 0; k < i; k++)
            if (strcmp(out->consumers[k].name, c->name) == 0)
                return build_fail(b, where, "name", "there is a consumer \"%s\" already", c->name);
    }
    return ERR_OK;
}
