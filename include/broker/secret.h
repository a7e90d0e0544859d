/*
 * A secret is a type: bytes in locked, undumpable, unforkable memory between guard pages, wiped when
 * freed. It has no printer (`%s` with it does not compile) and is compared in constant time.
 *
 * The memory comes from one pool made at secret_pool_open(): memfd_secret(2) where the kernel has it,
 * else an anonymous mapping with a *checked* mlock (sodium_malloc does not fail when its mlock does).
 * Not for broker-exec (libc only): it releases its secrets by execve.
 */
#ifndef BROKER_SECRET_H
#define BROKER_SECRET_H

#include <broker/err.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct secret; /* opaque */

enum { SECRET_MAX = 65536 }; /* bytes in one secret */

/* Makes the process's pool of `bytes` (rounded up to pages; at most 64 MiB). Call once, before the
 * first secret. ERR_UNAVAILABLE when the memory cannot be locked: says the RLIMIT_MEMLOCK needed. */
MUST err_t secret_pool_open(size_t bytes, struct why *why);
/* "memfd_secret", "mlock" or "none" */
const char *secret_pool_kind(void);
/* Wipes and unmaps the pool. Every secret must have been freed. */
void secret_pool_close(void);

/* A secret of `len` bytes (1..SECRET_MAX), zeroed; NULL when the pool is exhausted or not open. */
struct secret *secret_new(size_t len);
/* A copy of `n` bytes. */
struct secret *secret_from(const void *p, size_t n);
void secret_free(struct secret *s); /* wipes; takes NULL */

size_t secret_len(const struct secret *s);
const uint8_t *secret_bytes(const struct secret *s);
uint8_t *secret_edit(struct secret *s);           /* to fill it in place */
void secret_shrink(struct secret *s, size_t len); /* wipes the tail; len <= secret_len */
bool secret_equal(const struct secret *a, const struct secret *b); /* constant time in the bytes */

/* Wipes any memory; not removed by the compiler. */
void wipe(void *p, size_t n);
/* Wipes the 32 KiB of stack below the caller: what functions that have returned left there. For the end of a loop's turn. */
void wipe_stack(void);
/* Constant-time compare of two byte strings of equal length. */
bool equal_ct(const void *a, const void *b, size_t n);

#endif
