/*
 * From a closed store to an open one: which key slots are tried, what is opened with the master key, and in which order; and back.
 */
#ifndef VAULT_UNLOCK_H
#define VAULT_UNLOCK_H

#include "vault/keycall.h"
#include "vault/server.h"

/* Reads the key header (none: VAULT_UNINITIALISED) and tries every slot that needs no person, in the configuration's order. */
void unlock_at_start(struct vault *v);
/* As an operator asks: `passphrase` empty = only slots that need none; `source` empty = all. `p` is answered when it is decided. */
void unlock_try(struct vault *v, struct view source, struct view passphrase, struct pending *p);
/* A new store whose first slot comes from `source`; `p` is answered. */
void unlock_init(struct vault *v, const struct keycall *how, struct pending *p);
/* Forgets every key and all that was opened with them. Leases stay in the journal. */
void unlock_close(struct vault *v, const char *why);
/* An operator accepts a store that is older than its anchors. */
MUST err_t unlock_accept(struct vault *v, struct why *why);
void unlock_state(struct vault *v, enum vault_state s, const char *why);
/* The header as it is in memory, to the disk. */
MUST err_t unlock_write_header(struct vault *v, struct why *why);
/* The head of the store into the log: the anchor that a rollback is measured by. */
void unlock_note_commit(struct vault *v);

#endif
