/*
 * Reads the journal of leases back (layout: lease_journal.h). Three passes, so that nothing is believed before it is verified:
 * frames are cut and put in order; the newest generation that is complete is chosen; from its HEAD on every entry is verified
 * and applied, following the links between generations.
 * A frame cut short (or zeros) at the end of a segment is a crash, and what it held was never acknowledged. Anything else that does
 * not fit is somebody's doing: then no lease of earlier runs is believed.
 * Exact repeats at the beginning of a segment are the audit writer's, after an I/O error (vault/sink.h), and are dropped.
 */
#include "vault/lease_journal.h"

#include "base/auto.h"

#include <string.h>

struct frame {
    const struct lease_segment *segment;
    struct view all, body; /* body: without prefix and MAC */
    uint8_t type;
    uint64_t generation, seq;
    int64_t wall_ms;
};
struct replay {
    struct journal *j;
    struct lease_table *table;
    struct lease_segments segments;
    struct frame *frame;
    size_t n_frames, cap_frames;
    struct chain chain;
    struct journal_link link; /* of the entry last applied */
    int64_t expired_ms;       /* up to when the leases of its generation expired */
    bool linked, same_boot;
};

static void auto_replay(struct replay *r)
{
    lease_segments_free(&r->segments);
    free(r->frame);
    chain_clear(&r->chain);
}

static err_t corrupt(const struct lease_segment *s, const uint8_t *at, const char *what,
                     struct why *why)
{
    return fail(
        why, ERR_CORRUPT,
        "%s, byte %zu: %s; all leases of earlier runs are refused, clients must lease again",
        s->name, (size_t)(at - s->bytes.p), what);
}

/* ---- frames */

static bool all_zero(struct view v)
{
    return v.n == 0 || (v.p[0] == 0 && memcmp(v.p, v.p + 1, v.n - 1) == 0);
}

/* Cuts one frame off. *torn: what is left is none, as a crash leaves it. */
static err_t cut_frame(const struct lease_segment *s, struct cursor *c, struct frame *f, bool *torn,
                       struct why *why)
{
    struct view rest = VIEW(c->p, cursor_left(c));
    struct cursor head = *c;
    uint16_t n = get_u16(&head), check = get_u16(&head);
    *torn = rest.n < JOURNAL_PREFIX || all_zero(rest);
    if (*torn)
        return ERR_OK;
    if ((n ^ check) != 0xffff || n < JOURNAL_BODY_MIN + CHAIN_MAC)
        return corrupt(s, rest.p, "not the beginning of an entry", why);
    *torn = rest.n < (size_t)JOURNAL_PREFIX + n;
    if (*torn)
        return ERR_OK;
    *f = (struct frame){.segment = s, .all = get_bytes(c, (size_t)JOURNAL_PREFIX + n)};
    f->body = VIEW(f->all.p + JOURNAL_PREFIX, (size_t)n - CHAIN_MAC);
    struct cursor body = cursor_of(f->body);
    f->type = get_u8(&body);
    f->generation = get_u64(&body);
    f->seq = get_u64(&body);
    f->wall_ms = (int64_t)get_u64(&body);
    return ERR_OK;
}

static bool follows(const struct frame *last, const struct frame *f)
{
    if (f->generation == last->generation)
        return f->seq == last->seq + 1;
    return f->generation > last->generation && f->seq == JOURNAL_FIRST && f->type == JOURNAL_HEAD;
}

/* Frames are sorted by (generation, seq), since each follows the one before. */
static bool is_repeat(const struct replay *r, const struct frame *f)
{
    size_t lo = 0, hi = r->n_frames;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        const struct frame *m = &r->frame[mid];
        if (m->generation < f->generation || (m->generation == f->generation && m->seq < f->seq))
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < r->n_frames && view_eq(r->frame[lo].all, f->all);
}

static err_t keep_frame(struct replay *r, const struct frame *f, struct why *why)
{
    if (r->n_frames == r->cap_frames) {
        size_t cap = r->cap_frames ? 2 * r->cap_frames : 256;
        struct frame *more = reallocarray(r->frame, cap, sizeof(*more));
        if (!more)
            return fail(why, ERR_INTERNAL, "out of memory");
        r->frame = more;
        r->cap_frames = cap;
    }
    r->frame[r->n_frames++] = *f;
    return ERR_OK;
}

static err_t cut_segment(struct replay *r, const struct lease_segment *s, struct why *why)
{
    struct cursor c = cursor_of(buf_view(&s->bytes));
    bool beginning = true;
    while (cursor_left(&c) > 0) {
        struct frame f;
        bool torn;
        TRY(cut_frame(s, &c, &f, &torn, why));
        if (torn)
            break;
        if (r->n_frames > 0 && !follows(&r->frame[r->n_frames - 1], &f)) {
            if (!beginning || !is_repeat(r, &f))
                return corrupt(s, f.all.p, "an entry is missing before this one", why);
            continue;
        }
        beginning = false;
        TRY(keep_frame(r, &f, why));
    }
    return ERR_OK;
}

/* ---- the beginning: the newest HEAD whose generation is complete, by DONE or because nothing was before it */

struct head {
    uint8_t format;
    struct view boot_id, mac;
    uint64_t generation, seq;
    bool whole;
};

static struct head read_head(const struct frame *f)
{
    struct cursor c = cursor_of(VIEW(f->body.p + JOURNAL_BODY_MIN, f->body.n - JOURNAL_BODY_MIN));
    struct head h = {.format = get_u8(&c)};
    h.boot_id = get_bytes(&c, 16);
    h.generation = get_u64(&c);
    h.seq = get_u64(&c);
    h.mac = get_bytes(&c, CHAIN_MAC);
    h.whole = cursor_done(&c);
    return h;
}

static err_t find_beginning(const struct replay *r, size_t *at, struct why *why)
{
    uint64_t complete = 0;
    for (size_t i = r->n_frames; i-- > 0;) {
        const struct frame *f = &r->frame[i];
        if (f->type == JOURNAL_DONE)
            complete = f->generation;
        if (f->type != JOURNAL_HEAD || f->seq != JOURNAL_FIRST)
            continue;
        if (f->generation == complete || read_head(f).generation == 0) {
            *at = i;
            return ERR_OK;
        }
    }
    return corrupt(r->frame[0].segment, r->frame[0].all.p,
                   "the beginning of the journal is missing", why);
}

/* ---- entries */

static bool take_text(struct cursor *c, char *out, size_t cap)
{
    return view_copy(get_str16(c), out, cap);
}

static bool decode_put(struct cursor *c, struct lease_node *n)
{
    struct lease *l = &n->lease;
    struct view id = get_bytes(c, sizeof(l->id));
    bool texts = take_text(c, l->consumer, sizeof(l->consumer));
    texts = take_text(c, l->credential, sizeof(l->credential)) && texts;
    texts = take_text(c, l->prefix, sizeof(l->prefix)) && texts;
    texts = take_text(c, l->file, sizeof(l->file)) && texts;
    uint8_t delivery = get_u8(c), flags = get_u8(c);
    l->delivery = delivery;
    l->limited_uses = (flags & JOURNAL_LIMITED) != 0;
    l->owner_process = (flags & JOURNAL_OWNER) != 0;
    l->issued_wall_ms = (int64_t)get_u64(c);
    l->expires_wall_ms = (int64_t)get_u64(c);
    l->max_wall_ms = (int64_t)get_u64(c);
    l->expires_boot_ms = (int64_t)get_u64(c);
    l->max_boot_ms = (int64_t)get_u64(c);
    l->uses_left = get_u64(c);
    l->uid = get_u32(c);
    l->pid = (int32_t)get_u32(c);
    n->start_ticks = get_u64(c);
    n->serial = get_u64(c);
    struct view limits = get_bytes(c, sizeof(l->limits));
    if (!cursor_done(c) || !texts || n->serial == 0 || delivery >= DELIVER__COUNT ||
        flags > (JOURNAL_LIMITED | JOURNAL_OWNER))
        return false;
    memcpy(l->id, id.p, sizeof(l->id));
    memcpy(l->limits, limits.p, sizeof(l->limits));
    hex_encode(l->id, sizeof(l->id), l->id_hex);
    return true;
}

static void drop(struct lease_table *t, struct lease_node *n)
{
    table_remove(t, n);
    free(n);
}

static err_t apply_put(struct replay *r, const struct frame *f, struct cursor *c)
{
    struct lease_node *n = calloc(1, sizeof(*n));
    if (!n)
        return ERR_INTERNAL;
    n->pidfd = -1;
    n->generation = f->generation;
    n->same_boot = r->same_boot;
    if (!decode_put(c, n)) {
        free(n);
        return ERR_CORRUPT;
    }
    struct lease_node *old = table_find(r->table, n->lease.id);
    if (old)
        drop(r->table, old);
    err_t e = table_insert(r->table, n);
    if (e != ERR_OK)
        free(n);
    return e;
}

static err_t apply_end(struct replay *r, const struct frame *f, struct cursor *c)
{
    struct view id = get_bytes(c, TOKEN_LEASE_ID);
    (void)f;
    (void)get_u8(c);
    if (!cursor_done(c))
        return ERR_CORRUPT;
    struct lease_node *n = table_find(r->table, id.p);
    if (n)
        drop(r->table, n);
    return ERR_OK;
}

/* No entry behind EXPIRED brings back what it ended, and the boot clock only grows: so the newest one of a generation is enough, at its
 * end. */
static err_t apply_expired(struct replay *r, const struct frame *f, struct cursor *c)
{
    int64_t until = (int64_t)get_u64(c);
    (void)f;
    if (until > r->expired_ms)
        r->expired_ms = until;
    return cursor_done(c) ? ERR_OK : ERR_CORRUPT;
}

static void drop_expired(struct replay *r)
{
    table_sort(r->table);
    for (uint64_t at = 0; r->expired_ms > 0;) {
        struct lease_node *n = table_after(r->table, at);
        if (!n)
            break;
        at = n->serial;
        if (n->generation == r->link.generation && n->lease.expires_boot_ms <= r->expired_ms)
            drop(r->table, n);
    }
    r->expired_ms = 0;
}

static err_t apply_tick(struct replay *r, const struct frame *f, struct cursor *c)
{
    (void)r;
    (void)f;
    return cursor_done(c) ? ERR_OK : ERR_CORRUPT;
}

/* What ended while nothing could be recorded has no entry in this generation. */
static err_t apply_done(struct replay *r, const struct frame *f, struct cursor *c)
{
    table_sort(r->table);
    for (uint64_t at = 0;;) {
        struct lease_node *n = table_after(r->table, at);
        if (!n)
            return cursor_done(c) ? ERR_OK : ERR_CORRUPT;
        at = n->serial;
        if (n->generation != f->generation)
            drop(r->table, n);
    }
}

static err_t apply_head(struct replay *r, const struct frame *f, struct cursor *c)
{
    static const uint8_t none[16];
    struct head h = read_head(f);
    bool same = h.generation == r->link.generation && h.seq == r->link.seq;
    (void)c;
    drop_expired(r);
    if (!h.whole)
        return ERR_CORRUPT;
    if (h.format != JOURNAL_FORMAT)
        return ERR_VERSION;
    if (r->linked && (!same || !equal_ct(h.mac.p, r->link.mac, CHAIN_MAC)))
        return ERR_CORRUPT;
    r->same_boot =
        view_eq(h.boot_id, VIEW(r->j->boot_id, 16)) && !view_eq(h.boot_id, VIEW(none, 16));
    return ERR_OK;
}

static err_t verify(struct replay *r, const struct frame *f)
{
    uint8_t mac[CHAIN_MAC];
    if (f->type == JOURNAL_HEAD) {
        chain_clear(&r->chain);
        TRY(chain_start(r->j->key, &r->chain));
    }
    if (r->chain.seq != f->seq)
        return ERR_CORRUPT;
    chain_follow(&r->chain, f->body, mac);
    return equal_ct(mac, f->body.p + f->body.n, CHAIN_MAC) ? ERR_OK : ERR_CORRUPT;
}

static err_t apply(struct replay *r, const struct frame *f)
{
    static err_t (*const by_type[])(struct replay *, const struct frame *, struct cursor *) = {
        [JOURNAL_HEAD] = apply_head, [JOURNAL_PUT] = apply_put,   [JOURNAL_END] = apply_end,
        [JOURNAL_TICK] = apply_tick, [JOURNAL_DONE] = apply_done, [JOURNAL_EXPIRED] = apply_expired,
    };
    TRY(verify(r, f));
    if (f->type == 0 || f->type >= COUNT(by_type))
        return ERR_VERSION;
    struct cursor c = cursor_of(VIEW(f->body.p + JOURNAL_BODY_MIN, f->body.n - JOURNAL_BODY_MIN));
    TRY(by_type[f->type](r, f, &c));
    r->linked = true;
    r->link = (struct journal_link){.generation = f->generation, .seq = f->seq};
    memcpy(r->link.mac, f->body.p + f->body.n, CHAIN_MAC);
    if (f->wall_ms > journal_wall_ms(r->j))
        journal_saw_wall(r->j, f->wall_ms);
    return ERR_OK;
}

static err_t apply_all(struct replay *r, struct why *why)
{
    size_t at = 0;
    TRY(find_beginning(r, &at, why));
    for (; at < r->n_frames; at++) {
        const struct frame *f = &r->frame[at];
        err_t e = apply(r, f);
        if (e == ERR_CORRUPT)
            return corrupt(f->segment, f->all.p, "this entry does not verify", why);
        if (e == ERR_VERSION)
            return corrupt(f->segment, f->all.p, "written by a newer version", why);
        if (e != ERR_OK)
            return fail(why, e, "out of memory while the lease journal was read");
    }
    drop_expired(r);
    table_sort(r->table);
    return ERR_OK;
}

static void forget_all(struct lease_table *t)
{
    table_sort(t);
    for (struct lease_node *n; (n = table_after(t, 0));)
        drop(t, n);
}

err_t journal_replay(struct journal *j, struct lease_table *t, struct why *why)
{
    AUTO(auto_replay) struct replay r = {.j = j, .table = t, .segments.lock = -1};
    err_t e = lease_segments_read(j->sink, j->dirfd, &r.segments, why);
    for (size_t i = 0; e == ERR_OK && i < r.segments.n; i++)
        e = cut_segment(&r, &r.segments.one[i], why);
    if (e == ERR_OK && r.n_frames > 0)
        e = apply_all(&r, why);
    if (e == ERR_OK) {
        j->link = r.link;
        return ERR_OK;
    }
    forget_all(t);
    if (e == ERR_CORRUPT)
        lease_segments_set_aside(j->dirfd, &r.segments);
    return e;
}
