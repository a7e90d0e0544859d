/* Offline verification: a good log in all its lawful forms, and every way of changing one. */
#include "unit/crypto/help.h"

#include "crypto/verify.h"

#include <fcntl.h>
#include <sys/stat.h>

struct log { /* lines as the vault writes them; a checkpoint each tenth */
    struct secret *k0, *sk;
    uint8_t pk[CHAIN_PK];
    struct chain chain;
    struct buf text;
    size_t at[64]; /* where line i begins, i from 1 */
    unsigned n;
    uint8_t id[16]; /* that checkpoints name */
};

static void log_free(struct log *l)
{
    secret_free(l->k0);
    secret_free(l->sk);
    chain_clear(&l->chain);
    buf_free(&l->text);
}

/* `line` without its mac: chained and appended */
static void write_line(struct log *l, const struct buf *line)
{
    uint8_t mac[CHAIN_MAC];
    char hex[2 * CHAIN_MAC + 1];
    chain_next(&l->chain, buf_view(line), mac);
    hex_encode(mac, CHAIN_MAC, hex);
    buf_add(&l->text, line->p, line->len - 1);
    buf_add_fmt(&l->text, ",\"mac\":\"%s\"}\n", hex);
}

static void add_plain(struct log *l)
{
    AUTO(buf_free) struct buf line = {0};
    buf_add_fmt(&line, "{\"seq\":%u,\"event\":\"lease.issue\"}", (unsigned)l->chain.seq);
    write_line(l, &line);
}

static void add_line(struct log *l)
{
    AUTO(buf_free) struct buf line = {0};
    uint8_t sig[CHAIN_SIG];
    char hex[2 * CHAIN_SIG + 1];
    unsigned seq = (unsigned)l->chain.seq;
    buf_add_fmt(&line, "{\"seq\":%u,\"time\":\"2026-01-01T00:00:00.000Z\",\"event\":\"%s\"", seq,
                seq % 10 ? "lease.issue" : "audit.checkpoint");
    if (seq % 10 == 0) {
        sign_checkpoint(l->sk, l->id, seq, l->chain.digest, sig);
        hex_encode(l->id, 16, hex);
        buf_add_fmt(&line, ",\"log\":\"%s\"", hex);
        hex_encode(sig, CHAIN_SIG, hex);
        buf_add_fmt(&line, ",\"sig\":\"%s\"", hex);
    }
    buf_add_str(&line, "}");
    l->at[seq] = l->text.len;
    write_line(l, &line);
    l->at[seq + 1] = l->text.len;
    l->n = seq;
}

static void make(struct log *l, unsigned lines)
{
    *l = (struct log){.k0 = key_of(1), .id = {0xab}};
    CHECK_INT(sign_keypair(l->pk, &l->sk), ERR_OK);
    CHECK_INT(chain_start(l->k0, &l->chain), ERR_OK);
    while (lines--)
        add_line(l);
}

static struct view lines(const struct log *l, unsigned from, unsigned to) /* both included */
{
    return VIEW(l->text.p + l->at[from], l->at[to + 1] - l->at[from]);
}

/* up to four segments, with both keys */
static struct verify_verdict run(const struct log *l, const struct view seg[], unsigned n)
{
    AUTO(verify_free) struct verifier v = {0};
    CHECK_INT(verify_begin(&(struct verify_keys){l->k0, l->pk, 0}, &v), ERR_OK);
    for (unsigned i = 0; i < n; i++) {
        verify_feed(&v, seg[i]);
        verify_segment_end(&v);
    }
    verify_end(&v);
    CHECK((v.verdict.bad == 0) == (v.verdict.first_bad_seq == 0) &&
          (v.verdict.bad == 0) == (v.verdict.problem[0] == '\0'));
    return v.verdict;
}

static struct verify_verdict run_one(const struct log *l, struct view bytes)
{
    return run(l, &bytes, 1);
}

TEST(a_good_log_verifies)
{
    AUTO(log_free) struct log l;
    make(&l, 25);
    struct verify_verdict v = run_one(&l, buf_view(&l.text));
    CHECK_STR(v.problem, "");
    CHECK(v.lines == 25 && v.checkpoints == 2 && v.last_checkpoint_seq == 20 &&
          v.first_bad_seq == 0);
    CHECK(v.macs_checked && v.signatures_checked);
}

TEST(pieces_of_any_size_make_the_same_log)
{
    AUTO(log_free) struct log l;
    make(&l, 12);
    for (size_t piece = 1; piece < 300; piece += 7) {
        AUTO(verify_free) struct verifier v = {0};
        CHECK_INT(verify_begin(&(struct verify_keys){l.k0, l.pk, 1}, &v), ERR_OK);
        for (size_t at = 0; at < l.text.len; at += piece)
            verify_feed(&v, VIEW(l.text.p + at, l.text.len - at < piece ? l.text.len - at : piece));
        verify_end(&v);
        CHECK(v.verdict.lines == 12 && v.verdict.first_bad_seq == 0);
    }
}

static bool both_keys(struct view bytes, void *ctx)
{
    const struct log *l = ctx;
    struct verify_verdict v = run_one(l, bytes);
    return v.first_bad_seq == 0 && v.lines == l->n;
}

TEST(every_flip_and_cut_shows_with_the_auditors_key)
{
    AUTO(log_free) struct log l;
    make(&l, 11);
    CHECK(both_keys(buf_view(&l.text), &l));
    CHECK_INT(flips_accepted(buf_view(&l.text), both_keys, &l), 0);
    CHECK_INT(cuts_accepted(buf_view(&l.text), both_keys, &l), 0);
}

static bool public_only(struct view bytes, void *ctx)
{
    const struct log *l = ctx;
    AUTO(verify_free) struct verifier v = {0};
    CHECK_INT(verify_begin(&(struct verify_keys){.pk = l->pk}, &v), ERR_OK);
    verify_feed(&v, bytes);
    verify_segment_end(&v);
    verify_end(&v);
    return v.verdict.first_bad_seq == 0 && v.verdict.checkpoints == 1;
}

/* with the public key alone: every bit before the last checkpoint, and its signature */
TEST(every_flip_before_a_checkpoint_shows_with_the_public_key)
{
    AUTO(log_free) struct log l;
    make(&l, 10);
    CHECK(public_only(buf_view(&l.text), &l));
    CHECK_INT(flips_accepted(lines(&l, 1, 9), public_only, &l), 0);
    for (size_t bit = 0; bit < 8 * l.at[10]; bit++) {
        l.text.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
        CHECK(!public_only(buf_view(&l.text), &l));
        l.text.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

TEST(a_removed_doubled_or_moved_line_shows)
{
    AUTO(log_free) struct log l;
    make(&l, 12);
    struct view removed[] = {lines(&l, 1, 4), lines(&l, 6, 12)};
    struct view moved[] = {lines(&l, 1, 4), lines(&l, 6, 6), lines(&l, 5, 5), lines(&l, 7, 12)};
    struct view beginning[] = {lines(&l, 2, 12)};
    struct verify_verdict v = run(&l, removed, 2);
    CHECK_INT(v.first_bad_seq, 5);
    CHECK_STR(v.problem, "line 5 is missing: line 6 follows");
    CHECK_INT(run(&l, moved, 4).first_bad_seq, 5);
    CHECK_INT(run(&l, beginning, 1).first_bad_seq, 1);
}

TEST(a_line_of_another_log_shows)
{
    AUTO(log_free) struct log a, b;
    make(&a, 12), make(&b, 12);
    b.text.p[b.at[5] + 30] ^= 1; /* not the same lines */
    struct view mixed[] = {lines(&a, 1, 4), lines(&b, 5, 12)};
    CHECK_INT(run(&a, mixed, 2).first_bad_seq, 5);
    struct view cp[] = {lines(&a, 1, 9), lines(&b, 10, 12)}; /* another signing key */
    CHECK_INT(run(&a, cp, 2).first_bad_seq, 10);
}

/* after an I/O error the writer writes again what was not durable */
/* also to one who has the auditor's key and not the public one */
TEST(a_checkpoint_of_another_log_shows)
{
    AUTO(log_free) struct log l;
    make(&l, 15);
    l.id[0] ^= 1;
    while (l.n < 25)
        add_line(&l);
    for (int with_pk = 0; with_pk < 2; with_pk++) {
        AUTO(verify_free) struct verifier v = {0};
        CHECK_INT(verify_begin(&(struct verify_keys){l.k0, with_pk ? l.pk : NULL, 0}, &v), ERR_OK);
        verify_feed(&v, buf_view(&l.text));
        verify_segment_end(&v);
        verify_end(&v);
        CHECK_INT(v.verdict.first_bad_seq, 20);
        CHECK_STR(v.verdict.problem, "checkpoint 20 is of another log");
    }
}

TEST(exact_repeats_are_dropped_and_others_are_not)
{
    AUTO(log_free) struct log l;
    make(&l, 12);
    struct view repeat[] = {lines(&l, 1, 8), lines(&l, 5, 12)};
    struct verify_verdict v = run(&l, repeat, 2);
    CHECK(v.first_bad_seq == 0 && v.lines == 12 && v.checkpoints == 1);
    AUTO(buf_free) struct buf other = {0};
    buf_add_view(&other, lines(&l, 5, 12));
    other.p[40] ^= 1;
    struct view changed[] = {lines(&l, 1, 8), buf_view(&other)};
    v = run(&l, changed, 2);
    CHECK_INT(v.first_bad_seq, 5);
    CHECK_STR(v.problem, "line 5 stands here again, and is not the same");
}

TEST(a_repeat_in_the_middle_of_a_segment_is_refused)
{
    AUTO(log_free) struct log l;
    make(&l, 12);
    struct view two[] = {lines(&l, 1, 8), lines(&l, 7, 12)};
    CHECK_INT(run(&l, two, 2).bad, 0);
    AUTO(buf_free) struct buf one = {0};
    buf_add_view(&one, two[0]);
    buf_add_view(&one, two[1]);
    struct view joined[] = {buf_view(&one)};
    struct verify_verdict v = run(&l, joined, 1);
    CHECK(v.bad == 2 && v.first_bad_seq == 7);
    CHECK_STR(v.problem, "line 7 stands here again, in the middle of a segment");
}

/* more lines than the window: a repeat inside it is known, one from before it is refused */
TEST(the_window_of_repeats_goes_round)
{
    AUTO(log_free) struct log l;
    AUTO(buf_free) struct buf first = {0}, last = {0};
    make(&l, 1);
    buf_add_view(&first, buf_view(&l.text));
    AUTO(verify_free) struct verifier v = {0};
    CHECK_INT(verify_begin(&(struct verify_keys){.k0 = l.k0, .pk = l.pk}, &v), ERR_OK);
    verify_feed(&v, buf_view(&first));
    while (l.chain.seq <= VERIFY_WINDOW + 20) {
        l.text.len = 0;
        add_plain(&l);
        verify_feed(&v, buf_view(&l.text));
        if (l.chain.seq == VERIFY_WINDOW + 10)
            buf_add_view(&last, buf_view(&l.text));
    }
    verify_segment_end(&v);
    verify_feed(&v, buf_view(&last));
    CHECK(v.verdict.lines == VERIFY_WINDOW + 20 && v.verdict.bad == 0);
    verify_feed(&v, buf_view(&first));
    CHECK(v.verdict.lines == VERIFY_WINDOW + 20 && v.verdict.bad == 1 &&
          v.verdict.first_bad_seq == 1);
}

TEST(a_torn_end_is_lawful_only_when_the_line_follows)
{
    AUTO(log_free) struct log l;
    make(&l, 12);
    struct view torn = VIEW(l.text.p, l.at[8] + 20),
                longer = VIEW(l.text.p + l.at[7], l.at[8] - l.at[7] + 33);
    struct view good[] = {torn, lines(&l, 6, 12)}, twice[] = {torn, longer, lines(&l, 8, 12)};
    struct view cut[] = {torn}, missing[] = {torn, lines(&l, 9, 12)};
    CHECK_INT(run(&l, good, 2).first_bad_seq, 0);
    CHECK_INT(run(&l, twice, 3).first_bad_seq, 0);
    struct verify_verdict v = run(&l, cut, 1);
    CHECK(v.first_bad_seq == 8 && v.lines == 7);
    CHECK_STR(v.problem, "line 8, the last, is cut short");
    CHECK_INT(run(&l, missing, 2).first_bad_seq, 8);
    AUTO(buf_free) struct buf junk = {0};
    buf_add_view(&junk, torn);
    junk.p[junk.len - 1] ^= 1;
    struct view foreign[] = {buf_view(&junk), lines(&l, 8, 12)};
    CHECK_INT(run(&l, foreign, 2).first_bad_seq, 8);
    struct view differ[] = {buf_view(&junk), longer, lines(&l, 8, 12)};
    CHECK_INT(run(&l, differ, 3).first_bad_seq, 8);
}

TEST(an_endless_line_ends_the_verification)
{
    AUTO(log_free) struct log l;
    static uint8_t endless[VERIFY_LINE_MAX + 2];
    make(&l, 2);
    memset(endless, 'x', sizeof(endless));
    struct view seg[] = {lines(&l, 1, 2), VIEW(endless, sizeof(endless))};
    struct verify_verdict v = run(&l, seg, 2);
    CHECK(v.first_bad_seq == 3 && v.lines == 2);
    endless[VERIFY_LINE_MAX + 1] = '\n'; /* as a line between others, it is one finding */
    AUTO(buf_free) struct buf whole = {0};
    buf_add_view(&whole, lines(&l, 1, 1));
    buf_add(&whole, endless, sizeof(endless));
    endless[0] = 'y';
    buf_add(&whole, endless, sizeof(endless));
    buf_add_view(&whole, lines(&l, 2, 2));
    v = run_one(&l, buf_view(&whole));
    CHECK(v.first_bad_seq == 2 && v.bad == 2 && v.lines == 2);
}

/* the lines behind a finding are verified as the vault goes on writing them */
TEST(what_comes_behind_a_changed_line_is_still_verified)
{
    AUTO(log_free) struct log l;
    make(&l, 25);
    l.text.p[l.at[5] + 40] ^= 1;
    struct verify_verdict v = run_one(&l, buf_view(&l.text));
    CHECK(v.first_bad_seq == 5 && v.bad == 3 &&
          v.lines == 22); /* and both checkpoints, which signed another line */
    CHECK_STR(v.problem, "line 5 does not verify: it was changed, or a new chain begins here");
    l.text.p[l.at[15] + 40] ^= 1;
    v = run_one(&l, buf_view(&l.text));
    CHECK(v.first_bad_seq == 5 && v.bad == 4 && v.lines == 21);
}

TEST(what_comes_behind_a_hole_is_still_verified)
{
    AUTO(log_free) struct log l;
    make(&l, 9);
    struct view seg[] = {lines(&l, 1, 3), lines(&l, 6, 9)};
    struct verify_verdict v = run(&l, seg, 2);
    CHECK(v.first_bad_seq == 4 && v.bad == 1 &&
          v.lines == 6); /* 1 to 3, 7 to 9: line 6 links to a lost one */
    l.text.p[l.at[8] + 40] ^= 1;
    CHECK_INT(run(&l, seg, 2).bad, 2);
    struct view late[] = {lines(&l, 1, 3), lines(&l, 6, 7), lines(&l, 4, 5)};
    CHECK_INT(run(&l, late, 3).bad, 3);
}

/* a vault that goes on behind a hole signs what stands in the log */
TEST(checkpoints_behind_an_accepted_hole_verify)
{
    AUTO(log_free) struct log l;
    make(&l, 3);
    chain_skip(&l.chain, 6);
    while (l.chain.seq <= 12)
        add_line(&l);
    struct verify_verdict v = run_one(&l, buf_view(&l.text));
    CHECK(v.first_bad_seq == 4 && v.bad == 1 && v.checkpoints == 1 && v.lines == 3 + 7);
}

/* two holes that are too large together: the keys are evolved over one of them only */
TEST(the_holes_of_a_log_have_a_limit_together)
{
    AUTO(log_free) struct log l;
    make(&l, 1);
    chain_skip(&l.chain, VERIFY_GAP_MAX - 10);
    add_plain(&l);
    struct verify_verdict v = run_one(&l, buf_view(&l.text));
    CHECK(v.bad == 1 && v.lines == 2);
    chain_skip(&l.chain, l.chain.seq + 20);
    add_plain(&l);
    v = run_one(&l, buf_view(&l.text));
    CHECK(v.bad == 2 && v.lines == 2);
}

TEST(a_number_beyond_the_largest_gap_is_something_else)
{
    AUTO(log_free) struct log l;
    AUTO(buf_free) struct buf far = {0};
    make(&l, 1);
    buf_add_view(&far, buf_view(&l.text));
    buf_add_str(&far, "{\"seq\":18446744073709551615,\"mac\":\"");
    for (int i = 0; i < 64; i++)
        buf_put_u8(&far, '0');
    buf_add_str(&far, "\"}\n");
    struct verify_verdict v = run_one(&l, buf_view(&far));
    CHECK(v.first_bad_seq == 2 && v.bad == 1 && v.lines == 1);
    CHECK_STR(v.problem, "where line 2 is due stands something else");
}

/* state and keys were lost at line 8: a new chain, verified with its own key from there on */
TEST(a_chain_that_began_later_has_its_own_beginning)
{
    AUTO(log_free) struct log l;
    make(&l, 7);
    AUTO(auto_secret) struct secret *k1 = key_of(9);
    chain_clear(&l.chain);
    CHECK_INT(chain_start(k1, &l.chain), ERR_OK);
    l.chain.seq = 8;
    while (l.chain.seq <= 12)
        add_line(&l);
    AUTO(verify_free) struct verifier v = {0};
    CHECK_INT(verify_begin(&(struct verify_keys){k1, l.pk, 8}, &v), ERR_OK);
    verify_feed(&v, view_str("a piece of the earlier chain"));
    verify_segment_end(&v);
    verify_feed(&v, buf_view(&l.text));
    verify_segment_end(&v);
    verify_end(&v);
    CHECK_STR(v.verdict.problem, "");
    CHECK(v.verdict.lines == 5 && v.verdict.bad == 0 && v.verdict.checkpoints == 1);
    CHECK_INT(run_one(&l, buf_view(&l.text)).first_bad_seq, 8);
}

TEST(odd_lines_are_refused)
{
    static const char *const odd[] = {"\n",
                                      "{}\n",
                                      "{\"seq\":01,\n",
                                      "{\"seq\":,\n",
                                      "{\"seq\":18446744073709551616,\n",
                                      "{\"seq\":1,\"mac\":\"00\"}\n",
                                      "{\"seq\":1}\n",
                                      "[\"seq\":1,\n"};
    AUTO(log_free) struct log l;
    make(&l, 1);
    for (size_t i = 0; i < COUNT(odd); i++)
        CHECK_INT(run_one(&l, view_str(odd[i])).first_bad_seq, 1);
}

/* ---- directories */

static int make_dir(char path[32])
{
    strcpy(path, "/tmp/verify-XXXXXX");
    CHECK(mkdtemp(path) != NULL);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(fd >= 0);
    return fd;
}

static void put(int dir, const char *name, struct view bytes)
{
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && write(fd, bytes.p, bytes.n) == (ssize_t)bytes.n);
    close(fd);
}

static void clear_dir(int dir, const char *path, unsigned last)
{
    for (unsigned i = 0; i <= last; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "audit-%06u.jsonl", i);
        (void)unlinkat(dir, name, 0);
    }
    (void)unlinkat(dir, "notes.txt", 0);
    (void)unlinkat(dir, "audit-1.jsonl", 0);
    close(dir);
    (void)rmdir(path);
}

TEST(segments_are_read_in_order_of_their_numbers)
{
    AUTO(log_free) struct log l;
    char path[32];
    struct verify_verdict v;
    struct why w = {0};
    make(&l, 30);
    int dir = make_dir(path);
    CHECK_INT(verify_dir(dir, l.k0, l.pk, &v, &w), ERR_NOT_FOUND);
    put(dir, "audit-000010.jsonl", lines(&l, 21, 30));
    put(dir, "audit-000002.jsonl", lines(&l, 1, 11));
    put(dir, "audit-000003.jsonl", lines(&l, 12, 20)); /* 4 to 9: numbers that were never used */
    put(dir, "notes.txt", view_str("not a segment"));
    put(dir, "audit-1.jsonl", view_str("neither"));
    err_t e = verify_dir(dir, l.k0, l.pk, &v, &w);
    struct verify_verdict gone, nokey;
    err_t e2 = verify_dir(dir, NULL, NULL, &nokey, &w);
    (void)unlinkat(dir, "audit-000003.jsonl", 0);
    err_t e3 = verify_dir(dir, l.k0, l.pk, &gone, &w);
    clear_dir(dir, path, 10);
    CHECK_OK(e, w);
    CHECK(v.lines == 30 && v.checkpoints == 3 && v.first_bad_seq == 0);
    CHECK(e2 == ERR_OK && nokey.lines == 30 && !nokey.macs_checked && !nokey.signatures_checked);
    CHECK(e3 == ERR_OK && gone.first_bad_seq == 12);
}

TEST(a_segment_that_is_no_file_is_an_error)
{
    AUTO(log_free) struct log l;
    char path[32];
    struct verify_verdict v = {.lines = 77};
    make(&l, 1);
    int dir = make_dir(path);
    CHECK(symlinkat("/dev/zero", dir, "audit-000001.jsonl") == 0);
    err_t link = verify_dir(dir, l.k0, l.pk, &v, NULL);
    (void)unlinkat(dir, "audit-000001.jsonl", 0);
    CHECK(mkfifoat(dir, "audit-000001.jsonl", 0600) == 0);
    err_t fifo = verify_dir(dir, l.k0, l.pk, &v, NULL);
    err_t none = verify_dir(-1, l.k0, l.pk, &v, NULL);
    clear_dir(dir, path, 1);
    CHECK(link != ERR_OK && fifo == ERR_INVALID && none != ERR_OK && v.lines == 77);
}
