/*
 * Ties the parts together: the relay (pump.h), the two directions (acp_stream.h), the login between
 * them (acp_login.h), the lease behind it (rotation.h), the adapter as a child (acp_child.h) and its
 * errors (acp_errors.h), in one loop of one process. The adapter's environment is that of a program
 * that was started without all this, so an adapter that takes no login over the protocol has it.
 *
 * An end is passed on as it comes: of the client's input, of a reader, of the adapter's output. The
 * adapter's own end is the last: what it had said by then is still written, for as long as it is taken.
 */
#include "exec/acp.h"

#include "base/auto.h"
#include "base/clock.h"
#include "exec/acp_errors.h"
#include "exec/acp_login.h"
#include "exec/keeper.h"
#include "exec/looks.h"
#include "exec/pump.h"
#include "exec/rotation.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/prctl.h>

enum { TICK_MS = 20 };

struct acp {
    struct loop *loop;
    struct acp_ask ask;
    struct pump *pump;
    struct acp_child child;
    struct acp_signals *signals;
    struct acp_stream *up, *down;
    struct acp_errors *errors;
    struct acp_login *login;
    struct rotation *rotation;
    struct keeper *keeper;
    struct loop_timer *tick; /* after the adapter's end */
    char socket[PATH_MAX], proxy[PATH_MAX], base[64];
    char credential[65];
    bool told, up_over, down_over;
    int status;
    uint64_t written;
    int64_t moved_ms, ended_ms;
};

/* ---- the login */

/* "BEFORE credential BEHIND (why)" */
static void say(struct acp *a, const char *before, const char *behind, const char *why)
{
    char text[512];
    (void)snprintf(text, sizeof(text), "%s %s %s%s%s%s", before, a->credential, behind,
                   why[0] ? " (" : "", why, why[0] ? ")" : "");
    acp_errors_say(a->errors, text);
}

static bool on_fresh(void *ctx, const char *token, int64_t spare_ms)
{
    struct acp *a = ctx;
    return acp_login_give(a->login, token, spare_ms);
}

static void on_given(void *ctx, enum acp_way way, const char *why)
{
    struct acp *a = ctx;
    if (way != ACP_BY_ENVIRONMENT) {
        rotation_taken(a->rotation, way == ACP_BY_PROVIDERS);
        return;
    }
    if (!a->told)
        say(a, "the adapter keeps the login of", "that it has", why);
    a->told = true;
    rotation_refused(a->rotation);
}

static void on_slow(void *ctx)
{
    say(ctx, "the adapter has not taken the login of", "yet: the client goes on without", "");
}

static void on_lost(void *ctx, bool revoked, const char *why)
{
    say(ctx, "the lease of",
        revoked ? "was ended at the broker: the adapter's requests are refused from here on"
                : "is over: the adapter's requests are refused from here on",
        why);
}

static MUST err_t take_login(struct acp *a, struct exec_lease *l, struct why *why)
{
    const struct profile_acp *acp = l->way->acp;
    struct acp_login_options login = {.protocol = acp->protocol,
                                      .base = a->base,
                                      .header = acp->header,
                                      .given = on_given,
                                      .slow = on_slow,
                                      .ctx = a};
    struct rotation_options rotation = {.socket = a->socket,
                                        .credential = a->credential,
                                        .delivery = "proxy",
                                        .ttl_ms = a->ask.ttl_ms,
                                        .owner_process = a->ask.owner_process,
                                        .fresh = on_fresh,
                                        .lost = on_lost,
                                        .ctx = a};
    (void)snprintf(a->base, sizeof(a->base), "http://127.0.0.1:%u%s", (unsigned)acp_port(a),
                   acp->path);
    (void)snprintf(a->credential, sizeof(a->credential), "%s", l->lease.credential);
    TRY(acp_login_new(a->loop, &login, &a->login, why));
    if (!acp_login_give(a->login, l->lease.token, 0))
        return fail(why, ERR_INTERNAL, "out of memory");
    return rotation_new(a->loop, &rotation, &l->lease, &a->rotation, why);
}

/* The first that can be given over the protocol is; the other proxied ones are kept as they are. */
static MUST err_t take_leases(struct acp *a, struct exec_leases *leases, struct why *why)
{
    TRY(exec_leases_socket(leases, a->socket, why));
    TRY(keeper_new(a->loop, a->socket, a->ask.ttl_ms, &a->keeper, why));
    for (size_t i = 0; i < leases->n; i++) {
        struct exec_lease *l = &leases->item[i];
        if (l->proxy_socket && l->way->acp && !a->login)
            TRY(take_login(a, l, why));
        else if (l->proxy_socket)
            TRY(keeper_add(a->keeper, &l->lease, why));
    }
    return ERR_OK;
}

/* ---- ends */

/* Ours is closed, so that who is on the other side sees it. */
static void shut(int fd)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (null >= 0) {
        (void)dup2(null, fd);
        (void)close(null);
    }
}

static void on_up_over(void *ctx, bool lost)
{
    struct acp *a = ctx;
    a->child.in = -1; /* the stream has closed it */
    if (lost)
        shut(STDIN_FILENO);
}

static void on_down_over(void *ctx, bool lost)
{
    struct acp *a = ctx;
    a->down_over = true;
    if (lost && a->child.out >= 0) {
        close(a->child.out);
        a->child.out = -1;
    }
    shut(STDOUT_FILENO);
}

static void on_tick(void *ctx)
{
    struct acp *a = ctx;
    int64_t now = clock_boot_ms();
    uint64_t written = acp_stream_written(a->down);
    if (written != a->written)
        a->moved_ms = now;
    a->written = written;
    bool said = a->down_over || now - a->moved_ms > ACP_DRAIN_MS;
    bool errors = !acp_errors_waiting(a->errors) || now - a->ended_ms > ACP_ERRORS_MS;
    if ((said && errors) || loop_timer_set(a->tick, now + TICK_MS) != ERR_OK)
        loop_stop(a->loop, 0);
}

static void on_ended(void *ctx, int status)
{
    struct acp *a = ctx;
    a->status = status;
    a->ended_ms = a->moved_ms = clock_boot_ms();
    acp_stream_finish(a->down);
    acp_errors_finish(a->errors);
    if (loop_timer_set(a->tick, a->ended_ms + 1) != ERR_OK)
        loop_stop(a->loop, 0);
}

/* ---- the streams */

static enum acp_take pass(void *ctx, const struct acp_scan *scan)
{
    (void)ctx, (void)scan;
    return ACP_PASS;
}

static enum acp_take judge_up(void *ctx, const struct acp_scan *scan)
{
    return acp_login_judge_up(((struct acp *)ctx)->login, scan);
}

static void whole_up(void *ctx, const struct acp_scan *scan, const char *line, size_t n)
{
    acp_login_whole_up(((struct acp *)ctx)->login, scan, line, n);
}

/* An adapter that was refused says so by an error. */
static enum acp_take judge_down(void *ctx, const struct acp_scan *scan)
{
    struct acp *a = ctx;
    if (scan->kind == ACP_ERROR)
        rotation_look(a->rotation);
    return acp_login_judge_down(a->login, scan);
}

static void whole_down(void *ctx, const struct acp_scan *scan, const char *line, size_t n)
{
    acp_login_whole_down(((struct acp *)ctx)->login, scan, line, n);
}

static MUST err_t connect_streams(struct acp *a, struct why *why)
{
    struct acp_stream_options up = {.from = STDIN_FILENO,
                                    .to = a->child.in,
                                    .to_closes = true,
                                    .judge = a->login ? judge_up : pass,
                                    .whole = whole_up,
                                    .over = on_up_over,
                                    .ctx = a};
    struct acp_stream_options down = {.from = a->child.out,
                                      .to = STDOUT_FILENO,
                                      .judge = a->login ? judge_down : pass,
                                      .whole = whole_down,
                                      .over = on_down_over,
                                      .ctx = a};
    TRY(acp_stream_new(a->loop, &up, &a->up, why));
    TRY(acp_stream_new(a->loop, &down, &a->down, why));
    if (a->login)
        acp_login_streams(a->login, a->up, a->down);
    return ERR_OK;
}

/* ---- beginning */

/* The path of the data plane's socket, where a relay may be used; "" where none is. */
static MUST err_t find_proxy(const struct exec_leases *leases, char out[PATH_MAX], struct why *why)
{
    out[0] = '\0';
    for (size_t i = 0; i < leases->n; i++) {
        const struct exec_lease *l = &leases->item[i];
        if (!l->proxy_socket || (!l->way->acp && !profile_way_names(l->way, "{base}")))
            continue;
        if (out[0] && strcmp(out, l->proxy_socket) != 0)
            return fail(why, ERR_INVALID, "the broker names two proxies for one consumer");
        (void)snprintf(out, PATH_MAX, "%s", l->proxy_socket);
    }
    return ERR_OK;
}

static void auto_acp(struct acp **a)
{
    acp_free(*a);
}

err_t acp_new(const struct acp_ask *ask, const struct exec_leases *leases, struct acp **out,
              struct why *why)
{
    AUTO(auto_acp) struct acp *a = calloc(1, sizeof(*a));
    if (!a)
        return fail(why, ERR_INTERNAL, "out of memory");
    a->ask = *ask;
    a->child = (struct acp_child){.in = -1, .out = -1, .err = -1};
    TRY(acp_child_prepare(why));
    TRY(loop_new(&a->loop, why));
    TRY(find_proxy(leases, a->proxy, why));
    if (a->proxy[0])
        TRY(pump_new(a->loop, &(struct pump_options){.proxy_socket = a->proxy}, &a->pump, why));
    *out = TAKE(a);
    return ERR_OK;
}

uint16_t acp_port(const struct acp *a)
{
    return a->pump ? pump_port(a->pump) : 0;
}

/* The tokens are in memory now, and others' secrets may be in the environment. */
static void close_up(void)
{
    (void)prctl(PR_SET_DUMPABLE, 0);
    looks_change(NULL);
}

err_t acp_start(struct acp *a, const struct acp_program *program, struct exec_leases *leases,
                struct why *why)
{
    if (loop_timer_new(a->loop, on_tick, a, &a->tick) != ERR_OK)
        return fail(why, ERR_INTERNAL, "out of memory");
    TRY(acp_child_start(program, &a->child, why));
    TRY(take_leases(a, leases, why));
    TRY(acp_errors_new(a->loop, a->child.err, STDERR_FILENO, &a->errors, why));
    TRY(connect_streams(a, why));
    TRY(acp_signals_new(a->loop, a->child.pid, on_ended, a, &a->signals, why));
    exec_leases_free(leases);
    close_up();
    return ERR_OK;
}

int acp_serve(struct acp *a)
{
    (void)loop_run(a->loop);
    if (!a->ask.owner_process && a->keeper)
        keeper_end(a->keeper);
    if (!a->ask.owner_process && a->rotation)
        rotation_end(a->rotation);
    return a->status;
}

void acp_free(struct acp *a)
{
    if (!a)
        return;
    acp_signals_free(a->signals);
    acp_login_free(a->login);
    rotation_free(a->rotation);
    keeper_free(a->keeper);
    acp_stream_free(a->up);
    acp_stream_free(a->down);
    acp_errors_free(a->errors);
    pump_free(a->pump);
    loop_timer_free(a->tick);
    auto_close(&a->child.out);
    auto_close(&a->child.err);
    loop_free(a->loop);
    free(a);
}
