/*
 * broker-cli audit tail|show|export (from the broker) and verify (offline, from a directory):
 * reading the record. Exported lines are printed byte for byte, so that they verify elsewhere;
 * lines for people are cleaned first, because a peer chose parts of them.
 */
#include "cli/admin.h"

#include "base/auto.h"
#include "cli/verdict.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

struct audit_options {
    struct verb_common common;
    uint64_t count, after;
    bool follow;
    const char *consumer, *credential, *event;
    struct verdict_ask verify;
};
#define AT(member) offsetof(struct audit_options, member)
#define FILTER_ROWS                                                                                \
    {"consumer", OPTION_TEXT, AT(consumer), "NAME", "only this consumer's"},                       \
        {"credential", OPTION_TEXT, AT(credential), "NAME", "only about this credential"},         \
    {                                                                                              \
        "event", OPTION_TEXT, AT(event), "EVENT", "only this event, for example lease.issue"       \
    }
static const struct option_row tail_rows[] = {
    {"lines", OPTION_NUMBER, AT(count), "N", "how many; 20 when not given"},
    {"follow", OPTION_FLAG, AT(follow), NULL, "go on with what comes, until interrupted"},
    FILTER_ROWS,
    VERB_ROWS(struct audit_options)};
static const struct option_row show_rows[] = {
    {"after", OPTION_NUMBER, AT(after), "SEQ", "only lines behind this number"},
    FILTER_ROWS,
    VERB_ROWS(struct audit_options)};
static const struct option_row verify_rows[] = {
    {"dir", OPTION_TEXT, AT(verify.dir), "DIR",
     "the log directory (or a copy of it); no broker is needed"},
    {"key", OPTION_TEXT, AT(verify.key), "FILE",
     "the auditor's key (auditor.key): every line is checked"},
    {"public-key", OPTION_TEXT, AT(verify.public_key), "FILE",
     "the public key (audit.pub): signed checkpoints are checked"},
    VERB_ROWS(struct audit_options)};
static const struct options tail_options = {.rows = tail_rows, .n = COUNT(tail_rows)},
                            show_options = {.rows = show_rows, .n = COUNT(show_rows)},
                            verify_options = {.rows = verify_rows, .n = COUNT(verify_rows)};

enum { PAGE = 200, PAUSE_MS = 300, LINES = 20 };

/* ---- lines */

static bool matches(const struct audit_options *o, const json_t *line)
{
    const struct {
        const char *want, *key;
    } f[] = {{o->consumer, "consumer"}, {o->credential, "credential"}, {o->event, "event"}};
    for (size_t i = 0; i < COUNT(f); i++)
        if (f[i].want && !text_is(line, f[i].key, f[i].want))
            return false;
    return true;
}

static bool is_head(const char *key)
{
    static const char *const head[] = {"seq", "time", "event", "outcome", "mac", "sig"};
    for (size_t i = 0; i < COUNT(head); i++)
        if (strcmp(key, head[i]) == 0)
            return true;
    return false;
}

/* One line for people: what is always there, then what is there. */
static void print_line(json_t *line)
{
    const char *key;
    json_t *value;
    bool good = text_is(line, "outcome", "ok");
    (void)printf("%6" PRId64 "  %s  %s%-16s%s  %s%s%s", int_of(line, "seq"), text_of(line, "time"),
                 shade(SHADE_BOLD), text_of(line, "event"), shade(SHADE_NONE),
                 good ? "" : shade(SHADE_BAD), text_of(line, "outcome"),
                 good ? "" : shade(SHADE_NONE));
    json_object_foreach (line, key, value) {
        if (!is_head(key) && json_is_string(value))
            (void)printf(" %s=%s", key, json_string_value(value));
        else if (!is_head(key) && json_is_integer(value))
            (void)printf(" %s=%" JSON_INTEGER_FORMAT, key, json_integer_value(value));
    }
    (void)putchar('\n');
}

static err_t parse_line(struct view text, json_t **line, struct why *why)
{
    AUTO(buf_free) struct buf clean = {0};
    struct why detail = {0};
    buf_add_view(&clean, text);
    show_clean(&clean);
    if (json_parse(buf_view(&clean), line, &detail) != ERR_OK || int_of(*line, "seq") <= 0)
        return fail(why, ERR_INVALID, "the broker's answer holds a line that is none of the log's");
    return ERR_OK;
}

/* Lines that match are counted, and printed but for the first `skip` of them. `after` is the last
 * line's number so far. */
struct walk {
    const struct audit_options *o;
    bool print;
    uint64_t after, skip, matched;
};

static err_t walk_line(struct walk *w, struct view text, struct why *why)
{
    AUTO(auto_json) json_t *line = NULL;
    TRY(parse_line(text, &line, why));
    uint64_t seq = (uint64_t)int_of(line, "seq");
    if (seq <= w->after)
        return fail(why, ERR_INVALID, "the broker's answer goes backwards at line %" PRIu64, seq);
    w->after = seq;
    if (!matches(w->o, line))
        return ERR_OK;
    if (w->matched++ < w->skip)
        return ERR_OK;
    if (w->print && w->o->common.json)
        (void)printf("%.*s\n", (int)text.n, (const char *)text.p);
    else if (w->print)
        print_line(line);
    return ERR_OK;
}

static err_t walk_page(struct walk *w, struct view page, struct why *why)
{
    while (page.n) {
        const uint8_t *nl = memchr(page.p, '\n', page.n);
        size_t n = nl ? (size_t)(nl - page.p) : page.n;
        TRY(walk_line(w, VIEW(page.p, n), why));
        page = VIEW(page.p + n + (nl != NULL), page.n - n - (nl != NULL));
    }
    return ERR_OK;
}

/* Lines behind w->after, up to `until` or as far as there are. */
static err_t walk_to(struct walk *w, uint64_t until, struct why *why)
{
    while (w->after < until) {
        AUTO(buf_free) struct buf page = {0};
        char path[96];
        uint64_t left = until - w->after;
        (void)snprintf(path, sizeof(path), "/v1/audit?after=%" PRIu64 "&limit=%" PRIu64, w->after,
                       left < PAGE ? left : PAGE);
        TRY(admin_call(&w->o->common, "GET", path, NULL, &page, why));
        if (page.len == 0)
            return ERR_OK;
        TRY(walk_page(w, buf_view(&page), why));
    }
    return ERR_OK;
}

/* ---- tail */

/* Where the last `count` matching lines begin, looking back a page at a time. */
static err_t find_begin(const struct audit_options *o, struct walk *out, struct why *why)
{
    AUTO(auto_json) json_t *status = NULL;
    TRY(admin_get(&o->common, "/v1/status", &status, why));
    uint64_t end = (uint64_t)int_of(json_object_get(status, "audit"), "seq"),
             count = o->count ? o->count : LINES, found = 0;
    out->after = end > count ? end - count : 0;
    if (!o->consumer && !o->credential && !o->event)
        return ERR_OK;
    while (end > 0 && found < count) {
        struct walk back = {.o = o, .after = end > PAGE ? end - PAGE : 0};
        out->after = back.after;
        TRY(walk_to(&back, end, why));
        found += back.matched;
        end = out->after;
    }
    out->skip = found > count ? found - count : 0;
    return ERR_OK;
}

/* Goes on with what comes. Ends well when it is interrupted, and when nobody reads any more. */
static err_t follow(struct walk *w, struct why *why)
{
    sigset_t stop;
    (void)sigemptyset(&stop);
    (void)sigaddset(&stop, SIGINT);
    (void)sigaddset(&stop, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &stop, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    AUTO(auto_close) int signals = signalfd(-1, &stop, SFD_CLOEXEC);
    if (signals < 0)
        return fail_errno(why, errno, "signalfd");
    for (;;) {
        struct pollfd p[] = {{.fd = signals, .events = POLLIN}, {.fd = STDOUT_FILENO}};
        bool unread = fflush(stdout) != 0 && errno == EPIPE;
        (void)poll(p, COUNT(p), unread ? 0 : PAUSE_MS);
        if (unread || p[1].revents)
            return freopen("/dev/null", "we", stdout) ? ERR_OK
                                                      : fail_errno(why, errno, "/dev/null");
        if (p[0].revents)
            return ERR_OK;
        TRY(walk_to(w, UINT64_MAX, why));
    }
}

static err_t tail(const struct audit_options *o, const struct operands *rest, struct why *why)
{
    struct walk w = {.o = o, .print = true};
    TRY(no_operands(rest, why));
    TRY(find_begin(o, &w, why));
    TRY(walk_to(&w, UINT64_MAX, why));
    return o->follow ? follow(&w, why) : ERR_OK;
}

static err_t show(const struct audit_options *o, const struct operands *rest, struct why *why)
{
    struct walk w = {.o = o, .print = true, .after = o->after};
    TRY(no_operands(rest, why));
    return walk_to(&w, UINT64_MAX, why);
}

static err_t export(const struct audit_options *o, const struct operands *rest, struct why *why)
{
    struct audit_options raw = *o;
    raw.common.json = true;
    return show(&raw, rest, why);
}

/* ---- the verbs */

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
    if (e == ERR_CORRUPT)
        o.common.json = false; /* the verdict is the one document on standard output */
    if (fflush(stdout) != 0 && e == ERR_OK)
        e = fail(&why, ERR_IO, "standard output cannot be written");
    return verb_end(argv[0], &o.common, e, &why);
}

static err_t verify(const struct audit_options *o, const struct operands *rest, struct why *why)
{
    TRY(no_operands(rest, why));
    return verdict_give(&o->verify, o->common.json, why);
}

#define VERB(linkage_, name_, options_, fn_)                                                       \
    linkage_ name_(int argc, char **argv)                                                          \
    {                                                                                              \
        (void)argc;                                                                                \
        return run(&(options_), fn_, argv);                                                        \
    }
VERB(static int, run_tail, tail_options, tail)
VERB(static int, run_show, show_options, show)
VERB(static int, run_export, show_options, export)
VERB(static int, run_verify, verify_options, verify)

const struct verb audit_words[] = {
    {"audit tail", "the last lines", "audit tail [OPTIONS]",
     "broker-cli audit tail --follow\n  broker-cli audit tail --consumer gateway --lines 5",
     run_tail, NULL},
    {"audit show", "all lines, or those behind a number", "audit show [OPTIONS]",
     "broker-cli audit show --event lease.issue", run_show, NULL},
    {"audit export", "the same in JSON Lines, byte for byte", "audit export [OPTIONS]",
     "broker-cli audit export --after 1000 >since.jsonl", run_export, NULL},
    {"audit verify", "check a log directory, or a copy of one, offline",
     "audit verify --dir DIR [OPTIONS]",
     "broker-cli audit verify --dir /var/lib/credential-broker/log --key auditor.key", run_verify,
     NULL},
    {.name = NULL},
};

int verb_audit(int argc, char **argv)
{
    return subverb_run(argc, argv);
}
