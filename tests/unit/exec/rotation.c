/* A lease that is replaced by the next one while its program runs. */
#include "check.h"

#include <signal.h>
#include "unit/client/fake.h"

#include "base/clock.h"
#include "exec/rotation.h"

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static struct fake fake;
static struct why why;
static struct loop *loop;
static struct rotation *rotation;
static struct fake_reply replies[8];
static size_t n_replies;
static char fresh_token[64], lost_why[200];
static int fresh_n, lost_n;
static int64_t spare;
static bool takes, was_revoked;

static bool on_fresh(void *ctx, const char *token, int64_t spare_ms)
{
    spare = spare_ms;
    CHECK(ctx == &takes);
    snprintf(fresh_token, sizeof(fresh_token), "%s", token);
    fresh_n++;
    return takes;
}
static void on_lost(void *ctx, bool revoked, const char *text)
{
    CHECK(ctx == &takes);
    lost_n++;
    was_revoked = revoked;
    snprintf(lost_why, sizeof(lost_why), "%s", text);
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
static size_t count(const char *what)
{
    size_t n = 0;
    for (const char *p = fake_seen(&fake); (p = strstr(p, what)); p++)
        n++;
    return n;
}
static void on(const char *match, int status, const char *json)
{
    replies[n_replies++] = (struct fake_reply){.match = match, .bytes = fake_ok(status, json), .often = true};
}
static const char *lease_json(const char *id, int64_t life_ms, int64_t max_ms)
{
    static char text[2][400];
    static int turn;
    char *t = text[turn ^= 1];
    int64_t now = clock_wall_ms();
    snprintf(t, sizeof(text[0]),
             "{\"id\":\"%s\",\"token\":\"token-%c\",\"credential\":\"key\",\"deliver\":\"proxy\",\"proxy_socket\":\"proxy.sock\","
             "\"expires_at_ms\":%lld,\"max_expires_at_ms\":%lld}",
             id, id[0], (long long)(now + life_ms), (long long)(max_ms ? now + max_ms : 0));
    return t;
}
static void new_replies(void)
{
    n_replies = 0;
    fresh_n = lost_n = 0;
    takes = true;
}
static void begin(int64_t life_ms, int64_t max_ms)
{
    struct rotation_options o = {.socket = fake.path,
                                 .credential = "key",
                                 .delivery = "proxy",
                                 .owner_process = true,
                                 .fresh = on_fresh,
                                 .lost = on_lost,
                                 .ctx = &takes};
    struct broker_lease first = {.id = A, .expires_at_ms = clock_wall_ms() + life_ms};
    first.max_expires_at_ms = max_ms ? clock_wall_ms() + max_ms : 0;
    first.token = strdup("token-a");
    (void)signal(SIGCHLD, SIG_IGN);
    CHECK_OK(loop_new(&loop, &why), why);
    CHECK_OK(rotation_new(loop, &o, &first, &rotation, &why), why);
    CHECK(!first.token);
}
static void done(void)
{
    rotation_free(rotation);
    loop_free(loop);
    fake_stop(&fake);
    (void)signal(SIGCHLD, SIG_DFL);
}

TEST(looked_after_and_renewed_in_time)
{
    new_replies();
    on("GET", 200, lease_json(A, 2000, 60000));
    on("POST", 200, "{}");
    fake_start(&fake, replies, n_replies);
    begin(2000, 60000);
    run(900);
    CHECK(count("GET /v1/leases/" A) >= 2);
    CHECK_INT(count("renew"), 0);
    run(800);
    CHECK(count("POST /v1/leases/" A "/renew") >= 1);
    CHECK(strstr(fake_seen(&fake), "Authorization: Bearer token-a\r\n") != NULL);
    CHECK(fresh_n == 0 && lost_n == 0);
    done();
}

TEST(replaced_when_three_quarters_are_over)
{
    new_replies();
    on("GET", 200, lease_json(A, 60000, 60000));
    on("POST /v1/leases HTTP", 201, lease_json(B, 60000, 60000));
    on("POST", 200, "{}");
    on("DELETE", 200, "{\"ended\":1}");
    fake_start(&fake, replies, n_replies);
    begin(2000, 2000);
    run(1300);
    CHECK_INT(fresh_n, 0);
    run(700);
    CHECK_INT(fresh_n, 1);
    CHECK_STR(fresh_token, "token-b");
    CHECK(spare > 0 && spare < 300); /* half of what is left */
    CHECK(strstr(fake_seen(&fake), "\"credential\":\"key\",\"deliver\":\"proxy\",\"owner\":\"process\"") != NULL);
    run(1000);
    CHECK_INT(count("DELETE"), 0); /* it is not taken yet */
    rotation_taken(rotation, true);
    run(1000);
    CHECK_INT(count("DELETE"), 0); /* what runs may end */
    run(ROTATION_GRACE_MS);
    CHECK_INT(count("DELETE /v1/leases/" A), 1);
    CHECK(fresh_n == 1 && lost_n == 0);
    rotation_end(rotation);
    CHECK_INT(count("DELETE /v1/leases/" B), 1);
    done();
}

TEST(the_former_stays_where_sessions_keep_it)
{
    new_replies();
    on("GET", 200, lease_json(A, 60000, 60000));
    on("POST /v1/leases HTTP", 201, lease_json(B, 60000, 60000));
    on("DELETE", 200, "{\"ended\":1}");
    fake_start(&fake, replies, n_replies);
    begin(400, 400);
    run(800);
    CHECK_INT(fresh_n, 1);
    rotation_taken(rotation, false);
    run(ROTATION_GRACE_MS + 500);
    CHECK_INT(count("DELETE"), 0);
    rotation_end(rotation);
    CHECK(count("DELETE /v1/leases/" A) == 1 && count("DELETE /v1/leases/" B) == 1);
    done();
}

TEST(a_program_that_takes_none_keeps_what_it_has)
{
    new_replies();
    takes = false;
    on("GET", 200, lease_json(A, 60000, 60000));
    on("POST /v1/leases HTTP", 201, lease_json(B, 60000, 60000));
    on("DELETE", 200, "{\"ended\":1}");
    fake_start(&fake, replies, n_replies);
    begin(400, 400);
    run(1500);
    CHECK_INT(fresh_n, 1);
    CHECK_INT(count("DELETE /v1/leases/" B), 1);
    CHECK_INT(count("POST /v1/leases HTTP"), 1);
    done();
}

TEST(a_revocation_is_told_and_nothing_is_leased_again)
{
    new_replies();
    on("GET", 404, "{\"error\":\"not_found\",\"message\":\"no live lease of that id\"}");
    on("POST", 201, lease_json(B, 60000, 60000));
    fake_start(&fake, replies, n_replies);
    begin(60000, 60000);
    run(100);
    CHECK_INT(lost_n, 0);
    rotation_look(rotation); /* something was refused */
    run(300);
    CHECK(lost_n == 1 && was_revoked);
    CHECK_STR(lost_why, "no live lease of that id");
    rotation_look(rotation);
    run(1500);
    CHECK(lost_n == 1 && count("POST") == 0);
    done();
}

TEST(one_that_slept_through_its_end_is_replaced)
{
    new_replies();
    on("GET /v1/leases/" A, 404, "{\"error\":\"not_found\",\"message\":\"gone\"}");
    on("GET", 200, lease_json(B, 60000, 60000));
    on("POST /v1/leases HTTP", 201, lease_json(B, 60000, 60000));
    fake_start(&fake, replies, n_replies);
    begin(10, 0);
    run(900);
    CHECK(fresh_n == 1 && lost_n == 0);
    rotation_taken(rotation, true);
    run(300);
    CHECK_INT(lost_n, 0);
    done();
}

TEST(and_told_where_it_cannot_be)
{
    new_replies();
    on("GET", 404, "{\"error\":\"not_found\",\"message\":\"gone\"}");
    on("POST", 403, "{\"error\":\"denied\",\"message\":\"no grant\"}");
    fake_start(&fake, replies, n_replies);
    begin(10, 0);
    run(900);
    CHECK(fresh_n == 0 && lost_n == 1 && !was_revoked);
    CHECK_STR(lost_why, "no grant");
    done();
}

TEST(a_broker_that_is_away_changes_nothing)
{
    new_replies();
    fake_dir(&fake);
    begin(60000, 200);
    for (int i = 0; i < 4; i++) {
        rotation_look(rotation);
        run(300);
    }
    CHECK(fresh_n == 0 && lost_n == 0);
    int64_t before = clock_boot_ms();
    rotation_end(rotation);
    CHECK(clock_boot_ms() - before < 1000);
    done();
}
