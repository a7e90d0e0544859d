/* vault/refresh.c, refresh_run.c, refresh_wait.c, parked.c: when a login is renewed, by whom, and what becomes of it whatever the provider, the
 * disk or a crash does. The helper is played by the test. */
#include "oauth_rig.h"

#include "vault/refresh.h"
#include "vault/unlock.h"

enum { HOUR = 3600000 };

static uint64_t begin_with(struct rig *r, int64_t left_ms)
{
    uint64_t admin = rig_begin(r);
    struct cred login = rig_login(ACCESS_TOKEN, left_ms);
    CHECK_OK(rig_put(r, admin, "claude", &login, false), r->why);
    return admin;
}

static uint64_t post_lease(struct rig *r, uint64_t conn)
{
    return POST(r, MSG_LEASE_ISSUE, conn, S(F_CREDENTIAL, "claude"), S(F_DELIVER, "access_token"));
}

/* ---- the way it goes well */

TEST(a_lease_that_needs_it_waits_and_is_served_with_the_new_token)
{
    struct rig r;
    (void)begin_with(&r, 30000);
    uint64_t gw = rig_conn(&r, "gw"), id = post_lease(&r, gw);
    AUTO(auto_close) int sock = oauth_helper(&r);
    CHECK(view_is(msg_view(&r.msg, F_OP), "ask") && view_is(oauth_param(&r, "refresh_token"), REFRESH_TOKEN));
    CHECK(view_is(oauth_param(&r, "grant_type"), "refresh_token"));
    CHECK_INT(rig_journals(&r), 1); /* INTENT is there before the request */
    CHECK(rig_logged(&r, EVENT("refresh.begin"), "\"source\":\"lease\"", NULL) == 1);
    oauth_raw(&r, sock, 200, "{bytes}");
    CHECK(rig_has(&r, "claude", CF_ACCESS_TOKEN, ACCESS_TOKEN)); /* nothing is taken over before it is parsed */
    oauth_tokens(&r, sock, "sk-ant-oat01-NEW", "sk-ant-ort01-NEW", HOUR);
    CHECK_OK(REPLY(&r, MSG_LEASE_ISSUE, id), r.why);
    CHECK_HAS(&r, "\"secret\":\"sk-ant-oat01-NEW\"");
    CHECK(rig_has(&r, "claude", CF_REFRESH_TOKEN, "sk-ant-ort01-NEW") && rig_cred(&r, "claude")->version == 2);
    CHECK_INT(rig_journals(&r), 0);
    CHECK(rig_logged(&r, EVENT("refresh.end"), "\"outcome\":\"ok\"", "\"version\":2") == 1);
    CHECK(refresh_counts(r.v).begun == 1 && refresh_counts(r.v).renewed == 1 && refresh_counts(r.v).waited == 1);
    rig_end(&r);
}

TEST(whoever_asks_meanwhile_waits_for_the_same_one)
{
    enum { N = 20 };
    struct rig r;
    uint64_t id[N];
    uint64_t admin = begin_with(&r, 30000), gw = rig_conn(&r, "gw");
    for (int i = 0; i < N; i++)
        id[i] = post_lease(&r, gw);
    AUTO(auto_close) int sock = oauth_helper(&r);
    CHECK_OK(ASK(&r, MSG_STATUS, admin), r.why); /* and nobody else waits */
    oauth_raw(&r, sock, 200, "{}");
    oauth_tokens(&r, sock, "sk-ant-oat01-NEW", NULL, HOUR);
    for (int i = 0; i < N; i++) {
        CHECK_OK(REPLY(&r, MSG_LEASE_ISSUE, id[i]), r.why);
        CHECK_HAS(&r, "sk-ant-oat01-NEW");
    }
    CHECK_INT(refresh_counts(r.v).begun, 1);
    CHECK(!rig_asked_for(&r, "oauth", 30));
    CHECK(rig_has(&r, "claude", CF_REFRESH_TOKEN, REFRESH_TOKEN)); /* the answer had none: the old one stays */
    rig_end(&r);
}

TEST(a_token_that_is_still_valid_is_not_waited_for)
{
    struct rig r;
    uint64_t admin = begin_with(&r, HOUR), gw = rig_conn(&r, "gw");
    uint64_t demand = POST(&r, MSG_REFRESH, admin, S(F_CREDENTIAL, "claude"));
    AUTO(auto_close) int sock = oauth_helper(&r);
    CHECK_OK(rig_issue(&r, gw, "claude", "access_token"), r.why);
    CHECK_HAS(&r, ACCESS_TOKEN);
    oauth_raw(&r, sock, 200, "{}");
    oauth_tokens(&r, sock, "sk-ant-oat01-NEW", NULL, HOUR);
    CHECK_OK(REPLY(&r, MSG_REFRESH, demand), r.why);
    CHECK_HAS(&r, "\"version\":2");
    rig_end(&r);
}

TEST(it_begins_by_itself_when_most_of_the_life_is_over)
{
    struct rig r;
    (void)begin_with(&r, 1000); /* 800 ms at most */
    refreshes_tick(r.v);
    CHECK_INT(refresh_counts(r.v).begun, 0);
    rig_turns(&r, 820);
    refreshes_tick(r.v);
    CHECK_INT(refresh_counts(r.v).begun, 1);
    CHECK(rig_logged(&r, EVENT("refresh.begin"), "\"source\":\"early\"", NULL) == 1);
    refreshes_tick(r.v);
    CHECK_INT(refresh_counts(r.v).begun, 1);
    rig_end(&r);
}

TEST(tokens_that_last_seconds_are_not_renewed_without_a_pause)
{
    struct rig r;
    struct refresh_view v;
    uint64_t admin = begin_with(&r, HOUR);
    uint64_t demand = POST(&r, MSG_REFRESH, admin, S(F_CREDENTIAL, "claude"));
    AUTO(auto_close) int sock = oauth_helper(&r);
    oauth_raw(&r, sock, 200, "{}");
    oauth_tokens(&r, sock, "sk-ant-oat01-NEW", NULL, 2000);
    CHECK_OK(REPLY(&r, MSG_REFRESH, demand), r.why);
    refresh_look(r.v, rig_cred(&r, "claude"), &v);
    CHECK(v.next_ms > clock_wall_ms() + 15000);
    rig_end(&r);
}

TEST(a_file_with_a_consumer_is_renewed_while_a_long_run_still_fits)
{
    struct rig r;
    struct refresh_view plain, with_file;
    (void)begin_with(&r, HOUR);
    refresh_look(r.v, rig_cred(&r, "claude"), &plain);
    int64_t left = rig_cred(&r, "claude")->expires_ms - plain.next_ms;
    CHECK(left >= HOUR / 5 && left <= HOUR / 4 + 1000);
    CHECK_OK(rig_issue(&r, rig_conn(&r, "gw"), "claude", "file"), r.why);
    refresh_look(r.v, rig_cred(&r, "claude"), &with_file);
    CHECK_INT(rig_cred(&r, "claude")->expires_ms - with_file.next_ms, 36 * 60000);
    rig_end(&r);
}

/* ---- the way it does not */

/* One run that fails in some way; the login must be as it was, and a second run is possible. */
static void run_that_fails(struct rig *r, int how)
{
    int sock = oauth_helper(r);
    if (how == 0)
        oauth_none(r, sock, ERR_UNAVAILABLE, false);
    if (how == 1)
        oauth_none(r, sock, ERR_TIMEOUT, true);
    if (how >= 2)
        oauth_raw(r, sock, how == 2 ? 503 : how == 3 ? 429 : how == 4 ? 400 : 200, "{}");
    if (how == 2 || how == 3)
        oauth_verdict(r, sock, OAUTH_TRANSIENT, NULL);
    if (how == 4)
        oauth_verdict(r, sock, OAUTH_REFUSED, "invalid_client");
    if (how == 5)
        oauth_verdict(r, sock, OAUTH_GARBAGE, NULL);
    if (how == 6)
        oauth_tokens(r, sock, "with white space", NULL, HOUR); /* no login would be valid with it */
    close(sock); /* 7: it dies after RAW */
    rig_turns(r, 10);
}

TEST(a_refresh_that_fails_leaves_the_login_and_is_tried_again)
{
    static const struct {
        bool journal, doubt;
    } after[] = {{false, false}, {true, true}, {true, true}, {false, false}, {false, false}, {true, true}, {true, true}, {true, false}};
    for (int how = 0; how < 8; how++) {
        struct rig r;
        struct refresh_view v;
        uint64_t admin = begin_with(&r, HOUR);
        uint64_t demand = POST(&r, MSG_REFRESH, admin, S(F_CREDENTIAL, "claude"));
        run_that_fails(&r, how);
        err_t e = REPLY(&r, MSG_REFRESH, demand);
        CHECK(e != ERR_OK && e != ERR_NEEDS_LOGIN);
        const struct credential *c = rig_cred(&r, "claude");
        CHECK(c->version == 1 && !c->needs_login && rig_has(&r, "claude", CF_REFRESH_TOKEN, REFRESH_TOKEN));
        CHECK_INT(rig_journals(&r), after[how].journal);
        refresh_look(r.v, c, &v);
        CHECK(v.failures == 1 && v.why[0] && v.doubtful == after[how].doubt && v.next_ms > clock_wall_ms());
        CHECK(strstr(rig_log, "refresh.failed credential=claude"));
        CHECK_OK(rig_issue(&r, rig_conn(&r, "gw"), "claude", "access_token"), r.why); /* what is valid is served */
        demand = POST(&r, MSG_REFRESH, admin, S(F_CREDENTIAL, "claude")); /* whatever the back-off says */
        AUTO(auto_close) int sock = oauth_helper(&r);
        if (how == 7) { /* the answer was kept: nobody is asked for it again */
            CHECK(view_is(msg_view(&r.msg, F_OP), "parse") && view_is(msg_view(&r.msg, F_RAW), "{}"));
        } else {
            CHECK(view_is(oauth_param(&r, "refresh_token"), REFRESH_TOKEN));
            oauth_raw(&r, sock, 200, "{}");
        }
        oauth_tokens(&r, sock, "sk-ant-oat01-NEW", "sk-ant-ort01-NEW", HOUR);
        CHECK_OK(REPLY(&r, MSG_REFRESH, demand), r.why);
        refresh_look(r.v, rig_cred(&r, "claude"), &v);
        CHECK(v.failures == 0 && !v.why[0] && !v.doubtful && rig_journals(&r) == 0);
        rig_end(&r);
    }
}

TEST(during_the_back_off_who_needs_it_is_told_and_nobody_asks)
{
    struct rig r;
    (void)begin_with(&r, 30000);
    uint64_t gw = rig_conn(&r, "gw"), id = post_lease(&r, gw);
    run_that_fails(&r, 3);
    CHECK_INT(REPLY(&r, MSG_LEASE_ISSUE, id), ERR_UNAVAILABLE);
    CHECK_WHY(&r, "cannot be renewed now: the identity provider answered 429");
    CHECK_INT(rig_issue(&r, gw, "claude", "access_token"), ERR_UNAVAILABLE);
    CHECK_INT(refresh_counts(r.v).begun, 1);
    rig_end(&r);
}

TEST(a_new_version_that_cannot_be_written_is_kept_and_written_later)
{
    struct rig r;
    uint64_t admin = begin_with(&r, HOUR);
    uint64_t demand = POST(&r, MSG_REFRESH, admin, S(F_CREDENTIAL, "claude"));
    AUTO(auto_close) int sock = oauth_helper(&r);
    oauth_raw(&r, sock, 200, "{}");
    rig_store.no_append = true;
    oauth_tokens(&r, sock, "sk-ant-oat01-NEW", "sk-ant-ort01-NEW", HOUR);
    CHECK_INT(REPLY(&r, MSG_REFRESH, demand), ERR_NO_SPACE);
    CHECK_INT(rig_journals(&r), 1);
    rig_store.no_append = false;
    demand = POST(&r, MSG_REFRESH, admin, S(F_CREDENTIAL, "claude"));
    CHECK_OK(REPLY(&r, MSG_REFRESH, demand), r.why); /* without asking the provider */
    CHECK(rig_has(&r, "claude", CF_REFRESH_TOKEN, "sk-ant-ort01-NEW") && rig_journals(&r) == 0);
    CHECK(!rig_asked_for(&r, "oauth", 20));
    rig_end(&r);
}

/* ---- the end of a login */

TEST(only_the_providers_word_ends_a_login_and_it_says_how)
{
    static const struct {
        bool doubt;
        enum oauth_verdict verdict;
        const char *code, *ended;
    } rows[] = {{false, OAUTH_REVOKED, "invalid_grant", "revoked"},
                {false, OAUTH_ROTATED, "refresh_token_reused", "rotated"},
                {true, OAUTH_REVOKED, "invalid_grant", "lost"},
                {true, OAUTH_ROTATED, "refresh_token_reused", "lost"}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct rig r;
        char member[64];
        uint64_t admin = begin_with(&r, HOUR), demand;
        if (rows[i].doubt) {
            demand = POST(&r, MSG_REFRESH, admin, S(F_CREDENTIAL, "claude"));
            run_that_fails(&r, 1);
            (void)REPLY(&r, MSG_REFRESH, demand);
        }
        demand = POST(&r, MSG_REFRESH, admin, S(F_CREDENTIAL, "claude"));
        AUTO(auto_close) int sock = oauth_helper(&r);
        oauth_raw(&r, sock, 400, "{}");
        oauth_verdict(&r, sock, rows[i].verdict, rows[i].code);
        CHECK_INT(REPLY(&r, MSG_REFRESH, demand), ERR_NEEDS_LOGIN);
        CHECK_WHY(&r, rows[i].code);
        CHECK(rig_has(&r, "claude", CF_REFRESH_TOKEN, REFRESH_TOKEN) && rig_cred(&r, "claude")->version == 1); /* the ciphertext is kept */
        CHECK_OK(ASK(&r, MSG_CRED_SHOW, admin, S(F_CREDENTIAL, "claude")), r.why);
        (void)snprintf(member, sizeof(member), "\"state\":\"needs_login\",\"ended\":\"%s\"", rows[i].ended);
        CHECK_HAS(&r, member);
        CHECK(rig_logged(&r, EVENT("credential.needs_login"), "\"credential\":\"claude\"", NULL) == 1);
        CHECK(strstr(rig_log, "credential.needs_login credential=claude") && strstr(rig_log, "remedy=log in again: broker-cli login claude"));
        CHECK_INT(rig_journals(&r), 0);
        CHECK_OK(rig_issue(&r, rig_conn(&r, "gw"), "claude", "access_token"), r.why); /* still valid */
        rig_restart(&r); /* and it is remembered */
        CHECK_INT(rig_cred(&r, "claude")->needs_login != LOGIN_WORKS, 1);
        refreshes_tick(r.v);
        CHECK_INT(refresh_counts(r.v).begun, 0);
        admin = rig_conn(&r, "admin");
        struct cred better = rig_login(ACCESS_TOKEN "2", HOUR);
        CHECK_OK(rig_put(&r, admin, "claude", &better, true), r.why);
        CHECK_HAS(&r, "\"state\":\"ok\",\"ended\":null");
        rig_end(&r);
    }
}

TEST(a_login_that_an_operator_replaced_meanwhile_is_not_overwritten)
{
    struct rig r;
    uint64_t admin = begin_with(&r, HOUR);
    uint64_t demand = POST(&r, MSG_REFRESH, admin, S(F_CREDENTIAL, "claude"));
    AUTO(auto_close) int sock = oauth_helper(&r);
    struct cred better = rig_login(ACCESS_TOKEN "2", 2 * HOUR);
    CHECK_OK(rig_put(&r, admin, "claude", &better, true), r.why);
    oauth_raw(&r, sock, 400, "{}");
    oauth_verdict(&r, sock, OAUTH_REVOKED, "invalid_grant");
    CHECK_OK(REPLY(&r, MSG_REFRESH, demand), r.why);
    CHECK(rig_has(&r, "claude", CF_ACCESS_TOKEN, ACCESS_TOKEN "2") && !rig_cred(&r, "claude")->needs_login && rig_journals(&r) == 0);
    rig_end(&r);
}

TEST(a_login_that_was_removed_meanwhile_is_gone)
{
    struct rig r;
    uint64_t admin = begin_with(&r, HOUR);
    uint64_t demand = POST(&r, MSG_REFRESH, admin, S(F_CREDENTIAL, "claude"));
    AUTO(auto_close) int sock = oauth_helper(&r);
    CHECK_OK(ASK(&r, MSG_CRED_REMOVE, admin, S(F_CREDENTIAL, "claude")), r.why);
    struct cred again = rig_login(ACCESS_TOKEN "2", 2 * HOUR);
    CHECK_OK(rig_put(&r, admin, "claude", &again, false), r.why); /* another one of that name */
    oauth_raw(&r, sock, 200, "{}");
    oauth_tokens(&r, sock, "sk-ant-oat01-NEW", "sk-ant-ort01-NEW", HOUR);
    CHECK(REPLY(&r, MSG_REFRESH, demand) != ERR_OK);
    CHECK(rig_has(&r, "claude", CF_ACCESS_TOKEN, ACCESS_TOKEN "2") && rig_cred(&r, "claude")->version == 1);
    refreshes_tick(r.v);
    CHECK_INT(rig_journals(&r), 0);
    rig_end(&r);
}

/* ---- a crash between */

TEST(after_a_crash_a_kept_answer_is_replayed_and_nobody_is_asked)
{
    struct rig r;
    uint64_t admin = begin_with(&r, HOUR);
    (void)POST(&r, MSG_REFRESH, admin, S(F_CREDENTIAL, "claude"));
    int sock = oauth_helper(&r);
    oauth_raw(&r, sock, 200, "{the kept answer}");
    CHECK_INT(rig_journals(&r), 1);
    close(sock);
    rig_restart(&r);
    refreshes_tick(r.v);
    sock = oauth_helper(&r);
    CHECK(view_is(msg_view(&r.msg, F_OP), "parse") && view_is(msg_view(&r.msg, F_RAW), "{the kept answer}"));
    CHECK(strstr(rig_log, "refresh.recovered credential=claude found=an answer that was kept"));
    oauth_tokens(&r, sock, "sk-ant-oat01-NEW", "sk-ant-ort01-NEW", HOUR);
    CHECK(rig_has(&r, "claude", CF_REFRESH_TOKEN, "sk-ant-ort01-NEW") && rig_journals(&r) == 0);
    CHECK(rig_logged(&r, EVENT("refresh.end"), "\"source\":\"recovery\"", "\"outcome\":\"ok\"") == 1);
    close(sock);
    rig_end(&r);
}

TEST(after_a_crash_an_open_request_is_tried_once_with_the_old_token)
{
    for (int dead = 0; dead < 2; dead++) {
        struct rig r;
        uint64_t admin = begin_with(&r, HOUR);
        (void)POST(&r, MSG_REFRESH, admin, S(F_CREDENTIAL, "claude"));
        int sock = oauth_helper(&r);
        close(sock);
        rig_restart(&r);
        CHECK(strstr(rig_log, "refresh.recovered credential=claude found=a request whose answer is not known"));
        refreshes_tick(r.v);
        sock = oauth_helper(&r);
        CHECK(view_is(oauth_param(&r, "refresh_token"), REFRESH_TOKEN));
        oauth_raw(&r, sock, dead ? 400 : 200, "{}");
        if (dead)
            oauth_verdict(&r, sock, OAUTH_REVOKED, "invalid_grant");
        else
            oauth_tokens(&r, sock, "sk-ant-oat01-NEW", "sk-ant-ort01-NEW", HOUR);
        CHECK_INT(rig_cred(&r, "claude")->needs_login, dead ? LOGIN_LOST : LOGIN_WORKS);
        CHECK_INT(rig_journals(&r), 0);
        close(sock);
        rig_end(&r);
    }
}

TEST(a_journal_of_what_is_over_is_void)
{
    struct rig r;
    uint64_t admin = begin_with(&r, HOUR);
    (void)POST(&r, MSG_REFRESH, admin, S(F_CREDENTIAL, "claude"));
    int sock = oauth_helper(&r);
    struct cred better = rig_login(ACCESS_TOKEN "2", HOUR);
    CHECK_OK(rig_put(&r, admin, "claude", &better, true), r.why); /* the version it is about is no more */
    close(sock);
    CHECK_INT(rig_journals(&r), 1);
    rig_restart(&r);
    CHECK_INT(rig_journals(&r), 0);
    refreshes_tick(r.v);
    CHECK_INT(refresh_counts(r.v).begun, 0);
    rig_end(&r);
}

/* ---- waiting */

TEST(a_parked_request_whose_worker_is_gone_is_dropped)
{
    struct rig r;
    (void)begin_with(&r, 30000);
    uint64_t gw = rig_conn(&r, "gw");
    (void)post_lease(&r, gw);
    AUTO(auto_close) int sock = oauth_helper(&r);
    rig_turns(&r, 3);
    rig_attach_worker(&r, WORKER_API); /* another process, other connections */
    rig_ready(&r, WORKER_API);
    oauth_raw(&r, sock, 200, "{}");
    oauth_tokens(&r, sock, "sk-ant-oat01-NEW", NULL, HOUR);
    CHECK_INT(leases_live(r.v->leases), 0);
    CHECK(rig_has(&r, "claude", CF_ACCESS_TOKEN, "sk-ant-oat01-NEW"));
    rig_end(&r);
}

TEST(a_login_that_can_be_renewed_is_on_offer_and_ends_no_programs_lease)
{
    struct rig r;
    uint64_t admin = begin_with(&r, HOUR), gw = rig_conn(&r, "gw"), cursor = 0;
    CHECK_OK(rig_issue(&r, gw, "claude", "access_token"), r.why);
    struct lease *l = lease_next(r.v->leases, &cursor);
    struct cred late = rig_login(ACCESS_TOKEN "2", 30000);
    CHECK_OK(rig_put(&r, admin, "claude", &late, true), r.why);
    CHECK(l && op_lease_keep(r.v, l));
    CHECK_OK(ASK(&r, MSG_GRANTS, gw), r.why);
    CHECK_HAS(&r, "\"available\":true");
    WITHOUT_REFRESH(late);
    CHECK_OK(rig_put(&r, admin, "claude", &late, true), r.why);
    CHECK(!op_lease_keep(r.v, l));
    CHECK_OK(ASK(&r, MSG_GRANTS, gw), r.why);
    CHECK(!strstr(rig_body(&r), "\"available\":true"));
    rig_end(&r);
}

TEST(what_is_no_login_or_has_no_refresh_token_says_so)
{
    struct rig r;
    uint64_t admin = rig_begin(&r);
    struct cred key = rig_key(KEY_SECRET), login = rig_login(ACCESS_TOKEN, HOUR);
    WITHOUT_REFRESH(login);
    CHECK_OK(rig_put(&r, admin, "key", &key, false), r.why);
    CHECK_OK(rig_put(&r, admin, "claude", &login, false), r.why);
    CHECK_INT(ASK(&r, MSG_REFRESH, admin, S(F_CREDENTIAL, "key")), ERR_CONFLICT);
    CHECK_INT(ASK(&r, MSG_REFRESH, admin, S(F_CREDENTIAL, "nothing")), ERR_NOT_FOUND);
    CHECK_INT(ASK(&r, MSG_REFRESH, admin, S(F_CREDENTIAL, "claude")), ERR_CONFLICT);
    CHECK_WHY(&r, "has no refresh token");
    rig_end(&r);
}

TEST(a_locked_store_ends_it_and_the_next_opening_takes_it_up)
{
    struct rig r;
    uint64_t admin = begin_with(&r, HOUR);
    uint64_t demand = POST(&r, MSG_REFRESH, admin, S(F_CREDENTIAL, "claude"));
    int sock = oauth_helper(&r);
    unlock_close(r.v, "locked by the test");
    CHECK_INT(REPLY(&r, MSG_REFRESH, demand), ERR_LOCKED); /* who waited is told */
    CHECK(!r.v->refreshes && !r.v->oauth_calls);
    CHECK_OK(ASK(&r, MSG_UNLOCK, admin), r.why);
    CHECK_INT(rig_journals(&r), 1);
    refreshes_tick(r.v);
    CHECK_INT(refresh_counts(r.v).begun, 1);
    close(sock);
    rig_end(&r);
}

/* The refresh begins when the release is decided, and its record not yet on the disk. */
TEST(a_release_that_a_refresh_overtakes_is_refused_and_that_recorded)
{
    struct rig r;
    uint64_t admin = begin_with(&r, HOUR);
    uint64_t give = POST(&r, MSG_CRED_RELEASE, admin, S(F_CREDENTIAL, "claude"));
    (void)POST(&r, MSG_REFRESH, admin, S(F_CREDENTIAL, "claude"));
    AUTO(auto_close) int sock = oauth_helper(&r);
    CHECK_INT(REPLY(&r, MSG_CRED_RELEASE, give), ERR_CONFLICT);
    CHECK_INT(rig_logged(&r, EVENT("credential.release"), OUTCOME("ok"), NULL), 1);
    CHECK_INT(rig_logged(&r, EVENT("credential.release"), "\"reason\":\"conflict\"", "\"credential\":\"claude\""), 1);
    CHECK(!rig_cred(&r, "claude")->released);
    rig_end(&r);
}

TEST(a_lock_lets_the_refresh_that_runs_come_to_its_end)
{
    struct rig r;
    uint64_t admin = begin_with(&r, HOUR);
    (void)POST(&r, MSG_REFRESH, admin, S(F_CREDENTIAL, "claude"));
    AUTO(auto_close) int sock = oauth_helper(&r);
    uint64_t lock = POST(&r, MSG_LOCK, admin, S(F_CREDENTIAL, NULL));
    rig_turns(&r, 5);
    CHECK(r.v->state == VAULT_READY);
    oauth_raw(&r, sock, 200, "{}");
    oauth_tokens(&r, sock, "sk-ant-oat01-NEW", "sk-ant-ort01-NEW", HOUR);
    CHECK_OK(REPLY(&r, MSG_LOCK, lock), r.why);
    CHECK(r.v->state == VAULT_LOCKED);
    CHECK_OK(ASK(&r, MSG_UNLOCK, admin), r.why);
    CHECK(rig_has(&r, "claude", CF_REFRESH_TOKEN, "sk-ant-ort01-NEW"));
    CHECK_INT(rig_journals(&r), 0);
    rig_end(&r);
}

/* A rekey seals the login anew under the same version while its refresh runs; the journal has a key of its own. */
TEST(a_rekey_in_the_middle_changes_nothing)
{
    for (int crash = 0; crash < 2; crash++) {
        struct rig r;
        uint64_t admin = begin_with(&r, HOUR);
        (void)POST(&r, MSG_REFRESH, admin, S(F_CREDENTIAL, "claude"));
        int sock = oauth_helper(&r);
        uint32_t epoch = rig_cred(&r, "claude")->epoch;
        CHECK_OK(ASK(&r, MSG_REKEY, admin), r.why);
        for (int i = 0; i < 20 && r.v->keys.header.rekeying; i++)
            op_rekey_step(r.v);
        CHECK(!r.v->keys.header.rekeying && rig_cred(&r, "claude")->epoch == epoch + 1);
        oauth_raw(&r, sock, 200, "{}");
        if (crash) {
            close(sock);
            rig_restart(&r);
            refreshes_tick(r.v);
            sock = oauth_helper(&r);
            CHECK(view_is(msg_view(&r.msg, F_OP), "parse"));
        }
        oauth_tokens(&r, sock, "sk-ant-oat01-NEW", "sk-ant-ort01-NEW", HOUR);
        CHECK(rig_has(&r, "claude", CF_REFRESH_TOKEN, "sk-ant-ort01-NEW") && rig_cred(&r, "claude")->version == 2 && rig_journals(&r) == 0);
        close(sock);
        rig_end(&r);
    }
}
