/* vault/op_status.c: what an operator sees, and revoking. */
#include "vault_rig.h"

static void issue_many(struct rig *r, uint64_t conn, const char *credential, const char *deliver, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        CHECK_OK(rig_issue(r, conn, credential, deliver), r->why);
}

TEST(status_says_how_it_is)
{
    struct rig r;
    rig_make(&r, NULL, RIG_CONFIG);
    uint64_t admin = rig_conn(&r, "admin");
    CHECK_OK(ASK(&r, MSG_STATUS, admin), r.why);
    CHECK_HAS(&r, "{\"state\":\"uninitialised\",\"reason\":\"the store is empty; set it up with: broker-cli init\"");
    CHECK_HAS(&r, "\"keys\":[],\"credentials\":0");
    CHECK_HAS(&r, "\"audit\":{\"seq\":0,\"health\":\"ok\",\"sync\":\"release\"}");
    CHECK_OK(ASK(&r, MSG_INIT, admin, S(F_SOURCE, "keyfile")), r.why);
    rig_enroll(&r, admin);
    issue_many(&r, rig_conn(&r, "gw"), "key", "helper", 3);
    CHECK_OK(ASK(&r, MSG_STATUS, admin), r.why);
    CHECK_HAS(&r, "{\"state\":\"ready\",\"reason\":null,");
    CHECK_HAS(&r, "\"mode\":\"user\"");
    CHECK_HAS(&r, "\"store\":\"file\",\"epoch\":1,\"keys\":[{\"slot\":0,\"source\":\"keyfile\",\"detail\":\"");
    CHECK_HAS(&r, "\"credentials\":2,\"consumers_total\":2,\"consumers\":[{\"name\":\"gw\"");
    CHECK_HAS(&r, "\"grants\":2,\"leases\":3}");
    CHECK_HAS(&r, "\"leases\":3,\"audit\"");
    CHECK_HAS(&r, "\"workers\":[{\"role\":\"api\",\"pid\":1000,\"restarts\":0,\"sandbox\":\"seccomp landlock:9\"},{\"role\":\"admin\",\"pid\":1001,"
                  "\"restarts\":0,\"sandbox\":\"seccomp landlock:9\"},{\"role\":\"audit\"");
    CHECK(!strstr(rig_body(&r), KEY_SECRET));
    CHECK_INT(kill(r.writer, SIGKILL), 0);
    rig_turns(&r, 50);
    CHECK_OK(ASK(&r, MSG_STATUS, admin), r.why);
    CHECK_HAS(&r, "\"health\":\"the audit writer is not running");
    rig_end(&r);
}

TEST(status_fits_with_as_many_consumers_as_there_may_be)
{
    struct rig r;
    AUTO(buf_free) struct buf yaml = {0};
    buf_add_str(&yaml, "consumers:\n");
    for (unsigned i = 0; i < 600; i++)
        buf_add_fmt(&yaml, "  - name: consumer-%030u\n", i);
    rig_make(&r, NULL, RIG_CONFIG);
    uint64_t admin = rig_conn(&r, "admin");
    struct config *many = NULL, *few = r.v->config;
    rig_write_config(&r, buf_text(&yaml));
    CHECK_OK(config_load(r.config, NULL, &many, &r.why), r.why);
    r.v->config = many; /* without binding 600 sockets */
    CHECK_OK(ASK(&r, MSG_STATUS, admin), r.why);
    CHECK_HAS(&r, "\"consumers_total\":600");
    CHECK_HAS(&r, "\"workers\":[");
    CHECK(r.body.len < SERVER_BODY_MAX);
    r.v->config = few;
    config_free(many);
    rig_end(&r);
}

TEST(metrics_are_in_the_exposition_format)
{
    struct rig r;
    uint64_t admin = rig_begin(&r);
    rig_enroll(&r, admin);
    uint64_t gw = rig_conn(&r, "gw");
    issue_many(&r, gw, "key", "helper", 2);
    CHECK_INT(rig_issue(&r, gw, "ungranted", NULL), ERR_DENIED);
    CHECK_OK(ASK(&r, MSG_METRICS, admin), r.why);
    static const char *const line[] = {"credential_broker_ready 1\n", "credential_broker_leases_live 2\n", "credential_broker_credentials 2\n",
                                       "credential_broker_consumers 2\n", "credential_broker_leases_issued_total 2\n",
                                       "credential_broker_requests_denied_total 1\n", "credential_broker_audit_healthy 1\n"};
    for (size_t i = 0; i < COUNT(line); i++)
        CHECK_HAS(&r, line[i]);
    for (char *at = (char *)r.body.p, *end; (end = strchr(at, '\n')); at = end + 1) { /* every sample has its HELP and TYPE */
        char want[160];
        if (*at == '#')
            continue;
        size_t n = strcspn(at, " {");
        CHECK(n > 18 && strspn(at, "abcdefghijklmnopqrstuvwxyz_") == n);
        (void)snprintf(want, sizeof(want), "# TYPE %.*s ", (int)n, at);
        CHECK_HAS(&r, want);
        (void)snprintf(want, sizeof(want), "# HELP %.*s ", (int)n, at);
        CHECK_HAS(&r, want);
        if (n > 6 && strncmp(at + n - 6, "_total", 6) == 0) {
            (void)snprintf(want, sizeof(want), "# TYPE %.*s counter\n", (int)n, at);
            CHECK_HAS(&r, want);
        }
    }
    CHECK_OK(ASK(&r, MSG_LOCK, admin), r.why);
    CHECK_OK(ASK(&r, MSG_METRICS, admin), r.why);
    CHECK_HAS(&r, "credential_broker_ready 0\n");
    rig_end(&r);
}

TEST(the_log_is_read_by_sequence)
{
    struct rig r;
    uint64_t admin = rig_begin(&r);
    rig_enroll(&r, admin);
    CHECK(rig_until(&r, rig_is_durable, RIG_WAIT_MS));
    CHECK_OK(ASK(&r, MSG_AUDIT_READ, admin, N(F_CURSOR, 0), N(F_COUNT, 2)), r.why);
    CHECK_HAS(&r, "\"seq\":1,");
    CHECK_HAS(&r, "\"seq\":2,");
    CHECK(!strstr(rig_body(&r), "\"seq\":3,"));
    CHECK_OK(ASK(&r, MSG_AUDIT_READ, admin, N(F_CURSOR, 2), N(F_COUNT, 100000)), r.why);
    CHECK_HAS(&r, "\"seq\":3,");
    CHECK(!strstr(rig_body(&r), "\"seq\":2,"));
    CHECK_OK(ASK(&r, MSG_AUDIT_READ, admin, N(F_CURSOR, UINT64_MAX)), r.why);
    CHECK_INT(r.body.len, 0);
    rig_end(&r);
}

TEST(an_operator_sees_all_leases_and_whose_they_are)
{
    struct rig r;
    uint64_t admin = rig_begin(&r), gw = rig_conn(&r, "gw"), other = rig_conn(&r, "other");
    rig_enroll(&r, admin);
    issue_many(&r, gw, "key", "helper", 101);
    issue_many(&r, other, "claude", "access_token", 1);
    CHECK_OK(ASK(&r, MSG_ADMIN_LEASES, admin, S(F_CONSUMER, "other")), r.why);
    CHECK_HAS(&r, "{\"leases\":[{\"consumer\":\"other\",\"uid\":");
    CHECK_HAS(&r, "\"cursor\":null}");
    CHECK(!strstr(rig_body(&r), "\"token\"") && !strstr(rig_body(&r), "\"secret\"") && !strstr(rig_body(&r), "\"gw\""));
    CHECK_OK(ASK(&r, MSG_ADMIN_LEASES, admin, S(F_CREDENTIAL, "claude")), r.why);
    CHECK(!strstr(rig_body(&r), "\"gw\""));
    CHECK_OK(ASK(&r, MSG_ADMIN_LEASES, admin), r.why);
    CHECK_HAS(&r, "\"cursor\":100}");
    CHECK_OK(ASK(&r, MSG_ADMIN_LEASES, admin, N(F_CURSOR, 100)), r.why);
    CHECK_HAS(&r, "\"gw\"");
    CHECK_HAS(&r, "\"other\"");
    rig_end(&r);
}

/* ---- revoke */

TEST(revoking_one_a_consumers_a_credentials_or_all)
{
    struct rig r;
    char id[40];
    uint64_t admin = rig_begin(&r), gw = rig_conn(&r, "gw"), other = rig_conn(&r, "other");
    rig_enroll(&r, admin);
    issue_many(&r, gw, "key", "helper", 2);
    issue_many(&r, gw, "claude", "file", 1);
    issue_many(&r, other, "key", "helper", 2);
    issue_many(&r, other, "claude", "access_token", 2);
    rig_text(&r, "id", id, sizeof(id));
    CHECK_INT(ASK(&r, MSG_ADMIN_REVOKE, admin), ERR_INVALID);
    CHECK_INT(ASK(&r, MSG_ADMIN_REVOKE, admin, N(F_FLAGS, 2)), ERR_INVALID);
    CHECK_INT(ASK(&r, MSG_ADMIN_REVOKE, admin, S(F_CONSUMER, "no name")), ERR_INVALID);
    CHECK_INT(ASK(&r, MSG_ADMIN_REVOKE, admin, S(F_CREDENTIAL, "no/name")), ERR_INVALID);
    CHECK_INT(ASK(&r, MSG_ADMIN_REVOKE, admin, S(F_LEASE, "nothex")), ERR_NOT_FOUND);
    CHECK_INT(leases_live(r.v->leases), 7);
    CHECK_OK(ASK(&r, MSG_ADMIN_REVOKE, admin, S(F_LEASE, id)), r.why);
    CHECK_STR(rig_body(&r), "{\"ended\":1}");
    CHECK_INT(rig_logged(&r, EVENT("lease.end"), id, "\"count\":1"), 1);
    CHECK_INT(ASK(&r, MSG_ADMIN_REVOKE, admin, S(F_LEASE, id)), ERR_NOT_FOUND);
    CHECK_OK(ASK(&r, MSG_ADMIN_REVOKE, admin, S(F_CONSUMER, "other"), S(F_CREDENTIAL, "key")), r.why);
    CHECK_STR(rig_body(&r), "{\"ended\":2}");
    CHECK(rig_exists(&r, "run/gw/files/claude/.credentials.json"));
    CHECK_OK(ASK(&r, MSG_ADMIN_REVOKE, admin, S(F_CREDENTIAL, "claude")), r.why);
    CHECK_STR(rig_body(&r), "{\"ended\":2}");
    CHECK(!rig_exists(&r, "run/gw/files"));
    CHECK_OK(ASK(&r, MSG_ADMIN_REVOKE, admin, S(F_CONSUMER, "nobody")), r.why);
    CHECK_STR(rig_body(&r), "{\"ended\":0}");
    CHECK_OK(ASK(&r, MSG_ADMIN_REVOKE, admin, N(F_FLAGS, 1)), r.why);
    CHECK_STR(rig_body(&r), "{\"ended\":2}");
    CHECK_INT(leases_live(r.v->leases), 0);
    CHECK_INT(r.v->count.ended, 7);
    CHECK_INT(rig_logged(&r, EVENT("lease.end"), "\"uid\":", "\"count\":2"), 3);
    rig_end(&r);
}

TEST(revoking_works_while_the_disk_does_not)
{
    struct rig r;
    char id[40];
    uint64_t admin = rig_begin(&r), gw = rig_conn(&r, "gw");
    rig_enroll(&r, admin);
    issue_many(&r, gw, "key", "helper", 3);
    rig_text(&r, "id", id, sizeof(id));
    rig_hang_disk(&r);
    CHECK_INT(rig_issue(&r, gw, "key", "helper"), ERR_AUDIT); /* the log is known to be stuck now */
    CHECK_INT(ASK(&r, MSG_ADMIN_REVOKE, admin, S(F_LEASE, id)), ERR_AUDIT);
    CHECK_WHY(&r, "1 leases ended");
    CHECK_INT(leases_live(r.v->leases), 2);
    CHECK_INT(ASK(&r, MSG_ADMIN_REVOKE, admin, N(F_FLAGS, 1)), ERR_AUDIT);
    CHECK_WHY(&r, "2 leases ended");
    CHECK_INT(leases_live(r.v->leases), 0);
    rig_free_disk(&r);
    CHECK(rig_logged(&r, EVENT("lease.end"), id, OUTCOME("ok")) >= 1); /* the record follows */
    CHECK_INT(rig_logged(&r, EVENT("lease.end"), "\"count\":2", OUTCOME("ok")), 1);
    rig_end(&r);
}
