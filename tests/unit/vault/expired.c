/* vault/expired.c: which expired leases share a line, and that each is named in one. */
#include "vault_rig.h"

static void expire(struct rig *r, unsigned number, const char *credential, enum delivery delivery)
{
    struct lease l = {.consumer = "gw", .delivery = delivery};
    (void)view_copy(view_str(credential), l.credential, sizeof(l.credential));
    (void)snprintf(l.id_hex, sizeof(l.id_hex), "%032x", number);
    expired_add(r->v, &l);
}

TEST(one_lease_is_told_as_ever)
{
    struct rig r;
    (void)rig_begin(&r);
    expire(&r, 7, "key", DELIVER_SECRET);
    CHECK_INT(rig_logged(&r, EVENT("lease.expired"), "\"lease\":\"00000000000000000000000000000007\"", "\"delivery\":\"secret\""), 1);
    CHECK_INT(rig_logged(&r, "\"leases\":", NULL, NULL), 0);
    rig_turns(&r, 5);
    CHECK_INT(rig_logged(&r, EVENT("lease.expired"), NULL, NULL), 1);
    rig_end(&r);
}

TEST(leases_of_one_kind_share_a_line_and_others_do_not)
{
    struct rig r;
    char text[80];
    (void)rig_begin(&r);
    for (unsigned i = 1; i <= EXPIRED_MAX + 2; i++)
        expire(&r, i, "key", DELIVER_SECRET);
    expire(&r, 1000, "key", DELIVER_HELPER);
    expire(&r, 1001, "other", DELIVER_HELPER);
    expired_tell(r.v);
    (void)snprintf(text, sizeof(text), "\"count\":%d", EXPIRED_MAX);
    CHECK_INT(rig_logged(&r, EVENT("lease.expired"), NULL, NULL), 4);
    CHECK_INT(rig_logged(&r, EVENT("lease.expired"), text, NULL), 1);
    CHECK_INT(rig_logged(&r, EVENT("lease.expired"), "\"count\":2", "\"leases\":\""), 1);
    for (unsigned i = 1; i <= EXPIRED_MAX + 2; i++) {
        (void)snprintf(text, sizeof(text), "%032x", i);
        CHECK_INT(rig_logged(&r, EVENT("lease.expired"), text, "\"credential\":\"key\""), 1);
    }
    CHECK_INT(rig_logged(&r, "\"lease\":\"000000000000000000000000000003e8\"", "\"delivery\":\"helper\"", NULL), 1);
    CHECK_INT(rig_logged(&r, "\"lease\":\"000000000000000000000000000003e9\"", "\"credential\":\"other\"", NULL), 1);
    rig_end(&r);
}

TEST(a_log_that_is_closed_has_them_all)
{
    struct rig r;
    uint64_t admin = rig_begin(&r);
    expire(&r, 5, "key", DELIVER_SECRET);
    expire(&r, 6, "key", DELIVER_SECRET);
    unlock_close(r.v, "for a test");
    CHECK_OK(ASK(&r, MSG_UNLOCK, admin, S(F_SOURCE, "keyfile")), r.why);
    CHECK_INT(rig_logged(&r, EVENT("lease.expired"), "00000000000000000000000000000006", "\"count\":2"), 1);
    rig_end(&r);
}
