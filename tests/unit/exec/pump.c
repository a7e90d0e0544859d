/* The pump between TCP and the proxy's socket, as a process of its own, from both of its sides. */
#include "check.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include "unit/client/fake.h"

#include "base/clock.h"
#include "exec/pump.h"

static char dir[64], path[108];
static int listener = -1; /* the proxy's */
static pid_t pump_pid;
static uint16_t port;

static void proxy_listens(void)
{
    listener = fake_listen(path);
    CHECK(listen(listener, 1024) == 0);
}

static void pump_process(int out, unsigned connections, int64_t patience_ms)
{
    struct pump_options o = {path, connections, patience_ms};
    struct loop *l = NULL;
    struct pump *p = NULL;
    struct why why = {0};
    uint16_t got;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (loop_new(&l, &why) != ERR_OK || pump_new(l, &o, &p, &why) != ERR_OK) {
        printf("    %s\n", why.text);
        _exit(1);
    }
    got = pump_port(p);
    if (write(out, &got, sizeof(got)) != (ssize_t)sizeof(got))
        _exit(1);
    _exit(loop_run(l));
}

static void begin(bool proxy, unsigned connections, int64_t patience_ms)
{
    int p[2];
    snprintf(dir, sizeof(dir), "/tmp/pump-XXXXXX");
    CHECK(mkdtemp(dir) != NULL);
    snprintf(path, sizeof(path), "%s/proxy.sock", dir);
    CHECK(pipe(p) == 0);
    pump_pid = fork();
    if (pump_pid == 0)
        pump_process(p[1], connections, patience_ms);
    close(p[1]);
    if (proxy)
        proxy_listens();
    CHECK(read(p[0], &port, sizeof(port)) == (ssize_t)sizeof(port) && port != 0);
    close(p[0]);
}

static void end(void)
{
    int status = -1;
    CHECK_INT(waitpid(pump_pid, &status, WNOHANG), 0); /* it has not died of anything */
    kill(pump_pid, SIGKILL);
    waitpid(pump_pid, &status, 0);
    if (listener >= 0)
        close(listener);
    listener = -1;
    unlink(path);
    rmdir(dir);
}

static int dial_with(int room_for_input)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons(port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (room_for_input)
        CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room_for_input, sizeof(room_for_input)) == 0);
    CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0);
    return fd;
}
static int dial(void)
{
    return dial_with(0);
}

static bool readable(int fd, int ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, ms) == 1;
}
static int take(void)
{
    CHECK(readable(listener, 3000));
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    CHECK(fd >= 0);
    return fd;
}
/* Reads until the end; how many bytes, or -1 for a reset; they must come within 3 s each. */
static ssize_t read_all(int fd, char *text, size_t room)
{
    size_t n = 0;
    while (readable(fd, 3000)) {
        ssize_t r = read(fd, text + n, room - 1 - n);
        if (r < 0)
            return -1;
        if (r == 0) {
            text[n] = '\0';
            return (ssize_t)n;
        }
        n += (size_t)r;
    }
    return -2;
}

/* ---- streams whose every byte is known from its place */

static uint8_t byte_at(uint64_t seed, size_t i)
{
    uint64_t x = (i >> 3) * 0x9e3779b97f4a7c15u + seed;
    x ^= x >> 29;
    x *= 0xbf58476d1ce4e5b9u;
    return (uint8_t)(x >> (8 * (i & 7)));
}
struct half {
    int fd;
    uint64_t out_seed, in_seed;
    size_t out, out_total, in, in_total;
    bool shut, ended;
};
static uint8_t room[100000];
static unsigned lot = 1; /* a fixed row of sizes */
static size_t some(void)
{
    lot = lot * 1103515245u + 12345u;
    return 1 + (lot >> 8) % (lot & 64 ? 100 : sizeof(room));
}

static void half_write(struct half *h)
{
    size_t n = some(), left = h->out_total - h->out;
    n = n < left ? n : left;
    for (size_t i = 0; i < n; i++)
        room[i] = byte_at(h->out_seed, h->out + i);
    ssize_t w = n ? send(h->fd, room, n, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
    CHECK(w >= 0 || errno == EAGAIN);
    h->out += w > 0 ? (size_t)w : 0;
    if (h->out == h->out_total && !h->shut) {
        CHECK(shutdown(h->fd, SHUT_WR) == 0);
        h->shut = true;
    }
}
static void half_read(struct half *h)
{
    ssize_t r = recv(h->fd, room, some(), MSG_DONTWAIT);
    CHECK(r >= 0 || errno == EAGAIN);
    for (ssize_t i = 0; i < r; i++)
        CHECK(room[i] == byte_at(h->in_seed, h->in + (size_t)i));
    h->in += r > 0 ? (size_t)r : 0;
    if (r == 0)
        h->ended = true;
}
static void exchange(struct half *a, struct half *b, int64_t limit_ms)
{
    int64_t until = clock_boot_ms() + limit_ms;
    while (!a->ended || !b->ended) {
        struct pollfd p[2] = {{a->fd, (short)((a->ended ? 0 : POLLIN) | (a->shut ? 0 : POLLOUT)), 0},
                              {b->fd, (short)((b->ended ? 0 : POLLIN) | (b->shut ? 0 : POLLOUT)), 0}};
        CHECK(clock_boot_ms() < until && poll(p, 2, 3000) > 0);
        struct half *h[2] = {a, b};
        for (int i = 0; i < 2; i++) {
            if (p[i].revents & POLLOUT)
                half_write(h[i]);
            if (p[i].revents & (POLLIN | POLLHUP) && !h[i]->ended)
                half_read(h[i]);
        }
    }
    CHECK_INT(a->in, b->out_total);
    CHECK_INT(b->in, a->out_total);
}

static void stream(size_t up, size_t down)
{
    struct half a = {.fd = dial(), .out_seed = 1, .in_seed = 2, .out_total = up};
    struct half b = {.fd = take(), .out_seed = 2, .in_seed = 1, .out_total = down};
    exchange(&a, &b, 40000);
    close(a.fd);
    close(b.fd);
}

TEST(bytes_pass_exactly_both_ways)
{
    begin(true, 0, 0);
    stream(12 << 20, 17 << 20);
    stream(3 << 20, 0);
    stream(0, 3 << 20);
    stream(0, 0);
    stream(1, 1);
    end();
}

/* ---- back-pressure */

static long rss_kb(void)
{
    char name[64], line[200];
    long kb = 0;
    snprintf(name, sizeof(name), "/proc/%d/status", (int)pump_pid);
    FILE *in = fopen(name, "re");
    while (in && fgets(line, sizeof(line), in))
        if (strncmp(line, "VmRSS:", 6) == 0)
            kb = strtol(line + 6, NULL, 10);
    if (in)
        fclose(in);
    return kb;
}
static double cpu_ms(void)
{
    char name[64], text[1000] = "";
    snprintf(name, sizeof(name), "/proc/%d/stat", (int)pump_pid);
    FILE *in = fopen(name, "re");
    size_t n = in ? fread(text, 1, sizeof(text) - 1, in) : 0;
    text[n] = '\0';
    if (in)
        fclose(in);
    const char *p = strrchr(text, ')');
    for (int field = 2; p && field < 14; field++)
        p = strchr(p + 1, ' ');
    char *rest = NULL;
    double ticks = p ? (double)strtol(p, &rest, 10) : 0;
    ticks += rest ? (double)strtol(rest, NULL, 10) : 0;
    return ticks * 1000 / (double)sysconf(_SC_CLK_TCK);
}

#ifdef __SANITIZE_ADDRESS__
enum { MORE_KB = 20000, BUSY_KB = 100000 }; /* its quarantine */
#else
enum { MORE_KB = 400, BUSY_KB = 4000 };
#endif

static void stall(int from, int to)
{
    size_t total = 60u << 20, taken = 0;
    struct half w = {.fd = from, .out_seed = 5, .out_total = total};
    long before = rss_kb();
    for (int quiet = 0; quiet < 20 && w.out < total;) {
        size_t had = w.out;
        half_write(&w);
        quiet = w.out == had ? quiet + 1 : 0;
        if (w.out == had)
            usleep(10000);
    }
    CHECK(w.out < total / 2); /* what the kernel holds, and one buffer */
    CHECK(rss_kb() - before < MORE_KB);
    double spent = cpu_ms();
    usleep(300000);
    CHECK(cpu_ms() - spent < 50); /* and it does not spin meanwhile */
    struct half r = {.fd = to, .in_seed = 5};
    while (!r.ended) {
        half_write(&w);
        half_read(&r);
        taken = r.in;
    }
    CHECK_INT(taken, total);
    CHECK(rss_kb() - before < MORE_KB);
}

TEST(a_slow_reader_costs_one_buffer)
{
    begin(true, 0, 0);
    int client = dial(), proxy = take();
    stall(proxy, client);
    stall(client, proxy);
    close(client);
    close(proxy);
    end();
}

/* ---- many */

TEST(hundreds_at_a_time)
{
    enum { MANY = 300 };
    static int client[MANY], proxy[MANY];
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = limit.rlim_max < 2048 ? limit.rlim_max : 2048;
    if (limit.rlim_cur < 2 * MANY + 50 || setrlimit(RLIMIT_NOFILE, &limit) < 0)
        SKIP("too few descriptors");
    begin(true, 0, 0);
    for (unsigned i = 0; i < MANY; i++) {
        client[i] = dial();
        CHECK(send(client[i], &i, sizeof(i), 0) == sizeof(i));
    }
    for (int i = 0; i < MANY; i++) { /* in whatever order: each says who it is, and gets that back */
        unsigned who;
        proxy[i] = take();
        CHECK(readable(proxy[i], 3000) && recv(proxy[i], &who, sizeof(who), MSG_WAITALL) == sizeof(who));
        who += 1000;
        CHECK(send(proxy[i], &who, sizeof(who), 0) == sizeof(who));
    }
    long busy = rss_kb();
    for (unsigned i = 0; i < MANY; i++) {
        unsigned who = 0;
        CHECK(readable(client[i], 3000) && recv(client[i], &who, sizeof(who), MSG_WAITALL) == sizeof(who));
        CHECK_INT(who, i + 1000);
    }
    CHECK(busy < BUSY_KB);
    for (int i = 0; i < MANY; i++) {
        close(client[i]);
        close(proxy[i]);
    }
    stream(1000, 1000);
    end();
}

TEST(those_over_the_limit_wait)
{
    int client[6], proxy[6];
    begin(true, 4, 0);
    for (int i = 0; i < 6; i++)
        client[i] = dial(); /* the kernel takes them */
    for (int i = 0; i < 4; i++)
        proxy[i] = take();
    CHECK(!readable(listener, 200));
    close(client[0]);
    close(proxy[0]);
    proxy[4] = take();
    CHECK(!readable(listener, 100));
    close(client[1]);
    close(proxy[1]);
    proxy[5] = take();
    for (int i = 2; i < 6; i++) {
        close(client[i]);
        close(proxy[i]);
    }
    end();
}

TEST(the_descriptor_limit_is_the_limit)
{
    static const struct rlimit limit = {40, 40};
    int client[12];
    pid_t pid = fork();
    if (pid == 0) {
        setrlimit(RLIMIT_NOFILE, &limit);
        begin(true, 0, 0);
        for (int i = 0; i < 12; i++)
            client[i] = dial();
        for (int i = 0; i < 4; i++) /* (40 - 32) / 2 */
            (void)take();
        CHECK(!readable(listener, 150));
        close(client[0]);
        end();
        _exit(0);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    CHECK_INT(status, 0);
}

/* ---- ends */

TEST(a_client_that_is_gone_is_seen_at_once)
{
    struct linger hard = {1, 0};
    char text[10];
    begin(true, 0, 0);
    int client = dial(), proxy = take();
    int64_t before = clock_boot_ms();
    CHECK(setsockopt(client, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)) == 0);
    close(client); /* a reset */
    CHECK_INT(read_all(proxy, text, sizeof(text)), 0);
    CHECK(send(proxy, "x", 1, MSG_NOSIGNAL) < 0); /* not half of it: all */
    close(proxy);
    client = dial(), proxy = take();
    close(client);
    CHECK_INT(read_all(proxy, text, sizeof(text)), 0);
    CHECK(clock_boot_ms() - before < 500);
    close(proxy);
    /* while its stream is held back */
    client = dial(), proxy = take();
    while (send(proxy, room, sizeof(room), MSG_DONTWAIT | MSG_NOSIGNAL) > 0 || readable(client, 0) == 0)
        ;
    usleep(100000);
    CHECK(setsockopt(client, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)) == 0);
    close(client);
    CHECK(readable(proxy, 500));
    close(proxy);
    /* while what it sent is held back */
    client = dial(), proxy = take();
    for (int quiet = 0; quiet < 10; usleep(10000))
        quiet = send(client, room, sizeof(room), MSG_DONTWAIT | MSG_NOSIGNAL) > 0 ? 0 : quiet + 1;
    CHECK(setsockopt(client, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)) == 0);
    close(client);
    usleep(100000);
    CHECK(send(proxy, "x", 1, MSG_NOSIGNAL) < 0);
    close(proxy);
    end();
}

TEST(an_answer_that_ends_early_arrives_whole)
{
    static char text[300000];
    begin(true, 0, 0);
    int client = dial_with(4096), proxy = take(); /* most of the answer waits on the other side */
    size_t sent = 0;
    while (sent < 4u << 20) { /* an upload that nobody reads */
        ssize_t n = send(client, room, sizeof(room), MSG_DONTWAIT);
        if (n <= 0)
            break;
        sent += (size_t)n;
    }
    CHECK(send(proxy, room, sizeof(room), 0) == sizeof(room));
    close(proxy); /* with all that unread */
    for (int i = 0; i < 50; i++) {
        (void)send(client, room, 1000, MSG_DONTWAIT | MSG_NOSIGNAL);
        usleep(2000);
    }
    CHECK_INT(read_all(client, text, sizeof(text)), (ssize_t)sizeof(room));
    CHECK(memcmp(text, room, sizeof(room)) == 0);
    close(client);
    end();
}

TEST(a_proxy_that_is_gone_ends_an_idle_client)
{
    char text[10];
    begin(true, 0, 0);
    int client = dial(), proxy = take();
    close(proxy);
    CHECK_INT(read_all(client, text, sizeof(text)), 0);
    int64_t until = clock_boot_ms() + PUMP_LINGER_MS + 2000; /* a client that never closes is cut */
    while (send(client, "x", 1, MSG_NOSIGNAL) > 0) {
        CHECK(clock_boot_ms() < until);
        usleep(50000);
    }
    close(client);
    end();
}

/* ---- a proxy that is away */

TEST(away_for_good_is_said_in_http)
{
    char text[2000];
    begin(false, 0, 150);
    int client = dial();
    CHECK(send(client, "GET / HTTP/1.1\r\n\r\n", 18, 0) == 18);
    CHECK(read_all(client, text, sizeof(text)) > 0);
    CHECK(strncmp(text, "HTTP/1.1 503 ", 13) == 0 && strstr(text, "\"no_broker\""));
    const char *length = strstr(text, "Content-Length: "), *body = strstr(text, "\r\n\r\n");
    CHECK(length && body && strtoul(length + 16, NULL, 10) == strlen(body + 4));
    close(client);
    end();
}

TEST(a_proxy_that_comes_back_is_waited_for)
{
    char c = 0;
    begin(false, 0, 5000);
    int client = dial();
    CHECK(send(client, "a", 1, 0) == 1);
    usleep(200000);
    proxy_listens();
    int proxy = take();
    CHECK(readable(proxy, 1000) && read(proxy, &c, 1) == 1 && c == 'a');
    close(client);
    close(proxy);
    close(listener);
    unlink(path);
    client = dial(); /* and again */
    usleep(100000);
    proxy_listens();
    proxy = take();
    CHECK(send(proxy, "b", 1, 0) == 1 && readable(client, 1000) && read(client, &c, 1) == 1 && c == 'b');
    close(client);
    close(proxy);
    end();
}

TEST(a_full_queue_is_waited_out)
{
    int client[8], n = 0;
    begin(true, 0, 5000);
    CHECK(listen(listener, 0) == 0); /* room for one */
    for (int i = 0; i < 8; i++)
        client[i] = dial();
    usleep(100000);
    for (; n < 8; n++)
        close(take());
    for (int i = 0; i < 8; i++)
        close(client[i]);
    end();
}

/* ---- beginning */

static err_t try_new(const char *socket, struct why *why)
{
    struct pump_options o = {socket, 0, 0};
    struct loop *l = NULL;
    struct pump *p = NULL;
    CHECK_OK(loop_new(&l, why), *why);
    err_t e = pump_new(l, &o, &p, why);
    CHECK(e != ERR_OK || (pump_port(p) && pump_connections(p) == 0));
    pump_free(p);
    loop_free(l);
    return e;
}

TEST(a_path_that_is_too_long)
{
    char too_long[200];
    struct why why = {0};
    memset(too_long, 'a', sizeof(too_long));
    too_long[108] = '\0';
    CHECK_INT(try_new(too_long, &why), ERR_USAGE);
    too_long[107] = '\0';
    CHECK_INT(try_new(too_long, &why), ERR_OK);
}

TEST(a_loopback_that_is_down_is_said)
{
    struct why why = {0};
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        if (unshare(CLONE_NEWNET) < 0)
            _exit(77);
        _exit(try_new("/tmp/x", &why) == ERR_UNAVAILABLE && strstr(why.text, "ip link set lo up") ? 0 : 1);
    }
    waitpid(pid, &status, 0);
    if (WEXITSTATUS(status) == 77)
        SKIP("needs root");
    CHECK_INT(status, 0);
}
