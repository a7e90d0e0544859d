/* vault/renew.c: what a 401 of an upstream leads to. */
#include "proxy_rig.h"

#include "vault/renew.h"

TEST(a_newer_version_is_tried_and_the_same_one_is_told_once)
{
    struct rig r;
    rig_make(&r, NULL, PROXY_CONFIG);
    uint64_t admin = rig_init(&r);
    rig_enroll(&r, admin);
    const struct credential *c = credential_find(r.v->credentials, view_str("claude"));
    struct live_route route = {.version = 1};
    struct lease l = {.route = &route};
    struct proxied q = {.lease = &l, .version = 1};
    CHECK_INT(renew_after_401(r.v, &q, c, &r.why), ERR_NEEDS_LOGIN);
    CHECK_WHY(&r, "\"claude\"");
    CHECK(route.rejected && strstr(rig_log, "credential.rejected credential=claude provider=claude"));
    size_t said = strlen(rig_log);
    CHECK_INT(renew_after_401(r.v, &q, c, &r.why), ERR_NEEDS_LOGIN);
    CHECK(strlen(rig_log) == said && r.v->count.upstream_rejections == 2);
    struct cred ended = rig_login(ACCESS_TOKEN, 1000);
    CHECK_OK(rig_put(&r, admin, "claude", &ended, true), r.why);
    CHECK_INT(renew_after_401(r.v, &q, c, &r.why), ERR_NEEDS_LOGIN); /* newer, and of no use */
    struct cred login = rig_login(ACCESS_TOKEN "2", 3600000);
    CHECK_OK(rig_put(&r, admin, "claude", &login, true), r.why);
    CHECK_OK(renew_after_401(r.v, &q, c, &r.why), r.why);
    q.lease = NULL; /* its lease has ended meanwhile */
    q.version = c->version;
    CHECK_INT(renew_after_401(r.v, &q, c, &r.why), ERR_NEEDS_LOGIN);
    rig_end(&r);
}
