/* vault/op_release.c: a login goes back, and is held from then on. */
#include "vault_rig.h"

TEST(a_released_login_is_answered_whole_held_and_released_again_alike)
{
    struct rig r;
    uint64_t admin = rig_begin(&r), gw = rig_conn(&r, "gw");
    rig_enroll(&r, admin);
    CHECK_OK(rig_issue(&r, gw, "claude", "access_token"), r.why);
    for (int i = 0; i < 2; i++) {
        CHECK_OK(ASK(&r, MSG_CRED_RELEASE, admin, S(F_CREDENTIAL, "claude")), r.why);
        CHECK_HAS(&r, "{\"name\":\"claude\",\"provider\":\"claude\",\"version\":1,");
        CHECK_HAS(&r, i ? "\"ended\":0" : "\"ended\":1");
        CHECK_HAS(&r, "\"fields\":{\"KIND\":\"login\"");
        CHECK_HAS(&r, "\"REFRESH_TOKEN\":\"");
        CHECK_HAS(&r, "\"ACCESS_TOKEN\":\"");
        CHECK_INT(leases_live(r.v->leases), 0);
        CHECK_INT(rig_issue(&r, gw, "claude", "access_token"), ERR_NEEDS_LOGIN);
        CHECK_OK(ASK(&r, MSG_CRED_SHOW, admin, S(F_CREDENTIAL, "claude")), r.why);
        CHECK_HAS(&r, "\"state\":\"held\"");
        CHECK(!strstr(rig_body(&r), "REFRESH_TOKEN"));
    }
    CHECK_INT(rig_logged(&r, EVENT("credential.release"), "\"credential\":\"claude\"", OUTCOME("ok")), 2);
    CHECK_OK(ASK(&r, MSG_CRED_REMOVE, admin, S(F_CREDENTIAL, "claude")), r.why);
    CHECK_INT(ASK(&r, MSG_CRED_RELEASE, admin, S(F_CREDENTIAL, "claude")), ERR_NOT_FOUND);
    CHECK_INT(rig_logged(&r, EVENT("credential.release"), "\"reason\":\"not_found\"", NULL), 1);
    rig_end(&r);
}

TEST(a_key_does_not_go_back)
{
    struct rig r;
    uint64_t admin = rig_begin(&r);
    rig_enroll(&r, admin);
    CHECK_INT(ASK(&r, MSG_CRED_RELEASE, admin, S(F_CREDENTIAL, "key")), ERR_CONFLICT);
    CHECK(!strstr(r.why.text, KEY_SECRET));
    CHECK_OK(ASK(&r, MSG_CRED_SHOW, admin, S(F_CREDENTIAL, "key")), r.why);
    CHECK_HAS(&r, "\"state\":\"ok\"");
    rig_end(&r);
}

TEST(one_that_is_enrolled_held_is_used_when_it_is_let_go)
{
    struct rig r;
    AUTO(buf_free) struct buf b = {0};
    uint64_t admin = rig_begin(&r), gw = rig_conn(&r, "gw");
    rig_enroll(&r, admin);
    for (int i = 0; i < 2; i++) { /* held by a release, and by an enrolment */
        if (i == 0) {
            CHECK_OK(ASK(&r, MSG_CRED_RELEASE, admin, S(F_CREDENTIAL, "claude")), r.why);
        } else {
            struct cred c = rig_login(ACCESS_TOKEN, 3600000);
            CHECK_OK(cred_encode(&c, &b, &r.why), r.why);
            CHECK_OK(ASK(&r, MSG_CRED_PUT, admin, V(F_BODY, buf_view(&b)), S(F_CREDENTIAL, "claude"), S(F_PROVIDER, "claude"), N(F_FLAGS, 1), N(F_HOLD, 1)), r.why);
        }
        CHECK_OK(ASK(&r, MSG_CRED_SHOW, admin, S(F_CREDENTIAL, "claude")), r.why);
        CHECK_HAS(&r, "\"state\":\"held\"");
        CHECK_INT(rig_issue(&r, gw, "claude", "access_token"), ERR_NEEDS_LOGIN);
        CHECK_OK(ASK(&r, MSG_CRED_RESUME, admin, S(F_CREDENTIAL, "claude")), r.why);
        CHECK_STR(rig_body(&r), "{\"resumed\":\"claude\"}");
        CHECK_OK(ASK(&r, MSG_CRED_RESUME, admin, S(F_CREDENTIAL, "claude")), r.why); /* once more */
        CHECK_OK(rig_issue(&r, gw, "claude", "access_token"), r.why);
    }
    CHECK_INT(rig_logged(&r, EVENT("credential.resume"), "\"credential\":\"claude\"", OUTCOME("ok")), 4);
    CHECK_INT(ASK(&r, MSG_CRED_RESUME, admin, S(F_CREDENTIAL, "none")), ERR_NOT_FOUND);
    rig_end(&r);
}
