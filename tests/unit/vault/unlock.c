/* vault/unlock.c: which slots are tried, what is opened, when a store is under suspicion, and how it closes. */
#include "vault_rig.h"

static const char *source_at(struct rig *r, unsigned slot)
{
    return r->v->keys.header.slot[slot].source;
}

static void add_passphrase(struct rig *r, uint64_t admin, const char *passphrase)
{
    uint64_t id = POST(r, MSG_KEY_ADD, admin, S(F_PASSPHRASE, passphrase), S(F_SOURCE, "passphrase"));
    rig_derive(r);
    CHECK_OK(REPLY(r, MSG_KEY_ADD, id), r->why);
}

static void move_key(struct rig *r, const char *from, const char *to)
{
    char a[128], b[128];
    (void)snprintf(a, sizeof(a), "%s/%s", r->dir, from);
    (void)snprintf(b, sizeof(b), "%s/%s", r->dir, to);
    CHECK_INT(rename(a, b), 0);
}

/* In the rig's directory. */
static void shell(struct rig *r, const char *command)
{
    pid_t pid = fork();
    int status = -1;
    if (pid == 0) {
        if (chdir(r->dir) == 0)
            execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static bool no_keys(const struct vault_keys *k)
{
    return !k->master && !k->previous && !k->root && !k->token && !k->journal && !k->audit_seal && !k->redact;
}

/* ---- at start */

TEST(an_empty_store_says_how_to_set_it_up)
{
    struct rig r;
    rig_make(&r, NULL, RIG_CONFIG);
    CHECK_INT(r.v->state, VAULT_UNINITIALISED);
    CHECK(strstr(r.v->state_why, "broker-cli init"));
    uint64_t admin = rig_conn(&r, "admin");
    CHECK_INT(ASK(&r, MSG_UNLOCK, admin), ERR_CONFLICT);
    CHECK_INT(ASK(&r, MSG_LOCK, admin), ERR_CONFLICT);
    CHECK_INT(ASK(&r, MSG_ACCEPT_STORE, admin), ERR_CONFLICT);
    rig_end(&r);
}

TEST(a_key_file_opens_the_store_at_start_and_leases_live_on)
{
    struct rig r;
    char lease[40];
    uint64_t admin = rig_begin(&r), gw = rig_conn(&r, "gw");
    rig_enroll(&r, admin);
    CHECK_OK(rig_issue(&r, gw, "key", "secret"), r.why);
    rig_text(&r, "id", lease, sizeof(lease));
    rig_restart(&r);
    CHECK_INT(r.v->state, VAULT_READY);
    CHECK_INT(credentials_count(r.v->credentials), 2);
    CHECK(lease_by_hex(r.v->leases, view_str(lease)));
    gw = rig_conn(&r, "gw");
    CHECK_OK(rig_issue(&r, gw, "key", "secret"), r.why);
    CHECK_HAS(&r, KEY_SECRET);
    CHECK_INT(rig_logged(&r, EVENT("broker.start"), NULL, NULL), 2); /* once for each run */
    CHECK_INT(rig_logged(&r, EVENT("store.unlock"), "\"source\":\"keyfile\"", NULL), 1);
    rig_end(&r);
}

TEST(broker_start_is_recorded_when_the_store_is_opened_first)
{
    struct rig r;
    uint64_t admin = rig_begin(&r);
    CHECK_INT(rig_logged(&r, EVENT("broker.start"), NULL, NULL), 1);
    CHECK_OK(ASK(&r, MSG_LOCK, admin), r.why);
    CHECK_OK(ASK(&r, MSG_UNLOCK, admin), r.why);
    CHECK_INT(rig_logged(&r, EVENT("broker.start"), NULL, NULL), 1);
    rig_end(&r);
}

TEST(a_missing_key_leaves_the_store_locked_with_the_reason)
{
    struct rig r;
    (void)rig_begin(&r);
    move_key(&r, "master.key", "hidden");
    rig_restart(&r);
    CHECK_INT(r.v->state, VAULT_LOCKED);
    CHECK(strstr(r.v->state_why, "key slot 0 (keyfile)"));
    CHECK(no_keys(&r.v->keys) && !r.v->audit && !r.v->credentials && !r.v->leases && !r.v->unlock);
    uint64_t admin = rig_conn(&r, "admin");
    CHECK_INT(ASK(&r, MSG_UNLOCK, admin), ERR_NOT_FOUND);
    move_key(&r, "hidden", "master.key");
    CHECK_OK(ASK(&r, MSG_UNLOCK, admin), r.why);
    CHECK_HAS(&r, "{\"state\":\"ready\",\"reason\":null}");
    CHECK_INT(ASK(&r, MSG_UNLOCK, admin), ERR_CONFLICT);
    rig_end(&r);
}

TEST(a_damaged_header_is_said_and_can_be_restored_without_a_restart)
{
    struct rig r;
    (void)rig_begin(&r);
    rig_stop(&r);
    shell(&r, "cp state/keys good && printf x >>state/keys");
    rig_start(&r);
    CHECK_INT(r.v->state, VAULT_LOCKED);
    CHECK(strstr(r.v->state_why, "damaged"));
    uint64_t admin = rig_conn(&r, "admin");
    CHECK_INT(ASK(&r, MSG_UNLOCK, admin), ERR_CORRUPT);
    shell(&r, "cat good >state/keys");
    CHECK_OK(ASK(&r, MSG_UNLOCK, admin), r.why);
    CHECK_INT(r.v->state, VAULT_READY);
    rig_end(&r);
}

TEST(a_header_that_vanished_is_said)
{
    struct rig r;
    uint64_t admin = rig_begin(&r);
    CHECK_OK(ASK(&r, MSG_LOCK, admin), r.why);
    shell(&r, "rm state/keys");
    CHECK_INT(ASK(&r, MSG_UNLOCK, admin), ERR_UNINIT);
    CHECK_INT(r.v->state, VAULT_UNINITIALISED);
    rig_end(&r);
}

/* ---- slots */

TEST(a_passphrase_is_never_asked_for_at_start)
{
    struct rig r;
    uint64_t admin = rig_begin(&r);
    add_passphrase(&r, admin, "horse");
    move_key(&r, "master.key", "hidden");
    rig_restart(&r);
    CHECK_INT(r.v->state, VAULT_LOCKED);
    CHECK(!rig_asked_for(&r, "kdf", 50));
    admin = rig_conn(&r, "admin");
    /* a wrong one, the right one */
    uint64_t id = POST(&r, MSG_UNLOCK, admin, S(F_PASSPHRASE, "donkey"), S(F_SOURCE, "passphrase"));
    rig_derive(&r);
    CHECK_INT(REPLY(&r, MSG_UNLOCK, id), ERR_AUTH);
    CHECK_WHY(&r, "key slot 1 (passphrase)");
    CHECK_INT(r.v->state, VAULT_LOCKED);
    id = POST(&r, MSG_UNLOCK, admin, S(F_PASSPHRASE, "horse"));
    rig_derive(&r);
    CHECK_OK(REPLY(&r, MSG_UNLOCK, id), r.why);
    CHECK_INT(r.v->state, VAULT_READY);
    CHECK_INT(rig_logged(&r, EVENT("store.unlock"), "\"source\":\"passphrase\"", "\"uid\":"), 1);
    CHECK_INT(rig_logged(&r, "horse", NULL, NULL), 0);
    rig_end(&r);
}

TEST(answers_go_on_while_a_helper_works_and_only_one_search_runs)
{
    struct rig r;
    uint64_t admin = rig_begin(&r);
    add_passphrase(&r, admin, "horse");
    CHECK_OK(ASK(&r, MSG_LOCK, admin), r.why);
    move_key(&r, "master.key", "hidden");
    uint64_t id = POST(&r, MSG_UNLOCK, admin, S(F_PASSPHRASE, "horse"));
    struct rig_helper h = rig_helper(&r, "kdf");
    CHECK_OK(ASK(&r, MSG_STATUS, admin), r.why);
    CHECK_HAS(&r, "\"state\":\"locked\"");
    CHECK_INT(ASK(&r, MSG_UNLOCK, admin, S(F_PASSPHRASE, "horse")), ERR_CONFLICT);
    CHECK_INT(ASK(&r, MSG_INIT, admin, S(F_SOURCE, "keyfile")), ERR_EXISTS);
    CHECK_INT(ASK(&r, MSG_LOCK, admin), ERR_CONFLICT);
    rig_helper_end(&h); /* it dies */
    CHECK_INT(REPLY(&r, MSG_UNLOCK, id), ERR_UNAVAILABLE);
    CHECK(!r.v->unlock);
    rig_end(&r);
}

TEST(the_configurations_order_decides_which_slot_is_tried_first)
{
    struct rig r;
    uint64_t admin = rig_begin(&r);
    add_passphrase(&r, admin, "horse");
    CHECK_STR(source_at(&r, 0), "keyfile");
    CHECK_STR(source_at(&r, 1), "passphrase");
    /* passphrase first, though it is the later slot; names twice ask nobody twice */
    rig_write_config(&r, "key: [passphrase, passphrase, keyfile, keyfile]\n" RIG_CONFIG);
    CHECK_OK(ASK(&r, MSG_RELOAD, admin), r.why);
    CHECK_OK(ASK(&r, MSG_LOCK, admin), r.why);
    uint64_t id = POST(&r, MSG_UNLOCK, admin, S(F_PASSPHRASE, "donkey"));
    rig_derive(&r);
    CHECK_OK(REPLY(&r, MSG_UNLOCK, id), r.why); /* then the key file */
    CHECK(!rig_asked_for(&r, "kdf", 50));
    CHECK_INT(rig_logged(&r, EVENT("store.unlock"), "\"source\":\"keyfile\"", NULL), 1);
    /* a source that is not in the list is not tried */
    rig_write_config(&r, "key: [systemd]\n" RIG_CONFIG);
    CHECK_OK(ASK(&r, MSG_RELOAD, admin), r.why);
    CHECK_OK(ASK(&r, MSG_LOCK, admin), r.why);
    CHECK_INT(ASK(&r, MSG_UNLOCK, admin), ERR_LOCKED);
    CHECK_INT(ASK(&r, MSG_UNLOCK, admin, S(F_SOURCE, "keyfile")), ERR_LOCKED);
    rig_end(&r);
}

TEST(a_named_source_is_the_only_one_tried)
{
    struct rig r;
    uint64_t admin = rig_begin(&r);
    add_passphrase(&r, admin, "horse");
    CHECK_OK(ASK(&r, MSG_LOCK, admin), r.why);
    CHECK_INT(ASK(&r, MSG_UNLOCK, admin, S(F_SOURCE, "keyring")), ERR_LOCKED); /* there is no such slot */
    CHECK_INT(ASK(&r, MSG_UNLOCK, admin, S(F_SOURCE, "passphrase")), ERR_LOCKED); /* and no passphrase was given */
    CHECK_WHY(&r, "broker-cli unlock");
    CHECK_OK(ASK(&r, MSG_UNLOCK, admin, S(F_SOURCE, "keyfile")), r.why);
    rig_end(&r);
}

/* ---- lock */

TEST(a_lock_forgets_every_key_and_all_that_was_open)
{
    struct rig r;
    char lease[40];
    uint64_t admin = rig_begin(&r), gw = rig_conn(&r, "gw");
    rig_enroll(&r, admin);
    CHECK_OK(rig_issue(&r, gw, "claude", "file"), r.why);
    rig_text(&r, "id", lease, sizeof(lease));
    const char *file = "run/gw/files/claude/.credentials.json";
    CHECK(rig_exists(&r, file));
    CHECK_OK(ASK(&r, MSG_LOCK, admin), r.why);
    CHECK_HAS(&r, "\"state\":\"locked\"");
    CHECK(no_keys(&r.v->keys) && !r.v->audit && !r.v->credentials && !r.v->leases);
    CHECK(!rig_exists(&r, file)); /* no secret stays on the disk either */
    CHECK_INT(rig_issue(&r, gw, "key", "secret"), ERR_LOCKED);
    CHECK_INT(ASK(&r, MSG_LOCK, admin), ERR_CONFLICT);
    CHECK_OK(ASK(&r, MSG_UNLOCK, admin), r.why);
    CHECK(lease_by_hex(r.v->leases, view_str(lease)));
    CHECK(rig_exists(&r, file)); /* its lease lives: the file is back */
    CHECK_INT(rig_logged(&r, EVENT("store.lock"), OUTCOME("ok"), NULL), 1);
    rig_end(&r);
}

TEST(a_lock_that_cannot_be_recorded_is_refused)
{
    struct rig r;
    uint64_t admin = rig_begin(&r);
    rig_hang_disk(&r);
    CHECK_INT(ASK(&r, MSG_LOCK, admin), ERR_AUDIT);
    CHECK_INT(r.v->state, VAULT_READY);
    rig_end(&r);
}

/* ---- suspicion */

TEST(an_older_store_is_under_suspicion_until_it_is_accepted)
{
    struct rig r;
    uint64_t admin = rig_begin(&r);
    rig_enroll(&r, admin);
    CHECK(rig_until(&r, rig_is_durable, RIG_WAIT_MS));
    rig_stop(&r);
    shell(&r, "cp -a state kept");
    rig_start(&r);
    admin = rig_conn(&r, "admin");
    CHECK_OK(ASK(&r, MSG_CRED_REMOVE, admin, S(F_CREDENTIAL, "key")), r.why);
    CHECK(rig_until(&r, rig_is_durable, RIG_WAIT_MS));
    rig_stop(&r);
    shell(&r, "cp -a state/log newlog && rm -rf state && cp -a kept state && rm -rf state/log && mv newlog state/log");
    rig_start(&r);
    CHECK_INT(r.v->state, VAULT_ROLLBACK);
    CHECK(strstr(r.v->state_why, "broker-cli store accept"));
    admin = rig_conn(&r, "admin");
    uint64_t gw = rig_conn(&r, "gw");
    CHECK_INT(rig_issue(&r, gw, "key", "secret"), ERR_ROLLBACK);
    CHECK_INT(ASK(&r, MSG_UNLOCK, admin), ERR_CONFLICT);
    CHECK_OK(ASK(&r, MSG_STATUS, admin), r.why);
    CHECK_HAS(&r, "\"state\":\"rollback\"");
    CHECK_INT(rig_logged(&r, EVENT("store.rollback"), NULL, NULL), 1);
    /* locked and opened again it is as suspect as before */
    CHECK_OK(ASK(&r, MSG_LOCK, admin), r.why);
    CHECK_OK(ASK(&r, MSG_UNLOCK, admin), r.why);
    CHECK_HAS(&r, "\"state\":\"rollback\"");
    /* what cannot be recorded is not accepted */
    rig_hang_disk(&r);
    CHECK_INT(ASK(&r, MSG_ACCEPT_STORE, admin), ERR_AUDIT);
    CHECK_INT(r.v->state, VAULT_ROLLBACK);
    rig_free_disk(&r);
    CHECK(rig_until(&r, rig_is_durable, RIG_WAIT_MS));
    CHECK_OK(ASK(&r, MSG_ACCEPT_STORE, admin), r.why);
    CHECK_HAS(&r, "\"state\":\"ready\"");
    CHECK_INT(rig_logged(&r, EVENT("store.accept"), OUTCOME("ok"), "\"uid\":") > 0, 1);
    CHECK_OK(rig_issue(&r, gw, "key", "secret"), r.why);
    CHECK_INT(ASK(&r, MSG_ACCEPT_STORE, admin), ERR_CONFLICT);
    rig_restart(&r);
    CHECK_INT(r.v->state, VAULT_READY); /* once is enough */
    rig_end(&r);
}

TEST(an_edited_log_stops_releases_until_it_is_accepted)
{
    struct rig r;
    uint64_t admin = rig_begin(&r);
    rig_enroll(&r, admin);
    CHECK(rig_until(&r, rig_is_durable, RIG_WAIT_MS));
    rig_hang_disk(&r); /* a crash: the state of the log is not saved */
    CHECK_INT(kill(r.writer, SIGKILL), 0);
    rig_stop(&r);
    shell(&r, "sed -i 's/credential.enroll/credential.remove/' state/log/audit-*.jsonl");
    rig_start(&r);
    CHECK_INT(r.v->state, VAULT_ROLLBACK);
    admin = rig_conn(&r, "admin");
    CHECK_OK(ASK(&r, MSG_ACCEPT_STORE, admin), r.why);
    CHECK_INT(r.v->state, VAULT_READY);
    rig_end(&r);
}

TEST(a_store_whose_manifest_does_not_open_stays_locked)
{
    struct rig r;
    uint64_t admin = rig_begin(&r);
    rig_enroll(&r, admin);
    rig_stop(&r);
    shell(&r, "printf '\\377\\377\\377\\377' | dd of=$(ls state/manifest-*) bs=1 seek=40 conv=notrunc 2>/dev/null");
    rig_start(&r);
    CHECK_INT(r.v->state, VAULT_LOCKED);
    CHECK(no_keys(&r.v->keys) && !r.v->audit && !r.v->credentials && !r.v->leases);
    admin = rig_conn(&r, "admin");
    CHECK_INT(ASK(&r, MSG_UNLOCK, admin), ERR_CORRUPT);
    CHECK_INT(ASK(&r, MSG_ACCEPT_STORE, admin), ERR_CONFLICT);
    rig_end(&r);
}

/* ---- the end */

TEST(stopping_while_a_helper_works_answers_and_frees_everything)
{
    struct rig r;
    uint64_t admin = rig_begin(&r);
    add_passphrase(&r, admin, "horse");
    add_passphrase(&r, admin, "mule");
    CHECK_OK(ASK(&r, MSG_LOCK, admin), r.why);
    move_key(&r, "master.key", "hidden");
    (void)POST(&r, MSG_UNLOCK, admin, S(F_PASSPHRASE, "horse"));
    struct rig_helper h = rig_helper(&r, "kdf");
    rig_end(&r); /* the second slot is not asked any more */
    rig_helper_end(&h);
}
