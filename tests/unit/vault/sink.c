/* The vault's end: appending, waking, health, refusal. The writer is a real one in a child, or none at all. */
#include "sink_rig.h"
#include "vault/sink_ring.h"

static uint64_t appended(struct rig *r, const char *text, bool durable)
{
    rig_append(r, SINK_AUDIT, text);
    sink_flush(r->sink, durable);
    return r->pos;
}

TEST(a_durable_record_is_in_the_file)
{
    struct rig r;
    rig_begin(&r, NULL);
    rig_start_writer(&r);
    CHECK_OK(sink_roll(r.sink, SINK_AUDIT, "audit-000001.jsonl", &r.why), r.why);
    uint64_t pos = appended(&r, "one\n", true);
    CHECK(rig_until(&r, rig_is_durable, 2000));
    CHECK_INT(sink_durable(r.sink), pos);
    CHECK_INT(sink_head(r.sink), pos);
    CHECK(r.progress > 0);
    rig_check_file(&r, "audit-000001.jsonl", "one\n");
    CHECK_OK(sink_health(r.sink, &r.why), r.why);
    rig_end(&r);
}

TEST(what_nobody_waits_for_is_durable_within_100_ms)
{
    struct rig r;
    rig_begin(&r, NULL);
    rig_start_writer(&r);
    CHECK_OK(sink_roll(r.sink, SINK_JOURNAL, "leases-000001.journal", &r.why), r.why);
    rig_append(&r, SINK_JOURNAL, "entry");
    sink_flush(r.sink, false);
    int64_t from = clock_boot_ms();
    CHECK(rig_until(&r, rig_is_durable, 2000));
    CHECK(clock_boot_ms() - from < 1000);
    rig_check_file(&r, "leases-000001.journal", "entry");
    rig_end(&r);
}

TEST(a_record_may_be_empty_or_the_maximum_but_no_more)
{
    struct rig r;
    static char big[SINK_RECORD_MAX + 2];
    memset(big, 'x', sizeof(big) - 1);
    rig_begin(&r, NULL);
    rig_start_writer(&r);
    CHECK_OK(sink_roll(r.sink, SINK_AUDIT, "audit-000001.jsonl", &r.why), r.why);
    uint64_t head = sink_head(r.sink), pos = 7;
    CHECK_INT(sink_append(r.sink, SINK_AUDIT, view_str(big), &pos, &r.why), ERR_TOO_LARGE);
    CHECK_INT(pos, 7);
    CHECK_INT(sink_head(r.sink), head);
    big[SINK_RECORD_MAX] = 0;
    rig_append(&r, SINK_AUDIT, big);
    rig_append(&r, SINK_AUDIT, "");
    sink_flush(r.sink, true);
    CHECK(rig_until(&r, rig_is_durable, 2000));
    AUTO(buf_free) struct buf b = rig_read(&r, "audit-000001.jsonl");
    CHECK_INT(b.len, SINK_RECORD_MAX);
    rig_end(&r);
}

TEST(names_that_leave_the_directory_are_refused)
{
    struct rig r;
    static const char *const bad[] = {"../x", "a/b", ".hidden", "a-name-that-is-longer-than-the-48-bytes-there-are-for-it.jsonl"};
    rig_begin(&r, NULL);
    rig_start_writer(&r);
    for (size_t i = 0; i < COUNT(bad); i++) {
        CHECK_INT(sink_roll(r.sink, SINK_AUDIT, bad[i], &r.why), ERR_INVALID);
        CHECK_INT(sink_replace(r.sink, bad[i], VIEW("x", 1), &r.why), ERR_INVALID);
        CHECK_INT(sink_remove(r.sink, bad[i], &r.why), ERR_INVALID);
    }
    CHECK_INT(sink_replace(r.sink, "", VIEW("x", 1), &r.why), ERR_INVALID);
    CHECK_INT(sink_remove(r.sink, "", &r.why), ERR_INVALID);
    CHECK_INT(sink_head(r.sink), 0);
    rig_end(&r);
}

TEST(a_full_ring_refuses_and_loses_nothing)
{
    struct rig r;
    char text[1024];
    uint64_t n = 0;
    rig_begin(&r, NULL);
    rig_start_writer(&r);
    CHECK_OK(sink_roll(r.sink, SINK_AUDIT, "audit-000001.jsonl", &r.why), r.why);
    CHECK_INT(kill(r.writer, SIGSTOP), 0);
    for (;; n++) {
        (void)snprintf(text, sizeof(text), "%08llu %980s\n", (unsigned long long)n, "");
        if (sink_append(r.sink, SINK_AUDIT, view_str(text), &r.pos, &r.why) != ERR_OK)
            break;
    }
    CHECK_INT(sink_append(r.sink, SINK_AUDIT, view_str(text), &r.pos, &r.why), ERR_AUDIT);
    CHECK(strstr(r.why.text, "too many"));
    CHECK(n * 1000 > SINK_RING_BYTES - 2 * SINK_RECORD_MAX);
    uint64_t head = sink_head(r.sink);
    CHECK(head <= SINK_RING_BYTES);
    CHECK_INT(kill(r.writer, SIGCONT), 0);
    r.pos = head;
    sink_flush(r.sink, true);
    CHECK(rig_until(&r, rig_is_durable, 5000));
    AUTO(buf_free) struct buf b = rig_read(&r, "audit-000001.jsonl");
    CHECK_INT(b.len, n * 990);
    rig_append(&r, SINK_AUDIT, text); /* there is room again */
    rig_end(&r);
}

TEST(a_stuck_writer_is_seen_within_a_second_and_service_resumes_by_itself)
{
    struct rig r;
    uint64_t pos = 0;
    rig_begin(&r, NULL);
    rig_start_writer(&r);
    CHECK_OK(sink_roll(r.sink, SINK_AUDIT, "audit-000001.jsonl", &r.why), r.why);
    (void)appended(&r, "one\n", true);
    CHECK(rig_until(&r, rig_is_durable, 2000));
    CHECK_INT(kill(r.writer, SIGSTOP), 0);
    int64_t from = clock_boot_ms();
    (void)appended(&r, "two\n", true);
    CHECK(rig_is_well(&r));
    CHECK(rig_until(&r, rig_is_sick, 3000));
    int64_t took = clock_boot_ms() - from;
    CHECK(took >= SINK_DEADLINE_MS - 60 && took < 1000);
    CHECK(strstr(r.why.text, "stuck"));
    CHECK_INT(sink_append(r.sink, SINK_AUDIT, VIEW("x", 1), &pos, &r.why), ERR_AUDIT);
    CHECK_INT(kill(r.writer, SIGCONT), 0);
    CHECK(rig_until(&r, rig_is_well, 2000));
    CHECK(rig_is_durable(&r));
    (void)appended(&r, "three\n", true);
    CHECK(rig_until(&r, rig_is_durable, 2000));
    rig_check_file(&r, "audit-000001.jsonl", "one\ntwo\nthree\n");
    rig_end(&r);
}

/* The oldest position counts, however much is appended behind it. */
TEST(a_stuck_writer_is_seen_in_time_under_load)
{
    struct rig r;
    uint64_t pos;
    rig_begin(&r, NULL);
    rig_start_writer(&r);
    CHECK_OK(sink_roll(r.sink, SINK_AUDIT, "audit-000001.jsonl", &r.why), r.why);
    CHECK_INT(kill(r.writer, SIGSTOP), 0);
    int64_t from = clock_boot_ms();
    while (sink_append(r.sink, SINK_AUDIT, VIEW("x\n", 2), &pos, &r.why) == ERR_OK) {
        sink_flush(r.sink, true);
        (void)poll(NULL, 0, 3);
        CHECK(clock_boot_ms() - from < 1000);
    }
    CHECK(clock_boot_ms() - from >= SINK_DEADLINE_MS - 60);
    CHECK_INT(kill(r.writer, SIGCONT), 0);
    rig_end(&r);
}

static bool gone(struct rig *r)
{
    return rig_is_sick(r) && strstr(r->why.text, "not running");
}

TEST(a_dead_writer_is_seen_at_once_and_the_next_one_gets_all)
{
    struct rig r;
    uint64_t pos = 0;
    rig_begin(&r, NULL);
    rig_start_writer(&r);
    CHECK_OK(sink_roll(r.sink, SINK_AUDIT, "audit-000001.jsonl", &r.why), r.why);
    (void)appended(&r, "one\n", true);
    CHECK(rig_until(&r, rig_is_durable, 2000));
    CHECK_INT(kill(r.writer, SIGSTOP), 0);
    (void)appended(&r, "two\n", true);
    rig_kill_writer(&r);
    CHECK(rig_until(&r, gone, 500));
    CHECK_INT(sink_append(r.sink, SINK_AUDIT, VIEW("x", 1), &pos, &r.why), ERR_AUDIT);
    CHECK(!rig_is_durable(&r));
    rig_start_writer(&r);
    CHECK(rig_is_well(&r));
    CHECK(rig_until(&r, rig_is_durable, 2000));
    (void)appended(&r, "three\n", true);
    CHECK(rig_until(&r, rig_is_durable, 2000));
    rig_check_file(&r, "audit-000001.jsonl", "one\ntwo\nthree\n");
    rig_end(&r);
}

TEST(a_writer_that_lies_about_positions_is_not_believed)
{
    struct rig r;
    int pair[2], fd = -1;
    rig_begin(&r, NULL);
    CHECK_OK(ipc_pair(pair, &r.why), r.why);
    CHECK_OK(sink_new(r.loop, pair[0], rig_on_progress, &r, &r.sink, &r.why), r.why);
    AUTO(buf_free) struct buf packet = {0};
    CHECK_OK(ipc_recv(pair[1], &packet, &fd, &r.why), r.why);
    struct ring ring;
    CHECK_OK(ring_attach(fd, &ring, &r.why), r.why);
    rig_append(&r, SINK_AUDIT, "one\n");
    atomic_store(&ring.shared->durable, r.pos + 8);
    sink_flush(r.sink, true);
    CHECK_INT(sink_durable(r.sink), 0);
    CHECK(rig_is_sick(&r) && strstr(r.why.text, "misbehaves"));
    ring_close(&ring);
    close(pair[1]);
    rig_end(&r);
}

/* One wake-up for a turn, none for a writer that is awake. */
TEST(the_writer_is_woken_at_most_once_a_turn)
{
    struct rig r;
    int pair[2], fd[3] = {-1, -1, -1};
    uint64_t n = 0;
    rig_begin(&r, NULL);
    CHECK_OK(ipc_pair(pair, &r.why), r.why);
    CHECK_OK(sink_new(r.loop, pair[0], rig_on_progress, &r, &r.sink, &r.why), r.why);
    AUTO(buf_free) struct buf packet = {0};
    for (int i = 0; i < 3; i++)
        CHECK_OK(ipc_recv(pair[1], &packet, &fd[i], &r.why), r.why);
    struct ring ring;
    CHECK_OK(ring_attach(fd[0], &ring, &r.why), r.why);

    rig_append(&r, SINK_AUDIT, "one\n");
    sink_flush(r.sink, true);
    CHECK(read(fd[1], &n, sizeof(n)) < 0 && errno == EAGAIN); /* awake */
    atomic_store(&ring.shared->asleep, RING_DOZES);
    sink_flush(r.sink, false);
    CHECK(read(fd[1], &n, sizeof(n)) < 0); /* will look by itself */
    sink_flush(r.sink, true);
    sink_flush(r.sink, true);
    CHECK(read(fd[1], &n, sizeof(n)) == sizeof(n));
    CHECK_INT(n, 1);
    atomic_store(&ring.shared->asleep, RING_SLEEPS);
    sink_flush(r.sink, false);
    CHECK(read(fd[1], &n, sizeof(n)) == sizeof(n));
    CHECK_INT(n, 1);
    atomic_store(&ring.shared->durable, r.pos);
    atomic_store(&ring.shared->asleep, RING_SLEEPS);
    sink_flush(r.sink, true);
    CHECK(read(fd[1], &n, sizeof(n)) < 0); /* nothing was appended */
    ring_close(&ring);
    for (int i = 1; i < 3; i++)
        close(fd[i]);
    close(pair[1]);
    rig_end(&r);
}
