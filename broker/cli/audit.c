/*
 * broker-cli audit tail|show|export (from the broker) and verify (offline, from a directory): reading the record. Exported lines are
 * printed byte for byte, so that they verify elsewhere; lines for people are cleaned first, because a peer chose parts of them.
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
        {"event", OPTION_TEXT, AT(event), "EVENT", "only this event, for example lease.issue"}
static const struct option_row tail_rows[] = {
    {"lines", OPTION_NUMBER, AT(count), "N", "how many; 20 when not given"},
    {"follow", OPTION_FLAG, AT(follow), NULL, "go on with what comes, until interrupted"},
    FILTER_ROWS, VERB_ROWS(struct audit_options)};
static const struct option_row show_rows[] = {
    {"after", OPTION_NUMBER, AT(after), "SEQ", "only lines behind this number"},
    FILTER_ROWS, VERB_ROWS(struct audit_options)};
static const struct option_row verify_rows[] = {
    {"dir", OPTION_TEXT, AT(verify.dir), "DIR", "the log directory (or a copy of it); no broker is needed"},
    {"key", OPTION_TEXT, AT(verify.key), "FILE", "the auditor's key (auditor.key): every line is checked"},
    {"public-key", OPTION_TEXT, AT(verify.public_key), "FILE", "the public key (audit.pub): signed checkpoints are checked"},
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
static void print_line(const json_t *line)
{
    const char *key;
    json_t *value;
    bool good = text_is(line, "outcome", "ok");
    (void)printf("%6" PRId64 "  %s  %s%-16s%s  %s%s%s", int_of(line, "seq"), text_of(line, "time"), shade(SHADE_BOLD),
                 text_of(line, "event"), shade(SHADE_NONE), good ? "" : shade(SHADE_BAD), text_of(line, "outcome"),
                 good ? "" : shade(SHADE_NONE));
    json_object_foreach((json_t *)(uintptr_t)line, key, value)
    {
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

/* A page's lines that match are printed (`print`) or only counted; *after becomes the last line's number. */
struct walk {
    const struct audit_options *o;
    bool print;
    uint64_t after, matched;
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
    w->matched++;
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
        (void)snprintf(path, sizeof(path), "/v1/audit?after=%" PRIu64 "&limit=%d", w->after, PAGE);
        TRY(admin_call(&w->o->common, "GET", path, NULL, &page, why));
        if (page.len == 0)
            return ERR_OK;
        TRY(walk_page(w, buf_view(&page), why));
    }
    return ERR_OK;
}

/* ---- tail */

/* Where the last `count` matching lines begin: looks back a page at a time. */
static err_t find_begin(const struct audit_options *o, uint64_t count, uint64_t *after, struct why *why)
{
    AUTO(auto_json) json_t *status = NULL;
    TRY(admin_get(&o->common, "/v1/status", &status, why));
    uint64_t end = (uint64_t)int_of(json_object_get(status, "audit"), "seq"), found = 0;
    bool filtered = o->consumer || o->credential || o->event;
    *after = end > count ? end - count : 0;
    while (filtered && end > 0 && found < count) {
        struct walk w = {.o = o, .after = end > PAGE ? end - PAGE : 0};
        *after = w.after;
        TRY(walk_to(&w, end, why));
        found += w.matched;
        end = *after;
    }
    return ERR_OK;
}

/* The last `count` matching lines behind `w->after`. */
static err_t print_last(struct walk *w, uint64_t count, struct why *why)
{
    struct walk all = {.o = w->o, .after = w->after};
    TRY(walk_to(&all, UINT64_MAX, why));
    for (uint64_t skip = all.matched > count ? all.matched - count : 0; skip > 0;) {
        struct walk one = {.o = w->o, .after = w->after};
        TRY(walk_to(&one, w->after + 1, why));
        skip -= one.matched;
        w->after = one.after;
    }
    return walk_to(w, UINT64_MAX, why);
}
