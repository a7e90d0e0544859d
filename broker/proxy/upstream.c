/*
 * The life of a connection: resolve → dial → shake hands → open ⇄ idle. Watched edge-triggered once
 * and for all; what the flags of its wire and TLS's buffers say is turned into level-triggered calls
 * here, by way of loop_later() where the kernel has no event to tell. Invariants: a user's on_event
 * is called from the loop only, never from inside a call the user makes; after on_ready with an
 * error, or upstream_give(), nothing of the user is touched; the address connected to is one that
 * was checked, so no second resolution can put another in its place.
 */
#include "proxy/upstream.h"
#include "base/auto.h"
#include "base/clock.h"
#include "proxy/address.h"
#include "proxy/dial.h"
#include "proxy/resolve.h"
#include "proxy/upstream_pool.h"

#include <errno.h>
#include <string.h>

enum state { CONNECTING, SHAKING, OPEN };

struct upstream {
    struct upstreams *us;
    struct pooled slot;
    enum state state;
    struct wire wire;
    struct loop_fd *watch;
    struct tls_conn *tls;
    struct upstream_user user;
    bool want_read, want_write, reused, lean;
    struct loop_later later;
    struct resolve_query *query; /* while connecting, as the next two */
    struct dial *dial;
    struct loop_timer *deadline;
};
struct upstreams {
    struct loop *loop;
    struct pool *pool;
    struct resolver *resolver;
    int connect_ms;
    const struct upstream *calling; /* whose on_event runs; NULL as soon as it was given back */
    unsigned open;
    uint64_t made, reused, resumed;
};

/* ---- the end */

static void end(void *owner)
{
    struct upstream *u = owner;
    struct upstreams *us = u->us;
    resolve_cancel(u->query);
    dial_cancel(u->dial);
    loop_timer_free(u->deadline);
    loop_never(&u->later);
    tls_close(u->tls);
    loop_unwatch(u->watch);
    auto_close(&u->wire.fd);
    pool_leave(us->pool, &u->slot);
    us->open--;
    if (us->calling == u)
        us->calling = NULL;
    free(u);
}

static void give_up(struct upstream *u, err_t e, const struct why *why)
{
    struct upstream_user user = u->user;
    end(u);
    user.on_ready(user.ctx, e, why);
}

/* ---- calling the user */

static bool can_read(const struct upstream *u)
{
    return u->wire.readable || (u->tls && tls_holds(u->tls));
}

static bool possible(const struct upstream *u)
{
    return (u->want_read && can_read(u)) || (u->want_write && u->wire.writable);
}

static void call(struct upstream *u)
{
    struct upstreams *us = u->us;
    us->calling = u;
    u->user.on_event(u->user.ctx); /* may give it back */
    if (us->calling != u)
        return;
    us->calling = NULL;
    if (possible(u))
        loop_later(us->loop, &u->later);
}

static void on_later(void *ctx)
{
    struct upstream *u = ctx;
    if (possible(u))
        call(u);
}

void upstream_want(struct upstream *u, bool read, bool write)
{
    u->want_read = read;
    u->want_write = write;
    if (u->state == OPEN && u->us->calling != u && possible(u))
        loop_later(u->us->loop, &u->later);
}

/* ---- connecting */

static void opened(struct upstream *u)
{
    struct upstreams *us = u->us;
    loop_timer_free(TAKE(u->deadline));
    u->state = OPEN;
    us->made++;
    if (u->tls && tls_resumed(u->tls))
        us->resumed++;
    u->user.on_ready(u->user.ctx, ERR_OK, &(struct why){0});
}

static void shake(struct upstream *u)
{
    struct why why = {0};
    bool done;
    err_t e = tls_handshake(u->tls, &done, &why);
    if (e != ERR_OK)
        give_up(u, e, &why);
    else if (done)
        opened(u);
}

/* What an idle connection has to say can only be its end, unless it is TLS's own business. */
static bool still_idle(struct upstream *u)
{
    char c;
    if (can_read(u) && (upstream_read(u, &c, 1) >= 0 || errno != EAGAIN))
        return false;
    return !u->wire.ended && (!u->tls || tls_at_rest(u->tls));
}

static void on_wire(void *ctx, int fd, uint32_t events)
{
    struct upstream *u = ctx;
    (void)fd;
    wire_event(&u->wire, events);
    if (u->state == SHAKING) {
        shake(u);
    } else if (u->slot.idle) {
        if (!still_idle(u))
            end(u);
    } else {
        if (u->tls && u->wire.writable)
            (void)tls_flush(u->tls);
        if (u->wire.ended || possible(u))
            call(u);
    }
}

static err_t set_up(struct upstream *u, struct why *why)
{
    struct loop_source source = {u->wire.fd, WIRE_EVENTS, on_wire, u};
    TRY(loop_watch(u->us->loop, &source, &u->watch, why));
    if (u->slot.origin->flags & ROUTE_TLS)
        TRY(tls_open(u->slot.origin->peer, &u->wire, &u->tls, why));
    return ERR_OK;
}

static void on_dialed(void *ctx, int fd, int no)
{
    struct upstream *u = ctx;
    struct why why = {0};
    u->dial = NULL;
    if (fd < 0) {
        err_t e = fail(&why, ERR_UNAVAILABLE, "cannot connect to %s port %u: %s",
                       u->slot.origin->name, u->slot.origin->port, strerrordesc_np(no));
        give_up(u, e, &why);
        return;
    }
    u->wire = (struct wire){.fd = fd, .writable = true};
    err_t e = set_up(u, &why);
    if (e != ERR_OK) {
        give_up(u, e, &why);
    } else if (u->tls) {
        u->state = SHAKING;
        shake(u);
    } else {
        opened(u);
    }
}

static void keep_allowed(const struct resolved *r, unsigned flags, struct resolved *out)
{
    out->n = 0;
    for (unsigned i = 0; i < r->n; i++)
        if (flags & ROUTE_PRIVATE || address_is_public((const struct sockaddr *)&r->address[i]))
            out->address[out->n++] = r->address[i];
}

static void on_resolved(void *ctx, err_t e, const struct resolved *r, const struct why *reason)
{
    struct upstream *u = ctx;
    struct resolved allowed;
    struct why why = {0};
    u->query = NULL;
    if (e != ERR_OK) {
        give_up(u, e, reason);
        return;
    }
    keep_allowed(r, u->slot.origin->flags, &allowed);
    if (allowed.n == 0)
        e = fail(&why, ERR_DENIED, "the address of %s is not public", u->slot.origin->name);
    else if (dial_start(u->us->loop, &allowed, on_dialed, u, &u->dial) != ERR_OK)
        e = fail(&why, ERR_INTERNAL, "out of memory");
    if (e != ERR_OK)
        give_up(u, e, &why);
}

static void on_deadline(void *ctx)
{
    struct upstream *u = ctx;
    struct why why = {0};
    const char *what = u->query  ? "was not resolved"
                       : u->dial ? "was not reached"
                                 : "did not shake hands";
    err_t e = fail(&why, ERR_TIMEOUT, "%s %s within %d ms", u->slot.origin->name, what,
                   u->us->connect_ms);
    give_up(u, e, &why);
}

static err_t make(struct upstreams *us, struct origin *o, const struct upstream_user *user,
                  struct upstream **out, struct why *why)
{
    struct upstream *u = calloc(1, sizeof(*u));
    if (!u)
        return fail(why, ERR_INTERNAL, "out of memory");
    *u = (struct upstream){.us = us, .user = *user, .wire = {.fd = -1}, .lean = true};
    u->later = (struct loop_later){.fn = on_later, .ctx = u};
    pool_join(&u->slot, o, u);
    us->open++;
    if (loop_timer_new(us->loop, on_deadline, u, &u->deadline) != ERR_OK ||
        loop_timer_set(u->deadline, clock_boot_ms() + us->connect_ms) != ERR_OK) {
        end(u);
        return fail(why, ERR_INTERNAL, "out of memory");
    }
    *out = u;
    resolve_start(us->resolver, view_str(o->name), o->port, on_resolved, u, &u->query);
    return ERR_OK;
}

/* ---- taking and giving back */

/* A request and its reply go through at once, as far as is known. */
static void stir(struct upstream *u)
{
    if (u->tls)
        tls_lean(u->tls, false);
    u->lean = false;
}

err_t upstream_take(struct upstreams *us, const struct route *r, bool fresh,
                    const struct upstream_user *user, struct upstream **out, struct why *why)
{
    struct origin *o;
    TRY(pool_origin(us->pool, r, &o, why));
    struct upstream *u = fresh ? NULL : pool_get(us->pool, o);
    if (!u)
        return make(us, o, user, out, why);
    u->user = *user;
    u->reused = true;
    us->reused++;
    stir(u);
    *out = u;
    user->on_ready(user->ctx, ERR_OK, &(struct why){0});
    return ERR_OK;
}

void upstream_give(struct upstream *u, bool clean)
{
    if (!u)
        return;
    struct upstreams *us = u->us;
    if (us->calling == u)
        us->calling = NULL;
    loop_never(&u->later);
    u->want_read = u->want_write = false;
    if (clean && u->state == OPEN && still_idle(u))
        pool_put(us->pool, &u->slot);
    else
        end(u);
}

/* ---- bytes */

ssize_t upstream_read(struct upstream *u, void *p, size_t n)
{
    return u->tls ? tls_read(u->tls, p, n) : wire_recv(&u->wire, p, n);
}

ssize_t upstream_writev(struct upstream *u, const struct iovec *iov, int n)
{
    return u->tls ? tls_writev(u->tls, iov, (size_t)n) : wire_sendv(&u->wire, iov, (size_t)n);
}

void upstream_rest(struct upstream *u)
{
    if (u->tls && !u->lean)
        tls_lean(u->tls, true);
    u->lean = true;
}

bool upstream_reused(const struct upstream *u)
{
    return u->reused;
}

/* ---- all of them */

static void auto_upstreams(struct upstreams **us)
{
    upstreams_free(*us);
}

err_t upstreams_new(struct loop *l, const struct upstream_limits *limits, struct upstreams **out,
                    struct why *why)
{
    static const struct upstream_limits usual = {UPSTREAM_CONNECT_MS, UPSTREAM_IDLE_MS,
                                                 UPSTREAM_IDLE_MAX, NULL};
    const struct upstream_limits *lim = limits ? limits : &usual;
    const struct pool_rules rules = {lim->idle_ms, lim->idle_max, end};
    AUTO(auto_upstreams) struct upstreams *us = calloc(1, sizeof(*us));
    if (!us)
        return fail(why, ERR_INTERNAL, "out of memory");
    us->loop = l;
    us->connect_ms = lim->connect_ms;
    TRY(pool_new(l, &rules, &us->pool, why));
    TRY(resolver_new_at(l, lim->name_servers, &us->resolver, why));
    *out = TAKE(us);
    return ERR_OK;
}

void upstreams_free(struct upstreams *us)
{
    if (!us)
        return;
    pool_free(us->pool);
    resolver_free(us->resolver);
    free(us);
}

struct upstream_counts upstream_count(const struct upstreams *us)
{
    return (struct upstream_counts){.open = us->open,
                                    .idle = pool_idle(us->pool),
                                    .made = us->made,
                                    .reused = us->reused,
                                    .resumed = us->resumed};
}
