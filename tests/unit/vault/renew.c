/* vault/renew.c: what a 401 of an upstream leads to. */
#include "proxy_rig.h"

#include "vault/refresh.h"
#include "vault/renew.h"

/* Asks as a handler does. */
static err_t renew(struct rig *r, const struct proxied *q, const struct credential *c, bool again)
{
    struct vault_conn conn = {.id = 1};
    struct msg m = {.type = MSG_PROXY_AGAIN};
    struct pending *p = calloc(1, sizeof(*p));
    struct request rq = {.v = r->v, .worker = &r->v->workers[WORKER_PROXY], .conn = &conn, .msg = &m, .why = &r->why, .again = again};
    r->why = (struct why){0};
    err_t e = renew_after_401(&rq, p, q, c);
    if (!rq.deferred)
        free(p);
    return rq.deferred ? ERR__COUNT : e;
}
enum { PARKED = ERR__COUNT };

TEST(a_newer_version_is_tried_and_the_same_one_is_told_once)
{
    struct rig r;
    rig_make(&r, NULL, PROXY_CONFIG);
    uint64_t admin = rig_init(&r);
    struct cred login = rig_login(ACCESS_TOKEN, 3600000);
    WITHOUT_REFRESH(login);
    CHECK_OK(rig_put(&r, admin, "claude", &login, false), r.why);
    const struct credential *c = credential_find(r.v->credentials, view_str("claude"));
    struct live_route route = {.version = 1};
    struct lease l = {.route = &route};
    struct proxied q = {.lease = &l, .version = 1};
    CHECK_INT(renew(&r, &q, c, false), ERR_NEEDS_LOGIN);
    CHECK_WHY(&r, "\"claude\"");
    CHECK(route.rejected && strstr(rig_log, "credential.rejected credential=claude provider=claude"));
    size_t said = strlen(rig_log);
    CHECK_INT(renew(&r, &q, c, false), ERR_NEEDS_LOGIN);
    CHECK(strlen(rig_log) == said && r.v->count.upstream_rejections == 2);
    struct cred ended = rig_login(ACCESS_TOKEN, 1000);
    WITHOUT_REFRESH(ended);
    CHECK_OK(rig_put(&r, admin, "claude", &ended, true), r.why);
    CHECK_INT(renew(&r, &q, c, false), ERR_NEEDS_LOGIN); /* newer, and of no use */
    struct cred better = rig_login(ACCESS_TOKEN "2", 3600000);
    CHECK_OK(rig_put(&r, admin, "claude", &better, true), r.why);
    CHECK_OK(renew(&r, &q, c, false), r.why);
    rig_end(&r);
}

TEST(one_that_can_be_renewed_waits_for_that_and_not_twice)
{
    struct rig r;
    rig_make(&r, NULL, PROXY_CONFIG);
    uint64_t admin = rig_init(&r);
    struct cred login = rig_login(ACCESS_TOKEN, 3600000);
    CHECK_OK(rig_put(&r, admin, "claude", &login, false), r.why);
    const struct credential *c = credential_find(r.v->credentials, view_str("claude"));
    struct proxied q = {.version = 1};
    CHECK_INT(renew(&r, &q, c, false), PARKED);
    CHECK_INT(renew(&r, &q, c, false), PARKED); /* joins it */
    CHECK_INT(refresh_counts(r.v).begun, 1);
    CHECK_INT(renew(&r, &q, c, true), ERR_UNAVAILABLE);
    CHECK_WHY(&r, "is being renewed");
    CHECK_OK(credential_set_end(r.v->credentials, c, LOGIN_REVOKED, &r.why), r.why);
    CHECK_INT(renew(&r, &q, c, false), ERR_NEEDS_LOGIN); /* dead: nothing to wait for */
    rig_end(&r);
}

/* Whoever can make an upstream answer 401 cannot wear the login out, though others use it well in between. */
TEST(renewals_for_a_401_are_limited)
{
    struct rig r;
    unsigned begun = 0;
    rig_make(&r, NULL, PROXY_CONFIG);
    uint64_t admin = rig_init(&r);
    struct cred login = rig_login(ACCESS_TOKEN, 3600000);
    CHECK_OK(rig_put(&r, admin, "claude", &login, false), r.why);
    for (int i = 0; i < 200; i++) {
        const struct credential *c = credential_find(r.v->credentials, view_str("claude"));
        struct proxied q = {.version = c->version};
        refresh_note_accepted(r.v, "claude", c->version);
        if ((int)renew(&r, &q, c, false) != PARKED)
            break;
        begun++;
        struct cred other = rig_login(ACCESS_TOKEN, 3600000); /* as if it had been renewed */
        oauthcall_cancel_all(r.v);
        rig_turns(&r, 1);
        CHECK_OK(rig_put(&r, admin, "claude", &other, true), r.why);
    }
    CHECK(begun > 100 && begun < 130);
    CHECK_WHY(&r, "too often");
    rig_end(&r);
}
