/* Reading segments: which there are, lines whole and torn, the place of a number in a large file, bytes that are no log. */
#include "vault/audit_log.h"

#include "sink_rig.h"

static void write_file(struct rig *r, uint32_t number, struct view bytes)
{
    char name[AUDIT_NAME];
    audit_segment_name(number, name);
    CHECK_OK(file_write_atomic_at(r->dirfd, name, bytes, 0600, &r->why), r->why);
}

static void add_line(struct buf *b, uint64_t seq)
{
    buf_add_fmt(b, "{\"seq\":%llu,\"x\":\"%0*d\"}\n", (unsigned long long)seq, (int)(seq * 31 % 300) + 1, 0);
}

TEST(segments_are_listed_by_number_and_nothing_else_is)
{
    struct rig r;
    static const char *const other[] = {"audit-00001.jsonl", "audit-0000001.jsonl", "audit-000000.jsonl", "audit-00000x.jsonl",
                                        "audit-000004.jsonl.gz", "Audit-000004.jsonl", "audit.state", "leases-000001.journal"};
    rig_begin(&r, NULL);
    AUTO(audit_segments_free) struct audit_segments s = {0};
    CHECK_OK(audit_segments_list(r.dirfd, &s, &r.why), r.why);
    CHECK_INT(s.n, 0);
    for (size_t i = 0; i < COUNT(other); i++)
        CHECK_OK(file_write_atomic_at(r.dirfd, other[i], VIEW("x", 1), 0600, &r.why), r.why);
    for (uint32_t i = 200; i > 0; i -= 2)
        write_file(&r, i, VIEW("", 0));
    write_file(&r, 999999, VIEW("", 0));
    CHECK_OK(audit_segments_list(r.dirfd, &s, &r.why), r.why);
    CHECK_INT(s.n, 101);
    for (size_t i = 0; i < 100; i++)
        CHECK_INT(s.number[i], 2 * i + 2);
    CHECK_INT(s.number[100], 999999);
    rig_end(&r);
}

TEST(lines_are_given_whole_and_a_torn_end_is_told)
{
    struct rig r;
    struct view line;
    struct audit_reader rd;
    rig_begin(&r, NULL);
    write_file(&r, 1, VIEW("one\n\nthree\nfo", 13));
    CHECK_OK(audit_reader_open(r.dirfd, 1, &rd, &r.why), r.why);
    CHECK(audit_reader_next(&rd, &line) && view_is(line, "one"));
    CHECK(audit_reader_next(&rd, &line) && line.n == 0);
    CHECK(audit_reader_next(&rd, &line) && view_is(line, "three"));
    CHECK(!audit_reader_next(&rd, &line));
    CHECK(rd.torn && !rd.failed);
    CHECK_INT(rd.at, 11);
    CHECK(!audit_reader_next(&rd, &line)); /* again the same */
    audit_reader_seek(&rd, 4);
    CHECK(audit_reader_next(&rd, &line) && line.n == 0);
    audit_reader_close(&rd);
    audit_reader_close(&rd);
    write_file(&r, 1, VIEW("one\n", 4));
    CHECK_OK(audit_reader_open(r.dirfd, 1, &rd, &r.why), r.why);
    CHECK(audit_reader_next(&rd, &line) && !audit_reader_next(&rd, &line));
    CHECK(!rd.torn && rd.at == 4);
    audit_reader_close(&rd);
    CHECK_INT(audit_reader_open(r.dirfd, 2, &rd, &r.why), ERR_NOT_FOUND);
    CHECK_INT(symlinkat("audit-000001.jsonl", r.dirfd, "audit-000002.jsonl"), 0);
    CHECK(audit_reader_open(r.dirfd, 2, &rd, &r.why) != ERR_OK);
    rig_end(&r);
}

TEST(a_line_without_end_is_given_in_pieces)
{
    struct rig r;
    struct view line;
    struct audit_reader rd;
    AUTO(buf_free) struct buf b = {0};
    rig_begin(&r, NULL);
    for (unsigned i = 0; i < 300000; i++)
        buf_put_u8(&b, 'x');
    buf_add_str(&b, "\nlast\n");
    write_file(&r, 1, buf_view(&b));
    CHECK_OK(audit_reader_open(r.dirfd, 1, &rd, &r.why), r.why);
    size_t sum = 0;
    while (audit_reader_next(&rd, &line) && line.n && line.p[0] == 'x')
        sum += line.n;
    CHECK_INT(sum, 300000);
    CHECK(view_is(line, "last"));
    audit_reader_close(&rd);
    rig_end(&r);
}

TEST(a_number_is_found_in_a_large_file)
{
    struct rig r;
    struct audit_reader rd;
    AUTO(buf_free) struct buf b = {.max = 8 << 20};
    rig_begin(&r, NULL);
    for (uint64_t i = 1000; i < 12000; i++)
        if (i % 10 != 3)
            add_line(&b, i);
    write_file(&r, 1, buf_view(&b));
    CHECK_OK(audit_reader_open(r.dirfd, 1, &rd, &r.why), r.why);
    for (uint64_t seq = 0; seq < 12100; seq += 37) {
        struct view line;
        uint64_t got = 0, want = seq < 1000 ? 1000 : seq % 10 == 3 ? seq + 1 : seq;
        bool found = audit_reader_find(&rd, seq);
        CHECK_INT(found, want < 12000);
        if (found) {
            CHECK(audit_reader_next(&rd, &line) && audit_line_seq(line, &got));
            CHECK_INT(got, want);
        }
    }
    audit_reader_close(&rd);
    rig_end(&r);
}

TEST(the_segment_of_a_number_is_the_last_that_begins_before_it)
{
    struct rig r;
    rig_begin(&r, NULL);
    static const uint64_t begins[] = {1, 100, 0, 190, 300}; /* 0: empty */
    for (uint32_t i = 0; i < COUNT(begins); i++) {
        AUTO(buf_free) struct buf b = {0};
        for (uint64_t k = 0; begins[i] && k < 100; k++)
            add_line(&b, begins[i] + k);
        write_file(&r, i + 1, buf_view(&b));
    }
    AUTO(audit_segments_free) struct audit_segments s = {0};
    CHECK_OK(audit_segments_list(r.dirfd, &s, &r.why), r.why);
    static const struct { uint64_t seq; size_t index; } want[] = {{1, 0}, {99, 0}, {100, 1}, {189, 1}, {190, 3}, {299, 3}, {300, 4}, {9999, 4}, {0, 0}};
    for (size_t i = 0; i < COUNT(want); i++)
        CHECK_INT(audit_segments_find(r.dirfd, &s, want[i].seq), want[i].index);

    AUTO(buf_free) struct buf out = {0};
    const struct audit_range range = {.after = 185, .newest = 350, .limit = 20};
    CHECK_OK(audit_log_read(r.dirfd, &range, &out, &r.why), r.why); /* repeats of 190 to 199 come once */
    struct view rest = buf_view(&out);
    for (uint64_t seq = 186, got = 0; seq <= 205; seq++) {
        const uint8_t *end = memchr(rest.p, '\n', rest.n);
        CHECK(end && audit_line_seq(rest, &got));
        CHECK_INT(got, seq);
        rest = VIEW(end + 1, rest.n - (size_t)(end + 1 - rest.p));
    }
    CHECK_INT(rest.n, 0);
    rig_end(&r);
}

/* A line that claims to be far ahead hides nothing. */
TEST(bogus_numbers_hide_no_lines)
{
    struct rig r;
    AUTO(buf_free) struct buf b = {0}, out = {0};
    rig_begin(&r, NULL);
    for (uint64_t i = 1; i <= 50; i++) {
        add_line(&b, i);
        if (i % 10 == 0)
            add_line(&b, 1000000 + i);
    }
    write_file(&r, 1, buf_view(&b));
    const struct audit_range range = {.after = 0, .newest = 50, .limit = 1000};
    CHECK_OK(audit_log_read(r.dirfd, &range, &out, &r.why), r.why);
    unsigned lines = 0;
    for (size_t i = 0; i < out.len; i++)
        lines += out.p[i] == '\n';
    CHECK_INT(lines, 50);
    rig_end(&r);
}

/* Random bytes with newlines and numbers in them: it always ends, and stays within the limits. */
TEST(noise_is_read_to_its_end)
{
    struct rig r;
    uint32_t seed = 7;
    rig_begin(&r, NULL);
    for (unsigned round = 0; round < 40; round++) {
        AUTO(buf_free) struct buf b = {0}, out = {.max = 5000};
        for (unsigned i = 0; i < 3000; i++) {
            seed = seed * 1664525u + 1013904223u;
            if (seed >> 28 == 0)
                add_line(&b, seed >> 16);
            else
                buf_put_u8(&b, seed >> 29 ? (uint8_t)(seed >> 20) : '\n');
        }
        write_file(&r, 1 + round % 3, buf_view(&b));
        const struct audit_range range = {.after = seed >> 20, .newest = 60000, .limit = 50};
        CHECK_OK(audit_log_read(r.dirfd, &range, &out, &r.why), r.why);
        CHECK(out.len <= 5000);
    }
    rig_end(&r);
}
