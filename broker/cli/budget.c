/*
 * broker-cli budget: what each grant of the proxy has spent, what is left, and when it renews.
 */
#include "cli/admin.h"

#include "base/auto.h"
#include "base/clock.h"

#include <inttypes.h>
#include <string.h>

struct budget_options {
    struct verb_common common;
};
static const struct option_row rows[] = {VERB_ROWS(struct budget_options)};
static const struct options options = {.rows = rows, .n = COUNT(rows)};

static const char *amount(const json_t *l, const char *key, char out[32])
{
    int64_t n = int_of(l, key);
    if (text_is(l, "of", "cost"))
        (void)snprintf(out, 32, "$%" PRId64 ".%02" PRId64, n / 1000000, n % 1000000 / 10000);
    else
        (void)snprintf(out, 32, "%" PRId64, n);
    return out;
}

static void add_limit(struct table *t, const json_t *grant, const json_t *l)
{
    char used[32], left[32], limit[32], period[24], per[80], renews[SPAN_ROOM];
    clock_format_duration(int_of(l, "period_ms"), period);
    (void)snprintf(per, sizeof(per), "%s/%s", amount(l, "limit", limit), period);
    table_row(t, (const char *const[]){
                     text_of(grant, "consumer"), text_of(grant, "credential"), text_of(l, "of"),
                     per, amount(l, "used", used), amount(l, "left", left),
                     span_of(int_of(l, "renews_at_ms") - clock_wall_ms(), renews)});
}

static void add_concurrent(struct table *t, const json_t *grant)
{
    int64_t running = int_of(grant, "running"), most = int_of(grant, "concurrent");
    char used[32], left[32], limit[32];
    (void)snprintf(used, sizeof(used), "%" PRId64, running);
    (void)snprintf(limit, sizeof(limit), "%" PRId64, most);
    (void)snprintf(left, sizeof(left), "%" PRId64, most > running ? most - running : 0);
    table_row(t, (const char *const[]){text_of(grant, "consumer"), text_of(grant, "credential"),
                                       "running", most ? limit : "", used, most ? left : "", ""});
}

static void add_grant(struct table *t, const json_t *grant)
{
    const json_t *limits = json_object_get(grant, "limits");
    for (size_t i = 0; i < json_array_size(limits); i++)
        add_limit(t, grant, json_array_get(limits, i));
    add_concurrent(t, grant);
}

static err_t budget(const struct budget_options *o, const struct operands *rest, struct why *why)
{
    static const char *const head[] = {"CONSUMER", "CREDENTIAL", "OF",       "LIMIT",
                                       "USED",     "LEFT",       "RENEWS IN"};
    AUTO(buf_free) struct buf path = {0};
    AUTO(auto_json) json_t *all = NULL;
    AUTO(table_free) struct table t = table_of(COUNT(head));
    if (rest->n > 1)
        return fail(why, ERR_USAGE, "one consumer, or none for all: broker-cli budget [CONSUMER]");
    buf_add_str(&path, rest->n ? "/v1/budgets?consumer=" : "/v1/budgets");
    if (rest->n)
        TRY(path_add(&path, rest->at[0], "consumer name", why));
    TRY(admin_pages(&o->common, &(struct admin_list){buf_text(&path), "budgets", "next", "after"},
                    &all, why));
    if (!all)
        return ERR_OK;
    if (json_array_size(all) == 0)
        (void)fputs("No grant delivers by the proxy: broker-cli grant CONSUMER CREDENTIAL "
                    "--deliver proxy\n",
                    stderr);
    table_row(&t, head);
    for (size_t i = 0; i < json_array_size(all); i++)
        add_grant(&t, json_array_get(all, i));
    return table_print(&t, "", stdout, why);
}

int verb_budget(int argc, char **argv)
{
    struct budget_options o = {0};
    struct operands rest = {0};
    struct why why = {0};
    (void)argc;
    int done = verb_begin(&options, argv, &o, &o.common, &rest);
    if (done != VERB_GO_ON)
        return done;
    err_t e = budget(&o, &rest, &why);
    return verb_end(argv[0], &o.common, e, &why);
}
