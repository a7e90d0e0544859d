/*
 * broker-cli status: one look at everything, and metrics for a scraper.
 */
#include "cli/logins.h"

#include "base/auto.h"

#include <inttypes.h>
#include <string.h>

struct status_options {
    struct verb_common common;
    bool follow;
};
static const struct option_row rows[] = {
    {"follow", OPTION_FLAG, offsetof(struct status_options, follow), NULL,
     "a line whenever a login's health changes, until interrupted"},
    VERB_ROWS(struct status_options)};
static const struct option_row metrics_rows[] = {VERB_ROWS(struct status_options)};
static const struct options options = {.rows = rows, .n = COUNT(rows)};
static const struct options metrics_options = {.rows = metrics_rows, .n = COUNT(metrics_rows)};

static err_t print_consumers(const json_t *list, struct why *why)
{
    static const char *const head[] = {"CONSUMER", "GRANTS", "LEASES", "SOCKET"};
    AUTO(table_free) struct table t = table_of(COUNT(head));
    if (json_array_size(list) == 0)
        return ERR_OK;
    table_row(&t, head);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *c = json_array_get(list, i);
        char grants[24], leases[24];
        (void)snprintf(grants, sizeof(grants), "%" PRId64, int_of(c, "grants"));
        (void)snprintf(leases, sizeof(leases), "%" PRId64, int_of(c, "leases"));
        table_row(&t,
                  (const char *const[]){text_of(c, "name"), grants, leases, text_of(c, "socket")});
    }
    return table_print(&t, "  ", stdout, why);
}

static void print_keys(const json_t *keys)
{
    for (size_t i = 0; i < json_array_size(keys); i++) {
        const json_t *k = json_array_get(keys, i);
        (void)printf("  %-12s%" PRId64 " %s %s\n", i ? "" : "key slots", int_of(k, "slot"),
                     text_of(k, "source"), text_of(k, "detail"));
    }
}

static void print_workers(const json_t *workers)
{
    for (size_t i = 0; i < json_array_size(workers); i++) {
        const json_t *w = json_array_get(workers, i);
        (void)printf("  %-12s%s, pid %" PRId64, i ? "" : "workers", text_of(w, "role"),
                     int_of(w, "pid"));
        if (int_of(w, "restarts"))
            (void)printf(", restarted %" PRId64 " times", int_of(w, "restarts"));
        (void)putchar('\n');
    }
}

static void print_proxy(const json_t *p)
{
    if (int_of(p, "workers") > 0)
        (void)printf("  %-12s%" PRId64 " of %" PRId64 " workers, %" PRId64
                     " requests running, %" PRId64 " begun, %" PRId64 " refused\n",
                     "proxy", int_of(p, "ready"), int_of(p, "workers"), int_of(p, "running"),
                     int_of(p, "begun"), int_of(p, "denied"));
}

static err_t print_status(const json_t *s, struct why *why)
{
    const json_t *audit = json_object_get(s, "audit");
    bool ready = text_is(s, "state", "ready");
    char up[SPAN_ROOM];
    (void)printf("%s%s%s%s%s\n", shade(ready ? SHADE_GOOD : SHADE_BAD), text_of(s, "state"),
                 shade(SHADE_NONE), text_of(s, "reason")[0] ? ": " : "", text_of(s, "reason"));
    (void)printf("  %-12s%s, %s mode, pid %" PRId64 ", up %s\n", "broker", text_of(s, "version"),
                 text_of(s, "mode"), int_of(s, "pid"), span_of(int_of(s, "uptime_ms"), up));
    (void)printf("  %-12s%s (%s, epoch %" PRId64 ")\n", "state", text_of(s, "state_dir"),
                 text_of(s, "store"), int_of(s, "epoch"));
    (void)printf("  %-12s%s\n  %-12s%s\n", "sockets", text_of(s, "run_dir"), "config",
                 text_of(s, "config"));
    (void)printf("  %-12s%" PRId64 " credentials, %" PRId64 " live leases\n", "holds",
                 int_of(s, "credentials"), int_of(s, "leases"));
    (void)printf("  %-12s%s, %" PRId64 " lines, sync %s\n", "audit", text_of(audit, "health"),
                 int_of(audit, "seq"), text_of(audit, "sync"));
    (void)printf("  %-12ssecrets in %s; %s\n", "protection", text_of(s, "memory_lock"),
                 text_of(s, "sandbox"));
    print_proxy(json_object_get(s, "proxy"));
    print_keys(json_object_get(s, "keys"));
    print_workers(json_object_get(s, "workers"));
    TRY(print_consumers(json_object_get(s, "consumers"), why));
    return logins_print(json_object_get(s, "logins"), why);
}

static err_t status(const struct status_options *o, const struct operands *rest, struct why *why)
{
    AUTO(auto_json) json_t *reply = NULL;
    TRY(no_operands(rest, why));
    if (o->follow)
        return logins_follow(&o->common, why);
    TRY(admin_ask(&o->common, "GET", "/v1/status", NULL, &reply, why));
    return reply ? print_status(reply, why) : ERR_OK;
}

static err_t metrics(const struct status_options *o, const struct operands *rest, struct why *why)
{
    AUTO(buf_free) struct buf text = {0};
    TRY(no_operands(rest, why));
    TRY(admin_call(&o->common, "GET", "/metrics", NULL, &text, why));
    return verb_write(&text, why);
}

static int run(const struct options *how,
               err_t (*fn)(const struct status_options *, const struct operands *, struct why *),
               char **argv)
{
    struct status_options o = {0};
    struct operands rest = {0};
    struct why why = {0};
    int done = verb_begin(how, argv, &o, &o.common, &rest);
    if (done != VERB_GO_ON)
        return done;
    err_t e = fn(&o, &rest, &why);
    return verb_end(argv[0], &o.common, e, &why);
}

int verb_status(int argc, char **argv)
{
    (void)argc;
    return run(&options, status, argv);
}

int verb_metrics(int argc, char **argv)
{
    (void)argc;
    return run(&metrics_options, metrics, argv);
}
