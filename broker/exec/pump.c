/*
 * Pairs of sockets, the client's and the proxy's, with two flows of bytes between them. Bytes are
 * read into one scratch buffer and written on at once; only what the other side does not take is
 * held, and while a flow holds something nothing more is read for it: that is the back-pressure,
 * and an idle pair has no buffer at all. Sockets are watched edge-triggered, so a change of state
 * costs no system call; a pair that is not dry after its turns stands in a list, so that one
 * stream cannot starve the others.
 *
 * An end of reading is passed on as an end of writing. A client that is gone ends its pair at once;
 * a proxy that is gone ends it when the client has its last byte.
 */
#include "exec/pump.h"

#include "base/auto.h"
#include "base/clock.h"
#include "exec/flow.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { BACKLOG = 512, RETRY_MS = 50, ACCEPT_PAUSE_MS = 100, OTHER_FDS = 32 };

struct pair {
    struct pump *pump;
    struct pair *next, *prev;
    struct pair *ready_next;
    bool ready;
    int client, proxy; /* proxy -1: not connected yet, or given up */
    struct loop_fd *watch_client, *watch_proxy;
    struct loop_timer *timer; /* of the next try to connect, later of the lingering */
    int64_t patience_until_ms;
    struct flow up, down; /* to the proxy, to the client */
    bool connected, lingers;
};
struct pump {
    struct loop *loop;
    struct sockaddr_un proxy;
    int listener, kick; /* kick: readable while pairs are in the list */
    struct loop_fd *watch_listener, *watch_kick;
    struct loop_timer *accept_again;
    uint16_t port;
    size_t n, most;
    int64_t patience_ms;
    struct pair *all, *ready;
    uint8_t scratch[FLOW_HELD];
};

/* ---- pairs */

static void kick(struct pump *p, struct pair *c)
{
    uint64_t one = 1;
    if (c->ready)
        return;
    if (!p->ready)
        (void)!write(p->kick, &one, sizeof(one));
    c->ready = true;
    c->ready_next = p->ready;
    p->ready = c;
}

static void unkick(struct pump *p, struct pair *c)
{
    for (struct pair **at = &p->ready; *at; at = &(*at)->ready_next)
        if (*at == c) {
            *at = c->ready_next;
            break;
        }
    c->ready = false;
}

/* What the listener is watched for; a failure leaves it as it was, and the next change tries again. */
static void listen_for(struct pump *p, uint32_t events)
{
    if (p->watch_listener && loop_rewatch(p->watch_listener, events) != ERR_OK)
        return;
}

static void pair_free(struct pair *c)
{
    struct pump *p = c->pump;
    if (c->ready)
        unkick(p, c);
    loop_unwatch(c->watch_client);
    loop_unwatch(c->watch_proxy);
    loop_timer_free(c->timer);
    auto_close(&c->client);
    auto_close(&c->proxy);
    flow_drop(&c->up);
    flow_drop(&c->down);
    if (c->next)
        c->next->prev = c->prev;
    *(c->prev ? &c->prev->next : &p->all) = c->next;
    if (p->n-- == p->most)
        listen_for(p, EPOLLIN);
    free(c);
}

/* The client has all it will get: what it still sends is taken and dropped for a while, because closing with bytes
 * unread would make the kernel take back the end of the answer. */
static bool linger(struct pair *c)
{
    if (c->lingers)
        return true;
    c->lingers = true;
    c->up.sunk = true;
    flow_drop(&c->up);
    return loop_timer_set(c->timer, clock_boot_ms() + PUMP_LINGER_MS) == ERR_OK;
}

static void pair_run(struct pair *c)
{
    uint8_t *scratch = c->pump->scratch;
    enum flow_step down = flow_run(&c->down, c->proxy, c->client, scratch);
    if (down == FLOW_SINK_LOST)
        return pair_free(c);
    if (down == FLOW_SOURCE_LOST) {
        c->down.ended = true;
        down = FLOW_MORE; /* once more, to pass the end on */
    }
    enum flow_step up = flow_run(&c->up, c->client, c->proxy, scratch);
    if (up == FLOW_SOURCE_LOST)
        return pair_free(c);
    if (up == FLOW_SINK_LOST) {
        c->up.sunk = true;
        flow_drop(&c->up);
        up = FLOW_MORE;
    }
    if (c->down.closed && (flow_done(&c->up) || (c->up.sunk && !linger(c))))
        return pair_free(c);
    if (up == FLOW_MORE || down == FLOW_MORE)
        kick(c->pump, c);
}

static void on_client(void *ctx, int fd, uint32_t events)
{
    struct pair *c = ctx;
    (void)fd;
    if (events & EPOLLERR) /* reset: nobody is there to be answered */
        return pair_free(c);
    if (c->connected)
        pair_run(c);
}

static void on_proxy(void *ctx, int fd, uint32_t events)
{
    struct pair *c = ctx;
    (void)fd;
    if (events & (EPOLLHUP | EPOLLERR)) { /* it reads nothing more; what it wrote is still there */
        c->up.sunk = true;
        flow_drop(&c->up);
    }
    pair_run(c);
}

static void on_kick(void *ctx, int fd, uint32_t events)
{
    struct pump *p = ctx;
    struct pair *list = p->ready;
    uint64_t count;
    (void)events;
    (void)!read(fd, &count, sizeof(count));
    p->ready = NULL;
    while (list) {
        struct pair *c = list;
        list = c->ready_next;
        c->ready = false;
        pair_run(c); /* frees at most itself, and puts at most itself in the new list */
    }
}

/* ---- connecting to the proxy */

static const char away[] =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 5\r\n"
    "Connection: close\r\nContent-Length: 125\r\n\r\n"
    "{\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"code\":\"no_broker\","
    "\"message\":\"broker-relay: the broker's proxy does not answer\"}}";

/* Speaks for the proxy, this once: a bare end of the connection would tell nobody anything. */
static void give_up(struct pair *c)
{
    c->connected = true;
    c->down.ended = true;
    c->up.sunk = true;
    if (!flow_hold(&c->down, away, sizeof(away) - 1))
        return pair_free(c);
    pair_run(c);
}

static bool may_come(int no)
{
    return no == EAGAIN || no == ECONNREFUSED || no == ENOENT || no == EINTR;
}

static bool watch_proxy(struct pair *c)
{
    struct loop_source s = {c->proxy, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, on_proxy, c};
    struct why unheard = {0};
    return loop_watch(c->pump->loop, &s, &c->watch_proxy, &unheard) == ERR_OK;
}

static void pair_connect(void *ctx)
{
    struct pair *c = ctx;
    struct pump *p = c->pump;
    if (c->lingers)
        return pair_free(c);
    c->proxy = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->proxy >= 0 && connect(c->proxy, (struct sockaddr *)&p->proxy, sizeof(p->proxy)) == 0) {
        c->connected = true;
        if (watch_proxy(c))
            return pair_run(c);
        return pair_free(c);
    }
    int no = errno;
    auto_close(&c->proxy);
    c->proxy = -1;
    if (!may_come(no) || clock_boot_ms() >= c->patience_until_ms ||
        loop_timer_set(c->timer, clock_boot_ms() + RETRY_MS) != ERR_OK)
        give_up(c);
}

/* ---- accepting */

/* Takes `fd` over. */
static void pair_new(struct pump *p, int fd)
{
    static const int on = 1;
    struct why unheard = {0};
    struct pair *c = calloc(1, sizeof(*c));
    if (!c) {
        close(fd);
        return;
    }
    *c = (struct pair){.pump = p, .next = p->all, .client = fd, .proxy = -1};
    c->patience_until_ms = clock_boot_ms() + p->patience_ms;
    if (p->all)
        p->all->prev = c;
    p->all = c;
    p->n++;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on,
                     sizeof(on)); /* a token of a stream is a small write */
    struct loop_source s = {fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, on_client, c};
    if (loop_timer_new(p->loop, pair_connect, c, &c->timer) != ERR_OK ||
        loop_watch(p->loop, &s, &c->watch_client, &unheard) != ERR_OK)
        return pair_free(c);
    pair_connect(c);
}

static void pause_accepting(struct pump *p)
{
    if (loop_timer_set(p->accept_again, clock_boot_ms() + ACCEPT_PAUSE_MS) == ERR_OK)
        listen_for(p, 0);
}

static void on_accept_again(void *ctx)
{
    struct pump *p = ctx;
    if (p->n < p->most)
        listen_for(p, EPOLLIN);
}

static void on_listener(void *ctx, int fd, uint32_t events)
{
    struct pump *p = ctx;
    (void)events;
    while (p->n < p->most) {
        int c = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (c >= 0) {
            pair_new(p, c);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            pause_accepting(p);
        if (errno != EINTR && errno != ECONNABORTED)
            return;
    }
    listen_for(p, 0); /* full: the next end of a pair opens it again */
}

/* ---- beginning and end */

static MUST err_t check_loopback(int fd, struct why *why)
{
    struct ifreq lo = {.ifr_name = "lo"};
    if (ioctl(fd, SIOCGIFFLAGS, &lo) == 0 && !(lo.ifr_flags & IFF_UP))
        return fail(why, ERR_UNAVAILABLE,
                    "the loopback interface of this network namespace is down, and the program "
                    "would reach the broker "
                    "over it: ip link set lo up");
    return ERR_OK;
}

static MUST err_t listen_on_loopback(struct pump *p, struct why *why)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(at);
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (p->listener < 0)
        return fail_errno(why, errno, "cannot make a TCP socket for the relay");
    TRY(check_loopback(p->listener, why));
    if (bind(p->listener, (struct sockaddr *)&at, sizeof(at)) < 0 ||
        listen(p->listener, BACKLOG) < 0 ||
        getsockname(p->listener, (struct sockaddr *)&at, &n) < 0)
        return fail_errno(why, errno, "the relay cannot listen on 127.0.0.1");
    p->port = ntohs(at.sin_port);
    return ERR_OK;
}

/* Two descriptors a pair: takes as many as the hard limit gives, and lowers the number of pairs to what is left. */
static size_t room_for(unsigned pairs)
{
    struct rlimit limit;
    rlim_t want = (rlim_t)pairs * 2 + OTHER_FDS;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 256;
    if (limit.rlim_cur < want) {
        limit.rlim_cur = want < limit.rlim_max ? want : limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (limit.rlim_cur >= want)
        return pairs;
    return limit.rlim_cur > OTHER_FDS + 2 ? (limit.rlim_cur - OTHER_FDS) / 2 : 1;
}

static void auto_pump(struct pump **p)
{
    pump_free(*p);
}

err_t pump_new(struct loop *l, const struct pump_options *o, struct pump **out, struct why *why)
{
    AUTO(auto_pump) struct pump *p = calloc(1, sizeof(*p));
    if (!p)
        return fail(why, ERR_INTERNAL, "out of memory");
    p->loop = l;
    p->listener = p->kick = -1;
    p->proxy.sun_family = AF_UNIX;
    if (strlen(o->proxy_socket) >= sizeof(p->proxy.sun_path))
        return fail(why, ERR_USAGE, "the path of the proxy's socket is too long: %.150s",
                    o->proxy_socket);
    memcpy(p->proxy.sun_path, o->proxy_socket, strlen(o->proxy_socket) + 1);
    p->most = room_for(o->connections ? o->connections : PUMP_CONNECTIONS);
    p->patience_ms = o->patience_ms ? o->patience_ms : PUMP_PATIENCE_MS;
    TRY(listen_on_loopback(p, why));
    p->kick = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (p->kick < 0 || loop_timer_new(l, on_accept_again, p, &p->accept_again) != ERR_OK)
        return fail(why, ERR_INTERNAL, "out of descriptors or memory for the relay");
    TRY(loop_watch(l, &(struct loop_source){p->kick, EPOLLIN, on_kick, p}, &p->watch_kick, why));
    TRY(loop_watch(l, &(struct loop_source){p->listener, EPOLLIN, on_listener, p},
                   &p->watch_listener, why));
    *out = TAKE(p);
    return ERR_OK;
}

uint16_t pump_port(const struct pump *p)
{
    return p->port;
}

size_t pump_connections(const struct pump *p)
{
    return p->n;
}

void pump_free(struct pump *p)
{
    if (!p)
        return;
    for (struct pair *c = p->all, *next; c; c = next) {
        next = c->next;
        pair_free(c);
    }
    loop_unwatch(p->watch_listener);
    loop_unwatch(p->watch_kick);
    loop_timer_free(p->accept_again);
    auto_close(&p->listener);
    auto_close(&p->kick);
    explicit_bzero(p->scratch, sizeof(p->scratch));
    free(p);
}
