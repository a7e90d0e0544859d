/* The loop's promises: nothing is called after it was unwatched, timers fire in order and once, none starves the rest. */
#include "base/loop.h"
#include "base/auto.h"
#include "base/clock.h"
#include "check.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

struct fixture {
    struct loop *l;
    int calls, turns, order[8], n_order;
    struct loop_fd *other, *self;
    struct loop_timer *timer, *victim;
};

static struct fixture f; /* static: CHECK leaves by longjmp */

static void set_up(void)
{
    struct why w = {0};
    memset(&f, 0, sizeof(f));
    CHECK_OK(loop_new(&f.l, &w), w);
}

static void tear_down(void)
{
    loop_free(f.l);
}

static void stop_at(void *ctx)
{
    (void)ctx;
    loop_stop(f.l, 7);
}

static void run_for(int ms)
{
    struct loop_timer *t;
    CHECK_INT(loop_timer_new(f.l, stop_at, NULL, &t), ERR_OK);
    CHECK_INT(loop_timer_set(t, clock_boot_ms() + ms), ERR_OK);
    CHECK_INT(loop_run(f.l), 7);
    loop_timer_free(t);
}

static void count_read(void *ctx, int fd, uint32_t events)
{
    char c;
    (void)ctx;
    CHECK(events & EPOLLIN);
    CHECK_INT(read(fd, &c, 1), 1);
    f.calls++;
}

TEST(readable_descriptor_is_handed_out)
{
    struct why w = {0};
    int p[2];
    struct loop_fd *watch;
    set_up();
    CHECK_INT(pipe2(p, O_CLOEXEC), 0);
    CHECK_OK(loop_watch(f.l, &(struct loop_source){p[0], EPOLLIN, count_read, NULL}, &watch, &w), w);
    CHECK_INT(write(p[1], "abc", 3), 3);
    run_for(30);
    CHECK_INT(f.calls, 3); /* level-triggered: one byte each turn */
    loop_unwatch(watch);
    CHECK_INT(write(p[1], "d", 1), 1);
    run_for(10);
    CHECK_INT(f.calls, 3);
    close(p[0]);
    close(p[1]);
    tear_down();
}

TEST(watching_a_closed_descriptor_fails_and_leaves_out_untouched)
{
    struct why w = {0};
    struct loop_fd *watch = (struct loop_fd *)&w;
    set_up();
    CHECK(loop_watch(f.l, &(struct loop_source){9999, EPOLLIN, count_read, NULL}, &watch, &w) != ERR_OK);
    CHECK(watch == (struct loop_fd *)&w);
    CHECK(strstr(w.text, "9999"));
    tear_down();
}

static void unwatch_both(void *ctx, int fd, uint32_t events)
{
    (void)ctx;
    (void)fd;
    (void)events;
    f.calls++;
    loop_unwatch(TAKE(f.self));
    loop_unwatch(TAKE(f.other));
}

/* Both are ready in one batch; whichever comes first frees both: the second must not be called (ASan sees it otherwise). */
TEST(unwatch_inside_a_callback_strikes_fetched_events)
{
    struct why w = {0};
    int p[2], q[2];
    set_up();
    CHECK(pipe2(p, O_CLOEXEC) == 0 && pipe2(q, O_CLOEXEC) == 0);
    CHECK_OK(loop_watch(f.l, &(struct loop_source){p[0], EPOLLIN, unwatch_both, NULL}, &f.self, &w), w);
    CHECK_OK(loop_watch(f.l, &(struct loop_source){q[0], EPOLLIN, unwatch_both, NULL}, &f.other, &w), w);
    CHECK(write(p[1], "a", 1) == 1 && write(q[1], "a", 1) == 1);
    run_for(20);
    CHECK_INT(f.calls, 1);
    CHECK(!f.self && !f.other);
    for (int i = 0; i < 2; i++) {
        close(p[i]);
        close(q[i]);
    }
    tear_down();
}

static void count_write(void *ctx, int fd, uint32_t events)
{
    (void)ctx;
    (void)fd;
    CHECK(events & EPOLLOUT);
    f.calls++;
    CHECK_INT(loop_rewatch(f.self, EPOLLIN), ERR_OK);
}

TEST(rewatch_changes_what_is_waited_for)
{
    struct why w = {0};
    int p[2];
    set_up();
    CHECK_INT(pipe2(p, O_CLOEXEC), 0);
    CHECK_OK(loop_watch(f.l, &(struct loop_source){p[1], EPOLLIN, count_write, NULL}, &f.self, &w), w);
    run_for(10);
    CHECK_INT(f.calls, 0);
    CHECK_INT(loop_rewatch(f.self, EPOLLOUT), ERR_OK);
    run_for(10);
    CHECK_INT(f.calls, 1);
    loop_unwatch(f.self);
    close(p[0]);
    close(p[1]);
    tear_down();
}

static void note(void *ctx)
{
    f.order[f.n_order++ % 8] = (int)(intptr_t)ctx;
}

TEST(timers_fire_once_and_in_order_of_their_time)
{
    static const int delay[] = {30, 10, 20, 5, 25};
    struct loop_timer *t[5];
    set_up();
    int64_t now = clock_boot_ms();
    for (int i = 0; i < 5; i++) {
        CHECK_INT(loop_timer_new(f.l, note, (void *)(intptr_t)delay[i], &t[i]), ERR_OK);
        CHECK_INT(loop_timer_set(t[i], now + delay[i]), ERR_OK);
    }
    loop_timer_cancel(t[2]);
    loop_timer_cancel(t[2]); /* twice is once */
    run_for(60);
    CHECK_INT(f.n_order, 4);
    CHECK(f.order[0] == 5 && f.order[1] == 10 && f.order[2] == 25 && f.order[3] == 30);
    for (int i = 0; i < 5; i++)
        loop_timer_free(t[i]);
    loop_timer_free(NULL);
    tear_down();
}

TEST(rearming_replaces_the_time)
{
    struct loop_timer *t;
    set_up();
    CHECK_INT(loop_timer_new(f.l, note, NULL, &t), ERR_OK);
    CHECK_INT(loop_timer_set(t, clock_boot_ms() + 5), ERR_OK);
    CHECK_INT(loop_timer_set(t, clock_boot_ms() + 60000), ERR_OK);
    run_for(20);
    CHECK_INT(f.n_order, 0);
    CHECK_INT(loop_timer_set(t, 0), ERR_OK); /* long past: at once */
    run_for(5);
    CHECK_INT(f.n_order, 1);
    CHECK_INT(loop_timer_set(t, -5), ERR_OK);
    run_for(5);
    CHECK_INT(f.n_order, 2);
    loop_timer_free(t);
    tear_down();
}

static void again_at_once(void *ctx)
{
    (void)ctx;
    f.calls++;
    CHECK_INT(loop_timer_set(f.timer, 0), ERR_OK);
}

TEST(timer_that_rearms_for_now_does_not_starve_descriptors)
{
    struct why w = {0};
    struct loop_fd *watch;
    int p[2];
    set_up();
    CHECK_INT(pipe2(p, O_CLOEXEC), 0);
    CHECK_INT(loop_timer_new(f.l, again_at_once, NULL, &f.timer), ERR_OK);
    CHECK_INT(loop_timer_set(f.timer, 0), ERR_OK);
    CHECK_OK(loop_watch(f.l, &(struct loop_source){p[0], EPOLLIN, count_read, NULL}, &watch, &w), w);
    CHECK_INT(write(p[1], "x", 1), 1);
    run_for(10);
    char c;
    CHECK_INT(fcntl(p[0], F_SETFL, O_NONBLOCK), 0);
    CHECK_INT(read(p[0], &c, 1), -1); /* it was read by the watch */
    CHECK(f.calls > 2);
    loop_unwatch(watch);
    loop_timer_free(f.timer);
    close(p[0]);
    close(p[1]);
    tear_down();
}

static void free_victim(void *ctx)
{
    (void)ctx;
    f.calls++;
    loop_timer_free(TAKE(f.victim));
    loop_timer_free(TAKE(f.timer)); /* itself */
}

TEST(timer_may_free_itself_and_another_that_is_due)
{
    set_up();
    CHECK_INT(loop_timer_new(f.l, free_victim, NULL, &f.timer), ERR_OK);
    CHECK_INT(loop_timer_new(f.l, note, NULL, &f.victim), ERR_OK);
    CHECK_INT(loop_timer_set(f.timer, 1), ERR_OK);
    CHECK_INT(loop_timer_set(f.victim, 2), ERR_OK);
    run_for(10);
    CHECK_INT(f.calls, 1);
    CHECK_INT(f.n_order, 0);
    tear_down();
}

static void note_sorted(void *ctx)
{
    CHECK((int)(intptr_t)ctx > f.order[0]);
    f.order[0] = (int)(intptr_t)ctx;
    f.n_order++;
}

/* Random sets and cancels; what fires afterwards must be sorted and complete. */
TEST(heap_keeps_its_order_under_random_use)
{
    enum { N = 200 };
    static struct loop_timer *t[N];
    unsigned seed = 12345;
    set_up();
    for (int i = 0; i < N; i++)
        CHECK_INT(loop_timer_new(f.l, note_sorted, (void *)(intptr_t)(N - i), &t[i]), ERR_OK);
    for (int step = 0; step < 5000; step++) {
        seed = seed * 1103515245u + 12345u;
        struct loop_timer *pick = t[(seed >> 16) % N];
        if (seed & 1u << 30)
            CHECK_INT(loop_timer_set(pick, 1 + (int64_t)(seed >> 8 & 0xfff)), ERR_OK);
        else
            loop_timer_cancel(pick);
    }
    int armed = 0;
    for (int i = 0; i < N; i++)
        if (i % 2) {
            CHECK_INT(loop_timer_set(t[i], N - i), ERR_OK); /* fires as number N - i */
            armed++;
        } else {
            loop_timer_cancel(t[i]);
        }
    run_for(5);
    CHECK_INT(f.n_order, armed);
    for (int i = 0; i < N; i++)
        loop_timer_free(t[i]);
    tear_down();
}

static void on_signal(void *ctx, int signo)
{
    (void)ctx;
    f.order[f.n_order++ % 8] = signo;
    if (signo == SIGUSR2)
        loop_stop(f.l, 3);
}

TEST(signals_come_through_the_loop)
{
    struct why w = {0};
    sigset_t set;
    set_up();
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    CHECK_OK(loop_signals(f.l, &set, on_signal, NULL, &w), w);
    CHECK_INT(loop_signals(f.l, &set, on_signal, NULL, &w), ERR_CONFLICT);
    CHECK(raise(SIGUSR1) == 0 && raise(SIGUSR2) == 0);
    CHECK_INT(loop_run(f.l), 3);
    CHECK_INT(f.n_order, 2);
    CHECK(f.order[0] == SIGUSR1 && f.order[1] == SIGUSR2);
    tear_down();
    CHECK_INT(sigprocmask(SIG_UNBLOCK, &set, NULL), 0);
}

static void turn_end(void *ctx)
{
    CHECK(ctx == &f);
    f.turns++;
    f.order[7] = f.calls;
}

TEST(turn_end_runs_after_all_events_and_timers_of_the_turn)
{
    struct why w = {0};
    struct loop_fd *a, *b;
    int p[2], q[2];
    set_up();
    CHECK(pipe2(p, O_CLOEXEC) == 0 && pipe2(q, O_CLOEXEC) == 0);
    CHECK_OK(loop_watch(f.l, &(struct loop_source){p[0], EPOLLIN, count_read, NULL}, &a, &w), w);
    CHECK_OK(loop_watch(f.l, &(struct loop_source){q[0], EPOLLIN, count_read, NULL}, &b, &w), w);
    CHECK(write(p[1], "a", 1) == 1 && write(q[1], "a", 1) == 1);
    loop_on_turn_end(f.l, turn_end, &f);
    run_for(0); /* due in the first turn, which it ends */
    CHECK_INT(f.turns, 1);
    CHECK_INT(f.order[7], 2);
    loop_unwatch(a);
    loop_unwatch(b);
    for (int i = 0; i < 2; i++) {
        close(p[i]);
        close(q[i]);
    }
    tear_down();
}

static void keep_now(void *ctx)
{
    int64_t *seen = ctx;
    *seen = loop_now(f.l);
}

TEST(now_is_the_time_of_the_turn)
{
    struct loop_timer *t;
    int64_t seen = 0;
    set_up();
    int64_t before = clock_boot_ms();
    CHECK(loop_now(f.l) <= before);
    CHECK_INT(loop_timer_new(f.l, keep_now, &seen, &t), ERR_OK);
    CHECK_INT(loop_timer_set(t, before + 10), ERR_OK);
    run_for(30);
    CHECK(seen >= before + 10);
    CHECK(seen <= clock_boot_ms());
    loop_timer_free(t);
    tear_down();
}

TEST(stop_before_run_returns_at_once)
{
    set_up();
    loop_stop(f.l, 9);
    CHECK_INT(loop_run(f.l), 9);
    run_for(1); /* and the loop is usable again */
    tear_down();
}


static void note_later(void *ctx)
{
    f.order[f.n_order++ % 8] = (int)(intptr_t)ctx;
}

TEST(what_was_put_off_runs_once_and_in_order_unless_taken_back)
{
    struct loop_later a = {.fn = note_later, .ctx = (void *)1}, b = {.fn = note_later, .ctx = (void *)2},
                      c = {.fn = note_later, .ctx = (void *)3};
    set_up();
    loop_later(f.l, &a);
    loop_later(f.l, &b);
    loop_later(f.l, &c);
    loop_later(f.l, &a); /* already there: keeps its place */
    loop_never(&b);
    loop_never(&b);
    run_for(20);
    CHECK_INT(f.n_order, 2);
    CHECK(f.order[0] == 1 && f.order[1] == 3);
    CHECK(!a.loop && !b.loop);
    tear_down();
}

struct again {
    struct loop_later self, victim;
    int left;
};

static void put_off_again(void *ctx)
{
    struct again *a = ctx;
    f.calls++;
    loop_never(&a->victim);
    if (--a->left > 0)
        loop_later(f.l, &a->self);
}

/* It comes once a turn, each turn is over before the next, and the loop does not sleep between them; a job of the same turn can be
 * taken back by one before it. */
TEST(putting_off_again_means_the_next_turn_without_sleep)
{
    struct again a = {.self = {.fn = put_off_again, .ctx = &a}, .victim = {.fn = note_later}, .left = 100};
    set_up();
    loop_on_turn_end(f.l, turn_end, &f);
    loop_later(f.l, &a.self);
    loop_later(f.l, &a.victim);
    run_for(300);
    CHECK_INT(f.calls, 100);
    CHECK_INT(f.n_order, 0);
    CHECK(f.turns >= 100 && f.turns < 110);
    tear_down();
}

static void count_only(void *ctx, int fd, uint32_t events)
{
    (void)ctx;
    (void)fd;
    f.calls++;
    f.order[0] = (int)events;
}

TEST(edge_triggered_source_hears_of_changes_only)
{
    struct why w = {0};
    int p[2];
    struct loop_fd *watch;
    set_up();
    CHECK_INT(pipe2(p, O_CLOEXEC), 0);
    CHECK_OK(loop_watch(f.l, &(struct loop_source){p[0], EPOLLIN | EPOLLET, count_only, NULL}, &watch, &w), w);
    CHECK_INT(write(p[1], "a", 1), 1);
    run_for(20);
    CHECK_INT(f.calls, 1);
    CHECK_INT(write(p[1], "b", 1), 1);
    run_for(20);
    CHECK_INT(f.calls, 2);
    loop_unwatch(watch);
    close(p[0]);
    close(p[1]);
    tear_down();
}
