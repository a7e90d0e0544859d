/* A forked child with a few bytes of outcome. */
#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "exec/errand.h"

static struct why why;
static struct loop *loop;
static char heard_text[64];
static int heard_n;
static int outside; /* a descriptor of the parent's */

static void on_heard(void *ctx, const void *p, size_t n)
{
    CHECK(ctx == &heard_n && n < sizeof(heard_text));
    memcpy(heard_text, p, n);
    heard_text[n] = '\0';
    heard_n++;
    loop_stop(loop, 0);
}
static void on_stop(void *ctx)
{
    loop_stop(ctx, 0);
}
static void run(int64_t ms)
{
    struct loop_timer *t = NULL;
    CHECK(loop_timer_new(loop, on_stop, loop, &t) == ERR_OK);
    CHECK(loop_timer_set(t, clock_boot_ms() + ms) == ERR_OK);
    (void)loop_run(loop);
    loop_timer_free(t);
}
static struct errand *send_it(void (*fn)(void *, int, int), int keep)
{
    struct errand_options o = {fn, on_heard, &heard_n, keep};
    struct errand *e = NULL;
    heard_n = 0;
    CHECK_OK(loop_new(&loop, &why), why);
    CHECK_OK(errand_send(loop, &o, &e, &why), why);
    return e;
}
static void done(void)
{
    loop_free(loop);
    while (waitpid(-1, NULL, 0) > 0)
        ;
}

static void says_hello(void *ctx, int answer, int keep)
{
    char c = '?';
    (void)ctx;
    if (keep >= 0 && read(keep, &c, 1) != 1)
        return;
    (void)!write(answer, keep >= 0 ? &c : "hello", keep >= 0 ? 1 : 5);
}
TEST(what_it_says_is_heard_once)
{
    (void)send_it(says_hello, -1);
    run(2000);
    CHECK_INT(heard_n, 1);
    CHECK_STR(heard_text, "hello");
    run(20);
    CHECK_INT(heard_n, 1);
    done();
}

TEST(a_descriptor_may_be_taken_along)
{
    int p[2];
    CHECK(pipe2(p, O_CLOEXEC) == 0 && write(p[1], "k", 1) == 1);
    (void)send_it(says_hello, p[0]);
    run(2000);
    CHECK_STR(heard_text, "k");
    close(p[0]); /* it was ours still */
    close(p[1]);
    done();
}

static void dies(void *ctx, int answer, int keep)
{
    (void)ctx, (void)answer, (void)keep;
    (void)raise(SIGKILL);
}
TEST(one_that_dies_says_nothing)
{
    (void)send_it(dies, -1);
    run(2000);
    CHECK_INT(heard_n, 1);
    CHECK_STR(heard_text, "");
    done();
}

static void looks_around(void *ctx, int answer, int keep)
{
    (void)ctx, (void)keep;
    (void)!write(answer, fcntl(outside, F_GETFD) < 0 && isatty(0) == 0 ? "alone" : "holds", 5);
}
TEST(it_holds_nothing_of_the_parents)
{
    outside = fcntl(1, F_DUPFD, 200);
    CHECK(outside >= 200);
    (void)send_it(looks_around, -1);
    run(2000);
    CHECK_STR(heard_text, "alone");
    close(outside);
    done();
}

TEST(one_that_was_forgotten_is_not_heard)
{
    errand_forget(send_it(says_hello, -1));
    run(50);
    CHECK_INT(heard_n, 0);
    errand_forget(NULL);
    done();
}
