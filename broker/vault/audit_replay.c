/*
 * Opening the log: the state, then every line since, each verified. Invariant: what this says is decided by the lines alone, one by one: a
 * line counts as good when its MAC fits its number's key and the mac that stands before it. So one changed line, a hole or a lost
 * state is told with its number, and the chain still goes on behind it, evolved to the right key: the next line links to
 * what stands there.
 *
 * A piece of a line at the very end was never acknowledged (a writer that died in the middle of it) and is cut off. A log that did not
 * verify is never cut: it is left as it is and a new segment begins.
 */
#include "vault/audit_log.h"
#include "vault/audit_state.h"

#include "base/auto.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>

enum { GAP_MAX = 1 << 20, REPEATS_MAX = 1 << 20, LOCK_WAIT_MS = 1000, LOCK_STEP_MS = 5 };

struct replay {
    struct audit *a;
    uint64_t linked; /* the last line that the state knows; 0: none */
    bool link_seen;
    struct buf seen; /* digests of the lines from `linked` on, to tell repeats from forgeries */
    struct buf body;
    uint64_t skipped;       /* lines that are missing, over all holes */
    uint64_t torn_at, torn; /* in the last segment */
    err_t bad;              /* the first problem … */
    struct why why;         /* … and its sentence */
};

/* ---- one line */

static void suspect(struct replay *rp, err_t e, const char *what, uint64_t seq)
{
    rp->a->suspect = true;
    if (rp->bad == ERR_OK)
        rp->bad = fail(
            &rp->why, e,
            "the audit log %s line %llu; look at it with: broker-cli audit verify, then accept it "
            "with: broker-cli store accept",
            what, (unsigned long long)seq);
}

static void remember(struct replay *rp, const struct audit_parsed *p)
{
    uint8_t digest[CHAIN_MAC] = {0};
    chain_digest(digest, p->mac, buf_view(&rp->body));
    buf_add(&rp->seen, digest, sizeof(digest));
}

/* A line again: after an I/O error the writer repeats what was not durable. Of lines before the state nothing is known any more. */
static void repeated(struct replay *rp, const struct audit_parsed *p)
{
    uint8_t digest[CHAIN_MAC] = {0};
    if (p->seq < rp->linked || rp->linked == 0)
        return;
    chain_digest(digest, p->mac, buf_view(&rp->body));
    size_t at = (size_t)(p->seq - rp->linked) * CHAIN_MAC;
    if (at + CHAIN_MAC > rp->seen.len || memcmp(rp->seen.p + at, digest, CHAIN_MAC) != 0)
        suspect(rp, ERR_CORRUPT, "holds a second, different", p->seq);
}

static void link_line(struct replay *rp, const struct audit_parsed *p)
{
    rp->link_seen = true;
    remember(rp, p);
    if (!equal_ct(p->mac, rp->a->chain.mac, CHAIN_MAC))
        suspect(rp, ERR_CORRUPT, "was changed in", p->seq);
}

/* The key of the line behind a hole. */
static void skip_to(struct replay *rp, uint64_t seq)
{
    static const uint8_t none[CHAIN_MAC];
    rp->skipped += seq - rp->a->chain.seq;
    for (uint64_t i = rp->a->chain.seq; i < seq; i++)
        buf_add(&rp->seen, none, sizeof(none));
    chain_skip(&rp->a->chain, seq);
}

/* What a line that verified tells: the newest anchor, and an operator's word that what was found before is known. */
static void believe(struct replay *rp)
{
    struct audit *a = rp->a;
    struct view body = buf_view(&rp->body);
    uint64_t seq;
    uint8_t hash[16];
    if (audit_line_count(body, "manifest_seq", &seq) &&
        audit_line_hash(body, "manifest_hash", hash)) {
        a->anchor_seq = seq;
        memcpy(a->anchor_hash, hash, sizeof(hash));
    }
    if (audit_line_count(body, "key_serial", &seq))
        a->key_serial = seq;
    if (audit_line_is(body, AUDIT_STORE_ACCEPT) &&
        memmem(body.p, body.n, ",\"outcome\":\"ok\"", 15)) {
        a->suspect = false;
        rp->bad = ERR_OK;
    }
}

static void verify(struct replay *rp, const struct audit_parsed *p)
{
    struct chain *c = &rp->a->chain;
    uint8_t mac[CHAIN_MAC], before[CHAIN_MAC];
    bool hole = p->seq > c->seq;
    if (hole) {
        suspect(rp, ERR_ROLLBACK, "has lost", c->seq);
        skip_to(rp, p->seq);
    }
    memcpy(before, c->digest, CHAIN_MAC);
    chain_next(c, buf_view(&rp->body), mac);
    remember(rp, p);
    rp->a->since++;
    if (equal_ct(mac, p->mac, CHAIN_MAC)) {
        believe(rp);
        return;
    }
    if (!hole) /* the line behind a hole cannot be verified: the mac before it is lost */
        suspect(rp, ERR_CORRUPT, "was changed in", p->seq);
    chain_relink(c, before, p->mac, buf_view(&rp->body));
}

static void replay_line(struct replay *rp, struct view line)
{
    struct audit_parsed p;
    uint64_t next = rp->a->chain.seq;
    if (!audit_line_parse(line, &p, &rp->body) || p.seq > next + GAP_MAX - rp->skipped)
        suspect(rp, ERR_CORRUPT, "holds something else where it should have", next);
    else if (p.seq == rp->linked && !rp->link_seen)
        link_line(rp, &p);
    else if (p.seq < next)
        repeated(rp, &p);
    else
        verify(rp, &p);
}

/* ---- the segments */

static err_t replay_segment(struct replay *rp, uint32_t number, bool first, bool last,
                            struct why *why)
{
    AUTO(audit_reader_close) struct audit_reader r = {.fd = -1};
    struct view line;
    TRY(audit_reader_open(rp->a->env.dirfd, number, &r, why));
    if (first)
        (void)audit_reader_find(&r, rp->linked);
    while (audit_reader_next(&r, &line))
        replay_line(rp, line);
    if (r.failed)
        return fail(why, ERR_IO, "the audit log cannot be read");
    if (last) {
        rp->torn_at = r.at;
        rp->torn = r.torn ? r.have : 0;
    }
    return ERR_OK;
}

static err_t replay_all(struct replay *rp, const struct audit_segments *s, struct why *why)
{
    size_t from = rp->linked ? audit_segments_find(rp->a->env.dirfd, s, rp->linked) : 0;
    for (size_t i = from; i < s->n; i++)
        TRY(replay_segment(rp, s->number[i], i == from, i + 1 == s->n, why));
    if (rp->linked && !rp->link_seen)
        suspect(rp, ERR_ROLLBACK, "was cut before", rp->linked + 1);
    return ERR_OK;
}

/* The newest line of a log whose keys are lost, whoever wrote it. */
static uint64_t last_number(int dirfd, const struct audit_segments *s)
{
    uint64_t last = 0, seq;
    for (size_t i = s->n; i-- > 0 && last == 0;) {
        AUTO(audit_reader_close) struct audit_reader r = {.fd = -1};
        struct view line;
        if (audit_reader_open(dirfd, s->number[i], &r, NULL) != ERR_OK)
            continue;
        while (audit_reader_next(&r, &line))
            if (audit_line_seq(line, &seq) && seq > last)
                last = seq;
    }
    return last;
}

static err_t begin_anew(struct replay *rp, const struct audit_segments *s, const struct why *cause,
                        struct why *why)
{
    char suffix[24]; /* the old auditor.key still verifies the lines before */
    uint64_t last = last_number(rp->a->env.dirfd, s);
    (void)snprintf(suffix, sizeof(suffix), "-%llu", (unsigned long long)last + 1);
    TRY(audit_new_keys(rp->a, suffix, why));
    rp->a->chain.seq = last + 1;
    rp->a->suspect = true;
    rp->bad =
        fail(&rp->why, ERR_CORRUPT,
             "%s: a new chain begins with line %llu (auditor%s.key); accept it with: broker-cli "
             "store accept",
             cause->text, (unsigned long long)last + 1, suffix);
    return ERR_OK;
}

/* ---- whose turn it is */

static err_t lock_newest(int dirfd, struct audit_segments *s, int *lock, struct why *why)
{
    char name[AUDIT_NAME];
    audit_segments_free(s);
    TRY(audit_segments_list(dirfd, s, why));
    if (s->n == 0)
        return ERR_OK;
    audit_segment_name(s->number[s->n - 1], name);
    AUTO(auto_close)
    int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return fail_errno(why, errno, "%s", name);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        return fail(why, ERR_UNAVAILABLE,
                    "the audit writer of an earlier run still writes %s; try again", name);
    *lock = TAKE_FD(fd);
    return ERR_OK;
}

/* Until no writer has the newest segment: one may still drain for a vault that is gone. A writer takes the
 * new segment before it lets go of the old, so the list is made again once the lock is ours. */
static err_t wait_for_writers(struct audit *a, struct audit_segments *s, int *lock, struct why *why)
{
    int64_t until = clock_boot_ms() + LOCK_WAIT_MS;
    for (;;) {
        size_t n = s->n;
        auto_close(lock);
        *lock = -1;
        err_t e = lock_newest(a->env.dirfd, s, lock, why);
        if (e == ERR_OK && s->n == n)
            return ERR_OK;
        if (e != ERR_OK && (e != ERR_UNAVAILABLE || clock_boot_ms() >= until))
            return e;
        if (e != ERR_OK)
            (void)poll(NULL, 0, LOCK_STEP_MS);
    }
}

/* What this vault itself appended before (unlocked, locked, unlocked again) is in the files, and our own writer has no segment. */
static err_t let_go(struct sink *s, struct why *why)
{
    if (sink_head(s) == 0)
        return ERR_OK;
    TRY(sink_close(s, SINK_AUDIT, why));
    return sink_settle(s, LOCK_WAIT_MS, why);
}

/* ---- opening */

static void replay_free(struct replay *rp)
{
    buf_free(&rp->seen);
    buf_free(&rp->body);
}

static err_t read_log(struct replay *rp, const struct audit_segments *s, struct why *why)
{
    struct why cause = {0};
    err_t e = audit_state_load(rp->a, &cause);
    if (e == ERR_NOT_FOUND || e == ERR_CORRUPT)
        return begin_anew(rp, s, &cause, why);
    if (e != ERR_OK)
        return fail(why, e, "%s", cause.text);
    bool known = rp->a->suspect;
    rp->linked = rp->a->chain.seq - 1;
    TRY(replay_all(rp, s, why));
    if (known && rp->a->suspect && rp->bad == ERR_OK)
        rp->bad = fail(&rp->why, ERR_CORRUPT,
                       "the audit log was cut or changed before, and that was not accepted yet: "
                       "broker-cli store accept");
    return ERR_OK;
}

/* Where the next line goes. */
static err_t go_on(struct replay *rp, const struct audit_segments *s, struct why *why)
{
    struct audit *a = rp->a;
    char name[AUDIT_NAME];
    bool fresh = s->n == 0 || rp->bad != ERR_OK;
    a->segment = (s->n ? s->number[s->n - 1] : 0) + fresh;
    a->bytes = fresh ? 0 : rp->torn_at;
    audit_segment_name(a->segment, name);
    return fresh ? sink_roll(a->env.sink, SINK_AUDIT, name, why)
                 : sink_resume(a->env.sink, SINK_AUDIT, name, rp->torn_at, why);
}

static err_t record_recovery(struct replay *rp, struct why *why)
{
    uint64_t pos;
    struct audit_record r = {.event = AUDIT_RECOVERED, .outcome = rp->bad, .count = rp->torn};
    if (rp->bad == ERR_OK && rp->torn == 0)
        return ERR_OK;
    TRY(audit_append(rp->a, &r, &pos, why));
    return audit_checkpoint(rp->a, true, why);
}

err_t audit_open(const struct audit_env *env, struct audit **out, struct why *why)
{
    AUTO(auto_audit) struct audit *a = audit_new(env);
    AUTO(audit_segments_free) struct audit_segments s = {0};
    AUTO(auto_close) int lock = -1;
    if (!a)
        return fail(why, ERR_INTERNAL, "out of memory");
    AUTO(replay_free)
    struct replay rp = {
        .a = a, .seen.max = (size_t)REPEATS_MAX * CHAIN_MAC, .body.max = AUDIT_LINE_MAX};
    TRY(let_go(env->sink, why));
    TRY(wait_for_writers(a, &s, &lock, why));
    TRY(read_log(&rp, &s, why));
    auto_close(&lock); /* for our own writer */
    lock = -1;
    TRY(go_on(&rp, &s, why));
    TRY(record_recovery(&rp, why));
    *out = TAKE(a);
    return rp.bad == ERR_OK ? ERR_OK : fail(why, rp.bad, "%s", rp.why.text);
}
