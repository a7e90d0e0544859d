/*
 * The contract of a store: where sealed bytes lie. A store knows nothing of keys, credentials or formats; everything it is
 * given is already sealed, and everything it returns is verified by the caller. Later stores (postgresql) keep the same contract.
 *
 * Three kinds of things: the key header (one small object, replaced whole), records (immutable, named, never overwritten), and
 * the manifest (an append-only sequence of entries in generations; appending is the commit point of every change).
 *
 * Durability: when a function that changes something returns ERR_OK the change survives power loss. When it fails, the state is
 * either as before or as after, never between. A failed fsync is never retried on the same file: the manifest then counts as
 * damaged (ERR_IO) until the caller writes a new generation with manifest_replace.
 */
#ifndef BROKER_STORE_H
#define BROKER_STORE_H

#include "base/buf.h"

enum {
    STORE_RECORD_MAX = 256 * 1024,
    STORE_HEADER_MAX = 64 * 1024,
    STORE_ENTRY_MAX = 4096,
    STORE_NAME_MAX = 64
};

struct store; /* defined by each store */

typedef err_t store_entry_fn(void *ctx, struct view entry); /* takes one entry */
typedef bool store_next_fn(void *ctx,
                           struct view *entry);          /* gives the next entry; false: the end */
typedef void store_name_fn(void *ctx, const char *name); /* takes one record's name */

struct store_ops {
    const char *name; /* "file" */

    /* Opens the store at `where` (file: the state directory). `create`: makes an empty one where there is none. Takes an
     * exclusive lock: a second opener gets ERR_CONFLICT "another brokerd (pid N) uses …". */
    err_t (*open)(struct store **out, const char *where, bool create, struct why *why);
    void (*close)(struct store *s);

    /* The key header. ERR_NOT_FOUND: the store is not initialised. */
    err_t (*header_read)(struct store *s, struct buf *out, struct why *why);
    err_t (*header_write)(struct store *s, struct view bytes, struct why *why);

    /* Records. `name`: [a-z0-9-]{1,64}. Writing an existing name is ERR_EXISTS. Reading a missing one ERR_NOT_FOUND. */
    err_t (*record_write)(struct store *s, const char *name, struct view bytes, struct why *why);
    err_t (*record_read)(struct store *s, const char *name, struct buf *out, struct why *why);
    err_t (*record_remove)(struct store *s, const char *name,
                           struct why *why); /* missing: ERR_OK */
    /* Calls fn for the name of every record that exists; order is not defined. For removing orphans. */
    err_t (*record_each)(struct store *s, store_name_fn *fn, void *ctx, struct why *why);

    /* Reads the newest generation from its first entry. fn returns ERR_OK to go on; any other outcome ends the reading and is
     * returned. A torn last entry (shorter than its length says) is left out and *torn set: the caller must then call
     * manifest_replace before it appends. No manifest at all: ERR_OK, no calls, *generation 0. *generation is set before the
     * first call. An entry never ends in 16 zero bytes (sealed ones end in a tag): a last one that does counts as torn. */
    err_t (*manifest_read)(struct store *s, store_entry_fn *fn, void *ctx, uint64_t *generation,
                           bool *torn, struct why *why);
    /* Appends one entry (1..STORE_ENTRY_MAX bytes) to the newest generation and makes it durable. */
    err_t (*manifest_append)(struct store *s, struct view entry, struct why *why);
    /* Writes a new generation, higher than the present one, holding exactly the entries that `next` yields (false: the end),
     * atomically, then removes older ones. An entry of no bytes or too many refuses the whole (ERR_INVALID): the way for
     * `next` to give up. */
    err_t (*manifest_replace)(struct store *s, uint64_t generation, store_next_fn *next, void *ctx,
                              struct why *why);
};

/* NULL-terminated. */
extern const struct store_ops *const stores[];
const struct store_ops *store_by_name(struct view name);

#endif
