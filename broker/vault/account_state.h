/*
 * Accounts over a restart: small sealed files budget-NNNNNN.state beside the audit log, one per ACCOUNTS_PER_PART accounts, replaced by the
 * audit writer when they changed, at most once a second. So kill -9 loses about a second of charges.
 *
 * Contents: an entry (FORMAT.md, "Entry") under the subkey `budget`, context "budget", generation = the number of the part, of
 *     u8 format (1), u8 accounts, per account: str16 consumer, str16 credential, u8 windows, per window: u8 kind, u64 start, u64 period, u64 used
 */
#ifndef VAULT_ACCOUNT_STATE_H
#define VAULT_ACCOUNT_STATE_H

#include "vault/account.h"
#include "vault/sink.h"
#include <broker/secret.h>

enum { ACCOUNT_KEEP_MS = 1000, ACCOUNT_FILE_NAME = 32 };

/* Reads all files of the directory. What does not verify is left out and sets as->suspect; *bad says how many. ERR_IO and the like: the
 * directory cannot be read, which counts the same. */
MUST err_t account_state_load(struct accounts *as, int dirfd, const struct secret *key,
                              unsigned *bad, struct why *why);
/* Hands what changed to the writer when it is time (or `force`). What finds no room stays for the next time. */
void account_state_keep(struct accounts *as, struct sink *sink, const struct secret *key,
                        bool force);
/* Of a store that is gone: its files are removed. */
MUST err_t account_state_remove(int dirfd, struct why *why);

/* One part's plaintext, for tests and the fuzzer. Decoding is total and all or nothing; it checks that kinds, names and numbers are in
 * range. */
void account_part_encode(const struct accounts *as, unsigned part, struct buf *out);
MUST err_t account_part_decode(struct accounts *as, unsigned part, struct view plain,
                               struct why *why);

#endif
