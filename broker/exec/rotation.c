/*
 * Up to three leases of one credential: the present one, the next one, whose token is on its way into
 * the program, and the former one, which ends when nothing uses it any more. Each is looked at
 * every few seconds by an errand (errand.h), which also renews it when it is time. The next one is
 * taken when three quarters of the longest life of the present one are over: a program that takes a
 * token only between two turns then has a quarter of that life to end one.
 *
 * A lease belongs to the process that connected to the broker, so the connection is made here and
 * the child only speaks on it. Each token is valid until its lease ends, so the order is: lease, give, hear
 * that it was taken, end the former. What ends before its time was revoked: then nothing is leased
 * again, or a revocation would mean nothing.
 */
#include "exec/rotation.h"

#include "base/auto.h"
#include "base/clock.h"
#include "client/socket.h"
#include "exec/errand.h"

#include <inttypes.h>
#include <string.h>

enum { TIMEOUT_MS = 10000, END_MS = 2000, EARLY_MS = 1000, TOKEN_ROOM = 3000 };

struct held {
    struct rotation *rotation;
    struct broker_lease lease;  /* id, token and times */
    int64_t begun_ms, renew_ms; /* wall clock, as the lease's */
    int64_t looked_ms;          /* boot clock */
    struct loop_timer *timer;
    struct errand *errand;
    bool there, renews, ends; /* ends: the next look takes it back */
};
struct rotation {
    struct loop *loop;
    struct rotation_options o;
    struct held present, next, former;
    struct errand *leasing;
    struct loop_timer *offer; /* the next token again */
    int64_t not_before_ms;    /* the next try to lease */
    unsigned refused;         /* since the last that succeeded */
    bool fixed, over;         /* fixed: the program takes no other token */
};

/* What an errand says. One write. */
struct word {
    err_t e;
    int64_t expires_ms, max_ms;
    char id[33];
    char token[TOKEN_ROOM];
    char why[160];
};

static void say(int answer, struct word *w, const struct why *why)
{
    (void)snprintf(w->why, sizeof(w->why), "%.150s", why->text);
    (void)!write(answer, w, sizeof(*w));
    explicit_bzero(w, sizeof(*w));
}

static struct word heard(const void *p, size_t n)
{
    struct word w = {.e = ERR_UNAVAILABLE};
    if (n == sizeof(w))
        memcpy(&w, p, n);
    return w;
}

/* ---- one lease */

static void look_in(struct held *h, int64_t ms)
{
    (void)!loop_timer_set(h->timer, clock_boot_ms() + ms); /* else the broker ends it by its time */
}

/* When the next lease is wanted, by the wall clock; 0: not by this one's time. */
static int64_t due_ms(const struct held *h)
{
    int64_t life = h->lease.max_expires_at_ms - h->begun_ms;
    return h->lease.max_expires_at_ms > 0 ? h->begun_ms + life / 4 * 3 : 0;
}

static int64_t pace(const struct held *h)
{
    int64_t now = clock_wall_ms(), ms = (h->lease.expires_at_ms - now) / 8, due = due_ms(h) - now;
    if (due > 0 && due < ms)
        ms = due;
    return ms > ROTATION_LOOK_MS    ? ROTATION_LOOK_MS
           : ms < ROTATION_LEAST_MS ? ROTATION_LEAST_MS
                                    : ms;
}

static void plan_renewal(struct held *h)
{
    int64_t now = clock_wall_ms();
    h->renew_ms = now + (h->lease.expires_at_ms - now) / 10 * 6;
}

static void hold(struct held *h, struct broker_lease *lease)
{
    memcpy(h->lease.id, lease->id, sizeof(h->lease.id));
    h->lease.token = TAKE(lease->token);
    h->lease.expires_at_ms = lease->expires_at_ms;
    h->lease.max_expires_at_ms = lease->max_expires_at_ms;
    h->begun_ms = clock_wall_ms();
    h->there = true;
    h->ends = false;
    plan_renewal(h);
    look_in(h, pace(h));
}

static void let_go(struct held *h)
{
    errand_forget(h->errand);
    h->errand = NULL;
    loop_timer_cancel(h->timer);
    broker_lease_free(&h->lease);
    h->there = false;
}

/* The lease of `from` goes on as that of `to`; what was under way for it is asked again. */
static void move(struct held *to, struct held *from)
{
    let_go(to);
    to->lease = from->lease;
    to->begun_ms = from->begun_ms;
    to->renew_ms = from->renew_ms;
    to->there = from->there;
    to->ends = false;
    from->lease = (struct broker_lease){0};
    let_go(from);
    if (to->there)
        look_in(to, pace(to));
}

/* ---- looking at it */

static MUST err_t show(struct broker_client *c, const char *id, struct word *w, struct why *why)
{
    char path[64];
    const char *reply;
    size_t n;
    (void)snprintf(path, sizeof(path), "/v1/leases/%s", id);
    struct broker_request rq = {.method = "GET", .path = path};
    TRY(broker_call_ok(c, &rq, &reply, &n, why));
    (void)broker_json_int(reply, n, "expires_at_ms", &w->expires_ms);
    return ERR_OK;
}

/* Looking comes first: a lease that has ended is then no matter of a token that is refused. */
static MUST err_t look(const struct held *h, struct word *w, struct why *why)
{
    struct broker_client *c = NULL;
    TRY(broker_connect(h->rotation->o.socket, TIMEOUT_MS, &c, why));
    err_t e = h->ends ? broker_lease_end(c, h->lease.id, why) : show(c, h->lease.id, w, why);
    if (e == ERR_OK && h->renews && !h->ends) {
        struct why unheard = {0};
        e = broker_lease_renew(c, &h->lease, h->rotation->o.ttl_ms, &unheard);
        e = e == ERR_DENIED ? ERR_OK : show(c, h->lease.id, w, why);
    }
    broker_close(c);
    return e;
}

static void run_look(void *ctx, int answer, int keep)
{
    const struct held *h = ctx;
    struct word w = {0};
    struct why why = {0};
    (void)keep;
    w.e = look(h, &w, &why);
    say(answer, &w, &why);
}

static bool is_gone(err_t e)
{
    return e == ERR_NOT_FOUND || e == ERR_EXPIRED || e == ERR_AUTH;
}

static void on_gone(struct held *h, const char *why);
static void lease_next(struct rotation *r);

static bool is_due(const struct rotation *r, int64_t now)
{
    const struct held *h = &r->present;
    if (r->fixed || r->over || r->next.there || r->leasing || now < r->not_before_ms)
        return false;
    return due_ms(h) > 0 && now >= due_ms(h);
}

static void on_look(void *ctx, const void *p, size_t n)
{
    struct held *h = ctx;
    struct rotation *r = h->rotation;
    struct word w = heard(p, n);
    h->errand = NULL;
    if (is_gone(w.e) || (h->ends && w.e == ERR_OK)) {
        on_gone(h, w.why);
        return;
    }
    if (w.e == ERR_OK && w.expires_ms > 0)
        h->lease.expires_at_ms = w.expires_ms;
    if (w.e == ERR_OK && h->renews)
        plan_renewal(h);
    look_in(h, pace(h));
    if (h == &r->present && is_due(r, clock_wall_ms()))
        lease_next(r);
}

static void on_time(void *ctx)
{
    struct held *h = ctx;
    struct errand_options o = {.run = run_look, .heard = on_look, .ctx = h, .keep = -1};
    struct why unheard = {0};
    if (!h->there || h->errand)
        return;
    h->looked_ms = clock_boot_ms();
    h->renews = !h->ends && clock_wall_ms() >= h->renew_ms;
    if (errand_send(h->rotation->loop, &o, &h->errand, &unheard) != ERR_OK)
        look_in(h, pace(h));
}

static void end_in(struct held *h, int64_t ms)
{
    if (!h->there)
        return;
    errand_forget(h->errand);
    h->errand = NULL;
    h->ends = true;
    look_in(h, ms);
}

/* ---- the end of it */

static void lose(struct rotation *r, bool revoked, const char *why)
{
    r->over = true;
    end_in(&r->next, 0);
    end_in(&r->former, 0);
    r->o.lost(r->o.ctx, revoked, why);
}

static void on_gone(struct held *h, const char *why)
{
    struct rotation *r = h->rotation;
    bool revoked = clock_wall_ms() < h->lease.expires_at_ms - EARLY_MS;
    let_go(h);
    if (h != &r->present || r->over)
        return;
    if (revoked || r->fixed)
        lose(r, revoked, why);
    else if (!r->next.there && !r->leasing) /* the broker, or this machine, slept through its end */
        lease_next(r);
}

/* ---- the next one */

static MUST err_t lease_by(const struct rotation *r, int fd, struct word *w, struct why *why)
{
    struct broker_client *c = NULL;
    struct broker_lease lease = {0};
    struct broker_lease_ask ask = {.credential = r->o.credential,
                                   .delivery = r->o.delivery,
                                   .ttl_ms = r->o.ttl_ms,
                                   .owner_process = r->o.owner_process};
    TRY(broker_adopt(fd, r->o.socket, TIMEOUT_MS, &c, why));
    err_t e = broker_lease(c, &ask, &lease, why);
    if (e == ERR_OK && (!lease.token || strlen(lease.token) >= sizeof(w->token)))
        e = fail(why, ERR_INVALID, "the broker's lease has no usable token");
    if (e == ERR_OK) {
        memcpy(w->id, lease.id, sizeof(w->id));
        memcpy(w->token, lease.token, strlen(lease.token) + 1);
        w->expires_ms = lease.expires_at_ms;
        w->max_ms = lease.max_expires_at_ms;
    }
    broker_lease_free(&lease);
    broker_close(c);
    return e;
}

static void run_lease(void *ctx, int answer, int keep)
{
    struct word w = {0};
    struct why why = {0};
    w.e = lease_by(ctx, keep, &w, &why);
    say(answer, &w, &why);
}

static void offer(void *ctx)
{
    struct rotation *r = ctx;
    int64_t left = r->present.there ? r->present.lease.max_expires_at_ms - clock_wall_ms() : 0;
    if (!r->next.there || r->o.fresh(r->o.ctx, r->next.lease.token, left / 2))
        return;
    r->fixed = true;
    end_in(&r->next, 0);
}

/* It could not be leased: again later, unless the present one is gone and it never will be. */
static void on_refused(struct rotation *r, err_t e, const char *why)
{
    int64_t pause = (int64_t)ROTATION_LOOK_MS << (r->refused < 8 ? r->refused++ : 8);
    r->not_before_ms = clock_wall_ms() + (pause < ROTATION_DENIED_MS ? pause : ROTATION_DENIED_MS);
    if (r->present.there)
        return;
    if (e == ERR_DENIED || e == ERR_NOT_FOUND || e == ERR_NEEDS_LOGIN)
        lose(r, false, why);
    else
        (void)!loop_timer_set(r->offer, clock_boot_ms() + ROTATION_LOOK_MS);
}

static void on_leased(void *ctx, const void *p, size_t n)
{
    struct rotation *r = ctx;
    struct word w = heard(p, n);
    r->leasing = NULL;
    if (w.e != ERR_OK) {
        on_refused(r, w.e, w.why);
        return;
    }
    struct broker_lease lease = {.expires_at_ms = w.expires_ms, .max_expires_at_ms = w.max_ms};
    memcpy(lease.id, w.id, sizeof(lease.id));
    lease.token = strdup(w.token);
    explicit_bzero(&w, sizeof(w));
    if (!lease.token)
        return; /* out of memory: it ends by its time */
    r->refused = 0;
    hold(&r->next, &lease);
    if (r->over)
        end_in(&r->next, 0);
    else
        offer(r);
}

static void lease_next(struct rotation *r)
{
    struct errand_options o = {.run = run_lease, .heard = on_leased, .ctx = r};
    struct why why = {0};
    int fd = -1;
    err_t e = socket_connect(r->o.socket, socket_now_ms() + ROTATION_CONNECT_MS, &fd, &why);
    if (e == ERR_OK) {
        o.keep = fd;
        e = errand_send(r->loop, &o, &r->leasing, &why);
        close(fd);
    }
    if (e != ERR_OK)
        on_refused(r, e, why.text);
}

/* Time to offer the next token again, or to lease one where there is none. */
static void on_offer(void *ctx)
{
    struct rotation *r = ctx;
    if (r->next.there)
        offer(r);
    else if (!r->leasing && !r->over && !r->fixed)
        lease_next(r);
}

void rotation_taken(struct rotation *r, bool everywhere)
{
    if (!r->next.there || r->over)
        return;
    move(&r->former, &r->present);
    move(&r->present, &r->next);
    if (everywhere)
        end_in(&r->former, ROTATION_GRACE_MS);
}

void rotation_refused(struct rotation *r)
{
    if (r->next.there && !r->over)
        (void)!loop_timer_set(r->offer, clock_boot_ms() + ROTATION_RETRY_MS);
}

void rotation_look(struct rotation *r)
{
    struct held *h = &r->present;
    int64_t now = clock_boot_ms(), at = h->looked_ms + ROTATION_LEAST_MS;
    if (h->there && !h->errand && !r->over)
        (void)!loop_timer_set(h->timer, at > now ? at : now);
}

/* ---- beginning and end */

static void end_now(struct broker_client **c, struct held *h)
{
    struct why unheard = {0};
    if (!h->there)
        return;
    if (!*c && broker_connect(h->rotation->o.socket, END_MS, c, &unheard) != ERR_OK)
        return; /* it ends by its time */
    (void)!broker_lease_end(*c, h->lease.id, &unheard);
}

void rotation_end(struct rotation *r)
{
    struct broker_client *c = NULL;
    end_now(&c, &r->former);
    end_now(&c, &r->present);
    end_now(&c, &r->next);
    broker_close(c);
}

static void auto_rotation(struct rotation **r)
{
    rotation_free(*r);
}

err_t rotation_new(struct loop *l, const struct rotation_options *o, struct broker_lease *first,
                   struct rotation **out, struct why *why)
{
    AUTO(auto_rotation) struct rotation *r = calloc(1, sizeof(*r));
    if (!r)
        return fail(why, ERR_INTERNAL, "out of memory");
    r->loop = l;
    r->o = *o;
    r->present.rotation = r->next.rotation = r->former.rotation = r;
    if (loop_timer_new(l, on_time, &r->present, &r->present.timer) != ERR_OK ||
        loop_timer_new(l, on_time, &r->next, &r->next.timer) != ERR_OK ||
        loop_timer_new(l, on_time, &r->former, &r->former.timer) != ERR_OK ||
        loop_timer_new(l, on_offer, r, &r->offer) != ERR_OK)
        return fail(why, ERR_INTERNAL, "out of memory");
    hold(&r->present, first);
    *out = TAKE(r);
    return ERR_OK;
}

static void held_free(struct held *h)
{
    if (h->timer)
        let_go(h);
    loop_timer_free(h->timer);
}

void rotation_free(struct rotation *r)
{
    if (!r)
        return;
    errand_forget(r->leasing);
    held_free(&r->present);
    held_free(&r->next);
    held_free(&r->former);
    loop_timer_free(r->offer);
    free(r);
}
