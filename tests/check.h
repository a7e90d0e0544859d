/*
 * The test frame: TEST(name) { … } registers itself; CHECK and friends end the test at the first failure; SKIP counts it as skipped.
 * `prog` runs all, `prog PART` those whose name contains PART. The last line is "N passed, N failed, N skipped".
 */
#ifndef TESTS_CHECK_H
#define TESTS_CHECK_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct check_test {
    const char *name;
    void (*fn)(void);
    struct check_test *next;
};
static struct check_test *check_all;
static jmp_buf check_out;

enum { CHECK_PASSED, CHECK_FAILED, CHECK_SKIPPED };

#define TEST(id)                                                                                 \
    static void id(void);                                                                        \
    __attribute__((constructor)) static void check_add_##id(void)                                \
    {                                                                                            \
        static struct check_test t = {#id, id, NULL};                                            \
        struct check_test **at = &check_all;                                                     \
        while (*at)                                                                              \
            at = &(*at)->next;                                                                   \
        *at = &t;                                                                                \
    }                                                                                            \
    static void id(void)

#define CHECK(cond)                                                                              \
    do {                                                                                         \
        if (!(cond)) {                                                                           \
            printf("    %s:%d: %s\n", __FILE__, __LINE__, #cond);                                \
            longjmp(check_out, 1);                                                               \
        }                                                                                        \
    } while (0)
#define CHECK_INT(a, b)                                                                          \
    do {                                                                                         \
        long long check_a = (long long)(a), check_b = (long long)(b);                            \
        if (check_a != check_b) {                                                                \
            printf("    %s:%d: %s is %lld, not %lld\n", __FILE__, __LINE__, #a, check_a, check_b); \
            longjmp(check_out, 1);                                                               \
        }                                                                                        \
    } while (0)
#define CHECK_STR(a, b)                                                                          \
    do {                                                                                         \
        const char *check_a = (a), *check_b = (b);                                               \
        if (!check_a || strcmp(check_a, check_b) != 0) {                                         \
            printf("    %s:%d: %s is \"%s\", not \"%s\"\n", __FILE__, __LINE__, #a,              \
                   check_a ? check_a : "(null)", check_b);                                       \
            longjmp(check_out, 1);                                                               \
        }                                                                                        \
    } while (0)
/* an err_t is ERR_OK; prints the sentence of `w` (struct why) otherwise */
#define CHECK_OK(expr, w)                                                                        \
    do {                                                                                         \
        int check_e = (int)(expr);                                                               \
        if (check_e != 0) {                                                                      \
            printf("    %s:%d: %s gives %d: %s\n", __FILE__, __LINE__, #expr, check_e, (w).text); \
            longjmp(check_out, 1);                                                               \
        }                                                                                        \
    } while (0)
#define SKIP(reason)                                                                             \
    do {                                                                                         \
        printf("    skipped: %s\n", reason);                                                     \
        longjmp(check_out, 2);                                                                   \
    } while (0)

static int check_run(const struct check_test *t)
{
    int how = setjmp(check_out);
    if (how == 0) {
        t->fn();
        return CHECK_PASSED;
    }
    return how == 2 ? CHECK_SKIPPED : CHECK_FAILED;
}

int main(int argc, char **argv)
{
    static const char *const word[] = {"ok", "FAIL", "skip"};
    static int count[3];
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (const struct check_test *t = check_all; t; t = t->next) {
        if (argc > 1 && !strstr(t->name, argv[1]))
            continue;
        int r = check_run(t);
        count[r]++;
        printf("%s %s\n", word[r], t->name);
    }
    printf("%d passed, %d failed, %d skipped\n", count[0], count[1], count[2]);
    return count[1] ? 1 : 0;
}

#endif
