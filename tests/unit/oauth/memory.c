/* oauth/memory.c: what libcurl gives back is wiped. */
#include "check.h"

#include "oauth/memory.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

TEST(blocks_hold_what_is_put_in_them)
{
    char *a = memory_malloc(10), *b = memory_strdup("refresh token");
    uint8_t *c = memory_calloc(3, 5);
    CHECK(a && b && c && (uintptr_t)a % _Alignof(max_align_t) == 0);
    CHECK_STR(b, "refresh token");
    for (int i = 0; i < 15; i++)
        CHECK_INT(c[i], 0);
    memcpy(a, "0123456789", 10);
    a = memory_realloc(a, 100);
    CHECK(a && memcmp(a, "0123456789", 10) == 0);
    a = memory_realloc(a, 4);
    CHECK(a && memcmp(a, "0123", 4) == 0);
    memory_free(a);
    memory_free(b);
    memory_free(c);
    memory_free(NULL);
    memory_free(memory_realloc(NULL, 7));
}

TEST(sizes_that_wrap_give_nothing)
{
    volatile size_t huge = SIZE_MAX;
    CHECK(!memory_malloc(huge));
    CHECK(!memory_malloc(huge - 8));
    CHECK(!memory_calloc(huge / 2, 3));
}

#if !defined(__SANITIZE_ADDRESS__)
TEST(a_freed_block_is_wiped)
{
    static const char secret[] = "a refresh token that must not stay on the heap";
    char *p = memory_malloc(4096);
    CHECK(p);
    memcpy(p + 2000, secret, sizeof(secret));
    volatile char *at = p + 2000; /* the allocator writes its links at the beginning of the block only */
    memory_free(p);
    bool left = true;
    for (size_t i = 0; i < sizeof(secret); i++)
        left &= at[i] == secret[i];
    CHECK(!left);
}
#endif

TEST(libcurl_takes_them)
{
    struct why why = {0};
    CHECK_OK(memory_curl_init(&why), why);
}
