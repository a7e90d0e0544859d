/* vault/op_refresh.c: what an operator sees of a login's health, and the figures of it. */
#include "oauth_rig.h"

#include "vault/refresh.h"

TEST(health_says_who_uses_it_when_it_is_renewed_and_what_to_do)
{
    struct rig r;
    uint64_t admin = rig_begin(&r);
    rig_enroll(&r, admin);
    CHECK_OK(ASK(&r, MSG_CRED_SHOW, admin, S(F_CREDENTIAL, "key")), r.why);
    CHECK_HAS(&r, "\"refresh\":{\"renewable\":false,\"running\":false,\"doubtful\":false,\"last_at_ms\":null,\"next_at_ms\":null,\"failures\":0,"
                  "\"error\":null},\"consumers\":[\"gw\",\"other\"],\"remedy\":null");
    CHECK_OK(ASK(&r, MSG_CRED_SHOW, admin, S(F_CREDENTIAL, "claude")), r.why);
    CHECK_HAS(&r, "\"renewable\":true,\"running\":false");
    CHECK(!strstr(rig_body(&r), "\"next_at_ms\":null"));
    uint64_t demand = POST(&r, MSG_REFRESH, admin, S(F_CREDENTIAL, "claude"));
    int sock = oauth_helper(&r);
    CHECK_OK(ASK(&r, MSG_CRED_SHOW, admin, S(F_CREDENTIAL, "claude")), r.why);
    CHECK_HAS(&r, "\"running\":true");
    oauth_none(&r, sock, ERR_UNAVAILABLE, true);
    CHECK_INT(REPLY(&r, MSG_REFRESH, demand), ERR_UNAVAILABLE);
    CHECK_OK(ASK(&r, MSG_CRED_SHOW, admin, S(F_CREDENTIAL, "claude")), r.why);
    CHECK_HAS(&r, "\"doubtful\":true");
    CHECK_HAS(&r, "\"failures\":1,\"error\":\"injected\"");
    CHECK_HAS(&r, "\"remedy\":\"it is tried again by itself; now: broker-cli refresh claude\"");
    close(sock);
    rig_end(&r);
}

TEST(figures)
{
    struct rig r;
    uint64_t admin = rig_begin(&r);
    rig_enroll(&r, admin);
    uint64_t demand = POST(&r, MSG_REFRESH, admin, S(F_CREDENTIAL, "claude"));
    int sock = oauth_helper(&r);
    CHECK_OK(ASK(&r, MSG_METRICS, admin), r.why);
    CHECK_HAS(&r, "credential_broker_refreshes_running 1\n");
    CHECK_HAS(&r, "credential_broker_refreshes_total 1\n");
    CHECK_HAS(&r, "credential_broker_login_works{credential=\"claude\",provider=\"claude\"} 1\n");
    CHECK_HAS(&r, "credential_broker_login_expires_seconds{credential=\"claude\"} ");
    CHECK(!strstr(rig_body(&r), "credential=\"key\"")); /* a key is no login */
    oauth_raw(&r, sock, 400, "{}");
    oauth_verdict(&r, sock, OAUTH_REVOKED, "invalid_grant");
    CHECK_INT(REPLY(&r, MSG_REFRESH, demand), ERR_NEEDS_LOGIN);
    CHECK_OK(ASK(&r, MSG_METRICS, admin), r.why);
    CHECK_HAS(&r, "credential_broker_logins_ended_total 1\n");
    CHECK_HAS(&r, "credential_broker_refresh_waits_total 1\n");
    CHECK_HAS(&r, "credential_broker_login_works{credential=\"claude\",provider=\"claude\"} 0\n");
    close(sock);
    rig_end(&r);
}
