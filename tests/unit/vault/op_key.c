/* vault/op_key.c: key slots, rekey, and what stands in the store when a write fails. */
#include "vault_rig.h"

static err_t add_passphrase(struct rig *r, uint64_t admin, const char *passphrase)
{
    uint64_t id = POST(r, MSG_KEY_ADD, admin, S(F_PASSPHRASE, passphrase), S(F_SOURCE, "passphrase"));
    rig_derive(r);
    return REPLY(r, MSG_KEY_ADD, id);
}

static err_t add_keyfile(struct rig *r, uint64_t admin, const char *name)
{
    char path[160];
    (void)snprintf(path, sizeof(path), "%s/%s", r->dir, name);
    return ASK(r, MSG_KEY_ADD, admin, S(F_SOURCE, "keyfile"), S(F_PATH, path));
}

static struct keyheader disk_header(struct rig *r)
{
    AUTO(buf_free) struct buf b = {.max = STORE_HEADER_MAX};
    struct keyheader h;
    CHECK_OK(r->ops.header_read(r->v->store, &b, &r->why), r->why);
    CHECK_OK(keyheader_decode(buf_view(&b), &h, &r->why), r->why);
    return h;
}

TEST(slots_are_added_listed_and_removed)
{
    struct rig r;
    uint64_t admin = rig_begin(&r);
    CHECK_OK(add_keyfile(&r, admin, "second.key"), r.why);
    CHECK_STR(rig_body(&r), "{\"slot\":1,\"source\":\"keyfile\"}");
    CHECK_OK(add_passphrase(&r, admin, "horse"), r.why);
    CHECK_HAS(&r, "\"slot\":2");
    CHECK_OK(ASK(&r, MSG_KEY_LIST, admin), r.why);
    CHECK_HAS(&r, "{\"epoch\":1,\"rekeying\":false,\"keys\":[{\"slot\":0,\"source\":\"keyfile\"");
    CHECK_HAS(&r, "second.key");
    CHECK_HAS(&r, "\"slot\":2,\"source\":\"passphrase\"");
    CHECK_INT(rig_logged(&r, EVENT("key.add"), OUTCOME("ok"), "\"uid\":"), 2);
    struct keyheader h = disk_header(&r);
    CHECK(memcmp(&h, &r.v->keys.header, sizeof(h)) == 0);
    CHECK_OK(ASK(&r, MSG_KEY_REMOVE, admin, N(F_SLOT, 1)), r.why);
    CHECK_STR(rig_body(&r), "{\"removed\":1}");
    CHECK(!rig_exists(&r, "second.key")); /* what the source kept goes with it */
    CHECK_INT(rig_logged(&r, EVENT("key.remove"), "\"source\":\"keyfile\"", NULL), 1);
    /* both that are left open the store */
    CHECK_OK(ASK(&r, MSG_LOCK, admin), r.why);
    CHECK_OK(ASK(&r, MSG_UNLOCK, admin), r.why);
    rig_end(&r);
}

TEST(refusals_of_slots)
{
    struct rig r;
    uint64_t admin = rig_begin(&r);
    CHECK_INT(ASK(&r, MSG_KEY_ADD, admin), ERR_INVALID);
    CHECK_INT(ASK(&r, MSG_KEY_ADD, admin, S(F_SOURCE, "tape")), ERR_INVALID);
    CHECK_INT(ASK(&r, MSG_KEY_ADD, admin, S(F_SOURCE, "passphrase")), ERR_INVALID);
    CHECK_INT(ASK(&r, MSG_KEY_ADD, admin, S(F_SOURCE, "keyfile")), ERR_EXISTS); /* master.key is there */
    CHECK_INT(ASK(&r, MSG_KEY_REMOVE, admin), ERR_NOT_FOUND);
    CHECK_INT(ASK(&r, MSG_KEY_REMOVE, admin, N(F_SLOT, 3)), ERR_NOT_FOUND);
    CHECK_INT(ASK(&r, MSG_KEY_REMOVE, admin, N(F_SLOT, KEYSLOTS_MAX)), ERR_NOT_FOUND);
    CHECK_INT(ASK(&r, MSG_KEY_REMOVE, admin, N(F_SLOT, UINT64_MAX)), ERR_NOT_FOUND);
    CHECK_INT(ASK(&r, MSG_KEY_REMOVE, admin, N(F_SLOT, 0)), ERR_CONFLICT);
    CHECK_WHY(&r, "last key");
    CHECK(rig_exists(&r, "master.key"));
    CHECK_INT(rig_logged(&r, EVENT("key.add"), OUTCOME("ok"), NULL), 0);
    CHECK_INT(rig_logged(&r, EVENT("key.remove"), OUTCOME("ok"), NULL), 0);
    CHECK_INT(rig_logged(&r, EVENT("key.add"), NULL, NULL), 4);
    CHECK_INT(rig_logged(&r, EVENT("key.remove"), NULL, NULL), 5);
    rig_end(&r);
}

TEST(more_than_all_slots_leaves_no_key_behind)
{
    struct rig r;
    uint64_t admin = rig_begin(&r);
    char name[16];
    for (unsigned i = 1; i < KEYSLOTS_MAX; i++) {
        (void)snprintf(name, sizeof(name), "k%u.key", i);
        CHECK_OK(add_keyfile(&r, admin, name), r.why);
    }
    CHECK_INT(add_keyfile(&r, admin, "toomany.key"), ERR_LIMIT);
    CHECK(!rig_exists(&r, "toomany.key"));
    CHECK_INT(keyheader_slots(&r.v->keys.header), KEYSLOTS_MAX);
    CHECK_INT(rig_logged(&r, EVENT("key.add"), "\"reason\":\"limit\"", NULL), 1);
    rig_end(&r);
}

TEST(a_failed_write_leaves_the_header_as_it_was)
{
    struct rig r;
    uint64_t admin = rig_begin(&r);
    CHECK_OK(add_keyfile(&r, admin, "second.key"), r.why);
    struct keyheader before = r.v->keys.header;
    const struct secret *master = r.v->keys.master;
    rig_store.no_header = true;
    CHECK_INT(add_keyfile(&r, admin, "third.key"), ERR_NO_SPACE);
    CHECK(rig_exists(&r, "third.key")); /* the header may have reached the disk: its key is kept */
    CHECK_INT(ASK(&r, MSG_KEY_REMOVE, admin, N(F_SLOT, 1)), ERR_NO_SPACE);
    CHECK(rig_exists(&r, "second.key"));
    CHECK_INT(ASK(&r, MSG_REKEY, admin), ERR_NO_SPACE);
    CHECK(memcmp(&before, &r.v->keys.header, sizeof(before)) == 0);
    CHECK(r.v->keys.master == master && !r.v->keys.previous);
    /* each was recorded as made, and then as failed */
    CHECK_INT(rig_logged(&r, EVENT("key.add"), "\"reason\":\"no_space\"", NULL), 1);
    CHECK_INT(rig_logged(&r, EVENT("key.remove"), "\"reason\":\"no_space\"", NULL), 1);
    CHECK_INT(rig_logged(&r, EVENT("rekey.begin"), "\"reason\":\"no_space\"", NULL), 1);
    rig_store.no_header = false;
    CHECK_OK(ASK(&r, MSG_KEY_REMOVE, admin, N(F_SLOT, 1)), r.why);
    rig_end(&r);
}

TEST(a_slot_that_cannot_be_recorded_is_not_added)
{
    struct rig r;
    uint64_t admin = rig_begin(&r);
    rig_hang_disk(&r);
    CHECK_INT(add_keyfile(&r, admin, "second.key"), ERR_AUDIT); /* its record did not land */
    CHECK(!rig_exists(&r, "second.key"));
    CHECK_INT(add_keyfile(&r, admin, "second.key"), ERR_AUDIT); /* could not be made */
    CHECK(!rig_exists(&r, "second.key"));
    CHECK_INT(ASK(&r, MSG_KEY_REMOVE, admin, N(F_SLOT, 0)), ERR_CONFLICT);
    CHECK_INT(keyheader_slots(&r.v->keys.header), 1);
    CHECK_INT(rig_store.header_writes, 1);
    rig_end(&r);
}

TEST(changes_that_overlap)
{
    struct rig r;
    uint64_t admin = rig_begin(&r);
    CHECK_OK(add_keyfile(&r, admin, "second.key"), r.why);
    CHECK_OK(add_keyfile(&r, admin, "third.key"), r.why);
    rig_hang_disk(&r);
    uint64_t first = POST(&r, MSG_KEY_REMOVE, admin, N(F_SLOT, 1));
    rig_turns(&r, 10);
    CHECK_INT(ASK(&r, MSG_KEY_REMOVE, admin, N(F_SLOT, 1)), ERR_CONFLICT);
    uint64_t lock = POST(&r, MSG_LOCK, admin);
    rig_turns(&r, 10);
    uint64_t late = POST(&r, MSG_REKEY, admin);
    char path[160];
    (void)snprintf(path, sizeof(path), "%s/late.key", r.dir);
    uint64_t add = POST(&r, MSG_KEY_ADD, admin, S(F_SOURCE, "keyfile"), S(F_PATH, path));
    rig_turns(&r, 10);
    rig_free_disk(&r);
    CHECK_OK(REPLY(&r, MSG_KEY_REMOVE, first), r.why);
    CHECK_OK(REPLY(&r, MSG_LOCK, lock), r.why);
    CHECK_INT(REPLY(&r, MSG_REKEY, late), ERR_LOCKED); /* decided before the lock, made after it: refused */
    CHECK_INT(REPLY(&r, MSG_KEY_ADD, add), ERR_LOCKED);
    CHECK(!rig_exists(&r, "late.key"));
    CHECK_OK(ASK(&r, MSG_UNLOCK, admin), r.why);
    CHECK_INT(keyheader_slots(&r.v->keys.header), 2);
    rig_end(&r);
}

/* ---- rekey */

TEST(a_rekey_goes_in_steps_and_ends)
{
    struct rig r;
    uint64_t admin = rig_begin(&r), gw = rig_conn(&r, "gw");
    rig_enroll(&r, admin);
    CHECK_OK(rig_issue(&r, gw, "key", "secret"), r.why);
    char token[512], lease[40];
    rig_text(&r, "token", token, sizeof(token));
    rig_text(&r, "id", lease, sizeof(lease));
    struct cred key = rig_key(KEY_SECRET);
    for (unsigned i = 0; i < 80; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "c%02u", i);
        CHECK_OK(rig_put(&r, admin, name, &key, false), r.why);
    }
    CHECK_OK(ASK(&r, MSG_REKEY, admin), r.why);
    CHECK_STR(rig_body(&r), "{\"epoch\":2,\"records\":82}");
    CHECK(r.v->keys.previous && r.v->keys.header.rekeying);
    CHECK_INT(ASK(&r, MSG_REKEY, admin), ERR_CONFLICT);
    CHECK_OK(ASK(&r, MSG_KEY_LIST, admin), r.why);
    CHECK_HAS(&r, "\"epoch\":2,\"rekeying\":true");
    op_rekey_step(r.v);
    CHECK(r.v->keys.previous); /* 64 of 82 */
    CHECK_OK(rig_issue(&r, gw, "key", "secret"), r.why);
    op_rekey_step(r.v);
    op_rekey_step(r.v);
    CHECK(!r.v->keys.previous && !r.v->keys.header.rekeying);
    op_rekey_step(r.v); /* nothing left to do */
    CHECK_INT(rig_logged(&r, EVENT("rekey.begin"), OUTCOME("ok"), NULL), 1);
    CHECK_INT(rig_logged(&r, EVENT("rekey.end"), "\"count\":82", NULL), 1);
    /* tokens outlive it, and so does everything across a restart */
    CHECK_OK(ASK(&r, MSG_LEASE_RENEW, gw, S(F_LEASE, lease), S(F_TOKEN, token)), r.why);
    CHECK_HAS(&r, KEY_SECRET);
    rig_restart(&r);
    CHECK_INT(r.v->state, VAULT_READY);
    gw = rig_conn(&r, "gw");
    CHECK_OK(ASK(&r, MSG_LEASE_RENEW, gw, S(F_LEASE, lease), S(F_TOKEN, token)), r.why);
    rig_end(&r);
}

TEST(a_rekey_that_was_cut_off_goes_on_after_the_unlock)
{
    struct rig r;
    uint64_t admin = rig_begin(&r);
    rig_enroll(&r, admin);
    CHECK_OK(ASK(&r, MSG_REKEY, admin), r.why);
    rig_restart(&r);
    CHECK(r.v->state == VAULT_READY && r.v->keys.previous);
    op_rekey_step(r.v);
    op_rekey_step(r.v);
    CHECK(!r.v->keys.previous);
    rig_restart(&r);
    CHECK(r.v->state == VAULT_READY && !r.v->keys.previous && r.v->keys.header.epoch == 2);
    rig_end(&r);
}

TEST(a_rekey_step_that_fails_is_said_and_tried_again)
{
    struct rig r;
    uint64_t admin = rig_begin(&r);
    rig_enroll(&r, admin);
    op_rekey_step(r.v); /* no rekey is under way */
    CHECK_OK(ASK(&r, MSG_REKEY, admin), r.why);
    rig_store.no_header = true;
    op_rekey_step(r.v);
    op_rekey_step(r.v);
    CHECK(strstr(rig_log, "rekey.step"));
    CHECK(r.v->keys.previous && r.v->keys.header.rekeying);
    rig_store.no_header = false;
    op_rekey_step(r.v);
    CHECK(!r.v->keys.previous && !r.v->keys.header.rekeying);
    rig_end(&r);
}
