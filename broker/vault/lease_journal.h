/*
 * The journal of leases: what the vault must know again after a crash. Stream SINK_JOURNAL, segments leases-NNNNNN.journal.
 *
 * Frame:   u16 length of what follows the next field, u16 its complement, body, MAC (32 bytes, crypto/chain.h)
 * Body:    u8 type, u64 generation, u64 sequence number in it, i64 highest wall clock seen (ms), then by type:
 *   HEAD   u8 format (1), boot id (16), u64 generation, u64 sequence and MAC (32) of the entry before; generation 0: no entry before
 *   PUT    id (16), str16 consumer, credential, prefix, file, u8 delivery, u8 flags (1 limited uses, 2 owner: process),
 *          i64 issued, expires and max (wall ms), i64 expires and max (boot ms), u64 uses left, u32 uid, u32 pid, u64 start
 *          ticks of pid, u64 serial, limits (32): the whole state of one lease; a later PUT replaces it
 *   END    id (16), u8 enum lease_end
 *   TICK   nothing: carries the wall clock forward
 *   EXPIRED i64 boot ms: each lease whose newest entry is of this generation and whose boot deadline is not later has ended
 *   DONE   nothing: each live lease has a PUT in this generation, so the segments before its HEAD are not needed
 *
 * A generation begins with HEAD, a new segment, and the chain's first key. Compaction is: begin a generation, PUT each live lease again,
 * write DONE, and when that is durable remove the older segments. An append that fails breaks the chain, so the next one
 * begins a generation too; what was ended meanwhile has no PUT in it and is dropped at its DONE.
 */
#ifndef VAULT_LEASE_JOURNAL_H
#define VAULT_LEASE_JOURNAL_H

#include "crypto/chain.h"
#include "vault/lease_segment.h"
#include "vault/lease_table.h"

enum journal_type {
    JOURNAL_HEAD = 1,
    JOURNAL_PUT,
    JOURNAL_END,
    JOURNAL_TICK,
    JOURNAL_DONE,
    JOURNAL_EXPIRED
};
enum {
    JOURNAL_FORMAT = 2,
    JOURNAL_PREFIX = 4,
    JOURNAL_BODY_MIN = 25,
    JOURNAL_FIRST = 1
}; /* JOURNAL_FIRST: sequence number of HEAD */
enum { JOURNAL_LIMITED = 1, JOURNAL_OWNER = 2 };

struct journal_link { /* the newest entry */
    uint64_t generation, seq;
    uint8_t mac[CHAIN_MAC];
};
struct journal {
    struct sink *sink;
    int dirfd;
    const struct secret *key;
    struct chain chain;
    struct journal_link link;
    struct buf frame;
    uint8_t boot_id[16];
    uint64_t generation,
        segment;       /* of the present generation: its number, and that of its first segment */
    uint64_t entries;  /* in it */
    uint64_t done_pos; /* sink position of its DONE */
    int64_t wall_high,
        wall_boot;   /* the highest wall clock known, ms; when it was seen on the boot clock */
    bool open;       /* a generation is begun and its chain whole */
    bool done, tidy; /* DONE is written; older segments are removed */
};

void journal_init(struct journal *j, const struct leases_env *env);
void journal_clear(struct journal *j);
/* The wall clock, except that it never goes back: never less than the highest one recorded and the time since then. */
int64_t journal_wall_ms(const struct journal *j);
/* `wall` was seen now. */
void journal_saw_wall(struct journal *j, int64_t wall);

/* Each appends one entry, beginning a generation where there is none (journal_done needs one). After any failure nothing was
 * recorded and `open` is false. ERR_AUDIT: the sink did not take it. */
MUST err_t journal_put(struct journal *j, struct lease_node *n, struct why *why);
MUST err_t journal_end(struct journal *j, const struct lease *l, enum lease_end how,
                       struct why *why);
/* The generation must be open. */
MUST err_t journal_expired(struct journal *j, int64_t until_boot_ms, struct why *why);
MUST err_t journal_tick(struct journal *j, struct why *why);
MUST err_t journal_done(struct journal *j, struct why *why);
MUST err_t journal_begin(struct journal *j, struct why *why);
/* Removes the segments before the present generation, once its DONE is durable. */
void journal_tidy(struct journal *j);

/* Reads all segments into `t` (empty before), in order of serial. ERR_CORRUPT: `t` is empty again, the segments are renamed
 * to *.corrupt and `why` says where. Deadlines are as recorded; nobody's owner was looked at. */
MUST err_t journal_replay(struct journal *j, struct lease_table *t, struct why *why);

#endif
