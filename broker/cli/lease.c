/*
 * broker-cli lease list|renew|end, revoke, reload: what is out there, and stopping it.
 */
#include "cli/admin.h"

#include "base/auto.h"
#include "base/clock.h"

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

static void print_lease(const json_t *l, int64_t now)
{
    char left[24];
    int64_t ms = int_of(l, "expires_at_ms") - now;
    clock_format_duration(ms > 0 ? ms / 1000 * 1000 : 0, left);
    (void)printf("%-32s %-16s %-16s %-12s %-7" PRId64 " %-8" PRId64 " %s%s\n", text_of(l, "id"), text_of(l, "consumer"),
                 text_of(l, "credential"), text_of(l, "deliver"), int_of(l, "uid"), int_of(l, "pid"), left,
                 strcmp(text_of(l, "owner"), "process") == 0 ? " (with its process)" : "");
}

static err_t list_path(const struct lease_options *o, int64_t cursor, struct buf *path, struct why *why)
{
    buf_add_fmt(path, "/v1/leases?cursor=%" PRId64, cursor);
    if (o->consumer) {
        buf_add_str(path, "&consumer=");
        TRY(path_add(path, o->consumer, "consumer name", why));
    }
    if (!o->credential)
        return ERR_OK;
    buf_add_str(path, "&credential=");
    return path_add(path, o->credential, "credential name", why);
}

static err_t list(const struct lease_options *o, const struct operands *rest, struct why *why)
{
    int64_t cursor = 0;
    if (rest->n)
        return fail(why, ERR_USAGE, "broker-cli lease list [--consumer NAME] [--credential NAME]");
    if (!o->common.json)
        (void)printf("%-32s %-16s %-16s %-12s %-7s %-8s %s\n", "LEASE", "CONSUMER", "CREDENTIAL", "DELIVERY", "UID", "PID",
                     "ENDS IN");
    do {
        AUTO(auto_json) json_t *reply = NULL;
        AUTO(buf_free) struct buf path = {0};
        const json_t *l;
        size_t i;
        TRY(list_path(o, cursor, &path, why));
        TRY(admin_ask(&o->common, "GET", buf_text(&path), NULL, &reply, why));
        json_array_foreach(json_object_get(reply, "leases"), i, l)
            print_lease(l, clock_wall_ms());
        cursor = int_of(reply, "cursor");
    } while (cursor);
    return ERR_OK;
}

static err_t end_leases(const struct lease_options *o, const struct operands *rest, struct why *why)
{
    AUTO(auto_json) json_t *reply = NULL;
    AUTO(buf_free) struct buf body = {0};
    struct jsonw w = jsonw_to(&body);
    if (rest->n > 1 || (rest->n == 0 && !o->consumer && !o->credential && !o->all))
        return fail(why, ERR_USAGE, "what? broker-cli revoke LEASE, or --consumer NAME, --credential NAME, --all");
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
        (void)printf("%" PRId64 " leases ended.\n", int_of(reply, "ended"));
    return ERR_OK;
}

static err_t reload(const struct lease_options *o, const struct operands *rest, struct why *why)
{
    AUTO(auto_json) json_t *reply = NULL;
    if (rest->n)
        return fail(why, ERR_USAGE, "broker-cli reload takes nothing");
    TRY(admin_ask(&o->common, "POST", "/v1/reload", NULL, &reply, why));
    if (reply)
        (void)printf("The configuration was read anew: %" PRId64 " consumers.\n", int_of(reply, "consumers"));
    return ERR_OK;
}

static int run(const struct options *how, err_t (*fn)(const struct lease_options *, const struct operands *, struct why *),
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

int verb_lease(int argc, char **argv)
{
    static const struct subverb table[] = {{"list", run_list}, {"revoke", verb_revoke}, {NULL, NULL}};
    return subverb_run(table, "lease list [--consumer NAME] [--credential NAME]\n       broker-cli lease revoke LEASE\n",
                       argc, argv);
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
