/* init, unlock, lock, rekey, store accept, key: what is asked of the broker, what is said, and that
 * no passphrase shows. */
#include "unit/cli/operator.h"

#define READY        "{\"state\":\"ready\",\"reason\":null}"
#define STATUS(keys) "{\"state\":\"locked\",\"keys\":[" keys "]}"
#define PASS         "{\"slot\":0,\"source\":\"passphrase\"}"
#define FILE_        "{\"slot\":1,\"source\":\"keyfile\"}"

static void no_passphrase_shows(void)
{
    CHECK(!strstr(call_out, "hunter") && !strstr(call_err, "hunter"));
}

TEST(init_makes_a_key_file_by_default)
{
    BEGIN(call_on("POST /v1/init", 200, READY));
    CHECK_INT(OP(verb_init, "init"), 0);
    ASKED("POST /v1/init", "{\"source\":\"keyfile\"}");
    SAYS("The store is set up and open.");
    SAYS("auditor.key");
    CHECK_STR(call_err, "");
    CHECK_INT(OP(verb_init, "init", "--key", "systemd", "--path", "my key", "--json"), 0);
    ASKED("POST /v1/init", "{\"source\":\"systemd\",\"path\":\"my key\"}");
    CHECK_STR(call_out, READY "\n");
    fake_stop(&fake);
}

TEST(init_reads_a_passphrase_from_a_file_or_standard_input)
{
    AUTO(scratch_free) struct scratch s = scratch_new();
    BEGIN(call_on("POST /v1/init", 200, READY));
    CHECK_INT(OP_IN(verb_init, "hunter2 \"x\"\nrest\n", "init", "--key", "passphrase",
                    "--passphrase-file", "-"),
              0);
    ASKED("POST /v1/init", "{\"source\":\"passphrase\",\"passphrase\":\"hunter2 \\\"x\\\"\"}");
    no_passphrase_shows();
    scratch_write(scratch_path(&s, "p"), "hunter3\n", 8, 0600);
    CHECK_INT(OP(verb_init, "init", "--key", "passphrase", "--passphrase-file",
                 scratch_path(&s, "p"), "--json"),
              0);
    ASKED("POST /v1/init", "{\"source\":\"passphrase\",\"passphrase\":\"hunter3\"}");
    no_passphrase_shows();
    fake_stop(&fake);
}

TEST(init_asks_twice_on_a_terminal_and_says_that_it_derives)
{
    const struct op_step steps[] = {{"Passphrase: ", "hunter22\n"}, {"Again: ", "hunter22\n"}, {0}};
    BEGIN(call_on("POST /v1/init", 200, READY));
    CHECK_INT(TTY(verb_init, steps, "init", "--key", "passphrase"), 0);
    ASKED("POST /v1/init", "{\"source\":\"passphrase\",\"passphrase\":\"hunter22\"}");
    SAYS("deriving the key…");
    no_passphrase_shows();
    fake_stop(&fake);
}

TEST(init_says_where_a_key_file_can_be_made)
{
    BEGIN(call_on("POST /v1/init", 500,
                  "{\"error\":\"permission\",\"message\":\"/etc/x: Permission denied\"}"));
    CHECK_INT(OP(verb_init, "init"), err_exit(ERR_PERMISSION));
    CHECK_STR(call_err, "broker-cli init: /etc/x: Permission denied; give --path FILE where the "
                        "broker's user may write\n");
    CHECK_INT(OP(verb_init, "init", "--path", "/etc/x"), err_exit(ERR_PERMISSION));
    CHECK_STR(call_err, "broker-cli init: /etc/x: Permission denied\n");
    fake_stop(&fake);
}

TEST(unlock_without_a_passphrase_slot_asks_for_none)
{
    BEGIN(call_on("GET /v1/status", 200, STATUS(FILE_)), call_on("POST /v1/unlock", 200, READY));
    CHECK_INT(OP(verb_unlock, "unlock"), 0);
    ASKED("POST /v1/unlock", "{}");
    CHECK_STR(call_out, "The store is open.\n");
    CHECK_INT(OP(verb_unlock, "unlock", "--key", "keyring"), 0);
    ASKED("POST /v1/unlock", "{\"source\":\"keyring\"}");
    CHECK_INT(op_asked("GET /v1/status", NULL), 1); /* --key says it */
    fake_stop(&fake);
}

TEST(unlock_with_a_passphrase)
{
    BEGIN(call_on("POST /v1/unlock", 200, READY));
    CHECK_INT(OP_IN(verb_unlock, "hunter2\n", "unlock", "--passphrase-file", "-"), 0);
    ASKED("POST /v1/unlock", "{\"passphrase\":\"hunter2\"}");
    CHECK_INT(OP_IN(verb_unlock, "hunter2\n", "unlock", "--key", "passphrase", "--passphrase-file",
                    "-", "--json"),
              0);
    ASKED("POST /v1/unlock", "{\"source\":\"passphrase\",\"passphrase\":\"hunter2\"}");
    CHECK_STR(call_out, READY "\n");
    no_passphrase_shows();
    CHECK_INT(OP(verb_unlock, "unlock", "--key", "passphrase"), 2); /* no terminal */
    WARNS("--passphrase-file FILE");
    fake_stop(&fake);
}

TEST(unlock_tries_what_needs_no_person_first)
{
    const struct op_step steps[] = {{"Passphrase: ", "hunter2\n"}, {0}};
    BEGIN(call_on("GET /v1/status", 200, STATUS(PASS "," FILE_)),
          {.match = "POST /v1/unlock",
           .bytes = fake_ok(503, "{\"error\":\"locked\",\"message\":\"no slot opens\"}")},
          call_on("POST /v1/unlock", 200, READY));
    CHECK_INT(TTY(verb_unlock, steps, "unlock"), 0);
    ASKED("POST /v1/unlock", "{}");
    ASKED("POST /v1/unlock", "{\"passphrase\":\"hunter2\"}");
    SAYS("The store is open.");
    CHECK_INT(OP(verb_unlock, "unlock"), 0); /* and where that opens it, nobody is asked */
    CHECK_INT(op_asked("POST /v1/unlock", "{}"), 2);
    fake_stop(&fake);
    BEGIN(call_on("GET /v1/status", 200, STATUS(PASS "," FILE_)),
          call_on("POST /v1/unlock", 409,
                  "{\"error\":\"conflict\",\"message\":\"the store is not locked\"}"));
    CHECK_INT(OP(verb_unlock, "unlock"), err_exit(ERR_CONFLICT));
    CHECK_STR(call_err, "broker-cli unlock: the store is not locked\n");
    fake_stop(&fake);
}

TEST(unlock_that_ends_in_another_state_is_no_success)
{
    BEGIN(call_on("GET /v1/status", 200, STATUS(FILE_)),
          call_on("POST /v1/unlock", 200,
                  "{\"state\":\"rollback\",\"reason\":\"older than its log\"}"));
    CHECK_INT(OP(verb_unlock, "unlock"), err_exit(ERR_ROLLBACK));
    CHECK_STR(call_err, "broker-cli unlock: rollback: older than its log\n");
    CHECK_STR(call_out, "");
    fake_stop(&fake);
}

TEST(a_wrong_passphrase_is_told)
{
    BEGIN(call_on("POST /v1/unlock", 401,
                  "{\"error\":\"bad_token\",\"message\":\"the key does not open this slot\"}"));
    CHECK_INT(OP_IN(verb_unlock, "hunter9\n", "unlock", "--passphrase-file", "-"),
              err_exit(ERR_AUTH));
    CHECK_STR(call_err, "broker-cli unlock: the key does not open this slot\n");
    CHECK_STR(call_out, "");
    fake_stop(&fake);
}

TEST(lock)
{
    BEGIN(call_on("POST /v1/lock", 200, "{\"state\":\"locked\"}"));
    CHECK_INT(OP(verb_lock, "lock"), 0);
    ASKED("POST /v1/lock", "");
    SAYS("Locked.");
    SAYS("broker-cli unlock");
    fake_stop(&fake);
}

TEST(rekey_asks_first_and_waits_when_told)
{
    BEGIN(call_on("POST /v1/rekey", 200, "{\"epoch\":3,\"records\":12}"),
          {.match = "GET /v1/keys",
           .bytes = fake_ok(200, "{\"epoch\":3,\"rekeying\":true,\"keys\":[]}")},
          {.match = "GET /v1/keys",
           .bytes = fake_ok(200, "{\"epoch\":3,\"rekeying\":true,\"keys\":[]}")},
          call_on("GET /v1/keys", 200, "{\"epoch\":3,\"rekeying\":false,\"keys\":[]}"));
    CHECK_INT(OP(verb_rekey, "rekey"), 2);
    WARNS("say --yes");
    CHECK_INT(op_asked("POST /v1/rekey", NULL), 0);
    CHECK_INT(OP(verb_rekey, "rekey", "--yes"), 0);
    SAYS("Epoch 3: 12 credentials are being sealed anew in the background (broker-cli key list");
    CHECK_INT(op_asked("GET /v1/keys", NULL), 0);
    CHECK_INT(OP(verb_rekey, "rekey", "--yes", "--wait"), 0);
    CHECK_STR(call_out, "Epoch 3: 12 credentials are sealed anew.\n");
    CHECK_STR(call_err, ""); /* progress is for terminals */
    CHECK_INT(op_asked("GET /v1/keys", NULL), 3);
    fake_stop(&fake);
}

TEST(rekey_shows_its_progress_on_a_terminal)
{
    const struct op_step steps[] = {{"[y/N] ", "y\n"}, {0}};
    BEGIN(call_on("POST /v1/rekey", 200, "{\"epoch\":3,\"records\":12}"),
          {.match = "GET /v1/keys", .bytes = fake_ok(200, "{\"rekeying\":true}")},
          call_on("GET /v1/keys", 200, "{\"rekeying\":false}"));
    CHECK_INT(TTY(verb_rekey, steps, "rekey", "--wait"), 0);
    SAYS("Seal every credential anew under a fresh master key? [y/N] ");
    SAYS("\rsealing anew… 0 s\r\n");
    SAYS("are sealed anew.");
    fake_stop(&fake);
}

TEST(a_question_answered_no_changes_nothing)
{
    const struct op_step steps[] = {{"[y/N] ", "n\n"}, {0}};
    BEGIN(call_on(NULL, 200, "{}"));
    int status = TTY(verb_rekey, steps, "rekey");
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == err_exit(ERR_DENIED));
    SAYS("not done");
    CHECK_STR(fake_seen(&fake), "");
    fake_stop(&fake);
}

TEST(store_accept)
{
    BEGIN(call_on("POST /v1/store/accept", 200, READY));
    CHECK_INT(OP(verb_store, "store", "accept"), 2);
    WARNS("say --yes");
    CHECK_STR(fake_seen(&fake), "");
    CHECK_INT(OP(verb_store, "store", "accept", "--yes"), 0);
    ASKED("POST /v1/store/accept", "");
    CHECK_STR(call_out, "Accepted, and recorded.\n");
    fake_stop(&fake);
}

TEST(key_add_and_remove)
{
    BEGIN(call_on("POST /v1/keys", 200, "{\"slot\":1,\"source\":\"keyfile\"}"),
          call_on("DELETE /v1/keys/1", 200, "{\"removed\":1}"),
          call_on("DELETE", 404, "{\"error\":\"not_found\",\"message\":\"no such key slot\"}"));
    CHECK_INT(OP2(verb_key, "key", "add", "keyfile", "--path", "/k"), 0);
    ASKED("POST /v1/keys", "{\"source\":\"keyfile\",\"path\":\"/k\"}");
    CHECK_STR(call_out, "Slot 1 (keyfile) opens the store from now on.\n");
    CHECK_INT(OP2(verb_key, "key", "remove", "1"), 2);
    WARNS("say --yes");
    CHECK_INT(OP2(verb_key, "key", "remove", "1", "--yes"), 0);
    ASKED("DELETE /v1/keys/1", "");
    SAYS("Removed.");
    SAYS("rekey");
    CHECK_INT(OP2(verb_key, "key", "remove", "7", "--yes", "--json"), err_exit(ERR_NOT_FOUND));
    CHECK_STR(call_out, "{\"error\":\"not_found\",\"message\":\"no such key slot\"}\n");
    CHECK_STR(call_err, "broker-cli key remove: no such key slot\n");
    fake_stop(&fake);
}

TEST(key_list)
{
#define KEYS                                                                                       \
    "{\"epoch\":2,\"rekeying\":true,\"keys\":[{\"slot\":0,\"source\":\"passphrase\",\"detail\":"   \
    "\"Argon2id\",\"created_at_ms\":0},"                                                           \
    "{\"slot\":7,\"source\":\"keyfile\",\"detail\":\"\",\"created_at_ms\":1795304833000}]}"
    setenv("TZ", "UTC", 1);
    BEGIN(call_on("GET /v1/keys", 200, KEYS));
    CHECK_INT(OP2(verb_key, "key", "list"), 0);
    CHECK_STR(call_out, "SLOT  SOURCE      MADE              DETAIL\n"
                        "0     passphrase  -                 Argon2id\n"
                        "7     keyfile     2026-11-21 23:47  -\n"
                        "epoch 2, a rekey is under way\n");
    CHECK_INT(OP2(verb_key, "key", "list", "--json"), 0);
    CHECK_STR(call_out, KEYS "\n");
    fake_stop(&fake);
}

TEST(slips)
{
    static const struct op_slip rows[] = {
        {verb_init, {"init", "now"}, "\"now\" is not expected here"},
        {verb_init,
         {"init", "--passphrase-file", "/x"},
         "is for the source passphrase, not for keyfile"},
        {verb_init, {"init", "--passphrase", "hunter2"}, "no option --passphrase here"},
        {verb_init, {"init", "--key", "passphrase"}, "--passphrase-file FILE"},
        {verb_unlock, {"unlock", "x"}, "not expected"},
        {verb_lock, {"lock", "x"}, "not expected"},
        {verb_rekey, {"rekey", "x"}, "not expected"},
        {verb_store, {"store"}, "broker-cli store accept"},
        {verb_store, {"store", "acept", "--yes"}, "broker-cli store accept"},
        {verb_key, {"key", "add"}, "which source?"},
        {verb_key, {"key", "add", "passphrase"}, "--passphrase-file FILE"},
        {verb_key, {"key", "list", "x"}, "not expected"},
        {verb_key, {"key", "remove"}, "which slot?"},
        {verb_key, {"key", "remove", "../x", "--yes"}, "is no slot"},
    };
    SLIPS(rows);
}

TEST(broken_answers)
{
    BROKEN(verb_init, "init");
    BROKEN(verb_init, "init", "--json");
    BROKEN(verb_lock, "lock");
    BROKEN(verb_unlock, "unlock");
    BROKEN(verb_rekey, "rekey", "--yes");
    BROKEN(verb_key, "key", "list");
    BROKEN(verb_key, "key", "remove", "1", "--yes");
}
