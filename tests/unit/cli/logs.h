/*
 * A real audit log in a directory, with its keys beside it, as the vault writes it: lines chained,
 * a signed checkpoint each tenth.
 */
#ifndef TESTS_CLI_LOGS_H
#define TESTS_CLI_LOGS_H

#include "unit/cli/operator.h"

#include "crypto/chain.h"
#include <broker/secret.h>

struct log {
    struct scratch dir;
    struct buf text;
    struct chain chain;
    struct secret *sk;
    uint64_t next; /* line */
    uint8_t k0[32], pk[CHAIN_PK];
    char key[100], pub[100];
};

static inline void log_line(struct log *l)
{
    AUTO(buf_free) struct buf line = {0};
    static const uint8_t id[16] = {0xab};
    uint8_t mac[CHAIN_MAC], sig[CHAIN_SIG];
    char hex[2 * CHAIN_SIG + 1];
    uint64_t seq = l->chain.seq;
    buf_add_fmt(
        &line,
        "{\"seq\":%llu,\"time\":\"2026-01-01T00:00:00.000Z\",\"event\":\"%s\",\"outcome\":\"ok\"",
        (unsigned long long)seq, seq % 10 ? "lease.issue" : "audit.checkpoint");
    if (seq % 10 == 0) {
        sign_checkpoint(l->sk, id, seq, l->chain.digest, sig);
        hex_encode(id, 16, hex);
        buf_add_fmt(&line, ",\"log\":\"%s\"", hex);
        hex_encode(sig, CHAIN_SIG, hex);
        buf_add_fmt(&line, ",\"sig\":\"%s\"", hex);
    }
    buf_put_u8(&line, '}');
    chain_next(&l->chain, buf_view(&line), mac);
    hex_encode(mac, CHAIN_MAC, hex);
    buf_add(&l->text, line.p, line.len - 1);
    buf_add_fmt(&l->text, ",\"mac\":\"%s\"}\n", hex);
}

static inline void log_key(const char *file, const uint8_t bytes[32])
{
    char hex[65], text[80];
    hex_encode(bytes, 32, hex);
    snprintf(text, sizeof(text), "%s\n", hex);
    scratch_write(file, text, 65, 0600);
}

/* A new chain with keys auditor<suffix>.key and audit<suffix>.pub, and its first lines. */
static inline void log_chain(struct log *l, const char *suffix, unsigned lines)
{
    memset(l->k0, suffix[0] ? 'b' : 'a', sizeof(l->k0));
    scratch_pool();
    struct secret *k0 = secret_from(l->k0, sizeof(l->k0));
    CHECK(k0);
    CHECK_INT(sign_keypair(l->pk, &l->sk), ERR_OK);
    CHECK_INT(chain_start(k0, &l->chain), ERR_OK);
    secret_free(k0);
    l->chain.seq = l->next;
    snprintf(l->key, sizeof(l->key), "%s/auditor%s.key", l->dir.path, suffix);
    snprintf(l->pub, sizeof(l->pub), "%s/audit%s.pub", l->dir.path, suffix);
    log_key(l->key, l->k0);
    log_key(l->pub, l->pk);
    while (lines--)
        log_line(l);
    l->next = l->chain.seq;
    chain_clear(&l->chain);
    secret_free(l->sk);
    secret_pool_close(); /* the verb opens one of its own */
}

static inline void log_save(struct log *l)
{
    scratch_write(scratch_path(&l->dir, "audit-000001.jsonl"), l->text.p, l->text.len, 0600);
}

static inline struct log log_new(unsigned lines)
{
    struct log l = {.dir = scratch_new(), .next = 1};
    log_chain(&l, "", lines);
    log_save(&l);
    return l;
}

static inline void log_free(struct log *l)
{
    buf_free(&l->text);
    scratch_free(&l->dir);
}

#define VERIFY(...)                                                                                \
    op_call(verb_audit, (const char *const[]){"audit", "verify", __VA_ARGS__, NULL}, "")

#endif
