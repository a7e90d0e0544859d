/*
 * broker-cli status: one look at everything, and metrics for a scraper.
 */
#include "cli/admin.h"

#include "base/auto.h"
#include "base/clock.h"

#include <inttypes.h>
#include <string.h>

struct status_options {
    struct verb_common common;
};
static const struct option_row rows[] = {VERB_ROWS(struct status_options)};
static const struct options options = {.rows = rows, .n = COUNT(rows)};

static void print_lists(const json_t *s)
{
    const json_t *item;
    size_t i;
    json_array_foreach(json_object_get(s, "keys"), i, item)
        (void)printf("  key slot %" PRId64 "  %s  %s\n", int_of(item, "slot"), text_of(item, "source"), text_of(item, "detail"));
    json_array_foreach(json_object_get(s, "consumers"), i, item)
        (void)printf("  consumer    %-16s %" PRId64 " grants, %" PRId64 " leases  %s\n", text_of(item, "name"),
                     int_of(item, "grants"), int_of(item, "leases"), text_of(item, "socket"));
    json_array_foreach(json_object_get(s, "workers"), i, item)
        (void)printf("  worker      %-16s pid %" PRId64 ", restarted %" PRId64 " times\n", text_of(item, "role"),
                     int_of(item, "pid"), int_of(item, "restarts"));
}

static void print_status(const json_t *s)
{
    const json_t *audit = json_object_get(s, "audit");
    bool colour = colour_wanted(), ready = strcmp(text_of(s, "state"), "ready") == 0;
    char up[24];
    clock_format_duration(int_of(s, "uptime_ms") / 1000 * 1000, up);
    (void)printf("%s%s%s", colour ? ready ? "\033[32m" : "\033[31m" : "", text_of(s, "state"), colour ? "\033[0m" : "");
    if (text_of(s, "reason")[0])
        (void)printf(": %s", text_of(s, "reason"));
    (void)printf("\n  broker      %s, %s mode, pid %" PRId64 ", up %s\n", text_of(s, "version"), text_of(s, "mode"),
                 int_of(s, "pid"), up);
    (void)printf("  state       %s (%s, epoch %" PRId64 ")\n  sockets     %s\n  config      %s\n", text_of(s, "state_dir"),
                 text_of(s, "store"), int_of(s, "epoch"), text_of(s, "run_dir"), text_of(s, "config"));
    (void)printf("  credentials %" PRId64 ", live leases %" PRId64 "\n", int_of(s, "credentials"), int_of(s, "leases"));
    (void)printf("  audit       %s, %" PRId64 " lines, sync %s\n", text_of(audit, "health"), int_of(audit, "seq"),
                 text_of(audit, "sync"));
    (void)printf("  protection  secrets in %s; %s\n", text_of(s, "memory_lock"), text_of(s, "sandbox"));
    print_lists(s);
}

int verb_status(int argc, char **argv)
{
    AUTO(auto_json) json_t *reply = NULL;
    struct status_options o = {0};
    struct operands rest = {0};
    struct why why = {0};
    (void)argc;
    int done = verb_begin(&options, argv, &o, &o.common, &rest);
    if (done != VERB_GO_ON)
        return done;
    err_t e = admin_ask(&o.common, "GET", "/v1/status", NULL, &reply, &why);
    if (e == ERR_OK && reply)
        print_status(reply);
    return verb_end(argv[0], &o.common, e, &why);
}

int verb_metrics(int argc, char **argv)
{
    AUTO(buf_free) struct buf text = {0};
    struct status_options o = {0};
    struct operands rest = {0};
    struct why why = {0};
    (void)argc;
    int done = verb_begin(&options, argv, &o, &o.common, &rest);
    if (done != VERB_GO_ON)
        return done;
    err_t e = admin_call(&o.common, "GET", "/metrics", NULL, &text, &why);
    if (e == ERR_OK)
        e = verb_write(&text, &why);
    return verb_end(argv[0], &o.common, e, &why);
}
