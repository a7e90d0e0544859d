/*
 * The configuration as the vault sees it: broker.yaml, then one drop-in per consumer from a directory. Reading is all or nothing:
 * a new struct config is built beside the one in force.
 * Why drop-ins: broker-cli writes consumers and grants by replacing one small file atomically, and never edits what a person wrote.
 * Layers: config_scan.c (safe YAML) → config_yaml.c (schema) → config_build.c (meaning) → here (files, order, memory).
 */
#include "base/config.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/config_yaml.h"
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum { DROPIN_NAME_MAX = 64 + 5 + 1, LABEL_MAX = 128 };

/* ---- memory */

static void free_list(char **list)
{
    for (char **at = list; at && *at; at++)
        free(*at);
    free(list);
}

static void clear_peer(struct config_peer *p)
{
    free(p->uid.id);
    free(p->gid.id);
    free(p->cgroup);
}

static void clear_grant(struct config_grant *g)
{
    free(g->credential);
    free_list(g->allow);
    free_list(g->models);
    free(g->budget);
    clear_peer(&g->peer);
}

void config_consumer_clear(struct config_consumer *c)
{
    for (unsigned i = 0; i < c->n_grants; i++)
        clear_grant(&c->grants[i]);
    free(c->grants);
    free(c->name);
    free(c->note);
    clear_peer(&c->peer);
    *c = (struct config_consumer){0};
}

void config_consumer_free(struct config_consumer *c)
{
    if (c)
        config_consumer_clear(c);
    free(c);
}

void config_free(struct config *c)
{
    if (!c)
        return;
    for (unsigned i = 0; i < c->n_consumers; i++)
        config_consumer_clear(&c->consumers[i]);
    free(c->consumers);
    config_proxy_clear(c);
    config_oauth_clear(c);
    free(c->store);
    free_list(c->key);
    free(c->anchor);
    free(c->notify);
    free(c->admin_uid.id);
    free(c);
}

static void auto_config(struct config **c)
{
    config_free(*c);
}

static void auto_consumer(struct config_consumer **c)
{
    config_consumer_free(*c);
}

static void auto_root(struct yaml_root **y)
{
    yaml_free_root(*y);
}

static void auto_yaml_consumer(struct yaml_consumer **y)
{
    yaml_free_consumer(*y);
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* ---- one consumer */

err_t config_parse_consumer(struct view yaml, const char *label, struct config_consumer **out,
                            struct why *why)
{
    AUTO(auto_yaml_consumer) struct yaml_consumer *y = NULL;
    TRY(yaml_read_consumer(yaml, label, &y, why));
    if (!y)
        return fail(why, ERR_INVALID, "%s:1: name: is required here; the file is empty", label);
    AUTO(auto_consumer) struct config_consumer *c = calloc(1, sizeof(*c));
    if (!c)
        return fail(why, ERR_INTERNAL, "out of memory");
    TRY(build_consumer(&(struct build){.text = yaml, .label = label, .why = why}, "", y, c));
    *out = TAKE(c);
    return ERR_OK;
}

/* ---- drop-ins */

struct dropins {
    int dirfd;
    char (*name)[DROPIN_NAME_MAX];
    size_t n, cap;
};

static void auto_dropins(struct dropins *d)
{
    if (d->dirfd >= 0)
        close(d->dirfd);
    free(d->name);
}

static err_t add_name(struct dropins *d, const char *name, struct why *why)
{
    size_t n = strlen(name);
    if (n < 5 || strcmp(name + n - 5, ".yaml") != 0 || name[0] == '.')
        return ERR_OK;
    if (n >= DROPIN_NAME_MAX)
        return fail(why, ERR_INVALID,
                    "%.100s: the name of a drop-in is that of its consumer and .yaml", name);
    if (d->n == CONFIG_MAX_CONSUMERS)
        return fail(why, ERR_LIMIT, "over %d drop-ins", CONFIG_MAX_CONSUMERS);
    if (d->n == d->cap) {
        size_t cap = d->cap ? 2 * d->cap : 16;
        void *more = reallocarray(d->name, cap, DROPIN_NAME_MAX);
        if (!more)
            return fail(why, ERR_INTERNAL, "out of memory");
        d->name = more;
        d->cap = cap;
    }
    memcpy(d->name[d->n++], name, n + 1);
    return ERR_OK;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void auto_dir(DIR **d)
{
    if (*d)
        (void)closedir(*d);
}

/* A directory that is not there holds no drop-in. */
static err_t list_dropins(const char *path, struct dropins *d, struct why *why)
{
    AUTO(auto_dir) DIR *dir = opendir(path);
    if (!dir && errno == ENOENT)
        return ERR_OK;
    if (!dir)
        return fail_errno(why, errno, "%s", path);
    d->dirfd = fcntl(dirfd(dir), F_DUPFD_CLOEXEC, 3);
    if (d->dirfd < 0)
        return fail_errno(why, errno, "%s", path);
    for (const struct dirent *e; (e = readdir(dir));)
        TRY(add_name(d, e->d_name, why));
    if (d->n > 0)
        qsort(d->name, d->n, DROPIN_NAME_MAX, by_text);
    return ERR_OK;
}

static err_t read_dropin(const struct dropins *d, const char *name, struct config_consumer **out,
                         struct why *why)
{
    AUTO(buf_free) struct buf text = {.max = CONFIG_MAX_BYTES + 8192};
    AUTO(auto_consumer) struct config_consumer *c = NULL;
    TRY(file_read_at(d->dirfd, name, CONFIG_MAX_BYTES, &text, why));
    TRY(config_parse_consumer(buf_view(&text), name, &c, why));
    if (strlen(name) != strlen(c->name) + 5 || strncmp(name, c->name, strlen(c->name)) != 0)
        return build_fail(&(struct build){.text = buf_view(&text), .label = name, .why = why}, "",
                          "name", "expected the file's own name without .yaml, not \"%s\"",
                          c->name);
    c->managed = true;
    *out = TAKE(c);
    return ERR_OK;
}

static err_t add_consumer(struct config *c, const char *file, struct config_consumer *add,
                          struct why *why)
{
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): not after read_dropin() */
    const char *name = add->name;
    for (unsigned i = 0; i < c->n_consumers; i++)
        if (strcmp(c->consumers[i].name, name) == 0)
            return fail(why, ERR_INVALID,
                        "%s:1: name: there is a consumer \"%s\" in the main file already: remove "
                        "one of them",
                        file, name);
    if (c->n_consumers >= CONFIG_MAX_CONSUMERS)
        return fail(why, ERR_LIMIT, "over %d consumers", CONFIG_MAX_CONSUMERS);
    struct config_consumer *all = reallocarray(c->consumers, c->n_consumers + 1, sizeof(*all));
    if (!all)
        return fail(why, ERR_INTERNAL, "out of memory");
    c->consumers = all;
    all[c->n_consumers++] = *add;
    *add = (struct config_consumer){0};
    return ERR_OK;
}

static err_t add_dropins(const char *path, struct config *c, struct why *why)
{
    AUTO(auto_dropins) struct dropins d = {.dirfd = -1};
    TRY(list_dropins(path, &d, why));
    for (size_t i = 0; i < d.n; i++) {
        AUTO(auto_consumer) struct config_consumer *one = NULL;
        TRY(read_dropin(&d, d.name[i], &one, why));
        TRY(add_consumer(c, d.name[i], one, why));
    }
    return ERR_OK;
}

/* ---- the whole */

static err_t read_main(const char *path, struct config *c, struct why *why)
{
    static const struct yaml_root nothing;
    AUTO(buf_free) struct buf text = {.max = CONFIG_MAX_BYTES + 8192};
    AUTO(auto_root) struct yaml_root *y = NULL;
    const char *label = base_name(path);
    err_t e = file_read_at(AT_FDCWD, path, CONFIG_MAX_BYTES, &text, why);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    TRY(yaml_read_root(buf_view(&text), label, &y, why));
    return build_config(&(struct build){.text = buf_view(&text), .label = label, .why = why},
                        y ? y : &nothing, c);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct config_consumer *)a)->name,
                  ((const struct config_consumer *)b)->name);
}

err_t config_load(const char *path, const char *dropin_dir, struct config **out, struct why *why)
{
    AUTO(auto_config) struct config *c = calloc(1, sizeof(*c));
    if (!c)
        return fail(why, ERR_INTERNAL, "out of memory");
    TRY(read_main(path, c, why));
    if (dropin_dir)
        TRY(add_dropins(dropin_dir, c, why));
    if (c->n_consumers > 0)
        qsort(c->consumers, c->n_consumers, sizeof(*c->consumers), by_name);
    *out = TAKE(c);
    return ERR_OK;
}

const struct config_consumer *config_consumer(const struct config *c, struct view name)
{
    unsigned lo = 0, hi = c->n_consumers;
    while (lo < hi) {
        unsigned mid = lo + (hi - lo) / 2;
        struct view at = view_str(c->consumers[mid].name);
        size_t n = at.n < name.n ? at.n : name.n;
        int d = n ? memcmp(at.p, name.p, n) : 0;
        if (d == 0 && at.n == name.n)
            return &c->consumers[mid];
        if (d < 0 || (d == 0 && at.n < name.n))
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

err_t config_parse_ids(struct view text, struct config_ids *out, struct why *why)
{
    uint32_t id[CONFIG_MAX_LIST];
    unsigned n = 0;
    bool digit = false;
    uint64_t v = 0;
    for (size_t i = 0; i <= text.n; i++) {
        uint8_t ch = i < text.n ? text.p[i] : ',';
        bool ends = ch == ',', is_digit = ch >= '0' && ch <= '9';
        v = is_digit ? v * 10 + (uint64_t)(ch - '0') : v;
        if ((ends && (!digit || n == CONFIG_MAX_LIST)) || (!ends && !is_digit) || v >= UINT32_MAX)
            return fail(why, ERR_INVALID,
                        "expected numeric ids like 0,1000: at most %d, each below 4294967295",
                        CONFIG_MAX_LIST);
        if (ends)
            id[n++] = (uint32_t)v;
        digit = is_digit;
        v = ends ? 0 : v;
    }
    uint32_t *copy = malloc(n * sizeof(*copy));
    if (!copy)
        return fail(why, ERR_INTERNAL, "out of memory");
    memcpy(copy, id, n * sizeof(*copy));
    *out = (struct config_ids){.id = copy, .n = n};
    return ERR_OK;
}

const struct config_grant *config_grant_of(const struct config_consumer *c, const char *credential)
{
    for (unsigned i = 0; c && i < c->n_grants; i++)
        if (strcmp(c->grants[i].credential, credential) == 0)
            return &c->grants[i];
    return NULL;
}
