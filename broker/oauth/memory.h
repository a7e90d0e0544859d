/*
 * Memory for libcurl that is wiped when it is given back: by default it leaves two copies of a request's body on the heap.
 */
#ifndef OAUTH_MEMORY_H
#define OAUTH_MEMORY_H

#include <broker/err.h>
#include <stddef.h>

/* curl_global_init_mem() with these; once, before any other call of libcurl. */
MUST err_t memory_curl_init(struct why *why);

void *memory_malloc(size_t n);
void memory_free(void *p); /* takes NULL */
void *memory_realloc(void *p, size_t n);
void *memory_calloc(size_t n, size_t size);
char *memory_strdup(const char *s);

#endif
