/* vault/op_login.c: nothing is given out before its record is durable. */
#include "vault_rig.h"

#include "vault/login.h"

TEST(no_url_before_the_record_is_durable)
{
    struct rig r;
    uint64_t admin = rig_begin(&r);
    rig_hang_disk(&r);
    CHECK_INT(ASK(&r, MSG_LOGIN_BEGIN, admin, S(F_CREDENTIAL, "mine"), S(F_PROVIDER, "claude"), S(F_FLOW, "page")), ERR_AUDIT);
    CHECK(!r.v->logins); /* and it is gone */
    rig_free_disk(&r);
    rig_end(&r);
}

TEST(either_a_code_or_an_error)
{
    struct rig r;
    uint64_t admin = rig_begin(&r);
    char id[33], state[129];
    CHECK_OK(ASK(&r, MSG_LOGIN_BEGIN, admin, S(F_CREDENTIAL, "mine"), S(F_PROVIDER, "claude"), S(F_FLOW, "page")), r.why);
    rig_text(&r, "id", id, sizeof(id));
    rig_text(&r, "state", state, sizeof(state));
    CHECK_INT(ASK(&r, MSG_LOGIN_CODE, admin, S(F_LOGIN, id), S(F_LOGIN_STATE, state)), ERR_INVALID);
    CHECK_INT(ASK(&r, MSG_LOGIN_CODE, admin, S(F_CODE, "x"), S(F_LOGIN, id), S(F_AUTH_CODE, "c"), S(F_LOGIN_STATE, state)), ERR_INVALID);
    CHECK_INT(ASK(&r, MSG_LOGIN_CODE, admin, S(F_LOGIN, id), S(F_AUTH_CODE, "a b"), S(F_LOGIN_STATE, state)), ERR_INVALID);
    CHECK_INT(ASK(&r, MSG_LOGIN_CODE, admin, S(F_LOGIN, "none"), S(F_AUTH_CODE, "c"), S(F_LOGIN_STATE, state)), ERR_NOT_FOUND);
    CHECK_INT(ASK(&r, MSG_LOGIN_SHOW, admin, S(F_LOGIN, "none")), ERR_NOT_FOUND);
    CHECK_OK(ASK(&r, MSG_LOGIN_SHOW, admin, S(F_LOGIN, id)), r.why);
    CHECK(!strstr(rig_body(&r), state) && !strstr(rig_body(&r), "authorize_url")); /* said once */
    rig_end(&r);
}
