/*
 * broker-cli lease list|revoke, revoke, reload: what is out there, and stopping it.
 */
#include "cli/admin.h"

#include "base/auto.h"
#include "base/clock.h"
#include "cli/ask.h"

#include <inttypes.h>
#include <string.h>

struct lease_options {
    struct verb_common common;
    const char *consumer, *credential;
    bool all, yes;
};
#define AT(member) offsetof(struct lease_options, member)
static const struct option_row list_rows[] = {
    {"consumer", OPTION_TEXT, AT(consumer), "NAME", "only this consumer's"},
    {"credential", OPTION_TEXT, AT(credential), "NAME", "only of this credential"},
    VERB_ROWS(struct lease_options)};
static const struct option_row revoke_rows[] = {
    {"consumer", OPTION_TEXT, AT(consumer), "NAME", "every lease of this consumer"},
    {"credential", OPTION_TEXT, AT(credential), "NAME", "every lease of this credential"},
    {"all", OPTION_FLAG, AT(all), NULL, "every lease there is"},
    {"yes", OPTION_FLAG, AT(yes), NULL, "do not ask"},
    VERB_ROWS(struct lease_options)};
static const struct option_row plain_rows[] = {VERB_ROWS(struct lease_options)};
static const struct options list_options = {.rows = list_rows, .n = COUNT(list_rows)},
                            revoke_options = {.rows = revoke_rows, .n = COUNT(revoke_rows)},
                            plain_options = {.rows = plain_rows, .n = COUNT(plain_rows)};

static void add_row(struct table *t, const json_t *l)
{
    char left[SPAN_ROOM], uid[24], pid[24];
    (void)snprintf(uid, sizeof(uid), "%" PRId64, int_of(l, "uid"));
    (void)snprintf(pid, sizeof(pid), "%" PRId64, int_of(l, "pid"));
    table_row(t, (const char *const[]){text_of(l, "id"), text_of(l, "consumer"),
                                       text_of(l, "credential"), text_of(l, "deliver"), uid, pid,
                                       span_of(int_of(l, "expires_at_ms") - clock_wall_ms(), left),
                                       text_is(l, "owner", "process") ? "process" : ""});
}

static err_t add_filter(struct buf *path, const char *key, const char *value, struct why *why)
{
    if (!value)
        return ERR_OK;
    buf_add_fmt(path, "%c%s=", path->len > strlen("/v1/leases") ? '&' : '?', key);
    return path_add(path, value, "name", why);
}

static err_t list(const struct lease_options *o, const struct operands *rest, struct why *why)
{
    static const char *const head[] = {"LEASE", "CONSUMER", "CREDENTIAL", "DELIVERY",
                                       "UID",   "PID",      "ENDS IN",    "OWNER"};
    AUTO(buf_free) struct buf path = {0};
    AUTO(auto_json) json_t *all = NULL;
    AUTO(table_free) struct table t = table_of(COUNT(head));
    TRY(no_operands(rest, why));
    buf_add_str(&path, "/v1/leases");
    TRY(add_filter(&path, "consumer", o->consumer, why));
    TRY(add_filter(&path, "credential", o->credential, why));
    TRY(admin_pages(&o->common, &(struct admin_list){buf_text(&path), "leases", "cursor", "cursor"},
                    &all, why));
    if (!all)
        return ERR_OK;
    table_row(&t, head);
    for (size_t i = 0; i < json_array_size(all); i++)
        add_row(&t, json_array_get(all, i));
    return table_print(&t, "", stdout, why);
}

static err_t end_leases(const struct lease_options *o, const struct operands *rest, struct why *why)
{
    AUTO(auto_json) json_t *reply = NULL;
    AUTO(buf_free) struct buf body = {0};
    struct jsonw w = jsonw_to(&body);
    bool some = o->consumer || o->credential;
    if (rest->n > 1 || (rest->n == 1) + some + o->all != 1)
        return fail(why, ERR_USAGE,
                    "which leases? broker-cli revoke LEASE, or --consumer and --credential, or "
                    "--all: one of the three");
    if (o->all)
        TRY(ask_yes(o->yes, "Revoke every lease of every consumer?", why));
    jsonw_open(&w, NULL, '{');
    if (rest->n)
        jsonw_str(&w, "lease", rest->at[0]);
    if (o->consumer)
        jsonw_str(&w, "consumer", o->consumer);
    if (o->credential)
        jsonw_str(&w, "credential", o->credential);
    if (o->all)
        jsonw_bool(&w, "all", true);
    jsonw_close(&w, '}');
    TRY(admin_ask(&o->common, "POST", "/v1/revoke", &body, &reply, why));
    if (reply)
        (void)printf("%" PRId64 " %s ended.\n", int_of(reply, "ended"),
                     int_of(reply, "ended") == 1 ? "lease" : "leases");
    return ERR_OK;
}

static err_t reload(const struct lease_options *o, const struct operands *rest, struct why *why)
{
    AUTO(auto_json) json_t *reply = NULL;
    TRY(no_operands(rest, why));
    TRY(admin_ask(&o->common, "POST", "/v1/reload", NULL, &reply, why));
    int64_t n = int_of(reply, "consumers");
    if (reply)
        (void)printf("The configuration was read anew: %" PRId64 " %s.\n", n,
                     n == 1 ? "consumer" : "consumers");
    return ERR_OK;
}

static int run(const struct options *how,
               err_t (*fn)(const struct lease_options *, const struct operands *, struct why *),
               char **argv)
{
    struct lease_options o = {0};
    struct operands rest = {0};
    struct why why = {0};
    int done = verb_begin(how, argv, &o, &o.common, &rest);
    if (done != VERB_GO_ON)
        return done;
    err_t e = fn(&o, &rest, &why);
    return verb_end(argv[0], &o.common, e, &why);
}

static int run_list(int argc, char **argv)
{
    (void)argc;
    return run(&list_options, list, argv);
}

const struct verb lease_words[] = {
    {"lease list", "the live ones", "lease list [OPTIONS]",
     "broker-cli lease list --consumer gateway", run_list, NULL},
    {"lease revoke", "end some at once: the same as revoke",
     "lease revoke LEASE | --consumer NAME | --credential NAME | --all",
     "broker-cli lease revoke --credential claude", verb_revoke, NULL},
    {.name = NULL},
};

int verb_lease(int argc, char **argv)
{
    return subverb_run(argc, argv);
}

int verb_revoke(int argc, char **argv)
{
    (void)argc;
    return run(&revoke_options, end_leases, argv);
}

int verb_reload(int argc, char **argv)
{
    (void)argc;
    return run(&plain_options, reload, argv);
}
