/* vault/init.c: setting a store up, once; and what a failed attempt leaves behind. */
#include "vault_rig.h"

TEST(a_new_store_is_ready_and_opens_again)
{
    struct rig r;
    rig_make(&r, NULL, RIG_CONFIG);
    uint64_t admin = rig_conn(&r, "admin");
    CHECK_OK(ASK(&r, MSG_INIT, admin, S(F_SOURCE, "keyfile")), r.why);
    CHECK_STR(rig_body(&r), "{\"state\":\"ready\",\"reason\":null}");
    CHECK(rig_exists(&r, "master.key") && rig_exists(&r, "state/log/auditor.key") && rig_exists(&r, "state/log/audit.pub"));
    CHECK_INT(rig_store.header_writes, 1);
    CHECK_INT(rig_logged(&r, EVENT("store.init"), "\"source\":\"keyfile\"", "\"uid\":"), 1);
    CHECK_INT(rig_logged(&r, EVENT("broker.start"), NULL, NULL), 1);
    CHECK_INT(r.v->keys.header.epoch, 1);
    CHECK(!r.v->init);
    rig_enroll(&r, admin);
    rig_restart(&r);
    CHECK_INT(r.v->state, VAULT_READY);
    CHECK_INT(credentials_count(r.v->credentials), 2);
    rig_end(&r);
}

TEST(the_key_source_knows_the_id_of_the_store_that_is_to_be)
{
    struct rig r;
    uint8_t key[32] = {9};
    rig_make(&r, NULL, RIG_CONFIG);
    uint64_t admin = rig_conn(&r, "admin");
    uint64_t id = POST(&r, MSG_INIT, admin, S(F_SOURCE, "keyring"));
    struct rig_helper h = rig_helper(&r, "keyring");
    char told[33], is[33];
    CHECK(view_copy(msg_view(&h.ask, F_NOTE), told, sizeof(told)));
    rig_answer(&r, &h, ERR_OK, view_str("item"), VIEW(key, 32));
    rig_helper_end(&h);
    CHECK_OK(REPLY(&r, MSG_INIT, id), r.why);
    hex_encode(r.v->keys.header.store_id, 16, is);
    CHECK_STR(told, is);
    CHECK(strcmp(is, "00000000000000000000000000000000") != 0);
    /* and the same one is asked for at the unlock */
    CHECK_OK(ASK(&r, MSG_LOCK, admin), r.why);
    id = POST(&r, MSG_UNLOCK, admin);
    h = rig_helper(&r, "keyring");
    CHECK(view_is(msg_view(&h.ask, F_NOTE), is) && view_is(msg_view(&h.ask, F_PARAMS), "item"));
    rig_answer(&r, &h, ERR_OK, VIEW(NULL, 0), VIEW(key, 32));
    rig_helper_end(&h);
    CHECK_OK(REPLY(&r, MSG_UNLOCK, id), r.why);
    rig_end(&r);
}

TEST(a_store_is_set_up_once)
{
    struct rig r;
    uint64_t admin = rig_begin(&r);
    uint8_t id[16];
    memcpy(id, r.v->keys.header.store_id, 16);
    CHECK_INT(ASK(&r, MSG_INIT, admin, S(F_SOURCE, "keyfile")), ERR_EXISTS);
    CHECK_INT(rig_logged(&r, EVENT("store.init"), "exists", NULL), 1);
    CHECK_OK(ASK(&r, MSG_LOCK, admin), r.why);
    CHECK_INT(ASK(&r, MSG_INIT, admin, S(F_SOURCE, "keyfile")), ERR_EXISTS);
    CHECK(memcmp(id, r.v->keys.header.store_id, 16) == 0);
    CHECK_INT(rig_store.header_writes, 1);
    rig_end(&r);
}

/* Two that overlap: the later one must not put its header in the place of the first one's. */
TEST(a_second_init_while_one_runs_is_refused)
{
    struct rig r;
    uint8_t id[16];
    rig_make(&r, NULL, RIG_CONFIG);
    uint64_t admin = rig_conn(&r, "admin");
    uint64_t first = POST(&r, MSG_INIT, admin, S(F_PASSPHRASE, "horse"), S(F_SOURCE, "passphrase"));
    struct rig_helper h = rig_helper(&r, "kdf");
    CHECK_INT(ASK(&r, MSG_INIT, admin, S(F_SOURCE, "keyfile")), ERR_CONFLICT);
    CHECK_INT(ASK(&r, MSG_INIT, admin, S(F_PASSPHRASE, "horse"), S(F_SOURCE, "passphrase")), ERR_CONFLICT);
    CHECK_INT(ASK(&r, MSG_UNLOCK, admin), ERR_CONFLICT);
    CHECK(!rig_exists(&r, "master.key"));
    uint8_t key[32] = {1};
    rig_answer(&r, &h, ERR_OK, view_str("salt"), VIEW(key, 32));
    rig_helper_end(&h);
    CHECK_OK(REPLY(&r, MSG_INIT, first), r.why);
    memcpy(id, r.v->keys.header.store_id, 16);
    CHECK_INT(keyheader_slots(&r.v->keys.header), 1);
    CHECK_INT(rig_store.header_writes, 1);
    rig_end(&r);
}

TEST(refusals_before_anything_is_made)
{
    struct rig r;
    rig_make(&r, NULL, RIG_CONFIG);
    uint64_t admin = rig_conn(&r, "admin");
    CHECK_INT(ASK(&r, MSG_INIT, admin), ERR_INVALID);
    CHECK_INT(ASK(&r, MSG_INIT, admin, S(F_SOURCE, "floppy")), ERR_INVALID);
    CHECK_INT(ASK(&r, MSG_INIT, admin, S(F_SOURCE, "passphrase")), ERR_INVALID);
    CHECK_INT(ASK(&r, MSG_INIT, admin, S(F_SOURCE, "keyfile"), S(F_PATH, "relative")), ERR_INVALID);
    uint64_t id = POST(&r, MSG_INIT, admin, S(F_PASSPHRASE, "horse"), S(F_SOURCE, "passphrase"));
    struct rig_helper h = rig_helper(&r, "kdf");
    rig_answer(&r, &h, ERR_UNAVAILABLE, VIEW(NULL, 0), VIEW(NULL, 0));
    rig_helper_end(&h);
    CHECK_INT(REPLY(&r, MSG_INIT, id), ERR_UNAVAILABLE);
    CHECK_INT(r.v->state, VAULT_UNINITIALISED);
    CHECK_INT(rig_store.header_writes, 0);
    CHECK(!rig_exists(&r, "state/log/auditor.key"));
    CHECK_OK(ASK(&r, MSG_INIT, admin, S(F_SOURCE, "keyfile")), r.why);
    rig_end(&r);
}

TEST(a_failed_init_leaves_an_empty_store_and_no_key)
{
    struct rig r;
    rig_make(&r, NULL, RIG_CONFIG);
    uint64_t admin = rig_conn(&r, "admin");
    rig_store.no_header = true;
    CHECK_INT(ASK(&r, MSG_INIT, admin, S(F_SOURCE, "keyfile")), ERR_NO_SPACE);
    CHECK_INT(r.v->state, VAULT_UNINITIALISED);
    CHECK(!r.v->keys.master && !r.v->keys.root && !r.v->audit && !r.v->credentials && !r.v->leases && !r.v->init);
    CHECK_INT(keyheader_slots(&r.v->keys.header), 0);
    CHECK(!rig_exists(&r, "master.key")); /* it was ours alone */
    rig_store.no_header = false;
    /* the log of the attempt is in the way, and the sentence says so */
    CHECK_INT(ASK(&r, MSG_INIT, admin, S(F_SOURCE, "keyfile")), ERR_EXISTS);
    CHECK_WHY(&r, "move audit-*.jsonl away");
    CHECK(!rig_exists(&r, "master.key"));
    CHECK_INT(rig_store.header_writes, 1); /* and nothing was committed for it */
    char path[160];
    (void)snprintf(path, sizeof(path), "%s/log/audit-000001.jsonl", r.state);
    CHECK_INT(unlink(path), 0);
    CHECK_OK(ASK(&r, MSG_INIT, admin, S(F_SOURCE, "keyfile")), r.why);
    rig_restart(&r);
    CHECK_INT(r.v->state, VAULT_READY);
    rig_end(&r);
}

TEST(a_key_file_that_is_there_already_is_kept)
{
    struct rig r;
    char path[160];
    rig_make(&r, NULL, RIG_CONFIG);
    (void)snprintf(path, sizeof(path), "%s/master.key", r.dir);
    scratch_write(path, "somebody else's", 15, 0600);
    uint64_t admin = rig_conn(&r, "admin");
    CHECK_INT(ASK(&r, MSG_INIT, admin, S(F_SOURCE, "keyfile")), ERR_EXISTS);
    AUTO(buf_free) struct buf b = {0};
    CHECK(rig_file(&r, "master.key", &b));
    CHECK(view_is(buf_view(&b), "somebody else's"));
    CHECK_INT(r.v->state, VAULT_UNINITIALISED);
    rig_end(&r);
}

TEST(stopping_while_the_key_is_made_frees_everything)
{
    struct rig r;
    rig_make(&r, NULL, RIG_CONFIG);
    uint64_t admin = rig_conn(&r, "admin");
    (void)POST(&r, MSG_INIT, admin, S(F_PASSPHRASE, "horse"), S(F_SOURCE, "passphrase"));
    CHECK(rig_asked_for(&r, "kdf", RIG_WAIT_MS));
    rig_end(&r);
}
