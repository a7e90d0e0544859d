/* Connections to real servers: TLS and plain, good and bad certificates, every way to end, the pool. */
#include "proxy/upstream.h"
#include "base/auto.h"
#include "base/clock.h"
#include "check.h"
#include "base/sandbox.h"
#include "dns.h"
#include "server.h"

#include <dirent.h>
#include <errno.h>
#include <malloc.h>
#include <openssl/crypto.h>

static struct fixture {
    struct loop *l;
    struct upstreams *us;
    struct upstream *u;
    struct scratch dir;
    char ca[128];
    struct authority authority;
    struct leaf good;
    struct server server;
    struct dns dns;
    struct route route;
    int readies, events, eof; /* eof: 1 clean, else -errno */
    err_t e;
    struct why why;
    char got[SERVER_BIG + 64];
    size_t n_got, want_got;
    bool give, running, ignore;
    const char *line; /* to be written when ready */
} f;

static void on_event(void *ctx);
static void on_ready(void *ctx, err_t e, const struct why *why);
static const struct upstream_user user = {&f, on_ready, on_event};

static void stop(void)
{
    if (f.running)
        loop_stop(f.l, 0);
}

static void write_line(const char *line)
{
    char room[64];
    int n = snprintf(room, sizeof(room), "%s\n", line);
    /* in pieces, as head and body come */
    struct iovec iov[] = {{room, 1}, {room + 1, 0}, {room + 1, (size_t)n - 1}};
    CHECK_INT(upstream_writev(f.u, iov, 3), n);
}

static void on_ready(void *ctx, err_t e, const struct why *why)
{
    CHECK(ctx == &f);
    f.readies++;
    f.e = e;
    f.why = *why;
    if (e != ERR_OK) {
        f.u = NULL;
    } else {
        if (f.line)
            write_line(f.line);
        upstream_want(f.u, true, false);
    }
    if (!f.line || e != ERR_OK)
        stop();
}

static void on_event(void *ctx)
{
    (void)ctx;
    f.events++;
    if (f.ignore)
        return;
    ssize_t n = upstream_read(f.u, f.got + f.n_got, sizeof(f.got) - f.n_got);
    if (n > 0)
        f.n_got += (size_t)n;
    else if (n == 0 || errno != EAGAIN)
        f.eof = n == 0 ? 1 : -errno;
    if (f.eof)
        upstream_want(f.u, false, false);
    if (f.give && f.n_got >= f.want_got)
        upstream_give(TAKE(f.u), true);
    if (f.n_got >= f.want_got || f.eof)
        stop();
}

static void give_up(void *ctx)
{
    (void)ctx;
    loop_stop(f.l, 1);
}

static int run(int ms)
{
    struct loop_timer *t;
    CHECK_INT(loop_timer_new(f.l, give_up, NULL, &t), ERR_OK);
    CHECK_INT(loop_timer_set(t, clock_boot_ms() + ms), ERR_OK);
    f.running = true;
    int r = loop_run(f.l);
    f.running = false;
    loop_timer_free(t);
    return r;
}

static const struct dns_name names[] = {
    {"inside.test", 300, {"127.0.0.1", "10.0.0.1"}, {"::1"}, false},
    {"pair.test", 300, {"127.0.0.2", "127.0.0.3"}, {NULL}, false},
    {"mute.test", -2, {NULL}, {NULL}, false},
};

static void set_up_with(const struct upstream_limits *limits)
{
    struct why w = {0};
    memset(&f, 0, sizeof(f));
    f.dir = scratch_new();
    (void)snprintf(f.ca, sizeof(f.ca), "%s/ca.pem", f.dir.path);
    f.authority = authority_new(f.ca, "throw-away CA");
    f.good = cert_make("good", "DNS:localhost,IP:127.0.0.1,DNS:pair.test", -3600, 3600, &f.authority);
    CHECK_OK(loop_new(&f.l, &w), w);
    dns_start(&f.dns, f.l, names, COUNT(names));
    struct upstream_limits lim = limits ? *limits : (struct upstream_limits){3000, 5000, 4, NULL};
    lim.name_servers = f.dns.servers;
    CHECK_OK(upstreams_new(f.l, &lim, &f.us, &w), w);
    f.route = (struct route){.flags = ROUTE_TLS | ROUTE_PRIVATE, .host = view_str("localhost"), .ca = view_str(f.ca)};
}

static void set_up(void)
{
    set_up_with(NULL);
}

static void serve(const struct server_rules *rules)
{
    server_stop(&f.server);
    f.server = server_start(rules);
    f.route.port = f.server.port;
}

static void serve_tls(void)
{
    serve(&(struct server_rules){.leaf = &f.good});
}

static void serve_plain(void)
{
    serve(&(struct server_rules){0});
    f.route.flags = ROUTE_PRIVATE;
}

static void tear_down(void)
{
    upstream_give(TAKE(f.u), false);
    upstreams_free(f.us);
    dns_stop(&f.dns);
    loop_free(f.l);
    server_stop(&f.server);
    leaf_free(&f.good);
    leaf_free((struct leaf *)&f.authority);
    scratch_free(&f.dir);
}

/* Takes, writes `line`, waits for `want` bytes (or the end), leaves the connection in f.u. */
static err_t exchange_on(const char *line, size_t want, bool fresh)
{
    struct why w = {0};
    f.readies = f.events = f.eof = 0;
    f.n_got = 0;
    f.want_got = want;
    f.line = line;
    CHECK_OK(upstream_take(f.us, &f.route, fresh, &user, &f.u, &w), w);
    if (f.readies == 0 || f.e == ERR_OK)
        CHECK_INT(run(6000), 0);
    CHECK_INT(f.readies, 1);
    return f.e;
}

static void exchange(const char *line, const char *answer)
{
    CHECK_OK(exchange_on(line, strlen(answer), false), f.why);
    CHECK_INT(f.n_got, strlen(answer));
    CHECK(memcmp(f.got, answer, f.n_got) == 0);
}

static void ping(void)
{
    exchange("ping", "pong");
    upstream_give(TAKE(f.u), true);
}

static unsigned descriptors(void)
{
    unsigned n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (d && readdir(d))
        n++;
    closedir(d);
    return n;
}

/* ---- the ordinary case, over both */

static void reuse(void)
{
    ping();
    CHECK_INT(upstream_count(f.us).idle, 1);
    for (int i = 0; i < 20; i++) {
        exchange("ping", "pong");
        CHECK(upstream_reused(f.u));
        upstream_give(TAKE(f.u), true);
    }
    struct upstream_counts c = upstream_count(f.us);
    CHECK(c.made == 1 && c.reused == 20 && c.open == 1 && c.idle == 1);
    CHECK_OK(exchange_on("ping", 4, true), f.why); /* fresh: never an idle one */
    CHECK(!upstream_reused(f.u));
    CHECK_INT(upstream_count(f.us).made, 2);
    upstream_give(TAKE(f.u), false);
    CHECK_INT(upstream_count(f.us).open, 1);
}

TEST(tls_connection_is_made_and_reused)
{
    set_up();
    serve_tls();
    reuse();
    tear_down();
}

TEST(plain_connection_is_made_and_reused)
{
    set_up();
    serve_plain();
    reuse();
    tear_down();
}

TEST(tls_1_2_works_too)
{
    set_up();
    serve(&(struct server_rules){.leaf = &f.good, .version = TLS1_2_VERSION});
    reuse();
    CHECK_INT(upstream_count(f.us).resumed, 1); /* the fresh one */
    tear_down();
}

TEST(sessions_are_resumed)
{
    set_up();
    serve_tls();
    exchange("ping", "pong");
    upstream_give(TAKE(f.u), false);
    CHECK_INT(upstream_count(f.us).resumed, 0);
    for (int i = 1; i <= 3; i++) {
        exchange("ping", "pong");
        upstream_give(TAKE(f.u), false);
        CHECK_INT(upstream_count(f.us).resumed, i);
    }
    CHECK_INT(upstream_count(f.us).made, 4);
    tear_down();
}

/* The session was made under another trust: it must not carry over. */
TEST(changed_ca_file_is_read_again_and_ends_resumption)
{
    char other[128];
    set_up();
    serve_tls();
    exchange("ping", "pong");
    upstream_give(TAKE(f.u), false);
    (void)snprintf(other, sizeof(other), "%s/other.pem", f.dir.path);
    struct authority a = authority_new(other, "throw-away CA");
    CHECK_INT(rename(other, f.ca), 0);
    CHECK_INT(exchange_on("ping", 4, false), ERR_CORRUPT);
    leaf_free((struct leaf *)&a);
    tear_down();
}

static void big(void)
{
    CHECK_OK(exchange_on("big", SERVER_BIG, false), f.why);
    CHECK_INT(f.n_got, SERVER_BIG);
    for (size_t i = 0; i < f.n_got; i++)
        CHECK(f.got[i] == 'x');
    upstream_give(TAKE(f.u), true);
    CHECK_INT(upstream_count(f.us).idle, 1);
    ping();
    CHECK_INT(upstream_count(f.us).made, 1);
}

TEST(large_replies_come_whole)
{
    set_up();
    serve_tls();
    big();
    tear_down();
    set_up();
    serve_plain();
    big();
    tear_down();
}

/* One byte is read per call; everything must still come although the socket has nothing to tell any more. */
static int small_reads;
static void on_event_small(void *ctx)
{
    (void)ctx;
    ssize_t n = upstream_read(f.u, f.got + f.n_got, 1);
    small_reads++;
    if (n > 0)
        f.n_got += (size_t)n;
    if (f.n_got == f.want_got)
        stop();
}

TEST(want_is_level_triggered_over_buffered_bytes)
{
    struct why w = {0};
    const struct upstream_user slow = {&f, on_ready, on_event_small};
    set_up();
    serve_tls();
    for (int plain = 0; plain < 2; plain++) {
        f.line = plain ? "half" : "two";
        f.want_got = plain ? 8 : 4;
        f.n_got = 0;
        small_reads = 0;
        CHECK_OK(upstream_take(f.us, &f.route, false, &slow, &f.u, &w), w);
        CHECK_INT(run(3000), 0);
        CHECK_INT(f.n_got, f.want_got);
        CHECK(small_reads <= 30); /* no busy loop meanwhile */
        upstream_give(TAKE(f.u), false);
        serve_plain();
    }
    CHECK(memcmp(f.got, "halfhalf", 8) == 0);
    tear_down();
}

TEST(record_in_two_parts_waits_without_spinning)
{
    set_up();
    serve_tls();
    exchange("half", "halfhalf");
    CHECK(f.events <= 12); /* tickets, and segments as TCP likes */
    upstream_give(TAKE(f.u), true);
    CHECK_INT(upstream_count(f.us).idle, 1);
    tear_down();
}

TEST(nothing_is_called_that_is_not_wanted)
{
    struct why w = {0};
    set_up();
    serve_tls();
    f.line = "big";
    f.want_got = SERVER_BIG;
    CHECK_OK(upstream_take(f.us, &f.route, false, &user, &f.u, &w), w);
    f.line = NULL; /* ready only */
    CHECK_INT(run(3000), 0);
    write_line("big");
    upstream_want(f.u, false, false);
    CHECK_INT(run(150), 1);
    CHECK_INT(f.events, 0);
    upstream_want(f.u, true, false);
    CHECK_INT(run(3000), 0);
    CHECK_INT(f.n_got, SERVER_BIG);
    tear_down();
}

/* ---- writing against a slow reader */

static size_t sent;
static void on_event_send(void *ctx)
{
    static char room[SERVER_BIG];
    (void)ctx;
    f.events++;
    for (int i = 0; i < SERVER_BIG; i++)
        room[i] = server_pattern(i);
    for (int turn = 0; sent < SERVER_BIG; turn++) { /* small and large pieces, and empty ones */
        size_t left = SERVER_BIG - sent, a = turn % 3 == 0 ? 100 : turn % 3 == 1 ? 20000 : 0, b = turn % 2 ? 16384 : 1;
        a = a < left ? a : left;
        b = b < left - a ? b : left - a;
        struct iovec iov[] = {{room + sent, a}, {room + sent + a, b}, {room + sent + a + b, left - a - b}};
        ssize_t n = upstream_writev(f.u, iov, 3);
        if (n < 0) {
            CHECK_INT(errno, EAGAIN);
            break;
        }
        sent += (size_t)n;
    }
    upstream_want(f.u, true, sent < SERVER_BIG);
    ssize_t n = upstream_read(f.u, f.got, 64);
    if (n > 0) {
        f.n_got = (size_t)n;
        stop();
    }
}

static void on_ready_send(void *ctx, err_t e, const struct why *why)
{
    (void)ctx, (void)why;
    CHECK_INT(e, ERR_OK);
    write_line("sink");
    upstream_want(f.u, false, true);
}

static void upload(void)
{
    struct why w = {0};
    const struct upstream_user sender = {&f, on_ready_send, on_event_send};
    sent = 0;
    f.n_got = 0;
    CHECK_OK(upstream_take(f.us, &f.route, false, &sender, &f.u, &w), w);
    CHECK_INT(run(5000), 0);
    CHECK_INT(sent, SERVER_BIG);
    CHECK(f.n_got == 4 && memcmp(f.got, "sunk", 4) == 0);
    CHECK(f.events < 200);
    upstream_give(TAKE(f.u), true);
    CHECK_INT(upstream_count(f.us).idle, 1);
}

TEST(uploads_go_on_as_the_reader_does)
{
    set_up();
    serve_tls();
    upload();
    tear_down();
    set_up();
    serve_plain();
    upload();
    tear_down();
}

/* ---- ends */

static void ends(const char *line, int expect)
{
    CHECK_OK(exchange_on(line, 1, false), f.why);
    CHECK_INT(f.n_got, 0);
    CHECK_INT(f.eof, expect);
    CHECK(upstream_read(f.u, f.got, 1) == (expect == 1 ? 0 : -1)); /* and it stays so */
    upstream_give(TAKE(f.u), true);
    CHECK_INT(upstream_count(f.us).open, 0);
}

TEST(ends_are_told_apart)
{
    set_up();
    serve_tls();
    ends("end", 1);
    ends("cut", -ECONNRESET);
    ends("rst", -ECONNRESET);
    serve_plain();
    ends("end", 1);
    ends("rst", -ECONNRESET);
    tear_down();
}

TEST(end_is_told_even_when_nothing_is_wanted)
{
    set_up();
    serve_tls();
    CHECK_OK(exchange_on(NULL, 1, false), f.why);
    write_line("end");
    upstream_want(f.u, false, false);
    CHECK_INT(run(2000), 0);
    CHECK_INT(f.eof, 1);
    tear_down();
}

TEST(key_update_is_answered_unseen)
{
    set_up();
    serve_tls();
    exchange("key", "pong");
    upstream_give(TAKE(f.u), true);
    for (int i = 0; i < 3; i++)
        ping();
    CHECK_INT(upstream_count(f.us).made, 1);
    tear_down();
}

/* ---- certificates */

static void refused(const struct server_rules *rules, err_t e, const char *reason)
{
    serve(rules);
    CHECK_INT(exchange_on("ping", 4, false), e);
    if (!strstr(f.why.text, reason)) {
        printf("    \"%s\" has no \"%s\"\n", f.why.text, reason);
        CHECK(false);
    }
    CHECK_INT(upstream_count(f.us).open, 0);
}

TEST(bad_certificates_are_named)
{
    set_up();
    struct leaf expired = cert_make("x", "DNS:localhost", -7200, -3600, &f.authority);
    struct leaf future = cert_make("x", "DNS:localhost", 3600, 7200, &f.authority);
    struct leaf other = cert_make("x", "DNS:other.test,DNS:*.localhost", -3600, 3600, &f.authority);
    struct leaf only_cn = cert_make("localhost", "email:a@b.c", -3600, 3600, &f.authority);
    struct leaf self = cert_make("x", "DNS:localhost", -3600, 3600, NULL);
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/stranger.pem", f.dir.path);
    struct authority stranger = authority_new(path, "another CA");
    struct authority impostor = authority_new(path, "throw-away CA");
    struct leaf forged = cert_make("x", "DNS:localhost", -3600, 3600, &impostor);
    struct leaf strange = cert_make("x", "DNS:localhost", -3600, 3600, &stranger);
    refused(&(struct server_rules){.leaf = &expired}, ERR_CORRUPT, "the certificate of localhost has expired");
    refused(&(struct server_rules){.leaf = &future}, ERR_CORRUPT, "is not valid yet");
    refused(&(struct server_rules){.leaf = &other}, ERR_CORRUPT, "is for another host");
    refused(&(struct server_rules){.leaf = &only_cn}, ERR_CORRUPT, "is for another host");
    refused(&(struct server_rules){.leaf = &self}, ERR_CORRUPT, "is self-signed");
    refused(&(struct server_rules){.leaf = &strange}, ERR_CORRUPT, "is from an issuer that is not trusted");
    refused(&(struct server_rules){.leaf = &forged}, ERR_CORRUPT, "is not signed by the issuer it names");
    f.route.ca = view_str(""); /* the system's store has never heard of ours */
    refused(&(struct server_rules){.leaf = &f.good}, ERR_CORRUPT, "is from an issuer that is not trusted");
    struct leaf *all[] = {&expired, &future, &other, &only_cn, &self, &strange, (struct leaf *)&stranger, (struct leaf *)&impostor, &forged};
    for (size_t i = 0; i < COUNT(all); i++)
        leaf_free(all[i]);
    tear_down();
}

TEST(literal_addresses_are_checked_against_the_certificate)
{
    set_up();
    struct leaf other = cert_make("127.0.0.1", "IP:127.0.0.9,DNS:127.0.0.1", -3600, 3600, &f.authority);
    f.route.host = view_str("127.0.0.1");
    serve_tls();
    ping();
    refused(&(struct server_rules){.leaf = &other}, ERR_CORRUPT, "is for another host");
    leaf_free(&other);
    tear_down();
}

TEST(server_is_told_the_name_and_the_protocol_but_no_address)
{
    set_up();
    serve(&(struct server_rules){.leaf = &f.good, .alpn = ""});
    exchange("who", "localhost http/1.1");
    upstream_give(TAKE(f.u), true);
    f.route.host = view_str("127.0.0.1");
    exchange("who", "- http/1.1");
    tear_down();
}

TEST(what_speaks_no_tls_is_unavailable)
{
    set_up();
    refused(&(struct server_rules){.leaf = &f.good, .version = TLS1_1_VERSION}, ERR_UNAVAILABLE, "no TLS with localhost");
    refused(&(struct server_rules){.kind = SERVER_GARBAGE}, ERR_UNAVAILABLE, "no TLS with localhost");
    refused(&(struct server_rules){.leaf = &f.good, .alpn = "\x02h2"}, ERR_UNAVAILABLE, "localhost");
    tear_down();
}

TEST(bad_ca_files_are_named)
{
    set_up();
    serve_tls();
    f.route.ca = view_str("/nonexistent/ca.pem");
    CHECK_INT(exchange_on("ping", 4, false), ERR_NOT_FOUND);
    CHECK(strstr(f.why.text, "/nonexistent/ca.pem"));
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/empty.pem", f.dir.path);
    scratch_write(path, "nothing\n", 8, 0600);
    f.route.ca = view_str(path);
    CHECK_INT(exchange_on("ping", 4, false), ERR_INVALID);
    tear_down();
}

/* ---- reaching */

TEST(private_addresses_need_the_route_to_say_so)
{
    static const char *const hosts[] = {"localhost", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "inside.test", "169.254.169.254"};
    set_up();
    serve_plain();
    f.route.flags = 0;
    for (size_t i = 0; i < COUNT(hosts); i++) {
        f.route.host = view_str(hosts[i]);
        CHECK_INT(exchange_on("ping", 4, false), ERR_DENIED);
        CHECK(strstr(f.why.text, "is not public") && strstr(f.why.text, hosts[i]));
    }
    CHECK_INT(upstream_count(f.us).open, 0);
    f.route.flags = ROUTE_PRIVATE;
    f.route.host = view_str("inside.test"); /* ::1 and 10.0.0.1 are tried too and lose */
    ping();
    tear_down();
}

TEST(refused_connection_is_unavailable_at_once)
{
    set_up();
    f.route.port = server_dead_port();
    int64_t before = clock_boot_ms();
    CHECK_INT(exchange_on("ping", 4, false), ERR_UNAVAILABLE);
    CHECK(strstr(f.why.text, "cannot connect to localhost") && strstr(f.why.text, "refused"));
    CHECK(clock_boot_ms() - before < 1000);
    tear_down();
}

TEST(unknown_name_and_no_host_are_errors)
{
    struct why w = {0};
    set_up();
    f.route.host = view_str("no-such.test");
    f.route.port = 1;
    CHECK_INT(exchange_on("ping", 4, false), ERR_UNAVAILABLE);
    f.route.host = view_str("no host");
    CHECK_INT(upstream_take(f.us, &f.route, false, &user, &f.u, &w), ERR_INVALID);
    tear_down();
}

TEST(everything_until_open_ends_with_the_deadline)
{
    set_up_with(&(struct upstream_limits){300, 5000, 4, NULL});
    serve(&(struct server_rules){.kind = SERVER_MUTE}); /* accepts: the handshake hangs */
    int64_t before = clock_boot_ms();
    CHECK_INT(exchange_on("ping", 4, false), ERR_TIMEOUT);
    CHECK(clock_boot_ms() - before >= 290 && clock_boot_ms() - before < 2000);
    CHECK(strstr(f.why.text, "did not shake hands"));
    f.route.host = view_str("mute.test");
    CHECK_INT(exchange_on("ping", 4, false), ERR_TIMEOUT);
    CHECK(strstr(f.why.text, "was not resolved"));
    CHECK_INT(upstream_count(f.us).open, 0);
    tear_down();
}

TEST(giving_back_while_connecting_cancels)
{
    struct why w = {0};
    set_up();
    unsigned fds = descriptors();
    serve(&(struct server_rules){.kind = SERVER_MUTE});
    CHECK_OK(upstream_take(f.us, &f.route, false, &user, &f.u, &w), w);
    CHECK_INT(run(50), 1); /* in the handshake */
    upstream_give(TAKE(f.u), false);
    f.route.host = view_str("mute.test");
    CHECK_OK(upstream_take(f.us, &f.route, false, &user, &f.u, &w), w);
    upstream_give(TAKE(f.u), true); /* resolving */
    CHECK_INT(run(50), 1);
    CHECK(f.readies == 0 && upstream_count(f.us).open == 0);
    CHECK(descriptors() <= fds + 1); /* c-ares's */
    tear_down();
}

/* ---- the pool */

TEST(idle_connection_that_ends_or_talks_is_dropped)
{
    set_up();
    serve_tls();
    static const char *const lines[] = {"bye", "push"};
    for (int plain = 0; plain < 2; plain++) {
        for (size_t i = 0; i < COUNT(lines); i++) {
            exchange(lines[i], "pong");
            upstream_give(TAKE(f.u), true);
            CHECK_INT(upstream_count(f.us).idle, 1);
            CHECK_INT(run(200), 1);
            CHECK_INT(upstream_count(f.us).idle, 0);
            CHECK_INT(upstream_count(f.us).open, 0);
        }
        serve_plain();
    }
    tear_down();
}

TEST(unread_bytes_make_a_connection_unfit)
{
    struct why w = {0};
    set_up();
    serve_tls();
    CHECK_OK(exchange_on(NULL, 1, false), f.why);
    write_line("ping");
    upstream_want(f.u, false, false);
    CHECK_INT(run(100), 1); /* the answer lies there */
    upstream_give(TAKE(f.u), true);
    CHECK_INT(upstream_count(f.us).open, 0);
    (void)w;
    tear_down();
}

TEST(idle_ones_are_few_and_age)
{
    struct upstream *many[6];
    struct why w = {0};
    set_up_with(&(struct upstream_limits){3000, 300, 4, NULL});
    serve_plain();
    for (int i = 0; i < 6; i++) {
        CHECK_OK(exchange_on("ping", 4, true), f.why);
        many[i] = TAKE(f.u);
    }
    CHECK_INT(upstream_count(f.us).open, 6);
    for (int i = 0; i < 6; i++)
        upstream_give(many[i], true);
    CHECK_INT(upstream_count(f.us).open, 4);
    CHECK_INT(upstream_count(f.us).idle, 4);
    CHECK_INT(run(150), 1);
    f.line = NULL;
    CHECK_OK(upstream_take(f.us, &f.route, false, &user, &f.u, &w), w);
    CHECK(f.u == many[5]); /* the last one in */
    upstream_give(TAKE(f.u), true);
    CHECK_INT(run(200), 1);
    CHECK_INT(upstream_count(f.us).idle, 1); /* its time began anew */
    CHECK_INT(run(300), 1);
    CHECK_INT(upstream_count(f.us).open, 0);
    tear_down();
}

/* (Under a sanitizer's allocator mallinfo2(3) counts nothing, and this proves nothing.) */
TEST(idle_tls_connections_hold_little_memory)
{
    enum { N = 20, PER_CONNECTION = 24 * 1024 };
    struct upstream *many[N];
    set_up_with(&(struct upstream_limits){3000, 60000, N, NULL});
    serve_tls();
    ping();
    size_t before = mallinfo2().uordblks;
    for (int i = 0; i < N; i++) {
        CHECK_OK(exchange_on("ping", 4, true), f.why);
        many[i] = TAKE(f.u);
    }
    for (int i = 0; i < N; i++)
        upstream_give(many[i], true);
    CHECK_INT(upstream_count(f.us).idle, N);
    size_t used = (mallinfo2().uordblks - before) / N;
    if (used > PER_CONNECTION)
        printf("    %zu bytes each\n", used);
    CHECK(used <= PER_CONNECTION);
    tear_down();
}

/* What OpenSSL takes for a record and gives back each time tears the heap apart: 2,000 idle streams came to 15 KB more each. */
static unsigned taken;

static void *count_malloc(size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    taken++;
    return malloc(n);
}

static void *count_realloc(void *p, size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    taken++;
    return realloc(p, n);
}

static void count_free(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    free(p);
}

__attribute__((constructor)) static void count_from_the_first(void)
{
    if (CRYPTO_set_mem_functions(count_malloc, count_realloc, count_free) != 1)
        abort();
}

TEST(looking_for_what_is_not_there_takes_no_memory)
{
    char none[16];
    set_up();
    serve_tls();
    CHECK_OK(exchange_on("ping", 4, true), f.why);
    struct upstream *u = TAKE(f.u);
    CHECK(upstream_read(u, none, sizeof(none)) == -1 && errno == EAGAIN); /* a ticket may be there */
    unsigned before = taken;
    CHECK(before > 0);
    for (int k = 0; k < 3; k++)
        CHECK(upstream_read(u, none, sizeof(none)) == -1 && errno == EAGAIN);
    CHECK_INT(taken, before);
    upstream_give(u, true);
    tear_down();
}

TEST(origins_do_not_share)
{
    set_up();
    serve_tls();
    ping();
    f.route.host = view_str("127.0.0.1");
    ping();
    CHECK_INT(upstream_count(f.us).made, 2);
    char copy[160];
    (void)snprintf(copy, sizeof(copy), "%s/./ca.pem", f.dir.path);
    f.route.ca = view_str(copy); /* another trust, as far as anyone can tell */
    ping();
    CHECK_INT(upstream_count(f.us).made, 3);
    CHECK_INT(upstream_count(f.us).idle, 3);
    f.route.port = server_dead_port();
    CHECK_INT(exchange_on("ping", 4, false), ERR_UNAVAILABLE);
    tear_down();
}

TEST(giving_back_inside_on_event_is_fine)
{
    set_up();
    serve_tls();
    f.give = true;
    for (int i = 0; i < 50; i++) {
        CHECK_OK(exchange_on("ping", 4, false), f.why);
        CHECK(!f.u);
    }
    CHECK_INT(upstream_count(f.us).made, 1);
    CHECK_INT(upstream_count(f.us).idle, 1);
    tear_down();
}

TEST(nothing_is_left_open)
{
    unsigned before = descriptors();
    set_up();
    serve_tls();
    ping();
    exchange("ping", "pong");
    tear_down();
    CHECK_INT(descriptors(), before);
}

/* Two addresses, the first of which swallows everything. */
TEST(second_address_is_tried_while_the_first_is_silent)
{
    int hole[4];
    uint16_t port = 0;
    set_up();
    server_black_hole("127.0.0.2", &port, hole);
    serve(&(struct server_rules){.leaf = &f.good, .address = "127.0.0.3", .port = port});
    f.route.host = view_str("pair.test");
    unsigned fds = descriptors();
    int64_t before = clock_boot_ms();
    exchange("ping", "pong");
    CHECK(clock_boot_ms() - before < 1500);
    CHECK_INT(descriptors(), fds + 1); /* the loser is closed */
    upstream_give(TAKE(f.u), true);
    for (int i = 0; i < 4; i++)
        close(hole[i]);
    tear_down();
}

/* ---- what the role of a proxy worker allows is enough for all of it */

static int sandboxed(void)
{
    struct why w = {0};
    const struct sandbox_path paths[] = {{f.dir.path, false},     {"/etc/ssl", false},  {"/usr/share/ca-certificates", false},
                                         {"/etc/hosts", false},   {"/etc/resolv.conf", false}, {"/dev/urandom", false},
                                         {NULL, false}};
    if (setjmp(check_out)) /* a CHECK that fails in this process ends it */
        return 1;
    if (sandbox_process(&w) != ERR_OK || sandbox_enter(SANDBOX_PROXY, paths, NULL, &w) != ERR_OK)
        return 2;
    f.route.host = view_str("pair.test");
    exchange("ping", "pong");
    upstream_give(TAKE(f.u), false);
    ping();
    f.route.host = view_str("localhost");
    f.route.ca = view_str("");
    CHECK_INT(exchange_on("ping", 4, false), ERR_CORRUPT); /* the system's store was looked into */
    f.route.host = view_str("no-such.test");
    CHECK_INT(exchange_on("ping", 4, false), ERR_UNAVAILABLE);
    return 0;
}

TEST(all_of_it_works_inside_the_sandbox_of_a_proxy_worker)
{
    int status = -1;
    uint16_t port = 0;
    set_up();
    close(server_listen("127.0.0.2", &port)); /* refuses */
    serve(&(struct server_rules){.leaf = &f.good, .address = "0.0.0.0", .port = port});
    pid_t pid = fork();
    if (pid == 0)
        _exit(sandboxed());
    CHECK_INT(waitpid(pid, &status, 0), pid);
    CHECK_INT(status, 0);
    tear_down();
}
