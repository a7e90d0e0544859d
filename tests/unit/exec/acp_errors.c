/* Standard error: a slow reader is waited for, one that has stopped is not. */
#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "exec/acp_errors.h"

static struct why why;
static struct loop *loop;
static struct acp_errors *errors;
static int in[2], out[2];
static char seen[1 << 20], block[4096];
static size_t seen_n;

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
static void drain(void)
{
    ssize_t n;
    while ((n = read(out[0], seen + seen_n, sizeof(seen) - 1 - seen_n)) > 0)
        seen_n += (size_t)n;
    seen[seen_n] = '\0';
}
static void begin(void)
{
    seen_n = 0;
    memset(block, 'e', sizeof(block));
    block[sizeof(block) - 1] = '\n';
    (void)signal(SIGPIPE, SIG_IGN);
    CHECK(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
    CHECK(fcntl(in[0], F_SETFL, O_NONBLOCK) == 0 && fcntl(in[1], F_SETFL, O_NONBLOCK) == 0);
    CHECK(fcntl(out[0], F_SETFL, O_NONBLOCK) == 0);
    CHECK_OK(loop_new(&loop, &why), why);
    CHECK_OK(acp_errors_new(loop, in[0], out[1], &errors, &why), why);
}
static void end(void)
{
    acp_errors_free(errors);
    loop_free(loop);
    close(in[0]);
    close(in[1]);
    if (out[0] >= 0)
        close(out[0]);
    close(out[1]);
}
/* As much as is taken within `ms`; how much. */
static size_t flood(int64_t ms)
{
    int64_t until = clock_boot_ms() + ms;
    size_t n = 0;
    while (clock_boot_ms() < until) {
        while (write(in[1], block, sizeof(block)) > 0)
            n += sizeof(block);
        run(2);
    }
    return n;
}

TEST(lines_pass_and_ours_stand_between)
{
    begin();
    CHECK(write(in[1], "one\nhalf", 8) == 8);
    run(5);
    acp_errors_say(errors, "ours");
    CHECK(write(in[1], "two\n", 4) == 4);
    run(5);
    drain();
    CHECK_STR(seen, "one\nhalf\nbroker-exec: ours\ntwo\n");
    CHECK(!acp_errors_waiting(errors));
    end();
}

TEST(a_slow_reader_gets_everything)
{
    size_t n = 0;
    begin();
    for (int i = 0; i < 8; i++) {
        n += flood(50);
        drain();
    }
    run(200);
    drain();
    run(100);
    drain();
    CHECK(n > 200000);
    CHECK_INT(seen_n, n);
    end();
}

TEST(a_reader_that_has_stopped_holds_nobody_up)
{
    begin();
    size_t before = flood(300);
    CHECK(before < 400000 && before > 100000); /* three buffers: it waits at first */
    (void)flood(900);
    CHECK(flood(300) > 1000000); /* and then no longer */
    CHECK(!acp_errors_waiting(errors));
    for (int i = 0; i < 20; i++) {
        drain();
        run(30);
    }
    drain();
    CHECK(strstr(seen, "broker-exec: ") && strstr(seen, " bytes of the adapter's standard error were dropped"));
    size_t was = seen_n;
    CHECK(write(in[1], "again\n", 6) == 6);
    run(20);
    drain();
    CHECK_STR(seen + was, "again\n");
    end();
}

TEST(what_is_there_at_the_end_is_taken)
{
    begin();
    CHECK(write(in[1], "last words", 10) == 10);
    acp_errors_finish(errors);
    drain();
    CHECK_STR(seen, "last words");
    end();
}

TEST(a_reader_that_is_gone_is_none)
{
    begin();
    close(out[0]);
    out[0] = -1;
    (void)flood(100);
    CHECK(flood(200) > 1000000);
    acp_errors_say(errors, "to nobody");
    CHECK(!acp_errors_waiting(errors));
    end();
}
