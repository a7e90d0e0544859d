/*
 * One generation of the file store's manifest: a header, then length-prefixed entries, big-endian.
 * - header: "CBRKMANI", u32 format version (1), u64 generation, u32 zero: 24 bytes
 * - entry: u16 length (1..STORE_ENTRY_MAX), u16 its complement, the bytes
 *
 * Internal to broker/store.
 */
#ifndef STORE_GENERATION_H
#define STORE_GENERATION_H

#include <broker/store.h>

enum { GENERATION_HEADER = 24, GENERATION_NAME = 9 + 20 };

/* "manifest-<20 digits>" */
void generation_name(uint64_t generation, char out[GENERATION_NAME + 1]);
/* false when `name` is not exactly of that form */
bool generation_parse(const char *name, uint64_t *generation);

/* Reads and checks the header at the start of fd. *whole false: the file is shorter than a header,
 * never wholly written. ERR_VERSION: of a newer version; ERR_CORRUPT: no header of this generation.
 */
MUST err_t generation_check(int fd, uint64_t generation, bool *whole, struct why *why);

/* Calls fn with each entry of fd. See manifest_read in broker/store.h for *torn. */
MUST err_t generation_walk(int fd, store_entry_fn *fn, void *ctx, bool *torn, struct why *why);

/* One entry with its length, appended; `out` turns bad when it is empty or too long. */
MUST err_t generation_put(struct buf *out, struct view entry, struct why *why);
void generation_header(struct buf *out, uint64_t generation);

#endif
