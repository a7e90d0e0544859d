/* audit verify, on real logs: good, changed, cut, begun anew, with each kind of key. */
#include "unit/cli/logs.h"

TEST(a_good_log_with_both_keys)
{
    AUTO(log_free) struct log l = log_new(25);
    CHECK_INT(VERIFY("--dir", l.dir.path, "--key", l.key, "--public-key", l.pub), 0);
    CHECK_STR(
        call_out,
        "good: 25 lines, 2 checkpoints, the last at line 20\n"
        "  every line was checked with the auditor's key, and the signatures of the checkpoints\n");
    CHECK_STR(call_err, "");
    CHECK_INT(VERIFY("--dir", l.dir.path, "--key", l.key, "--public-key", l.pub, "--json"), 0);
    CHECK_STR(call_out, "{\"good\":true,\"lines\":25,\"checkpoints\":2,\"last_checkpoint_seq\":20,"
                        "\"findings\":0,\"first_bad_seq\":0,"
                        "\"problem\":null,\"macs_checked\":true,\"signatures_checked\":true,\"next_"
                        "chain_seq\":0}\n");
}

TEST(a_verdict_says_what_it_is_worth)
{
    AUTO(log_free) struct log l = log_new(25);
    CHECK_INT(VERIFY("--dir", l.dir.path), 0);
    SAYS("  only form and order were checked: give --key auditor.key, or --public-key audit.pub\n");
    CHECK_INT(VERIFY("--dir", l.dir.path, "--key", l.key), 0);
    SAYS("  every line was checked with the auditor's key\n");
    CHECK_INT(VERIFY("--dir", l.dir.path, "--public-key", l.pub), 0);
    SAYS("  the signatures of the checkpoints were checked; lines behind line 20 are not vouched "
         "for\n");
    CHECK_INT(VERIFY("--dir", l.dir.path, "--public-key", l.pub, "--json"), 0);
    SAYS("\"macs_checked\":false,\"signatures_checked\":true");
}

TEST(a_changed_line_is_found_and_named)
{
    AUTO(log_free) struct log l = log_new(25);
    char *at = memmem(l.text.p, l.text.len, "{\"seq\":7,", 9);
    CHECK(at);
    at = strstr(at, "\"ok\"");
    memcpy(at, "\"no\"", 4);
    log_save(&l);
    CHECK_INT(VERIFY("--dir", l.dir.path, "--key", l.key), err_exit(ERR_CORRUPT));
    CHECK(strncmp(call_out, "NOT GOOD: 24 good lines, 2 checkpoints", 38) == 0);
    SAYS("  1 finding, the first at line 7: line 7 does not verify");
    CHECK(strncmp(call_err, "broker-cli audit verify: line 7 does not verify", 47) == 0);
    CHECK_INT(VERIFY("--dir", l.dir.path, "--key", l.key, "--json"), err_exit(ERR_CORRUPT));
    CHECK(strncmp(call_out, "{\"good\":false,\"lines\":24,", 25) == 0);
    SAYS("\"findings\":1,\"first_bad_seq\":7,\"problem\":\"line 7 does not verify");
    CHECK(strchr(call_out, '\n') == call_out + strlen(call_out) - 1); /* one document */
    CHECK_INT(VERIFY("--dir", l.dir.path, "--public-key", l.pub), err_exit(ERR_CORRUPT));
    SAYS("2 findings, the first at line 10: ");
    CHECK_INT(VERIFY("--dir", l.dir.path), 0); /* without a key that is not seen, and it says so */
    SAYS("only form and order");
}

TEST(the_wrong_key_finds_every_line)
{
    AUTO(log_free) struct log l = log_new(5);
    uint8_t other[32] = {9};
    log_key(scratch_path(&l.dir, "auditor.key"), other);
    CHECK_INT(VERIFY("--dir", l.dir.path, "--key", l.key), err_exit(ERR_CORRUPT));
    SAYS("NOT GOOD: 0 good lines");
    SAYS("  5 findings, the first at line 1: ");
}

TEST(a_chain_that_began_anew_has_keys_of_its_own)
{
    AUTO(log_free) struct log l = log_new(12);
    char old[100];
    snprintf(old, sizeof(old), "%s", l.key);
    log_chain(&l, "-13", 12);
    log_save(&l);
    CHECK_INT(VERIFY("--dir", l.dir.path, "--key", l.key, "--public-key", l.pub), 0);
    CHECK_STR(
        call_out,
        "good: 12 lines, 1 checkpoints, the last at line 20\n"
        "  every line was checked with the auditor's key, and the signatures of the checkpoints\n");
    CHECK_INT(VERIFY("--dir", l.dir.path, "--key", old), err_exit(ERR_CORRUPT));
    SAYS("12 findings, the first at line 13: ");
    SAYS("  a new chain begins with line 13: from there on verify with auditor-13.key and "
         "audit-13.pub\n");
    CHECK_INT(VERIFY("--dir", l.dir.path, "--key", old, "--json"), err_exit(ERR_CORRUPT));
    SAYS("\"next_chain_seq\":13}");
    CHECK_INT(VERIFY("--dir", l.dir.path, "--key", old, "--public-key", l.pub), 2);
    CHECK_STR(call_err, "broker-cli audit verify: the two keys are of different chains: one begins "
                        "with line 1, one with line 13\n");
    CHECK_STR(call_out, "");
}

TEST(a_key_by_another_name_is_of_the_beginning)
{
    AUTO(log_free) struct log l = log_new(5);
    static const char *const names[] = {"my.key", "auditor-x.key", "auditor-.key",
                                        "auditor-1234567890123456789.key", "auditor-5.pub"};
    for (size_t i = 0; i < COUNT(names); i++) {
        const char *file = scratch_path(&l.dir, names[i]);
        log_key(file, l.k0);
        CHECK(VERIFY("--dir", l.dir.path, "--key", file) == 0 ||
              !printf("    %s: %s\n", file, call_out));
    }
}

TEST(what_is_no_log_or_no_key)
{
    AUTO(log_free) struct log l = log_new(5);
    AUTO(scratch_free) struct scratch empty = scratch_new();
    CHECK_INT(VERIFY("--dir", empty.path), err_exit(ERR_NOT_FOUND));
    WARNS("no audit-NNNNNN.jsonl in this directory");
    CHECK_INT(VERIFY("--dir", "/nowhere/at/all"), err_exit(ERR_NOT_FOUND));
    WARNS("/nowhere/at/all: No such file or directory");
    CHECK_INT(VERIFY("--dir", l.key), err_exit(ERR_IO)); /* no directory */
    CHECK_INT(VERIFY("--dir", l.dir.path, "--key", "/nowhere/k"), err_exit(ERR_NOT_FOUND));
    static const char *const bad[] = {
        "", "hunter2", "0123", "zz23456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        const char *file = scratch_path(&l.dir, "bad.key");
        scratch_write(file, bad[i], strlen(bad[i]), 0600);
        CHECK_INT(VERIFY("--dir", l.dir.path, "--key", file), err_exit(ERR_INVALID));
        WARNS("bad.key holds no key of 64 hex digits");
        CHECK(!strstr(call_err, "hunter2"));
        CHECK_INT(VERIFY("--dir", l.dir.path, "--public-key", file, "--json"),
                  err_exit(ERR_INVALID));
        SAYS("{\"error\":\"invalid\",");
    }
}

TEST(slips)
{
    static const struct op_slip rows[] = {
        {verb_audit, {"audit", "verify"}, "which log? broker-cli audit verify --dir DIR"},
        {verb_audit, {"audit", "verify", "/x"}, "not expected"},
        {verb_audit, {"audit", "verify", "--dir"}, "--dir wants DIR"},
    };
    SLIPS(rows);
}
