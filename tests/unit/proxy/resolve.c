/* The resolver against a name server of the test's own: what is kept, what is shared, what fails and how. */
#include "proxy/resolve.h"
#include "base/auto.h"
#include "base/clock.h"
#include "check.h"
#include "dns.h"

static const struct dns_name names[] = {
    {"one.test", 300, {"192.0.2.1"}, {NULL}, false},
    {"both.test", 300, {"192.0.2.1", "192.0.2.2", "192.0.2.3"}, {"2001:db8::1", "2001:db8::2"}, false},
    {"short.test", 1, {"192.0.2.9"}, {NULL}, false},
    {"zero.test", 0, {"192.0.2.9"}, {NULL}, false},
    {"gone.test", -1, {NULL}, {NULL}, false},
    {"mute.test", -2, {NULL}, {NULL}, false},
    {"broken.test", -3, {NULL}, {NULL}, false},
    {"empty.test", 300, {NULL}, {NULL}, false},
    {"half.test", 300, {"192.0.2.5"}, {NULL}, true},
};

static struct fixture {
    struct loop *l;
    struct dns dns;
    struct resolver *r;
    int calls, wait_for;
    err_t e;
    struct resolved got;
    struct why why;
    struct resolve_query *q[8];
    int cancel;
    bool running;
} f;

static void set_up(void)
{
    struct why w = {0};
    memset(&f, 0, sizeof(f));
    CHECK_OK(loop_new(&f.l, &w), w);
    dns_start(&f.dns, f.l, names, COUNT(names));
    CHECK_OK(resolver_new_at(f.l, f.dns.servers, &f.r, &w), w);
}

static void tear_down(void)
{
    resolver_free(f.r);
    dns_stop(&f.dns);
    loop_free(f.l);
}

static void on_resolved(void *ctx, err_t e, const struct resolved *r, const struct why *why)
{
    (void)ctx;
    f.calls++;
    f.e = e;
    if (r)
        f.got = *r;
    f.why = *why;
    if (f.cancel) {
        resolve_cancel(TAKE(f.q[f.cancel]));
        f.cancel = 0;
    }
    if (f.running && f.calls >= f.wait_for)
        loop_stop(f.l, 0);
}

static void start(const char *name, int slot)
{
    resolve_start(f.r, view_str(name), 443, on_resolved, NULL, &f.q[slot]);
}

static void give_up(void *ctx)
{
    (void)ctx;
    loop_stop(f.l, 1);
}

/* until `calls` callbacks came, or `ms` went by */
static void run(int calls, int ms)
{
    struct loop_timer *t;
    f.wait_for = calls;
    if (f.calls >= calls)
        return;
    CHECK_INT(loop_timer_new(f.l, give_up, NULL, &t), ERR_OK);
    CHECK_INT(loop_timer_set(t, clock_boot_ms() + ms), ERR_OK);
    f.running = true;
    (void)loop_run(f.l);
    f.running = false;
    loop_timer_free(t);
}

static const char *address(unsigned i)
{
    static char text[64];
    const struct sockaddr_storage *a = &f.got.address[i];
    const void *p = a->ss_family == AF_INET6 ? (const void *)&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr
                                             : (const void *)&((const struct sockaddr_in *)(const void *)a)->sin_addr;
    return inet_ntop(a->ss_family, p, text, sizeof(text));
}

TEST(name_is_resolved_with_its_port_and_kept)
{
    set_up();
    start("one.test", 0);
    CHECK(f.q[0] && f.calls == 0);
    run(1, 5000);
    CHECK_INT(f.e, ERR_OK);
    CHECK_INT(f.got.n, 1);
    CHECK_STR(address(0), "192.0.2.1");
    CHECK_INT(((struct sockaddr_in *)(void *)&f.got.address[0])->sin_port, htons(443));
    start("ONE.test", 0); /* the same name: answered at once */
    CHECK_INT(f.calls, 2);
    CHECK(!f.q[0]);
    CHECK_INT(f.got.n, 1);
    CHECK_INT(f.dns.asked_a, 1);
    CHECK_INT(f.dns.asked_aaaa, 1);
    tear_down();
}

TEST(literal_addresses_need_no_question)
{
    set_up();
    start("192.0.2.77", 0);
    CHECK_INT(f.calls, 1);
    CHECK(f.e == ERR_OK && f.got.n == 1 && !f.q[0]);
    CHECK_STR(address(0), "192.0.2.77");
    start("[2001:db8::7]", 0);
    CHECK_STR(address(0), "2001:db8::7");
    CHECK_INT(f.dns.asked_a, 0);
    tear_down();
}

TEST(families_come_by_turns)
{
    set_up();
    start("both.test", 0);
    run(1, 5000);
    CHECK_INT(f.got.n, 5);
    int first = f.got.address[0].ss_family;
    int other = first == AF_INET ? AF_INET6 : AF_INET;
    CHECK_INT(f.got.address[1].ss_family, other);
    CHECK_INT(f.got.address[2].ss_family, first);
    CHECK_INT(f.got.address[3].ss_family, other);
    CHECK_INT(f.got.address[4].ss_family, AF_INET); /* there are three of these */
    tear_down();
}

TEST(many_who_wait_share_one_question)
{
    set_up();
    for (int i = 0; i < 8; i++)
        start("one.test", i);
    resolve_cancel(TAKE(f.q[3]));
    f.cancel = 5; /* by the first that is called */
    run(6, 5000);
    CHECK_INT(f.calls, 6);
    run(7, 100); /* and nobody twice */
    CHECK_INT(f.calls, 6);
    CHECK_INT(f.dns.asked_a, 1);
    tear_down();
}

TEST(answer_ends_with_its_ttl)
{
    set_up();
    start("short.test", 0);
    run(1, 5000);
    start("short.test", 0);
    CHECK_INT(f.calls, 2);
    CHECK_INT(f.dns.asked_a, 1);
    run(99, 1200);
    start("short.test", 0);
    CHECK_INT(f.calls, 2);
    run(3, 5000);
    CHECK_INT(f.calls, 3);
    CHECK_INT(f.dns.asked_a, 2);
    tear_down();
}

TEST(ttl_of_zero_is_kept_for_a_second)
{
    set_up();
    start("zero.test", 0);
    run(1, 5000);
    start("zero.test", 0);
    CHECK_INT(f.calls, 2);
    tear_down();
}

TEST(name_that_does_not_exist_is_told_and_not_kept)
{
    set_up();
    start("gone.test", 0);
    run(1, 5000);
    CHECK_INT(f.e, ERR_UNAVAILABLE);
    CHECK_STR(f.why.text, "the name gone.test has no address");
    int asked = f.dns.asked_a;
    start("gone.test", 0);
    run(2, 5000);
    CHECK(f.dns.asked_a > asked);
    start("empty.test", 0);
    run(3, 5000);
    CHECK_INT(f.e, ERR_UNAVAILABLE);
    start("broken.test", 0);
    run(4, 9000);
    CHECK_INT(f.calls, 4);
    CHECK_INT(f.e, ERR_UNAVAILABLE);
    tear_down();
}

TEST(mute_name_server_is_a_timeout_and_others_do_not_wait)
{
    set_up();
    int64_t before = clock_boot_ms();
    start("mute.test", 0);
    start("one.test", 1);
    run(1, 5000);
    CHECK_INT(f.e, ERR_OK);
    CHECK(clock_boot_ms() - before < 900);
    run(2, RESOLVE_TIMEOUT_MS + 1000);
    CHECK_INT(f.calls, 2);
    CHECK_INT(f.e, ERR_TIMEOUT);
    CHECK(strstr(f.why.text, "mute.test"));
    tear_down();
}

TEST(lost_questions_for_ipv6_do_not_hide_ipv4)
{
    set_up();
    int64_t before = clock_boot_ms();
    start("half.test", 0);
    run(1, RESOLVE_TIMEOUT_MS + 1000);
    CHECK_INT(f.e, ERR_OK);
    CHECK_STR(address(0), "192.0.2.5");
    CHECK(clock_boot_ms() - before < RESOLVE_TIMEOUT_MS - 2000);
    tear_down();
}

TEST(localhost_comes_from_the_hosts_file)
{
    set_up();
    start("localhost", 0);
    run(1, 5000);
    CHECK_INT(f.e, ERR_OK);
    CHECK_INT(f.dns.asked_a, 0);
    tear_down();
}

TEST(what_is_no_host_is_refused_at_once)
{
    set_up();
    start("no host", 0);
    CHECK_INT(f.calls, 1);
    CHECK(f.e == ERR_UNAVAILABLE && !f.q[0]);
    start("127.1", 0);
    CHECK_INT(f.e, ERR_UNAVAILABLE);
    CHECK_INT(f.dns.asked_a, 0);
    tear_down();
}

TEST(freeing_with_open_questions_calls_nobody)
{
    set_up();
    start("mute.test", 0);
    start("one.test", 1);
    tear_down();
    CHECK_INT(f.calls, 0);
}

/* More names than there is room for, all asked at once: those over it are told so, none is lost. */
TEST(names_are_bounded)
{
    char name[32];
    struct resolve_query *q = NULL;
    set_up();
    for (int i = 0; i < 200; i++) {
        (void)snprintf(name, sizeof(name), "n%d.test", i);
        resolve_start(f.r, view_str(name), 1, on_resolved, NULL, &q);
    }
    CHECK(f.calls > 0 && f.calls < 200);
    CHECK_INT(f.e, ERR_UNAVAILABLE);
    run(200, 9000);
    CHECK_INT(f.calls, 200);
    start("one.test", 0); /* and there is room again */
    run(201, 5000);
    CHECK_INT(f.e, ERR_OK);
    tear_down();
}

TEST(bad_list_of_servers_is_an_error)
{
    struct why w = {0};
    struct resolver *r = NULL;
    set_up();
    CHECK_INT(resolver_new_at(f.l, "not an address", &r, &w), ERR_INVALID);
    CHECK(!r);
    CHECK_OK(resolver_new(f.l, &r, &w), w);
    resolver_free(r);
    tear_down();
}
