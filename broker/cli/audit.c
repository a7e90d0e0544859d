/*
 * broker-cli audit tail|show|export (from the broker) and verify (offline, from a directory): reading the record.
 */
#include "cli/admin.h"

#include "base/auto.h"
#include "crypto/verify.h"
#include <broker/secret.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

struct audit_options {
    struct verb_common common;
    uint64_t count, after;
    bool follow;
    const char *consumer, *credential, *event, *dir, *key, *public_key;
};
#define AT(member) offsetof(struct audit_options, member)
#define FILTER_ROWS                                                                              \
    {"consumer", OPTION_TEXT, AT(consumer), "NAME", "only this consumer's"},                     \
    {"credential", OPTION_TEXT, AT(credential), "NAME", "only about this credential"},           \
    {"event", OPTION_TEXT, AT(event), "EVENT", "only this event, for example lease.issue"}
static const struct option_row tail_rows[] = {
    {"lines", OPTION_NUMBER, AT(count), "N", "how many; 20 when not given"},
    {"follow", OPTION_FLAG, AT(follow), NULL, "go on with what comes"},
    FILTER_ROWS, VERB_ROWS(struct audit_options)};
static const struct option_row show_rows[] = {
    {"after", OPTION_NUMBER, AT(after), "SEQ", "only lines behind this number"},
    FILTER_ROWS, VERB_ROWS(struct audit_options)};
static const struct option_row verify_rows[] = {
    {"dir", OPTION_TEXT, AT(dir), "DIR", "the log directory (or a copy of it); no broker is needed"},
    {"key", OPTION_TEXT, AT(key), "FILE", "the auditor's key (auditor.key): every line is checked"},
    {"public-key", OPTION_TEXT, AT(public_key), "FILE", "the public key (audit.pub): signed checkpoints are checked"},
    VERB_ROWS(struct audit_options)};
static const struct options tail_options = {.rows = tail_rows, .n = COUNT(tail_rows)},
                            show_options = {.rows = show_rows, .n = COUNT(show_rows)},
                            verify_options = {.rows = verify_rows, .n = COUNT(verify_rows)};

enum { PAGE = 200 };

static bool matches(const struct audit_options *o, const json_t *line)
{
    const struct {
        const char *want, *key;
    } f[] = {{o->consumer, "consumer"}, {o->credential, "credential"}, {o->event, "event"}};
    for (size_t i = 0; i < COUNT(f); i++)
        if (f[i].want && strcmp(text_of(line, f[i].key), f[i].want) != 0)
            return false;
    return true;
}

/* one line for people: what is always there, then what is there */
static void print_line(const json_t *line)
{
    const char *key;
    json_t *value;
    bool colour = colour_wanted(), good = strcmp(text_of(line, "outcome"), "ok") == 0;
    (void)printf("%6" PRId64 "  %s  %s%-20s%s %s%s%s", int_of(line, "seq"), text_of(line, "time"), colour ? "\033[1m" : "",
                 text_of(line, "event"), colour ? "\033[0m" : "", colour && !good ? "\033[31m" : "", text_of(line, "outcome"),
                 colour && !good ? "\033[0m" : "");
    json_object_foreach((json_t *)(uintptr_t)line, key, value) {
        static const char *const done[] = {"seq", "time", "event", "outcome", "mac", "sig"};
        bool skip = false;
        for (size_t i = 0; i < COUNT(done); i++)
            skip = skip || strcmp(key, done[i]) == 0;
        if (!skip && json_is_string(value))
            (void)printf(" %s=%s", key, json_string_value(value));
        else if (!skip && json_is_integer(value))
            (void)printf(" %s=%" JSON_INTEGER_FORMAT, key, json_integer_value(value));
    }
    (void)putchar('\n');
}

/* Prints the page's lines that match; *after becomes the last line's number. */
static err_t print_page(const struct audit_options *o, struct view page, uint64_t *after, struct why *why)
{
    while (page.n) {
        const uint8_t *nl = memchr(page.p, '\n', page.n);
        size_t n = nl ? (size_t)(nl - page.p) : page.n;
        AUTO(auto_json) json_t *line = NULL;
        TRY(json_parse(VIEW(page.p, n), &line, why));
        *after = (uint64_t)int_of(line, "seq");
        if (matches(o, line) && o->common.json)
            (void)printf("%.*s\n", (int)n, (const char *)page.p);
        else if (matches(o, line))
            print_line(line);
        page = VIEW(page.p + n + 1, page.n > n ? page.n - n - 1 : 0);
    }
    return ERR_OK;
}

static err_t read_page(const struct audit_options *o, uint64_t after, struct buf *page, struct why *why)
{
    char path[96];
    (void)snprintf(path, sizeof(path), "/v1/audit?after=%" PRIu64 "&limit=%d", after, PAGE);
    return admin_call(&o->common, "GET", path, NULL, page, why);
}

/* Everything behind `after` until the broker has no more. */
static err_t print_rest(const struct audit_options *o, uint64_t *after, struct why *why)
{
    for (;;) {
        AUTO(buf_free) struct buf page = {0};
        TRY(read_page(o, *after, &page, why));
        if (page.len == 0)
            return ERR_OK;
        TRY(print_page(o, buf_view(&page), after, why));
    }
}

static err_t last_seq(const struct audit_options *o, uint64_t *seq, struct why *why)
{
    AUTO(buf_free) struct buf text = {0};
    AUTO(auto_json) json_t *status = NULL;
    TRY(admin_call(&o->common, "GET", "/v1/status", NULL, &text, why));
    TRY(json_parse(buf_view(&text), &status, why));
    *seq = (uint64_t)int_of(json_object_get(status, "audit"), "seq");
    return ERR_OK;
}

static err_t tail(const struct audit_options *o, const struct operands *rest, struct why *why)
{
    uint64_t seq = 0, count = o->count ? o->count : 20;
    if (rest->n)
        return fail(why, ERR_USAGE, "broker-cli audit tail [--lines N] [--follow]");
    TRY(last_seq(o, &seq, why));
    seq = seq > count ? seq - count : 0;
    TRY(print_rest(o, &seq, why));
    while (o->follow) {
        (void)fflush(stdout);
        (void)nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
        TRY(print_rest(o, &seq, why));
    }
    return ERR_OK;
}

static err_t show(const struct audit_options *o, const struct operands *rest, struct why *why)
{
    uint64_t after = o->after;
    if (rest->n)
        return fail(why, ERR_USAGE, "broker-cli audit show [--after SEQ] [--consumer NAME] [--credential NAME] [--event EVENT]");
    return print_rest(o, &after, why);
}

/* the lines as they are, byte for byte, so that they verify elsewhere */
static err_t export(const struct audit_options *o, const struct operands *rest, struct why *why)
{
    struct audit_options raw = *o;
    raw.common.json = true;
    return show(&raw, rest, why);
}

/* ---- verify */

/* 64 hex digits on the first line of a file */
static err_t read_hex(const char *file, uint8_t out[32], struct why *why)
{
    char text[80] = "";
    AUTO(auto_fclose) FILE *f = fopen(file, "re");
    if (!f)
        return fail_errno(why, errno, "%s", file);
    bool good = fgets(text, sizeof(text), f) != NULL && hex_decode(VIEW(text, strcspn(text, "\r\n")), out, 32);
    wipe(text, sizeof(text));
    return good ? ERR_OK : fail(why, ERR_INVALID, "%s holds no key of 64 hex digits", file);
}

static err_t read_keys(const struct audit_options *o, struct secret **k0, uint8_t pk[32], struct why *why)
{
    uint8_t bytes[32];
    if (o->public_key)
        TRY(read_hex(o->public_key, pk, why));
    if (!o->key)
        return ERR_OK;
    TRY(secret_pool_open(65536, why));
    TRY(read_hex(o->key, bytes, why));
    *k0 = secret_from(bytes, sizeof(bytes));
    wipe(bytes, sizeof(bytes));
    return *k0 ? ERR_OK : fail(why, ERR_UNAVAILABLE, "no locked memory for the key");
}

static void print_verdict(const struct audit_options *o, const struct verify_verdict *v, bool good)
{
    AUTO(buf_free) struct buf out = {0};
    struct jsonw w = jsonw_to(&out);
    if (!o->common.json) {
        (void)printf("%s: %" PRIu64 " lines, %" PRIu64 " checkpoints, the last at line %" PRIu64 "; %s%s\n",
                     good ? "good" : "NOT GOOD", v->lines, v->checkpoints, v->last_checkpoint_seq,
                     v->macs_checked ? "every line checked with the auditor's key" : "numbers and order checked",
                     v->signatures_checked ? ", signatures checked" : "");
        return;
    }
    jsonw_open(&w, NULL, '{');
    jsonw_bool(&w, "good", good);
    jsonw_int(&w, "lines", (int64_t)v->lines);
    jsonw_int(&w, "checkpoints", (int64_t)v->checkpoints);
    jsonw_int(&w, "last_checkpoint_seq", (int64_t)v->last_checkpoint_seq);
    jsonw_int(&w, "first_bad_seq", (int64_t)v->first_bad_seq);
    jsonw_bool(&w, "macs_checked", v->macs_checked);
    jsonw_bool(&w, "signatures_checked", v->signatures_checked);
    jsonw_str(&w, "problem", v->problem[0] ? v->problem : NULL);
    jsonw_close(&w, '}');
    (void)puts(buf_text(&out));
}

static err_t verify(const struct audit_options *o, const struct operands *rest, struct why *why)
{
    AUTO(auto_close) int dir = -1;
    AUTO(auto_secret) struct secret *k0 = NULL;
    uint8_t pk[32];
    struct verify_verdict v = {0};
    if (rest->n || !o->dir)
        return fail(why, ERR_USAGE, "broker-cli audit verify --dir DIR [--key auditor.key] [--public-key audit.pub]");
    dir = open(o->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return fail_errno(why, errno, "%s", o->dir);
    TRY(read_keys(o, &k0, pk, why));
    err_t e = verify_dir(dir, k0, o->public_key ? pk : NULL, &v, why);
    if (e == ERR_OK || e == ERR_CORRUPT)
        print_verdict(o, &v, e == ERR_OK && !v.problem[0]);
    if (e == ERR_OK && v.problem[0])
        return fail(why, ERR_CORRUPT, "%s", v.problem);
    return e;
}

typedef err_t audit_fn(const struct audit_options *o, const struct operands *rest, struct why *why);

static int run(const struct options *how, audit_fn *fn, char **argv)
{
    struct audit_options o = {0};
    struct operands rest = {0};
    struct why why = {0};
    int done = verb_begin(how, argv, &o, &o.common, &rest);
    if (done != VERB_GO_ON)
        return done;
    err_t e = fn(&o, &rest, &why);
    if (fflush(stdout) != 0 && e == ERR_OK)
        e = fail(&why, ERR_IO, "standard output cannot be written");
    return verb_end(argv[0], &o.common, e, &why);
}

#define VERB(name_, options_, fn_)                                                               \
    static int name_(int argc, char **argv)                                                      \
    {                                                                                            \
        (void)argc;                                                                              \
        return run(&(options_), fn_, argv);                                                      \
    }
VERB(run_tail, tail_options, tail)
VERB(run_show, show_options, show)
VERB(run_export, show_options, export)
VERB(run_verify, verify_options, verify)

int verb_audit(int argc, char **argv)
{
    static const struct subverb table[] = {
        {"tail", run_tail}, {"show", run_show}, {"export", run_export}, {"verify", run_verify}, {NULL, NULL}};
    return subverb_run(table,
                       "audit tail [--lines N] [--follow]\n       broker-cli audit show [--after SEQ] [--consumer NAME] [--credential NAME] [--event EVENT]\n"
                       "       broker-cli audit export [--after SEQ]   (JSON Lines, byte for byte)\n"
                       "       broker-cli audit verify --dir DIR [--key FILE] [--public-key FILE]\n",
                       argc, argv);
}
