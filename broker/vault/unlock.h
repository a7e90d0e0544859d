/*
 * From a closed store to an open one: which key slots are tried, what is opened with the master key, and in which order; and back.
 */
#ifndef VAULT_UNLOCK_H
#define VAULT_UNLOCK_H

#include "vault/keycall.h"
#include "vault/server.h"

/* Reads the key header: VAULT_LOCKED, or VAULT_UNINITIALISED and ERR_UNINIT when there is none. Not while the store is open. */
MUST err_t unlock_load(struct vault *v, struct why *why);
/* Loads, and tries every slot that needs no person, in the configuration's order. */
void unlock_at_start(struct vault *v);
/* As an operator asks: `passphrase` empty = only slots that need none; `source` empty = all. `p` is answered when it is decided. */
void unlock_try(struct vault *v, struct view source, struct view passphrase, struct pending *p);
/* Opens all there is with a master key, which it takes; the state is then READY, ROLLBACK (also ERR_OK: an operator decides), or LOCKED
 * with the reason. `fresh`: makes the log, writes the header. */
struct unlock_keys {
    struct keyheader header;
    struct secret *master, *previous;
    bool fresh;
};
MUST err_t unlock_open(struct vault *v, const struct unlock_keys *keys, struct why *why);
/* Forgets every key and all that was opened with them. Leases stay in the journal. */
void unlock_close(struct vault *v, const char *why);
/* An operator accepted a store that is older than its anchors: VAULT_ROLLBACK becomes VAULT_READY. */
void unlock_accept(struct vault *v);
void unlock_state(struct vault *v, enum vault_state s, const char *why);
/* The header as it is in memory, to the disk. */
MUST err_t unlock_write_header(struct vault *v, struct why *why);
/* The head of the store into the log: the anchor that a rollback is measured by. */
void unlock_note_commit(struct vault *v);

#endif
