/* vault/alert.c: the operator is told, and the supervisor is asked to run what the configuration names, with names and codes only. */
#include "vault_rig.h"

#include "vault/alert.h"

static void alert(struct rig *r, const char *yaml)
{
    rig_make(r, NULL, yaml);
    uint64_t admin = rig_init(r);
    rig_enroll(r, admin);
    alert_needs_login(r->v, credential_find(r->v->credentials, view_str("claude")), LOGIN_ROTATED, "its refresh token was used");
}

TEST(the_command_of_the_configuration_is_asked_for)
{
    struct rig r;
    alert(&r, "notify: /usr/local/bin/tell\n" RIG_CONFIG);
    bool came = false;
    while (rig_supervisor_hears(&r) && rig_recv_now(&r, r.supervisor))
        if (r.msg.type == MSG_ALERT) {
            came = true;
            CHECK(view_is(msg_view(&r.msg, F_CREDENTIAL), "claude") && view_is(msg_view(&r.msg, F_PROVIDER), "claude"));
            CHECK(view_is(msg_view(&r.msg, F_PATH), "/usr/local/bin/tell") && view_is(msg_view(&r.msg, F_OP), "needs_login"));
            CHECK(view_is(msg_view(&r.msg, F_CODE), "rotated") && !r.msg.has[F_REASON] && !r.msg.has[F_BODY]);
        }
    CHECK(came && strstr(rig_log, "credential.needs_login credential=claude provider=claude code=rotated"));
    rig_end(&r);
}

TEST(without_one_the_log_has_it)
{
    struct rig r;
    alert(&r, RIG_CONFIG);
    while (rig_supervisor_hears(&r) && rig_recv_now(&r, r.supervisor))
        CHECK(r.msg.type != MSG_ALERT);
    CHECK(strstr(rig_log, "remedy=log in again: broker-cli login claude"));
    CHECK_STR(login_end_name(LOGIN_WORKS), "");
    CHECK_STR(login_end_name(LOGIN_LOST), "lost");
    CHECK_STR(login_end_name(LOGIN__COUNT), "unknown");
    rig_end(&r);
}
