/* vault/op_proxy.c: how proxied requests begin, are refused, use, are cut and end. */
#include "proxy_rig.h"

#include "crypto/token.h"

TEST(a_request_begins_with_its_route_first)
{
    struct scene s;
    scene(&s, PROXY_CONFIG);
    struct rig *r = &s.r;
    uint64_t id = proxy_post(r, PROXY, s.conn, -1, FIELDS(S(F_TOKEN, s.token), S(F_OP, "POST"), S(F_URI_PATH, "/v1/messages")));
    CHECK(rig_recv(r, PROXY, RIG_WAIT_MS));
    CHECK_INT(r->msg.type, MSG_ROUTE);
    struct route route;
    uint64_t route_id = msg_u64(&r->msg, F_ROUTE, 0);
    CHECK_OK(route_decode(msg_view(&r->msg, F_BODY), &route, &r->why), r->why);
    CHECK(route_id && view_is(route.host, "api.anthropic.com") && view_is(route.header[0].value, KEY_SECRET));
    CHECK_OK(rig_reply(r, PROXY, id), r->why);
    uint64_t serial = msg_u64(&r->msg, F_SERIAL, 0);
    CHECK(serial && serial < (uint64_t)1 << 53 && msg_u64(&r->msg, F_ROUTE, 0) == route_id);
    CHECK(view_is(msg_view(&r->msg, F_LEASE), s.id) && !r->msg.has[F_PROVIDER] && !r->msg.has[F_FLAGS]);
    /* the next one finds the worker with it */
    struct proxied_request second;
    CHECK_OK(messages(&s, &second), r->why);
    CHECK(second.serial != serial && second.route == route_id);
    CHECK_INT(proxied_running(&r->v->proxied), 2);
    CHECK_INT(rig_logged(r, EVENT("request.begin"), "\"method\":\"POST\",\"path\":\"/v1/messages\"", "\"credential\":\"key\""), 2);
    proxy_end(r, PROXY, serial, ERR_OK, &(struct used){.in = 10, .out = 20, .input = 3, .output = 4, .cache_read = 5, .model = "claude-x"});
    proxy_end(r, PROXY, serial, ERR_OK, &(struct used){.in = 10}); /* once more: not known any more */
    CHECK_INT(proxied_running(&r->v->proxied), 1);
    char number[40];
    (void)snprintf(number, sizeof(number), "\"serial\":%llu", (unsigned long long)serial);
    CHECK_INT(rig_logged(r, EVENT("request.end"), number, "\"http_status\":200,\"in_bytes\":10,\"out_bytes\":20,\"duration_ms\":1234,\"first_ms\":56,"
                                                          "\"input\":3,\"output\":4,\"cache_read\":5"), 1);
    CHECK_INT(rig_logged(r, EVENT("request.end"), "\"model\":\"claude-x\"", OUTCOME("ok")), 1);
    CHECK_INT(rig_logged(r, KEY_SECRET, NULL, NULL), 0);
    rig_end(r);
}

TEST(what_the_lease_answer_has_for_the_proxy)
{
    struct scene s;
    scene(&s, PROXY_CONFIG);
    CHECK_OK(rig_issue(&s.r, s.api, "key", "proxy"), s.r.why);
    CHECK_HAS(&s.r, "\"proxy_socket\":\"proxy.sock\"");
    CHECK_HAS(&s.r, "\"secret\":null");
    CHECK_HAS(&s.r, "\"provider\":\"anthropic\"");
    CHECK_HAS(&s.r, "\"token\":\"sk-ant-api03-cbrk1_");
    CHECK(!strstr(rig_body(&s.r), KEY_SECRET));
    CHECK_OK(rig_issue(&s.r, s.api, "key", "secret"), s.r.why);
    CHECK_HAS(&s.r, "\"proxy_socket\":null");
    rig_end(&s.r);
}

TEST(tokens_that_do_not_begin_anything)
{
    struct scene s;
    scene(&s, PROXY_CONFIG);
    struct rig *r = &s.r;
    struct proxied_request got;
    char secret_token[512], gone[512], gone_id[40];
    CHECK_INT(proxy_begin(r, s.conn, "nonsense", "POST", "/v1/messages", NULL, &got), ERR_AUTH);
    CHECK(got.serial == 0 && got.route == 0 && !got.lease[0]);
    CHECK_INT(proxy_begin(r, s.conn, NULL, "POST", "/v1/messages", NULL, NULL), ERR_AUTH);
    /* the right token at another consumer's socket */
    uint64_t other = rig_proxy_conn(r, "other");
    CHECK_INT(proxy_begin(r, other, s.token, "POST", "/v1/messages", NULL, NULL), ERR_AUTH);
    CHECK(!r->msg.has[F_PROVIDER]);
    /* a lease of another delivery */
    CHECK_OK(rig_issue(r, s.api, "key", "secret"), r->why);
    rig_text(r, "token", secret_token, sizeof(secret_token));
    CHECK_INT(proxy_begin(r, s.conn, secret_token, "POST", "/v1/messages", NULL, NULL), ERR_DENIED);
    /* one that has ended */
    proxy_lease(r, s.api, "key", gone, gone_id);
    CHECK_OK(ASK(r, MSG_LEASE_END, s.api, S(F_LEASE, gone_id)), r->why);
    CHECK_INT(proxy_begin(r, s.conn, gone, "POST", "/v1/messages", NULL, NULL), ERR_EXPIRED);
    CHECK(!r->v->routes.all); /* nobody was given a credential */
    CHECK(rig_logged(r, EVENT("token.refused"), "\"token\":\"r:", NULL) >= 3);
    CHECK(rig_logged(r, EVENT("request.denied"), "\"reason\":\"bad_token\"", "\"path\":\"/v1/messages\"") >= 3);
    CHECK_INT(rig_logged(r, EVENT("request.denied"), "\"reason\":\"expired\"", NULL), 1);
    CHECK_INT(proxied_running(&r->v->proxied), 0);
    rig_end(r);
}

static void narrow(const char *token, enum token_caveat type, struct view value, char out[512])
{
    AUTO(buf_free) struct buf b = {0};
    struct why why = {0};
    CHECK_OK(token_attenuate(view_str(token), type, value, &b, &why), why);
    CHECK(view_copy(buf_view(&b), out, 512));
}

TEST(caveats_of_the_token_hold)
{
    struct scene s;
    scene(&s, PROXY_CONFIG);
    struct rig *r = &s.r;
    struct proxied_request got;
    char t[512];
    narrow(s.token, CAVEAT_METHOD_PATH, view_str("GET /v1/models"), t);
    CHECK_INT(proxy_begin(r, s.conn, t, "POST", "/v1/messages", NULL, NULL), ERR_DENIED);
    CHECK(view_is(msg_view(&r->msg, F_PROVIDER), "anthropic"));
    CHECK_OK(proxy_begin(r, s.conn, t, "GET", "/v1/models/x", NULL, &got), r->why);
    narrow(s.token, CAVEAT_MODEL, view_str("claude-*"), t);
    CHECK_OK(proxy_begin(r, s.conn, t, "POST", "/v1/messages", NULL, &got), r->why);
    CHECK_INT(msg_u64(&r->msg, F_FLAGS, 0), PROXY_NEEDS_MODEL);
    CHECK(got.serial == 0);
    CHECK_INT(proxy_begin(r, s.conn, t, "POST", "/v1/messages", "gpt-5", NULL), ERR_DENIED);
    CHECK_INT(proxy_begin(r, s.conn, t, "POST", "/v1/messages", "", NULL), ERR_DENIED);
    CHECK_OK(proxy_begin(r, s.conn, t, "POST", "/v1/messages", "claude-opus", &got), r->why);
    CHECK_OK(proxy_begin(r, s.conn, t, "GET", "/v1/models", NULL, &got), r->why); /* no body, no model */
    uint8_t past[8] = {0}, mask[4] = {0, 0, 0, 1 << DELIVER_SECRET}, uid[4] = {0x7f, 1, 2, 3};
    past[7] = 1;
    narrow(s.token, CAVEAT_EXPIRES, VIEW(past, 8), t);
    CHECK_INT(proxy_begin(r, s.conn, t, "GET", "/v1/models", NULL, NULL), ERR_AUTH);
    narrow(s.token, CAVEAT_DELIVER, VIEW(mask, 4), t);
    CHECK_INT(proxy_begin(r, s.conn, t, "GET", "/v1/models", NULL, NULL), ERR_AUTH);
    narrow(s.token, CAVEAT_PEER_UID, VIEW(uid, 4), t);
    CHECK_INT(proxy_begin(r, s.conn, t, "GET", "/v1/models", NULL, NULL), ERR_AUTH);
    rig_end(r);
}

TEST(the_grants_lists_decide)
{
    struct scene s;
    scene(&s, GRANT("        allow: [\"POST /v1/messages\"]\n        models: [\"claude-*\", \"x\"]\n"));
    struct rig *r = &s.r;
    struct proxied_request got;
    CHECK_INT(proxy_begin(r, s.conn, s.token, "GET", "/v1/models", NULL, NULL), ERR_DENIED);
    CHECK_WHY(r, "GET /v1/models is not allowed by this grant");
    CHECK_INT(proxy_begin(r, s.conn, s.token, "POST", "/v1/messagesx", "x", NULL), ERR_DENIED);
    CHECK_INT(proxy_begin(r, s.conn, s.token, "post", "/v1/messages", "x", NULL), ERR_DENIED);
    CHECK_OK(messages(&s, &got), r->why);
    CHECK_INT(msg_u64(&r->msg, F_FLAGS, 0), PROXY_NEEDS_MODEL);
    CHECK_INT(proxied_running(&r->v->proxied), 0);
    CHECK_INT(rig_logged(r, EVENT("request.begin"), NULL, NULL), 0);
    CHECK_INT(proxy_begin(r, s.conn, s.token, "POST", "/v1/messages", "gpt", NULL), ERR_DENIED);
    CHECK_OK(proxy_begin(r, s.conn, s.token, "POST", "/v1/messages/count_tokens", "claude-3", &got), r->why);
    CHECK_INT(rig_logged(r, EVENT("request.begin"), "\"path\":\"/v1/messages\",\"model\":\"claude-3\"", NULL), 1);
    CHECK_INT(rig_logged(r, EVENT("request.denied"), "\"method\":\"GET\",\"path\":\"/v1/models\"", s.id), 1);
    CHECK_INT(rig_logged(r, "\"method\":\"post\"", NULL, NULL), 0);
    rig_end(r);
}

TEST(budgets_of_requests_and_of_concurrency)
{
    struct scene s;
    scene(&s, GRANT("        budget: \"requests: 3/h, concurrent: 2\"\n"));
    struct rig *r = &s.r;
    struct proxied_request a, b, c;
    CHECK_OK(messages(&s, &a), r->why);
    CHECK_OK(messages(&s, &b), r->why);
    CHECK_INT(messages(&s, &c), ERR_LIMIT);
    CHECK_INT(msg_u64(&r->msg, F_RETRY_MS, 0), 1000);
    proxy_end(r, PROXY, a.serial, ERR_OK, &(struct used){0});
    CHECK_OK(messages(&s, &c), r->why);
    proxy_end(r, PROXY, b.serial, ERR_OK, &(struct used){0});
    CHECK_INT(messages(&s, NULL), ERR_LIMIT);
    uint64_t retry = msg_u64(&r->msg, F_RETRY_MS, 0);
    CHECK(retry > 0 && retry <= 3600000);
    CHECK_INT(rig_logged(r, EVENT("request.denied"), "\"reason\":\"limit\"", NULL), 2);
    /* kept over a restart, and after a lock */
    CHECK_OK(ASK(r, MSG_LOCK, s.admin), r->why);
    CHECK_OK(ASK(r, MSG_UNLOCK, s.admin), r->why);
    CHECK_INT(messages(&s, NULL), ERR_LIMIT);
    CHECK_OK(ASK(r, MSG_BUDGETS, s.admin), r->why);
    CHECK_HAS(r, "\"consumer\":\"gw\",\"credential\":\"key\",\"budget\":\"requests: 3/h, concurrent: 2\",\"running\":0,\"concurrent\":2,"
                 "\"limits\":[{\"of\":\"requests\",\"limit\":3,\"used\":3,\"left\":0,\"period_ms\":3600000,\"renews_at_ms\":");
    rig_restart(r);
    s.admin = rig_conn(r, "admin");
    rig_proxy_up(r, PROXY);
    s.conn = rig_proxy_conn(r, "gw");
    CHECK_INT(messages(&s, NULL), ERR_LIMIT);
    rig_end(r);
}

TEST(cost_needs_a_price_and_is_charged)
{
    struct scene s;
    scene(&s, "prices:\n  - { model: \"claude-*\", input: 10, output: 100, cache_read: 1 }\n" GRANT("        budget: \"cost: 0.01/h\"\n"));
    struct rig *r = &s.r;
    struct proxied_request a;
    CHECK_OK(messages(&s, &a), r->why);
    CHECK_INT(msg_u64(&r->msg, F_FLAGS, 0), PROXY_NEEDS_MODEL);
    CHECK_INT(proxy_begin(r, s.conn, s.token, "POST", "/v1/messages", "gpt-5", NULL), ERR_DENIED);
    CHECK_WHY(r, "no price for this model");
    CHECK_OK(proxy_begin(r, s.conn, s.token, "POST", "/v1/messages", "claude-x", &a), r->why);
    proxy_end(r, PROXY, a.serial, ERR_OK, &(struct used){.input = 100, .output = 80, .cache_read = 1000, .model = "claude-x-2026"});
    CHECK_INT(account_find(&r->v->accounts, "gw", "key")->window[BUDGET_COST].used, 1000 + 8000 + 1000);
    CHECK_INT(rig_logged(r, EVENT("request.end"), "\"cost_microusd\":10000", "\"model\":\"claude-x\""), 1);
    CHECK_INT(proxy_begin(r, s.conn, s.token, "POST", "/v1/messages", "claude-x", NULL), ERR_LIMIT);
    CHECK_OK(proxy_begin(r, s.conn, s.token, "POST", "/v1/messages", NULL, &a), r->why); /* the model first */
    rig_end(r);
}

TEST(uses_count_requests)
{
    struct scene s;
    scene(&s, GRANT("        uses: 2\n"));
    struct rig *r = &s.r;
    struct proxied_request a;
    CHECK_OK(messages(&s, &a), r->why);
    CHECK_OK(messages(&s, NULL), r->why);
    CHECK_INT(messages(&s, NULL), ERR_LIMIT);
    CHECK_WHY(r, "no use left");
    CHECK(!next_from(r, MSG_CUT)); /* what runs goes on */
    CHECK_INT(proxied_running(&r->v->proxied), 2);
    rig_end(r);
}

TEST(a_replaced_credential_has_a_new_route_and_running_requests_go_on)
{
    struct scene s;
    scene(&s, PROXY_CONFIG);
    struct rig *r = &s.r;
    struct proxied_request a, b;
    struct cred key = rig_key("sk-ant-api03-THESECONDTHESECONDTHESECOND");
    CHECK_OK(messages(&s, &a), r->why);
    CHECK_OK(rig_put(r, s.admin, "key", &key, true), r->why);
    CHECK(rig_recv(r, PROXY, 1000) && r->msg.type == MSG_ROUTE_END && msg_u64(&r->msg, F_ROUTE, 0) == a.route);
    CHECK(!next_from(r, MSG_CUT));
    uint64_t id = proxy_post(r, PROXY, s.conn, -1, FIELDS(S(F_TOKEN, s.token), S(F_OP, "POST"), S(F_URI_PATH, "/v1/messages")));
    CHECK(next_from(r, MSG_ROUTE));
    CHECK(memmem(msg_view(&r->msg, F_BODY).p, msg_view(&r->msg, F_BODY).n, "THESECOND", 9));
    CHECK_OK(rig_reply(r, PROXY, id), r->why);
    b.route = msg_u64(&r->msg, F_ROUTE, 0);
    CHECK(b.route != a.route);
    CHECK_INT(proxied_running(&r->v->proxied), 2);
    rig_end(r);
}

static err_t again(struct rig *r, uint64_t conn, uint64_t serial, uint64_t route)
{
    return ASK(r, MSG_PROXY_AGAIN, conn, N(F_SERIAL, serial), N(F_ROUTE, route));
}

TEST(once_more_only_with_a_newer_credential_and_only_once)
{
    struct scene s;
    scene(&s, PROXY_CONFIG);
    struct rig *r = &s.r;
    struct proxied_request a, b;
    struct cred key = rig_key("sk-ant-api03-THESECONDTHESECONDTHESECOND");
    CHECK_OK(messages(&s, &a), r->why);
    CHECK_OK(messages(&s, &b), r->why);
    CHECK_INT(again(r, s.conn, a.serial, a.route), ERR_NEEDS_LOGIN);
    CHECK(strstr(rig_log, "credential.rejected credential=key"));
    size_t said = strlen(rig_log);
    CHECK_INT(again(r, s.conn, a.serial, a.route), ERR_NEEDS_LOGIN);
    CHECK(strlen(rig_log) == said); /* told once */
    CHECK_OK(rig_put(r, s.admin, "key", &key, true), r->why);
    CHECK_INT(again(r, s.conn, a.serial, a.route), ERR_NEEDS_LOGIN); /* it had its turn */
    CHECK_OK(again(r, s.conn, b.serial, b.route), r->why);
    CHECK(msg_u64(&r->msg, F_ROUTE, 0) > b.route && msg_u64(&r->msg, F_SERIAL, 0) == b.serial);
    CHECK_INT(again(r, s.conn, b.serial, b.route), ERR_NEEDS_LOGIN);
    CHECK_INT(rig_logged(r, EVENT("request.again"), OUTCOME("ok"), "\"version\":2"), 1);
    CHECK(rig_logged(r, EVENT("request.again"), "\"reason\":\"needs_login\"", NULL) >= 1);
    CHECK_INT(r->v->count.upstream_rejections, 1);
    CHECK_INT(again(r, s.conn, 12345, 1), ERR_NOT_FOUND);
    /* another consumer's connection of the same worker */
    uint64_t other = rig_proxy_conn(r, "other");
    struct proxied_request c;
    CHECK_OK(messages(&s, &c), r->why);
    CHECK_INT(again(r, other, c.serial, c.route), ERR_NOT_FOUND);
    CHECK_OK(ASK(r, MSG_ADMIN_REVOKE, s.admin, S(F_LEASE, s.id)), r->why);
    CHECK_INT(again(r, s.conn, c.serial, c.route), ERR_EXPIRED);
    rig_end(r);
}

TEST(no_record_no_request)
{
    struct scene s;
    scene(&s, "audit: { sync: every }\n" GRANT("        budget: \"concurrent: 1\"\n"));
    struct rig *r = &s.r;
    struct proxied_request a;
    CHECK_OK(messages(&s, &a), r->why);
    proxy_end(r, PROXY, a.serial, ERR_OK, &(struct used){0});
    CHECK(rig_until(r, rig_is_durable, 2000));
    rig_hang_disk(r);
    int64_t began = clock_boot_ms();
    CHECK_INT(messages(&s, &a), ERR_AUDIT);
    CHECK(clock_boot_ms() - began < 2000);
    CHECK(a.serial == 0 && proxied_running(&r->v->proxied) == 0);
    rig_free_disk(r);
    rig_turns(r, 300);
    CHECK_OK(messages(&s, &a), r->why);
    rig_end(r);
}

/* under sync: release a request does not wait for the disk */
TEST(a_request_is_recorded_before_its_answer_but_does_not_wait_for_the_disk)
{
    struct scene s;
    scene(&s, PROXY_CONFIG);
    struct rig *r = &s.r;
    struct proxied_request a;
    CHECK(rig_until(r, rig_is_durable, 2000));
    rig_hang_disk(r);
    uint64_t head = sink_head(r->v->sink);
    CHECK_OK(messages(&s, &a), r->why);
    CHECK(sink_head(r->v->sink) > head && sink_durable(r->v->sink) <= head);
    rig_free_disk(r);
    rig_end(r);
}

TEST(connections_come_by_their_own_socket)
{
    struct scene s;
    scene(&s, PROXY_CONFIG);
    struct rig *r = &s.r;
    AUTO(auto_close) int api = rig_connect(r, "gw");
    AUTO(auto_close) int proxy = rig_proxy_connect(r, "gw");
    uint64_t conn = rig_new_conn(r);
    uint64_t id = proxy_post(r, PROXY, conn, api, FIELDS(S(F_TOKEN, s.token), S(F_OP, "POST"), S(F_URI_PATH, "/v1/messages")));
    CHECK_INT(rig_reply(r, PROXY, id), ERR_DENIED);
    CHECK_INT(rig_ask(r, MSG_WHOAMI, conn, proxy, FIELDS()), ERR_DENIED);
    CHECK_INT(rig_logged(r, EVENT("peer.refused"), NULL, NULL), 2);
    rig_end(r);
}

TEST(a_proxy_worker_may_not_ask_what_others_may)
{
    struct scene s;
    scene(&s, PROXY_CONFIG);
    struct rig *r = &s.r;
    msg_begin(&r->out, MSG_WHOAMI, 1, s.conn);
    rig_send(r, PROXY, -1);
    rig_turns(r, 10);
    CHECK(r->v->workers[PROXY].sock < 0);
    CHECK_INT(rig_logged(r, EVENT("worker.protocol"), "\"role\":\"proxy\"", NULL), 1);
    rig_end(r);
}

TEST(a_worker_has_a_share_of_the_table)
{
    struct scene s;
    scene(&s, PROXY_CONFIG);
    struct rig *r = &s.r;
    struct proxied_request a;
    CHECK_OK(messages(&s, &a), r->why);
    r->v->proxied.worker[0].used = PROXIED_PER_WORKER;
    CHECK_INT(messages(&s, NULL), ERR_LIMIT);
    r->v->proxied.worker[0].used = 1;
    CHECK_OK(messages(&s, NULL), r->why);
    rig_end(r);
}

TEST(an_upstream_of_the_configuration_is_where_requests_go)
{
    struct scene s;
    scene(&s, "upstreams:\n  - { provider: anthropic, origin: \"http://127.0.0.1:4321\", private: true }\n" PROXY_CONFIG);
    struct rig *r = &s.r;
    struct route route;
    uint64_t id = proxy_post(r, PROXY, s.conn, -1, FIELDS(S(F_TOKEN, s.token), S(F_OP, "POST"), S(F_URI_PATH, "/v1/messages")));
    CHECK(next_from(r, MSG_ROUTE));
    CHECK_OK(route_decode(msg_view(&r->msg, F_BODY), &route, &r->why), r->why);
    CHECK(view_is(route.host, "127.0.0.1") && route.port == 4321 && route.flags == ROUTE_PRIVATE);
    CHECK_OK(rig_reply(r, PROXY, id), r->why);
    /* a reload that moves it takes the route back; one that does not, does not */
    CHECK_OK(policy_reload(r->v, &r->why), r->why);
    CHECK(!next_from(r, MSG_ROUTE_END));
    rig_write_config(r, PROXY_CONFIG);
    CHECK_OK(policy_reload(r->v, &r->why), r->why);
    CHECK(next_from(r, MSG_ROUTE_END));
    rig_write_config(r, "upstreams:\n  - { provider: nobody, origin: \"https://x\" }\n" PROXY_CONFIG);
    CHECK_INT(policy_reload(r->v, &r->why), ERR_INVALID);
    CHECK_WHY(r, "no provider \"nobody\"");
    CHECK_INT(ASK(r, MSG_RELOAD, s.admin), ERR_INVALID);
    CHECK_OK(messages(&s, NULL), r->why); /* the old configuration stays */
    rig_end(r);
}

TEST(the_grants_peer_must_match)
{
    struct scene s;
    scene(&s, PROXY_CONFIG);
    struct rig *r = &s.r;
    rig_write_config(r, GRANT("        peer: { gid: [4000000] }\n"));
    CHECK_OK(policy_reload(r->v, &r->why), r->why);
    CHECK_INT(messages(&s, NULL), ERR_DENIED);
    rig_end(r);
}

TEST(a_login_that_ended_begins_nothing)
{
    struct scene s;
    scene(&s, PROXY_CONFIG);
    struct rig *r = &s.r;
    struct cred login = rig_login(ACCESS_TOKEN, 30000);
    WITHOUT_REFRESH(login);
    proxy_lease(r, s.api, "claude", s.token, NULL);
    CHECK_OK(messages(&s, NULL), r->why);
    CHECK_OK(rig_put(r, s.admin, "claude", &login, true), r->why);
    CHECK_INT(messages(&s, NULL), ERR_NEEDS_LOGIN);
    CHECK(view_is(msg_view(&r->msg, F_PROVIDER), "claude"));
    rig_end(r);
}

TEST(a_generic_secret_without_origin_is_not_leased_for_the_proxy)
{
    struct scene s;
    scene(&s, PROXY_CONFIG "  - name: more\n    grants:\n      - { credential: word, deliver: [proxy] }\n");
    struct rig *r = &s.r;
    AUTO(buf_free) struct buf b = {0};
    struct cred c = {0};
    c.f[CF_KIND] = view_str("generic");
    c.f[CF_SECRET] = view_str("open sesame");
    CHECK_OK(cred_encode(&c, &b, &r->why), r->why);
    CHECK_OK(ASK(r, MSG_CRED_PUT, s.admin, V(F_BODY, buf_view(&b)), S(F_CREDENTIAL, "word"), S(F_PROVIDER, "generic")), r->why);
    uint64_t more = rig_conn(r, "more");
    CHECK_INT(rig_issue(r, more, "word", "proxy"), ERR_CONFLICT);
    CHECK_WHY(r, "--origin");
    rig_end(r);
}

/* ---- what is allowed in advance */

static uint64_t allowed(struct scene *s, struct proxied_request *out)
{
    CHECK_OK(messages(s, out), s->r.why);
    return msg_u64(&s->r.msg, F_USES, 0);
}

static void ended(struct scene *s, uint64_t serial, uint64_t flags)
{
    struct rig *r = &s->r;
    msg_begin(&r->out, MSG_PROXY_END, 0, 0);
    msg_put_u64(&r->out, F_STATUS, ERR_OK);
    if (flags)
        msg_put_u64(&r->out, F_FLAGS, flags);
    msg_put_u64(&r->out, F_SERIAL, serial);
    msg_put_u64(&r->out, F_HTTP_STATUS, 200);
    msg_put_u64(&r->out, F_INPUT, 10);
    rig_send(r, PROXY, -1);
    rig_turns(r, 3);
}

static uint64_t spent(struct scene *s, enum budget_kind k)
{
    const struct account *a = account_find(&s->r.v->accounts, "gw", "key");
    return a ? a->window[k].used : 0;
}

TEST(a_burst_is_allowed_and_charged_in_advance)
{
    struct scene s;
    struct proxied_request a, b;
    scene(&s, GRANT("        budget: \"requests: 6400/h, tokens: 1M/d\"\n"));
    struct rig *r = &s.r;
    CHECK_INT(allowed(&s, &a), 0); /* no burst yet */
    ended(&s, a.serial, 0);
    CHECK_INT(allowed(&s, &b), 32);
    CHECK(msg_u64(&r->msg, F_TTL_MS, 0) > 0 && msg_u64(&r->msg, F_TTL_MS, 0) <= 500);
    CHECK_INT(spent(&s, BUDGET_REQUESTS), 2 + 32);
    CHECK_INT(rig_logged(r, EVENT("request.begin"), "\"count\":33", NULL), 1);
    for (int i = 0; i < 3; i++)
        ended(&s, b.serial, PROXY_END_GOES_ON);
    CHECK_INT(proxied_running(&r->v->proxied), 1);
    CHECK_INT(spent(&s, BUDGET_TOKENS), 40); /* each anew, not the largest of them */
    ended(&s, b.serial, PROXY_END_UNUSED);
    CHECK_INT(proxied_running(&r->v->proxied), 0);
    CHECK_INT(spent(&s, BUDGET_REQUESTS), 1 + 3);
    CHECK_INT(rig_logged(r, EVENT("request.end"), "\"input\":10", OUTCOME("ok")), 4);
    CHECK_INT(r->v->proxied.count.begun, 4);
    CHECK_INT(r->v->proxied.count.ok, 4);
    rig_end(r);
}

TEST(an_allowance_is_used_up)
{
    struct scene s;
    struct proxied_request a;
    scene(&s, GRANT("        budget: \"requests: 200/h\"\n"));
    CHECK_INT(allowed(&s, NULL), 0);
    CHECK_INT(allowed(&s, &a), 3); /* a 64th of the 199 that are left */
    for (int i = 0; i < 3; i++)
        ended(&s, a.serial, PROXY_END_GOES_ON);
    CHECK_INT(proxied_running(&s.r.v->proxied), 2);
    ended(&s, a.serial, PROXY_END_GOES_ON); /* once more than it had: that was the last */
    CHECK_INT(proxied_running(&s.r.v->proxied), 1);
    CHECK_INT(spent(&s, BUDGET_REQUESTS), 5);
    rig_end(&s.r);
}

TEST(where_each_must_be_looked_at_nothing_is_allowed)
{
    static const char *const rows[] = {
        GRANT("        budget: \"requests: 64/h\"\n"),
        GRANT("        budget: \"concurrent: 15\"\n"),
        GRANT("        uses: 9\n"),
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct scene s;
        scene(&s, rows[i]);
        CHECK_INT(allowed(&s, NULL), 0);
        CHECK_INT(allowed(&s, NULL), 0);
        rig_end(&s.r);
    }
}

TEST(nothing_is_allowed_beyond_the_tokens_own_end)
{
    struct scene s;
    char t[512];
    scene(&s, PROXY_CONFIG);
    struct rig *r = &s.r;
    uint64_t end = (uint64_t)clock_wall_ms() + 250;
    uint8_t value[8];
    for (unsigned i = 0; i < 8; i++)
        value[i] = (uint8_t)(end >> (56 - 8 * i));
    narrow(s.token, CAVEAT_EXPIRES, VIEW(value, 8), t);
    CHECK_OK(proxy_begin(r, s.conn, t, "GET", "/v1/models", NULL, NULL), r->why);
    CHECK_OK(proxy_begin(r, s.conn, t, "GET", "/v1/models", NULL, NULL), r->why);
    CHECK(msg_u64(&r->msg, F_USES, 0) > 0 && msg_u64(&r->msg, F_TTL_MS, 0) > 0 && msg_u64(&r->msg, F_TTL_MS, 0) <= 250);
    rig_end(r);
}

TEST(a_model_that_is_read_is_read_each_time)
{
    struct scene s;
    scene(&s, GRANT("        models: [\"claude-*\"]\n"));
    for (int i = 0; i < 3; i++) {
        CHECK_OK(proxy_begin(&s.r, s.conn, s.token, "POST", "/v1/messages", "claude-3", NULL), s.r.why);
        CHECK(!s.r.msg.has[F_USES]);
    }
    rig_end(&s.r);
}

TEST(near_the_end_of_a_budget_nothing_is_allowed)
{
    struct scene s;
    struct proxied_request a;
    scene(&s, GRANT("        budget: \"tokens: 100/d\"\n"));
    CHECK_INT(allowed(&s, &a), 0);
    CHECK_INT(allowed(&s, NULL), 32);
    proxy_end(&s.r, PROXY, a.serial, ERR_OK, &(struct used){.input = 95});
    CHECK_INT(allowed(&s, NULL), 0);
    rig_end(&s.r);
}

TEST(a_lease_that_ends_cuts_what_was_allowed)
{
    struct scene s;
    struct proxied_request a;
    scene(&s, PROXY_CONFIG);
    struct rig *r = &s.r;
    CHECK_INT(allowed(&s, NULL), 0);
    CHECK_INT(allowed(&s, &a), 32);
    ended(&s, a.serial, PROXY_END_GOES_ON);
    CHECK_OK(ASK(r, MSG_LEASE_END, s.api, S(F_LEASE, s.id)), r->why);
    CHECK(next_from(r, MSG_CUT) && view_is(msg_view(&r->msg, F_LEASE), s.id));
    ended(&s, a.serial, PROXY_END_UNUSED);
    CHECK_INT(proxied_running(&r->v->proxied), 1);
    CHECK_INT(messages(&s, NULL), ERR_EXPIRED);
    rig_end(r);
}

/* A worker that says UNUSED of a request it was asked about hides nothing. */
TEST(the_first_request_always_has_its_end)
{
    struct scene s;
    struct proxied_request a;
    scene(&s, PROXY_CONFIG);
    CHECK_OK(messages(&s, &a), s.r.why);
    ended(&s, a.serial, PROXY_END_UNUSED);
    CHECK_INT(rig_logged(&s.r, EVENT("request.end"), NULL, NULL), 1);
    CHECK_INT(proxied_running(&s.r.v->proxied), 0);
    rig_end(&s.r);
}

static void news(struct rig *r, enum msg_type type, uint64_t serial, size_t cut)
{
    AUTO(buf_free) struct buf one = {0}, all = {0};
    msg_begin(&one, type, 0, 0);
    msg_put_u64(&one, F_STATUS, ERR_OK);
    if (serial)
        msg_put_u64(&one, F_SERIAL, serial);
    CHECK(!one.bad);
    buf_put_str32(&all, buf_view(&one));
    buf_put_str32(&all, buf_view(&one));
    msg_begin(&r->out, MSG_PROXY_NEWS, 0, 0);
    msg_put(&r->out, F_BODY, VIEW(all.p, all.len - cut));
    rig_send(r, PROXY, -1);
    rig_turns(r, 5);
}

TEST(news_are_ends_and_usage_only)
{
    struct scene s;
    struct proxied_request a;
    scene(&s, PROXY_CONFIG);
    CHECK_OK(messages(&s, &a), s.r.why);
    news(&s.r, MSG_PROXY_END, a.serial, 0);
    CHECK_INT(proxied_running(&s.r.v->proxied), 0);
    CHECK_INT(rig_logged(&s.r, EVENT("request.end"), NULL, NULL), 1);
    CHECK_OK(messages(&s, &a), s.r.why);
    news(&s.r, MSG_READY, 0, 0);
    CHECK(s.r.v->workers[PROXY].sock < 0); /* it broke the protocol */
    rig_end(&s.r);
    scene(&s, PROXY_CONFIG);
    CHECK_OK(messages(&s, &a), s.r.why);
    news(&s.r, MSG_PROXY_END, a.serial, 1);
    CHECK(s.r.v->workers[PROXY].sock < 0);
    rig_end(&s.r);
}
