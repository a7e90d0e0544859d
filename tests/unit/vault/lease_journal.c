/* vault/lease_journal.c: the layout on disk, generations, and what a failing sink leaves. */
#include "lease_rig.h"

static struct journal j;

static void open_journal(void)
{
    struct leases_env env = rig_env();
    journal_init(&j, &env);
}

static size_t segment(const char *name, uint8_t *out, size_t cap)
{
    int fd = openat(tape.dirfd, name, O_RDONLY);
    ssize_t n = fd >= 0 ? read(fd, out, cap) : -1;
    close(fd);
    return n < 0 ? 0 : (size_t)n;
}

TEST(entries_lie_on_disk_as_documented)
{
    uint8_t text[1024];
    struct lease_node n = {.serial = 9, .lease = {.consumer = "a", .credential = "bc", .prefix = "p", .file = "", .uid = 5, .pid = 6}};
    rig_up();
    open_journal();
    CHECK_OK(journal_put(&j, &n, &why), why);
    CHECK_INT(n.generation, 1);
    struct cursor c = cursor_of(VIEW(text, segment("leases-000001.journal", text, sizeof(text))));
    uint16_t len = get_u16(&c), check = get_u16(&c);
    CHECK_INT(len ^ check, 0xffff);
    CHECK_INT(len, 25 + 1 + 16 + 8 + 8 + 32 + 32);
    CHECK_INT(get_u8(&c), JOURNAL_HEAD);
    CHECK_INT(get_u64(&c), 1);
    CHECK_INT(get_u64(&c), 1);
    CHECK((int64_t)get_u64(&c) <= clock_wall_ms() + 1); /* two clocks, each cut to whole ms */
    CHECK_INT(get_u8(&c), JOURNAL_FORMAT);
    CHECK_INT(get_bytes(&c, 16).p[0], 1);
    CHECK(get_u64(&c) == 0 && get_u64(&c) == 0);
    (void)get_bytes(&c, 32 + 32);
    len = get_u16(&c);
    (void)get_u16(&c);
    CHECK_INT(len, 25 + 16 + 3 + 4 + 3 + 2 + 2 + 6 * 8 + 8 + 16 + 32 + 32);
    CHECK_INT(get_u8(&c), JOURNAL_PUT);
    CHECK_INT(get_u64(&c), 1);
    CHECK_INT(get_u64(&c), 2);
    (void)get_bytes(&c, 8 + 16);
    CHECK(view_is(get_str16(&c), "a") && view_is(get_str16(&c), "bc"));
    (void)get_bytes(&c, (size_t)len - 25 - 16 - 3 - 4);
    CHECK(cursor_done(&c));
    journal_clear(&j);
    rig_done();
}

TEST(a_failed_append_begins_a_generation)
{
    struct lease_node n = {.serial = 1};
    rig_up();
    open_journal();
    CHECK_OK(journal_put(&j, &n, &why), why);
    for (int works = 0; works < 3; works++) { /* roll, HEAD and the entry itself fail in turn */
        uint64_t generation = j.generation;
        tape.fail_after = 0;
        CHECK_INT(journal_tick(&j, &why), ERR_AUDIT);
        CHECK(!j.open);
        tape.fail_after = works;
        CHECK_INT(journal_tick(&j, &why), ERR_AUDIT);
        CHECK(!j.open);
        tape.fail_after = -1;
        CHECK_OK(journal_tick(&j, &why), why);
        CHECK(j.open && j.generation > generation && j.entries == 2 && !j.done);
    }
    journal_clear(&j);
    struct lease_table t = {0};
    open_journal();
    CHECK_OK(journal_replay(&j, &t, &why), why); /* the links hold across all of them */
    CHECK_INT(t.live, 1);
    struct lease_node *found = table_after(&t, 0);
    table_remove(&t, found);
    free(found);
    table_free(&t);
    journal_clear(&j);
    rig_done();
}

TEST(done_and_expired_never_begin_a_generation)
{
    rig_up();
    open_journal();
    CHECK_INT(journal_done(&j, &why), ERR_CONFLICT);
    CHECK_INT(journal_expired(&j, 1, &why), ERR_CONFLICT);
    CHECK_INT(tape.rolls, 0);
    journal_clear(&j);
    rig_done();
}

TEST(older_segments_go_only_when_done_is_durable)
{
    struct lease_node n = {.serial = 1};
    uint8_t byte[512];
    rig_up();
    open_journal();
    CHECK_OK(journal_put(&j, &n, &why), why);
    CHECK_OK(journal_begin(&j, &why), why);
    journal_tidy(&j);
    CHECK(segment("leases-000001.journal", byte, sizeof(byte)) > 0); /* not done */
    CHECK_OK(journal_put(&j, &n, &why), why);
    CHECK_OK(journal_done(&j, &why), why);
    tape.durable_lag = 1;
    journal_tidy(&j);
    CHECK(segment("leases-000001.journal", byte, sizeof(byte)) > 0); /* not durable */
    CHECK(!j.tidy);
    tape.durable_lag = 0;
    journal_tidy(&j);
    CHECK(j.tidy && segment("leases-000001.journal", byte, sizeof(byte)) == 0);
    CHECK(segment("leases-000002.journal", byte, sizeof(byte)) > 0);
    journal_clear(&j);
    rig_done();
}

TEST(segment_numbers_go_on_from_the_highest_there_is)
{
    struct lease_node n = {.serial = 1};
    rig_up();
    close(openat(tape.dirfd, "leases-000041.journal", O_CREAT | O_WRONLY, 0600));
    close(openat(tape.dirfd, "leases-1000006.corrupt", O_CREAT | O_WRONLY, 0600));
    open_journal();
    CHECK_OK(journal_put(&j, &n, &why), why);
    CHECK_STR(tape.name, "leases-1000007.journal");
    CHECK_INT(j.generation, 1000007);
    journal_clear(&j);
    rig_done();
}

TEST(the_wall_clock_never_goes_back)
{
    rig_up();
    open_journal();
    CHECK_OK(journal_tick(&j, &why), why);
    int64_t high = journal_wall_ms(&j);
    moved.wall -= 1000000;
    CHECK_OK(journal_tick(&j, &why), why);
    CHECK(journal_wall_ms(&j) >= high && j.wall_high >= high);
    moved.wall += 3000000;
    CHECK(journal_wall_ms(&j) >= high + 1900000);
    journal_clear(&j);
    rig_done();
}
