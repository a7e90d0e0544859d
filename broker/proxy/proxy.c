/*
 * The worker: makes the parts, turns the loop, ends what lasted too long. It decides nothing about who may do what: that is the vault's
 * business; here only form, size, number and time are limited.
 */
#include "proxy/proxy.h"

#include "base/auto.h"
#include "base/listen.h"
#include "base/log.h"
#include "proxy/client.h"
#include "proxy/link.h"
#include "proxy/refusal.h"
#include "proxy/routes.h"
#include "proxy/upstream.h"
#include <broker/secret.h>

#include <sys/socket.h>

enum { QUOTA = 1024 }; /* connections of one consumer, where the vault gives none */

const struct proxy_times proxy_times_default = {.head = 10000,
                                                .idle = 600000,
                                                .body = 60000,
                                                .vault = 15000, /* it may wait for a refresh */
                                                .first_byte = 900000,
                                                .silence = 600000,
                                                .reader = 300000};

/* ---- who comes */

static bool is_full(void *ctx)
{
    return clients_full(((struct proxy *)ctx)->clients);
}

static void turn_away(void *ctx, int fd)
{
    AUTO(buf_free) struct buf out = {0};
    (void)ctx;
    refusal_write(&(struct refusal){.dialect = ROUTE_PLAIN,
                                    .status = 503,
                                    .code = ERR_UNAVAILABLE,
                                    .message = "too many connections at once",
                                    .retry_ms = 1000},
                  &out);
    if (!out.bad)
        (void)!send(fd, out.p, out.len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void adopt(void *ctx, int fd, struct listener *from)
{
    if (!client_adopt(((struct proxy *)ctx)->clients, fd, from))
        listener_release(from);
}

static void drop(void *ctx, const struct listener *from)
{
    struct proxy *p = ctx;
    for (uint32_t slot = 0; slot < PROXY_CONNS; slot++) {
        struct client *c = client_of_slot(p->clients, slot);
        if (c && c->from == from)
            client_close(c);
    }
}

static const struct listen_ops who_comes = {is_full, turn_away, adopt, drop};

/* ---- turns */

static void on_sweep(void *ctx)
{
    struct proxy *p = ctx;
    clients_expire(p->clients, loop_now(p->loop));
    listeners_retry(p->listeners);
    if (loop_timer_set(p->sweep, loop_now(p->loop) + PROXY_SWEEP_MS) != ERR_OK)
        loop_stop(p->loop, 1);
}

/* The end of a turn: all that it asks of the vault goes in one go. */
static void turn(void *ctx)
{
    struct proxy *p = ctx;
    link_flush(p->link);
    wipe_stack();
}

static MUST err_t make_parts(struct proxy *p, int vault_fd, struct why *why)
{
    AUTO(auto_close) int owned = vault_fd;
    p->scratch = malloc(PROXY_READ);
    if (!p->scratch)
        return fail(why, ERR_INTERNAL, "out of memory");
    TRY(loop_new(&p->loop, why));
    TRY(clients_new(p, &p->clients, why));
    const struct listen_setup setup = {p->loop, &who_comes, p, QUOTA, PROXY_CONNS};
    TRY(listeners_new(&setup, &p->listeners, why));
    TRY(routes_new(&p->routes, why));
    TRY(upstreams_new(p->loop, NULL, &p->upstreams, why));
    if (loop_timer_new(p->loop, on_sweep, p, &p->sweep) != ERR_OK ||
        loop_timer_set(p->sweep, loop_now(p->loop) + PROXY_SWEEP_MS) != ERR_OK)
        return fail(why, ERR_INTERNAL, "out of memory");
    TRY(link_new(p, TAKE_FD(owned), &p->link, why));
    return ERR_OK;
}

err_t proxy_new(int vault_fd, const struct proxy_times *times, struct proxy **out, struct why *why)
{
    struct proxy *p = calloc(1, sizeof(*p));
    if (!p) {
        close(vault_fd);
        return fail(why, ERR_INTERNAL, "out of memory");
    }
    p->times = times ? *times : proxy_times_default;
    err_t e = make_parts(p, vault_fd, why);
    if (e != ERR_OK) {
        proxy_free(p);
        return e;
    }
    loop_on_turn_end(p->loop, turn, p);
    *out = p;
    return ERR_OK;
}

int proxy_run(struct proxy *p, const char *sandbox)
{
    link_ready(p->link, sandbox);
    link_flush(p->link);
    return loop_run(p->loop);
}

void proxy_free(struct proxy *p)
{
    if (!p)
        return;
    clients_free(p->clients);
    listeners_free(p->listeners);
    upstreams_free(p->upstreams);
    routes_free(p->routes);
    link_free(p->link);
    loop_timer_free(p->sweep);
    loop_free(p->loop);
    buf_free(&p->packet);
    buf_free(&p->head);
    if (p->scratch)
        wipe(p->scratch, PROXY_READ);
    free(p->scratch);
    free(p);
}
