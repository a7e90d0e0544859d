/*
 * Stands in the middle of the handshake. The client's initialize goes on with one capability more,
 * and what the client says behind it waits; the adapter's answer tells what it has, and goes on
 * without what the client did not ask for; then requests of ours give the login, and when they are
 * answered the client's messages go on. So a session is never made without its login, and a client
 * that knows nothing of all this sees nothing of it.
 *
 * Ids of ours are strings with a random part. Once the login is ours the client cannot change it:
 * an authenticate of its own is answered "done" here, because the adapter has its login, and what would
 * put another in its place is refused. Later tokens are given between two lines, and nothing waits for
 * them: the adapter takes them when its turns are over, which may want answers of the client's. An
 * adapter that starts its program again with the new token has nothing to resume of a session that was
 * never asked anything (codex-acp 2.6 loses it), so a token that has time waits for the first prompt.
 */
#include "exec/acp_login.h"

#include "base/auto.h"
#include "base/clock.h"

#include <string.h>
#include <sys/random.h>

enum step { IDLE, LISTING, SETTING, ASKING };

struct acp_login {
    struct loop *loop;
    struct acp_login_options o;
    struct acp_stream *up, *down;
    struct loop_timer *patience;  /* with the first login */
    char initialize[ACP_ID_ROOM]; /* the client's request that is not answered yet; "" */
    bool asked;                   /* the client takes gateways itself */
    bool opened;                  /* the adapter was initialized: `offer` is known */
    struct acp_offer offer;
    char provider[ACP_NAME_ROOM]; /* "": not known yet */
    char *token;                  /* the last one that was to be given */
    bool due;                     /* it is not given yet */
    bool unasked;                 /* a session was made since the last prompt */
    bool holding;                 /* the client's messages wait */
    struct loop_timer *spare;     /* no longer than this for the prompt */
    enum step step;
    enum acp_way way;
    char id[48]; /* of the request under way */
    char prefix[32];
    unsigned serial;
    char reason[160]; /* why providers/set was not taken */
};

static void send_line(struct acp_stream *to, struct acp_text *line)
{
    acp_stream_inject(to, line);
    acp_text_free(line);
}

static struct acp_route route_of(const struct acp_login *g)
{
    return (struct acp_route){g->o.protocol, g->o.base, g->o.header, g->token};
}

static void next_id(struct acp_login *g, enum step step)
{
    (void)snprintf(g->id, sizeof(g->id), "%s%u", g->prefix, ++g->serial);
    g->step = step;
}

/* ---- giving */

static void release(struct acp_login *g)
{
    loop_timer_cancel(g->patience);
    acp_stream_hold(g->up, false);
    g->holding = false;
}

static void settle(struct acp_login *g, enum acp_way way, const char *why)
{
    g->step = IDLE;
    if (way != ACP_BY_ENVIRONMENT)
        g->way = way;
    release(g);
    g->o.given(g->o.ctx, way, why);
}

static void ask_gateway(struct acp_login *g)
{
    struct acp_text line = {0};
    struct acp_route route = route_of(g);
    if (!g->offer.gateway[0]) {
        settle(g, ACP_BY_ENVIRONMENT,
               g->reason[0] ? g->reason
                            : "it has neither providers/set nor a gateway to log in by");
        return;
    }
    next_id(g, ASKING);
    acp_write_gateway(&line, g->id, &g->offer, &route);
    send_line(g->up, &line);
}

static void set_provider(struct acp_login *g)
{
    struct acp_text line = {0};
    struct acp_route route = route_of(g);
    next_id(g, SETTING);
    acp_write_set(&line, g->id, g->provider, &route);
    send_line(g->up, &line);
}

static void wait_for(struct acp_login *g, int64_t ms)
{
    if (loop_timer_set(g->patience, clock_boot_ms() + ms) != ERR_OK)
        release(g);
}

static void begin(struct acp_login *g)
{
    struct acp_text line = {0};
    g->due = false;
    loop_timer_cancel(g->spare);
    if (g->holding)
        wait_for(g, ACP_LOGIN_MS);
    g->reason[0] = '\0';
    if (!g->offer.providers) {
        ask_gateway(g);
    } else if (g->provider[0]) {
        set_provider(g);
    } else {
        next_id(g, LISTING);
        acp_write_list(&line, g->id);
        send_line(g->up, &line);
    }
}

static bool has_way(const struct acp_login *g)
{
    return g->offer.providers || g->offer.gateway[0];
}

static void begin_due(struct acp_login *g)
{
    if (g->due && g->opened && g->step == IDLE)
        begin(g);
}

static void on_spare(void *ctx)
{
    begin_due(ctx);
}

bool acp_login_give(struct acp_login *g, const char *token, int64_t spare_ms)
{
    char *copy = strdup(token);
    if (!copy || (g->opened && !has_way(g))) {
        free(copy);
        return false;
    }
    if (g->token)
        explicit_bzero(g->token, strlen(g->token));
    free(g->token);
    g->token = copy;
    g->due = true;
    if (!g->unasked || spare_ms <= 0 ||
        loop_timer_set(g->spare, clock_boot_ms() + spare_ms) != ERR_OK)
        begin_due(g);
    return true;
}

/* ---- answers to ours */

static void on_listed(struct acp_login *g, const char *line, size_t n)
{
    if (acp_read_provider(line, n, g->o.protocol, g->provider)) {
        set_provider(g);
        return;
    }
    g->provider[0] = '\0';
    (void)snprintf(g->reason, sizeof(g->reason), "none of its providers speaks %s", g->o.protocol);
    ask_gateway(g);
}

static void note_refusal(struct acp_login *g, const char *what, const char *line, size_t n)
{
    char said[96];
    acp_read_error(line, n, said, sizeof(said));
    (void)snprintf(g->reason, sizeof(g->reason), "it refused %s%s%s", what, said[0] ? ": " : "",
                   said);
}

/* What was taken before will be taken again, when the adapter's look at the models succeeds; a gateway would not reach its sessions. */
static void refused_provider(struct acp_login *g)
{
    if (g->way == ACP_BY_PROVIDERS)
        settle(g, ACP_BY_ENVIRONMENT, g->reason);
    else
        ask_gateway(g);
}

/* The adapter has answered the request under way. */
static void on_answer(struct acp_login *g, bool well, const char *line, size_t n)
{
    if (g->step == LISTING) {
        on_listed(g, line, n);
    } else if (g->step == SETTING && well) {
        settle(g, ACP_BY_PROVIDERS, "");
    } else if (g->step == SETTING) {
        note_refusal(g, "providers/set", line, n);
        refused_provider(g);
    } else if (g->step == ASKING && well) {
        settle(g, ACP_BY_GATEWAY, "");
    } else if (g->step == ASKING) {
        note_refusal(g, "the gateway", line, n);
        settle(g, ACP_BY_ENVIRONMENT, g->reason);
    }
    begin_due(g);
}

static bool is_ours(const struct acp_login *g, const char *id)
{
    return id[0] == '"' && strncmp(id + 1, g->prefix, strlen(g->prefix)) == 0;
}

static bool is_under_way(const struct acp_login *g, const char *id)
{
    size_t n = strlen(g->id);
    return g->step != IDLE && strncmp(id + 1, g->id, n) == 0 && strcmp(id + 1 + n, "\"") == 0;
}

/* ---- from the client */

static bool one_of(const char *method, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(method, *list) == 0)
            return true;
    return false;
}

static const char *const logins[] = {"authenticate", "auth/login", NULL};
static const char *const changes[] = {"logout", "auth/logout", "providers/set", "providers/disable",
                                      NULL};

static void note_session(struct acp_login *g, const char *method)
{
    if (strcmp(method, "session/new") == 0)
        g->unasked = true;
    if (strcmp(method, "session/prompt") != 0)
        return;
    g->unasked = false;
    begin_due(g); /* goes out behind the prompt */
}

enum acp_take acp_login_judge_up(void *ctx, const struct acp_scan *scan)
{
    struct acp_login *g = ctx;
    if (scan->kind != ACP_CALL)
        return ACP_PASS;
    note_session(g, scan->method);
    if (strcmp(scan->method, "initialize") == 0)
        return g->opened || g->initialize[0] ? ACP_PASS : ACP_WHOLE;
    if (g->way != ACP_BY_ENVIRONMENT &&
        (one_of(scan->method, logins) || one_of(scan->method, changes)))
        return ACP_WHOLE;
    return ACP_PASS;
}

static void on_patience(void *ctx)
{
    struct acp_login *g = ctx;
    release(g); /* the login may still come, behind what the client says */
    g->o.slow(g->o.ctx);
}

/* The id of a request, as text; false where it has none that we can wait for. */
static bool find_id(const char *line, size_t n, char out[ACP_ID_ROOM])
{
    struct acp_scan scan = {0};
    struct acp_text answer = {0};
    if (acp_answer_done(line, n, &answer)) /* {"id":…,"result":… is told by its id */
        acp_scan_feed(&scan, answer.p, answer.n);
    acp_text_free(&answer);
    memcpy(out, scan.id, ACP_ID_ROOM);
    return scan.kind == ACP_RESULT && out[0];
}

static void on_initialize(struct acp_login *g, const char *line, size_t n)
{
    struct acp_text more = {0};
    if (find_id(line, n, g->initialize) && acp_offer_gateway(line, n, &more, &g->asked)) {
        acp_stream_put(g->up, more.p, more.n);
        acp_stream_hold(g->up, true);
        g->holding = true;
        wait_for(g, ACP_START_MS);
    } else {
        g->initialize[0] = '\0';
        acp_stream_put(g->up, line, n);
    }
    acp_text_free(&more);
}

void acp_login_whole_up(void *ctx, const struct acp_scan *scan, const char *line, size_t n)
{
    struct acp_login *g = ctx;
    struct acp_text answer = {0};
    if (strcmp(scan->method, "initialize") == 0) {
        on_initialize(g, line, n);
        return;
    }
    bool ours = one_of(scan->method, logins)
                    ? acp_answer_done(line, n, &answer)
                    : acp_answer_refused(line, n,
                                         "the login of this agent is the broker's, and not the "
                                         "client's to change",
                                         &answer);
    if (ours)
        acp_stream_inject(g->down, &answer);
    else
        acp_stream_put(g->up, line, n);
    acp_text_free(&answer);
}

/* ---- from the adapter */

enum acp_take acp_login_judge_down(void *ctx, const struct acp_scan *scan)
{
    struct acp_login *g = ctx;
    if (scan->kind != ACP_RESULT && scan->kind != ACP_ERROR)
        return ACP_PASS;
    if (is_ours(g, scan->id))
        return ACP_KEEP;
    return g->initialize[0] && acp_same_id(scan->id, g->initialize) ? ACP_WHOLE : ACP_PASS;
}

/* What the adapter can do is known. */
static void on_initialized(struct acp_login *g, const char *line, size_t n)
{
    struct acp_text less = {0};
    g->initialize[0] = '\0';
    if (!g->asked && acp_hide_gateway(line, n, &less))
        acp_stream_put(g->down, less.p, less.n);
    else
        acp_stream_put(g->down, line, n);
    acp_text_free(&less);
    if (!acp_read_offer(line, n, g->o.protocol,
                        &g->offer)) { /* an error: the client may try again */
        release(g);
        return;
    }
    g->opened = true;
    if (g->due)
        begin(g);
    else
        release(g);
}

void acp_login_whole_down(void *ctx, const struct acp_scan *scan, const char *line, size_t n)
{
    struct acp_login *g = ctx;
    if (!is_ours(g, scan->id))
        on_initialized(g, line, n);
    else if (is_under_way(g, scan->id))
        on_answer(g, scan->kind == ACP_RESULT, line, n);
}

/* ---- beginning and end */

err_t acp_login_new(struct loop *l, const struct acp_login_options *o, struct acp_login **out,
                    struct why *why)
{
    uint32_t random[2] = {0};
    AUTO(auto_free) struct acp_login *g = calloc(1, sizeof(*g));
    if (!g || loop_timer_new(l, on_patience, g, &g->patience) != ERR_OK ||
        loop_timer_new(l, on_spare, g, &g->spare) != ERR_OK)
        return fail(why, ERR_INTERNAL, "out of memory");
    g->loop = l;
    g->o = *o;
    (void)!getrandom(random, sizeof(random), GRND_NONBLOCK); /* against accidents only */
    (void)snprintf(g->prefix, sizeof(g->prefix), "broker-exec-%08x%08x-", random[0], random[1]);
    *out = TAKE(g);
    return ERR_OK;
}

void acp_login_streams(struct acp_login *g, struct acp_stream *up, struct acp_stream *down)
{
    g->up = up;
    g->down = down;
}

void acp_login_free(struct acp_login *g)
{
    if (!g)
        return;
    loop_timer_free(g->patience);
    loop_timer_free(g->spare);
    if (g->token)
        explicit_bzero(g->token, strlen(g->token));
    free(g->token);
    free(g);
}
