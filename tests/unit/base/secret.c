#include <broker/secret.h>

#include "check.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void open_pool(size_t n)
{
    struct why w = {0};
    secret_pool_close();
    CHECK_OK(secret_pool_open(n, &w), w);
}

TEST(the_pool_is_locked_by_the_kernel_or_refused)
{
    open_pool(65536);
    const char *kind = secret_pool_kind();
    CHECK(strcmp(kind, "memfd_secret") == 0 || strcmp(kind, "mlock") == 0);
    struct why w = {0};
    CHECK_INT(secret_pool_open(65536, &w), ERR_CONFLICT);
    secret_pool_close();
    CHECK_STR(secret_pool_kind(), "none");
    CHECK(secret_new(32) == NULL);
    CHECK_INT(secret_pool_open(0, &w), ERR_INVALID);
    CHECK_INT(secret_pool_open((size_t)1 << 40, &w), ERR_INVALID);
}

TEST(memory_that_cannot_be_locked_is_an_error)
{
    secret_pool_close();
    if (geteuid() == 0)
        SKIP("root is not bound by RLIMIT_MEMLOCK");
    struct why w = {0};
    CHECK_INT(secret_pool_open((size_t)64 << 20, &w), ERR_UNAVAILABLE);
    CHECK(strstr(w.text, "RLIMIT_MEMLOCK"));
}

TEST(secrets_are_zeroed_distinct_and_reused)
{
    open_pool(1 << 20);
    struct secret *a = secret_new(32), *b = secret_new(32);
    CHECK(a && b && secret_bytes(a) != secret_bytes(b));
    for (int i = 0; i < 32; i++)
        CHECK_INT(secret_bytes(a)[i], 0);
    memset(secret_edit(a), 0xaa, 32);
    const uint8_t *p = secret_bytes(a);
    secret_free(a);
    for (int i = 0; i < 32; i++)
        CHECK_INT(p[i], 0); /* wiped at once */
    struct secret *c = secret_new(20);
    CHECK(secret_bytes(c) == p);
    CHECK_INT(secret_len(c), 20);
    secret_free(b);
    secret_free(c);
    secret_free(NULL);
}

TEST(sizes_have_their_limits)
{
    open_pool(1 << 20);
    CHECK(secret_new(0) == NULL);
    CHECK(secret_new(SECRET_MAX + 1) == NULL);
    struct secret *s = secret_new(SECRET_MAX);
    CHECK(s != NULL);
    secret_free(s);
}

TEST(an_exhausted_pool_gives_null_and_recovers)
{
    open_pool(65536);
    struct secret *all[2000];
    unsigned n = 0;
    while (n < 2000 && (all[n] = secret_new(64)) != NULL)
        n++;
    CHECK_INT(n, 1024);
    secret_free(all[--n]);
    all[n] = secret_new(10);
    CHECK(all[n] != NULL);
    for (unsigned i = 0; i <= n; i++)
        secret_free(all[i]);
}

TEST(comparison_and_shrinking)
{
    open_pool(65536);
    struct secret *a = secret_from("abcdef", 6), *b = secret_from("abcdeg", 6), *c = secret_from("abcdef", 6);
    CHECK(secret_equal(a, c) && !secret_equal(a, b));
    secret_shrink(a, 3);
    CHECK_INT(secret_len(a), 3);
    CHECK(!secret_equal(a, c));
    CHECK_INT(secret_bytes(a)[3], 0);
    CHECK(equal_ct("x", "y", 0) && equal_ct("x", "x", 1) && !equal_ct("x", "y", 1));
    secret_free(a);
    secret_free(b);
    secret_free(c);
}

__attribute__((noinline)) static const uint8_t *leave_behind(void)
{
    volatile uint8_t local[64];
    for (size_t i = 0; i < sizeof(local); i++)
        local[i] = 0x5a;
    uintptr_t at = (uintptr_t)local; /* as a number, so that nobody minds that it outlives its variable */
    return (const uint8_t *)at;
}

TEST(what_a_function_left_on_the_stack_is_wiped)
{
    const volatile uint8_t *left = leave_behind();
    wipe_stack();
    unsigned found = 0;
    for (size_t i = 0; i < 64; i++)
        found += left[i] == 0x5a;
    CHECK(found < 8); /* the call of wipe_stack itself stands there now */
}

TEST(a_forked_child_has_no_secrets)
{
    open_pool(4096);
    struct secret *s = secret_from("the parent's own", 16);
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGSEGV, SIG_DFL);
        _exit(secret_bytes(s)[0] == 't' ? 7 : 8);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    CHECK(!WIFEXITED(status) || WEXITSTATUS(status) != 7);
    CHECK(memcmp(secret_bytes(s), "the parent's own", 16) == 0);
    secret_free(s);
}

TEST(guard_pages_stop_a_run)
{
    open_pool(4096);
    struct secret *s = secret_new(64);
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGSEGV, SIG_DFL);
        ((volatile uint8_t *)secret_edit(s))[4096] = 1;
        _exit(0);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    CHECK(WIFSIGNALED(status) || WEXITSTATUS(status) != 0);
    secret_free(s);
}
