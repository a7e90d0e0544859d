/*
 * broker-cli list, show, remove: the credentials, redacted.
 */
#include "cli/admin.h"

#include "base/auto.h"
#include "cli/ask.h"
#include <broker/provider.h>

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

static void add_row(struct table *t, const json_t *c)
{
    char expires[32], version[24];
    (void)snprintf(version, sizeof(version), "%" PRId64, int_of(c, "version"));
    table_row(t,
              (const char *const[]){text_of(c, "name"), text_of(c, "provider"), text_of(c, "kind"),
                                    version, when_of(c, "expires_at_ms", expires),
                                    text_of(c, "state"), text_of(c, "account")});
}

static err_t list(const struct credential_options *o, const struct operands *rest, struct why *why)
{
    static const struct admin_list pages = {"/v1/credentials?limit=200", "credentials", "next",
                                            "after"};
    static const char *const head[] = {"NAME",    "PROVIDER", "KIND",   "VERSION",
                                       "EXPIRES", "STATE",    "ACCOUNT"};
    AUTO(auto_json) json_t *all = NULL;
    AUTO(table_free) struct table t = table_of(COUNT(head));
    if (rest->n)
        return fail(why, ERR_USAGE, "broker-cli list takes no name; see: broker-cli show NAME");
    TRY(admin_pages(&o->common, &pages, &all, why));
    if (!all)
        return ERR_OK;
    if (json_array_size(all) == 0)
        (void)fputs("Nothing is enrolled yet: broker-cli enroll NAME --provider PROVIDER\n",
                    stderr);
    table_row(&t, head);
    for (size_t i = 0; i < json_array_size(all); i++)
        add_row(&t, json_array_get(all, i));
    return table_print(&t, "", stdout, why);
}

static err_t path_of(const struct operands *rest, const char *verb, struct buf *path,
                     struct why *why)
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
    const struct provider *p = provider_by_name(view_str(text_of(reply, "provider")));
    (void)printf("%s: %s\n", text_of(reply, "name"), p ? p->title : text_of(reply, "provider"));
    const char *const line[][2] = {{"state", text_of(reply, "state")},
                                   {"enrolled", when_of(reply, "created_at_ms", when[0])},
                                   {"replaced", when_of(reply, "replaced_at_ms", when[1])},
                                   {"deliveries", list_of(reply, "deliver", list, sizeof(list))},
                                   {"account id", text_of(reply, "account")},
                                   {"record", text_of(reply, "hash")}};
    (void)printf("  %-16s%" PRId64 "\n", "version", int_of(reply, "version"));
    for (size_t i = 0; i < COUNT(line); i++)
        (void)printf("  %-16s%s\n", line[i][0], line[i][1][0] ? line[i][1] : "-");
    show_picture(json_object_get(reply, "detail"), stdout);
    return ERR_OK;
}

static err_t remove_one(const struct credential_options *o, const struct operands *rest,
                        struct why *why)
{
    AUTO(auto_json) json_t *reply = NULL;
    AUTO(buf_free) struct buf path = {0};
    char question[160];
    TRY(path_of(rest, "remove", &path, why));
    (void)snprintf(question, sizeof(question), "Remove \"%.64s\" for good? Its leases end at once.",
                   rest->at[0]);
    TRY(ask_yes(o->yes, question, why));
    TRY(admin_ask(&o->common, "DELETE", buf_text(&path), NULL, &reply, why));
    if (reply)
        (void)printf("%s: removed; %" PRId64 " leases ended.\n", text_of(reply, "removed"),
                     int_of(reply, "ended"));
    return ERR_OK;
}

static int run(const struct options *how,
               err_t (*fn)(const struct credential_options *, const struct operands *,
                           struct why *),
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
