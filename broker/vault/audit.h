/*
 * The record of what was released to whom: JSON Lines, a closed schema (no free-form fields), chained (crypto/chain.h), redacted.
 * The events are a table here, the fields one in audit_line.c; contrib/audit-schema.json is generated from both and checked in a test.
 *
 * Segments audit-NNNNNN.jsonl in $STATE/audit. The chain key is sealed into audit.state at each checkpoint; after a restart the
 * lines since then are replayed and verified, so a line cut or changed behind our back stops releases until an operator accepts.
 */
#ifndef VAULT_AUDIT_H
#define VAULT_AUDIT_H

#include "base/config.h"
#include "base/jsonw.h"
#include "vault/sink.h"
#include <broker/secret.h>

/* event, wire name, is a release (durable before the answer under audit.sync: release) */
/* clang-format off */
#define AUDIT_EVENTS(X)                                                                          \
    X(START,            "broker.start",        false)                                            \
    X(STOP,             "broker.stop",         false)                                            \
    X(CHECKPOINT,       "audit.checkpoint",    false)                                            \
    X(RECOVERED,        "audit.recovered",     false)                                            \
    X(WORKER_EXIT,      "worker.exit",         false)                                            \
    X(PEER_REFUSED,     "peer.refused",        false)                                            \
    X(PROTOCOL,         "worker.protocol",     false)                                            \
    X(LEASE_ISSUE,      "lease.issue",         true)                                             \
    X(LEASE_RENEW,      "lease.renew",         true)                                             \
    X(LEASE_END,        "lease.end",           true)                                             \
    X(LEASE_EXPIRED,    "lease.expired",       false)                                            \
    X(LEASE_OWNER_GONE, "lease.owner_gone",    false)                                            \
    X(LEASE_DENIED,     "lease.denied",        false)                                            \
    X(LEASE_UNDO,       "lease.undo",          false)                                            \
    X(TOKEN_REFUSED,    "token.refused",       false)                                            \
    X(REQUEST_BEGIN,    "request.begin",       false)                                            \
    X(REQUEST_DENIED,   "request.denied",      false)                                            \
    X(REQUEST_AGAIN,    "request.again",       false)                                            \
    X(REQUEST_END,      "request.end",         false)                                            \
    X(BUDGET_LOST,      "budget.lost",         false)                                            \
    X(FILE_PROJECT,     "file.project",        true)                                             \
    X(FILE_REMOVE,      "file.remove",         false)                                            \
    X(STORE_INIT,       "store.init",          true)                                             \
    X(STORE_UNLOCK,     "store.unlock",        true)                                             \
    X(STORE_LOCK,       "store.lock",          true)                                             \
    X(STORE_ROLLBACK,   "store.rollback",      true)                                             \
    X(STORE_COMMIT,     "store.commit",        false)                                            \
    X(STORE_ACCEPT,     "store.accept",        true)                                             \
    X(KEY_ADD,          "key.add",             true)                                             \
    X(KEY_REMOVE,       "key.remove",          true)                                             \
    X(REKEY_BEGIN,      "rekey.begin",         true)                                             \
    X(REKEY_END,        "rekey.end",           true)                                             \
    X(CRED_ENROLL,      "credential.enroll",   true)                                             \
    X(CRED_REPLACE,     "credential.replace",  true)                                             \
    X(CRED_REMOVE,      "credential.remove",   true)                                             \
    X(CRED_RELEASE,     "credential.release",  true)                                             \
    X(CRED_NEEDS_LOGIN, "credential.needs_login", false)                                         \
    X(LOGIN_BEGIN,      "login.begin",         true)                                             \
    X(LOGIN_END,        "login.end",           true)                                             \
    X(LOGIN_DENIED,     "login.denied",        false)                                            \
    X(REFRESH_BEGIN,    "refresh.begin",       false)                                            \
    X(REFRESH_END,      "refresh.end",         false)                                            \
    X(CRED_RESUME,      "credential.resume",   true)                                             \
    X(CONSUMER_ADD,     "consumer.add",        true)                                             \
    X(CONSUMER_REMOVE,  "consumer.remove",     true)                                             \
    X(GRANT_ADD,        "grant.add",           true)                                             \
    X(GRANT_REMOVE,     "grant.remove",        true)                                             \
    X(RELOAD,           "config.reload",       true)                                             \
    X(ADMIN_DENIED,     "admin.denied",        false)
/* clang-format on */

enum audit_event {
#define AUDIT_EVENT_ENUM(n, s, r) AUDIT_##n,
    AUDIT_EVENTS(AUDIT_EVENT_ENUM)
#undef AUDIT_EVENT_ENUM
        AUDIT__COUNT
};
const char *audit_event_name(enum audit_event e);
bool audit_event_is_release(enum audit_event e);

/* Everything a record can say. Zero/NULL members are left out. Strings here are names checked at the door, or redaction ids. */
struct audit_record {
    enum audit_event event;
    err_t outcome; /* "outcome":"ok"|"denied"|"error", "reason": wire code */
    const char *consumer, *credential, *provider;
    const char *delivery;
    const char *lease;         /* lease id, hex; not a secret: the token's tag is */
    const char *leases;        /* several, a blank between two */
    const char *account;       /* redaction id */
    const char *token;         /* redaction id of a presented token */
    const char *source, *role; /* key source, or kind of client that renews; worker role */
    const struct peer *peer;   /* uid, gid, pid, exe */
    int64_t ttl_ms;
    uint64_t uses;
    uint64_t count;   /* how many leases a revoke ended, records a rekey sealed */
    uint64_t version; /* credential version */
    uint64_t
        manifest_seq; /* with manifest_hash: the store's head after a commit (rollback anchor) */
    const uint8_t *manifest_hash; /* 16 bytes */
    uint64_t
        key_serial; /* the key header's: the anchor against an older one, whose removed slots would open again */
    int64_t status; /* wait status of a worker */
    bool has_status;
    /* of a proxied request */
    const char *method, *path,
        *model; /* the allow rule's path, or the request's: 64 bytes at most, plain */
    uint64_t serial, http_status, in_bytes, out_bytes;
    int64_t duration_ms, first_ms;
    uint64_t input, output, cache_read, cache_write; /* tokens */
    uint64_t cost;                                   /* millionths of a dollar */
};

struct audit;
struct audit_env {
    int dirfd; /* $STATE/audit */
    struct sink *sink;
    const struct secret *seal_key, *redact_key; /* borrowed for audit's life */
    const uint8_t *store_id;
    uint64_t max_bytes;
};
/* A new log: makes k_0 and the signing key. k_0 is written to auditor.key (0600) in dirfd for the auditor to take away, the public key to
 * audit.pub (hex, one line); both are named by `broker-cli init`. Writes these files itself. ERR_EXISTS: there are segments already. */
MUST err_t audit_create(const struct audit_env *env, struct audit **out, struct why *why);
/* Opens an existing one: loads audit.state, replays and verifies the tail. ERR_CORRUPT / ERR_ROLLBACK with the line number when
 * the tail does not verify: *out is still set and can append, `why` says it; so says every later audit_open, until AUDIT_STORE_ACCEPT
 * was appended with outcome ok. A lost audit.state begins a new chain (auditor-N.key, audit-N.pub; N its first line) in the same
 * way. Any other error leaves *out alone; ERR_UNAVAILABLE: a writer of an earlier run still drains (waits up to 1 s for it). */
MUST err_t audit_open(const struct audit_env *env, struct audit **out, struct why *why);
void audit_close(
    struct audit *a); /* saves the state, gives up the segment; takes NULL. Waits for nothing. */
/* The newest manifest head that the log knows of: seq 0 when none. For rollback detection. */
void audit_anchor(const struct audit *a, uint64_t *seq, uint8_t hash[16]);
/* The same for the key header's serial. */
uint64_t audit_key_serial(const struct audit *a);

/* Formats, chains and appends one line. *pos: the sink position to wait for. ERR_AUDIT: nothing was recorded, do not release. Checkpoints
 * by count and rolls by size happen here. */
MUST err_t audit_append(struct audit *a, const struct audit_record *r, uint64_t *pos,
                        struct why *why);
/* The same for what has happened already (a lease that ended, a release taken back): appended to an unhealthy log too, as long as the ring
 * has room, and written when it is well again. */
MUST err_t audit_note(struct audit *a, const struct audit_record *r, struct why *why);
/* Checkpoint (signed line + sealed state) when due: each 1,024 lines, 10 minutes, roll, or `force`. Called from a timer. */
MUST err_t audit_checkpoint(struct audit *a, bool force, struct why *why);
uint64_t audit_seq(const struct audit *a);
/* Reads lines with seq > after (at most `limit`, at most `out->max` bytes) as they are, for `audit tail|show|export`. Log text is not
 * secret. */
MUST err_t audit_read(struct audit *a, uint64_t after, unsigned limit, struct buf *out,
                      struct why *why);

#endif
