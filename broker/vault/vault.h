/*
 * The one process with keys: what it is made of. One object tree, no globals; `struct vault` is created in vault_main() and
 * every function of the folder gets it, or the part of it that it needs.
 *
 *     worker packet ─▶ server.c   parse, find the connection, attest on first sight, look the message up in ops.c
 *                      ─▶ op_*.c  one handler per message: decide → record → (durable?) → open and answer
 *     answers wait in server.c's queue until the audit writer has their record on disk, or 0.9 s have passed
 */
#ifndef VAULT_VAULT_H
#define VAULT_VAULT_H

#include "base/config.h"
#include "base/ipc.h"
#include "base/loop.h"
#include "base/msg.h"
#include "vault/account.h"
#include "vault/audit.h"
#include "vault/credential.h"
#include "vault/expired.h"
#include "vault/lease.h"
#include "vault/peer.h"
#include "vault/proxied.h"
#include "vault/route_table.h"

struct vault_dirs {
    const char *state, *run, *config; /* directories; `config` is the path of broker.yaml */
    bool system;                      /* system mode: started as root, runs as its own user */
};
/* Runs until told to stop; returns an exit code. `supervisor_sock` speaks MSG_SPAWN and friends. */
int vault_main(int supervisor_sock, const struct vault_dirs *dirs);

enum vault_state { VAULT_UNINITIALISED, VAULT_LOCKED, VAULT_ROLLBACK, VAULT_READY };
const char *vault_state_name(enum vault_state s);
struct vault;
/* The first time both api workers are up, the supervisor is told READY=1. */
void vault_on_worker_ready(struct vault *v);

/* A worker process and what it showed us. */
enum {
    WORKER_API,
    WORKER_ADMIN,
    WORKER_AUDIT,
    WORKER_PROXY,
    WORKER__COUNT = WORKER_PROXY + CONFIG_MAX_PROXIES
};
enum { CONN_MAX = PROXY_CONNS }; /* the api workers have fewer */
struct vault_conn {
    uint64_t id; /* never 0 */
    struct peer peer;
    uint64_t config_serial; /* of the configuration that the peer was judged by */
    uint64_t
        lives_in;     /* the last batch of packets after whose arrival its process was seen alive */
    int64_t begun_ms; /* when a proxied request was last begun here (boot clock); 0: never */
    const struct config_consumer *consumer; /* of that configuration; NULL on the admin socket */
    char consumer_name[65];
};
struct vault_worker {
    struct vault *vault;
    unsigned kind;
    int sock;
    int32_t pid;
    struct loop_fd *watch;
    struct vault_conn *conns[CONN_MAX]; /* by slot; of the api workers (vault/conn.h) */
    unsigned restarts,
        failures; /* failures: in a row, each soon after its start; they set the back-off */
    int64_t restart_at_ms; /* 0: none is due */
    int64_t attached_ms;
    int exit_status; /* of the one before */
    bool
        exit_untold; /* and not in the log yet: the audit writer's end is recorded by its successor */
    bool ready, asked;           /* asked: of the supervisor, and not here yet */
    char sandbox_report[64];     /* as it said in READY */
    struct buf reply[IPC_BATCH]; /* of this turn, to be sent together */
    unsigned n_replies;
    struct out_packet *out, **out_tail; /* packets that did not fit the socket */
    size_t out_bytes;
};

/* One listening socket: each consumer has one for the API, and one for the proxy where a grant delivers so. */
struct vault_listener {
    char consumer[65]; /* "admin" for the admin socket */
    int fd, dirfd;
    char path[108];
    bool proxy;
};

const struct vault_listener *listener_by_path(const struct vault *v, const char *path);

/* Keys that exist only while the store is open. */
struct vault_keys {
    struct keyheader header;
    struct secret *master, *previous, *root, *token, *journal, *audit_seal, *redact, *budget,
        *refresh;
};

struct pending;     /* vault/server.h */
struct helper_call; /* vault/keycall.h */
struct oauth_call;  /* vault/oauthcall.h */
struct refreshes;   /* vault/refresh.h */
struct parked;      /* vault/parked.h */
struct login;       /* vault/login.h */
struct unlock;      /* vault/unlock.h */
struct init;        /* vault/init.h */

struct vault {
    struct loop *loop;
    const struct vault_dirs *dirs;
    enum vault_state state;
    char state_why[256]; /* the sentence behind locked or rollback */
    int state_fd, run_fd, log_fd;
    int supervisor;
    struct loop_fd *supervisor_watch;
    int64_t started_ms;
    struct config *config;
    uint64_t config_serial; /* grows with each reload */
    const struct store_ops *store_ops;
    struct store *store;
    struct vault_keys keys;
    struct credentials *credentials;
    struct sink *sink;
    struct audit *audit;
    struct leases *leases;
    struct accounts accounts;
    struct proxied_table proxied;
    struct route_table routes;
    struct expired expired; /* in this turn, not recorded yet */
    struct vault_worker workers[WORKER__COUNT];
    struct vault_listener *listeners;
    unsigned n_listeners;
    struct pending *queue,
        **queue_tail; /* answers waiting for their record, in order of sink positions */
    struct loop_timer *queue_timer; /* the oldest one's deadline */
    struct helper_call *helpers;
    struct parked *stranded; /* waited for a refresh when the store was closed */
    struct loop_later stranded_wake;
    struct refreshes *refreshes;    /* NULL while the store is not open */
    struct login *logins;           /* under way, and ended of late */
    struct oauth_call *oauth_calls; /* in the order they were asked for */
    struct unlock *unlock;          /* the search for a key that opens the store, while it runs */
    struct init *init;              /* the making of a store, while it runs */
    struct loop_timer *tick;        /* 1 s: checkpoints, projected files, rekey steps */
    struct ipc_batch inbox;
    uint64_t batch;            /* number of the batch in `inbox`; from 1 */
    struct buf reply, scratch; /* reused, as the inbox is; wiped after each message */
    struct {
        uint64_t issued, renewed, ended, denied, refused_tokens, refused_peers, audit_refusals,
            messages, upstream_rejections;
    } count;
    char sandbox_report[64];
    int64_t stop_at_ms; /* not 0: asked to stop, and at that time at the latest it does */
    bool stopping, announced;
    bool
        start_recorded; /* broker.start is in the log: once for each run, when the store is opened first */
    bool swept;         /* records without an entry were looked for since the store was opened */
};

/* One request on its way through the vault. */
struct request {
    struct vault *v;
    struct vault_worker *worker;
    struct vault_conn *conn;
    const struct msg *msg;
    struct why *why;
    bool recorded; /* the handler recorded its refusal itself, in more words */
    bool deferred; /* a helper answers later; the handler kept the pending */
    bool again;    /* it has waited (vault/parked.h), and does not wait twice */
};

#endif
