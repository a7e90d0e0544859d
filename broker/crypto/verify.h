/*
 * Offline verification of an audit log: a directory of segments audit-NNNNNN.jsonl, without the vault, with the auditor's key and/or
 * the public key. No JSON parser: a line ends in `,"mac":"<64 hex>"}` and begins with `{"seq":N,`; everything before the mac member
 * (plus the closing brace) is what was chained, byte for byte.
 *
 * After an I/O error the audit writer begins a new segment and writes again what was not yet durable. So exact repeats of one of
 * the last VERIFY_WINDOW lines are dropped, and a segment may end in a piece of the line that the next one then begins anew.
 *
 * A log in which something was found goes on, once the operator accepted it, as the vault goes on: the key of a line depends on
 * its number alone, and the next line links to the mac that stands before it. So the lines behind a bad one are verified too.
 */
#ifndef CRYPTO_VERIFY_H
#define CRYPTO_VERIFY_H

#include "crypto/chain.h"

enum { VERIFY_LINE_MAX = 16384, VERIFY_WINDOW = 16384, VERIFY_GAP_MAX = 1 << 20 };

struct verify_verdict {
    uint64_t lines, checkpoints; /* good ones */
    uint64_t bad, first_bad_seq; /* findings; the first one's number, 0: none */
    bool macs_checked, signatures_checked;
    uint64_t
        last_checkpoint_seq; /* with the public key alone, lines from here on are not vouched for */
    char problem[200];       /* the first finding */
};

/* Used by `broker-cli audit verify` and by tests. `k0`: the auditor's key or NULL; `pk`: public key or NULL. ERR_OK whenever the
 * log could be read, good or bad: the verdict says which. ERR_NOT_FOUND: no segments; ERR_IO and the like. */
MUST err_t verify_dir(int dirfd, const struct secret *k0, const uint8_t *pk,
                      struct verify_verdict *out, struct why *why);

/* The same for a chain that began at line `first` (auditor-N.key, audit-N.pub: N): lines before it are not looked at. */
struct verify_keys {
    const struct secret *k0; /* or NULL */
    const uint8_t *pk;       /* or NULL */
    uint64_t first;          /* 0 and 1: the log's beginning */
};
MUST err_t verify_dir_from(int dirfd, const struct verify_keys *keys, struct verify_verdict *out,
                           struct why *why);

/* The same over bytes in memory: begin, then for each segment its bytes in pieces and verify_segment_end, then verify_end. */
struct verifier {
    struct verify_verdict verdict;
    struct chain chain; /* key NULL without k0 */
    const uint8_t *pk;
    uint64_t first, skipped; /* lines missing in all holes */
    bool begun;              /* line `first` or a later one was seen */
    bool fresh;              /* no new line yet in this segment: repeats may stand here */
    uint8_t log_id[16];
    struct buf line, body, torn; /* under construction; without its mac; what a segment ended in */
    struct buf seen;             /* hashes of the last lines */
};
MUST err_t verify_begin(const struct verify_keys *keys, struct verifier *out);
void verify_feed(struct verifier *v, struct view bytes);
void verify_segment_end(struct verifier *v);
void verify_end(struct verifier *v); /* the verdict is then complete */
void verify_free(struct verifier *v);

#endif
