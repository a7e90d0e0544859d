/*
 * The table of leases, and its journal. A lease is one use of a grant: id, limits, state; it ends by expiry, revocation, use count,
 * or with its owner's process. Deadlines are kept on CLOCK_BOOTTIME; across a reboot the wall-clock end counts, never later than
 * the highest wall clock seen. The journal (stream SINK_JOURNAL) is a chain of keyed-MAC entries: it holds no secret, and cannot be
 * forged, edited or cut in its middle unseen; entries cut from its end look like a crash. It is compacted when it holds more dead
 * entries than live ones. Layout: lease_journal.h.
 */
#ifndef VAULT_LEASE_H
#define VAULT_LEASE_H

#include "base/loop.h"
#include "vault/policy.h"
#include "vault/sink.h"
#include "crypto/token.h"

enum { LEASE_MAX_LIVE = 65536 };
enum lease_end {
    LEASE_END_EXPIRED,
    LEASE_END_REVOKED,
    LEASE_END_OWNER,
    LEASE_END_USES,
    LEASE_END_UNDO
};

struct lease {
    uint8_t id[TOKEN_LEASE_ID];
    char id_hex[2 * TOKEN_LEASE_ID + 1];
    char consumer[65], credential[65], prefix[33];
    enum delivery delivery;
    int64_t issued_wall_ms, expires_wall_ms; /* for people and for a reboot */
    int64_t expires_boot_ms, max_boot_ms;    /* max: renewals never go beyond */
    int64_t max_wall_ms;
    uint64_t uses_left; /* 0: unlimited; counts down */
    bool limited_uses;
    uint32_t uid;
    int32_t pid;
    bool owner_process;
    struct proxied *running;  /* proxied requests under it (proxied.h) */
    struct live_route *route; /* that its requests took last (route_table.h) */
    char file[128];           /* projected file relative to the consumer's directory; "" none */
    uint8_t limits[32];       /* bound into the token (FORMAT.md, "Token") */
};

struct leases;
struct leases_env {
    struct loop *loop;
    struct sink *sink;
    int dirfd;                        /* $STATE/leases: segments of the journal */
    const struct secret *journal_key; /* borrowed */
    /* Called once for every end but an explicit lease_end() by the server: expiry, owner's death, a use too many. From the loop, or
     * from lease_use; never from leases_open (what is found dead then ends in the loop's first turn). The lease is not found any
     * more, and is freed after. */
    void (*on_end)(void *ctx, const struct lease *lease, enum lease_end how);
    /* Called when a lease with owner_process and unlimited uses comes near its end while its process lives: the callee may lease_renew()
     * it and returns whether it did. A program that was started with a lease cannot renew it itself. May be NULL. */
    bool (*on_due)(void *ctx, struct lease *lease);
    /* Called at every end but leases_close(), explicit ones too, before the lease is freed: what runs under it must stop. May be NULL. */
    void (*on_stop)(void *ctx, struct lease *lease, enum lease_end how);
    void *ctx;
};
/* Replays the journal of earlier runs; the writer of those runs must have ended. Live leases with owner_process whose process is
 * gone, or that were of another boot, end. ERR_CORRUPT: the journal does not verify; *out is set and holds no lease, the segments
 * are kept as *.corrupt, `why` says where. Any other error: *out untouched. */
MUST err_t leases_open(const struct leases_env *env, struct leases **out, struct why *why);
void leases_close(struct leases *ls);
/* To be called at the end of each turn of the loop: records up to when leases expired. */
void leases_turn_end(struct leases *ls);

struct lease_ask { /* all borrowed for the call */
    const struct config_consumer *consumer;
    const struct peer *peer;
    const char *credential, *token_prefix;
    const struct policy_limits *limits;
};
/* Issues. `peer->pidfd` is duplicated when owner_process. ERR_LIMIT: the consumer's max_leases, LEASE_MAX_LIVE, or open
 * descriptors. ERR_CONFLICT: owner_process and no pidfd, or that process has ended. ERR_AUDIT: not recorded, not issued. */
MUST err_t lease_issue(struct leases *ls, const struct lease_ask *ask, struct lease **out,
                       struct why *why);
/* Ends `ttl_ms` from now, never beyond max. ERR_EXPIRED when it has ended, ERR_INVALID under 1 s. */
MUST err_t lease_renew(struct leases *ls, struct lease *l, int64_t ttl_ms, struct why *why);
/* How long renewals can still lengthen it. */
int64_t lease_room_ms(const struct lease *l);
/* Renewals may go on until `max_ttl_ms` from now: as if it were issued now, for whom policy has decided anew. Never earlier than before; its
 * tokens stay what they are. */
MUST err_t lease_extend(struct leases *ls, struct lease *l, int64_t max_ttl_ms, struct why *why);
/* One use. ERR_LIMIT when none is left: the lease then ends (on_end is called) and `l` is gone. */
MUST err_t lease_use(struct leases *ls, struct lease *l, struct why *why);
/* Ends and frees it; on_end is not called. It ends in any case: an error says that the end is not recorded yet (it will be, with the
 * journal's next generation). */
MUST err_t lease_end(struct leases *ls, struct lease *l, enum lease_end how, struct why *why);
struct lease *lease_by_id(struct leases *ls,
                          const uint8_t id[TOKEN_LEASE_ID]); /* NULL: none live */
struct lease *lease_by_hex(struct leases *ls, struct view hex);
/* Live leases in order of issue, from cursor 0; NULL at the end. Safe while leases end. */
struct lease *lease_next(struct leases *ls, uint64_t *cursor);
unsigned leases_live(const struct leases *ls);
/* The wall clock that deadlines in tokens are held against: it does not go back with the system's. */
int64_t leases_wall_ms(const struct leases *ls);
unsigned leases_live_of(const struct leases *ls, const char *consumer);
/* Records the projected file's path with the lease. */
MUST err_t lease_set_file(struct leases *ls, struct lease *l, const char *rel, struct why *why);
void lease_bind(const struct lease *l, struct token_bind *out);

#endif
