/*
 * The keeper of the lease journal. Compaction goes in small steps from the loop: begin a generation, write each live lease that has
 * no entry in it yet, DONE, and once that is durable remove the older segments. Leases may change between the steps: each
 * change is a whole entry in the new generation, so no order of steps and changes loses one.
 * Failures are not reported here: the sink's health is its users' business, and the next step tries again.
 */
#include "vault/lease_keeper.h"

#include "base/auto.h"
#include "base/clock.h"

enum { IDLE_MS = 1000, BUSY_MS = 5 };

static void arm(struct keeper *k, int64_t in_ms)
{
    if (!k->armed)
        k->armed = loop_timer_set(k->timer, clock_boot_ms() + in_ms) == ERR_OK;
}

static err_t sweep(struct keeper *k, struct why *why)
{
    struct journal *j = k->journal;
    if (!j->open)
        TRY(journal_begin(j, why));
    if (k->generation != j->generation) {
        k->generation = j->generation;
        k->swept = 0;
    }
    for (int i = 0; i < KEEPER_BATCH; i++) {
        struct lease_node *n = table_after(k->table, k->swept);
        if (!n)
            return journal_done(j, why);
        if (n->generation != j->generation)
            TRY(journal_put(j, n, why));
        k->swept = n->serial;
    }
    return ERR_OK;
}

static err_t tick(struct keeper *k, struct why *why)
{
    int64_t now = clock_boot_ms();
    if (k->table->live == 0 || now - k->ticked_ms < KEEPER_TICK_MS)
        return ERR_OK;
    k->ticked_ms = now;
    return journal_tick(k->journal, why);
}

static err_t step(struct keeper *k)
{
    struct journal *j = k->journal;
    struct why why = {0};
    journal_tidy(j);
    TRY(tick(k, &why));
    if (j->open && j->done && j->entries > 2 * (uint64_t)k->table->live + KEEPER_SLACK)
        TRY(journal_begin(j, &why));
    return j->open && j->done ? ERR_OK : sweep(k, &why);
}

static void on_timer(void *ctx)
{
    struct keeper *k = ctx;
    k->armed = false;
    bool well = step(k) == ERR_OK;
    if (well && !k->journal->done)
        arm(k, BUSY_MS);
    else if (k->table->live > 0 || !k->journal->tidy)
        arm(k, IDLE_MS);
}

err_t keeper_init(struct keeper *k, struct loop *loop, struct journal *j, struct lease_table *t,
                  struct why *why)
{
    *k = (struct keeper){.journal = j, .table = t, .ticked_ms = clock_boot_ms()};
    if (loop_timer_new(loop, on_timer, k, &k->timer) != ERR_OK)
        return fail(why, ERR_INTERNAL, "out of memory");
    return ERR_OK;
}

void keeper_wake(struct keeper *k)
{
    arm(k, IDLE_MS);
}

void keeper_clear(struct keeper *k)
{
    struct why why = {0};
    bool told = k->table && k->table->live > 0 && k->journal->open &&
                journal_tick(k->journal, &why) == ERR_OK;
    (void)told; /* else the last tick has to do */
    loop_timer_free(k->timer);
    k->timer = NULL;
}
