/*
 * The pool of secret memory: one mapping between two guard pages, cut into chunks of six sizes with a free list each. One mapping,
 * because memfd_secret and mlock are accounted per page and sodium_malloc costs 18 us a call; sizes, so that freeing is exact
 * and a chunk is never found in two hands. Invariant: a chunk on a free list is all zeros.
 */
#include <broker/secret.h>

#include "base/auto.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

struct secret {
    uint8_t *p;
    size_t len;
    unsigned size_class;
    struct secret *next; /* on a free list */
};

static const size_t class_size[] = {64, 256, 1024, 4096, 16384, SECRET_MAX};

/* The one pool of the process: a secret has no context to carry it, and two pools would be one too many. */
static struct pool {
    uint8_t *base;
    size_t size, used, page;
    const char *kind;
    struct secret *free_list[COUNT(class_size)];
} pool = {.kind = "none"};

enum { POOL_MAX = 64 << 20, STACK_BYTES = 32 << 10 };

/* Room with a guard page on either side; NULL when there is no address space. */
static uint8_t *reserve(size_t size, size_t page)
{
    uint8_t *p =
        mmap(NULL, size + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p + page;
}

static bool map_memfd_secret(uint8_t *at, size_t size)
{
    AUTO(auto_close) int fd = (int)syscall(SYS_memfd_secret, (unsigned)O_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)size) != 0)
        return false;
    if (mmap(at, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
        return false;
    return madvise(at, size, MADV_DONTFORK) ==
           0; /* shared: a child would see, and could wipe, its parent's secrets */
}

static bool map_locked(uint8_t *at, size_t size)
{
    if (mmap(at, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
        MAP_FAILED)
        return false;
    if (mlock(at, size) != 0)
        return false;
    (void)madvise(at, size, MADV_DONTDUMP);
    (void)madvise(at, size, MADV_DONTFORK);
    return true;
}

err_t secret_pool_open(size_t bytes, struct why *why)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t size = (bytes + page - 1) / page * page;
    if (pool.base)
        return fail(why, ERR_CONFLICT, "the pool of secrets is open already");
    if (size == 0 || size > POOL_MAX)
        return fail(why, ERR_INVALID, "a pool of secrets has 1 byte to %d MiB", POOL_MAX >> 20);
    if (sodium_init() < 0)
        return fail(why, ERR_UNAVAILABLE, "libsodium finds no source of randomness");
    uint8_t *at = reserve(size, page);
    if (!at)
        return fail_errno(why, errno, "no address space for secrets");
    const char *kind = map_memfd_secret(at, size) ? "memfd_secret"
                       : map_locked(at, size)     ? "mlock"
                                                  : NULL;
    if (!kind) {
        (void)munmap(at - page, size + 2 * page);
        return fail(why, ERR_UNAVAILABLE,
                    "cannot lock %zu KiB of memory for secrets: raise RLIMIT_MEMLOCK (ulimit -l, "
                    "LimitMEMLOCK=)",
                    size >> 10);
    }
    pool = (struct pool){.base = at, .size = size, .page = page, .kind = kind};
    return ERR_OK;
}

const char *secret_pool_kind(void)
{
    return pool.kind;
}

void secret_pool_close(void)
{
    if (!pool.base)
        return;
    for (size_t i = 0; i < COUNT(class_size); i++)
        for (struct secret *s; (s = pool.free_list[i]) != NULL;) {
            pool.free_list[i] = s->next;
            free(s);
        }
    wipe(pool.base, pool.size);
    (void)munmap(pool.base - pool.page, pool.size + 2 * pool.page);
    pool = (struct pool){.kind = "none"};
}

static struct secret *carve(unsigned class)
{
    if (!pool.base || pool.size - pool.used < class_size[class])
        return NULL;
    struct secret *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->p = pool.base + pool.used;
    s->size_class = class;
    pool.used += class_size[class];
    return s;
}

/* the smallest class that fits, from its free list; else new room; else a larger chunk somebody freed */
static struct secret *take(unsigned class)
{
    struct secret *s = pool.free_list[class];
    if (!s && (s = carve(class)) != NULL)
        return s;
    for (unsigned i = class; !s && i < COUNT(class_size); i++)
        s = pool.free_list[i];
    if (s)
        pool.free_list[s->size_class] = s->next;
    return s;
}

struct secret *secret_new(size_t len)
{
    unsigned class = 0;
    if (len == 0 || len > SECRET_MAX)
        return NULL;
    while (class_size[class] < len)
        class ++;
    struct secret *s = take(class);
    if (!s)
        return NULL;
    s->len = len;
    s->next = NULL;
    return s;
}

struct secret *secret_from(const void *p, size_t n)
{
    struct secret *s = secret_new(n);
    if (s)
        memcpy(s->p, p, n);
    return s;
}

void secret_free(struct secret *s)
{
    if (!s)
        return;
    wipe(s->p, class_size[s->size_class]);
    s->len = 0;
    s->next = pool.free_list[s->size_class];
    pool.free_list[s->size_class] = s;
}

size_t secret_len(const struct secret *s)
{
    return s->len;
}

const uint8_t *secret_bytes(const struct secret *s)
{
    return s->p;
}

uint8_t *secret_edit(struct secret *s)
{
    return s->p;
}

void secret_shrink(struct secret *s, size_t len)
{
    if (len >= s->len)
        return;
    wipe(s->p + len, s->len - len);
    s->len = len;
}

bool secret_equal(const struct secret *a, const struct secret *b)
{
    return a->len == b->len && equal_ct(a->p, b->p, a->len);
}

void wipe(void *p, size_t n)
{
    if (n)
        sodium_memzero(p, n);
}

/* No function of ours keeps a secret in a local array, but libraries and the loader spill vector registers: 32 bytes of whatever was
 * copied last. */
void wipe_stack(void)
{
    sodium_stackzero(STACK_BYTES);
}

bool equal_ct(const void *a, const void *b, size_t n)
{
    return n == 0 || sodium_memcmp(a, b, n) == 0;
}
