/* vault/login.c, login_run.c: logins from their beginning to their end, with the helper's side played by the test. */
#include "oauth_rig.h"

#include "crypto/pkce.h"
#include "vault/login.h"
#include "vault/login_state.h"

#define OWN                                                                                                                                   \
    "providers:\n  - { name: corp, token_url: \"https://idp.example/token\", authorize_url: \"https://idp.example/auth\", device_url: \"https://idp.example/device\", " \
    "client_id: me }\n" RIG_CONFIG

struct begun {
    char id[33], state[129], url[2048];
};

static err_t begin_as(struct rig *r, uint64_t admin, const char *name, const char *provider, const char *flow)
{
    return ASK(r, MSG_LOGIN_BEGIN, admin, S(F_CREDENTIAL, name), S(F_PROVIDER, provider), S(F_FLOW, flow),
               N(F_PORT, strcmp(flow, "loopback") == 0 ? 1455 : 0));
}

static struct begun begin(struct rig *r, uint64_t admin, const char *name, const char *provider, const char *flow)
{
    struct begun b = {0};
    CHECK_OK(begin_as(r, admin, name, provider, flow), r->why);
    rig_text(r, "id", b.id, sizeof(b.id));
    if (strcmp(flow, "page") == 0 || strcmp(flow, "loopback") == 0) {
        rig_text(r, "state", b.state, sizeof(b.state));
        rig_text(r, "authorize_url", b.url, sizeof(b.url));
    }
    return b;
}

static err_t bring(struct rig *r, uint64_t admin, const char *id, const char *code, const char *state)
{
    return ASK(r, MSG_LOGIN_CODE, admin, S(F_LOGIN, id), S(F_AUTH_CODE, code), S(F_LOGIN_STATE, state));
}

static void look(struct rig *r, uint64_t admin, const char *id)
{
    CHECK_OK(ASK(r, MSG_LOGIN_SHOW, admin, S(F_LOGIN, id)), r->why);
}

/* An answer of the helper to its job: tokens */
static void give_tokens(struct rig *r, int sock)
{
    oauth_raw(r, sock, 200, "{}");
    oauth_tokens(r, sock, "at-new", "rt-new", 3600000);
}

TEST(a_code_with_its_state_becomes_a_sealed_login)
{
    struct rig r;
    uint64_t admin = rig_begin(&r);
    char challenge[PKCE_TEXT + 1], in_url[96];
    struct begun b = begin(&r, admin, "mine", "claude", "page");
    CHECK_INT(strlen(b.state), PKCE_TEXT);
    CHECK_HAS(&r, "\"flow\":\"page\",\"status\":\"waiting\"");
    CHECK_INT(rig_logged(&r, EVENT("login.begin"), "\"credential\":\"mine\"", "\"source\":\"page\""), 1);
    CHECK_OK(bring(&r, admin, b.id, "the-code", b.state), r.why);
    CHECK_HAS(&r, "\"status\":\"exchanging\"");
    AUTO(auto_close) int sock = oauth_helper(&r);
    CHECK(view_is(oauth_param(&r, "grant_type"), "authorization_code") && view_is(oauth_param(&r, "code"), "the-code"));
    CHECK(view_is(oauth_param(&r, "state"), b.state));
    CHECK_INT(pkce_challenge(oauth_param(&r, "code_verifier"), challenge), ERR_OK);
    (void)snprintf(in_url, sizeof(in_url), "code_challenge=%s&", challenge);
    CHECK(strstr(b.url, in_url)); /* the verifier is that of the URL, and was in no answer */
    CHECK_INT(bring(&r, admin, b.id, "again", b.state), ERR_CONFLICT);
    give_tokens(&r, sock);
    look(&r, admin, b.id);
    CHECK_HAS(&r, "\"status\":\"done\",\"version\":1,\"renewable\":true}");
    CHECK(rig_has(&r, "mine", CF_ACCESS_TOKEN, "at-new") && rig_has(&r, "mine", CF_REFRESH_TOKEN, "rt-new") && rig_has(&r, "mine", CF_KIND, "login"));
    CHECK_INT(rig_logged(&r, EVENT("credential.enroll"), "\"credential\":\"mine\"", "\"source\":\"login\""), 1);
    CHECK_INT(rig_logged(&r, EVENT("login.end"), OUTCOME("ok"), "\"version\":1"), 1);
    CHECK(!r.v->logins->verifier && !r.v->logins->csrf[0]);
    CHECK_INT(rig_logged(&r, "the-code", NULL, NULL) + rig_logged(&r, b.state, NULL, NULL) + rig_logged(&r, "at-new", NULL, NULL), 0);
    CHECK(!strstr(rig_log, "the-code") && !strstr(rig_log, b.state));
    rig_end(&r);
}

TEST(a_wrong_state_is_refused_and_the_fifth_ends_it)
{
    struct rig r;
    uint64_t admin = rig_begin(&r);
    struct begun b = begin(&r, admin, "mine", "claude", "page"), other = begin(&r, admin, "other", "claude", "page");
    CHECK_INT(bring(&r, admin, b.id, "c", other.state), ERR_AUTH);
    CHECK_INT(bring(&r, admin, b.id, "c", "short"), ERR_AUTH);
    CHECK_INT(rig_logged(&r, EVENT("login.denied"), "\"credential\":\"mine\"", NULL), 2);
    CHECK_OK(bring(&r, admin, other.id, "c", other.state), r.why); /* nobody else is touched */
    for (int i = 0; i < 3; i++)
        CHECK_INT(bring(&r, admin, b.id, "c", other.state), ERR_AUTH);
    look(&r, admin, b.id);
    CHECK_HAS(&r, "\"status\":\"failed\",\"error\":\"bad_token\"");
    CHECK_INT(bring(&r, admin, b.id, "c", b.state), ERR_CONFLICT);
    CHECK_INT(rig_logged(&r, EVENT("login.end"), "\"credential\":\"mine\"", "\"reason\":\"bad_token\""), 1);
    rig_end(&r);
}

TEST(what_the_provider_refuses_is_said_with_what_to_do)
{
    static const struct {
        enum oauth_verdict verdict;
        const char *code;
        const char *error, *says;
    } rows[] = {{OAUTH_REVOKED, "invalid_grant", "denied", "begin again: broker-cli login mine"},
                {OAUTH_REFUSED, "invalid_client", "denied", "client_id in broker.yaml"},
                {OAUTH_REVOKED, "access_denied", "denied", "declined"},
                {OAUTH_REVOKED, "expired_token", "timeout", "expired"},
                {OAUTH_TRANSIENT, NULL, "unavailable", "busy"},
                {OAUTH_GARBAGE, NULL, "unavailable", "broker.yaml"}};
    struct rig r;
    uint64_t admin = rig_begin(&r);
    for (size_t i = 0; i < COUNT(rows); i++) {
        char want[64];
        struct begun b = begin(&r, admin, "mine", "claude", "page");
        CHECK_OK(bring(&r, admin, b.id, "c", b.state), r.why);
        AUTO(auto_close) int sock = oauth_helper(&r);
        oauth_raw(&r, sock, 400, "{}");
        oauth_verdict(&r, sock, rows[i].verdict, rows[i].code);
        look(&r, admin, b.id);
        (void)snprintf(want, sizeof(want), "\"status\":\"failed\",\"error\":\"%s\"", rows[i].error);
        CHECK_HAS(&r, want);
        CHECK_HAS(&r, rows[i].says);
    }
    struct begun b = begin(&r, admin, "mine", "claude", "page");
    CHECK_OK(bring(&r, admin, b.id, "c", b.state), r.why);
    AUTO(auto_close) int sock = oauth_helper(&r);
    oauth_none(&r, sock, ERR_UNAVAILABLE, false);
    look(&r, admin, b.id);
    CHECK_HAS(&r, "\"error\":\"unavailable\",\"message\":\"injected; begin again: broker-cli login mine\"");
    b = begin(&r, admin, "mine", "codex", "loopback");
    CHECK_OK(ASK(&r, MSG_LOGIN_CODE, admin, S(F_CODE, "access_denied"), S(F_LOGIN, b.id), S(F_LOGIN_STATE, b.state)), r.why);
    CHECK_HAS(&r, "\"error\":\"denied\",\"message\":\"the login was declined in the browser (access_denied)\"");
    CHECK_INT(credentials_count(r.v->credentials), 0);
    rig_end(&r);
}

/* The job's device code, user code and address are told; polls follow at the interval until the person has agreed. */
static void device_begun(struct rig *r, int64_t interval_ms)
{
    AUTO(auto_close) int sock = oauth_helper(r);
    CHECK_INT(msg_u64(&r->msg, F_FLAGS, 0) & OAUTH_DEVICE, OAUTH_DEVICE);
    oauth_raw(r, sock, 200, "{}");
    msg_begin(&r->out, MSG_OAUTH_RESULT, 0, 0);
    msg_put_u64(&r->out, F_AT_MS, (uint64_t)clock_wall_ms() + 600000);
    msg_put_u64(&r->out, F_VERDICT, OAUTH_GRANTED);
    msg_put(&r->out, F_DEVICE_CODE, view_str("dev-secret"));
    msg_put_str(&r->out, F_USER_CODE, "ABCD-EFGH");
    msg_put_str(&r->out, F_VERIFY_URI, "https://idp.example/d");
    msg_put_u64(&r->out, F_INTERVAL_MS, (uint64_t)interval_ms);
    oauth_say(r, sock);
}

static void poll_says(struct rig *r, enum oauth_verdict verdict, const char *code)
{
    logins_tick(r->v);
    AUTO(auto_close) int sock = oauth_helper(r);
    CHECK(view_is(oauth_param(r, "device_code"), "dev-secret"));
    oauth_raw(r, sock, 400, "{}");
    oauth_verdict(r, sock, verdict, code);
}

TEST(a_device_code_is_polled_until_the_person_has_agreed)
{
    struct rig r;
    rig_make(&r, NULL, OWN);
    uint64_t admin = rig_init(&r);
    struct begun b = begin(&r, admin, "mine", "corp", "device");
    CHECK_HAS(&r, "\"status\":\"starting\"");
    device_begun(&r, 1);
    look(&r, admin, b.id);
    CHECK_HAS(&r, "\"status\":\"waiting\"");
    CHECK_HAS(&r, "\"user_code\":\"ABCD-EFGH\",\"verification_uri\":\"https://idp.example/d\",\"verification_uri_complete\":null,\"interval_ms\":1");
    CHECK(!strstr(rig_body(&r), "dev-secret"));
    CHECK_INT(bring(&r, admin, b.id, "c", "s"), ERR_CONFLICT);
    struct login *l = r.v->logins;
    poll_says(&r, OAUTH_PENDING, "authorization_pending");
    CHECK(l->state == LOGIN_WAITING && l->interval_ms == 1 && l->ask_at_ms > 0);
    poll_says(&r, OAUTH_TRANSIENT, NULL);
    CHECK(l->silent == 1);
    poll_says(&r, OAUTH_SLOW_DOWN, "slow_down");
    CHECK(l->silent == 0 && l->interval_ms == 5001 && l->ask_at_ms > clock_boot_ms() + 4000);
    l->ask_at_ms = 1;
    logins_tick(r.v);
    AUTO(auto_close) int sock = oauth_helper(&r);
    CHECK(view_is(oauth_param(&r, "grant_type"), "urn:ietf:params:oauth:grant-type:device_code"));
    logins_tick(r.v); /* one question at a time */
    CHECK(!rig_asked_for(&r, "oauth", 50));
    give_tokens(&r, sock);
    CHECK(l->state == LOGIN_DONE && !l->device_code);
    CHECK(rig_has(&r, "mine", CF_ISSUER, "corp") && rig_has(&r, "mine", CF_REFRESH_TOKEN, "rt-new"));
    rig_end(&r);
}

TEST(openais_device_grant_ends_in_a_code_with_its_own_verifier)
{
    struct rig r;
    uint64_t admin = rig_begin(&r);
    struct begun b = begin(&r, admin, "mine", "codex", "device");
    device_begun(&r, 1);
    logins_tick(r.v);
    AUTO(auto_close) int sock = oauth_helper(&r);
    CHECK_INT(msg_u64(&r.msg, F_FLAGS, 0), OAUTH_POLL);
    CHECK(view_is(msg_view(&r.msg, F_URL), "https://auth.openai.com/api/accounts/deviceauth/token"));
    CHECK(view_is(oauth_param(&r, "device_auth_id"), "dev-secret") && view_is(oauth_param(&r, "user_code"), "ABCD-EFGH"));
    oauth_raw(&r, sock, 200, "{}");
    msg_begin(&r.out, MSG_OAUTH_RESULT, 0, 0);
    msg_put_u64(&r.out, F_VERDICT, OAUTH_GRANTED);
    msg_put(&r.out, F_AUTH_CODE, view_str("ac"));
    msg_put(&r.out, F_VERIFIER, view_str("theirs"));
    oauth_say(&r, sock);
    AUTO(auto_close) int second = oauth_helper(&r);
    CHECK_INT(msg_u64(&r.msg, F_FLAGS, 0), OAUTH_FORM);
    CHECK(view_is(oauth_param(&r, "code"), "ac") && view_is(oauth_param(&r, "code_verifier"), "theirs"));
    CHECK(view_is(oauth_param(&r, "redirect_uri"), "https://auth.openai.com/deviceauth/callback"));
    give_tokens(&r, second);
    look(&r, admin, b.id);
    CHECK_HAS(&r, "\"status\":\"done\"");
    CHECK(rig_has(&r, "mine", CF_AUTH_MODE, "chatgpt"));
    rig_end(&r);
}

TEST(a_client_logs_in_by_itself_and_is_renewed_so)
{
    struct rig r;
    rig_make(&r, NULL, OWN);
    uint64_t admin = rig_init(&r);
    CHECK_OK(ASK(&r, MSG_LOGIN_BEGIN, admin, S(F_CREDENTIAL, "svc"), S(F_PROVIDER, "corp"), S(F_URL, "https://api.example"), S(F_FLOW, "client"),
                 S(F_CLIENT_SECRET, "hush")),
             r.why);
    CHECK_HAS(&r, "\"status\":\"exchanging\"");
    CHECK(!strstr(rig_body(&r), "hush"));
    int sock = oauth_helper(&r);
    CHECK(view_is(oauth_param(&r, "grant_type"), "client_credentials") && view_is(oauth_param(&r, "client_secret"), "hush"));
    oauth_raw(&r, sock, 200, "{}");
    oauth_tokens(&r, sock, "at1", NULL, 3600000);
    close(sock);
    CHECK(r.v->logins->state == LOGIN_DONE && r.v->logins->renewable);
    CHECK(rig_has(&r, "svc", CF_SECRET, "hush") && rig_has(&r, "svc", CF_HEADER, "Authorization: Bearer {}"));
    uint64_t demand = POST(&r, MSG_REFRESH, admin, S(F_CREDENTIAL, "svc"));
    sock = oauth_helper(&r);
    CHECK(view_is(oauth_param(&r, "grant_type"), "client_credentials") && view_is(msg_view(&r.msg, F_URL), "https://idp.example/token"));
    oauth_raw(&r, sock, 200, "{}");
    oauth_tokens(&r, sock, "at2", NULL, 3600000);
    close(sock);
    CHECK_OK(REPLY(&r, MSG_REFRESH, demand), r.why);
    CHECK(rig_has(&r, "svc", CF_ACCESS_TOKEN, "at2") && rig_has(&r, "svc", CF_SECRET, "hush"));
    rig_end(&r);
}

TEST(beginnings_that_are_refused)
{
    struct rig r;
    rig_make(&r, NULL, OWN);
    uint64_t admin = rig_init(&r);
    rig_enroll(&r, admin);
    CHECK_INT(begin_as(&r, admin, "a/b", "claude", "page"), ERR_INVALID);
    CHECK_INT(begin_as(&r, admin, "x", "nobody", "page"), ERR_INVALID);
    CHECK_INT(begin_as(&r, admin, "x", "openai", "page"), ERR_INVALID);
    CHECK_INT(begin_as(&r, admin, "x", "oauth2", "device"), ERR_INVALID);
    CHECK_WHY(&r, "broker.yaml");
    CHECK_INT(begin_as(&r, admin, "x", "claude", "fax"), ERR_INVALID);
    CHECK_INT(begin_as(&r, admin, "x", "claude", "device"), ERR_CONFLICT);
    CHECK_INT(begin_as(&r, admin, "x", "claude", "client"), ERR_INVALID);
    CHECK_INT(begin_as(&r, admin, "x", "corp", "client"), ERR_INVALID);
    CHECK_WHY(&r, "secret");
    CHECK_INT(begin_as(&r, admin, "claude", "claude", "page"), ERR_EXISTS);
    CHECK_WHY(&r, "broker-cli login claude --replace");
    CHECK_INT(ASK(&r, MSG_LOGIN_BEGIN, admin, S(F_CREDENTIAL, "x"), S(F_PROVIDER, "claude"), N(F_FLAGS, 1), S(F_FLOW, "page")), ERR_NOT_FOUND);
    CHECK_INT(ASK(&r, MSG_LOGIN_BEGIN, admin, S(F_CREDENTIAL, "claude"), S(F_PROVIDER, "codex"), N(F_FLAGS, 1), S(F_FLOW, "device")), ERR_CONFLICT);
    CHECK_INT(ASK(&r, MSG_LOGIN_BEGIN, admin, S(F_CREDENTIAL, "x"), S(F_PROVIDER, "claude"), S(F_URL, "https://a.example"), S(F_FLOW, "page")), ERR_INVALID);
    CHECK_INT(ASK(&r, MSG_LOGIN_BEGIN, admin, S(F_CREDENTIAL, "x"), S(F_PROVIDER, "corp"), S(F_URL, "http://a.example"), S(F_FLOW, "device")), ERR_INVALID);
    CHECK_INT(ASK(&r, MSG_LOGIN_BEGIN, admin, S(F_CREDENTIAL, "x"), S(F_PROVIDER, "corp"), S(F_FLOW, "device"), S(F_ENV, "a-b")), ERR_INVALID);
    CHECK(!r.v->logins);
    CHECK_INT(rig_logged(&r, EVENT("login.begin"), OUTCOME("ok"), NULL), 0);
    CHECK_INT(rig_logged(&r, EVENT("login.begin"), "\"reason\":\"invalid\"", NULL) > 6, 1);
    rig_end(&r);
}

TEST(so_many_at_once_and_those_that_end_make_room)
{
    struct rig r;
    char name[16];
    uint64_t admin = rig_begin(&r);
    struct begun b = {0};
    for (int i = 0; i < LOGINS_MAX; i++) {
        (void)snprintf(name, sizeof(name), "n%d", i);
        b = begin(&r, admin, name, "claude", "page");
    }
    CHECK_INT(begin_as(&r, admin, "more", "claude", "page"), ERR_LIMIT);
    CHECK_OK(ASK(&r, MSG_LOGIN_CANCEL, admin, S(F_LOGIN, b.id)), r.why);
    CHECK_INT(ASK(&r, MSG_LOGIN_CANCEL, admin, S(F_LOGIN, b.id)), ERR_NOT_FOUND);
    CHECK_INT(rig_logged(&r, EVENT("login.end"), "\"reason\":\"denied\"", NULL), 1);
    (void)begin(&r, admin, "more", "claude", "page");
    for (struct login *l = r.v->logins; l; l = l->next)
        l->ends_ms = 1; /* long ago */
    logins_tick(r.v);
    CHECK_INT(logins_pending(r.v), 0);
    CHECK_INT(rig_logged(&r, EVENT("login.end"), "\"reason\":\"timeout\"", NULL), LOGINS_MAX);
    for (struct login *l = r.v->logins; l; l = l->next)
        l->ends_ms = 1;
    logins_tick(r.v);
    CHECK(!r.v->logins);
    rig_end(&r);
}

TEST(a_lock_ends_them_and_a_late_answer_is_nobodys)
{
    struct rig r;
    uint64_t admin = rig_begin(&r);
    struct begun b = begin(&r, admin, "mine", "claude", "page");
    CHECK_OK(bring(&r, admin, b.id, "c", b.state), r.why);
    AUTO(auto_close) int sock = oauth_helper(&r);
    CHECK_OK(ASK(&r, MSG_LOCK, admin), r.why);
    CHECK(!r.v->logins && !r.v->oauth_calls);
    msg_begin(&r.out, MSG_OAUTH_RAW, 0, 0);
    msg_put_u64(&r.out, F_STATUS, ERR_OK);
    (void)!ipc_send(sock, buf_view(&r.out), -1, &r.why);
    rig_turns(&r, 20);
    CHECK_OK(ASK(&r, MSG_UNLOCK, admin), r.why);
    CHECK_INT(ASK(&r, MSG_LOGIN_SHOW, admin, S(F_LOGIN, b.id)), ERR_NOT_FOUND);
    CHECK_INT(credentials_count(r.v->credentials), 0);
    rig_end(&r);
}

TEST(a_new_login_takes_the_place_of_a_dead_one)
{
    struct rig r;
    uint64_t admin = rig_begin(&r);
    rig_enroll(&r, admin);
    CHECK_OK(ASK(&r, MSG_LOGIN_BEGIN, admin, S(F_CREDENTIAL, "claude"), S(F_PROVIDER, "claude"), N(F_FLAGS, 1), S(F_FLOW, "page")), r.why);
    char id[33], state[129];
    rig_text(&r, "id", id, sizeof(id));
    rig_text(&r, "state", state, sizeof(state));
    CHECK_OK(bring(&r, admin, id, "c", state), r.why);
    AUTO(auto_close) int sock = oauth_helper(&r);
    give_tokens(&r, sock);
    look(&r, admin, id);
    CHECK_HAS(&r, "\"status\":\"done\",\"version\":2,");
    CHECK_INT(rig_logged(&r, EVENT("credential.replace"), "\"source\":\"login\"", NULL), 1);
    CHECK(rig_has(&r, "claude", CF_ACCESS_TOKEN, "at-new"));
    rig_end(&r);
}

TEST(what_cannot_be_sealed_is_a_failed_login)
{
    struct rig r;
    uint64_t admin = rig_begin(&r);
    struct begun b = begin(&r, admin, "mine", "claude", "page");
    CHECK_OK(bring(&r, admin, b.id, "c", b.state), r.why);
    AUTO(auto_close) int sock = oauth_helper(&r);
    rig_store.no_append = true;
    give_tokens(&r, sock);
    rig_store.no_append = false;
    look(&r, admin, b.id);
    CHECK_HAS(&r, "\"status\":\"failed\",\"error\":\"no_space\"");
    CHECK_INT(credentials_count(r.v->credentials), 0);
    CHECK_INT(rig_logged(&r, EVENT("login.end"), "\"reason\":\"no_space\"", NULL), 1);
    CHECK_INT(rig_logged(&r, EVENT("credential.enroll"), "\"reason\":\"no_space\"", NULL), 1);
    rig_end(&r);
}
