/* vault/op_credential.c: enrolling, replacing, listing, removing. */
#include "vault_rig.h"

TEST(a_credential_is_enrolled_shown_replaced_and_removed)
{
    struct rig r;
    uint64_t admin = rig_begin(&r), gw = rig_conn(&r, "gw");
    struct cred key = rig_key(KEY_SECRET), second = rig_key("sk-ant-api03-ANOTHERANOTHERANOTHER");
    CHECK_OK(rig_put(&r, admin, "key", &key, false), r.why);
    CHECK_HAS(&r, "{\"name\":\"key\",\"provider\":\"anthropic\",\"kind\":\"api_key\",\"version\":1,");
    CHECK_HAS(&r, "\"expires_at_ms\":null,\"account\":null,\"state\":\"ok\",\"ended\":null,");
    CHECK_INT(rig_logged(&r, EVENT("credential.enroll"), "\"credential\":\"key\"", "\"provider\":\"anthropic\""), 1);
    CHECK_INT(rig_logged(&r, EVENT("store.commit"), NULL, NULL) > 0, 1);
    CHECK_OK(ASK(&r, MSG_CRED_SHOW, admin, S(F_CREDENTIAL, "key")), r.why);
    CHECK_HAS(&r, "\"deliver\":[\"proxy\",\"helper\",\"secret\"]");
    CHECK_HAS(&r, "\"hash\":\"");
    CHECK_HAS(&r, "\"detail\":{");
    CHECK(!strstr(rig_body(&r), KEY_SECRET));
    CHECK_OK(rig_issue(&r, gw, "key", "secret"), r.why);
    CHECK_OK(rig_put(&r, admin, "key", &second, true), r.why);
    CHECK_HAS(&r, "\"version\":2,");
    CHECK_INT(rig_logged(&r, EVENT("credential.replace"), OUTCOME("ok"), NULL), 1);
    CHECK_INT(leases_live(r.v->leases), 1); /* a lease outlives a replacement … */
    CHECK_OK(rig_issue(&r, gw, "key", "secret"), r.why);
    CHECK_HAS(&r, "ANOTHERANOTHER");
    CHECK_OK(ASK(&r, MSG_CRED_REMOVE, admin, S(F_CREDENTIAL, "key")), r.why);
    CHECK_STR(rig_body(&r), "{\"removed\":\"key\",\"ended\":2}"); /* … but not a removal */
    CHECK_INT(leases_live(r.v->leases), 0);
    CHECK_INT(rig_issue(&r, gw, "key", "secret"), ERR_DENIED);
    CHECK_INT(ASK(&r, MSG_CRED_SHOW, admin, S(F_CREDENTIAL, "key")), ERR_NOT_FOUND);
    CHECK_INT(ASK(&r, MSG_CRED_REMOVE, admin, S(F_CREDENTIAL, "key")), ERR_NOT_FOUND);
    CHECK_INT(rig_logged(&r, "ANOTHER", NULL, NULL), 0);
    rig_end(&r);
}

TEST(refusals)
{
    struct rig r;
    AUTO(buf_free) struct buf b = {0}, login = {0};
    uint64_t admin = rig_begin(&r);
    struct cred key = rig_key(KEY_SECRET), foreign = rig_login(ACCESS_TOKEN, 3600000);
    CHECK_OK(cred_encode(&key, &b, &r.why), r.why);
    CHECK_OK(cred_encode(&foreign, &login, &r.why), r.why);
    struct view body = buf_view(&b);
    CHECK_INT(ASK(&r, MSG_CRED_PUT, admin, V(F_BODY, body), S(F_CREDENTIAL, "a/b"), S(F_PROVIDER, "anthropic")), ERR_INVALID);
    CHECK_INT(ASK(&r, MSG_CRED_PUT, admin, V(F_BODY, body), S(F_CREDENTIAL, "k"), S(F_PROVIDER, "nobody")), ERR_INVALID);
    CHECK_INT(ASK(&r, MSG_CRED_PUT, admin, V(F_BODY, body), S(F_CREDENTIAL, "k")), ERR_INVALID);
    CHECK_INT(ASK(&r, MSG_CRED_PUT, admin, S(F_CREDENTIAL, "k"), S(F_PROVIDER, "anthropic")), ERR_INVALID);
    CHECK_INT(ASK(&r, MSG_CRED_PUT, admin, V(F_BODY, view_str("junk")), S(F_CREDENTIAL, "k"), S(F_PROVIDER, "anthropic")), ERR_INVALID);
    CHECK_INT(ASK(&r, MSG_CRED_PUT, admin, V(F_BODY, buf_view(&login)), S(F_CREDENTIAL, "k"), S(F_PROVIDER, "anthropic")), ERR_INVALID);
    CHECK_INT(ASK(&r, MSG_CRED_PUT, admin, V(F_BODY, body), S(F_CREDENTIAL, "k"), S(F_PROVIDER, "anthropic"), S(F_DELIVER, "file,fax")), ERR_INVALID);
    CHECK_INT(rig_put(&r, admin, "k", &key, true), ERR_NOT_FOUND);
    CHECK_INT(credentials_count(r.v->credentials), 0);
    CHECK_INT(rig_logged(&r, EVENT("credential.enroll"), OUTCOME("ok"), NULL), 0);
    CHECK_OK(rig_put(&r, admin, "k", &key, false), r.why);
    CHECK_INT(rig_put(&r, admin, "k", &key, false), ERR_EXISTS);
    CHECK_INT(rig_put(&r, admin, "k", &foreign, true), ERR_CONFLICT); /* another provider: seen when it is made, and recorded */
    CHECK_INT(rig_logged(&r, EVENT("credential.replace"), "\"reason\":\"conflict\"", NULL), 1);
    rig_end(&r);
}

TEST(the_ceiling_holds)
{
    struct rig r;
    AUTO(buf_free) struct buf b = {0};
    uint64_t admin = rig_begin(&r), gw = rig_conn(&r, "gw");
    struct cred key = rig_key(KEY_SECRET);
    CHECK_OK(cred_encode(&key, &b, &r.why), r.why);
    CHECK_OK(ASK(&r, MSG_CRED_PUT, admin, V(F_BODY, buf_view(&b)), S(F_CREDENTIAL, "key"), S(F_PROVIDER, "anthropic"), S(F_DELIVER, "helper")),
             r.why);
    CHECK_INT(rig_issue(&r, gw, "key", "secret"), ERR_DENIED);
    CHECK_OK(rig_issue(&r, gw, "key", "helper"), r.why);
    CHECK_INT(ASK(&r, MSG_CRED_PUT, admin, V(F_BODY, buf_view(&b)), S(F_CREDENTIAL, "other"), S(F_PROVIDER, "anthropic"), S(F_DELIVER, "file")),
              ERR_INVALID);
    rig_end(&r);
}

TEST(nothing_is_changed_before_its_record_is_durable)
{
    struct rig r;
    uint64_t admin = rig_begin(&r);
    struct cred key = rig_key(KEY_SECRET);
    rig_enroll(&r, admin);
    rig_hang_disk(&r);
    CHECK_INT(rig_put(&r, admin, "late", &key, false), ERR_AUDIT);
    CHECK_INT(credentials_count(r.v->credentials), 2);
    CHECK_INT(rig_put(&r, admin, "key", &key, true), ERR_AUDIT);
    CHECK_INT(credential_find(r.v->credentials, view_str("key"))->version, 1);
    CHECK_INT(ASK(&r, MSG_CRED_REMOVE, admin, S(F_CREDENTIAL, "key")), ERR_AUDIT);
    CHECK(credential_find(r.v->credentials, view_str("key")));
    rig_end(&r);
}

TEST(a_change_that_fails_is_recorded_as_failed)
{
    struct rig r;
    uint64_t admin = rig_begin(&r);
    struct cred key = rig_key(KEY_SECRET);
    rig_enroll(&r, admin);
    rig_store.no_append = true;
    CHECK_INT(rig_put(&r, admin, "late", &key, false), ERR_NO_SPACE);
    CHECK_INT(rig_put(&r, admin, "key", &key, true), ERR_NO_SPACE);
    CHECK_INT(ASK(&r, MSG_CRED_REMOVE, admin, S(F_CREDENTIAL, "key")), ERR_NO_SPACE);
    rig_store.no_append = false;
    static const char *const event[] = {EVENT("credential.enroll"), EVENT("credential.replace"), EVENT("credential.remove")};
    for (size_t i = 0; i < COUNT(event); i++)
        CHECK_INT(rig_logged(&r, event[i], "\"reason\":\"no_space\"", "\"uid\":"), 1);
    CHECK_INT(credential_find(r.v->credentials, view_str("key"))->version, 1);
    rig_end(&r);
}

TEST(enrolling_the_same_name_twice_at_once)
{
    struct rig r;
    AUTO(buf_free) struct buf b = {0};
    uint64_t admin = rig_begin(&r), id[2];
    struct cred key = rig_key(KEY_SECRET);
    CHECK_OK(cred_encode(&key, &b, &r.why), r.why);
    rig_hang_disk(&r);
    for (unsigned i = 0; i < 2; i++)
        id[i] = POST(&r, MSG_CRED_PUT, admin, V(F_BODY, buf_view(&b)), S(F_CREDENTIAL, "key"), S(F_PROVIDER, "anthropic"));
    rig_turns(&r, 20);
    rig_free_disk(&r);
    CHECK_OK(REPLY(&r, MSG_CRED_PUT, id[0]), r.why);
    CHECK_INT(REPLY(&r, MSG_CRED_PUT, id[1]), ERR_EXISTS);
    rig_end(&r);
}

TEST(lists_go_by_pages_and_always_fit)
{
    struct rig r;
    uint64_t admin = rig_begin(&r);
    struct cred key = rig_key(KEY_SECRET);
    char name[65], after[65] = "";
    enum { ALL = 260 };
    for (unsigned i = 0; i < ALL; i++) {
        (void)snprintf(name, sizeof(name), "%064u", i);
        CHECK_OK(rig_put(&r, admin, name, &key, false), r.why);
    }
    CHECK_OK(ASK(&r, MSG_CRED_LIST, admin, N(F_COUNT, 2)), r.why);
    CHECK_HAS(&r, "0001\"}");
    CHECK_OK(ASK(&r, MSG_CRED_LIST, admin, N(F_COUNT, 0)), r.why);
    CHECK_STR(rig_body(&r), "{\"credentials\":[],\"next\":null}");
    unsigned seen = 0, pages = 0;
    do {
        CHECK_OK(ASK(&r, MSG_CRED_LIST, admin, N(F_COUNT, 100000), S(F_AFTER, after)), r.why);
        CHECK(r.body.len < SERVER_BODY_MAX);
        for (const char *at = rig_body(&r); (at = strstr(at, "{\"name\"")); at++)
            seen++;
        pages++;
        if (strstr(rig_body(&r), "\"next\":null"))
            break;
        rig_text(&r, "next", after, sizeof(after));
    } while (pages < 50);
    CHECK_INT(seen, ALL);
    CHECK(pages >= 2);
    rig_end(&r);
}

TEST(states_of_a_login)
{
    struct rig r;
    uint64_t admin = rig_begin(&r);
    struct cred old = rig_login(ACCESS_TOKEN, -1000), good;
    CHECK_OK(rig_put(&r, admin, "claude", &old, false), r.why);
    CHECK_HAS(&r, "\"state\":\"expired\"");
    good = rig_login(ACCESS_TOKEN, 3600000);
    CHECK_OK(rig_put(&r, admin, "claude", &good, true), r.why);
    CHECK_HAS(&r, "\"state\":\"ok\"");
    ((struct credential *)(uintptr_t)credential_find(r.v->credentials, view_str("claude")))->needs_login = true;
    CHECK_OK(ASK(&r, MSG_CRED_LIST, admin), r.why);
    CHECK_HAS(&r, "\"state\":\"needs_login\"");
    CHECK_OK(rig_issue(&r, rig_conn(&r, "gw"), "claude", "access_token"), r.why); /* what is still valid is still served */
    old = rig_login(ACCESS_TOKEN, -1000);
    CHECK_OK(rig_put(&r, admin, "claude", &old, true), r.why);
    ((struct credential *)(uintptr_t)credential_find(r.v->credentials, view_str("claude")))->needs_login = LOGIN_ROTATED;
    CHECK_INT(rig_issue(&r, rig_conn(&r, "gw"), "claude", "access_token"), ERR_NEEDS_LOGIN);
    CHECK_OK(ASK(&r, MSG_CRED_LIST, admin), r.why);
    CHECK_HAS(&r, "\"ended\":\"rotated\"");
    CHECK_HAS(&r, "\"remedy\":\"log in again: broker-cli login claude\"");
    rig_end(&r);
}
