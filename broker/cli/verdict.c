/*
 * Verifies a log and says what was found, and how much that is worth: with the auditor's key every
 * line was checked, with the public key the lines before the last checkpoint, without both only
 * form and order. A verdict is never better than it sounds.
 */
#include "cli/verdict.h"

#include "base/auto.h"
#include "base/jsonw.h"
#include "cli/show.h"
#include "crypto/verify.h"
#include <broker/secret.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

/* ---- keys */

/* 64 hex digits on the first line of a file */
static err_t read_hex(const char *file, uint8_t out[32], struct why *why)
{
    char text[80] = "";
    AUTO(auto_close) int fd = open(file, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (n < 0)
        return fail_errno(why, errno, "%.120s", file);
    bool good = hex_decode(VIEW(text, strcspn(text, "\r\n")), out, 32);
    wipe(text, sizeof(text));
    return good ? ERR_OK : fail(why, ERR_INVALID, "%.120s holds no key of 64 hex digits", file);
}

/* "auditor-12.key" → 12, "auditor.key" → 1; 0: another name. */
static uint64_t number_in(const char *name, const char *stem, const char *end)
{
    size_t n = strlen(stem);
    uint64_t v = 0;
    if (strncmp(name, stem, n) != 0)
        return 0;
    if (strcmp(name + n, end) == 0)
        return 1;
    const char *p = name + n + 1;
    size_t digits = name[n] == '-' ? strspn(p, "0123456789") : 0;
    if (digits == 0 || digits > 18 || strcmp(p + digits, end) != 0)
        return 0;
    for (size_t i = 0; i < digits; i++)
        v = v * 10 + (uint64_t)(p[i] - '0');
    return v;
}

static uint64_t first_line(const char *file, const char *stem, const char *end)
{
    const char *slash = file ? strrchr(file, '/') : NULL;
    return file ? number_in(slash ? slash + 1 : file, stem, end) : 0;
}

static err_t find_first(const struct verdict_ask *ask, uint64_t *first, struct why *why)
{
    uint64_t key = first_line(ask->key, "auditor", ".key"),
             pub = first_line(ask->public_key, "audit", ".pub");
    if (key && pub && key != pub)
        return fail(why, ERR_USAGE,
                    "the two keys are of different chains: one begins with line %" PRIu64
                    ", one with line %" PRIu64,
                    key, pub);
    *first = key ? key : pub;
    return ERR_OK;
}

static err_t read_key(const char *file, struct secret **k0, struct why *why)
{
    uint8_t bytes[32];
    if (!file)
        return ERR_OK;
    TRY(secret_pool_open(65536, why));
    TRY(read_hex(file, bytes, why));
    *k0 = secret_from(bytes, sizeof(bytes));
    wipe(bytes, sizeof(bytes));
    return *k0 ? ERR_OK : fail(why, ERR_UNAVAILABLE, "no locked memory for the key");
}

/* ---- what is said */

static void auto_closedir(DIR **d)
{
    if (*d)
        (void)closedir(*d);
}

/* The next chain that begins in this directory behind line `first`; 0: none. */
static uint64_t next_chain(const char *dir, uint64_t first)
{
    AUTO(auto_closedir) DIR *d = opendir(dir);
    uint64_t next = 0;
    for (struct dirent *e = NULL; d && (e = readdir(d)) != NULL;) {
        uint64_t n = number_in(e->d_name, "audit", ".pub");
        if (n > first && n > 1 && (next == 0 || n < next))
            next = n;
    }
    return next;
}

static void print_json(const struct verify_verdict *v, uint64_t chain)
{
    AUTO(buf_free) struct buf out = {0};
    struct jsonw w = jsonw_to(&out);
    jsonw_open(&w, NULL, '{');
    jsonw_bool(&w, "good", v->bad == 0);
    jsonw_int(&w, "lines", (int64_t)v->lines);
    jsonw_int(&w, "checkpoints", (int64_t)v->checkpoints);
    jsonw_int(&w, "last_checkpoint_seq", (int64_t)v->last_checkpoint_seq);
    jsonw_int(&w, "findings", (int64_t)v->bad);
    jsonw_int(&w, "first_bad_seq", (int64_t)v->first_bad_seq);
    jsonw_str(&w, "problem", v->bad ? v->problem : NULL);
    jsonw_bool(&w, "macs_checked", v->macs_checked);
    jsonw_bool(&w, "signatures_checked", v->signatures_checked);
    jsonw_int(&w, "next_chain_seq", (int64_t)chain);
    jsonw_close(&w, '}');
    if (buf_text(&out))
        (void)puts(buf_text(&out));
}

static void print_worth(const struct verify_verdict *v)
{
    if (v->macs_checked)
        (void)printf("  every line was checked with the auditor's key%s\n",
                     v->signatures_checked ? ", and the signatures of the checkpoints" : "");
    else if (v->signatures_checked)
        (void)printf("  the signatures of the checkpoints were checked; lines behind line %" PRIu64
                     " are not vouched for\n",
                     v->last_checkpoint_seq);
    else
        (void)puts("  only form and order were checked: give --key auditor.key, or --public-key "
                   "audit.pub");
}

static void print_text(const struct verify_verdict *v, uint64_t chain)
{
    (void)printf("%s%s%s: %" PRIu64 "%s lines, %" PRIu64 " checkpoints",
                 shade(v->bad ? SHADE_BAD : SHADE_GOOD), v->bad ? "NOT GOOD" : "good",
                 shade(SHADE_NONE), v->lines, v->bad ? " good" : "", v->checkpoints);
    if (v->checkpoints)
        (void)printf(", the last at line %" PRIu64, v->last_checkpoint_seq);
    (void)putchar('\n');
    if (v->bad)
        (void)printf("  %" PRIu64 " %s, the first at line %" PRIu64 ": %s\n", v->bad,
                     v->bad == 1 ? "finding" : "findings", v->first_bad_seq, v->problem);
    print_worth(v);
    if (chain)
        (void)printf("  a new chain begins with line %" PRIu64
                     ": from there on verify with auditor-%" PRIu64 ".key and audit-%" PRIu64
                     ".pub\n",
                     chain, chain, chain);
}

err_t verdict_give(const struct verdict_ask *ask, bool json, struct why *why)
{
    AUTO(auto_close) int dir = -1;
    AUTO(auto_secret) struct secret *k0 = NULL;
    uint8_t pk[CHAIN_PK];
    struct verify_verdict v = {0};
    uint64_t first = 0;
    if (!ask->dir)
        return fail(why, ERR_USAGE,
                    "which log? broker-cli audit verify --dir DIR [--key auditor.key] "
                    "[--public-key audit.pub]");
    TRY(find_first(ask, &first, why));
    dir = open(ask->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return fail_errno(why, errno, "%.120s", ask->dir);
    if (ask->public_key)
        TRY(read_hex(ask->public_key, pk, why));
    TRY(read_key(ask->key, &k0, why));
    TRY(verify_dir_from(dir, &(struct verify_keys){k0, ask->public_key ? pk : NULL, first}, &v,
                        why));
    uint64_t chain = next_chain(ask->dir, first);
    if (json)
        print_json(&v, chain);
    else
        print_text(&v, chain);
    return v.bad ? fail(why, ERR_CORRUPT, "%s", v.problem) : ERR_OK;
}
