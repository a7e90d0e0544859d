/*
 * The audit log from inside: shared by audit.c (writing) and audit_replay.c (opening). audit.state, sealed: u8 format, u8 suspect,
 * u64 anchor seq, anchor hash (16), u64 key serial, public key (32), signing key (64), chain (CHAIN_STATE bytes).
 */
#ifndef VAULT_AUDIT_STATE_H
#define VAULT_AUDIT_STATE_H

#include "vault/audit_line.h"

#define AUDIT_STATE_FILE "audit.state"

struct audit {
    struct audit_env env;
    struct chain chain; /* seq: of the next line */
    struct secret *sign;
    uint8_t pk[CHAIN_PK];
    uint64_t anchor_seq;
    uint8_t anchor_hash[16];
    uint64_t key_serial;
    bool suspect;          /* cut or changed behind our back, and no operator accepted it yet */
    uint32_t segment;      /* the number we asked for last */
    uint64_t bytes;        /* in it */
    uint64_t since;        /* lines since the last checkpoint */
    int64_t checkpoint_ms; /* when that was (boot clock) */
    struct buf line;
};

struct audit *audit_new(const struct audit_env *env); /* NULL: out of memory */
void audit_free(struct audit *a);                     /* without saving */
static inline void auto_audit(struct audit **a)
{
    audit_free(*a);
}
/* New k_0 and signing key; the auditor's files are written as auditor<suffix>.key and audit<suffix>.pub. */
MUST err_t audit_new_keys(struct audit *a, const char *suffix, struct why *why);
MUST err_t audit_state_seal(const struct audit *a, struct buf *out, struct why *why);
/* Reads and opens audit.state into `a`. ERR_NOT_FOUND, ERR_CORRUPT. */
MUST err_t audit_state_load(struct audit *a, struct why *why);

#endif
