/* vault/lease.c: deadlines, renewals, uses, owners, ends, and what happens when nothing can be recorded. */
#include "lease_rig.h"

static struct config_consumer consumer_b = {.name = (char[]){"b"}, .max_leases = 2};

TEST(issued_leases_say_what_was_granted)
{
    rig_start();
    int64_t wall = clock_wall_ms(), boot = clock_boot_ms();
    struct lease *l = issue(60000, 3600000, 3);
    CHECK(l);
    CHECK_STR(l->consumer, "a");
    CHECK_STR(l->credential, "claude");
    CHECK_STR(l->prefix, "sk-");
    CHECK_STR(l->file, "");
    CHECK(l->delivery == DELIVER_FILE && l->uid == 1000 && l->pid == 1 && !l->owner_process);
    CHECK(l->limited_uses && l->uses_left == 3);
    CHECK(l->issued_wall_ms >= wall && l->issued_wall_ms < wall + 1000);
    CHECK_INT(l->expires_wall_ms - l->issued_wall_ms, 60000);
    CHECK_INT(l->max_wall_ms - l->issued_wall_ms, 3600000);
    CHECK(l->expires_boot_ms >= boot + 60000 && l->expires_boot_ms < boot + 61000);
    CHECK_INT(l->max_boot_ms - l->expires_boot_ms, 3600000 - 60000);
    char hex[33];
    hex_encode(l->id, 16, hex);
    CHECK_STR(l->id_hex, hex);
    CHECK(lease_by_id(rig.ls, l->id) == l && lease_by_hex(rig.ls, view_str(hex)) == l);
    hex[0] = 'A';
    CHECK(!lease_by_hex(rig.ls, view_str(hex)) && !lease_by_hex(rig.ls, VIEW(hex, 31)) && !lease_by_hex(rig.ls, VIEW(NULL, 0)));
    struct cursor c = cursor_of(VIEW(l->limits, 32)); /* as FORMAT.md, "Token" */
    CHECK(get_u8(&c) == DELIVER_FILE && get_u8(&c) == 0 && get_u16(&c) == 0 && get_u32(&c) == 1000 && get_u64(&c) == 3);
    CHECK((int64_t)get_u64(&c) == l->issued_wall_ms && (int64_t)get_u64(&c) == l->max_wall_ms && cursor_done(&c));
    CHECK_INT(leases_live(rig.ls), 1);
    CHECK_INT(leases_live_of(rig.ls, "a"), 1);
    CHECK_INT(leases_live_of(rig.ls, "nobody"), 0);
    struct lease *m = issue(60000, 3600000, 3);
    CHECK(memcmp(l->id, m->id, 16) != 0);
    rig_done();
}

TEST(a_lease_ends_at_its_deadline_and_not_before)
{
    rig_start();
    struct lease *l = issue(60000, 60000, 0);
    uint8_t id[16];
    memcpy(id, l->id, 16);
    pass_ms(59000);
    spin(2);
    CHECK(lease_by_id(rig.ls, id) == l && rig.ends == 0);
    pass_ms(1000);
    CHECK(!lease_by_id(rig.ls, id)); /* even before its timer fired */
    uint64_t cursor = 0;
    CHECK(!lease_next(rig.ls, &cursor));
    CHECK_INT(lease_renew(rig.ls, l, 60000, &why), ERR_EXPIRED);
    CHECK_INT(lease_use(rig.ls, l, &why), ERR_EXPIRED);
    spin(2);
    CHECK_INT(rig.ends, 1);
    CHECK_INT(rig.how[0], LEASE_END_EXPIRED);
    CHECK_INT(leases_live(rig.ls), 0);
    rig_done();
}

TEST(the_wall_clock_ends_and_extends_nothing_in_one_boot)
{
    rig_start();
    struct lease *l = issue(60000, 60000, 0);
    moved.wall -= 1000000;
    spin(2);
    CHECK(lease_by_id(rig.ls, l->id));
    moved.wall += 100000000;
    spin(2);
    CHECK(lease_by_id(rig.ls, l->id) && rig.ends == 0);
    pass_ms(60001);
    spin(2);
    CHECK_INT(rig.ends, 1);
    rig_done();
}

TEST(renewals_never_pass_the_maximum)
{
    rig_start();
    struct lease *l = issue(60000, 100000, 0);
    uint8_t limits[32];
    memcpy(limits, l->limits, 32);
    CHECK_INT(lease_renew(rig.ls, l, 999, &why), ERR_INVALID);
    CHECK_INT(lease_renew(rig.ls, l, 0, &why), ERR_INVALID);
    CHECK_INT(lease_renew(rig.ls, l, -5, &why), ERR_INVALID);
    pass_ms(50000);
    CHECK_OK(lease_renew(rig.ls, l, 20000, &why), why); /* from now, not from the old end */
    CHECK(l->expires_boot_ms >= clock_boot_ms() + 19000 && l->expires_boot_ms <= clock_boot_ms() + 20000);
    CHECK_OK(lease_renew(rig.ls, l, INT64_MAX, &why), why);
    CHECK_INT(l->expires_boot_ms, l->max_boot_ms);
    CHECK(l->expires_wall_ms <= l->max_wall_ms);
    CHECK(memcmp(limits, l->limits, 32) == 0); /* tokens stay valid */
    pass_ms(49000);
    CHECK_OK(lease_renew(rig.ls, l, 60000, &why), why);
    spin(2);
    CHECK_INT(rig.ends, 0);
    pass_ms(1001);
    CHECK_INT(lease_renew(rig.ls, l, 60000, &why), ERR_EXPIRED);
    spin(2);
    CHECK_INT(rig.ends, 1);
    rig_done();
}

TEST(a_renewal_may_shorten)
{
    rig_start();
    struct lease *l = issue(600000, 600000, 0);
    CHECK_OK(lease_renew(rig.ls, l, 1000, &why), why);
    pass_ms(1001);
    spin(2);
    CHECK_INT(rig.ends, 1);
    rig_done();
}

TEST(uses_count_down_and_one_too_many_ends_the_lease)
{
    rig_start();
    struct lease *l = issue(60000, 60000, 2), *unlimited = issue(60000, 60000, 0);
    CHECK_OK(lease_use(rig.ls, l, &why), why);
    CHECK_INT(l->uses_left, 1);
    CHECK_OK(lease_use(rig.ls, l, &why), why);
    CHECK_INT(l->uses_left, 0);
    CHECK_INT(rig.ends, 0);
    CHECK_INT(lease_use(rig.ls, l, &why), ERR_LIMIT);
    CHECK_INT(rig.ends, 1);
    CHECK_INT(rig.how[0], LEASE_END_USES);
    CHECK_INT(leases_live(rig.ls), 1);
    for (int i = 0; i < 10; i++)
        CHECK_OK(lease_use(rig.ls, unlimited, &why), why);
    CHECK_INT(unlimited->uses_left, 0);
    rig_done();
}

TEST(a_consumer_has_a_quota_of_its_own)
{
    rig_start();
    struct peer p = {.pidfd = -1};
    struct policy_limits limits = {.ttl_ms = 60000, .max_ttl_ms = 60000};
    struct lease *l = issue_as(&consumer_b, &p, &limits);
    CHECK(l && issue_as(&consumer_b, &p, &limits));
    struct lease *out = NULL;
    struct lease_ask ask = {.consumer = &consumer_b, .peer = &p, .credential = "c", .token_prefix = "", .limits = &limits};
    CHECK_INT(lease_issue(rig.ls, &ask, &out, &why), ERR_LIMIT);
    CHECK(!out && strstr(why.text, "max_leases"));
    CHECK(issue(60000, 60000, 0));
    CHECK_OK(lease_end(rig.ls, l, LEASE_END_REVOKED, &why), why);
    CHECK_INT(rig.ends, 0); /* explicit */
    CHECK(issue_as(&consumer_b, &p, &limits));
    CHECK_INT(leases_live_of(rig.ls, "b"), 2);
    rig_done();
}

TEST(names_that_are_too_long_are_refused)
{
    rig_start();
    struct peer p = {.pidfd = -1};
    struct policy_limits limits = {.ttl_ms = 60000, .max_ttl_ms = 60000};
    struct lease *out = NULL;
    struct lease_ask ask = {.consumer = &consumer_a, .peer = &p, .token_prefix = "", .limits = &limits,
                            .credential = "0123456789012345678901234567890123456789012345678901234567890123x"};
    CHECK_INT(lease_issue(rig.ls, &ask, &out, &why), ERR_INTERNAL);
    ask.credential++;
    CHECK_OK(lease_issue(rig.ls, &ask, &out, &why), why);
    char path[129];
    memset(path, 'x', 128);
    path[128] = '\0';
    CHECK_INT(lease_set_file(rig.ls, out, path, &why), ERR_TOO_LARGE);
    CHECK_STR(out->file, "");
    path[127] = '\0';
    CHECK_OK(lease_set_file(rig.ls, out, path, &why), why);
    CHECK_STR(out->file, path);
    rig_done();
}

TEST(sixty_five_thousand_leases_and_not_one_more)
{
    rig_start();
    tape.discard = true;
    uint8_t first[16] = {0}, last[16] = {0};
    for (int i = 0; i < LEASE_MAX_LIVE; i++) {
        struct lease *l = issue(60000 + i, 600000, 0);
        CHECK(l);
        memcpy(i == 0 ? first : last, l->id, 16);
    }
    struct peer p = {.pidfd = -1};
    struct policy_limits limits = {.ttl_ms = 60000, .max_ttl_ms = 60000};
    struct lease *out = NULL;
    struct lease_ask ask = {.consumer = &consumer_b, .peer = &p, .credential = "c", .token_prefix = "", .limits = &limits};
    CHECK_INT(lease_issue(rig.ls, &ask, &out, &why), ERR_LIMIT);
    CHECK(strstr(why.text, "65536"));
    CHECK(lease_by_id(rig.ls, first) && lease_by_id(rig.ls, last));
    unsigned seen = 0;
    for (uint64_t cursor = 0; lease_next(rig.ls, &cursor);)
        seen++;
    CHECK_INT(seen, LEASE_MAX_LIVE);
    pass_ms(60000 + LEASE_MAX_LIVE);
    spin(3);
    CHECK_INT(rig.ends, LEASE_MAX_LIVE);
    CHECK_INT(leases_live(rig.ls), 0);
    rig_done();
}

TEST(revoking_by_consumer_while_walking_skips_none)
{
    rig_start();
    struct config_consumer c[3] = {{.name = (char[]){"x"}, .max_leases = 999}, {.name = (char[]){"y"}, .max_leases = 999},
                                   {.name = (char[]){"z"}, .max_leases = 999}};
    struct peer p = {.pidfd = -1};
    struct policy_limits limits = {.ttl_ms = 60000, .max_ttl_ms = 60000};
    for (int i = 0; i < 900; i++)
        CHECK(issue_as(&c[i % 3], &p, &limits));
    uint64_t cursor = 0, before = 0;
    unsigned ended = 0;
    for (struct lease *l; (l = lease_next(rig.ls, &cursor));) {
        CHECK(cursor > before); /* in order of issue */
        before = cursor;
        if (strcmp(l->consumer, "y") != 0)
            continue;
        CHECK_OK(lease_end(rig.ls, l, LEASE_END_REVOKED, &why), why);
        ended++;
    }
    CHECK_INT(ended, 300);
    CHECK_INT(leases_live_of(rig.ls, "y"), 0);
    CHECK_INT(leases_live_of(rig.ls, "x"), 300);
    CHECK_INT(leases_live(rig.ls), 600);
    rig_done();
}

/* ---- owners */

static void on_late(void *ctx)
{
    (void)ctx;
    loop_stop(rig.loop, 1);
}

TEST(a_lease_ends_with_its_process_within_50_ms)
{
    rig_start();
    pid_t child;
    struct lease *l = issue_owned(&child);
    CHECK(l && l->owner_process && l->pid == child);
    spin(3);
    CHECK_INT(rig.ends, 0);
    int64_t from = real_ms(CLOCK_MONOTONIC);
    kill(child, SIGKILL); /* and not yet reaped: a zombie counts as gone */
    struct loop_timer *late = NULL;
    CHECK_OK(loop_timer_new(rig.loop, on_late, NULL, &late), why);
    CHECK_OK(loop_timer_set(late, clock_boot_ms() + 2000), why);
    rig.turns = 1;
    CHECK_INT(loop_run(rig.loop), 0);
    int64_t took = real_ms(CLOCK_MONOTONIC) - from;
    loop_timer_free(late);
    waitpid(child, NULL, 0);
    CHECK_INT(rig.ends, 1);
    CHECK_INT(rig.how[0], LEASE_END_OWNER);
    CHECK(took < 50);
    rig_done();
}

TEST(an_owner_must_be_known_and_alive)
{
    rig_start();
    struct policy_limits limits = {.ttl_ms = 60000, .max_ttl_ms = 60000, .owner_process = true};
    struct lease *out = NULL;
    struct peer p = {.pid = 1, .pidfd = -1};
    struct lease_ask ask = {.consumer = &consumer_a, .peer = &p, .credential = "c", .token_prefix = "", .limits = &limits};
    CHECK_INT(lease_issue(rig.ls, &ask, &out, &why), ERR_CONFLICT);
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    p.pid = child;
    p.pidfd = (int)syscall(SYS_pidfd_open, child, 0);
    waitpid(child, NULL, 0);
    CHECK_INT(lease_issue(rig.ls, &ask, &out, &why), ERR_CONFLICT);
    CHECK(fcntl(p.pidfd, F_GETFD) >= 0); /* stays the caller's */
    close(p.pidfd);
    CHECK_INT(leases_live(rig.ls), 0);
    CHECK_INT(tape.appends, 0);
    rig_done();
}

TEST(many_leases_of_one_process_end_together)
{
    rig_start();
    pid_t child;
    CHECK(issue_owned(&child));
    int pidfd = (int)syscall(SYS_pidfd_open, child, 0);
    struct peer p = {.pid = child, .pidfd = pidfd};
    struct policy_limits limits = {.ttl_ms = 60000, .max_ttl_ms = 60000, .owner_process = true};
    for (int i = 0; i < 100; i++)
        CHECK(issue_as(&consumer_a, &p, &limits));
    close(pidfd);
    CHECK(issue(60000, 60000, 0));
    end_child(child);
    spin(6);
    CHECK_INT(rig.ends, 101);
    CHECK_INT(leases_live(rig.ls), 1);
    rig_done();
}

/* ---- nothing can be recorded */

TEST(what_cannot_be_recorded_is_not_issued_nor_changed)
{
    rig_start();
    struct lease *l = issue(60000, 600000, 2);
    struct lease before = *l, *out = NULL;
    struct peer p = {.pidfd = -1};
    struct policy_limits limits = {.ttl_ms = 60000, .max_ttl_ms = 60000};
    struct lease_ask ask = {.consumer = &consumer_a, .peer = &p, .credential = "c", .token_prefix = "", .limits = &limits};
    tape.fail_after = 0;
    CHECK_INT(lease_issue(rig.ls, &ask, &out, &why), ERR_AUDIT);
    CHECK(!out);
    CHECK_INT(leases_live(rig.ls), 1);
    pass_ms(1000);
    CHECK_INT(lease_renew(rig.ls, l, 60000, &why), ERR_AUDIT);
    CHECK_INT(lease_use(rig.ls, l, &why), ERR_AUDIT);
    CHECK_INT(lease_set_file(rig.ls, l, "files/x", &why), ERR_AUDIT);
    CHECK(memcmp(l, &before, sizeof(before)) == 0);
    tape.fail_after = -1;
    CHECK_OK(lease_use(rig.ls, l, &why), why);
    CHECK_INT(l->uses_left, 1);
    CHECK_INT(tape.rolls, 2); /* the chain was broken: a generation of its own */
    rig_done();
}

TEST(an_end_that_cannot_be_recorded_still_holds_after_a_restart)
{
    for (int works = 0; works < 4; works++) {
        rig_start();
        struct lease *kept = issue(600000, 600000, 0), *gone = issue(600000, 600000, 0);
        uint8_t kept_id[16], gone_id[16];
        memcpy(kept_id, kept->id, 16);
        memcpy(gone_id, gone->id, 16);
        tape.fail_after = 0;
        CHECK_INT(lease_end(rig.ls, gone, LEASE_END_REVOKED, &why), ERR_AUDIT);
        CHECK(!again(gone_id) && again(kept_id));
        tape.fail_after = works; /* the recovery itself may be cut short */
        pass_ms(2000);
        spin(2);
        tape.fail_after = -1;
        pass_ms(2000);
        spin(2);
        pass_ms(10);
        spin(2);
        CHECK_OK(rig_restart(), why);
        CHECK(again(kept_id) && !again(gone_id));
        CHECK_INT(leases_live(rig.ls), 1);
        rig_done();
    }
}

/* ---- tokens */

TEST(the_bind_holds_names_and_limits)
{
    rig_start();
    struct lease *a = issue(60000, 600000, 1), *b = issue(60000, 600000, 2);
    struct token_bind bind;
    lease_bind(a, &bind);
    CHECK(bind.consumer == a->consumer && bind.credential == a->credential && bind.prefix == a->prefix);
    CHECK(memcmp(bind.limits, a->limits, 32) == 0);
    CHECK(memcmp(a->limits, b->limits, 32) != 0);
    static const uint8_t zeros[32];
    CHECK(memcmp(a->limits, zeros, 32) != 0);
    CHECK_OK(lease_use(rig.ls, b, &why), why);
    CHECK(memcmp(bind.limits, a->limits, 32) == 0);
    rig_done();
}

TEST(every_end_is_told_to_what_runs_under_the_lease)
{
    rig_start();
    struct lease *a = issue(60000, 60000, 0), *b = issue(30000, 30000, 1);
    rig.stops = 0;
    CHECK(a && b && !a->running && !a->route);
    CHECK_OK(lease_end(rig.ls, a, LEASE_END_REVOKED, &why), why);
    CHECK(rig.stops == 1 && rig.last_stop == LEASE_END_REVOKED && rig.ends == 0);
    CHECK_OK(lease_use(rig.ls, b, &why), why);
    CHECK_INT(lease_use(rig.ls, b, &why), ERR_LIMIT);
    CHECK(rig.stops == 2 && rig.last_stop == LEASE_END_USES && rig.ends == 1);
    CHECK(issue(60000, 60000, 0));
    pass_ms(60000);
    spin(2);
    CHECK(rig.stops == 3 && rig.last_stop == LEASE_END_EXPIRED);
    rig_done();
}
