/*
 * broker-cli list, show, remove: the credentials, redacted.
 */
#include "cli/admin.h"

#include "base/auto.h"

#include <inttypes.h>
#include <string.h>

struct credential_options {
    struct verb_common common;
    bool yes;
};
static const struct option_row rows[] = {VERB_ROWS(struct credential_options)};
static const struct option_row remove_rows[] = {
    {"yes", OPTION_FLAG, offsetof(struct credential_options, yes), NULL, "do not ask"},
    VERB_ROWS(struct credential_options)};
static const struct options options = {.rows = rows, .n = COUNT(rows)};
static const struct options remove_options = {.rows = remove_rows, .n = COUNT(remove_rows)};

static void print_row(const json_t *c)
{
    char expires[32];
    (void)printf("%-20s %-10s %-12s %-8" PRId64 " %-17s %-12s %s\n", text_of(c, "name"), text_of(c, "provider"),
                 text_of(c, "kind"), int_of(c, "version"), when_of(c, "expires_at_ms", expires), text_of(c, "state"),
                 text_of(c, "account")[0] ? text_of(c, "account") : "-");
}

static err_t list(const struct credential_options *o, const struct operands *rest, struct why *why)
{
    char after[80] = "";
    if (rest->n)
        return fail(why, ERR_USAGE, "broker-cli list takes no name; see: broker-cli show NAME");
    if (!o->common.json)
        (void)printf("%-20s %-10s %-12s %-8s %-17s %-12s %s\n", "NAME", "PROVIDER", "KIND", "VERSION", "EXPIRES", "STATE",
                     "ACCOUNT");
    do {
        AUTO(auto_json) json_t *reply = NULL;
        AUTO(buf_free) struct buf path = {0};
        const json_t *c;
        size_t i;
        buf_add_fmt(&path, "/v1/credentials?limit=200%s%s", after[0] ? "&after=" : "", after);
        TRY(admin_ask(&o->common, "GET", buf_text(&path), NULL, &reply, why));
        json_array_foreach(json_object_get(reply, "credentials"), i, c)
            print_row(c);
        (void)snprintf(after, sizeof(after), "%s", text_of(reply, "next"));
    } while (after[0]);
    return ERR_OK;
}

static err_t path_of(const struct operands *rest, const char *verb, struct buf *path, struct why *why)
{
    if (rest->n != 1)
        return fail(why, ERR_USAGE, "which credential? broker-cli %s NAME", verb);
    buf_add_str(path, "/v1/credentials/");
    return path_add(path, rest->at[0], "credential name", why);
}

static err_t show(const struct credential_options *o, const struct operands *rest, struct why *why)
{
    AUTO(auto_json) json_t *reply = NULL;
    AUTO(buf_free) struct buf path = {0};
    char list[128], when[3][32];
    TRY(path_of(rest, "show", &path, why));
    TRY(admin_ask(&o->common, "GET", buf_text(&path), NULL, &reply, why));
    if (!reply)
        return ERR_OK;
    (void)printf("name        %s\nprovider    %s\nkind        %s\nstate       %s\nversion     %" PRId64
                 "\nenrolled    %s\nreplaced    %s\nexpires     %s\ndeliveries  %s\naccount     %s\nrecord      %s…\n",
                 text_of(reply, "name"), text_of(reply, "provider"), text_of(reply, "kind"), text_of(reply, "state"),
                 int_of(reply, "version"), when_of(reply, "created_at_ms", when[0]),
                 when_of(reply, "replaced_at_ms", when[1]), when_of(reply, "expires_at_ms", when[2]),
                 list_of(reply, "deliver", list, sizeof(list)), text_of(reply, "account"), text_of(reply, "hash"));
    const char *key;
    json_t *value;
    json_object_foreach(json_object_get(reply, "detail"), key, value) {
        if (json_is_string(value))
            (void)printf("  %-14s %s\n", key, json_string_value(value));
        else if (json_is_integer(value))
            (void)printf("  %-14s %" JSON_INTEGER_FORMAT "\n", key, json_integer_value(value));
    }
    return ERR_OK;
}

static err_t remove_one(const struct credential_options *o, const struct operands *rest, struct why *why)
{
    AUTO(auto_json) json_t *reply = NULL;
    AUTO(buf_free) struct buf path = {0};
    char question[160];
    TRY(path_of(rest, "remove", &path, why));
    (void)snprintf(question, sizeof(question), "Remove \"%.64s\" for good? Its leases end at once.", rest->at[0]);
    TRY(ask_yes(o->yes, question, why));
    TRY(admin_ask(&o->common, "DELETE", buf_text(&path), NULL, &reply, why));
    if (reply)
        (void)printf("%s: removed; %" PRId64 " leases ended.\n", text_of(reply, "removed"), int_of(reply, "ended"));
    return ERR_OK;
}

static int run(const struct options *how, err_t (*fn)(const struct credential_options *, const struct operands *, struct why *),
               char **argv)
{
    struct credential_options o = {0};
    struct operands rest = {0};
    struct why why = {0};
    int done = verb_begin(how, argv, &o, &o.common, &rest);
    if (done != VERB_GO_ON)
        return done;
    err_t e = fn(&o, &rest, &why);
    return verb_end(argv[0], &o.common, e, &why);
}

int verb_list(int argc, char **argv)
{
    (void)argc;
    return run(&options, list, argv);
}

int verb_show(int argc, char **argv)
{
    (void)argc;
    return run(&options, show, argv);
}

int verb_remove(int argc, char **argv)
{
    (void)argc;
    return run(&remove_options, remove_one, argv);
}
