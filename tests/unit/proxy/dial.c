/* The race for a connection: who wins, when the next one starts, and that the losers are closed. */
#include "proxy/dial.h"
#include "base/auto.h"
#include "base/clock.h"
#include "proxy/host.h"
#include "check.h"
#include "server.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>

static struct fixture {
    struct loop *l;
    struct dial *d;
    struct resolved to;
    uint16_t port;
    int listener, hole[4], hole6[4];
    int calls, fd, no;
    bool running;
} f;

static void on_dialed(void *ctx, int fd, int no)
{
    CHECK(ctx == &f);
    f.calls++;
    f.fd = fd;
    f.no = no;
    f.d = NULL;
    if (f.running)
        loop_stop(f.l, 0);
}

static void give_up(void *ctx)
{
    (void)ctx;
    loop_stop(f.l, 1);
}

static int run(int ms)
{
    struct loop_timer *t;
    if (f.calls)
        return 0;
    CHECK_INT(loop_timer_new(f.l, give_up, NULL, &t), ERR_OK);
    CHECK_INT(loop_timer_set(t, clock_boot_ms() + ms), ERR_OK);
    f.running = true;
    int r = loop_run(f.l);
    f.running = false;
    loop_timer_free(t);
    return r;
}

/* one port: a server at 127.0.0.3, silence at 127.0.0.2, nobody elsewhere */
static void set_up(void)
{
    struct why w = {0};
    memset(&f, 0, sizeof(f));
    f.fd = -1;
    CHECK_OK(loop_new(&f.l, &w), w);
    server_black_hole("127.0.0.2", &f.port, f.hole);
    f.listener = server_listen("127.0.0.3", &f.port);
}

static void tear_down(void)
{
    dial_cancel(f.d);
    auto_close(&f.fd);
    close(f.listener);
    for (int i = 0; i < 4; i++)
        close(f.hole[i]);
    loop_free(f.l);
}

static void to(const char *const *list, unsigned n)
{
    struct host h;
    for (unsigned i = 0; i < n; i++) {
        CHECK(host_parse(view_str(list[i]), &h));
        f.to.address[i] = h.address;
        address_set_port(&f.to.address[i], f.port);
    }
    f.to.n = n;
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

static void check_peer(const char *address)
{
    struct sockaddr_in sa;
    char text[32];
    socklen_t n = sizeof(sa);
    CHECK(f.fd >= 0 && getpeername(f.fd, (struct sockaddr *)&sa, &n) == 0);
    CHECK_STR(inet_ntop(AF_INET, &sa.sin_addr, text, sizeof(text)), address);
}

static int start(const char *const *list, unsigned n, int ms)
{
    to(list, n);
    CHECK_INT(dial_start(f.l, &f.to, on_dialed, &f, &f.d), ERR_OK);
    return run(ms);
}

TEST(only_address_is_connected_and_tuned)
{
    static const char *const list[] = {"127.0.0.3"};
    int v = 0;
    socklen_t n = sizeof(v);
    set_up();
    CHECK_INT(start(list, 1, 2000), 0);
    check_peer("127.0.0.3");
    CHECK(getsockopt(f.fd, IPPROTO_TCP, TCP_NODELAY, &v, &n) == 0 && v);
    CHECK(getsockopt(f.fd, SOL_SOCKET, SO_KEEPALIVE, &v, &n) == 0 && v);
    CHECK((fcntl(f.fd, F_GETFL) & O_NONBLOCK) && (fcntl(f.fd, F_GETFD) & FD_CLOEXEC));
    tear_down();
}

TEST(refusal_brings_the_next_at_once)
{
    static const char *const list[] = {"127.0.0.9", "127.0.0.8", "127.0.0.3"};
    set_up();
    unsigned fds = descriptors();
    int64_t before = clock_boot_ms();
    CHECK_INT(start(list, 3, 2000), 0);
    CHECK(clock_boot_ms() - before < DIAL_STAGGER_MS);
    check_peer("127.0.0.3");
    CHECK_INT(descriptors(), fds + 1);
    tear_down();
}

TEST(silence_brings_the_next_after_the_stagger)
{
    static const char *const list[] = {"127.0.0.2", "127.0.0.3"};
    set_up();
    unsigned fds = descriptors();
    int64_t before = clock_boot_ms();
    CHECK_INT(start(list, 2, 3000), 0);
    CHECK(clock_boot_ms() - before >= DIAL_STAGGER_MS - 1);
    check_peer("127.0.0.3");
    CHECK_INT(descriptors(), fds + 1);
    CHECK_INT(f.calls, 1);
    tear_down();
}

TEST(all_refused_gives_the_last_error)
{
    static const char *const list[] = {"127.0.0.9", "127.0.0.8"};
    set_up();
    CHECK_INT(start(list, 2, 2000), 0);
    CHECK_INT(f.fd, -1);
    CHECK_INT(f.no, ECONNREFUSED);
    tear_down();
}

TEST(no_address_at_all_is_an_error)
{
    set_up();
    CHECK_INT(start(NULL, 0, 100), 0);
    CHECK(f.calls == 1 && f.fd == -1 && f.no != 0);
    tear_down();
}

TEST(silence_everywhere_waits_and_cancelling_closes_all)
{
    static const char *const list[] = {"127.0.0.2", "127.0.0.2", "127.0.0.2"};
    set_up();
    unsigned fds = descriptors();
    CHECK_INT(start(list, 3, 400), 1);
    CHECK_INT(f.calls, 0);
    CHECK_INT(descriptors(), fds + 2); /* the third is not due yet */
    dial_cancel(TAKE(f.d));
    CHECK_INT(descriptors(), fds);
    CHECK_INT(run(50), 1);
    tear_down();
}

TEST(last_one_refused_leaves_the_silent_one_its_chance)
{
    static const char *const list[] = {"127.0.0.2", "127.0.0.9"};
    set_up();
    CHECK_INT(start(list, 2, 600), 1);
    CHECK_INT(f.calls, 0);
    tear_down();
}
