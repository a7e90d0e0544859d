/* vault/op_lease.c: what a consumer may ask, and every way to be refused. */
#include "vault_rig.h"
#include "vault/credential_state.h"

struct held {
    char id[40], token[512];
};

static struct held hold(struct rig *r)
{
    struct held h;
    rig_text(r, "id", h.id, sizeof(h.id));
    rig_text(r, "token", h.token, sizeof(h.token));
    return h;
}

static err_t renew(struct rig *r, uint64_t conn, const char *lease, const char *token)
{
    return ASK(r, MSG_LEASE_RENEW, conn, S(F_LEASE, lease), S(F_TOKEN, token));
}

/* ---- whoami, grants */

TEST(whoami_says_whose_socket_it_is)
{
    struct rig r;
    (void)rig_begin(&r);
    uint64_t gw = rig_conn(&r, "gw");
    CHECK_OK(ASK(&r, MSG_WHOAMI, gw), r.why);
    CHECK_HAS(&r, "\"consumer\":\"gw\"");
    char uid[64];
    (void)snprintf(uid, sizeof(uid), "\"uid\":%u,\"pid\":%d", getuid(), getpid());
    CHECK_HAS(&r, uid);
    rig_end(&r);
}

TEST(grants_say_what_can_be_had_and_why_not)
{
    struct rig r;
    rig_make(&r, NULL, RIG_CONFIG "  - name: elsewhere\n    grants:\n      - credential: key\n        deliver: [secret]\n        peer: { uid: [4000000] }\n");
    uint64_t admin = rig_init(&r), gw = rig_conn(&r, "gw");
    CHECK_OK(ASK(&r, MSG_GRANTS, gw), r.why);
    CHECK_HAS(&r, "\"credential\":\"key\",\"provider\":null,\"kind\":null,");
    CHECK_HAS(&r, "\"deliver\":[\"helper\",\"secret\"],\"ttl_ms\":900000,"
                  "\"max_ttl_ms\":86400000,\"uses\":0,\"owner\":\"none\",\"available\":false,\"reason\":\"this credential is not enrolled\"");
    struct cred key = rig_key(KEY_SECRET), login = rig_login(ACCESS_TOKEN, 30000);
    WITHOUT_REFRESH(login);
    CHECK_OK(rig_put(&r, admin, "key", &key, false), r.why);
    CHECK_OK(rig_put(&r, admin, "claude", &login, false), r.why);
    CHECK_OK(ASK(&r, MSG_GRANTS, gw), r.why);
    CHECK_HAS(&r, "\"credential\":\"key\",\"provider\":\"anthropic\",\"kind\":\"api_key\"");
    CHECK_HAS(&r, "\"available\":true,\"reason\":null");
    CHECK_HAS(&r, "\"available\":false,\"reason\":\"the access token of");
    CHECK(!strstr(rig_body(&r), KEY_SECRET));
    /* a grant whose conditions this peer does not fulfil is not shown */
    CHECK_OK(ASK(&r, MSG_GRANTS, rig_conn(&r, "elsewhere")), r.why);
    CHECK_STR(rig_body(&r), "{\"grants\":[]}");
    rig_end(&r);
}

/* ---- issue */

TEST(a_lease_is_a_token_and_the_value)
{
    struct rig r;
    uint64_t admin = rig_begin(&r), gw = rig_conn(&r, "gw");
    rig_enroll(&r, admin);
    CHECK_OK(rig_issue(&r, gw, "key", "secret"), r.why);
    CHECK_HAS(&r, "\"secret\":\"" KEY_SECRET "\"");
    CHECK_HAS(&r, "\"deliver\":\"secret\"");
    CHECK_HAS(&r, "\"env\":\"ANTHROPIC_API_KEY\"");
    CHECK_HAS(&r, "\"file\":null");
    CHECK_HAS(&r, "\"state\":\"live\"");
    CHECK_HAS(&r, "cbrk1_");
    struct held h = hold(&r);
    CHECK_INT(strlen(h.id), 32);
    CHECK_OK(rig_issue(&r, gw, "claude", "access_token"), r.why);
    CHECK_HAS(&r, "\"secret\":\"" ACCESS_TOKEN "\"");
    CHECK(!strstr(rig_body(&r), REFRESH_TOKEN));
    CHECK_INT(rig_logged(&r, EVENT("lease.issue"), OUTCOME("ok"), h.id), 1);
    CHECK_INT(rig_logged(&r, KEY_SECRET, NULL, NULL) + rig_logged(&r, ACCESS_TOKEN, NULL, NULL) + rig_logged(&r, h.token, NULL, NULL), 0);
    CHECK_INT(r.v->count.issued, 2);
    rig_end(&r);
}

/* the last reply, and its memory in the vault: no secret stays in a buffer that is used again */
TEST(buffers_hold_no_secret_after_the_answer)
{
    struct rig r;
    uint64_t admin = rig_begin(&r), gw = rig_conn(&r, "gw");
    rig_enroll(&r, admin);
    CHECK_OK(rig_issue(&r, gw, "key", "secret"), r.why);
    struct held h = hold(&r);
    CHECK_OK(renew(&r, gw, h.id, h.token), r.why);
    CHECK(!r.v->credentials->view.plain);
    const struct buf *bufs[] = {&r.v->inbox.packet[0].bytes, &r.v->workers[WORKER_API].reply[0], &r.v->reply, &r.v->scratch};
    for (size_t i = 0; i < COUNT(bufs); i++) {
        CHECK_INT(bufs[i]->len, 0);
        CHECK(!bufs[i]->p || !memmem(bufs[i]->p, bufs[i]->cap, KEY_SECRET, strlen(KEY_SECRET)));
        CHECK(!bufs[i]->p || !memmem(bufs[i]->p, bufs[i]->cap, h.token + 8, 40));
    }
    rig_end(&r);
}

TEST(issue_refusals)
{
    struct rig r;
    rig_make(&r, NULL, "consumers:\n  - name: gw\n    max_leases: 2\n" RIG_GRANTS
                       "      - credential: tight\n        deliver: [secret]\n        ttl: 60s\n        uses: 3\n"
                       "      - credential: theirs\n        deliver: [secret]\n        peer: { uid: [4000000] }\n");
    uint64_t admin = rig_init(&r), gw = rig_conn(&r, "gw");
    rig_enroll(&r, admin);
    struct cred key = rig_key(KEY_SECRET);
    static const char *const more[] = {"tight", "theirs", "ungranted"};
    for (size_t i = 0; i < COUNT(more); i++)
        CHECK_OK(rig_put(&r, admin, more[i], &key, false), r.why);
    CHECK_INT(ASK(&r, MSG_LEASE_ISSUE, gw, S(F_CREDENTIAL, "../etc")), ERR_INVALID);
    CHECK_INT(ASK(&r, MSG_LEASE_ISSUE, gw), ERR_INVALID);
    CHECK_INT(ASK(&r, MSG_LEASE_ISSUE, gw, S(F_CREDENTIAL, "key"), N(F_TTL_MS, UINT64_MAX)), ERR_INVALID);
    CHECK_INT(ASK(&r, MSG_LEASE_ISSUE, gw, S(F_CREDENTIAL, "key"), N(F_TTL_MS, 5)), ERR_INVALID);
    CHECK_INT(rig_issue(&r, gw, "key", "telepathy"), ERR_INVALID);
    CHECK_INT(rig_issue(&r, gw, "key", "access_token"), ERR_DENIED);
    CHECK_INT(rig_issue(&r, gw, "theirs", "secret"), ERR_DENIED);
    CHECK_INT(rig_issue(&r, gw, "ungranted", "secret"), ERR_DENIED);
    struct why ungranted = r.why;
    CHECK_INT(rig_issue(&r, gw, "nothere", "secret"), ERR_DENIED);
    memcpy(strstr(ungranted.text, "ungranted"), "nothere\"", 8); /* they look alike */
    CHECK(strncmp(r.why.text, ungranted.text, strlen("gw has no grant for \"nothere\"")) == 0);
    CHECK_INT(ASK(&r, MSG_LEASE_ISSUE, gw, S(F_CREDENTIAL, "tight"), N(F_TTL_MS, 61000)), ERR_DENIED);
    CHECK_INT(ASK(&r, MSG_LEASE_ISSUE, gw, S(F_CREDENTIAL, "tight"), N(F_USES, 4)), ERR_DENIED);
    CHECK_INT(leases_live(r.v->leases), 0);
    CHECK_INT(rig_store.record_reads, 0); /* nothing was opened for any of these */
    CHECK_INT(rig_logged(&r, EVENT("lease.denied"), NULL, NULL), 11);
    CHECK_INT(rig_logged(&r, EVENT("lease.denied"), "\"reason\":\"denied\"", "\"credential\":\"ungranted\""), 1);
    CHECK_INT(rig_logged(&r, "../etc", NULL, NULL), 0); /* no name: not recorded as one */
    CHECK_OK(rig_issue(&r, gw, "key", "secret"), r.why);
    CHECK_OK(rig_issue(&r, gw, "key", "secret"), r.why);
    CHECK_INT(rig_issue(&r, gw, "key", "secret"), ERR_LIMIT);
    CHECK_INT(msg_u64(&r.msg, F_RETRY_MS, 0), 1000);
    rig_end(&r);
}

TEST(a_login_that_ended_is_not_handed_out)
{
    struct rig r;
    uint64_t admin = rig_begin(&r), gw = rig_conn(&r, "gw");
    struct cred login = rig_login(ACCESS_TOKEN, 59000);
    WITHOUT_REFRESH(login);
    CHECK_OK(rig_put(&r, admin, "claude", &login, false), r.why);
    CHECK_INT(rig_issue(&r, gw, "claude", "access_token"), ERR_NEEDS_LOGIN);
    CHECK_INT(rig_issue(&r, gw, "claude", "file"), ERR_NEEDS_LOGIN);
    CHECK_WHY(&r, "broker-cli login claude");
    CHECK_INT(leases_live(r.v->leases), 0);
    rig_end(&r);
}

/* ---- the record comes first */

TEST(no_secret_is_opened_before_the_record_is_durable)
{
    struct rig r;
    uint64_t admin = rig_begin(&r), gw = rig_conn(&r, "gw");
    rig_enroll(&r, admin);
    rig_hang_disk(&r);
    uint64_t id = POST(&r, MSG_LEASE_ISSUE, gw, S(F_CREDENTIAL, "key"), S(F_DELIVER, "secret"));
    rig_turns(&r, 200);
    CHECK_INT(leases_live(r.v->leases), 1); /* decided … */
    CHECK_INT(rig_store.record_reads, 0);   /* … and nothing opened */
    CHECK(!rig_api_speaks(&r));
    rig_free_disk(&r);
    CHECK_OK(REPLY(&r, MSG_LEASE_ISSUE, id), r.why);
    CHECK_INT(rig_store.record_reads, 1);
    CHECK_HAS(&r, KEY_SECRET);
    rig_end(&r);
}

TEST(a_hung_disk_refuses_within_a_second_and_undoes_the_lease)
{
    struct rig r;
    uint64_t admin = rig_begin(&r), gw = rig_conn(&r, "gw");
    rig_enroll(&r, admin);
    rig_hang_disk(&r);
    int64_t began = clock_boot_ms();
    CHECK_INT(rig_issue(&r, gw, "key", "secret"), ERR_AUDIT);
    int64_t took = clock_boot_ms() - began;
    CHECK(took >= 500 && took < 1000);
    CHECK_INT(msg_u64(&r.msg, F_RETRY_MS, 0), 1000);
    CHECK_INT(leases_live(r.v->leases), 0);
    CHECK_INT(rig_store.record_reads, 0);
    /* and at once from then on: nothing piles up */
    began = clock_boot_ms();
    CHECK_INT(rig_issue(&r, gw, "key", "secret"), ERR_AUDIT);
    CHECK(clock_boot_ms() - began < 300);
    CHECK_INT(leases_live(r.v->leases), 0);
    CHECK_INT(r.v->count.audit_refusals, 2);
    CHECK(!r.v->queue);
    rig_free_disk(&r);
    CHECK(rig_until(&r, rig_is_durable, RIG_WAIT_MS));
    rig_turns(&r, 20);
    CHECK_OK(rig_issue(&r, gw, "key", "secret"), r.why);
    rig_end(&r);
}

TEST(a_lease_that_ended_while_it_waited_is_not_answered)
{
    struct rig r;
    uint64_t admin = rig_begin(&r), gw = rig_conn(&r, "gw");
    rig_enroll(&r, admin);
    rig_hang_disk(&r);
    uint64_t id = POST(&r, MSG_LEASE_ISSUE, gw, S(F_CREDENTIAL, "key"), S(F_DELIVER, "secret"));
    rig_turns(&r, 50);
    uint64_t cursor = 0;
    CHECK(op_end_lease(r.v, lease_next(r.v->leases, &cursor)));
    rig_free_disk(&r);
    CHECK_INT(REPLY(&r, MSG_LEASE_ISSUE, id), ERR_EXPIRED);
    CHECK_INT(rig_store.record_reads, 0);
    rig_end(&r);
}

TEST(a_lock_while_a_lease_waits_answers_it_with_a_refusal)
{
    struct rig r;
    uint64_t admin = rig_begin(&r), gw = rig_conn(&r, "gw");
    rig_enroll(&r, admin);
    rig_hang_disk(&r);
    uint64_t lock = POST(&r, MSG_LOCK, admin);
    rig_turns(&r, 20);
    uint64_t id = POST(&r, MSG_LEASE_ISSUE, gw, S(F_CREDENTIAL, "key"), S(F_DELIVER, "secret"));
    rig_turns(&r, 20);
    rig_free_disk(&r);
    CHECK_OK(REPLY(&r, MSG_LOCK, lock), r.why);
    CHECK(REPLY(&r, MSG_LEASE_ISSUE, id) != ERR_OK);
    CHECK(!r.v->leases && !r.v->queue);
    rig_end(&r);
}

TEST(a_credential_removed_while_its_lease_waits_undoes_the_lease)
{
    struct rig r;
    uint64_t admin = rig_begin(&r), gw = rig_conn(&r, "gw");
    rig_enroll(&r, admin);
    rig_hang_disk(&r);
    uint64_t gone = POST(&r, MSG_CRED_REMOVE, admin, S(F_CREDENTIAL, "key"));
    rig_turns(&r, 20);
    uint64_t id = POST(&r, MSG_LEASE_ISSUE, gw, S(F_CREDENTIAL, "key"), S(F_DELIVER, "secret"));
    rig_turns(&r, 20);
    rig_free_disk(&r);
    CHECK_OK(REPLY(&r, MSG_CRED_REMOVE, gone), r.why);
    CHECK_INT(REPLY(&r, MSG_LEASE_ISSUE, id), ERR_EXPIRED);
    CHECK_INT(leases_live(r.v->leases), 0);
    rig_end(&r);
}

/* ---- renew */

TEST(renewal_takes_the_lease_and_its_whole_token)
{
    struct rig r;
    rig_make(&r, NULL, RIG_CONFIG "  - name: few\n    grants:\n      - credential: key\n        deliver: [secret]\n        uses: 2\n        ttl: 60s\n");
    uint64_t admin = rig_init(&r), gw = rig_conn(&r, "gw"), other = rig_conn(&r, "other"), few = rig_conn(&r, "few");
    rig_enroll(&r, admin);
    CHECK_OK(rig_issue(&r, gw, "key", "secret"), r.why);
    struct held a = hold(&r);
    CHECK_OK(rig_issue(&r, gw, "key", "secret"), r.why);
    struct held b = hold(&r);
    CHECK_OK(renew(&r, gw, a.id, a.token), r.why);
    CHECK_HAS(&r, KEY_SECRET);
    CHECK_INT(r.v->count.renewed, 1);
    CHECK_INT(rig_logged(&r, EVENT("lease.renew"), a.id, NULL), 1);
    /* another's token, another consumer's connection, a token of nobody, none */
    CHECK_INT(renew(&r, gw, a.id, b.token), ERR_AUTH);
    CHECK_INT(renew(&r, other, a.id, a.token), ERR_AUTH);
    b.token[strlen(b.token) - 12] ^= 1;
    CHECK_INT(renew(&r, gw, b.id, b.token), ERR_AUTH);
    CHECK_INT(ASK(&r, MSG_LEASE_RENEW, gw, S(F_LEASE, a.id)), ERR_AUTH);
    CHECK_INT(r.v->count.refused_tokens, 4);
    CHECK_INT(rig_logged(&r, EVENT("token.refused"), NULL, NULL), 4);
    CHECK_INT(rig_logged(&r, a.token, NULL, NULL), 0);
    /* an unknown lease; a ttl over the grant's */
    CHECK_INT(renew(&r, gw, "00112233445566778899aabbccddeeff", a.token), ERR_NOT_FOUND);
    CHECK_INT(ASK(&r, MSG_LEASE_RENEW, gw, N(F_TTL_MS, 901000), S(F_LEASE, a.id), S(F_TOKEN, a.token)), ERR_DENIED);
    CHECK_OK(ASK(&r, MSG_LEASE_RENEW, gw, N(F_TTL_MS, 5000), S(F_LEASE, a.id), S(F_TOKEN, a.token)), r.why);
    /* each answer is a use; a use too many ends the lease */
    CHECK_OK(rig_issue(&r, few, "key", "secret"), r.why);
    CHECK_HAS(&r, "\"uses_left\":1");
    struct held c = hold(&r);
    CHECK_OK(renew(&r, few, c.id, c.token), r.why);
    CHECK_HAS(&r, "\"uses_left\":0");
    CHECK_INT(renew(&r, few, c.id, c.token), ERR_LIMIT);
    CHECK_INT(renew(&r, few, c.id, c.token), ERR_AUTH);
    rig_end(&r);
}

static void narrow(const char *token, enum token_caveat type, struct view value, char out[2048])
{
    AUTO(buf_free) struct buf b = {0};
    struct why why = {0};
    CHECK_OK(token_attenuate(view_str(token), type, value, &b, &why), why);
    CHECK(view_copy(buf_view(&b), out, 2048));
}

static struct view be64(uint64_t n)
{
    static uint8_t out[8];
    for (unsigned i = 0; i < 8; i++)
        out[i] = (uint8_t)(n >> (56 - 8 * i));
    return VIEW(out, 8);
}

static struct view be32(uint32_t n)
{
    return VIEW(be64((uint64_t)n << 32).p, 4);
}

TEST(caveats_hold)
{
    struct rig r;
    char t[2048];
    uint64_t admin = rig_begin(&r), gw = rig_conn(&r, "gw");
    rig_enroll(&r, admin);
    CHECK_OK(rig_issue(&r, gw, "key", "secret"), r.why);
    struct held h = hold(&r);
    CHECK_OK(ASK(&r, MSG_INTROSPECT, gw, S(F_TOKEN, h.token)), r.why);
    CHECK_HAS(&r, "\"active\":true");
    CHECK_HAS(&r, h.id);
    CHECK_HAS(&r, "\"caveats\":0");
    const struct {
        enum token_caveat type;
        struct view value;
        bool active;
        err_t renewal;
    } row[] = {
        {CAVEAT_DELIVER, VIEW("\0\0\0\x10", 4), true, ERR_OK}, /* secret */
        {CAVEAT_DELIVER, VIEW("\0\0\0\x02", 4), false, ERR_AUTH},
        {CAVEAT_EXPIRES, VIEW("\0\0\0\0\0\0\0\1", 8), false, ERR_AUTH},
        {CAVEAT_EXPIRES, VIEW("\0\0\x7f\0\0\0\0\0", 8), true, ERR_DENIED}, /* shows, does not lengthen */
        {CAVEAT_PEER_UID, VIEW("\x7f\0\0\0", 4), false, ERR_AUTH},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        narrow(h.token, row[i].type, row[i].value, t);
        CHECK_OK(ASK(&r, MSG_INTROSPECT, gw, S(F_TOKEN, t)), r.why);
        CHECK_HAS(&r, row[i].active ? "\"active\":true" : "{\"active\":false}");
        CHECK_INT(renew(&r, gw, h.id, t), row[i].renewal);
    }
    narrow(h.token, CAVEAT_PEER_UID, be32(getuid()), t);
    CHECK_OK(renew(&r, gw, h.id, t), r.why);
    uint64_t end = (uint64_t)clock_wall_ms() + 5000;
    narrow(h.token, CAVEAT_EXPIRES, be64(end), t);
    CHECK_OK(ASK(&r, MSG_INTROSPECT, gw, S(F_TOKEN, t)), r.why);
    char member[64];
    (void)snprintf(member, sizeof(member), "\"expires_at_ms\":%llu,\"caveats\":1", (unsigned long long)end);
    CHECK_HAS(&r, member);
    CHECK_OK(ASK(&r, MSG_INTROSPECT, rig_conn(&r, "other"), S(F_TOKEN, h.token)), r.why);
    CHECK_STR(rig_body(&r), "{\"active\":false}");
    rig_end(&r);
}

TEST(renewal_is_for_whom_the_grant_is_for)
{
    struct rig r;
    uint64_t admin = rig_begin(&r), gw = rig_conn(&r, "gw");
    rig_enroll(&r, admin);
    CHECK_OK(rig_issue(&r, gw, "key", "secret"), r.why);
    struct held h = hold(&r);
    /* the grant as another process of the same consumer would see it: a condition that it does not fulfil */
    uint32_t nobody = 4000000;
    struct config_grant *g = (struct config_grant *)(uintptr_t)config_grant_of(config_consumer(r.v->config, view_str("gw")), "key");
    g->peer.uid = (struct config_ids){&nobody, 1};
    CHECK_INT(renew(&r, gw, h.id, h.token), ERR_DENIED);
    CHECK_INT(rig_issue(&r, gw, "key", "secret"), ERR_DENIED);
    g->peer.uid = (struct config_ids){0};
    CHECK_OK(renew(&r, gw, h.id, h.token), r.why);
    rig_end(&r);
}

TEST(renewal_refusals_of_the_credential)
{
    struct rig r;
    uint64_t admin = rig_begin(&r), gw = rig_conn(&r, "gw");
    rig_enroll(&r, admin);
    CHECK_OK(rig_issue(&r, gw, "claude", "access_token"), r.why);
    struct held h = hold(&r);
    struct cred old = rig_login(ACCESS_TOKEN, 10000);
    WITHOUT_REFRESH(old);
    CHECK_OK(rig_put(&r, admin, "claude", &old, true), r.why);
    CHECK_INT(renew(&r, gw, h.id, h.token), ERR_NEEDS_LOGIN);
    CHECK_INT(r.v->count.renewed, 0);
    rig_hang_disk(&r);
    CHECK_INT(renew(&r, gw, h.id, h.token), ERR_NEEDS_LOGIN); /* decided before anything is recorded */
    rig_free_disk(&r);
    rig_end(&r);
}

/* ---- end, show, list */

TEST(leases_are_shown_ended_and_listed_to_their_own_consumer)
{
    struct rig r;
    uint64_t admin = rig_begin(&r), gw = rig_conn(&r, "gw"), other = rig_conn(&r, "other");
    rig_enroll(&r, admin);
    CHECK_OK(rig_issue(&r, gw, "key", "secret"), r.why);
    struct held h = hold(&r);
    CHECK_OK(ASK(&r, MSG_LEASE_SHOW, gw, S(F_LEASE, h.id)), r.why);
    CHECK_HAS(&r, h.id);
    CHECK(!strstr(rig_body(&r), "token\":") && !strstr(rig_body(&r), KEY_SECRET));
    CHECK_INT(ASK(&r, MSG_LEASE_SHOW, other, S(F_LEASE, h.id)), ERR_NOT_FOUND);
    CHECK_INT(ASK(&r, MSG_LEASE_SHOW, gw, S(F_LEASE, "zz")), ERR_NOT_FOUND);
    CHECK_INT(ASK(&r, MSG_LEASE_SHOW, gw), ERR_NOT_FOUND);
    CHECK_OK(ASK(&r, MSG_LEASES, other), r.why);
    CHECK_STR(rig_body(&r), "{\"leases\":[],\"cursor\":null}");
    for (unsigned i = 1; i < 130; i++)
        CHECK_OK(rig_issue(&r, gw, "key", "helper"), r.why);
    CHECK_OK(ASK(&r, MSG_LEASES, gw), r.why);
    CHECK_HAS(&r, "\"cursor\":100}");
    CHECK_OK(ASK(&r, MSG_LEASES, gw, N(F_CURSOR, 100)), r.why);
    CHECK_HAS(&r, "\"cursor\":null}");
    CHECK(!strstr(rig_body(&r), h.id));
    CHECK_INT(ASK(&r, MSG_LEASE_END, other, S(F_LEASE, h.id)), ERR_NOT_FOUND);
    CHECK_OK(ASK(&r, MSG_LEASE_END, gw, S(F_LEASE, h.id)), r.why);
    CHECK_STR(rig_body(&r), "{\"ended\":1}");
    CHECK_INT(ASK(&r, MSG_LEASE_END, gw, S(F_LEASE, h.id)), ERR_NOT_FOUND);
    CHECK_INT(renew(&r, gw, h.id, h.token), ERR_AUTH);
    CHECK_INT(rig_logged(&r, EVENT("lease.end"), OUTCOME("ok"), h.id), 1);
    CHECK_INT(rig_logged(&r, EVENT("lease.end"), "not_found", NULL), 2);
    CHECK_INT(r.v->count.ended, 1);
    rig_end(&r);
}

TEST(a_removed_consumer_is_refused_on_its_old_connection)
{
    struct rig r;
    uint64_t admin = rig_begin(&r), gw = rig_conn(&r, "gw"), other = rig_conn(&r, "other");
    rig_enroll(&r, admin);
    rig_write_config(&r, "consumers:\n  - name: other\n" RIG_GRANTS);
    CHECK_OK(ASK(&r, MSG_RELOAD, admin), r.why);
    CHECK_INT(rig_issue(&r, gw, "key", "secret"), ERR_DENIED);
    CHECK_WHY(&r, "was removed");
    CHECK_INT(ASK(&r, MSG_WHOAMI, gw), ERR_DENIED);
    CHECK_OK(rig_issue(&r, other, "key", "secret"), r.why);
    rig_end(&r);
}

TEST(a_lease_owned_by_a_process_is_kept_while_its_grant_stands)
{
    struct rig r;
    uint64_t admin = rig_begin(&r), gw = rig_conn(&r, "gw"), cursor = 0;
    rig_enroll(&r, admin);
    err_t e = ASK(&r, MSG_LEASE_ISSUE, gw, S(F_CREDENTIAL, "key"), N(F_TTL_MS, 2000), S(F_OWNER, "process"));
    if (e == ERR_DENIED || e == ERR_CONFLICT)
        SKIP("no SO_PEERPIDFD on this kernel");
    CHECK_OK(e, r.why);
    CHECK_HAS(&r, "\"owner\":\"process\"");
    struct lease *l = lease_next(r.v->leases, &cursor);
    int64_t end = l->expires_boot_ms;
    CHECK(op_lease_keep(r.v, l));
    CHECK(l->expires_boot_ms > end);
    CHECK_INT(rig_logged(&r, EVENT("lease.renew"), OUTCOME("ok"), l->id_hex), 1);
    struct config_grant *g = (struct config_grant *)(uintptr_t)config_grant_of(config_consumer(r.v->config, view_str("gw")), "key");
    g->credential[0] = 'K'; /* the grant is gone */
    CHECK(!op_lease_keep(r.v, l));
    g->credential[0] = 'k';
    CHECK_INT(kill(r.writer, SIGKILL), 0); /* nothing can be recorded: nothing is kept */
    rig_turns(&r, 100);
    CHECK(!op_lease_keep(r.v, l));
    rig_end(&r);
}
