/*
 * c-ares on our loop: it says which sockets it wants watched and when it wants to be called, and
 * never blocks but for reading /etc/hosts. A try lasts 1 s and then 2 s per name server, so that even
 * three dead ones end within RESOLVE_TIMEOUT_MS. Invariant: a channel is replaced (because
 * resolv.conf changed) only while no question is open, and never from inside one of its callbacks.
 */
#include "proxy/resolve_channel.h"
#include "base/auto.h"
#include "base/clock.h"

#include <ares.h>
#include <netdb.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>

enum { TRY_MS = 1000, TRIES = 2 };
static const char resolv_conf[] = "/etc/resolv.conf";

struct socket_watch {
    struct channel *channel;
    struct loop_fd *fd;
    int number;
    struct socket_watch *next;
};
struct channel {
    struct loop *loop;
    ares_channel ares;
    struct socket_watch *sockets;
    struct loop_timer *timer;
    const char *servers;
    struct stat conf;
    unsigned open; /* questions */
    bool closing;
};
struct question {
    struct channel *channel;
    channel_fn *fn;
    void *ctx;
};

/* ---- sockets and the timer */

static void arm(struct channel *c)
{
    struct timeval tv, *t = ares_timeout(c->ares, NULL, &tv);
    if (!t)
        loop_timer_cancel(c->timer);
    else /* a failed set means: out of memory; the waiters' own deadlines remain */
        (void)!loop_timer_set(c->timer, clock_boot_ms() + t->tv_sec * 1000 + t->tv_usec / 1000 + 1);
}

static void process(struct channel *c, int readable, int writable)
{
    ares_process_fd(c->ares, readable, writable);
    arm(c);
}

static void on_timer(void *ctx)
{
    process(ctx, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

static void on_socket(void *ctx, int fd, uint32_t events)
{
    bool broken = events & (EPOLLERR | EPOLLHUP);
    process(ctx, broken || events & EPOLLIN ? fd : ARES_SOCKET_BAD,
            broken || events & EPOLLOUT ? fd : ARES_SOCKET_BAD);
}

static void watch(struct channel *c, int fd, uint32_t events)
{
    struct socket_watch *s = calloc(1, sizeof(*s));
    if (!s)
        return; /* as if the packet had been lost */
    *s = (struct socket_watch){.channel = c, .number = fd, .next = c->sockets};
    if (loop_watch(c->loop, &(struct loop_source){fd, events, on_socket, c}, &s->fd, NULL) !=
        ERR_OK) {
        free(s);
        return;
    }
    c->sockets = s;
}

static void on_state(void *ctx, ares_socket_t fd, int readable, int writable)
{
    struct channel *c = ctx;
    uint32_t events = (readable ? EPOLLIN : 0U) | (writable ? EPOLLOUT : 0U);
    struct socket_watch **at = &c->sockets;
    while (*at && (*at)->number != fd)
        at = &(*at)->next;
    if (!*at && events) {
        watch(c, fd, events);
    } else if (*at && events) {
        (void)!loop_rewatch((*at)->fd, events);
    } else if (*at) {
        struct socket_watch *gone = *at;
        *at = gone->next;
        loop_unwatch(gone->fd);
        free(gone);
    }
}

/* ---- answers */

struct family { /* the addresses of one family, in c-ares's order of preference */
    const struct sockaddr *at[RESOLVE_ADDRESSES];
    unsigned n;
};

static void collect(const struct ares_addrinfo_node *node, struct family *f, int family)
{
    for (; node && f->n < RESOLVE_ADDRESSES; node = node->ai_next)
        if (node->ai_family == family)
            f->at[f->n++] = node->ai_addr;
}

/* RFC 8305 section 4: the families by turns, beginning with the preferred one */
static void interleave(const struct ares_addrinfo *ai, struct resolved *out)
{
    struct family f[2] = {0};
    bool first6 = ai->nodes && ai->nodes->ai_family == AF_INET6;
    collect(ai->nodes, &f[0], first6 ? AF_INET6 : AF_INET);
    collect(ai->nodes, &f[1], first6 ? AF_INET : AF_INET6);
    for (unsigned i = 0; i < RESOLVE_ADDRESSES; i++)
        for (unsigned k = 0; k < 2 && out->n < RESOLVE_ADDRESSES; k++) {
            if (i >= f[k].n)
                continue;
            const struct sockaddr *sa = f[k].at[i];
            size_t n = sa->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                 : sizeof(struct sockaddr_in);
            memcpy(&out->address[out->n++], sa, n);
        }
}

static int ttl_of(const struct ares_addrinfo *ai)
{
    int ttl = INT32_MAX;
    for (const struct ares_addrinfo_node *n = ai->nodes; n; n = n->ai_next)
        ttl = n->ai_ttl < ttl ? n->ai_ttl : ttl;
    for (const struct ares_addrinfo_cname *n = ai->cnames; n; n = n->next)
        ttl = n->ttl < ttl ? n->ttl : ttl;
    return ttl > 0 ? ttl : 0;
}

static err_t error_of(int status)
{
    switch (status) {
    case ARES_SUCCESS: /* without an address */
    case ARES_ENODATA:
    case ARES_ENOTFOUND:
        return ERR_NOT_FOUND;
    case ARES_ETIMEOUT:
        return ERR_TIMEOUT;
    default:
        return ERR_UNAVAILABLE;
    }
}

static void on_answer(void *ctx, int status, int timeouts, struct ares_addrinfo *ai)
{
    AUTO(auto_free) struct question *q = ctx;
    struct channel *c = q->channel;
    struct resolved r = {0};
    int ttl = 0;
    (void)timeouts;
    if (status == ARES_SUCCESS && ai) {
        interleave(ai, &r);
        ttl = ttl_of(ai);
    }
    if (ai)
        ares_freeaddrinfo(ai);
    if (!c->closing)
        q->fn(q->ctx, r.n > 0 ? ERR_OK : error_of(status), &r, ttl);
    c->open--; /* not before: what `fn` asks must not replace the channel that is at work here */
}

/* ---- the channel */

static err_t open_ares(struct channel *c, ares_channel *out, struct why *why)
{
    char lookups[] = "fb"; /* /etc/hosts, then DNS */
    struct ares_options o = {.timeout = TRY_MS,
                             .tries = TRIES,
                             .lookups = lookups,
                             .sock_state_cb = on_state,
                             .sock_state_cb_data = c};
    ares_channel ares = NULL;
    int r = ares_init_options(
        &ares, &o, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB);
    if (r != ARES_SUCCESS)
        return fail(why, ERR_INTERNAL, "c-ares: %s", ares_strerror(r));
    if (c->servers && ares_set_servers_ports_csv(ares, c->servers) != ARES_SUCCESS) {
        ares_destroy(ares);
        return fail(why, ERR_INVALID, "%s: no list of name servers", c->servers);
    }
    *out = ares;
    return ERR_OK;
}

/* A laptop changes networks, a container's file is written late. A file that cannot be read leaves what there is. */
static void look_for_change(struct channel *c)
{
    struct stat now;
    ares_channel fresh;
    if (c->servers || c->open > 0 || stat(resolv_conf, &now) < 0 ||
        (now.st_ino == c->conf.st_ino && now.st_size == c->conf.st_size &&
         memcmp(&now.st_mtim, &c->conf.st_mtim, sizeof(now.st_mtim)) == 0))
        return;
    /* c-ares takes its query ids from /dev/urandom, or makes guessable ones without a word */
    if (access(resolv_conf, R_OK) < 0 || access("/dev/urandom", R_OK) < 0 ||
        open_ares(c, &fresh, NULL) != ERR_OK)
        return;
    ares_destroy(c->ares);
    c->ares = fresh;
    c->conf = now;
}

static void auto_channel(struct channel **c)
{
    channel_free(*c);
}

err_t channel_new(struct loop *l, const char *servers, struct channel **out, struct why *why)
{
    AUTO(auto_channel) struct channel *c = calloc(1, sizeof(*c));
    if (!c)
        return fail(why, ERR_INTERNAL, "out of memory");
    c->loop = l;
    c->servers = servers;
    (void)stat(resolv_conf, &c->conf); /* none: zeros */
    TRY(open_ares(c, &c->ares, why));
    if (loop_timer_new(l, on_timer, c, &c->timer) != ERR_OK)
        return fail(why, ERR_INTERNAL, "out of memory");
    *out = TAKE(c);
    return ERR_OK;
}

void channel_free(struct channel *c)
{
    if (!c)
        return;
    c->closing = true;
    if (c->ares)
        ares_destroy(c->ares); /* closes its sockets, which unwatches them */
    loop_timer_free(c->timer);
    free(c);
}

void channel_ask(struct channel *c, const char *name, channel_fn *fn, void *ctx)
{
    const struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct question *q = malloc(sizeof(*q));
    if (!q) {
        fn(ctx, ERR_UNAVAILABLE, &(struct resolved){0}, 0);
        return;
    }
    look_for_change(c);
    *q = (struct question){c, fn, ctx};
    c->open++;
    ares_getaddrinfo(c->ares, name, NULL, &hints, on_answer, q);
    arm(c);
}
