/* vault/oauthcall.c: requests to identity providers by helpers: each ends exactly once, in its order, and holds up no other. */
#include "vault_rig.h"

#include "vault/oauthcall.h"

struct outcome {
    unsigned kept, done;
    err_t e, keep_says;
    bool sent;
    enum oauth_verdict verdict;
    unsigned status;
    int64_t retry_ms, at_ms;
    char code[65], access[64], raw[256], why[256];
};

static err_t on_keep(void *ctx, const struct oauth_raw *raw, struct why *why)
{
    struct outcome *o = ctx;
    o->kept++;
    CHECK(view_copy(raw->body, o->raw, sizeof(o->raw)));
    o->retry_ms = raw->retry_ms;
    CHECK(raw->at_ms > 0);
    return o->keep_says == ERR_OK ? ERR_OK : fail(why, o->keep_says, "injected");
}

static void on_done(void *ctx, const struct oauth_outcome *r, const struct why *why)
{
    struct outcome *o = ctx;
    o->done++;
    o->e = r->e;
    o->sent = r->sent;
    o->verdict = r->verdict;
    o->status = r->status;
    o->at_ms = r->at_ms;
    CHECK(view_copy(view_str(r->code), o->code, sizeof(o->code)));
    (void)view_copy(r->login.f[CF_ACCESS_TOKEN], o->access, sizeof(o->access));
    (void)view_copy(view_str(why->text), o->why, sizeof(o->why));
}

static struct oauth_client client;

static struct oauthcall call_of(struct rig *r, struct outcome *o)
{
    *o = (struct outcome){0};
    CHECK(oauth_client_of(provider_by_name(view_str("claude")), r->v->config, &client));
    return (struct oauthcall){.client = &client, .keep = on_keep, .done = on_done, .ctx = o};
}

/* The supervisor starts it: its socket, and the job it got in r->msg. */
static int helper(struct rig *r)
{
    int pair[2];
    CHECK(rig_asked_for(r, "oauth", 2000));
    CHECK_OK(ipc_pair(pair, &r->why), r->why);
    oauthcall_on_spawned(r->v, pair[1]);
    CHECK(rig_recv_now(r, pair[0]));
    CHECK_INT(r->msg.type, MSG_OAUTH_JOB);
    return pair[0];
}

static void say(struct rig *r, int sock)
{
    CHECK(!r->out.bad);
    CHECK_OK(ipc_send(sock, buf_view(&r->out), -1, &r->why), r->why);
    rig_turns(r, 10);
}

static void say_raw(struct rig *r, int sock, const char *body)
{
    msg_begin(&r->out, MSG_OAUTH_RAW, 0, 0);
    msg_put_u64(&r->out, F_STATUS, ERR_OK);
    msg_put_u64(&r->out, F_RETRY_MS, 3000);
    msg_put_u64(&r->out, F_FLAGS, OAUTH_SENT);
    msg_put_u64(&r->out, F_HTTP_STATUS, 200);
    msg_put(&r->out, F_RAW, view_str(body));
    say(r, sock);
}

static void say_result(struct rig *r, int sock, uint64_t verdict, const char *code, const char *access)
{
    AUTO(buf_free) struct buf b = {0};
    struct cred c = {.f = {[CF_ACCESS_TOKEN] = view_str(access)}};
    if (access)
        CHECK_OK(cred_encode(&c, &b, &r->why), r->why);
    msg_begin(&r->out, MSG_OAUTH_RESULT, 0, 0);
    if (access)
        msg_put(&r->out, F_BODY, buf_view(&b));
    msg_put_u64(&r->out, F_VERDICT, verdict);
    msg_put_str(&r->out, F_CODE, code);
    say(r, sock);
}

TEST(job_raw_kept_result)
{
    struct rig r;
    struct outcome o;
    AUTO(buf_free) struct buf pairs = {0};
    rig_make(&r, NULL, "providers:\n  - { name: claude, token_url: \"http://127.0.0.1:7/t\", insecure_loopback: true, body: form, ca: /x.pem }\n" RIG_CONFIG);
    struct oauthcall c = call_of(&r, &o);
    oauth_pair(&pairs, "refresh_token", view_str("rt"));
    c.pairs = buf_view(&pairs);
    oauthcall_start(r.v, &c);
    AUTO(auto_close) int sock = helper(&r);
    CHECK(view_is(msg_view(&r.msg, F_OP), "ask") && view_is(msg_view(&r.msg, F_URL), "http://127.0.0.1:7/t"));
    CHECK(view_is(msg_view(&r.msg, F_PROVIDER), "claude") && view_is(msg_view(&r.msg, F_PATH), "/x.pem"));
    CHECK_INT(msg_u64(&r.msg, F_FLAGS, 0), OAUTH_FORM | OAUTH_LOOPBACK);
    CHECK_INT(msg_u64(&r.msg, F_TTL_MS, 0), OAUTHCALL_TTL_MS);
    CHECK(view_eq(msg_view(&r.msg, F_PAIRS), buf_view(&pairs)));
    say_raw(&r, sock, "{bytes}");
    CHECK(o.kept == 1 && o.done == 0 && o.retry_ms == 3000);
    CHECK_STR(o.raw, "{bytes}");
    CHECK(rig_recv_now(&r, sock) && r.msg.type == MSG_OAUTH_KEPT && msg_u64(&r.msg, F_AT_MS, 0) > 0);
    uint64_t at = msg_u64(&r.msg, F_AT_MS, 0);
    say_result(&r, sock, OAUTH_GRANTED, NULL, "new");
    CHECK(o.done == 1 && o.e == ERR_OK && o.verdict == OAUTH_GRANTED && o.status == 200 && o.at_ms == (int64_t)at);
    CHECK_STR(o.access, "new");
    CHECK_STR(o.code, "");
    CHECK(!r.v->oauth_calls);
    rig_end(&r);
}

TEST(a_parse_asks_nobody_and_keeps_nothing)
{
    struct rig r;
    struct outcome o;
    rig_make(&r, NULL, RIG_CONFIG);
    struct oauthcall c = call_of(&r, &o);
    const struct oauth_raw raw = {.status = 400, .body = view_str("{old}"), .at_ms = 77};
    c.parse = &raw;
    oauthcall_start(r.v, &c);
    AUTO(auto_close) int sock = helper(&r);
    CHECK(view_is(msg_view(&r.msg, F_OP), "parse") && view_is(msg_view(&r.msg, F_RAW), "{old}") && !r.msg.has[F_URL] && !r.msg.has[F_PAIRS]);
    CHECK(msg_u64(&r.msg, F_AT_MS, 0) == 77 && msg_u64(&r.msg, F_HTTP_STATUS, 0) == 400);
    say_result(&r, sock, OAUTH_REVOKED, "invalid_grant", NULL);
    CHECK(o.kept == 0 && o.done == 1 && o.e == ERR_OK && o.verdict == OAUTH_REVOKED && o.at_ms == 77);
    CHECK_STR(o.code, "invalid_grant");
    rig_end(&r);
}

TEST(no_answer_is_told_with_whether_it_was_sent)
{
    for (int sent = 0; sent < 2; sent++) {
        struct rig r;
        struct outcome o;
        rig_make(&r, NULL, RIG_CONFIG);
        struct oauthcall c = call_of(&r, &o);
        oauthcall_start(r.v, &c);
        AUTO(auto_close) int sock = helper(&r);
        msg_begin(&r.out, MSG_OAUTH_RAW, 0, 0);
        msg_put_u64(&r.out, F_STATUS, ERR_TIMEOUT);
        msg_put_str(&r.out, F_REASON, "idp did not answer");
        msg_put_u64(&r.out, F_FLAGS, sent ? OAUTH_SENT : 0);
        say(&r, sock);
        CHECK(o.done == 1 && o.e == ERR_TIMEOUT && o.sent == sent && o.kept == 0);
        CHECK_STR(o.why, "idp did not answer");
        rig_end(&r);
    }
}

TEST(what_cannot_be_kept_is_not_read)
{
    struct rig r;
    struct outcome o;
    rig_make(&r, NULL, RIG_CONFIG);
    struct oauthcall c = call_of(&r, &o);
    oauthcall_start(r.v, &c);
    o.keep_says = ERR_NO_SPACE;
    AUTO(auto_close) int sock = helper(&r);
    say_raw(&r, sock, "{bytes}");
    CHECK(o.kept == 1 && o.done == 1 && o.e == ERR_NO_SPACE && o.sent);
    CHECK(!rig_recv_now(&r, sock)); /* no KEPT; the socket is closed */
    rig_end(&r);
}

TEST(a_helper_that_breaks_the_protocol_ends_its_call)
{
    for (int i = 0; i < 6; i++) {
        struct rig r;
        struct outcome o;
        rig_make(&r, NULL, RIG_CONFIG);
        struct oauthcall c = call_of(&r, &o);
        oauthcall_start(r.v, &c);
        int sock = helper(&r);
        if (i == 0)
            say_result(&r, sock, OAUTH_GRANTED, NULL, "early"); /* before RAW */
        if (i >= 1 && i <= 3)
            say_raw(&r, sock, "{}");
        if (i == 1)
            say_raw(&r, sock, "{}"); /* twice */
        if (i == 2)
            say_result(&r, sock, OAUTH__COUNT, NULL, NULL);
        if (i == 3)
            CHECK_OK(ipc_send(sock, view_str("x"), -1, &r.why), r.why);
        if (i == 4) { /* RAW without a status */
            msg_begin(&r.out, MSG_OAUTH_RAW, 0, 0);
            say(&r, sock);
        }
        close(sock); /* 5: it just ends */
        rig_turns(&r, 10);
        CHECK_INT(o.done, 1);
        CHECK(o.e != ERR_OK && o.sent && !r.v->oauth_calls);
        rig_end(&r);
    }
}

TEST(a_helper_that_cannot_be_started_was_sent_nothing)
{
    struct rig r;
    struct outcome o;
    rig_make(&r, NULL, RIG_CONFIG);
    struct oauthcall c = call_of(&r, &o);
    oauthcall_start(r.v, &c);
    oauthcall_on_refused(r.v, "not installed");
    CHECK(o.done == 1 && o.e == ERR_UNAVAILABLE && !o.sent && strstr(o.why, "not installed"));
    oauthcall_on_refused(r.v, "nobody asked"); /* no call waits: nothing happens */
    rig_end(&r);
}

TEST(calls_over_the_number_that_may_run_wait_their_turn)
{
    enum { N = OAUTHCALL_RUNNING + 3 };
    static struct outcome o[N];
    struct rig r;
    int sock[N];
    rig_make(&r, NULL, RIG_CONFIG);
    for (int i = 0; i < N; i++) {
        struct oauthcall c = call_of(&r, &o[i]);
        oauthcall_start(r.v, &c);
    }
    for (int i = 0; i < OAUTHCALL_RUNNING; i++)
        sock[i] = helper(&r);
    CHECK(!rig_asked_for(&r, "oauth", 30)); /* the others wait */
    close(sock[5]);
    rig_turns(&r, 10);
    CHECK(o[5].done == 1 && o[OAUTHCALL_RUNNING].done == 0);
    sock[5] = helper(&r);
    oauthcall_drop(r.v, &o[OAUTHCALL_RUNNING + 1]);
    oauthcall_cancel_all(r.v);
    for (int i = 0; i < N; i++)
        CHECK_INT(o[i].done, i == OAUTHCALL_RUNNING + 1 ? 0 : 1);
    for (int i = 0; i < OAUTHCALL_RUNNING; i++)
        close(sock[i]);
    rig_end(&r);
}

TEST(a_socket_that_came_too_late_is_closed)
{
    struct rig r;
    struct outcome o;
    int pair[2];
    rig_make(&r, NULL, RIG_CONFIG);
    struct oauthcall c = call_of(&r, &o);
    oauthcall_start(r.v, &c);
    oauthcall_drop(r.v, &o);
    CHECK_OK(ipc_pair(pair, &r.why), r.why);
    oauthcall_on_spawned(r.v, pair[1]);
    CHECK_INT(ipc_recv(pair[0], &r.in, &r.fd, &r.why), ERR_NO_BROKER);
    close(pair[0]);
    rig_end(&r);
}
