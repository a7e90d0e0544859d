/* vault/request_end.c: what is used is charged, what must stop is cut, and every end is recorded once. */
#include "proxy_rig.h"

#include "vault/account_state.h"

TEST(a_token_budget_that_is_spent_cuts_what_runs)
{
    struct scene s;
    scene(&s, GRANT("        budget: \"tokens: 100/h\"\n      - { credential: claude, deliver: [proxy] }\n"));
    struct rig *r = &s.r;
    struct proxied_request a, b, other;
    char token[512];
    proxy_lease(r, s.api, "claude", token, NULL);
    CHECK_OK(proxy_begin(r, s.conn, token, "POST", "/v1/messages", NULL, &other), r->why);
    CHECK_OK(messages(&s, &a), r->why);
    CHECK_OK(messages(&s, &b), r->why);
    proxy_usage(r, PROXY, a.serial, &(struct used){.input = 40, .output = 10});
    proxy_usage(r, PROXY, a.serial, &(struct used){.input = 40, .output = 10}); /* cumulative: nothing more */
    CHECK(!next_from(r, MSG_CUT));
    proxy_end(r, PROXY, b.serial, ERR_OK, &(struct used){.input = 1, .output = 49});
    CHECK(next_from(r, MSG_CUT));
    CHECK(msg_u64(&r->msg, F_SERIAL, 0) == a.serial && msg_u64(&r->msg, F_STATUS, 0) == ERR_LIMIT && !r->msg.has[F_LEASE]);
    CHECK(view_is(msg_view(&r->msg, F_REASON), "the grant's budget of tokens is spent"));
    CHECK(!next_from(r, MSG_CUT)); /* another grant's go on */
    CHECK_INT(messages(&s, NULL), ERR_LIMIT);
    proxy_end(r, PROXY, a.serial, ERR_LIMIT, &(struct used){.input = 60, .output = 10});
    CHECK_INT(account_find(&r->v->accounts, "gw", "key")->window[BUDGET_TOKENS].used, 120);
    CHECK_INT(rig_logged(r, EVENT("request.end"), OUTCOME("denied"), "\"reason\":\"limit\""), 1);
    rig_end(r);
}

/* every way in which a lease ends */
static void ends_by(struct scene *s, unsigned way, struct proxied_request *a, err_t *status)
{
    struct rig *r = &s->r;
    scene(s, PROXY_CONFIG);
    CHECK_OK(messages(s, a), r->why);
    if (way == 0)
        CHECK_OK(ASK(r, MSG_LEASE_END, s->api, S(F_LEASE, s->id)), r->why);
    else if (way == 1)
        CHECK_OK(ASK(r, MSG_ADMIN_REVOKE, s->admin, N(F_FLAGS, 1)), r->why);
    else if (way == 2)
        CHECK_OK(ASK(r, MSG_CRED_REMOVE, s->admin, S(F_CREDENTIAL, "key")), r->why);
    else if (way == 3) {
        rig_write_config(r, "consumers:\n  - name: gw\n");
        CHECK_OK(policy_reload(r->v, &r->why), r->why);
        *status = ERR_OK; /* the worker itself is not wanted any more */
        return;
    } else if (way == 4) {
        rig_write_config(r, "consumers:\n  - name: gw\n    grants:\n      - { credential: claude, deliver: [proxy] }\n");
        CHECK_OK(policy_reload(r->v, &r->why), r->why);
    } else {
        CHECK_OK(ASK(r, MSG_LOCK, s->admin), r->why);
    }
    *status = way == 5 ? ERR_LOCKED : ERR_EXPIRED;
}

TEST(each_end_of_a_lease_cuts_its_requests_and_takes_the_route_back)
{
    for (unsigned way = 0; way < 6; way++) {
        struct scene s;
        struct proxied_request a;
        err_t status;
        ends_by(&s, way, &a, &status);
        struct rig *r = &s.r;
        if (way == 3) {
            CHECK_INT(proxied_running(&r->v->proxied), 0);
            CHECK_INT(rig_logged(r, EVENT("request.end"), OUTCOME("error"), "\"reason\":\"unavailable\""), 1);
            CHECK(r->v->workers[PROXY].sock < 0 && !rig_proxy_listener(r, "gw"));
            rig_end(r);
            continue;
        }
        CHECK(next_from(r, MSG_CUT));
        CHECK_INT(msg_u64(&r->msg, F_STATUS, 0), status);
        CHECK(r->msg.has[F_REASON]);
        if (way == 5)
            CHECK(msg_u64(&r->msg, F_SERIAL, 0) == a.serial);
        else
            CHECK(view_is(msg_view(&r->msg, F_LEASE), s.id));
        CHECK(next_from(r, MSG_ROUTE_END));
        CHECK(msg_u64(&r->msg, F_ROUTE, 0) == a.route && !r->v->routes.all);
        /* in the books until the worker tells its end; a store that is locked has told it already */
        CHECK_INT(proxied_running(&r->v->proxied), way != 5);
        proxy_end(r, PROXY, a.serial, ERR_EXPIRED, &(struct used){.out = 5});
        CHECK_INT(proxied_running(&r->v->proxied), 0);
        if (way == 5)
            CHECK_OK(ASK(r, MSG_UNLOCK, s.admin), r->why);
        CHECK_INT(rig_logged(r, EVENT("request.end"), way == 5 ? "\"reason\":\"locked\"" : "\"out_bytes\":5", s.id), 1);
        rig_end(r);
    }
}

TEST(expiry_cuts)
{
    struct scene s;
    scene(&s, PROXY_CONFIG);
    struct rig *r = &s.r;
    struct proxied_request a;
    CHECK_OK(ASK(r, MSG_LEASE_ISSUE, s.api, S(F_CREDENTIAL, "key"), S(F_DELIVER, "proxy"), N(F_TTL_MS, 1000)), r->why);
    rig_text(r, "token", s.token, sizeof(s.token));
    CHECK_OK(messages(&s, &a), r->why);
    int64_t began = clock_boot_ms();
    while (!(rig_recv(r, PROXY, 3000) && r->msg.type == MSG_CUT))
        CHECK(clock_boot_ms() - began < 5000);
    CHECK(clock_boot_ms() - began < 1500);
    CHECK(view_is(msg_view(&r->msg, F_REASON), "the lease has expired"));
    CHECK_INT(messages(&s, NULL), ERR_EXPIRED);
    rig_end(r);
}

TEST(a_worker_that_dies_ends_its_requests_and_another_one_has_its_own)
{
    struct scene s;
    scene(&s, "proxy: { workers: 2 }\n" GRANT("        budget: \"concurrent: 2\"\n"));
    struct rig *r = &s.r;
    struct proxied_request a, b;
    rig_proxy_up(r, PROXY + 1);
    AUTO(auto_close) int fd = rig_proxy_connect(r, "gw");
    uint64_t conn2 = rig_new_conn(r);
    CHECK_OK(messages(&s, &a), r->why);
    uint64_t id = proxy_post(r, PROXY + 1, conn2, fd, FIELDS(S(F_TOKEN, s.token), S(F_OP, "POST"), S(F_URI_PATH, "/v1/messages")));
    CHECK_OK(rig_reply(r, PROXY + 1, id), r->why);
    b.serial = msg_u64(&r->msg, F_SERIAL, 0);
    /* one worker's word about another's request counts nothing */
    proxy_end(r, PROXY + 1, a.serial, ERR_OK, &(struct used){0});
    CHECK_INT(proxied_running(&r->v->proxied), 2);
    CHECK_INT(messages(&s, NULL), ERR_LIMIT);
    auto_close(&r->worker[PROXY]);
    r->worker[PROXY] = -1;
    rig_turns(r, 20);
    CHECK_INT(proxied_running(&r->v->proxied), 1);
    CHECK_INT(rig_logged(r, EVENT("request.end"), OUTCOME("error"), "\"reason\":\"unavailable\""), 1);
    CHECK(rig_asked_for(r, "proxy", 1000));
    rig_proxy_up(r, PROXY);
    s.conn = rig_proxy_conn(r, "gw");
    CHECK_OK(messages(&s, &a), r->why); /* its route is sent anew */
    proxy_end(r, PROXY + 1, b.serial, ERR_OK, &(struct used){0});
    CHECK_INT(proxied_running(&r->v->proxied), 1);
    rig_end(r);
}

/* ---- what was spent outlives the vault */

static unsigned kept(struct rig *r, unsigned *bad)
{
    struct accounts as = {0};
    CHECK_OK(account_state_load(&as, r->v->log_fd, r->v->keys.budget, bad, &r->why), r->why);
    const struct account *a = account_find(&as, "gw", "key");
    unsigned used = a ? (unsigned)a->window[BUDGET_REQUESTS].used : 0;
    accounts_clear(&as);
    return used;
}

/* as a kill -9 would find it: nothing is closed */
TEST(what_was_spent_is_on_the_disk_within_a_second)
{
    struct scene s;
    scene(&s, GRANT("        budget: \"requests: 60/h\"\n")); /* too few for any in advance */
    struct rig *r = &s.r;
    unsigned bad = 0;
    for (unsigned round = 1; round <= 2; round++) {
        CHECK_OK(messages(&s, NULL), r->why);
        r->v->accounts.kept_boot_ms -= ACCOUNT_KEEP_MS;
        op_proxy_tick(r->v);
        CHECK(rig_until(r, rig_is_durable, RIG_WAIT_MS));
        CHECK_INT(kept(r, &bad), round);
        CHECK_INT(bad, 0);
    }
    CHECK_OK(messages(&s, NULL), r->why);
    op_proxy_tick(r->v); /* not yet due again */
    CHECK(rig_until(r, rig_is_durable, RIG_WAIT_MS));
    CHECK_INT(kept(r, &bad), 2);
    rig_end(r);
}

TEST(a_budget_file_that_was_changed_is_recorded_and_counts_as_spent)
{
    struct scene s;
    scene(&s, GRANT("        budget: \"requests: 100/h\"\n"));
    struct rig *r = &s.r;
    CHECK_OK(messages(&s, NULL), r->why);
    rig_stop(r);
    char path[160];
    (void)snprintf(path, sizeof(path), "%s/log/budget-000000.state", r->state);
    FILE *f = fopen(path, "r+e");
    CHECK(f && fseek(f, 60, SEEK_SET) == 0);
    int byte = fgetc(f);
    CHECK(fseek(f, 60, SEEK_SET) == 0 && fputc(byte ^ 1, f) != EOF && fclose(f) == 0);
    rig_start(r);
    CHECK_INT(r->v->state, VAULT_READY);
    CHECK(strstr(rig_log, "budget.lost") && strstr(rig_log, "budget-000000.state"));
    CHECK_INT(rig_logged(r, EVENT("budget.lost"), OUTCOME("error"), "\"count\":1"), 1);
    rig_proxy_up(r, PROXY);
    s.conn = rig_proxy_conn(r, "gw");
    CHECK_INT(messages(&s, NULL), ERR_LIMIT);
    /* and it is whole again after that: the next start trusts it */
    rig_restart(r);
    CHECK(!strstr(rig_log, "budget.lost"));
    rig_proxy_up(r, PROXY);
    s.conn = rig_proxy_conn(r, "gw");
    CHECK_INT(messages(&s, NULL), ERR_LIMIT);
    rig_end(r);
}
