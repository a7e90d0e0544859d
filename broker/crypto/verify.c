/*
 * Offline verification of an audit log. The lines go by once, in order of the segments, and memory
 * stays bounded whatever the log holds. Invariant: a line counts as good only when its number is
 * the one due, its MAC (with the auditor's key) is right, and, if it is a checkpoint, its signature
 * (with the public key) covers exactly the lines before it. Everything else is a finding; the first
 * one is told. What stands in the log is then taken as it is, so that what comes behind can be
 * verified too.
 */
#include "crypto/verify.h"

#include "base/auto.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

enum {
    HASH = 16,
    MAC_MEMBER = 8 + 2 * CHAIN_MAC + 2,
    SIG_MEMBERS = 8 + 32 + 9 + 2 * CHAIN_SIG + 2
};
static const char checkpoint_event[] = "\"event\":\"audit.checkpoint\"";

struct line { /* a written line taken apart */
    uint64_t seq;
    uint8_t mac[CHAIN_MAC];
    struct view text;
};

/* one finding; always false */
static __attribute__((format(printf, 3, 4))) bool problem(struct verifier *v, uint64_t seq,
                                                          const char *fmt, ...)
{
    if (v->verdict.bad++)
        return false;
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(v->verdict.problem, sizeof(v->verdict.problem), fmt, ap);
    va_end(ap);
    v->verdict.first_bad_seq = seq;
    return false;
}

/* ---- the form of a line */

static bool get_seq(struct view text, uint64_t *seq)
{
    static const char begin[] = "{\"seq\":";
    size_t at = sizeof(begin) - 1, first = at;
    if (text.n < at || memcmp(text.p, begin, at) != 0)
        return false;
    for (*seq = 0; at < text.n && text.p[at] >= '0' && text.p[at] <= '9'; at++)
        if (__builtin_mul_overflow(*seq, 10, seq) ||
            __builtin_add_overflow(*seq, text.p[at] - '0', seq))
            return false;
    return at > first && text.p[first] != '0' && at < text.n && text.p[at] == ',';
}

/* `…,"mac":"<64 hex>"}`: body is the same without the member */
static bool take_apart(struct view text, struct line *l, struct buf *body)
{
    if (text.n <= MAC_MEMBER || !get_seq(text, &l->seq))
        return false;
    struct view member = VIEW(text.p + text.n - MAC_MEMBER, MAC_MEMBER);
    if (!view_is(VIEW(member.p, 8), ",\"mac\":\"") ||
        !view_is(VIEW(member.p + MAC_MEMBER - 2, 2), "\"}"))
        return false;
    if (!hex_decode(VIEW(member.p + 8, 2 * CHAIN_MAC), l->mac, CHAIN_MAC))
        return false;
    l->text = text;
    buf_reset(body);
    buf_add(body, text.p, text.n - MAC_MEMBER);
    buf_put_u8(body, '}');
    return !body->bad;
}

/* the last members of a checkpoint: `,"log":"<32 hex>","sig":"<128 hex>"}` */
static bool get_signature(struct view body, uint8_t log_id[16], uint8_t sig[CHAIN_SIG])
{
    if (body.n <= SIG_MEMBERS)
        return false;
    const uint8_t *at = body.p + body.n - SIG_MEMBERS;
    return memcmp(at, ",\"log\":\"", 8) == 0 && hex_decode(VIEW(at + 8, 32), log_id, 16) &&
           memcmp(at + 40, "\",\"sig\":\"", 9) == 0 &&
           hex_decode(VIEW(at + 49, 2 * CHAIN_SIG), sig, CHAIN_SIG) &&
           memcmp(at + 49 + 2 * CHAIN_SIG, "\"}", 2) == 0;
}

/* ---- repeats: the hashes of the last VERIFY_WINDOW lines, by number */

static void remember(struct verifier *v, uint64_t seq, const uint8_t hash[HASH])
{
    uint64_t at = seq - v->first;
    if (at < VERIFY_WINDOW)
        buf_add(&v->seen, hash, HASH);
    else if (!v->seen.bad) /* without memory for it, repeats are findings */
        memcpy(v->seen.p + at % VERIFY_WINDOW * HASH, hash, HASH);
}

static void hash_line(const struct line *l, uint8_t hash[HASH])
{
    crypto_generichash(hash, HASH, l->text.p, l->text.n, NULL, 0);
}

static bool check_repeat(struct verifier *v, const struct line *l)
{
    uint8_t hash[HASH];
    hash_line(l, hash);
    if (!v->fresh) /* the writer repeats lines only where it begins a segment after an error */
        return problem(v, l->seq, "line %llu stands here again, in the middle of a segment",
                       (unsigned long long)l->seq);
    bool in_window = !v->seen.bad && l->seq >= v->first && v->chain.seq - l->seq <= VERIFY_WINDOW;
    if (in_window &&
        memcmp(hash, v->seen.p + (l->seq - v->first) % VERIFY_WINDOW * HASH, HASH) == 0)
        return true;
    return problem(v, l->seq, "line %llu stands here again, and is not the same",
                   (unsigned long long)l->seq);
}

/* ---- one line */

/* a piece that a segment ended in begins the line that comes next */
static bool check_torn(struct verifier *v, const struct line *l)
{
    size_t n = v->torn.len;
    bool good = n == 0 || (n <= l->text.n && memcmp(v->torn.p, l->text.p, n) == 0);
    buf_reset(&v->torn);
    return good || problem(v, l->seq, "the bytes before line %llu belong to no line",
                           (unsigned long long)l->seq);
}

static bool check_signature(struct verifier *v, const struct line *l, struct view body)
{
    uint8_t log_id[16], sig[CHAIN_SIG];
    if (!memmem(body.p, body.n, checkpoint_event, sizeof(checkpoint_event) - 1))
        return true;
    if (!get_signature(body, log_id, sig))
        return problem(v, l->seq, "checkpoint %llu has no signature", (unsigned long long)l->seq);
    if (v->verdict.checkpoints > 0 && memcmp(log_id, v->log_id, 16) != 0)
        return problem(v, l->seq, "checkpoint %llu is of another log", (unsigned long long)l->seq);
    if (v->pk && !verify_checkpoint(v->pk, log_id, l->seq, v->chain.digest, sig))
        return problem(v, l->seq, "checkpoint %llu: the signature does not fit the lines before it",
                       (unsigned long long)l->seq);
    memcpy(v->log_id, log_id, 16);
    v->verdict.checkpoints++;
    v->verdict.last_checkpoint_seq = l->seq;
    return true;
}

/* the MAC with the auditor's key; without it only the digest and the number go on */
static bool check_mac(struct verifier *v, const struct line *l, struct view body, bool hole)
{
    uint8_t mac[CHAIN_MAC], before[CHAIN_MAC];
    memcpy(before, v->chain.digest, CHAIN_MAC);
    if (!v->chain.key) {
        v->chain.seq++;
        chain_relink(&v->chain, before, l->mac, body);
        return true;
    }
    chain_next(&v->chain, body, mac);
    if (equal_ct(mac, l->mac, CHAIN_MAC))
        return true;
    chain_relink(&v->chain, before, l->mac, body);
    return hole ? false /* its predecessor is lost: it cannot verify, and that was told */
                : problem(v, l->seq,
                          "line %llu does not verify: it was changed, or a new chain begins here",
                          (unsigned long long)l->seq);
}

static bool skip_hole(struct verifier *v, const struct line *l)
{
    static const uint8_t none[HASH];
    uint64_t due = v->chain.seq;
    v->skipped += l->seq - due;
    for (uint64_t seq = due; seq < l->seq; seq++)
        remember(v, seq, none);
    chain_skip(&v->chain, l->seq);
    buf_reset(&v->torn);
    return problem(v, due, "line %llu is missing: line %llu follows", (unsigned long long)due,
                   (unsigned long long)l->seq);
}

/* the line that is due, or one behind a hole */
static void check_next(struct verifier *v, const struct line *l)
{
    uint8_t hash[HASH];
    struct view body = buf_view(&v->body);
    v->fresh = false;
    bool hole = l->seq > v->chain.seq && !skip_hole(v, l);
    bool torn = check_torn(v, l), sig = check_signature(v, l, body),
         mac = check_mac(v, l, body, hole);
    hash_line(l, hash);
    remember(v, l->seq, hash);
    v->verdict.lines += torn && sig && mac;
}

static void check_line(struct verifier *v, struct view text)
{
    struct line l = {0};
    uint64_t due = v->chain.seq;
    bool ours = take_apart(text, &l, &v->body);
    v->begun |= ours && l.seq >= v->first;
    if (!v->begun && v->first > 1)
        return; /* of an earlier chain */
    if (!ours || (l.seq > due && l.seq - due > VERIFY_GAP_MAX - v->skipped))
        (void)problem(v, due, "where line %llu is due stands something else",
                      (unsigned long long)due);
    else if (l.seq < due)
        (void)check_repeat(v, &l);
    else
        check_next(v, &l);
}

/* ---- bytes */

err_t verify_begin(const struct verify_keys *keys, struct verifier *out)
{
    struct verifier v = {.pk = keys->pk, .line.max = VERIFY_LINE_MAX, .body.max = VERIFY_LINE_MAX};
    v.first = keys->first ? keys->first : 1;
    if (keys->k0)
        TRY(chain_start(keys->k0, &v.chain));
    v.chain.seq = v.first;
    v.fresh = true;
    v.verdict.macs_checked = keys->k0;
    v.verdict.signatures_checked = keys->pk;
    *out = v;
    return ERR_OK;
}

static void end_line(struct verifier *v)
{
    if (v->line.bad)
        (void)problem(v, v->chain.seq, "where line %llu is due stand more than %d bytes",
                      (unsigned long long)v->chain.seq, VERIFY_LINE_MAX);
    else
        check_line(v, buf_view(&v->line));
    buf_reset(&v->line);
}

void verify_feed(struct verifier *v, struct view bytes)
{
    while (bytes.n) {
        const uint8_t *end = memchr(bytes.p, '\n', bytes.n);
        size_t n = end ? (size_t)(end - bytes.p) : bytes.n;
        buf_add(&v->line, bytes.p, n);
        if (!end)
            return;
        end_line(v);
        bytes = VIEW(end + 1, bytes.n - n - 1);
    }
}

/* What stands behind the last newline must be a piece of the line that comes next; two pieces, of
 * the same. */
void verify_segment_end(struct verifier *v)
{
    v->fresh = true;
    size_t common = v->line.len < v->torn.len ? v->line.len : v->torn.len;
    if (v->line.bad || (common && memcmp(v->line.p, v->torn.p, common) != 0))
        (void)problem(v, v->chain.seq, "the bytes before line %llu belong to no line",
                      (unsigned long long)v->chain.seq);
    else if (v->line.len > v->torn.len && (v->begun || v->first == 1))
        buf_add(&v->torn, v->line.p + common, v->line.len - common);
    buf_reset(&v->line);
}

void verify_end(struct verifier *v)
{
    if (v->torn.len)
        (void)problem(v, v->chain.seq, "line %llu, the last, is cut short",
                      (unsigned long long)v->chain.seq);
}

void verify_free(struct verifier *v)
{
    chain_clear(&v->chain);
    buf_free(&v->line);
    buf_free(&v->body);
    buf_free(&v->torn);
    buf_free(&v->seen);
}

/* ---- the directory */

enum { SEGMENTS_MAX = 1000000 };

/* audit-NNNNNN.jsonl → N; SEGMENTS_MAX when it is another name */
static unsigned segment_number(const char *name)
{
    unsigned n = 0;
    if (strlen(name) != 18 || strncmp(name, "audit-", 6) != 0 || strcmp(name + 12, ".jsonl") != 0)
        return SEGMENTS_MAX;
    for (unsigned i = 6; i < 12; i++) {
        if (name[i] < '0' || name[i] > '9')
            return SEGMENTS_MAX;
        n = n * 10 + (unsigned)(name[i] - '0');
    }
    return n;
}

static void auto_closedir(DIR **d)
{
    if (*d)
        (void)closedir(*d);
}

static err_t segment_range(int dirfd, unsigned *first, unsigned *last, struct why *why)
{
    AUTO(auto_close) int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    AUTO(auto_closedir) DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    if (!d)
        return fail_errno(why, errno, "the directory of the audit log");
    (void)TAKE_FD(fd); /* the stream's now */
    *first = SEGMENTS_MAX;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        unsigned n = segment_number(e->d_name);
        if (n == SEGMENTS_MAX)
            continue;
        *last = *first == SEGMENTS_MAX || n > *last ? n : *last;
        *first = n < *first ? n : *first;
    }
    if (*first == SEGMENTS_MAX)
        return fail(why, ERR_NOT_FOUND, "no audit-NNNNNN.jsonl in this directory");
    return ERR_OK;
}

static err_t read_segment(struct verifier *v, int fd, const char *name, struct why *why)
{
    uint8_t chunk[32768];
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return fail(why, ERR_INVALID, "%s is not a regular file", name);
    for (;;) {
        ssize_t n = read(fd, chunk, sizeof(chunk));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail_errno(why, errno, "%s", name);
        if (n == 0)
            break;
        verify_feed(v, VIEW(chunk, (size_t)n));
    }
    verify_segment_end(v);
    return ERR_OK;
}

err_t verify_dir_from(int dirfd, const struct verify_keys *keys, struct verify_verdict *out,
                      struct why *why)
{
    unsigned first = 0, last = 0;
    TRY(segment_range(dirfd, &first, &last, why));
    AUTO(verify_free) struct verifier v = {0};
    err_t begun = verify_begin(keys, &v);
    if (begun != ERR_OK)
        return fail(why, begun, "no memory for the verification, or a key that is not 32 bytes");
    for (unsigned i = first; i <= last; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "audit-%06u.jsonl", i);
        AUTO(auto_close)
        int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd < 0 && errno == ENOENT)
            continue; /* a gap of numbers: a gap of lines would show */
        if (fd < 0)
            return fail_errno(why, errno, "%s", name);
        TRY(read_segment(&v, fd, name, why));
    }
    verify_end(&v);
    *out = v.verdict;
    return ERR_OK;
}

err_t verify_dir(int dirfd, const struct secret *k0, const uint8_t *pk, struct verify_verdict *out,
                 struct why *why)
{
    return verify_dir_from(dirfd, &(struct verify_keys){.k0 = k0, .pk = pk}, out, why);
}
