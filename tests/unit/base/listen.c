/* base/listen.c: sockets that come and go, quotas, connections that outlive their socket. */
#include "base/listen.h"

#include "base/auto.h"
#include "check.h"

#include <errno.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { CONNS = 16 };
static struct scene {
    struct loop *loop;
    struct listeners *all;
    int fd[CONNS];
    struct listener *from[CONNS];
    unsigned n, refused, most;
} s;
static struct why why;

static bool is_full(void *ctx)
{
    CHECK(ctx == &s);
    return s.n >= s.most;
}

static void refuse(void *ctx, int fd)
{
    CHECK(ctx == &s);
    CHECK(send(fd, "no", 2, MSG_NOSIGNAL) == 2);
    s.refused++;
}

static void adopt(void *ctx, int fd, struct listener *from)
{
    CHECK(ctx == &s && s.n < CONNS);
    s.fd[s.n] = fd;
    s.from[s.n++] = from;
}

static void leave(unsigned i)
{
    close(s.fd[i]);
    listener_release(s.from[i]);
    s.n--;
    s.fd[i] = s.fd[s.n];
    s.from[i] = s.from[s.n];
}

static void drop(void *ctx, const struct listener *from)
{
    CHECK(ctx == &s);
    for (unsigned i = s.n; i-- > 0;)
        if (s.from[i] == from)
            leave(i);
}

static const struct listen_ops ops = {is_full, refuse, adopt, drop};

static void open_scene(uint32_t quota, uint32_t quota_max)
{
    s = (struct scene){.most = CONNS};
    CHECK_OK(loop_new(&s.loop, &why), why);
    CHECK_OK(listeners_new(&(struct listen_setup){s.loop, &ops, &s, quota, quota_max}, &s.all, &why), why);
}

static void close_scene(void)
{
    while (s.n)
        leave(0);
    listeners_free(s.all);
    loop_free(s.loop);
}

/* A listening socket in the abstract namespace. */
static int listening(struct sockaddr_un *addr, socklen_t *n)
{
    struct sockaddr_un any = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    *n = sizeof(*addr);
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&any, sizeof(any.sun_family)) == 0 && listen(fd, 64) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)addr, n) == 0);
    return fd;
}

static int connect_to(const struct sockaddr_un *addr, socklen_t n)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && connect(fd, (const struct sockaddr *)addr, n) == 0);
    return fd;
}

static void on_stop(void *ctx)
{
    loop_stop(ctx, 0);
}

static void turns(void)
{
    struct loop_timer *t;
    CHECK_INT(loop_timer_new(s.loop, on_stop, s.loop, &t), ERR_OK);
    CHECK_INT(loop_timer_set(t, loop_now(s.loop) + 20), ERR_OK);
    CHECK_INT(loop_run(s.loop), 0);
    loop_timer_free(t);
}

static bool was_refused(int fd)
{
    char got[8];
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1 && recv(fd, got, sizeof(got), MSG_DONTWAIT) == 2 && recv(fd, got, sizeof(got), 0) == 0;
}

TEST(all_who_wait_are_taken)
{
    struct sockaddr_un a;
    socklen_t n;
    int c[5];
    open_scene(10, 10);
    CHECK_OK(listen_add(s.all, view_str("gw"), listening(&a, &n), 0, &why), why);
    for (size_t i = 0; i < COUNT(c); i++)
        c[i] = connect_to(&a, n);
    turns();
    CHECK_INT(s.n, 5);
    for (size_t i = 0; i < COUNT(c); i++)
        close(c[i]);
    close_scene();
}

TEST(over_its_quota_one_is_refused_and_another_is_not)
{
    struct sockaddr_un a, b;
    socklen_t an, bn;
    open_scene(10, 10);
    CHECK_OK(listen_add(s.all, view_str("gw"), listening(&a, &an), 2, &why), why);
    CHECK_OK(listen_add(s.all, view_str("marie"), listening(&b, &bn), 2, &why), why);
    int c[3] = {connect_to(&a, an), connect_to(&a, an), connect_to(&a, an)}, other = connect_to(&b, bn);
    turns();
    CHECK_INT(s.n, 3);
    CHECK_INT(s.refused, 1);
    CHECK(was_refused(c[2]) && !was_refused(other));
    leave(0);
    int again = connect_to(&a, an);
    turns();
    CHECK_INT(s.n, 3);
    for (int i = 0; i < 3; i++)
        close(c[i]);
    close(other);
    close(again);
    close_scene();
}

TEST(the_standard_quota_and_the_largest)
{
    static const struct {
        uint64_t given;
        unsigned taken;
    } rows[] = {{0, 2}, {1, 1}, {3, 3}, {99, 3}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct sockaddr_un a;
        socklen_t n;
        int c[5];
        open_scene(2, 3);
        CHECK_OK(listen_add(s.all, view_str("gw"), listening(&a, &n), rows[i].given, &why), why);
        for (size_t k = 0; k < COUNT(c); k++)
            c[k] = connect_to(&a, n);
        turns();
        CHECK_INT(s.n, rows[i].taken);
        CHECK_INT(s.refused, 5 - rows[i].taken);
        for (size_t k = 0; k < COUNT(c); k++)
            close(c[k]);
        close_scene();
    }
}

TEST(where_all_places_are_taken_everybody_is_refused)
{
    struct sockaddr_un a;
    socklen_t n;
    open_scene(10, 10);
    s.most = 1;
    CHECK_OK(listen_add(s.all, view_str("gw"), listening(&a, &n), 0, &why), why);
    int c[2] = {connect_to(&a, n), connect_to(&a, n)};
    turns();
    CHECK(s.n == 1 && s.refused == 1 && was_refused(c[1]));
    close(c[0]);
    close(c[1]);
    close_scene();
}

TEST(a_removed_socket_ends_its_connections_and_nobody_elses)
{
    struct sockaddr_un a, b;
    socklen_t an, bn;
    open_scene(10, 10);
    CHECK_OK(listen_add(s.all, view_str("gw"), listening(&a, &an), 0, &why), why);
    CHECK_OK(listen_add(s.all, view_str("marie"), listening(&b, &bn), 0, &why), why);
    int c[3] = {connect_to(&a, an), connect_to(&b, bn), connect_to(&a, an)};
    turns();
    CHECK_INT(s.n, 3);
    listen_remove(s.all, view_str("nobody"));
    listen_remove(s.all, view_str("gw"));
    CHECK_INT(s.n, 1);
    int more = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(connect(more, (struct sockaddr *)&a, an) < 0 && errno == ECONNREFUSED);
    close(more);
    for (int i = 0; i < 3; i++)
        close(c[i]);
    close_scene();
}

TEST(a_replaced_socket_leaves_its_connections)
{
    struct sockaddr_un a, b;
    socklen_t an, bn;
    open_scene(10, 10);
    CHECK_OK(listen_add(s.all, view_str("gw"), listening(&a, &an), 0, &why), why);
    int first = connect_to(&a, an);
    turns();
    CHECK_OK(listen_add(s.all, view_str("gw"), listening(&b, &bn), 0, &why), why);
    int second = connect_to(&b, bn);
    turns();
    CHECK_INT(s.n, 2);
    CHECK(s.from[0] == s.from[1]);
    close(first);
    close(second);
    close_scene();
}

TEST(what_names_nobody_is_refused)
{
    struct sockaddr_un a;
    socklen_t n;
    char name[80];
    open_scene(10, 10);
    memset(name, 'x', sizeof(name));
    CHECK_INT(listen_add(s.all, view_str(""), listening(&a, &n), 0, &why), ERR_INVALID);
    CHECK_INT(listen_add(s.all, VIEW((uint8_t *)name, sizeof(name)), listening(&a, &n), 0, &why), ERR_INVALID);
    CHECK_INT(listen_add(s.all, view_str("gw"), -1, 0, &why), ERR_INVALID);
    close_scene();
}

TEST(out_of_descriptors_it_waits_and_goes_on)
{
    struct sockaddr_un a;
    socklen_t n;
    open_scene(10, 10);
    CHECK_OK(listen_add(s.all, view_str("gw"), listening(&a, &n), 0, &why), why);
    int c = connect_to(&a, n);
    struct rlimit was, few;
    int top = dup(c);
    close(top);
    CHECK(getrlimit(RLIMIT_NOFILE, &was) == 0);
    few = was;
    few.rlim_cur = (rlim_t)top;
    CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
    turns();
    CHECK(s.n == 0 && listeners_stalled(s.all));
    turns(); /* nobody is asked again and again meanwhile */
    CHECK(setrlimit(RLIMIT_NOFILE, &was) == 0);
    listeners_retry(s.all);
    CHECK(!listeners_stalled(s.all));
    turns();
    CHECK_INT(s.n, 1);
    close(c);
    close_scene();
}
