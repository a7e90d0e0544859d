/*
 * Writing the audit log. Invariant: the chain moves on exactly when the ring took the line. So room is asked first, then the
 * line is made and chained, then pushed, which cannot fail: no line is ever missing between two that are there.
 *
 * Checkpoints come by count inside audit_append, by time from the caller's timer: a signed line, then the sealed state, which
 * travels through the same ring and is put in place by the writer after the lines it speaks of are durable. So the vault does
 * not wait for a disk here either, and a state is never ahead of its log.
 */
#include "vault/audit.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/file.h"
#include "vault/audit_log.h"
#include "vault/audit_state.h"

#include <string.h>

enum { CHECKPOINT_LINES = 1024, CHECKPOINT_MS = 10 * 60 * 1000 };

static err_t append_line(struct audit *a, const struct audit_record *r, struct audit_stamp *st,
                         uint64_t *pos, struct why *why)
{
    uint8_t mac[CHAIN_MAC];
    TRY(sink_room(a->env.sink, AUDIT_LINE_MAX, why));
    a->line.len = 0; /* a line is no secret: no need to wipe the last one */
    a->line.bad = false;
    (void)buf_reserve(&a->line, AUDIT_LINE_MAX);
    st->seq = a->chain.seq;
    st->wall_ms = clock_wall_ms();
    audit_line_body(r, st, &a->line);
    if (!buf_reserve(&a->line, AUDIT_MAC_MEMBER + 1))
        return fail(why, ERR_AUDIT, "a record does not fit a line of the audit log");
    chain_next(&a->chain, buf_view(&a->line), mac);
    audit_line_finish(&a->line, mac);
    *pos = sink_push(a->env.sink, SINK_AUDIT, buf_view(&a->line));
    a->bytes += a->line.len;
    a->since++;
    return ERR_OK;
}

static err_t save_state(struct audit *a, struct why *why)
{
    AUTO(buf_free) struct buf sealed = {.max = 4096};
    TRY(audit_state_seal(a, &sealed, why));
    return sink_replace(a->env.sink, AUDIT_STATE_FILE, buf_view(&sealed), why);
}

static err_t roll(struct audit *a, struct why *why)
{
    char name[AUDIT_NAME];
    audit_segment_name(a->segment + 1, name);
    TRY(sink_roll(a->env.sink, SINK_AUDIT, name, why));
    a->segment++;
    a->bytes = 0;
    return ERR_OK;
}

static err_t sign_line(struct audit *a, struct why *why)
{
    uint8_t sig[CHAIN_SIG];
    uint64_t pos;
    struct audit_record r = {.event = AUDIT_CHECKPOINT, .outcome = ERR_OK};
    struct audit_stamp st = {.log_id = a->env.store_id, .sig = sig};
    sign_checkpoint(a->sign, a->env.store_id, a->chain.seq, a->chain.digest, sig);
    return append_line(a, &r, &st, &pos, why);
}

err_t audit_checkpoint(struct audit *a, bool force, struct why *why)
{
    int64_t now = clock_boot_ms();
    bool old = a->since && now - a->checkpoint_ms >= CHECKPOINT_MS;
    bool full = a->bytes >= a->env.max_bytes;
    if (!force && !old && !full && a->since < CHECKPOINT_LINES)
        return ERR_OK;
    TRY(sink_health(a->env.sink,
                    why)); /* a signed line without its state would come again with every try */
    if (a->since)
        TRY(sign_line(a, why));
    TRY(save_state(a, why));
    a->since = 0;
    a->checkpoint_ms = now;
    return full ? roll(a, why) : ERR_OK;
}

/* What a record changes in what the state says. */
static bool note(struct audit *a, const struct audit_record *r)
{
    if (r->manifest_hash && r->manifest_seq) {
        a->anchor_seq = r->manifest_seq;
        memcpy(a->anchor_hash, r->manifest_hash, sizeof(a->anchor_hash));
    }
    if (r->key_serial)
        a->key_serial = r->key_serial;
    bool accepted = a->suspect && r->event == AUDIT_STORE_ACCEPT && r->outcome == ERR_OK;
    if (accepted)
        a->suspect = false;
    return accepted;
}

static err_t append(struct audit *a, const struct audit_record *r, uint64_t *pos, struct why *why)
{
    struct audit_stamp st = {0};
    TRY(append_line(a, r, &st, pos, why));
    bool force = note(a, r);
    /* the line is recorded; a checkpoint that finds no room comes with the next one, one by time from the timer */
    if (force || a->since >= CHECKPOINT_LINES || a->bytes >= a->env.max_bytes)
        (void)!audit_checkpoint(a, force, NULL);
    return ERR_OK;
}

err_t audit_append(struct audit *a, const struct audit_record *r, uint64_t *pos, struct why *why)
{
    TRY(sink_health(a->env.sink, why));
    return append(a, r, pos, why);
}

err_t audit_note(struct audit *a, const struct audit_record *r, struct why *why)
{
    uint64_t pos;
    return append(a, r, &pos, why);
}

void audit_anchor(const struct audit *a, uint64_t *seq, uint8_t hash[16])
{
    *seq = a->anchor_seq;
    memcpy(hash, a->anchor_hash, sizeof(a->anchor_hash));
}

uint64_t audit_key_serial(const struct audit *a)
{
    return a->key_serial;
}

uint64_t audit_seq(const struct audit *a)
{
    return a->chain.seq - 1;
}

err_t audit_read(struct audit *a, uint64_t after, unsigned limit, struct buf *out, struct why *why)
{
    struct audit_range range = {.after = after, .newest = audit_seq(a), .limit = limit};
    return audit_log_read(a->env.dirfd, &range, out, why);
}

/* ---- beginning and end */

err_t audit_create(const struct audit_env *env, struct audit **out, struct why *why)
{
    AUTO(audit_segments_free) struct audit_segments s = {0};
    TRY(audit_segments_list(env->dirfd, &s, why));
    if (s.n)
        return fail(why, ERR_EXISTS,
                    "there is an audit log of an earlier store: move audit-*.jsonl away first");
    AUTO(auto_audit) struct audit *a = audit_new(env);
    if (!a)
        return fail(why, ERR_INTERNAL, "out of memory");
    AUTO(buf_free) struct buf sealed = {.max = 4096};
    TRY(audit_new_keys(a, "", why));
    TRY(audit_state_seal(a, &sealed, why));
    TRY(file_write_atomic_at(env->dirfd, AUDIT_STATE_FILE, buf_view(&sealed), 0600, why));
    TRY(roll(a, why));
    *out = TAKE(a);
    return ERR_OK;
}

void audit_close(struct audit *a)
{
    if (!a)
        return;
    /* where the sink is unhealthy the state stays as it was: the next open replays the lines since then */
    (void)!audit_checkpoint(a, true, NULL);
    (void)!sink_close(a->env.sink, SINK_AUDIT, NULL);
    sink_flush(a->env.sink, true);
    audit_free(a);
}
