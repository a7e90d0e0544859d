/* Opening the log after everything that can have happened to it: a crash is normal, any other difference is told. */
#include "audit_rig.h"

#include "vault/audit_log.h"

static const char first[] = "audit-000001.jsonl", second[] = "audit-000002.jsonl";

TEST(a_crash_between_state_and_lines_is_normal)
{
    struct log l;
    log_begin(&l);
    for (unsigned i = 0; i < 5; i++) {
        log_lines(&l, i * 300);
        log_crash(&l);
        CHECK_OK(log_open(&l), l.why);
    }
    log_lines(&l, 1);
    log_check_good(&l);
    log_end(&l);
}

TEST(a_torn_last_line_is_cut_off_and_recorded)
{
    struct log l;
    log_begin(&l);
    log_lines(&l, 20);
    log_crash(&l);
    AUTO(buf_free) struct buf b = rig_read(&l.r, first);
    log_rewrite(&l, first, VIEW(b.p, b.len - 100));
    CHECK_OK(log_open(&l), l.why);
    log_flush(&l);
    log_check_good(&l);
    AUTO(buf_free) struct buf out = {0};
    CHECK_OK(audit_read(l.a, 19, 10, &out, &l.why), l.why);
    CHECK(strstr(buf_text(&out), "\"event\":\"audit.recovered\",\"outcome\":\"ok\",\"count\":"));
    CHECK(faccessat(l.r.dirfd, second, F_OK, 0) != 0);
    log_end(&l);
}

/* The log has 30 lines, of which the state knows 10 or all; `damage` makes other bytes of them. */
struct damage {
    const char *name;
    err_t after_state, in_state; /* what audit_open says: the damage behind, or within what the state knows */
    void (*make)(struct view in, struct buf *out);
};

static void add_lines(struct view in, unsigned from, unsigned to, struct buf *out)
{
    for (unsigned i = from; i < to; i++)
        buf_add_view(out, log_line(in, i));
}

static void edit(struct view in, struct buf *out)
{
    buf_add_view(out, in);
    uint8_t *at = memmem(out->p + (log_line(in, 20).p - in.p), 300, "gateway", 7);
    CHECK(at);
    at[0] = 'x';
}

static void edit_mac(struct view in, struct buf *out)
{
    buf_add_view(out, in);
    struct view line = log_line(in, 20);
    uint8_t *at = out->p + (line.p - in.p) + line.n - 10;
    *at = *at == '0' ? '1' : '0';
}

/* of the last line that the state knows, so no later line would show it */
static void edit_last_mac(struct view in, struct buf *out)
{
    buf_add_view(out, in);
    struct view line = log_line(in, 29);
    uint8_t *at = out->p + (line.p - in.p) + line.n - 10;
    *at = *at == '0' ? '1' : '0';
}

static void remove_one(struct view in, struct buf *out)
{
    add_lines(in, 0, 20, out);
    add_lines(in, 21, 30, out);
}

static void swap_two(struct view in, struct buf *out)
{
    add_lines(in, 0, 20, out);
    add_lines(in, 21, 22, out);
    add_lines(in, 20, 21, out);
    add_lines(in, 22, 30, out);
}

static void insert_text(struct view in, struct buf *out)
{
    add_lines(in, 0, 20, out);
    buf_add_str(out, "{\"something\":\"else\"}\n");
    add_lines(in, 20, 30, out);
}

static void repeat_forged(struct view in, struct buf *out)
{
    add_lines(in, 0, 25, out);
    size_t at = out->len;
    add_lines(in, 20, 21, out);
    out->p[at + 60] ^= 1;
    add_lines(in, 25, 30, out);
}

static void no_newline(struct view in, struct buf *out)
{
    buf_add_view(out, in);
    struct view line = log_line(in, 20);
    out->p[(size_t)(line.p - in.p) + line.n - 1] = ' ';
}

static void zeros(struct view in, struct buf *out)
{
    static const uint8_t nothing[5000];
    add_lines(in, 0, 20, out);
    buf_add(out, nothing, sizeof(nothing));
    buf_put_u8(out, '\n');
    add_lines(in, 20, 30, out);
}

static void huge_number(struct view in, struct buf *out)
{
    add_lines(in, 0, 20, out);
    struct view line = log_line(in, 20);
    buf_add_str(out, "{\"seq\":999999999999999999,");
    buf_add(out, line.p + 10, line.n - 10);
    add_lines(in, 21, 30, out);
}

static void cut_whole_lines(struct view in, struct buf *out)
{
    add_lines(in, 0, 20, out);
}

static void empty(struct view in, struct buf *out)
{
    (void)in;
    (void)out;
}

static const struct damage damages[] = {
    {"edit", ERR_CORRUPT, ERR_OK, edit},
    {"edit_mac", ERR_CORRUPT, ERR_OK, edit_mac},
    {"edit_last_mac", ERR_CORRUPT, ERR_CORRUPT, edit_last_mac},
    {"remove_one", ERR_ROLLBACK, ERR_OK, remove_one},
    {"swap_two", ERR_ROLLBACK, ERR_OK, swap_two},
    {"insert_text", ERR_CORRUPT, ERR_OK, insert_text},
    {"repeat_forged", ERR_CORRUPT, ERR_OK, repeat_forged},
    {"no_newline", ERR_CORRUPT, ERR_OK, no_newline},
    {"zeros", ERR_CORRUPT, ERR_OK, zeros},
    {"huge_number", ERR_CORRUPT, ERR_CORRUPT, huge_number},
    {"cut_whole_lines", ERR_OK, ERR_ROLLBACK, cut_whole_lines},
    {"empty", ERR_ROLLBACK, ERR_ROLLBACK, empty},
};

static void lines_and_damage(struct log *l, const struct damage *d, bool in_state)
{
    log_begin(l);
    log_lines(l, 9);
    CHECK_OK(audit_checkpoint(l->a, true, &l->why), l->why); /* line 10 */
    log_lines(l, in_state ? 19 : 20);
    if (in_state)
        CHECK_OK(audit_checkpoint(l->a, true, &l->why), l->why);
    log_flush(l);
    log_crash(l);
    AUTO(buf_free) struct buf b = rig_read(&l->r, first), out = {0};
    d->make(buf_view(&b), &out);
    log_rewrite(l, first, buf_view(&out));
}

/* Whatever the damage: told with a line, recorded, service under suspicion until accepted, and the chain goes on behind it. */
static void check_suspicion(struct log *l, err_t want)
{
    CHECK(l->a);
    CHECK(strstr(l->why.text, "line "));
    CHECK(l->a->suspect);
    log_lines(l, 3);
    log_close(l);
    CHECK(log_open(l) != ERR_OK); /* still, though nothing new was found */
    CHECK(l->a && l->a->suspect);
    log_crash(l);
    CHECK(log_open(l) != ERR_OK);
    log_event_of(l, AUDIT_STORE_ACCEPT, ERR_OK);
    CHECK(!l->a->suspect);
    log_flush(l);
    log_crash(l);
    CHECK_OK(log_open(l), l->why);
    log_lines(l, 3);
    log_close(l);
    CHECK_OK(log_open(l), l->why);
    AUTO(buf_free) struct buf out = {0};
    CHECK_OK(audit_read(l->a, 0, 1000, &out, &l->why), l->why);
    char sentence[80];
    (void)snprintf(sentence, sizeof(sentence), "\"event\":\"audit.recovered\",\"outcome\":\"error\",\"reason\":\"%s\"", err_wire(want));
    CHECK(strstr(buf_text(&out), sentence));
}

TEST(damage_behind_the_state_is_found_told_and_survived)
{
    for (size_t i = 0; i < COUNT(damages); i++) {
        struct log l;
        lines_and_damage(&l, &damages[i], false);
        err_t e = log_open(&l);
        if (e != damages[i].after_state)
            printf("    %s: %s\n", damages[i].name, l.why.text);
        CHECK_INT(e, damages[i].after_state);
        if (e != ERR_OK)
            check_suspicion(&l, e);
        log_end(&l);
    }
}

TEST(lines_that_the_state_knows_cannot_be_cut_off)
{
    for (size_t i = 0; i < COUNT(damages); i++) {
        struct log l;
        lines_and_damage(&l, &damages[i], true);
        err_t e = log_open(&l);
        if (e != damages[i].in_state)
            printf("    %s: %s\n", damages[i].name, l.why.text);
        CHECK_INT(e, damages[i].in_state);
        if (e != ERR_OK)
            check_suspicion(&l, e);
        else if (damages[i].after_state != ERR_OK) /* the vault forgot those keys; the auditor did not */
            CHECK(log_verify(&l).first_bad_seq > 0);
        log_end(&l);
    }
}

/* Every byte of every line counts: one bit anywhere behind the state is found here, anywhere at all by the auditor. */
TEST(one_bit_anywhere_is_found)
{
    struct log l;
    log_begin(&l);
    log_lines(&l, 4);
    CHECK_OK(audit_checkpoint(l.a, true, &l.why), l.why);
    log_lines(&l, 4);
    log_crash(&l);
    AUTO(buf_free) struct buf b = rig_read(&l.r, first), s = rig_read(&l.r, "audit.state");
    size_t behind = (size_t)(log_line(buf_view(&b), 5).p - b.p);
    for (size_t at = 3; at < b.len - 1; at += 41) {
        b.p[at] ^= 1;
        log_rewrite(&l, first, buf_view(&b));
        CHECK(log_verify(&l).first_bad_seq > 0);
        if (at >= behind) {
            err_t e = log_open(&l);
            CHECK(e == ERR_CORRUPT || e == ERR_ROLLBACK);
            log_crash(&l);
            CHECK_INT(unlinkat(l.r.dirfd, second, 0), 0);
            log_rewrite(&l, "audit.state", buf_view(&s));
        }
        b.p[at] ^= 1;
    }
    log_rewrite(&l, first, buf_view(&b));
    CHECK_OK(log_open(&l), l.why);
    log_check_good(&l);
    log_end(&l);
}

TEST(exact_repeats_at_a_segments_border_are_dropped)
{
    struct log l;
    log_begin(&l);
    log_lines(&l, 20);
    log_crash(&l);
    AUTO(buf_free) struct buf b = rig_read(&l.r, first), out = {0};
    add_lines(buf_view(&b), 15, 20, &out);
    CHECK_OK(file_write_atomic_at(l.r.dirfd, second, buf_view(&out), 0600, &l.why), l.why);
    log_rewrite(&l, first, VIEW(b.p, b.len - 30)); /* and the first has a torn end */
    CHECK_OK(log_open(&l), l.why);
    CHECK_INT(audit_seq(l.a), 20);
    log_lines(&l, 5);
    log_check_good(&l);
    AUTO(buf_free) struct buf read = {0};
    CHECK_OK(audit_read(l.a, 0, 100, &read, &l.why), l.why);
    uint64_t seq;
    for (unsigned i = 0; i < 25; i++)
        CHECK(audit_line_seq(log_line(buf_view(&read), i), &seq) && seq == i + 1);
    log_end(&l);
}

TEST(a_lost_state_begins_a_new_chain_under_suspicion)
{
    static const char *const how[] = {"removed", "garbage", "another key"};
    for (size_t i = 0; i < COUNT(how); i++) {
        struct log l;
        log_begin(&l);
        log_lines(&l, 12);
        log_crash(&l);
        if (i == 0)
            CHECK_INT(unlinkat(l.r.dirfd, "audit.state", 0), 0);
        else if (i == 1)
            log_rewrite(&l, "audit.state", VIEW("garbage", 7));
        else
            secret_edit(l.seal)[0] ^= 1;
        CHECK_INT(log_open(&l), ERR_CORRUPT);
        CHECK(l.a && l.a->suspect);
        CHECK(strstr(l.why.text, "line 13 (auditor-13.key)"));
        CHECK_INT(audit_seq(l.a), 14); /* audit.recovered and a checkpoint */
        CHECK(faccessat(l.r.dirfd, "auditor-13.key", F_OK, 0) == 0);
        CHECK(faccessat(l.r.dirfd, "audit-13.pub", F_OK, 0) == 0);
        log_event_of(&l, AUDIT_STORE_ACCEPT, ERR_OK);
        log_close(&l);
        CHECK_OK(log_open(&l), l.why);
        log_end(&l);
    }
}

TEST(a_log_that_is_all_gone_is_a_rollback_or_worse)
{
    struct log l;
    log_begin(&l);
    log_lines(&l, 12);
    CHECK_OK(audit_checkpoint(l.a, true, &l.why), l.why);
    log_flush(&l);
    log_crash(&l);
    CHECK_INT(unlinkat(l.r.dirfd, first, 0), 0);
    CHECK_INT(log_open(&l), ERR_ROLLBACK);
    CHECK_INT(audit_seq(l.a), 15); /* 12, the checkpoint, audit.recovered and its checkpoint: no number is given twice */
    log_end(&l);
}

TEST(two_writers_never_meet)
{
    struct log l, old;
    log_begin(&l);
    log_lines(&l, 3);
    CHECK_INT(kill(l.r.writer, SIGSTOP), 0);
    log_event_of(&l, AUDIT_STOP, ERR_OK);
    old = l; /* the vault is killed; its writer is stuck in the middle of draining */
    audit_free(TAKE(l.a));
    l.r.writer = 0;
    (void)rig_end_vault(&l.r);
    rig_start_writer(&l.r);
    int64_t from = clock_boot_ms();
    CHECK_INT(log_open(&l), ERR_UNAVAILABLE);
    CHECK(clock_boot_ms() - from < 1500);
    CHECK(!l.a);
    CHECK_INT(kill(old.r.writer, SIGCONT), 0);
    CHECK_OK(log_open(&l), l.why); /* waits for it */
    CHECK_INT(audit_seq(l.a), 4);
    log_lines(&l, 3);
    log_check_good(&l);
    (void)waitpid(old.r.writer, NULL, 0);
    log_end(&l);
}
