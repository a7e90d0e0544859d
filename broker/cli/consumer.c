/*
 * broker-cli consumer add|list|show|remove, grant, revoke-grant: who may use what.
 */
#include "cli/admin.h"

#include "base/auto.h"
#include "base/clock.h"
#include "cli/ask.h"

#include <inttypes.h>
#include <string.h>

struct consumer_options {
    struct verb_common common;
    struct option_list uid, gid, deliver, allow, models;
    const char *cgroup, *note, *owner, *budget;
    int64_t ttl_ms, max_ttl_ms;
    uint64_t uses;
    bool yes;
};
#define AT(member) offsetof(struct consumer_options, member)
static const struct option_row add_rows[] = {
    {"uid", OPTION_LIST, AT(uid), "UID[,UID]",
     "only peers of these uids (default: the broker's own)"},
    {"gid", OPTION_LIST, AT(gid), "GID[,GID]", "only peers of these gids"},
    {"cgroup", OPTION_TEXT, AT(cgroup), "PATH", "only peers in a cgroup that begins with this"},
    {"note", OPTION_TEXT, AT(note), "TEXT", "for people"},
    VERB_ROWS(struct consumer_options)};
static const struct option_row remove_rows[] = {{"yes", OPTION_FLAG, AT(yes), NULL, "do not ask"},
                                                VERB_ROWS(struct consumer_options)};
static const struct option_row grant_rows[] = {
    {"deliver", OPTION_LIST, AT(deliver), "DELIVERY[,DELIVERY]",
     "proxy, access_token, file, helper or secret"},
    {"ttl", OPTION_TIME, AT(ttl_ms), "TIME", "life of a lease; 15m when not given"},
    {"max-ttl", OPTION_TIME, AT(max_ttl_ms), "TIME", "over all renewals; 24h when not given"},
    {"uses", OPTION_NUMBER, AT(uses), "N", "how often a lease releases; unlimited when not given"},
    {"owner", OPTION_TEXT, AT(owner), "process|none",
     "process: leases end with the process that asked"},
    {"allow", OPTION_LIST, AT(allow), "\"METHOD PATH\"", "proxy: allowed requests"},
    {"model", OPTION_LIST, AT(models), "GLOB", "proxy: allowed models"},
    {"budget", OPTION_TEXT, AT(budget), "TEXT",
     "proxy: for example \"requests: 600/h, tokens: 2M/d, cost: 5.50/d, concurrent: 4\""},
    VERB_ROWS(struct consumer_options)};
static const struct option_row plain_rows[] = {VERB_ROWS(struct consumer_options)};
/* clang-format off */
#define OPTIONS(rows_) {.rows = (rows_), .n = COUNT(rows_)}
/* clang-format on */
static const struct options add_options = OPTIONS(add_rows), remove_options = OPTIONS(remove_rows),
                            grant_options = OPTIONS(grant_rows),
                            plain_options = OPTIONS(plain_rows);

/* Writes an array from options that may be given again and may hold commas; numbers unquoted. */
static err_t put_list(struct jsonw *w, const char *key, const struct option_list *l, bool numbers,
                      struct why *why)
{
    if (l->n == 0)
        return ERR_OK;
    jsonw_open(w, key, '[');
    for (size_t i = 0; i < l->n; i++) {
        const char *p = l->item[i];
        while (*p) {
            size_t n = strcspn(p, ",");
            if (n == 0 || (numbers && strspn(p, "0123456789") != n) || n > 256)
                return fail(why, ERR_USAGE, "--%s wants %s, not \"%.64s\"", key,
                            numbers ? "numbers" : "words", l->item[i]);
            if (numbers)
                jsonw_raw(w, NULL, VIEW(p, n));
            else
                jsonw_view(w, NULL, VIEW(p, n));
            p += n + (p[n] == ',');
        }
    }
    jsonw_close(w, ']');
    return ERR_OK;
}

/* `--allow "POST /a"` may hold commas of its own */
static void put_whole(struct jsonw *w, const char *key, const struct option_list *l)
{
    if (l->n == 0)
        return;
    jsonw_open(w, key, '[');
    for (size_t i = 0; i < l->n; i++)
        jsonw_str(w, NULL, l->item[i]);
    jsonw_close(w, ']');
}

static const char *span(int64_t ms, char out[24])
{
    clock_format_duration(ms, out);
    return out;
}

/* The directory is what a container gets: a mounted socket would stay the old one after a restart.
 * */
static const char *directory_of(const json_t *c, char out[256])
{
    const char *socket = text_of(c, "socket"), *slash = strrchr(socket, '/');
    (void)snprintf(out, 256, "%.*s", slash ? (int)(slash - socket) : 0, socket);
    return out;
}

static err_t print_grants(const json_t *grants, struct why *why)
{
    static const char *const head[] = {"CREDENTIAL", "DELIVERIES", "TTL",      "AT MOST",
                                       "USES",       "OWNER",      "REQUESTS", "MODELS"};
    AUTO(table_free) struct table t = table_of(COUNT(head));
    table_row(&t, head);
    for (size_t i = 0; i < json_array_size(grants); i++) {
        const json_t *g = json_array_get(grants, i);
        char deliver[128], ttl[24], max[24], uses[24] = "", allow[256], models[256];
        if (int_of(g, "uses"))
            (void)snprintf(uses, sizeof(uses), "%" PRId64, int_of(g, "uses"));
        table_row(&t, (const char *const[]){
                          text_of(g, "credential"), list_of(g, "deliver", deliver, sizeof(deliver)),
                          span(int_of(g, "ttl_ms"), ttl), span(int_of(g, "max_ttl_ms"), max), uses,
                          text_is(g, "owner", "process") ? "process" : "",
                          list_of(g, "allow", allow, sizeof(allow)),
                          list_of(g, "models", models, sizeof(models))});
    }
    return table_print(&t, "  ", stdout, why);
}

static err_t print_consumer(const json_t *c, struct why *why)
{
    char uids[256], gids[256], dir[256];
    const json_t *grants = json_object_get(c, "grants");
    const char *const line[][2] = {{"directory", directory_of(c, dir)},
                                   {"uids", list_of(c, "uids", uids, sizeof(uids))},
                                   {"gids", list_of(c, "gids", gids, sizeof(gids))},
                                   {"cgroup", text_of(c, "cgroup")},
                                   {"note", text_of(c, "note")}};
    (void)printf("%s%s\n", text_of(c, "name"),
                 json_is_true(json_object_get(c, "managed")) ? "" : " (in broker.yaml)");
    for (size_t i = 0; i < COUNT(line); i++)
        if (line[i][1][0])
            (void)printf("  %-12s%s\n", line[i][0], line[i][1]);
    (void)printf("  %-12s%" PRId64 "\n", "leases", int_of(c, "leases"));
    if (json_array_size(grants) == 0)
        (void)printf("  no grants yet: broker-cli grant %s CREDENTIAL --deliver DELIVERY\n",
                     text_of(c, "name"));
    return json_array_size(grants) ? print_grants(grants, why) : ERR_OK;
}

static err_t consumer_path(struct buf *path, const char *name, struct why *why)
{
    buf_add_str(path, "/v1/consumers/");
    return path_add(path, name, "consumer name", why);
}

static err_t add(const struct consumer_options *o, const struct operands *rest, struct why *why)
{
    AUTO(auto_json) json_t *reply = NULL;
    AUTO(buf_free) struct buf body = {0};
    struct jsonw w = jsonw_to(&body);
    if (rest->n != 1)
        return fail(why, ERR_USAGE, "which name? broker-cli consumer add NAME");
    jsonw_open(&w, NULL, '{');
    jsonw_str(&w, "name", rest->at[0]);
    TRY(put_list(&w, "uids", &o->uid, true, why));
    TRY(put_list(&w, "gids", &o->gid, true, why));
    if (o->cgroup)
        jsonw_str(&w, "cgroup", o->cgroup);
    if (o->note)
        jsonw_str(&w, "note", o->note);
    jsonw_close(&w, '}');
    TRY(admin_ask(&o->common, "POST", "/v1/consumers", &body, &reply, why));
    char dir[256];
    if (reply)
        (void)printf("%s: added. Mount this directory into its container, and nothing else of the "
                     "broker's:\n  %s\n"
                     "Then grant it something: broker-cli grant %s CREDENTIAL --deliver DELIVERY\n",
                     text_of(reply, "name"), directory_of(reply, dir), text_of(reply, "name"));
    return ERR_OK;
}

/* "claude,key" */
static const char *grants_of(const json_t *c, struct buf *out)
{
    const json_t *grants = json_object_get(c, "grants");
    buf_reset(out);
    for (size_t i = 0; i < json_array_size(grants); i++)
        buf_add_fmt(out, "%s%s", i ? "," : "", text_of(json_array_get(grants, i), "credential"));
    return buf_text(out);
}

static err_t list(const struct consumer_options *o, const struct operands *rest, struct why *why)
{
    static const struct admin_list pages = {"/v1/consumers", "consumers", "next", "after"};
    static const char *const head[] = {"NAME", "GRANTS", "LEASES", "DIRECTORY", "NOTE"};
    AUTO(auto_json) json_t *all = NULL;
    AUTO(table_free) struct table t = table_of(COUNT(head));
    AUTO(buf_free) struct buf grants = {0};
    if (rest->n)
        return fail(why, ERR_USAGE,
                    "broker-cli consumer list takes no name; see: broker-cli consumer show NAME");
    TRY(admin_pages(&o->common, &pages, &all, why));
    if (!all)
        return ERR_OK;
    if (json_array_size(all) == 0)
        (void)fputs("There is no consumer yet: broker-cli consumer add NAME\n", stderr);
    table_row(&t, head);
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *c = json_array_get(all, i);
        char leases[24], dir[256];
        (void)snprintf(leases, sizeof(leases), "%" PRId64, int_of(c, "leases"));
        table_row(&t, (const char *const[]){text_of(c, "name"), grants_of(c, &grants), leases,
                                            directory_of(c, dir), text_of(c, "note")});
    }
    return table_print(&t, "", stdout, why);
}

static err_t show(const struct consumer_options *o, const struct operands *rest, struct why *why)
{
    AUTO(auto_json) json_t *reply = NULL;
    AUTO(buf_free) struct buf path = {0};
    if (rest->n != 1)
        return fail(why, ERR_USAGE, "which one? broker-cli consumer show NAME");
    TRY(consumer_path(&path, rest->at[0], why));
    TRY(admin_ask(&o->common, "GET", buf_text(&path), NULL, &reply, why));
    return reply ? print_consumer(reply, why) : ERR_OK;
}

static err_t remove_one(const struct consumer_options *o, const struct operands *rest,
                        struct why *why)
{
    AUTO(auto_json) json_t *reply = NULL;
    AUTO(buf_free) struct buf path = {0};
    char question[160];
    if (rest->n != 1)
        return fail(why, ERR_USAGE, "which one? broker-cli consumer remove NAME");
    TRY(consumer_path(&path, rest->at[0], why));
    (void)snprintf(question, sizeof(question),
                   "Remove consumer \"%.64s\", its socket and its leases?", rest->at[0]);
    TRY(ask_yes(o->yes, question, why));
    TRY(admin_ask(&o->common, "DELETE", buf_text(&path), NULL, &reply, why));
    if (reply)
        (void)printf("%s: removed.\n", rest->at[0]);
    return ERR_OK;
}

static err_t put_grant(struct buf *body, const struct consumer_options *o, const char *credential,
                       struct why *why)
{
    struct jsonw w = jsonw_to(body);
    if (o->deliver.n == 0)
        return fail(why, ERR_USAGE,
                    "--deliver is needed: proxy, access_token, file, helper or secret");
    TRY(check_deliveries(&o->deliver, why));
    if (o->owner && strcmp(o->owner, "process") != 0 && strcmp(o->owner, "none") != 0)
        return fail(why, ERR_USAGE, "--owner is process or none, not \"%.32s\"", o->owner);
    jsonw_open(&w, NULL, '{');
    jsonw_str(&w, "credential", credential);
    TRY(put_list(&w, "deliver", &o->deliver, false, why));
    if (o->ttl_ms)
        jsonw_int(&w, "ttl_ms", o->ttl_ms);
    if (o->max_ttl_ms)
        jsonw_int(&w, "max_ttl_ms", o->max_ttl_ms);
    if (o->uses)
        jsonw_int(&w, "uses", (int64_t)o->uses);
    if (o->owner)
        jsonw_str(&w, "owner", o->owner);
    put_whole(&w, "allow", &o->allow);
    put_whole(&w, "models", &o->models);
    if (o->budget)
        jsonw_str(&w, "budget", o->budget);
    jsonw_close(&w, '}');
    return ERR_OK;
}

/* A grant may come before its credential; a slip in the name looks the same. */
static void warn_missing(const struct consumer_options *o, const char *credential)
{
    AUTO(auto_json) json_t *there = NULL;
    AUTO(buf_free) struct buf path = {0};
    struct why why = {0};
    buf_add_fmt(&path, "/v1/credentials/%s", credential);
    if (admin_get(&o->common, buf_text(&path), &there, &why) == ERR_NOT_FOUND)
        (void)fprintf(
            stderr, "Nothing named %s is enrolled yet: broker-cli enroll %s --provider PROVIDER\n",
            credential, credential);
}

static err_t grant(const struct consumer_options *o, const struct operands *rest, struct why *why)
{
    AUTO(auto_json) json_t *reply = NULL;
    AUTO(buf_free) struct buf body = {0}, path = {0}, name = {0};
    if (rest->n != 2)
        return fail(why, ERR_USAGE,
                    "who may use what? broker-cli grant CONSUMER CREDENTIAL --deliver DELIVERY");
    TRY(consumer_path(&path, rest->at[0], why));
    TRY(path_add(&name, rest->at[1], "credential name", why));
    buf_add_str(&path, "/grants");
    TRY(put_grant(&body, o, rest->at[1], why));
    TRY(admin_ask(&o->common, "POST", buf_text(&path), &body, &reply, why));
    if (!reply)
        return ERR_OK;
    warn_missing(o, rest->at[1]);
    return print_consumer(reply, why);
}

static err_t revoke_grant(const struct consumer_options *o, const struct operands *rest,
                          struct why *why)
{
    AUTO(auto_json) json_t *reply = NULL;
    AUTO(buf_free) struct buf path = {0};
    if (rest->n != 2)
        return fail(why, ERR_USAGE, "which one? broker-cli revoke-grant CONSUMER CREDENTIAL");
    TRY(consumer_path(&path, rest->at[0], why));
    buf_add_str(&path, "/grants/");
    TRY(path_add(&path, rest->at[1], "credential name", why));
    TRY(admin_ask(&o->common, "DELETE", buf_text(&path), NULL, &reply, why));
    return reply ? print_consumer(reply, why) : ERR_OK;
}

typedef err_t consumer_fn(const struct consumer_options *o, const struct operands *rest,
                          struct why *why);

static int run(const struct options *how, consumer_fn *fn, char **argv)
{
    struct consumer_options o = {0};
    struct operands rest = {0};
    struct why why = {0};
    int done = verb_begin(how, argv, &o, &o.common, &rest);
    if (done != VERB_GO_ON)
        return done;
    err_t e = fn(&o, &rest, &why);
    return verb_end(argv[0], &o.common, e, &why);
}

#define VERB(linkage_, name_, options_, fn_)                                                       \
    linkage_ name_(int argc, char **argv)                                                          \
    {                                                                                              \
        (void)argc;                                                                                \
        return run(&(options_), fn_, argv);                                                        \
    }
VERB(int, verb_grant, grant_options, grant)
VERB(int, verb_revoke_grant, plain_options, revoke_grant)
VERB(static int, run_add, add_options, add)
VERB(static int, run_list, plain_options, list)
VERB(static int, run_show, plain_options, show)
VERB(static int, run_remove, remove_options, remove_one)

const struct verb consumer_words[] = {
    {"consumer add", "a new one, with its socket directory", "consumer add NAME [OPTIONS]",
     "broker-cli consumer add gateway --uid 0,1000 --note 'the DeerFlow gateway'", run_add, NULL},
    {"consumer list", "who there is", "consumer list [OPTIONS]", "broker-cli consumer list",
     run_list, NULL},
    {"consumer show", "one of them, with its grants", "consumer show NAME [OPTIONS]",
     "broker-cli consumer show gateway", run_show, NULL},
    {"consumer remove", "take one away, with its socket and its leases",
     "consumer remove NAME [--yes] [OPTIONS]", "broker-cli consumer remove gateway", run_remove,
     NULL},
    {.name = NULL},
};

int verb_consumer(int argc, char **argv)
{
    return subverb_run(argc, argv);
}
