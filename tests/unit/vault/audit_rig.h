/* A rig with an audit log on it: keys, open and close, lines edited behind the log's back. */
#ifndef TESTS_AUDIT_RIG_H
#define TESTS_AUDIT_RIG_H

#include "crypto/verify.h"
#include "sink_rig.h"
#include "vault/audit_state.h"
#include "vault/peer.h"

struct log {
    struct rig r;
    struct secret *seal, *redact;
    uint8_t store_id[16];
    uint64_t max_bytes;
    struct audit *a;
    struct why why;
};

static inline struct audit_env log_env(struct log *l)
{
    return (struct audit_env){.dirfd = l->r.dirfd, .sink = l->r.sink, .seal_key = l->seal, .redact_key = l->redact,
                              .store_id = l->store_id, .max_bytes = l->max_bytes};
}

static inline void log_setup(struct log *l)
{
    struct why why = {0};
    if (strcmp(secret_pool_kind(), "none") == 0)
        CHECK_OK(secret_pool_open(1 << 20, &why), why);
    *l = (struct log){.store_id = {0xa, 0xb, 0xc}, .max_bytes = 1 << 20};
    uint8_t key[32] = {1, 2, 3};
    l->seal = secret_from(key, 32);
    l->redact = secret_from(key, 32);
    CHECK(l->seal && l->redact);
    rig_begin(&l->r, NULL);
    rig_start_writer(&l->r);
}

static inline void log_begin(struct log *l)
{
    log_setup(l);
    struct audit_env env = log_env(l);
    CHECK_OK(audit_create(&env, &l->a, &l->why), l->why);
}

static inline void log_flush(struct log *l)
{
    l->r.pos = sink_head(l->r.sink);
    sink_flush(l->r.sink, true);
    CHECK(rig_until(&l->r, rig_is_durable, 5000));
}

/* The vault is locked: the log is closed well. */
static inline void log_close(struct log *l)
{
    audit_close(TAKE(l->a));
    log_flush(l);
}

/* The vault is killed, its writer drains; the next ones start. */
static inline void log_crash(struct log *l)
{
    audit_free(TAKE(l->a));
    (void)rig_end_vault(&l->r);
    rig_start_writer(&l->r);
}

static inline err_t log_open(struct log *l)
{
    struct audit_env env = log_env(l);
    l->why.text[0] = 0;
    return audit_open(&env, &l->a, &l->why);
}

static inline void log_end(struct log *l)
{
    if (l->r.sink)
        audit_close(TAKE(l->a));
    rig_end(&l->r);
    secret_free(l->seal);
    secret_free(l->redact);
}

static inline void log_event_of(struct log *l, enum audit_event event, err_t outcome)
{
    struct peer peer = {.uid = 1000, .gid = 1000, .pid = 4711, .pidfd = -1, .exe = "/usr/bin/claude"};
    struct audit_record r = {.event = event, .outcome = outcome, .consumer = "gateway", .credential = "claude", .provider = "claude",
                             .delivery = "access_token", .lease = "00112233445566778899aabbccddeeff", .peer = &peer, .ttl_ms = 900000};
    CHECK_OK(audit_append(l->a, &r, &l->r.pos, &l->why), l->why);
}

static inline void log_lines(struct log *l, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        log_event_of(l, AUDIT_LEASE_ISSUE, ERR_OK);
        if (i % 500 == 499)
            log_flush(l);
    }
    log_flush(l);
}

static inline struct secret *log_k0(struct log *l)
{
    AUTO(buf_free) struct buf b = rig_read(&l->r, "auditor.key");
    struct secret *k0 = secret_new(32);
    CHECK_INT(b.len, 65);
    CHECK(k0 && hex_decode(VIEW(b.p, 64), secret_edit(k0), 32));
    return k0;
}

static inline struct verify_verdict log_verify(struct log *l)
{
    struct verify_verdict v = {0};
    struct why why = {0};
    uint8_t pk[32];
    AUTO(auto_secret) struct secret *k0 = log_k0(l);
    AUTO(buf_free) struct buf b = rig_read(&l->r, "audit.pub");
    CHECK(hex_decode(VIEW(b.p, 64), pk, 32));
    CHECK_OK(verify_dir(l->r.dirfd, k0, pk, &v, &why), why);
    return v;
}

static inline void log_check_good(struct log *l)
{
    struct verify_verdict v = log_verify(l);
    CHECK_STR(v.problem, "");
    CHECK_INT(v.first_bad_seq, 0);
    CHECK_INT(v.lines, audit_seq(l->a));
}

/* Behind the log's back: the whole of a segment is written anew. */
static inline void log_rewrite(struct log *l, const char *name, struct view bytes)
{
    int fd = openat(l->r.dirfd, name, O_WRONLY | O_TRUNC | O_CLOEXEC);
    CHECK(fd >= 0);
    CHECK_OK(file_write_all(fd, bytes.p, bytes.n, &l->why), l->why);
    close(fd);
}

/* The k-th line (from 0) with its newline. */
static inline struct view log_line(struct view text, unsigned k)
{
    for (;; k--) {
        const uint8_t *end = memchr(text.p, '\n', text.n);
        CHECK(end);
        size_t n = (size_t)(end - text.p) + 1;
        if (k == 0)
            return VIEW(text.p, n);
        text = VIEW(text.p + n, text.n - n);
    }
}

#endif
