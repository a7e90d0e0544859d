/*
 * broker-cli init, unlock, lock, rekey, store accept, key add|list|remove: the store and the keys that open it.
 */
#include "cli/admin.h"

#include "base/auto.h"

#include <inttypes.h>
#include <string.h>

struct store_options {
    struct verb_common common;
    const char *key, *path, *passphrase_file;
    bool yes;
};
#define PASSPHRASE_ROW                                                                           \
    {"passphrase-file", OPTION_TEXT, offsetof(struct store_options, passphrase_file), "FILE",    \
     "read the passphrase from the first line of FILE (- is standard input) instead of asking"}
#define PATH_ROW                                                                                 \
    {"path", OPTION_TEXT, offsetof(struct store_options, path), "PATH",                          \
     "keyfile: where to make it; systemd: name of the credential; keyring: label"}

static const struct option_row init_rows[] = {
    {"key", OPTION_TEXT, offsetof(struct store_options, key), "SOURCE",
     "keyfile (the default), passphrase, keyring or systemd"},
    PATH_ROW, PASSPHRASE_ROW, VERB_ROWS(struct store_options)};
static const struct option_row unlock_rows[] = {
    {"key", OPTION_TEXT, offsetof(struct store_options, key), "SOURCE", "try only slots of this source"},
    PASSPHRASE_ROW, VERB_ROWS(struct store_options)};
static const struct option_row key_add_rows[] = {PATH_ROW, PASSPHRASE_ROW, VERB_ROWS(struct store_options)};
static const struct option_row yes_rows[] = {
    {"yes", OPTION_FLAG, offsetof(struct store_options, yes), NULL, "do not ask"}, VERB_ROWS(struct store_options)};
static const struct option_row plain_rows[] = {VERB_ROWS(struct store_options)};

#define OPTIONS(rows_) {.rows = (rows_), .n = COUNT(rows_)}
static const struct options init_options = OPTIONS(init_rows), unlock_options = OPTIONS(unlock_rows),
                            key_add_options = OPTIONS(key_add_rows), yes_options = OPTIONS(yes_rows),
                            plain_options = OPTIONS(plain_rows);

static err_t no_operands(const struct operands *rest, struct why *why)
{
    return rest->n ? fail(why, ERR_USAGE, "\"%.40s\" is not expected here", rest->at[0]) : ERR_OK;
}

/* {"source":…, "path":…, "passphrase":…} with what was given */
static void put_source(struct buf *body, const char *source, const char *path, const struct buf *passphrase)
{
    struct jsonw w = jsonw_to(body);
    jsonw_open(&w, NULL, '{');
    if (source)
        jsonw_str(&w, "source", source);
    if (path)
        jsonw_str(&w, "path", path);
    if (passphrase->len)
        jsonw_view(&w, "passphrase", buf_view(passphrase));
    jsonw_close(&w, '}');
}

static err_t make_key(const struct store_options *o, const char *source, const char *path, json_t **reply,
                      struct why *why)
{
    AUTO(buf_free) struct buf body = {0}, pass = {0};
    if (strcmp(source, "passphrase") == 0)
        TRY(ask_passphrase(o->passphrase_file, true, &pass, why));
    put_source(&body, source, o->path, &pass);
    return admin_ask(&o->common, "POST", path, &body, reply, why);
}

static err_t init(const struct store_options *o, const struct operands *rest, struct why *why)
{
    AUTO(auto_json) json_t *reply = NULL;
    TRY(no_operands(rest, why));
    TRY(make_key(o, o->key ? o->key : "keyfile", "/v1/init", &reply, why));
    if (reply)
        (void)puts("The store is set up and open. The audit log has a key for the auditor, log/auditor.key in the state directory:\n"
                   "move it to another machine, and keep log/audit.pub, which verifies checkpoints without it.");
    return ERR_OK;
}

static err_t unlock(const struct store_options *o, const struct operands *rest, struct why *why)
{
    AUTO(auto_json) json_t *reply = NULL;
    AUTO(buf_free) struct buf body = {0}, pass = {0};
    TRY(no_operands(rest, why));
    if (o->passphrase_file || !o->key || strcmp(o->key, "passphrase") == 0)
        TRY(ask_passphrase(o->passphrase_file, false, &pass, why));
    put_source(&body, o->key, NULL, &pass);
    TRY(admin_ask(&o->common, "POST", "/v1/unlock", &body, &reply, why));
    if (reply)
        (void)printf("The store is open (%s).\n", text_of(reply, "state"));
    return ERR_OK;
}

static err_t lock(const struct store_options *o, const struct operands *rest, struct why *why)
{
    AUTO(auto_json) json_t *reply = NULL;
    TRY(no_operands(rest, why));
    TRY(admin_ask(&o->common, "POST", "/v1/lock", NULL, &reply, why));
    if (reply)
        (void)puts("Locked. Leases stay valid in the journal and work again after: broker-cli unlock");
    return ERR_OK;
}

static err_t rekey(const struct store_options *o, const struct operands *rest, struct why *why)
{
    AUTO(auto_json) json_t *reply = NULL;
    TRY(no_operands(rest, why));
    TRY(ask_yes(o->yes, "Seal every credential anew under a fresh master key?", why));
    TRY(admin_ask(&o->common, "POST", "/v1/rekey", NULL, &reply, why));
    if (reply)
        (void)printf("Epoch %" PRId64 " has begun; %" PRId64 " credentials are sealed anew in the background (broker-cli key list).\n",
                     int_of(reply, "epoch"), int_of(reply, "records"));
    return ERR_OK;
}

static err_t accept(const struct store_options *o, const struct operands *rest, struct why *why)
{
    AUTO(auto_json) json_t *reply = NULL;
    if (rest->n != 1 || strcmp(rest->at[0], "accept") != 0)
        return fail(why, ERR_USAGE, "broker-cli store accept");
    TRY(ask_yes(o->yes, "Accept the store and the log as they are now? Do it only when you know why they are older or changed.",
                why));
    TRY(admin_ask(&o->common, "POST", "/v1/store/accept", NULL, &reply, why));
    if (reply)
        (void)puts("Accepted, and recorded.");
    return ERR_OK;
}

/* ---- key */

static err_t key_add(const struct store_options *o, const struct operands *rest, struct why *why)
{
    AUTO(auto_json) json_t *reply = NULL;
    if (rest->n != 1)
        return fail(why, ERR_USAGE, "which source? broker-cli key add keyfile|passphrase|keyring|systemd");
    TRY(make_key(o, rest->at[0], "/v1/keys", &reply, why));
    if (reply)
        (void)printf("Slot %" PRId64 " (%s) opens the store from now on.\n", int_of(reply, "slot"), text_of(reply, "source"));
    return ERR_OK;
}

static err_t key_list(const struct store_options *o, const struct operands *rest, struct why *why)
{
    AUTO(auto_json) json_t *reply = NULL;
    const json_t *key;
    size_t i;
    TRY(no_operands(rest, why));
    TRY(admin_ask(&o->common, "GET", "/v1/keys", NULL, &reply, why));
    if (!reply)
        return ERR_OK;
    (void)printf("%-4s %-11s %-17s %s\n", "SLOT", "SOURCE", "MADE", "DETAIL");
    json_array_foreach(json_object_get(reply, "keys"), i, key) {
        char when[32];
        (void)printf("%-4" PRId64 " %-11s %-17s %s\n", int_of(key, "slot"), text_of(key, "source"),
                     when_of(key, "created_at_ms", when), text_of(key, "detail"));
    }
    (void)printf("epoch %" PRId64 "%s\n", int_of(reply, "epoch"),
                 json_is_true(json_object_get(reply, "rekeying")) ? ", a rekey is under way" : "");
    return ERR_OK;
}

static err_t key_remove(const struct store_options *o, const struct operands *rest, struct why *why)
{
    AUTO(auto_json) json_t *reply = NULL;
    AUTO(buf_free) struct buf path = {0};
    if (rest->n != 1)
        return fail(why, ERR_USAGE, "which slot? broker-cli key remove SLOT (see: broker-cli key list)");
    buf_add_str(&path, "/v1/keys/");
    TRY(path_add(&path, rest->at[0], "slot", why));
    TRY(ask_yes(o->yes, "Remove this key slot? It opens the store no longer.", why));
    TRY(admin_ask(&o->common, "DELETE", buf_text(&path), NULL, &reply, why));
    if (reply)
        (void)puts("Removed. A kept copy of the old key header still opens with it: to shut that out, rekey.");
    return ERR_OK;
}

typedef err_t store_fn(const struct store_options *o, const struct operands *rest, struct why *why);

static int run(const struct options *options, store_fn *fn, char **argv)
{
    struct store_options o = {0};
    struct operands rest = {0};
    struct why why = {0};
    int done = verb_begin(options, argv, &o, &o.common, &rest);
    if (done != VERB_GO_ON)
        return done;
    err_t e = fn(&o, &rest, &why);
    return verb_end(argv[0], &o.common, e, &why);
}

#define VERB(name_, options_, fn_)                                                               \
    static int name_(int argc, char **argv)                                                      \
    {                                                                                            \
        (void)argc;                                                                              \
        return run(&(options_), fn_, argv);                                                      \
    }
VERB(run_key_add, key_add_options, key_add)
VERB(run_key_list, plain_options, key_list)
VERB(run_key_remove, yes_options, key_remove)

int verb_key(int argc, char **argv)
{
    static const struct subverb table[] = {
        {"add", run_key_add}, {"list", run_key_list}, {"remove", run_key_remove}, {NULL, NULL}};
    return subverb_run(table,
                       "key add SOURCE [--path PATH] [--passphrase-file FILE]\n       broker-cli key list\n"
                       "       broker-cli key remove SLOT [--yes]\n\nSOURCE is keyfile, passphrase, keyring or systemd.\n",
                       argc, argv);
}

#undef VERB
#define VERB(name_, options_, fn_)                                                               \
    int name_(int argc, char **argv)                                                             \
    {                                                                                            \
        (void)argc;                                                                              \
        return run(&(options_), fn_, argv);                                                      \
    }
VERB(verb_init, init_options, init)
VERB(verb_unlock, unlock_options, unlock)
VERB(verb_lock, plain_options, lock)
VERB(verb_rekey, yes_options, rekey)
VERB(verb_store, yes_options, accept)
