/* Writing the log: what a line says, refusal, checkpoints, rolls, reading back; and the offline verifier's verdict on all of it. */
#include "audit_rig.h"

#include "vault/audit_log.h"

#include <sys/stat.h>

TEST(a_new_log_makes_the_auditors_files)
{
    struct log l;
    struct stat st;
    log_begin(&l);
    CHECK_INT(audit_seq(l.a), 0);
    CHECK_INT(fstatat(l.r.dirfd, "auditor.key", &st, 0), 0);
    CHECK_INT(st.st_mode & 07777, 0600);
    CHECK_INT(fstatat(l.r.dirfd, "audit.pub", &st, 0), 0);
    CHECK_INT(st.st_mode & 07777, 0644);
    CHECK_INT(fstatat(l.r.dirfd, "audit.state", &st, 0), 0);
    CHECK_INT(st.st_mode & 07777, 0600);
    log_event_of(&l, AUDIT_STORE_INIT, ERR_OK);
    CHECK_INT(audit_seq(l.a), 1);
    log_flush(&l);
    log_check_good(&l);
    struct audit_env env = log_env(&l);
    struct audit *second = NULL;
    CHECK_INT(audit_create(&env, &second, &l.why), ERR_EXISTS);
    CHECK(!second);
    log_end(&l);
}

TEST(nothing_is_recorded_where_the_sink_is_sick_and_the_chain_stays_whole)
{
    struct log l;
    struct audit_record r = {.event = AUDIT_LEASE_ISSUE, .consumer = "gateway"};
    uint64_t pos = 99;
    log_begin(&l);
    log_lines(&l, 10);
    rig_kill_writer(&l.r);
    CHECK(rig_until(&l.r, rig_is_sick, 1000));
    for (int i = 0; i < 5; i++)
        CHECK_INT(audit_append(l.a, &r, &pos, &l.why), ERR_AUDIT);
    CHECK_INT(pos, 99);
    CHECK_INT(audit_seq(l.a), 10);
    CHECK_INT(audit_checkpoint(l.a, true, &l.why), ERR_AUDIT);
    rig_start_writer(&l.r);
    log_lines(&l, 10);
    CHECK_INT(audit_seq(l.a), 20);
    log_check_good(&l);
    log_end(&l);
}

TEST(what_has_happened_is_noted_on_a_sick_log_and_written_when_it_is_well)
{
    struct log l;
    struct audit_record r = {.event = AUDIT_LEASE_UNDO, .outcome = ERR_AUDIT, .consumer = "gateway"};
    unsigned n = 0;
    log_begin(&l);
    log_lines(&l, 10);
    rig_kill_writer(&l.r);
    CHECK(rig_until(&l.r, rig_is_sick, 1000));
    CHECK_OK(audit_note(l.a, &r, &l.why), l.why);
    CHECK_INT(audit_seq(l.a), 11);
    rig_start_writer(&l.r);
    log_lines(&l, 1);
    log_check_good(&l);
    rig_kill_writer(&l.r);
    CHECK(rig_until(&l.r, rig_is_sick, 1000));
    while (audit_note(l.a, &r, &l.why) == ERR_OK)
        n++;
    CHECK(n > 2 * 1024); /* no checkpoint is tried in vain meanwhile */
    CHECK_INT(audit_seq(l.a), 12 + n);
    rig_start_writer(&l.r);
    log_flush(&l);
    log_check_good(&l);
    log_end(&l);
}

TEST(a_full_ring_refuses_lines_and_none_is_missing)
{
    struct log l;
    struct audit_record r = {.event = AUDIT_LEASE_ISSUE, .consumer = "gateway"};
    uint64_t pos, n = 0;
    log_begin(&l);
    log_lines(&l, 1);
    CHECK_INT(kill(l.r.writer, SIGSTOP), 0);
    while (audit_append(l.a, &r, &pos, &l.why) == ERR_OK)
        n++;
    CHECK(strstr(l.why.text, "too many"));
    CHECK(n > 5000);
    CHECK_INT(kill(l.r.writer, SIGCONT), 0);
    log_flush(&l);
    log_lines(&l, 5);
    log_check_good(&l);
    log_end(&l);
}

TEST(a_checkpoint_comes_each_1024_lines_and_when_asked)
{
    struct log l;
    log_begin(&l);
    log_lines(&l, 1023);
    CHECK_INT(audit_seq(l.a), 1023);
    CHECK_OK(audit_checkpoint(l.a, false, &l.why), l.why);
    CHECK_INT(audit_seq(l.a), 1023);
    log_lines(&l, 1);
    CHECK_INT(audit_seq(l.a), 1025);
    CHECK_OK(audit_checkpoint(l.a, true, &l.why), l.why); /* nothing since: no second one */
    CHECK_INT(audit_seq(l.a), 1025);
    log_lines(&l, 3);
    CHECK_OK(audit_checkpoint(l.a, true, &l.why), l.why);
    CHECK_INT(audit_seq(l.a), 1029);
    l.a->since = 1;
    l.a->checkpoint_ms -= 10 * 60 * 1000;
    CHECK_OK(audit_checkpoint(l.a, false, &l.why), l.why);
    CHECK_INT(audit_seq(l.a), 1030);
    log_flush(&l);
    struct verify_verdict v = log_verify(&l);
    CHECK_STR(v.problem, "");
    CHECK_INT(v.checkpoints, 3);
    CHECK_INT(v.last_checkpoint_seq, 1030);
    log_end(&l);
}

TEST(a_segment_rolls_at_its_size_with_a_checkpoint)
{
    struct log l;
    log_setup(&l);
    l.max_bytes = 20000;
    struct audit_env env = log_env(&l);
    CHECK_OK(audit_create(&env, &l.a, &l.why), l.why);
    log_lines(&l, 400);
    AUTO(audit_segments_free) struct audit_segments s = {0};
    CHECK_OK(audit_segments_list(l.r.dirfd, &s, &l.why), l.why);
    CHECK(s.n >= 5 && s.n <= 12);
    for (size_t i = 0; i + 1 < s.n; i++) {
        char name[AUDIT_NAME];
        audit_segment_name(s.number[i], name);
        AUTO(buf_free) struct buf b = rig_read(&l.r, name);
        CHECK(b.len >= 20000 && b.len < 20000 + 2 * AUDIT_LINE_MAX);
    }
    struct verify_verdict v = log_verify(&l);
    CHECK_STR(v.problem, "");
    CHECK_INT(v.checkpoints, s.n - 1);
    log_close(&l);
    CHECK_OK(log_open(&l), l.why);
    log_lines(&l, 10);
    log_check_good(&l);
    log_end(&l);
}

TEST(close_and_open_go_on_in_the_same_segment_at_once)
{
    struct log l;
    log_begin(&l);
    for (unsigned i = 0; i < 20; i++) {
        for (unsigned k = 0; k < 7; k++)
            log_event_of(&l, AUDIT_LEASE_RENEW, ERR_OK);
        audit_close(TAKE(l.a)); /* nothing is waited for: audit_open does */
        CHECK_OK(log_open(&l), l.why);
    }
    log_flush(&l);
    log_check_good(&l);
    CHECK(faccessat(l.r.dirfd, "audit-000002.jsonl", F_OK, 0) != 0);
    log_end(&l);
}

TEST(the_anchor_is_the_newest_manifest_head_across_a_crash)
{
    struct log l;
    uint8_t hash[16] = {7, 7, 7}, got[16];
    uint64_t seq = 1;
    log_begin(&l);
    audit_anchor(l.a, &seq, got);
    CHECK_INT(seq, 0);
    struct audit_record r = {.event = AUDIT_STORE_COMMIT, .manifest_seq = 41, .manifest_hash = hash};
    CHECK_OK(audit_append(l.a, &r, &l.r.pos, &l.why), l.why);
    CHECK_OK(audit_checkpoint(l.a, true, &l.why), l.why);
    hash[0] = 8;
    r.manifest_seq = 42;
    r.key_serial = 6;
    CHECK_OK(audit_append(l.a, &r, &l.r.pos, &l.why), l.why);
    log_lines(&l, 3);
    log_crash(&l);
    CHECK_OK(log_open(&l), l.why);
    audit_anchor(l.a, &seq, got);
    CHECK_INT(seq, 42);
    CHECK(memcmp(got, hash, 16) == 0);
    CHECK_INT(audit_key_serial(l.a), 6);
    log_end(&l);
}

TEST(reading_gives_lines_after_a_number_up_to_the_limits)
{
    struct log l;
    log_setup(&l);
    l.max_bytes = 100000;
    struct audit_env env = log_env(&l);
    CHECK_OK(audit_create(&env, &l.a, &l.why), l.why);
    log_lines(&l, 3000);
    uint64_t all = audit_seq(l.a);
    static const uint64_t after[] = {0, 1, 250, 1024, 2047, 2999};
    for (size_t i = 0; i < COUNT(after); i++) {
        AUTO(buf_free) struct buf out = {.max = 1 << 20};
        uint64_t seq;
        CHECK_OK(audit_read(l.a, after[i], 5, &out, &l.why), l.why);
        for (unsigned k = 0; k < 5 && after[i] + k < all; k++) {
            CHECK(audit_line_seq(log_line(buf_view(&out), k), &seq));
            CHECK_INT(seq, after[i] + k + 1);
        }
    }
    AUTO(buf_free) struct buf none = {0}, some = {.max = 1000}, tiny = {.max = 10};
    CHECK_OK(audit_read(l.a, all, 5, &none, &l.why), l.why);
    CHECK_OK(audit_read(l.a, UINT64_MAX, 5, &none, &l.why), l.why);
    CHECK_OK(audit_read(l.a, 0, 0, &none, &l.why), l.why);
    CHECK_INT(none.len, 0);
    CHECK_OK(audit_read(l.a, 0, 100, &some, &l.why), l.why);
    CHECK(some.len > 500 && some.len <= 1000 && some.p[some.len - 1] == '\n');
    CHECK_INT(audit_read(l.a, 0, 100, &tiny, &l.why), ERR_TOO_LARGE);
    log_end(&l);
}

TEST(a_hundred_thousand_lines_verify)
{
    struct log l;
    log_setup(&l);
    l.max_bytes = 8 << 20;
    struct audit_env env = log_env(&l);
    CHECK_OK(audit_create(&env, &l.a, &l.why), l.why);
    log_lines(&l, 100000);
    log_check_good(&l);
    int64_t from = clock_boot_ms();
    log_crash(&l); /* replays less than a checkpoint's worth, whatever the log's size */
    CHECK_OK(log_open(&l), l.why);
    CHECK(clock_boot_ms() - from < 2000);
    log_lines(&l, 10);
    log_check_good(&l);
    log_end(&l);
}
