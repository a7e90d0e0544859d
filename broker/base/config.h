/*
 * broker.yaml and the drop-ins written by `broker-cli consumer add`/`grant`, read with libcyaml. The C form is what the rest
 * of the vault sees: durations in ms, deliveries as a mask, names checked. A bad file gives ERR_INVALID with
 * "file:line: key: what was expected" and changes nothing. libcyaml knows no mapping with free keys, so `consumers` is a list
 * of mappings that each have a `name`; a drop-in is one such mapping in a file <name>.yaml.
 */
#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H

#include "base/buf.h"
#include "base/budget.h"
#include <sys/types.h>

enum {
    CONFIG_MAX_BYTES = 1 << 20,
    CONFIG_MAX_CONSUMERS = 1024,
    CONFIG_MAX_GRANTS = 256,
    CONFIG_MAX_LIST = 64,
    CONFIG_MAX_UPSTREAMS = 64,
    CONFIG_MAX_PRICES = 256,
    CONFIG_MAX_PROVIDERS = 32,
    CONFIG_MAX_PROXIES = 4
};

enum audit_sync { AUDIT_SYNC_RELEASE, AUDIT_SYNC_EVERY, AUDIT_SYNC_100MS };

struct config_ids { /* a condition on uid or gid; n == 0: no condition */
    uint32_t *id;
    unsigned n;
};
struct config_peer {
    struct config_ids uid, gid;
    char *cgroup; /* prefix of the peer's cgroup path; NULL: no condition */
};
struct config_grant {
    char *credential;
    unsigned deliver;     /* mask of 1u << enum delivery (broker/provider.h) */
    int64_t ttl_ms;       /* default of a lease; default 15m */
    int64_t max_ttl_ms;   /* ceiling over all renewals of one lease's step; default max(ttl, 24h) */
    uint64_t uses;        /* default and ceiling of a lease's use count; 0: unlimited */
    bool owner_process;   /* leases die with the process that asked */
    char **allow;         /* NULL-terminated, proxy only */
    char **models;        /* NULL-terminated, proxy only */
    char *budget;         /* proxy only, as it was written; NULL: none */
    struct budget limits; /* the same, understood */
    struct config_peer peer; /* further conditions of this grant */
};
struct config_consumer {
    char *name;
    char *note;
    bool managed;        /* from a drop-in that broker-cli may rewrite */
    bool once;           /* bootstrap: the socket is spent after the first lease per credential */
    unsigned max_leases; /* live leases; default 1024 */
    struct config_peer peer;
    struct config_grant *grants;
    unsigned n_grants;
};
/* Where a provider's requests go instead of its own origin: an own gateway, a test. For `generic`, which has an origin per credential, it
 * says more about the origin that it names. */
struct config_upstream {
    char *provider, *origin; /* "https://host[:port]", in lower case */
    char *ca;                /* PEM file to trust instead of the system's; NULL */
    bool private;            /* its address may be loopback, private or link-local */
};
/* What a model costs, in millionths of a dollar per million tokens. The first that matches counts. */
struct config_price {
    char *model; /* pattern (base/glob.h) */
    uint64_t input, output, cache_read, cache_write;
};
/* What broker.yaml says in the place of a provider's own row (struct provider_oauth): an own identity provider, a test. NULL: as the row. */
enum { CONFIG_PROVIDER_NAME = 32 };
struct config_provider {
    char *name;
    char *token_url, *authorize_url, *device_url; /* https://host[:port]/path */
    char *client_id, *scopes;
    char *ca;               /* PEM file to trust instead of the system's */
    int8_t form;            /* -1: as the row; 0: JSON; 1: application/x-www-form-urlencoded */
    bool insecure_loopback; /* the URLs may be http:// to this host */
};
struct config {
    char *store; /* "file" */
    char **key;  /* NULL-terminated order of key sources to try; NULL: every slot in order */
    enum audit_sync sync;     /* default release */
    uint64_t audit_max_bytes; /* roll a segment at this size; default 64 MiB */
    char *anchor;             /* path of a second anchor file; NULL: none */
    struct config_ids
        admin_uid;      /* who may use the admin socket besides root and the daemon's own uid */
    bool files_on_disk; /* allow file delivery outside tmpfs; default false */
    struct config_consumer *consumers; /* sorted by name */
    unsigned n_consumers;
    struct config_upstream *upstreams;
    unsigned n_upstreams;
    struct config_price *prices;
    unsigned n_prices;
    struct config_provider *providers;
    unsigned n_providers;
    char *notify;     /* command to run when a login is dead; NULL: none */
    unsigned proxies; /* proxy workers, 1 to CONFIG_MAX_PROXIES; default 1 */
};

/* Reads `path` (missing: all defaults) and then every `*.yaml` in `dropin_dir` (may be NULL), one consumer each. */
MUST err_t config_load(const char *path, const char *dropin_dir, struct config **out,
                       struct why *why);
void config_free(struct config *c); /* takes NULL */
const struct config_consumer *config_consumer(const struct config *c, struct view name);
/* The consumer's grant for a credential; NULL when there is none, or no consumer. */
const struct config_grant *config_grant_of(const struct config_consumer *c, const char *credential);
/* One consumer as the YAML of a drop-in, with a comment on top that says who wrote it. */
MUST err_t config_write_consumer(const struct config_consumer *c, struct buf *yaml,
                                 struct why *why);
/* Parses one drop-in's text, for tests and for the check before a write. */
MUST err_t config_parse_consumer(struct view yaml, const char *label, struct config_consumer **out,
                                 struct why *why);
void config_consumer_free(struct config_consumer *c);
/* Does any grant of the consumer allow the delivery (enum delivery, broker/provider.h)? */
bool config_delivers(const struct config_consumer *c, unsigned delivery);
/* Do both send requests to the same places? */
bool config_same_upstreams(const struct config *a, const struct config *b);
/* The price of the model; NULL: none is configured. */
const struct config_price *config_price_of(const struct config *c, struct view model);
/* What is said of the provider; NULL: nothing. */
const struct config_provider *config_provider_of(const struct config *c, const char *name);
/* An origin in parts: host without port, port (443 or 80 by default). False: it is none of scheme://host[:port] in lower case. */
struct origin {
    bool tls;
    struct view host;
    uint16_t port;
};
bool origin_parse(struct view text, struct origin *out);
MUST err_t config_parse_ids(struct view text, struct config_ids *out,
                            struct why *why); /* "0,1000" */

#endif
