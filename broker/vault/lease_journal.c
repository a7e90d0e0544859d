/*
 * Writes the journal of leases (layout and compaction: lease_journal.h). An append costs one encoding, two short hashes and a
 * copy into the ring; whoever needs durability waits for a later position of the same ring.
 * Invariant: `chain` stands behind the last entry that the sink took, or `open` is false.
 */
#include "vault/lease_journal.h"

#include "base/auto.h"
#include "base/clock.h"

#include <string.h>
#include <unistd.h>

void journal_init(struct journal *j, const struct leases_env *env)
{
    *j = (struct journal){.sink = env->sink, .dirfd = env->dirfd, .key = env->journal_key};
    j->frame.max = SINK_RECORD_MAX;
    journal_saw_wall(j, clock_wall_ms());
    clock_boot_id(j->boot_id);
}

void journal_clear(struct journal *j)
{
    chain_clear(&j->chain);
    buf_free(&j->frame);
}

static int64_t wall_at(const struct journal *j, int64_t boot)
{
    int64_t now = clock_wall_ms(), least = j->wall_high + (boot - j->wall_boot);
    return now > least ? now : least;
}

int64_t journal_wall_ms(const struct journal *j)
{
    return wall_at(j, clock_boot_ms());
}

void journal_saw_wall(struct journal *j, int64_t wall)
{
    j->wall_high = wall;
    j->wall_boot = clock_boot_ms();
}

/* ---- segments */

static void take_highest(void *ctx, uint64_t number, const char *name)
{
    uint64_t *highest = ctx;
    (void)name;
    if (number > *highest)
        *highest = number;
}

/* By the writer: a disk that is stuck would hold the vault up. One that stays is only looked at, never needed. */
static void remove_older(void *ctx, uint64_t number, const char *name)
{
    struct journal *j = ctx;
    struct why why = {0};
    if (number < j->segment && sink_remove(j->sink, name, &why) != ERR_OK)
        j->tidy = false;
}

void journal_tidy(struct journal *j)
{
    struct why why = {0};
    if (j->tidy || !j->done || sink_durable(j->sink) < j->done_pos)
        return;
    j->tidy = true;
    if (lease_segment_each(j->dirfd, ".journal", remove_older, j, &why) != ERR_OK)
        j->tidy = false;
}

/* ---- entries */

static void begin_frame(struct journal *j, enum journal_type type)
{
    int64_t boot = clock_boot_ms(); /* read once: an entry is written with each lease */
    j->wall_high = wall_at(j, boot);
    j->wall_boot = boot;
    j->frame.len = 0; /* an entry is no secret: no need to wipe the last one */
    j->frame.bad = false;
    buf_put_u32(&j->frame, 0); /* both lengths, known at the end */
    buf_put_u8(&j->frame, (uint8_t)type);
    buf_put_u64(&j->frame, j->generation);
    buf_put_u64(&j->frame, j->chain.seq);
    buf_put_u64(&j->frame, (uint64_t)j->wall_high);
}

static void put_prefix(struct buf *f)
{
    size_t n = f->len - JOURNAL_PREFIX;
    f->p[0] = (uint8_t)(n >> 8);
    f->p[1] = (uint8_t)n;
    f->p[2] = (uint8_t)~f->p[0];
    f->p[3] = (uint8_t)~f->p[1];
}

static err_t end_frame(struct journal *j, uint64_t *pos, struct why *why)
{
    struct journal_link link = {.generation = j->generation, .seq = j->chain.seq};
    j->open = false; /* until the sink has taken it: the chain moves on at once */
    TRY(buf_ok(&j->frame, why));
    chain_follow(&j->chain, VIEW(j->frame.p + JOURNAL_PREFIX, j->frame.len - JOURNAL_PREFIX),
                 link.mac);
    buf_add(&j->frame, link.mac, CHAIN_MAC);
    TRY(buf_ok(&j->frame, why));
    put_prefix(&j->frame);
    TRY(sink_append(j->sink, SINK_JOURNAL, buf_view(&j->frame), pos, why));
    j->open = true;
    j->link = link;
    j->entries++;
    return ERR_OK;
}

err_t journal_begin(struct journal *j, struct why *why)
{
    char name[LEASE_SEGMENT_NAME];
    uint64_t number = 0, pos;
    j->open = false;
    TRY(lease_segment_each(j->dirfd, ".journal", take_highest, &number, why));
    TRY(lease_segment_each(j->dirfd, ".corrupt", take_highest, &number, why));
    number =
        (number > j->segment ? number : j->segment) + 1; /* the last one may not be on disk yet */
    chain_clear(&j->chain);
    TRY(chain_start(j->key, &j->chain));
    lease_segment_name(number, name);
    TRY(sink_roll(j->sink, SINK_ROLL_JOURNAL, name, why));
    j->segment = number;
    j->generation = number > j->link.generation ? number : j->link.generation + 1;
    j->entries = 0;
    j->done = j->tidy = false;
    begin_frame(j, JOURNAL_HEAD);
    buf_put_u8(&j->frame, JOURNAL_FORMAT);
    buf_add(&j->frame, j->boot_id, sizeof(j->boot_id));
    buf_put_u64(&j->frame, j->link.generation);
    buf_put_u64(&j->frame, j->link.seq);
    buf_add(&j->frame, j->link.mac, CHAIN_MAC);
    return end_frame(j, &pos, why);
}

static err_t ensure_open(struct journal *j, struct why *why)
{
    return j->open ? ERR_OK : journal_begin(j, why);
}

err_t journal_put(struct journal *j, struct lease_node *n, struct why *why)
{
    const struct lease *l = &n->lease;
    struct buf *f = &j->frame;
    uint64_t pos;
    TRY(ensure_open(j, why));
    begin_frame(j, JOURNAL_PUT);
    buf_add(f, l->id, sizeof(l->id));
    buf_put_str16(f, view_str(l->consumer));
    buf_put_str16(f, view_str(l->credential));
    buf_put_str16(f, view_str(l->prefix));
    buf_put_str16(f, view_str(l->file));
    buf_put_u8(f, (uint8_t)l->delivery);
    buf_put_u8(f, (uint8_t)((l->limited_uses ? JOURNAL_LIMITED : 0) |
                            (l->owner_process ? JOURNAL_OWNER : 0)));
    buf_put_u64(f, (uint64_t)l->issued_wall_ms);
    buf_put_u64(f, (uint64_t)l->expires_wall_ms);
    buf_put_u64(f, (uint64_t)l->max_wall_ms);
    buf_put_u64(f, (uint64_t)l->expires_boot_ms);
    buf_put_u64(f, (uint64_t)l->max_boot_ms);
    buf_put_u64(f, l->uses_left);
    buf_put_u32(f, l->uid);
    buf_put_u32(f, (uint32_t)l->pid);
    buf_put_u64(f, n->start_ticks);
    buf_put_u64(f, n->serial);
    buf_add(f, l->limits, sizeof(l->limits));
    TRY(end_frame(j, &pos, why));
    n->generation = j->generation;
    return ERR_OK;
}

err_t journal_end(struct journal *j, const struct lease *l, enum lease_end how, struct why *why)
{
    uint64_t pos;
    TRY(ensure_open(j, why));
    begin_frame(j, JOURNAL_END);
    buf_add(&j->frame, l->id, sizeof(l->id));
    buf_put_u8(&j->frame, (uint8_t)how);
    return end_frame(j, &pos, why);
}

err_t journal_expired(struct journal *j, int64_t until_boot_ms, struct why *why)
{
    uint64_t pos;
    if (!j->open) /* those it would tell of have no entry in the next generation */
        return fail(why, ERR_CONFLICT, "no generation of the lease journal is open");
    begin_frame(j, JOURNAL_EXPIRED);
    buf_put_u64(&j->frame, (uint64_t)until_boot_ms);
    return end_frame(j, &pos, why);
}

err_t journal_tick(struct journal *j, struct why *why)
{
    uint64_t pos;
    TRY(ensure_open(j, why));
    begin_frame(j, JOURNAL_TICK);
    return end_frame(j, &pos, why);
}

err_t journal_done(struct journal *j, struct why *why)
{
    if (!j->open) /* a generation begun here would hold no lease, and DONE would end them all */
        return fail(why, ERR_CONFLICT, "no generation of the lease journal is open");
    begin_frame(j, JOURNAL_DONE);
    TRY(end_frame(j, &j->done_pos, why));
    j->done = true;
    return ERR_OK;
}
