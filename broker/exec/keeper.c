/*
 * Renews leases without ever waiting for the broker: each renewal is an errand of a forked child,
 * whose outcome is one byte. A renewal that failed is tried again after a pause that doubles; a
 * lease that the broker no longer knows is left alone.
 */
#include "exec/keeper.h"

#include "base/auto.h"
#include "base/clock.h"
#include "exec/errand.h"

#include <stdlib.h>
#include <string.h>

enum { PERIOD_LEAST_MS = 1000, PERIOD_MOST_MS = 12 * 3600 * 1000, PAUSE_MOST_MS = 30000 };

struct kept {
    struct keeper *keeper;
    struct broker_lease lease; /* only id and token */
    int64_t period_ms;
    unsigned failures; /* since the last success */
    bool over;
    struct loop_timer *timer;
    struct errand *errand; /* under way */
};
struct keeper {
    struct loop *loop;
    const char *socket;
    int64_t ttl_ms;
    struct kept item[KEEPER_LEASES];
    size_t n;
};

err_t keeper_new(struct loop *l, const char *socket, int64_t ttl_ms, struct keeper **out,
                 struct why *why)
{
    struct keeper *k = calloc(1, sizeof(*k));
    if (!k)
        return fail(why, ERR_INTERNAL, "out of memory");
    k->loop = l;
    k->socket = socket;
    k->ttl_ms = ttl_ms;
    *out = k;
    return ERR_OK;
}

/* ---- errands */

static void run_errand(void *ctx, int answer, int keep)
{
    struct kept *i = ctx;
    struct broker_client *c = NULL;
    struct why unheard = {0};
    (void)keep;
    err_t e = broker_connect(i->keeper->socket, KEEPER_TIMEOUT_MS, &c, &unheard);
    if (e == ERR_OK)
        e = broker_lease_renew(c, &i->lease, i->keeper->ttl_ms, &unheard);
    unsigned char code = (unsigned char)e;
    (void)!write(answer, &code, 1);
}

static bool is_final(err_t e)
{
    static const err_t final[] = {ERR_AUTH,    ERR_DENIED, ERR_NOT_FOUND, ERR_EXPIRED,
                                  ERR_INVALID, ERR_USAGE,  ERR_LIMIT};
    for (size_t i = 0; i < COUNT(final); i++)
        if (final[i] == e)
            return true;
    return false;
}

static int64_t pause_after(unsigned failures)
{
    int64_t ms = failures < 6 ? 1000 << (failures - 1) : PAUSE_MOST_MS;
    return ms < PAUSE_MOST_MS ? ms : PAUSE_MOST_MS;
}

static void wait_for(struct kept *i, int64_t ms)
{
    if (loop_timer_set(i->timer, clock_boot_ms() + ms) != ERR_OK)
        i->over = true; /* out of memory: the broker ends it by its time */
}

static void heard(struct kept *i, err_t e)
{
    i->failures = e == ERR_OK ? 0 : i->failures + 1;
    i->over = is_final(e);
    if (!i->over)
        wait_for(i, e == ERR_OK ? i->period_ms : pause_after(i->failures));
}

static void on_answer(void *ctx, const void *p, size_t n)
{
    struct kept *i = ctx;
    unsigned char code = n > 0 ? *(const unsigned char *)p : ERR_INTERNAL; /* the errand died */
    i->errand = NULL;
    heard(i, code < ERR__COUNT ? (err_t)code : ERR_INTERNAL);
}

static void on_time(void *ctx)
{
    struct kept *i = ctx;
    struct errand_options o = {.run = run_errand, .heard = on_answer, .ctx = i, .keep = -1};
    struct why unheard = {0};
    if (errand_send(i->keeper->loop, &o, &i->errand, &unheard) != ERR_OK)
        heard(i, ERR_UNAVAILABLE);
}

/* ---- leases */

err_t keeper_add(struct keeper *k, struct broker_lease *lease, struct why *why)
{
    if (k->n == KEEPER_LEASES)
        return fail(why, ERR_LIMIT, "a relay keeps %d leases at most", KEEPER_LEASES);
    struct kept *i = &k->item[k->n];
    *i = (struct kept){.keeper = k};
    if (loop_timer_new(k->loop, on_time, i, &i->timer) != ERR_OK)
        return fail(why, ERR_INTERNAL, "out of memory");
    k->n++;
    memcpy(i->lease.id, lease->id, sizeof(i->lease.id));
    i->lease.token = TAKE(lease->token);
    i->period_ms = (lease->expires_at_ms - clock_wall_ms()) / 10 * 6;
    if (i->period_ms < PERIOD_LEAST_MS)
        i->period_ms = PERIOD_LEAST_MS;
    if (i->period_ms > PERIOD_MOST_MS)
        i->period_ms = PERIOD_MOST_MS;
    if (i->lease.token)
        wait_for(i, i->period_ms);
    return ERR_OK;
}

void keeper_end(struct keeper *k)
{
    struct broker_client *c = NULL;
    struct why unheard = {0};
    for (size_t i = 0; i < k->n; i++) {
        if (k->item[i].over)
            continue;
        if (!c && broker_connect(k->socket, KEEPER_END_MS, &c, &unheard) != ERR_OK)
            return; /* they end by their time */
        err_t e = broker_lease_end(c, k->item[i].lease.id, &unheard);
        k->item[i].over = e == ERR_OK || is_final(e);
        if (!k->item[i].over)
            break; /* the broker is away or slow: no second wait */
    }
    broker_close(c);
}

size_t keeper_living(const struct keeper *k)
{
    size_t n = 0;
    for (size_t i = 0; i < k->n; i++)
        n += !k->item[i].over;
    return n;
}

void keeper_free(struct keeper *k)
{
    if (!k)
        return;
    for (size_t i = 0; i < k->n; i++) {
        errand_forget(k->item[i].errand);
        loop_timer_free(k->item[i].timer);
        broker_lease_free(&k->item[i].lease);
    }
    free(k);
}
