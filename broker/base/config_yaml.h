/*
 * The YAML side of the configuration: what libcyaml reads and writes, before names, numbers and durations are understood. Private
 * to base/config*.c.
 */
#ifndef BASE_CONFIG_YAML_H
#define BASE_CONFIG_YAML_H

#include "base/config.h"

/* Texts are as written; absent ones are NULL. Members as libcyaml wants them: <list> and <list>_count. */
struct yaml_peer {
    char **uid, **gid;
    unsigned uid_count, gid_count;
    char *cgroup;
};
struct yaml_grant {
    char *credential, *ttl, *max_ttl, *uses, *budget;
    uint32_t deliver; /* mask */
    int owner;        /* 0 none, 1 process */
    char **allow, **models;
    unsigned allow_count, models_count;
    struct yaml_peer *peer;
};
struct yaml_consumer {
    char *name, *note, *max_leases;
    int once;
    struct yaml_peer *peer;
    struct yaml_grant *grants;
    unsigned grants_count;
};
struct yaml_audit {
    int sync;
    char *max_bytes;
};
struct yaml_admin {
    char **uid;
    unsigned uid_count;
};
struct yaml_upstream {
    char *provider, *origin, *ca;
    int private;
};
struct yaml_price {
    char *model, *input, *output, *cache_read, *cache_write;
};
struct yaml_provider {
    char *name, *token_url, *authorize_url, *device_url, *client_id, *scopes, *ca;
    int body, insecure_loopback; /* body: 0 not said, 1 json, 2 form */
};
struct yaml_proxy {
    char *workers;
};
struct yaml_root {
    char *store, *anchor, *notify;
    char **key;
    unsigned key_count;
    struct yaml_audit *audit;
    struct yaml_admin *admin;
    int files_on_disk;
    struct yaml_consumer *consumers;
    unsigned consumers_count;
    struct yaml_upstream *upstreams;
    unsigned upstreams_count;
    struct yaml_price *prices;
    unsigned prices_count;
    struct yaml_proxy *proxy;
    struct yaml_provider *providers;
    unsigned providers_count;
};

/* Both refuse what config_scan refuses. *out is NULL for a text without content; yaml_*_free takes NULL. `label`: the file's
 * name in errors. */
MUST err_t yaml_read_root(struct view text, const char *label, struct yaml_root **out,
                          struct why *why);
MUST err_t yaml_read_consumer(struct view text, const char *label, struct yaml_consumer **out,
                              struct why *why);
void yaml_free_root(struct yaml_root *root);
void yaml_free_consumer(struct yaml_consumer *c);
/* Appends the YAML of `c`, which is not changed. */
MUST err_t yaml_write_consumer(const struct yaml_consumer *c, struct buf *out, struct why *why);

/* config_scan.c: a first pass over libyaml's events, linear and without recursion: refuses text that does not parse, is nested deeper
 * than the schema, or has anchors, aliases, tags, a second document, or control characters in a value. *empty: no content. */
MUST err_t config_scan(struct view text, const char *label, bool *empty, struct why *why);
/* The line of the key or list entry at `path`, like "consumers[2].grants[0].ttl" (the last, where a key is there twice); 0: none. */
unsigned config_scan_line(struct view text, const char *path);

/* config_build.c: understands what was read. `text` and `label` are for the errors' lines. */
struct build {
    struct view text;
    const char *label;
    struct why *why;
};
/* config_proxy.c: what only the proxy uses; build_config() calls it. */
MUST err_t build_proxy(const struct build *b, const struct yaml_root *y, struct config *out);
void config_proxy_clear(struct config *c);
/* The absolute path of a file, in visible ASCII. */
bool config_is_file(const char *s);
/* config_oauth.c: where logins are renewed; build_config() calls it. */
MUST err_t build_providers(const struct build *b, const struct yaml_root *y, struct config *out);
void config_oauth_clear(struct config *c);
MUST err_t build_config(const struct build *b, const struct yaml_root *y, struct config *out);
/* `where`: path of the mapping, "" or "consumers[2]". */
MUST err_t build_consumer(const struct build *b, const char *where, const struct yaml_consumer *y,
                          struct config_consumer *out);
/* "label:line: key: sentence" for the value at where.key */
MUST err_t build_fail(const struct build *b, const char *where, const char *key, const char *fmt,
                      ...) __attribute__((format(printf, 4, 5)));
void config_consumer_clear(struct config_consumer *c); /* frees the members */

#endif
