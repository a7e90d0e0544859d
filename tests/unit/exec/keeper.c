/* Leases are renewed in time, again after a failure, and given back. */
#include "check.h"

#include <signal.h>
#include "unit/client/fake.h"

#include "base/clock.h"
#include "exec/keeper.h"

#define ID "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static struct fake fake;
static struct why why;
static struct loop *loop;
static struct keeper *keeper;

static void on_stop(void *ctx)
{
    loop_stop(ctx, 0);
}
static void run_for(int64_t ms)
{
    struct loop_timer *t = NULL;
    CHECK(loop_timer_new(loop, on_stop, loop, &t) == ERR_OK);
    CHECK(loop_timer_set(t, clock_boot_ms() + ms) == ERR_OK);
    (void)loop_run(loop);
    loop_timer_free(t);
}

static void begin(int64_t life_ms, int64_t ttl_ms)
{
    struct broker_lease lease = {.id = ID, .expires_at_ms = clock_wall_ms() + life_ms};
    lease.token = strdup("the-token");
    (void)signal(SIGCHLD, SIG_IGN);
    CHECK_OK(loop_new(&loop, &why), why);
    CHECK_OK(keeper_new(loop, fake.path, ttl_ms, &keeper, &why), why);
    CHECK_OK(keeper_add(keeper, &lease, &why), why);
    CHECK(!lease.token);
}
static void done(void)
{
    keeper_free(keeper);
    loop_free(loop);
    fake_stop(&fake);
    (void)signal(SIGCHLD, SIG_DFL);
}

static size_t count(const char *what)
{
    size_t n = 0;
    for (const char *p = fake_seen(&fake); (p = strstr(p, what)); p++)
        n++;
    return n;
}
static struct fake_reply on(const char *match, int status, const char *json)
{
    return (struct fake_reply){.match = match, .bytes = fake_ok(status, json)};
}

TEST(renewed_when_sixty_percent_are_over)
{
    struct fake_reply r[] = {on("POST", 200, "{}"), on("POST", 200, "{}")};
    r[0].often = true;
    fake_start(&fake, r, 1);
    begin(2500, 90000);
    run_for(1200);
    CHECK_INT(count("renew"), 0);
    run_for(1000);
    CHECK_INT(count("POST /v1/leases/" ID "/renew"), 1);
    CHECK(strstr(fake_seen(&fake), "Authorization: Bearer the-token\r\n") != NULL);
    CHECK(strstr(fake_seen(&fake), "{\"ttl_ms\":90000}") != NULL);
    run_for(1500);
    CHECK_INT(count("renew"), 2);
    CHECK_INT(keeper_living(keeper), 1);
    done();
}

TEST(tried_again_until_it_is_heard)
{
    struct fake_reply r[] = {on("POST", 503, "{\"error\":\"locked\",\"message\":\"locked\"}"),
                             on("POST", 200, "{}")};
    fake_start(&fake, r, 2);
    begin(10, 0); /* late already: at once, but not faster than once a second */
    run_for(1500);
    CHECK_INT(count("renew"), 1);
    run_for(1000);
    CHECK_INT(count("renew"), 2);
    CHECK(strstr(fake_seen(&fake), "\r\n\r\n{}") != NULL);
    CHECK_INT(keeper_living(keeper), 1);
    done();
}

TEST(left_alone_when_the_broker_knows_it_no_longer)
{
    struct fake_reply r[] = {on("POST", 403, "{\"error\":\"expired\",\"message\":\"gone\"}"),
                             on("DELETE", 200, "{}")};
    fake_start(&fake, r, 2);
    begin(10, 0);
    run_for(1700);
    CHECK_INT(keeper_living(keeper), 0);
    run_for(2500);
    CHECK_INT(count("renew"), 1);
    keeper_end(keeper);
    CHECK_INT(count("DELETE"), 0);
    done();
}

static void on_tick(void *ctx)
{
    struct loop_timer **t = ctx;
    static int64_t last;
    int64_t now = clock_boot_ms();
    CHECK(last == 0 || now - last < 500);
    last = now;
    if (*t)
        CHECK(loop_timer_set(*t, now + 20) == ERR_OK);
}

TEST(a_broker_that_is_silent_holds_nothing_up)
{
    struct fake_reply r[] = {{.match = "POST", .then = FAKE_HANG}};
    struct loop_timer *tick = NULL;
    fake_start(&fake, r, 1);
    begin(10, 0);
    CHECK(loop_timer_new(loop, on_tick, &tick, &tick) == ERR_OK);
    CHECK(loop_timer_set(tick, clock_boot_ms() + 20) == ERR_OK);
    run_for(2000);
    CHECK_INT(count("renew"), 1);
    loop_timer_free(tick);
    done();
}

TEST(an_errand_holds_no_descriptor_of_ours)
{
    struct fake_reply r[] = {{.match = "POST", .then = FAKE_HANG}};
    int p[2];
    char c;
    fake_start(&fake, r, 1);
    CHECK(pipe2(p, O_CLOEXEC | O_NONBLOCK) == 0);
    begin(10, 0);
    run_for(1700);
    CHECK_INT(count("renew"), 1);
    close(p[1]);
    CHECK_INT(read(p[0], &c, 1), 0); /* the end, not EAGAIN */
    close(p[0]);
    done();
}

TEST(given_back_at_the_end)
{
    struct fake_reply r[] = {on("DELETE", 200, "{\"ended\":1}")};
    fake_start(&fake, r, 1);
    begin(60000, 0);
    keeper_end(keeper);
    CHECK_INT(count("DELETE /v1/leases/" ID), 1);
    CHECK_INT(keeper_living(keeper), 0);
    keeper_end(keeper); /* once is enough */
    CHECK_INT(count("DELETE"), 1);
    done();
}

TEST(a_broker_that_is_away_does_not_hold_up_the_end)
{
    int64_t before = clock_boot_ms();
    fake_dir(&fake);
    begin(60000, 0);
    keeper_end(keeper);
    CHECK(clock_boot_ms() - before < 1000);
    done();
    struct fake_reply r[] = {{.match = "DELETE", .then = FAKE_HANG}};
    fake_start(&fake, r, 1);
    begin(60000, 0);
    before = clock_boot_ms();
    keeper_end(keeper);
    CHECK(clock_boot_ms() - before < KEEPER_END_MS + 1500);
    done();
}
