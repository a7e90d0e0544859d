/*
 * One line of the audit log: the table of fields, how a record becomes a line, and the little that is read back from one.
 *     {"seq":N,"time":"…Z","event":"lease.issue","outcome":"ok",…,"mac":"<64 hex>"}\n
 * The body is the line without its mac member and newline: that is what the chain covers.
 */
#ifndef VAULT_AUDIT_LINE_H
#define VAULT_AUDIT_LINE_H

#include "crypto/chain.h"
#include "vault/audit.h"

enum { AUDIT_MAC_MEMBER = 8 + 2 * CHAIN_MAC + 2, AUDIT_LINE_MAX = 4096 };
_Static_assert((int)AUDIT_LINE_MAX < (int)SINK_RECORD_MAX, "a line fits the ring");

/* What a field holds; each kind has one form in the schema. */
enum audit_kind {
    AUDIT_K_SEQ,
    AUDIT_K_TIME,
    AUDIT_K_EVENT,
    AUDIT_K_OUTCOME,
    AUDIT_K_REASON, /* always, in this order; reason unless ok */
    AUDIT_K_NAME,
    AUDIT_K_WORD,
    AUDIT_K_LEASE,
    AUDIT_K_LEASES,
    AUDIT_K_REDACTED,
    AUDIT_K_METHOD,
    AUDIT_K_PATH,
    AUDIT_K_MODEL, /* const char *, left out when NULL or empty */
    AUDIT_K_COUNT,
    AUDIT_K_MS,     /* uint64_t, int64_t; left out when 0 */
    AUDIT_K_STATUS, /* int64_t, when has_status */
    AUDIT_K_ID,
    AUDIT_K_PID,
    AUDIT_K_EXE,  /* of the peer, left out without one */
    AUDIT_K_HASH, /* 16 bytes as hex, left out when NULL */
    AUDIT_K_LOG,
    AUDIT_K_SIG, /* of a checkpoint */
    AUDIT_K_MAC, /* always, last */
    AUDIT_K__COUNT
};
struct audit_field {
    const char *name;
    const char *key; /* `,"name":` */
    enum audit_kind kind;
    size_t offset; /* in struct audit_record, or in struct peer */
    const char *doc;
};
extern const struct audit_field audit_fields[];
extern const size_t audit_n_fields;

struct audit_stamp { /* what a record does not say itself */
    uint64_t seq;
    int64_t wall_ms;
    const uint8_t *log_id, *sig; /* of a checkpoint: 16 and CHAIN_SIG bytes; else NULL */
};
/* Appends the body. */
void audit_line_body(const struct audit_record *r, const struct audit_stamp *st, struct buf *out);
/* Makes the line of a body that ends `out`. */
void audit_line_finish(struct buf *out, const uint8_t mac[CHAIN_MAC]);

struct audit_parsed {
    uint64_t seq;
    uint8_t mac[CHAIN_MAC];
};
/* Of a line without its newline. `body`: reset, then its body. False: it is no line of ours. */
bool audit_line_parse(struct view line, struct audit_parsed *out, struct buf *body);
bool audit_line_seq(struct view line, uint64_t *seq);
/* For bodies that verified: is it this event; a number; a hash of 16 bytes. */
bool audit_line_is(struct view body, enum audit_event e);
bool audit_line_count(struct view body, const char *field, uint64_t *out);
bool audit_line_hash(struct view body, const char *field, uint8_t out[16]);

#endif
