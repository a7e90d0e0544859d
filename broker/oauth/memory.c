/*
 * Each block carries its length in front, so that free and realloc can wipe all of it.
 */
#include "oauth/memory.h"

#include <broker/secret.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

struct block {
    size_t n;
    _Alignas(max_align_t) uint8_t bytes[];
};

static struct block *block_of(void *p)
{
    return (struct block *)(void *)((uint8_t *)p - offsetof(struct block, bytes));
}

void *memory_malloc(size_t n)
{
    if (n > SIZE_MAX - sizeof(struct block))
        return NULL;
    struct block *b = malloc(sizeof(*b) + n);
    if (!b)
        return NULL;
    b->n = n;
    return b->bytes;
}

void memory_free(void *p)
{
    if (!p)
        return;
    struct block *b = block_of(p);
    wipe(b->bytes, b->n);
    free(b);
}

void *memory_realloc(void *p, size_t n)
{
    void *fresh = memory_malloc(n);
    if (!fresh || !p)
        return fresh;
    size_t had = block_of(p)->n;
    memcpy(fresh, p, had < n ? had : n);
    memory_free(p);
    return fresh;
}

void *memory_calloc(size_t n, size_t size)
{
    size_t total = 0;
    void *p = __builtin_mul_overflow(n, size, &total) ? NULL : memory_malloc(total);
    return p ? memset(p, 0, total) : NULL;
}

char *memory_strdup(const char *s)
{
    size_t n = strlen(s) + 1;
    char *p = memory_malloc(n);
    return p ? memcpy(p, s, n) : NULL;
}

err_t memory_curl_init(struct why *why)
{
    CURLcode code = curl_global_init_mem(CURL_GLOBAL_ALL, memory_malloc, memory_free,
                                         memory_realloc, memory_strdup, memory_calloc);
    return code == CURLE_OK
               ? ERR_OK
               : fail(why, ERR_INTERNAL, "libcurl does not start: %s", curl_easy_strerror(code));
}
