/* vault/lease_keeper.c: compaction in steps while leases come, change and go, and the clock in the journal. */
#include "lease_rig.h"

static unsigned segments(void)
{
    unsigned n = 0;
    DIR *d = opendir(rig.dir);
    for (struct dirent *e; (e = readdir(d));)
        n += strstr(e->d_name, ".journal") != NULL;
    closedir(d);
    return n;
}

static off_t total_bytes(void)
{
    off_t n = 0;
    struct stat st;
    DIR *d = opendir(rig.dir);
    for (struct dirent *e; (e = readdir(d));)
        if (fstatat(tape.dirfd, e->d_name, &st, 0) == 0 && S_ISREG(st.st_mode))
            n += st.st_size;
    closedir(d);
    return n;
}

static void settle(void)
{
    for (int i = 0; i < 1000 && (i < 3 || segments() > 1); i++) {
        pass_ms(10);
        spin(2);
    }
    pass_ms(1001);
    spin(2);
}

TEST(a_journal_of_dead_leases_is_compacted)
{
    rig_start();
    struct lease *kept = issue(6000000, 6000000, 0);
    uint8_t id[16];
    memcpy(id, kept->id, 16);
    for (int i = 0; i < 5000; i++) {
        struct lease *l = issue(600000, 600000, 0);
        CHECK(l);
        CHECK_OK(lease_end(rig.ls, l, LEASE_END_REVOKED, &why), why);
    }
    CHECK(total_bytes() > 1000000);
    pass_ms(1001);
    spin(2); /* the first generation is done */
    pass_ms(1001);
    spin(2); /* the second is begun, and done */
    CHECK_INT(segments(), 2);
    settle();
    CHECK_INT(segments(), 1);
    CHECK(total_bytes() < 4096);
    CHECK_OK(rig_restart(), why);
    CHECK(again(id));
    CHECK_INT(leases_live(rig.ls), 1);
    rig_done();
}

/* A crash after each step of a compaction, with leases ending, changing and coming between the steps. */
TEST(no_step_of_a_compaction_loses_or_revives_a_lease)
{
    enum { N = 600 };
    static uint8_t ids[N + 20][16];
    for (int stop = 0; stop < 12; stop++) {
        unsigned char live[N + 20] = {0};
        rig_start();
        for (int i = 0; i < N; i++) {
            memcpy(ids[i], issue(6000000, 6000000, 9)->id, 16);
            live[i] = 1;
        }
        CHECK_OK(rig_restart(), why); /* all of them must be copied */
        pass_ms(1001);
        for (int step = 0; step < stop; step++) {
            spin(1);
            pass_ms(6);
            int change[] = {step * 50, step * 50 + 1, N - 1 - step};
            for (int k = 0; k < 2; k++) {
                CHECK_OK(lease_end(rig.ls, again(ids[change[2 * k]]), LEASE_END_REVOKED, &why), why);
                live[change[2 * k]] = 0;
            }
            CHECK_OK(lease_use(rig.ls, again(ids[change[1]]), &why), why);
            memcpy(ids[N + step], issue(6000000, 6000000, 9)->id, 16);
            live[N + step] = 1;
        }
        CHECK_OK(rig_restart(), why);
        for (int i = 0; i < N + stop; i++)
            CHECK((again(ids[i]) != NULL) == (live[i] == 1));
        for (int step = 0; step < stop; step++)
            CHECK_INT(again(ids[step * 50 + 1])->uses_left, 8);
        rig_done();
    }
}

TEST(a_failing_sink_only_delays_a_compaction)
{
    rig_start();
    for (int i = 0; i < 300; i++)
        CHECK(issue(6000000, 6000000, 0));
    CHECK_OK(rig_restart(), why);
    for (int works = 0; works < 300; works += 23) {
        tape.fail_after = works;
        pass_ms(1001);
        spin(2);
        pass_ms(6);
        spin(2);
        tape.fail_after = -1;
        CHECK_OK(rig_restart(), why);
        CHECK_INT(leases_live(rig.ls), 300);
    }
    pass_ms(1001);
    spin(2);
    settle();
    CHECK_INT(segments(), 1);
    rig_done();
}

TEST(the_clock_is_written_while_there_is_a_lease)
{
    rig_start();
    pass_ms(120000);
    spin(2);
    CHECK_INT(tape.appends, 0); /* nobody to keep anything for */
    CHECK(issue(6000000, 6000000, 0));
    settle();
    unsigned before = tape.appends;
    for (int i = 0; i < 120; i++) {
        pass_ms(1001);
        spin(2);
    }
    CHECK(tape.appends - before >= 3 && tape.appends - before <= 5);
    rig_done();
}
